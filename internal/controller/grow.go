package controller

import (
	"context"
	"fmt"

	"github.com/farmhand/terraform-provider-farmhand/internal/engine"
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

// growVolumes lets the platform make volumes as large as the engine says, and tells of it.
func (k *keeper) growVolumes(ctx context.Context, roles []spec.Role, used map[string]float64) error {
	grower, ok := k.platform.(platform.Grower)
	if !ok {
		return nil
	}
	grown, err := grower.Grow(ctx, roles, func(instance string, declared spec.Volume, now int) int {
		return engine.VolumeSize(declared, now, used[instance])
	})
	for _, g := range grown {
		reason := fmt.Sprintf("volume %s grows from %d to %d GB; it is %.0f %% full", g.Volume, g.From, g.To, used[g.Instance]*100)
		if g.From == g.To {
			reason = fmt.Sprintf("volume %s is changed to the type that is declared", g.Volume)
		}
		if err := k.event(ctx, state.Event{Kind: "volume", Role: roleOf(g.Instance), Instance: g.Instance, Reason: reason}); err != nil {
			return err
		}
	}
	return err
}
