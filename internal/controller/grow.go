package controller

import (
	"context"
	"fmt"

	"github.com/farmhand/terraform-provider-farmhand/internal/platform"
	"github.com/farmhand/terraform-provider-farmhand/internal/spec"
	"github.com/farmhand/terraform-provider-farmhand/internal/state"
)

// volumesUsed is how full the instances' data volumes are, as they report it.
func (s *sight) volumesUsed() map[string]float64 {
	used := map[string]float64{}
	for name, r := range s.records {
		if r.report != nil && r.report.VolumeUsed > 0 {
			used[name] = r.report.VolumeUsed
		}
	}
	return used
}

// growVolumes lets the platform make volumes as large as they are to be, and tells of it. Of a volume that is nearly full and does not
// grow any further it warns, once.
func (k *keeper) growVolumes(ctx context.Context, roles []spec.Role, used map[string]float64) error {
	grower, ok := k.platform.(platform.Grower)
	if !ok {
		return nil
	}
	grown, err := grower.Grow(ctx, roles, used)
	for _, g := range grown {
		reason := fmt.Sprintf("volume %s grows from %d to %d GB", g.Volume, g.From, g.To)
		switch {
		case g.From == g.To:
			reason = fmt.Sprintf("volume %s is changed to the type that is declared", g.Volume)
		case g.Used >= platform.VolumeFull:
			reason = fmt.Sprintf("its volume is %.0f %% full: %s", g.Used*100, reason)
		default:
			reason += ", as is declared"
		}
		if err := k.event(ctx, state.Event{Kind: "volume", Role: roleOf(g.Instance), Instance: g.Instance, Reason: reason}); err != nil {
			return err
		}
	}
	for instance, share := range used {
		role := roleOf(instance)
		if share < platform.VolumeFull {
			k.forgetOnce(role+"/"+instance, "volume-full")
			continue
		}
		k.eventOnce(ctx, state.Event{Kind: "volume-full", Level: "warning", Role: role, Instance: instance, Reason: "its data volume is nearly full. Raise volume.size_gb, " +
			"or let it grow by volume.max_size_gb; a volume that has just grown rests for six hours"})
	}
	return err
}
