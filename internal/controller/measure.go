package controller

import (
	"slices"
	"strings"

	"github.com/farmhand/terraform-provider-farmhand/internal/engine"
	"github.com/farmhand/terraform-provider-farmhand/internal/metric"
	"github.com/farmhand/terraform-provider-farmhand/internal/spec"
	"github.com/farmhand/terraform-provider-farmhand/internal/state"
)

// measured is the policy with its measurement, as the engine is to see both. instances are all, by role.
func (s *sight) measured(p spec.Policy, instances map[string][]engine.Instance) engine.Policy {
	p = p.AsLoad()
	in := metric.Input{Now: s.now, Policy: p, Instances: instances[p.Role]}
	if r := s.roles[p.Role]; r != nil {
		in.Boots = r.memory.Boots
		in.Instances = r.measuredOf(in.Instances)
	}
	if p.Metric != nil {
		switch p.Metric.Origin() {
		case spec.OnBalancer:
			for _, balancer := range s.balancersOf(p.Role) {
				in.Balancers = append(in.Balancers, instances[balancer]...)
			}
		case spec.AskedElsewhere:
			if s.series != nil {
				in.Series = s.series(seriesID(p))
			}
		}
	}
	return engine.Policy{Spec: p, Measure: metric.Of(in), History: s.historyOf(p)}
}

// balancersOf are the roles that balance over the role, sorted.
func (s *sight) balancersOf(role string) []string {
	var names []string
	for name, r := range s.roles {
		if r.traits.Balances && slices.Contains(r.Spec.Uses, r.Spec.Farm+"/"+role) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// askedOf is what the role's instances are to measure besides load and CPU: for its own policies, and, of a balancer,
// for those of the roles that it uses. By key, so that the same gives the same assignment.
func (s *sight) askedOf(role *roleSight) []state.Asked {
	var all []state.Asked
	add := func(name string, of *roleSight, origin spec.Origin) {
		if of == nil || of.Deleting || of.Ended || s.farm.Deleting {
			return
		}
		for _, p := range of.policies {
			if p.Metric == nil || p.Metric.Origin() != origin || p.Metric.Kind == spec.LoadAverage || p.Metric.Kind == spec.CPU {
				continue
			}
			key := state.SampleKey(name, *p.Metric)
			if !slices.ContainsFunc(all, func(a state.Asked) bool { return a.Key == key }) {
				all = append(all, state.Asked{Key: key, Role: name, Metric: *p.Metric})
			}
		}
	}
	add(role.Spec.Name, role, spec.OnServer)
	if role.traits.Balances {
		for _, id := range role.Spec.Uses {
			name := strings.TrimPrefix(id, role.Spec.Farm+"/")
			add(name, s.roles[name], spec.OnBalancer)
		}
	}
	slices.SortFunc(all, func(a, b state.Asked) int { return strings.Compare(a.Key, b.Key) })
	return all
}
