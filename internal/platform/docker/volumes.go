package docker

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/client"

	"github.com/farmhand/terraform-provider-farmhand/internal/platform"
)

// EnsureVolume returns the name of the instance's volume: the one that its labels tell, else a new one.
func (d *Docker) EnsureVolume(ctx context.Context, role, instance string) (string, error) {
	doing := "making the volume of " + instance
	c, err := d.client(ctx)
	if err != nil {
		return "", err
	}
	defer d.taking.lock(d.markOf(instance))()
	have, err := d.settled(ctx, c)
	if err != nil {
		return "", err
	}
	if id := have.volumeOf(instance); id != "" {
		return id, nil
	}
	if _, marked := have.marks[instance]; marked {
		return "", fmt.Errorf("%s: it is being made of a snapshot: ask again: %w", doing, platform.ErrUnavailable)
	}
	id, err := d.createVolume(ctx, c, role, instance, "")
	return id, explain(err, doing)
}

// createVolume makes an instance's volume, which is to be filled from a snapshot or, with "", to stay empty.
func (d *Docker) createVolume(ctx context.Context, c *client.Client, role, instance, snapshot string) (string, error) {
	labels := d.volumeLabels(role, instance, snapshot)
	// farm "shop-a" with role "b" and farm "shop" with role "a-b" come to the same plain name; the second one
	// asked for gets a name that nothing else comes to.
	plain := "farmhand-" + d.farm.Name + "-" + instance
	sum := sha256.Sum256([]byte(d.farm.Name + "/" + instance))
	for _, name := range []string{plain, plain + "-" + hex.EncodeToString(sum[:4])} {
		made, err := c.VolumeCreate(ctx, client.VolumeCreateOptions{Name: name, Labels: labels})
		if err != nil {
			return "", err
		}
		// The engine answers with the existing volume where there is one, labels as they are.
		if l := made.Volume.Labels; l[labelFarm] == d.farm.Name && l[labelInstance] == instance && l[labelFrom] == labels[labelFrom] {
			return made.Volume.Name, nil
		}
	}
	return "", fmt.Errorf("volume %s exists and is not the farm's: remove it (`docker volume rm %[1]s`) or rename the farm: %w", plain, platform.ErrInvalid)
}

// volumeLabels are an instance's volume's.
func (d *Docker) volumeLabels(role, instance, snapshot string) map[string]string {
	labels := d.labels(map[string]string{labelRole: role, labelInstance: instance})
	if snapshot != "" {
		labels[labelFrom] = snapshot
	}
	return labels
}

// ListVolumes returns the volumes of the farm's instances, by id: those that are whole, and no snapshots.
func (d *Docker) ListVolumes(ctx context.Context) ([]platform.Volume, error) {
	c, err := d.client(ctx)
	if err != nil {
		return nil, err
	}
	have, err := d.holdings(ctx, c)
	return have.volumes, err
}

// DeleteVolume removes one of the farm's volumes and its data; other ids are unknown here. It fails while a machine uses it, with
// ErrUnavailable while it is copied.
func (d *Docker) DeleteVolume(ctx context.Context, id string) error {
	doing := "deleting volume " + id
	c, err := d.client(ctx)
	if err != nil {
		return err
	}
	have, err := d.ListVolumes(ctx)
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(have, func(v platform.Volume) bool { return v.ID == id }) {
		return nil
	}
	_, err = c.VolumeRemove(ctx, id, client.VolumeRemoveOptions{})
	if err == nil || errdefs.IsNotFound(err) {
		return nil
	}
	if copiers, listErr := d.copiers(ctx, c); listErr == nil {
		for _, h := range copiers {
			if h.Labels[labelFrom] == id || h.Labels[labelCopies] == id {
				return fmt.Errorf("%s: container %s is copying it: try again: %w: %w", doing, nameOf(h), err, platform.ErrUnavailable)
			}
		}
	}
	return explain(err, doing)
}
