package controller

import (
	"context"
	"errors"
	"fmt"

	"github.com/farmhand/terraform-provider-farmhand/internal/platform"
	"github.com/farmhand/terraform-provider-farmhand/internal/state"
	"github.com/farmhand/terraform-provider-farmhand/internal/store"
)

// adopt connects records with the machines that carry their token: a sidecar that was killed between the platform's
// call and the note of its answer left such a pair. At the first tick of a run it says that the farm was taken over.
func (k *keeper) adopt(ctx context.Context, s *sight) error {
	alive := 0
	for name, rec := range s.records {
		if rec.machine == nil || rec.machine.Status == platform.Stopped {
			continue
		}
		alive++
		if rec.PlatformID == rec.machine.ID && rec.machine.Address != "" && rec.Address != rec.machine.Address {
			// A platform that gives addresses itself may tell them only after it has accepted the launch.
			err := k.update(ctx, s, name, func(i *state.Instance) { i.Address, i.Zone = rec.machine.Address, rec.machine.Zone })
			if err != nil && !errors.Is(err, store.ErrConflict) {
				return fmt.Errorf("noting the address of %s: %w", name, err)
			}
		}
		if rec.PlatformID != "" || rec.Phase != state.Planned && rec.Phase != state.Launching {
			continue
		}
		err := k.update(ctx, s, name, func(i *state.Instance) {
			accepted(i, *rec.machine, s)
		})
		if err != nil && !errors.Is(err, store.ErrConflict) { // conflict: the launch's own goroutine was faster
			return fmt.Errorf("adopting %s: %w", name, err)
		}
	}
	if k.takenOver {
		return nil
	}
	k.takenOver = true
	return k.event(ctx, state.Event{Kind: "sidecar", Level: "info",
		Reason: fmt.Sprintf("sidecar %s took over, %s adopted", k.opts.Holder, count(alive, "instance"))})
}

// resume takes up what a killed sidecar had meant to launch and the platform does not have: at the first tick of a run,
// later the engine asks for it. Nobody else can be making the call, and the token makes a second one harmless.
func (k *keeper) resume(s *sight) (calls []func()) {
	if k.resumed || !s.listed {
		return nil
	}
	k.resumed = true
	for name, rec := range s.records {
		role := s.roles[rec.Role]
		if rec.Phase != state.Planned || rec.machine != nil || role == nil || role.Deleting || s.farm.Deleting || role.appMissing {
			continue
		}
		if call := k.launchCall(s, name); call != nil {
			calls = append(calls, call)
		}
	}
	return calls
}

// accepted notes on a record that the platform has its machine.
func accepted(i *state.Instance, m platform.Machine, s *sight) {
	i.PlatformID, i.Zone = m.ID, m.Zone
	if m.Address != "" {
		i.Address = m.Address
	}
	if i.Phase == state.Planned {
		i.Phase, i.Since = state.Launching, s.now
	}
}

// update changes a record in the store and in what the tick has seen. ErrConflict if it changed since.
func (k *keeper) update(ctx context.Context, s *sight, name string, change func(*state.Instance)) error {
	rec := s.records[name]
	if rec == nil {
		return fmt.Errorf("%s: %w", name, store.ErrNotFound)
	}
	i := rec.Instance
	change(&i)
	revision, err := store.PutJSON(ctx, k.store, state.InstanceKey(k.farm, name), i, store.If(store.At(rec.revision)))
	if err != nil {
		return err
	}
	rec.Instance, rec.revision = i, revision
	return nil
}

// count is "1 instance", "3 instances".
func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
