package docker

import (
	"crypto/sha256"
	"encoding/hex"
	"maps"

	"github.com/moby/moby/client"

	"github.com/farmhand/terraform-provider-farmhand/internal/platform"
)

// Labels by which everything is found again.
const (
	labelFarm       = "farmhand.farm"
	labelRole       = "farmhand.role"
	labelInstance   = "farmhand.instance"
	labelToken      = "farmhand.token"
	labelGeneration = "farmhand.generation"
	labelAgent      = "farmhand.agent" // of agent images and of the container that one is made from: hash of the binary
	labelBase       = "farmhand.base"  // of agent images: id of the image below

	labelSnapshot = "farmhand.snapshot" // of a snapshot's volume and its record, and of the container that copies: the snapshot's name
	labelRecord   = "farmhand.record"   // of a snapshot's record: its state
	labelAt       = "farmhand.at"       // of records: the moment; of what is being made: when that began
	labelBytes    = "farmhand.bytes"    // of records
	labelText     = "farmhand.text"     // of records: why it failed
	labelFilling  = "farmhand.filling"  // of the mark on an instance's volume that is not whole yet, and of the container that copies
	labelCopies   = "farmhand.copies"   // of containers that copy: the volume that they copy to
	labelFrom     = "farmhand.from"     // of containers that copy and of what they copy to: the volume that they copy from
	labelPauses   = "farmhand.pauses"   // of containers that copy: ids of the machines that are paused for it
)

// networkName is the name of the farm's network.
func networkName(farm string) string { return "farmhand-" + farm }

// containerName is unique per intent: the engine's own check of names makes a launch happen once.
func containerName(l platform.Launch) string {
	token := l.Token
	if len(token) > 8 {
		// A prefix would do for random tokens; hashing makes it hold for those that share one, too.
		sum := sha256.Sum256([]byte(token))
		token = hex.EncodeToString(sum[:4])
	}
	return "farmhand-" + l.Farm + "-" + l.Instance + "-" + token
}

func (d *Docker) labels(more map[string]string) map[string]string {
	l := map[string]string{labelFarm: d.farm.Name}
	maps.Copy(l, more)
	return l
}

// mine filters a list to what bears the farm's label.
func (d *Docker) mine() client.Filters {
	return client.Filters{}.Add("label", labelFarm+"="+d.farm.Name)
}
