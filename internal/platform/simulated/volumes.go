package simulated

import (
	"context"

	"github.com/farmhand/terraform-provider-farmhand/internal/platform"
	"github.com/farmhand/terraform-provider-farmhand/internal/store"
)

func volumePrefix(farm string) string  { return farm + "/simulated/volume/" }
func volumeKey(farm, id string) string { return volumePrefix(farm) + id }

// EnsureVolume records the instance's volume, which holds nothing.
func (s *Simulated) EnsureVolume(ctx context.Context, role, instance string) (string, error) {
	id := "vol-" + s.farm.Name + "-" + instance
	_, err := store.PutJSON(ctx, s.store, volumeKey(s.farm.Name, id), platform.Volume{ID: id, Role: role, Instance: instance})
	return id, unavailable("making the volume of "+instance, err)
}

// ListVolumes returns the farm's volumes, by id.
func (s *Simulated) ListVolumes(ctx context.Context) ([]platform.Volume, error) {
	items, err := store.ListJSON[platform.Volume](ctx, s.store, volumePrefix(s.farm.Name))
	if err != nil {
		return nil, unavailable("listing the volumes of farm "+s.farm.Name, err)
	}
	volumes := make([]platform.Volume, 0, len(items))
	for _, i := range items {
		volumes = append(volumes, i.Value)
	}
	return volumes, nil
}

// DeleteVolume forgets a volume.
func (s *Simulated) DeleteVolume(ctx context.Context, id string) error {
	if id == "" {
		return nil
	}
	return unavailable("deleting volume "+id, s.store.Delete(ctx, volumeKey(s.farm.Name, id)))
}
