package docker

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

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
	have, err := d.ListVolumes(ctx)
	if err != nil {
		return "", err
	}
	for _, v := range have {
		if v.Instance == instance {
			return v.ID, nil
		}
	}
	// farm "shop-a" with role "b" and farm "shop" with role "a-b" come to the same plain name; the second one
	// asked for gets a name that nothing else comes to.
	plain := "farmhand-" + d.farm.Name + "-" + instance
	sum := sha256.Sum256([]byte(d.farm.Name + "/" + instance))
	for _, name := range []string{plain, plain + "-" + hex.EncodeToString(sum[:4])} {
		made, err := c.VolumeCreate(ctx, client.VolumeCreateOptions{
			Name:   name,
			Labels: d.labels(map[string]string{labelRole: role, labelInstance: instance}),
		})
		if err != nil {
			return "", explain(err, doing)
		}
		// The engine answers with the existing volume where there is one, labels as they are.
		if made.Volume.Labels[labelFarm] == d.farm.Name && made.Volume.Labels[labelInstance] == instance {
			return made.Volume.Name, nil
		}
	}
	return "", fmt.Errorf("%s: volume %s exists and is not the farm's: remove it (`docker volume rm %[2]s`) or rename the farm: %w", doing, plain, platform.ErrInvalid)
}

// ListVolumes returns the farm's volumes, by id.
func (d *Docker) ListVolumes(ctx context.Context) ([]platform.Volume, error) {
	c, err := d.client(ctx)
	if err != nil {
		return nil, err
	}
	list, err := c.VolumeList(ctx, client.VolumeListOptions{Filters: d.mine()})
	if err != nil {
		return nil, explain(err, "listing the volumes of farm "+d.farm.Name)
	}
	volumes := make([]platform.Volume, 0, len(list.Items))
	for _, v := range list.Items {
		volumes = append(volumes, platform.Volume{ID: v.Name, Role: v.Labels[labelRole], Instance: v.Labels[labelInstance]})
	}
	slices.SortFunc(volumes, func(a, b platform.Volume) int { return strings.Compare(a.ID, b.ID) })
	return volumes, nil
}

// DeleteVolume removes one of the farm's volumes and its data; other ids are unknown here. It fails while a machine uses it.
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
	if _, err := c.VolumeRemove(ctx, id, client.VolumeRemoveOptions{}); err != nil && !errdefs.IsNotFound(err) {
		return explain(err, doing)
	}
	return nil
}
