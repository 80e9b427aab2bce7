package controller

import (
	"context"
	"fmt"
	"time"

	"github.com/farmhand/terraform-provider-farmhand/internal/engine"
	"github.com/farmhand/terraform-provider-farmhand/internal/platform"
	"github.com/farmhand/terraform-provider-farmhand/internal/state"
	"github.com/farmhand/terraform-provider-farmhand/internal/store"
)

const (
	// endGrace is how long a machine's agent may take to stop its service: draining came before, so that only
	// stragglers are left. A stateful one writes its data out first.
	endGrace         = 5 * time.Second
	statefulEndGrace = 60 * time.Second
)

func endJob(machine string) string { return "end " + machine }

// endCall ends a machine: at once if it runs no more, else within its role's grace.
func (k *keeper) endCall(s *sight, d engine.Decision) func() {
	machine := d.Machine
	if machine == "" {
		return nil
	}
	grace := endGrace
	if r := s.roles[d.Role]; r != nil && r.stateful() {
		grace = statefulEndGrace
	}
	if d.Kind == "fence" {
		grace = 0 // it may be writing; what it was told to keep is on its volume
	}
	for _, m := range s.machines {
		if m.ID == machine && m.Status != platform.Up && m.Status != platform.Pending {
			grace = 0
		}
	}
	return func() {
		k.jobs.start(k.jobsCtx, k.ends, endJob(machine), func(ctx context.Context) error {
			if !k.lease.Held() {
				return store.ErrFenced
			}
			ctx, cancel := context.WithTimeout(ctx, grace+time.Minute)
			defer cancel()
			err := k.platform.Terminate(ctx, machine, grace)
			if err != nil && ctx.Err() == nil {
				k.eventOnce(ctx, state.Event{Role: d.Role, Instance: d.Instance, Kind: "platform", Level: "warning",
					Reason: fmt.Sprintf("ending machine %s: %v; trying again", machine, err)})
			}
			return err
		})
	}
}
