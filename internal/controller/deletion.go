package controller

import (
	"context"
	"errors"
	"fmt"

	"github.com/farmhand/terraform-provider-farmhand/internal/state"
	"github.com/farmhand/terraform-provider-farmhand/internal/store"
)

// errEnded: what this run was to see the end of has ended.
var errEnded = errors.New("ended")

// finishDeletions takes away what a deleted role or farm leaves when its last machine is gone, and says so by Ended:
// the provider waits for that. Each step may be repeated.
func (k *keeper) finishDeletions(ctx context.Context, s *sight) error {
	if s.listed {
		for name, r := range s.roles {
			if (r.Deleting || s.farm.Deleting) && !r.Ended && r.revision != 0 && !s.alive(name) && (k.onlyRole == "" || k.onlyRole == name) {
				if err := k.endRole(ctx, name, r); err != nil {
					return fmt.Errorf("ending role %s: %w", name, err)
				}
			}
		}
		if s.farm.Deleting && k.onlyRole == "" && len(s.records) == 0 && len(s.machines) == 0 && k.namesGone(ctx) {
			if err := k.endFarm(ctx, s); err != nil {
				return fmt.Errorf("ending the farm: %w", err)
			}
			return errEnded
		}
	}
	if k.ended != nil {
		done, err := k.ended(ctx, k.store)
		if err != nil {
			return err
		}
		if done {
			return errEnded
		}
	}
	return nil
}

// alive tells whether the role has a record or a machine.
func (s *sight) alive(role string) bool {
	for _, rec := range s.records {
		if rec.Role == role {
			return true
		}
	}
	for _, m := range s.machines {
		if m.Role == role {
			return true
		}
	}
	return false
}

func (k *keeper) endRole(ctx context.Context, name string, r *roleSight) error {
	kept, err := k.endVolumes(ctx, name, r)
	if err != nil {
		return err
	}
	if err := releaseAddresses(ctx, k.store, k.farm, name); err != nil {
		return err
	}
	keys := []string{state.MemoryKey(k.farm, name), state.DatabaseKey(k.farm, name), state.ManualKey(k.farm, name), state.BackupsKey(k.farm, name), state.BackupWishKey(k.farm, name)}
	if kept == 0 {
		keys = append(keys, state.SecretKey(k.farm, name)) // else the data that is kept was made with it
	} else if err := SetRestoreKey(ctx, k.store, k.farm, name, ""); err != nil {
		return err
	}
	for _, key := range keys {
		if err := k.store.Delete(ctx, key); err != nil {
			return err
		}
	}
	if err := k.forgetMetrics(ctx, name); err != nil {
		return err
	}
	if err := k.unlearn(ctx, name); err != nil {
		return err
	}
	reason := "every instance has ended; the role is gone"
	if kept > 0 {
		reason += fmt.Sprintf(", its %s kept as declared", count(kept, "data volume"))
	}
	r.Ended = true
	r.revision, err = store.PutJSON(ctx, k.store, state.RoleKey(k.farm, name), r.Declared, store.If(store.At(r.revision)))
	if err != nil {
		return err
	}
	k.ledger.Close(name)
	delete(k.secrets, name)
	return k.event(ctx, state.Event{Role: name, Kind: "gone", Level: "info", Reason: reason})
}

func (k *keeper) endFarm(ctx context.Context, s *sight) error {
	if err := k.platform.Destroy(ctx); err != nil {
		k.eventOnce(ctx, state.Event{Kind: "platform", Level: "warning", Reason: fmt.Sprintf("removing the farm's network: %v; trying again", err)})
		return err
	}
	if err := k.event(ctx, state.Event{Kind: "gone", Level: "info", Reason: "every instance has ended and the network is removed; the farm is gone"}); err != nil {
		return err
	}
	s.farm.Ended = true
	_, err := store.PutJSON(ctx, k.store, state.FarmKey(k.farm), s.farm, store.If(store.At(s.farmRev)))
	return err
}
