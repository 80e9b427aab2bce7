package aws

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/farmhand/terraform-provider-farmhand/internal/platform"
	"github.com/farmhand/terraform-provider-farmhand/internal/spec"
	"github.com/farmhand/terraform-provider-farmhand/internal/state"
	"github.com/farmhand/terraform-provider-farmhand/internal/store"
)

// disk is the record of an index's data volume, written before EC2 is called.
type disk struct {
	Role  string    `json:"role"`
	Token string    `json:"token"` // client token of its creation
	ID    string    `json:"id,omitempty"`
	Zone  string    `json:"zone"`
	At    time.Time `json:"at"` // of Token

	Snapshot string `json:"snapshot,omitempty"` // that it is made of

	Lacking time.Time `json:"lacking,omitzero"` // since when its zone has had no room for its machine
	Move    *move     `json:"move,omitempty"`
	Left    []left    `json:"left,omitempty"` // what moves have left over, until Keep has deleted it
}

// diskOf reads an index's record; the zero disk where there is none.
func (p *AWS) diskOf(ctx context.Context, instance string) (disk, error) {
	d, _, err := store.GetJSON[disk](ctx, p.store, p.diskKey(instance))
	if errors.Is(err, store.ErrNotFound) {
		return disk{}, nil
	}
	return d, storeSays(err, "reading of the volume of "+instance)
}

func (p *AWS) noteDisk(ctx context.Context, instance string, d disk) error {
	_, err := store.PutJSON(ctx, p.store, p.diskKey(instance), d)
	return storeSays(err, "writing of the volume of "+instance)
}

// EnsureVolume makes the index's data volume or finds it: encrypted, tagged, as the role declares it, in the zone where the
// role has fewest. It stays in that zone, and so do the index's machines; see moving for when they cannot.
func (p *AWS) EnsureVolume(ctx context.Context, role, instance string) (string, error) {
	return p.ensureVolume(ctx, role, instance, "")
}

// ensureVolume is EnsureVolume, of a snapshot where one is given.
func (p *AWS) ensureVolume(ctx context.Context, role, instance, snapshot string) (string, error) {
	defer p.disks.lock(instance)()
	d, err := p.diskOf(ctx, instance)
	if err != nil {
		return "", err
	}
	doing := "making the data volume of " + instance
	if snapshot != "" {
		doing += " of snapshot " + snapshot
	}
	volumes, err := p.volumes(ctx)
	if err != nil {
		return "", err
	}
	for _, v := range volumes {
		id := awssdk.ToString(v.VolumeId)
		if tag(v.Tags, tagInstance) != instance || d.ID != "" && id != d.ID {
			continue
		}
		if d.ID == "" { // made by a call whose answer was lost, or the record is
			d.Role, d.ID, d.Zone = role, id, awssdk.ToString(v.AvailabilityZone)
			return id, p.noteDisk(ctx, instance, d)
		}
		return id, nil
	}
	if d.ID != "" && p.now().Sub(d.At) < unlisted {
		return d.ID, nil // EC2 does not list it yet
	}
	if d.Token != "" && d.ID == "" && d.Snapshot != snapshot {
		if since := p.now().Sub(d.At); since < unlisted {
			return "", fmt.Errorf("%s: another one was asked for %s ago, and the answer was lost: EC2 may show it yet: %w", doing, since.Round(time.Second), platform.ErrUnavailable)
		}
		d.Token = "" // it came to nothing
	}
	var of types.Snapshot
	if snapshot != "" {
		if of, err = p.usable(ctx, snapshot); err != nil {
			return "", fmt.Errorf("%s: %w", doing, err)
		}
	}
	declared := p.declared(ctx, role)
	if d.Token == "" || d.ID != "" { // none yet, or somebody has deleted it
		zone, err := p.zoneForDisk(ctx, declared, volumes)
		if err != nil {
			return "", fmt.Errorf("%s: %w", doing, err)
		}
		d = disk{Role: role, Token: newToken(), Zone: zone, At: p.now().UTC(), Snapshot: snapshot}
		if err := p.noteDisk(ctx, instance, d); err != nil {
			return "", err
		}
	}
	if d.ID, err = p.createVolume(ctx, declared, instance, d.Token, d.Zone, of); err != nil {
		if c := code(err); c == "IdempotentParameterMismatch" || c == "InsufficientVolumeCapacity" || c == "InvalidSnapshot.NotFound" {
			err = errors.Join(err, p.dropDisk(ctx, instance)) // the next try decides anew
		}
		return "", explain(err, doing)
	}
	return d.ID, p.noteDisk(ctx, instance, d)
}

// createVolume makes a volume, empty or from a snapshot. The SDK's error is returned as it is.
func (p *AWS) createVolume(ctx context.Context, role spec.Role, instance, token, zone string, snapshot types.Snapshot) (string, error) {
	c, err := p.compute(ctx)
	if err != nil {
		return "", err
	}
	in := &ec2.CreateVolumeInput{
		AvailabilityZone: awssdk.String(zone), ClientToken: awssdk.String(token), Encrypted: awssdk.Bool(true),
		VolumeType: types.VolumeTypeGp3, Size: awssdk.Int32(spec.DefaultVolumeGB),
		TagSpecifications: tagged(p.tags(tagRole, role.Name, tagInstance, instance, tagName, p.farm.Name+" "+instance), types.ResourceTypeVolume),
	}
	if snapshot.SnapshotId != nil {
		in.SnapshotId, in.Size = snapshot.SnapshotId, snapshot.VolumeSize // it may have grown beyond what is declared
	}
	if v := role.Volume; v != nil {
		if v.SizeGB > 0 && v.SizeGB > int(awssdk.ToInt32(snapshot.VolumeSize)) {
			in.Size = awssdk.Int32(int32(v.SizeGB))
		}
		if v.Type != "" {
			in.VolumeType = types.VolumeType(v.Type)
		}
		if v.IOPS > 0 {
			in.Iops = awssdk.Int32(int32(v.IOPS))
		}
		if v.Throughput > 0 {
			in.Throughput = awssdk.Int32(int32(v.Throughput))
		}
		if v.KMSKey != "" {
			in.KmsKeyId = awssdk.String(v.KMSKey)
		}
	}
	out, err := c.CreateVolume(ctx, in)
	if err != nil {
		return "", err
	}
	return awssdk.ToString(out.VolumeId), nil
}

// declared is a role's declaration; only its name where there is none (any more).
func (p *AWS) declared(ctx context.Context, role string) spec.Role {
	d, _, err := store.GetJSON[state.Declared[spec.Role]](ctx, p.store, state.RoleKey(p.farm.Name, role))
	if err != nil {
		return spec.Role{Farm: p.farm.Name, Name: role}
	}
	return d.Spec
}

// zoneForDisk is the role's zone with the fewest of its volumes, out of those that have not refused its machines lately.
func (p *AWS) zoneForDisk(ctx context.Context, role spec.Role, volumes []types.Volume) (string, error) {
	w := p.wants(role)
	all, err := p.poolsOf(ctx, role, w, "")
	if err != nil {
		return "", err
	}
	have := map[string]int{}
	for _, v := range volumes {
		if tag(v.Tags, tagRole) == role.Name {
			have[awssdk.ToString(v.AvailabilityZone)]++
		}
	}
	open := p.pools.open(all, w.markets()[0])
	if len(open) == 0 {
		open = all
	}
	for zone := range spread(1, sortedKeys(byZone(open)), have) {
		return zone, nil
	}
	return "", fmt.Errorf("no zone: %w", platform.ErrInvalid)
}

// ListVolumes returns the data volumes of the farm's indexes: one call for each 500.
func (p *AWS) ListVolumes(ctx context.Context) ([]platform.Volume, error) {
	all, err := p.volumes(ctx)
	if err != nil {
		return nil, err
	}
	var volumes []platform.Volume
	for _, v := range all {
		volumes = append(volumes, platform.Volume{ID: awssdk.ToString(v.VolumeId), Role: tag(v.Tags, tagRole), Instance: tag(v.Tags, tagInstance)})
	}
	return volumes, nil
}

// volumes are the data volumes: those of an index. Machines' own disks go with them.
func (p *AWS) volumes(ctx context.Context) ([]types.Volume, error) {
	c, err := p.compute(ctx)
	if err != nil {
		return nil, err
	}
	var all []types.Volume
	pages := ec2.NewDescribeVolumesPaginator(c, &ec2.DescribeVolumesInput{Filters: []types.Filter{p.ours(), filter("tag-key", tagInstance)}, MaxResults: awssdk.Int32(500)})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, explain(err, "listing the volumes of farm "+p.farm.Name)
		}
		for _, v := range page.Volumes {
			if v.State != types.VolumeStateDeleting && v.State != types.VolumeStateDeleted && v.State != types.VolumeStateError && !isRoot(v) {
				all = append(all, v)
			}
		}
	}
	return all, nil
}

// isRoot knows a machine's own disk, which somebody may have tagged with the instance's name.
func isRoot(v types.Volume) bool {
	for _, a := range v.Attachments {
		if awssdk.ToBool(a.DeleteOnTermination) {
			return true
		}
	}
	return false
}

// detachPatience is how long a deletion waits for the volume of a machine that ends.
const detachPatience = 45 * time.Second

// DeleteVolume deletes a data volume of the farm's and its record. Where it hangs on a machine that is ending, it waits for that;
// ErrUnavailable if that takes long.
func (p *AWS) DeleteVolume(ctx context.Context, id string) error {
	if !strings.HasPrefix(id, "vol-") {
		return nil
	}
	volumes, err := p.volumes(ctx)
	if err != nil {
		return err
	}
	for _, v := range volumes {
		if awssdk.ToString(v.VolumeId) != id {
			continue
		}
		instance := tag(v.Tags, tagInstance)
		defer p.disks.lock(instance)()
		if err := p.deleteDisk(ctx, id); err != nil {
			return err
		}
		d, err := p.diskOf(ctx, instance)
		if err != nil || d.ID != id && d.ID != "" {
			return err
		}
		if err := p.dropSnapshots(ctx, d); err != nil {
			return err
		}
		return p.dropDisk(ctx, instance)
	}
	return nil
}

// deleteDisk detaches and deletes. It asks again every second while EC2 is at it.
func (p *AWS) deleteDisk(ctx context.Context, id string) error {
	c, err := p.compute(ctx)
	if err != nil {
		return err
	}
	doing := "deleting volume " + id
	waiting, stop := context.WithTimeout(ctx, detachPatience)
	defer stop()
	for first := true; ; first = false {
		_, err := c.DeleteVolume(ctx, &ec2.DeleteVolumeInput{VolumeId: awssdk.String(id)})
		switch {
		case err == nil || isUnknown(err):
			return nil
		case code(err) != "VolumeInUse":
			return explain(err, doing)
		}
		if first {
			_, err := c.DetachVolume(ctx, &ec2.DetachVolumeInput{VolumeId: awssdk.String(id)})
			if err != nil && code(err) != "IncorrectState" && !isUnknown(err) {
				return explain(err, doing)
			}
		}
		select {
		case <-waiting.Done():
			return fmt.Errorf("%s: it is still attached to a machine that is ending: %w", doing, platform.ErrUnavailable)
		case <-time.After(time.Second):
		}
	}
}

func (p *AWS) dropDisk(ctx context.Context, instance string) error {
	return storeSays(p.store.Delete(ctx, p.diskKey(instance)), "forgetting the volume of "+instance)
}

// newToken is a client token. It is written down before it is used, and repeated from there.
func newToken() string {
	b := make([]byte, 16)
	rand.Read(b) //nolint:errcheck // it never fails
	return hex.EncodeToString(b)
}
