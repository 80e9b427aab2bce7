package simulated

import (
	"context"
	"fmt"
	"time"

	"github.com/farmhand/terraform-provider-farmhand/internal/state"
	"github.com/farmhand/terraform-provider-farmhand/internal/store"
)

// SetDemand puts a load on a role of a simulated farm, in the unit of load average: 6 over 3 servers is 2 on each.
// 0 takes it off. It acts from the next step on, in whatever process the farm lives.
func SetDemand(ctx context.Context, s store.Store, farm, role string, load float64) error {
	if load < 0 {
		return fmt.Errorf("load %g on role %s/%s is negative: give 0 for none", load, farm, role)
	}
	_, err := store.PutJSON(ctx, s, state.DemandKey(farm, role), state.Demand{Load: load})
	if err != nil {
		return fmt.Errorf("putting load on role %s/%s: %w", farm, role, err)
	}
	return nil
}

// shares divides each role's demand over its machines that take part, and returns it by machine id. Those take part
// that serve and stand in the topology: a balancer sends nothing to a draining server. Where the topology has none
// of the role (nobody balances yet), all that serve do.
func (s *Simulated) shares(ctx context.Context, records []store.Item[machine], topology state.Topology, now time.Time) (map[string]float64, error) {
	prefix := state.DemandPrefix(s.farm.Name)
	demands, err := store.ListJSON[state.Demand](ctx, s.store, prefix)
	if err != nil {
		return nil, unavailable("reading the demand", err)
	}
	shares := map[string]float64{}
	for _, d := range demands {
		role := d.Key[len(prefix):]
		admitted := map[string]bool{}
		for _, m := range topology.Roles[role].Instances {
			admitted[m.Name] = true
		}
		var takers []string
		for _, r := range records {
			m := r.Value
			if m.Role == role && m.serves(now) && (len(admitted) == 0 || admitted[m.Instance]) {
				takers = append(takers, m.ID)
			}
		}
		for _, id := range takers {
			shares[id] = d.Value.Load / float64(len(takers))
		}
	}
	return shares, nil
}

// forgetAsked takes all load off the farm, and faults that are still to come.
func (s *Simulated) forgetAsked(ctx context.Context) error {
	for _, prefix := range []string{state.DemandPrefix(s.farm.Name), snapshotFaultKey(s.farm.Name, "")} {
		asked, err := s.store.List(ctx, prefix)
		if err != nil {
			return unavailable("reading the demand", err)
		}
		for _, d := range asked {
			if err := s.store.Delete(ctx, d.Key); err != nil {
				return unavailable("forgetting the demand", err)
			}
		}
	}
	return nil
}
