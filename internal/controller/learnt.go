package controller

import (
	"context"
	"errors"
	"fmt"

	"github.com/farmhand/terraform-provider-farmhand/internal/spec"
	"github.com/farmhand/terraform-provider-farmhand/internal/state"
	"github.com/farmhand/terraform-provider-farmhand/internal/store"
)

// learnt is what the farm's forecasts have learnt, by key: in memory from tick to tick, and in the store as of the last
// quarter of an hour that ended. What a policy has learnt outlives it, since Terraform replaces policies by deleting
// and creating them; it goes with its role.
type learnt map[string]*state.History

// recall reads what the forecasts of this tick have learnt and was not read before.
func (k *keeper) recall(ctx context.Context, s *sight) error {
	if k.learnt == nil {
		k.learnt = learnt{}
	}
	for name, r := range s.roles {
		for _, p := range r.policies {
			key := state.HistoryKey(k.farm, name, p.Name)
			if p.Forecast == nil || k.learnt[key] != nil {
				continue
			}
			h, _, err := store.GetJSON[state.History](ctx, k.store, key)
			if err != nil && !errors.Is(err, store.ErrNotFound) {
				return fmt.Errorf("reading what policy %s has learnt: %w", p.ID(), err)
			}
			k.learnt[key] = &h
		}
	}
	s.learnt = k.learnt
	return nil
}

// historyOf is what the policy has learnt, nil for one that does not learn.
func (s *sight) historyOf(p spec.Policy) *state.History {
	if p.Forecast == nil {
		return nil
	}
	return s.learnt[state.HistoryKey(p.Farm, p.Role, p.Name)]
}

// learn takes over what was learnt at this tick, and writes it down whenever a quarter of an hour has ended.
func (k *keeper) learn(ctx context.Context, histories map[string]map[string]state.History) error {
	for role, policies := range histories {
		for policy, h := range policies {
			key := state.HistoryKey(k.farm, role, policy)
			was := k.learnt[key]
			if was == nil || !was.Closed.Equal(h.Closed) {
				if _, err := store.PutJSON(ctx, k.store, key, h); err != nil {
					return fmt.Errorf("writing what policy %s of role %s has learnt: %w", policy, role, err)
				}
			}
			k.learnt[key] = &h
		}
	}
	return nil
}

// unlearn forgets what the forecasts of a role that has ended have learnt.
func (k *keeper) unlearn(ctx context.Context, role string) error {
	prefix := state.HistoryKey(k.farm, role, "")
	entries, err := k.store.List(ctx, prefix)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if err := k.store.Delete(ctx, e.Key); err != nil {
			return err
		}
		delete(k.learnt, e.Key)
	}
	return nil
}
