package controller

import (
	"context"
	"fmt"

	"github.com/farmhand/terraform-provider-farmhand/internal/platform"
	"github.com/farmhand/terraform-provider-farmhand/internal/state"
	"github.com/farmhand/terraform-provider-farmhand/internal/store"
)

// forgetTemporary ends what a temporary instance leaves: its volume goes with it, before its record, so that a crash in between is
// taken up.
func (k *keeper) forgetTemporary(s *sight, name string) func() {
	rec := s.records[name]
	if rec == nil {
		return nil
	}
	token := rec.Token
	return func() {
		k.jobs.start(k.jobsCtx, k.ends, endJob("volume of "+token), func(ctx context.Context) error {
			ctx, cancel := context.WithTimeout(ctx, snapshotPatience)
			defer cancel()
			if !k.lease.Held() {
				return store.ErrFenced
			}
			if err := k.deleteVolumeOf(ctx, name); err != nil {
				k.eventOnce(ctx, state.Event{Role: rec.Role, Instance: name, Kind: "platform", Level: "warning", Reason: fmt.Sprintf("deleting the volume of %s, which was there for a while: %v; trying again", name, err)})
				return err
			}
			k.forgetOnce(name, "platform")
			i, revision, err := store.GetJSON[state.Instance](ctx, k.store, state.InstanceKey(k.farm, name))
			if err != nil || i.Token != token {
				return nil //nolint:nilerr // it is gone already
			}
			for _, key := range []string{state.TokenKey(k.farm, name), state.AssignmentKey(k.farm, name), state.ReportKey(k.farm, name)} {
				if err := k.store.Delete(ctx, key); err != nil {
					return fmt.Errorf("deleting %s: %w", key, err)
				}
			}
			return k.store.Delete(ctx, state.InstanceKey(k.farm, name), store.If(store.At(revision)))
		})
	}
}

// deleteVolumeOf deletes an instance's volume, if it has one.
func (k *keeper) deleteVolumeOf(ctx context.Context, instance string) error {
	volumes, err := k.platform.ListVolumes(ctx)
	if err != nil {
		return err
	}
	for _, v := range volumes {
		if v.Instance != instance {
			continue
		}
		if err := k.platform.DeleteVolume(ctx, v.ID); err != nil {
			return err
		}
	}
	return nil
}

// temporaryOf fills the record of a temporary instance's intent with what it is for.
func (s *sight) temporaryOf(i *state.Instance) error {
	if !i.Temporary() {
		return nil
	}
	if r := s.roles[i.Role]; r != nil && r.backups != nil && r.backups.Task != nil {
		i.Task = r.backups.Task.ID
		return nil
	}
	return fmt.Errorf("%s is to be launched for a task, and there is none: %w", i.Name(), platform.ErrInvalid)
}
