package controller

import (
	"context"

	"github.com/farmhand/terraform-provider-farmhand/internal/state"
)

// keepVolumes is spec.Volume.OnDestroy of volumes that outlive their role.
const keepVolumes = "keep"

// endVolumes deletes the role's volumes and their snapshots, unless it declares that they are kept; it returns how many were.
func (k *keeper) endVolumes(ctx context.Context, name string, r *roleSight) (kept int, err error) {
	keep := r.Spec.Volume != nil && r.Spec.Volume.OnDestroy == keepVolumes
	if kept, err = k.endSnapshots(ctx, name, keep); err != nil {
		return kept, err
	}
	volumes, err := k.platform.ListVolumes(ctx)
	if err != nil {
		return kept, err
	}
	for _, v := range volumes {
		if v.Role != name {
			continue
		}
		if keep {
			kept++
			continue
		}
		if err := k.platform.DeleteVolume(ctx, v.ID); err != nil {
			return kept, err
		}
		if err := k.event(ctx, state.Event{Role: name, Instance: v.Instance, Kind: "volume", Level: "info",
			Reason: "data volume " + v.ID + " deleted with its role; volume.on_destroy = \"keep\" would have kept it"}); err != nil {
			return kept, err
		}
	}
	return kept, nil
}
