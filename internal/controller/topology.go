package controller

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/farmhand/terraform-provider-farmhand/internal/state"
	"github.com/farmhand/terraform-provider-farmhand/internal/store"
)

// writeTopology writes who serves now, if that changed: agents render their configuration from it. The nameserver
// answers from the same value.
func (k *keeper) writeTopology(ctx context.Context, s *sight) error {
	if err := k.choosePrimaries(ctx, s); err != nil {
		return err
	}
	topology := s.topology(k.farm)
	b, err := json.Marshal(topology)
	if err != nil {
		return fmt.Errorf("writing the topology: %w", err)
	}
	if k.topology == "" {
		e, err := k.store.Get(ctx, state.TopologyKey(k.farm))
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return fmt.Errorf("reading the topology: %w", err)
		}
		k.topology = string(e.Value)
	}
	if k.topology != string(b) {
		if _, err := k.store.Put(ctx, state.TopologyKey(k.farm), b); err != nil {
			return fmt.Errorf("writing the topology: %w", err)
		}
		k.topology = string(b)
	}
	if k.names != nil {
		k.names.publish(topology, s.dns)
	}
	return k.publishNames(ctx, s, topology)
}

// topology is made of running instances; those that drain, fail or boot are not in it.
func (s *sight) topology(farm string) state.Topology {
	t := state.Topology{Farm: farm, Zone: s.farm.Spec.Zone, Roles: map[string]state.RoleTopology{}}
	if state.NamesOf(s.farm.Spec) == state.NamesSelf {
		for _, d := range s.dns {
			if !d.Elsewhere() {
				t.Names = append(t.Names, d)
			}
		}
	}
	for name, r := range s.roles {
		if r.revision == 0 {
			continue
		}
		of := state.RoleTopology{Behavior: r.Spec.Behavior, Instances: []state.Member{}, Settings: r.Spec.Settings, Term: r.term()}
		if r.Spec.HealthCheck.HTTP != nil {
			of.HealthPath = r.Spec.HealthCheck.HTTP.Path
		}
		for _, rec := range s.records {
			if rec.Role == name && rec.Phase == state.Running && (rec.report == nil || rec.report.Rebooting.IsZero()) {
				of.Instances = append(of.Instances, r.member(state.Member{Name: rec.Name(), Index: rec.Index, Address: rec.Address, Primary: rec.Primary}, rec))
			}
		}
		slices.SortFunc(of.Instances, func(a, b state.Member) int { return cmp.Compare(a.Index, b.Index) })
		t.Roles[name] = of
	}
	return t
}

// choosePrimaries marks the lowest running index of a stateful role as its primary if no record of the role is:
// as long as a former primary's record stands, it may still be taking writes, and there are never two.
func (k *keeper) choosePrimaries(ctx context.Context, s *sight) error {
	for name, r := range s.roles {
		if r.traits.Replicated {
			if err := k.markPrimary(ctx, s, name, r); err != nil {
				return err
			}
			continue
		}
		if !r.traits.Stateful {
			continue
		}
		var first *recordSight
		taken := false
		for _, rec := range s.records {
			if rec.Role != name {
				continue
			}
			taken = taken || rec.Primary
			if rec.Phase == state.Running && (first == nil || rec.Index < first.Index) {
				first = rec
			}
		}
		if taken || first == nil {
			continue
		}
		err := k.update(ctx, s, first.Name(), func(i *state.Instance) { i.Primary = true })
		if err != nil && !errors.Is(err, store.ErrConflict) {
			return fmt.Errorf("making %s the primary: %w", first.Name(), err)
		}
	}
	return nil
}
