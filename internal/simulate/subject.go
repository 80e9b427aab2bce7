package simulate

import (
	"errors"
	"fmt"
	"strings"

	"github.com/farmhand/terraform-provider-farmhand/internal/simulate/world"
	"github.com/farmhand/terraform-provider-farmhand/internal/spec"
)

// Subject is the role that is tried out.
type Subject struct {
	Role     spec.Role
	Policies []spec.Policy
}

// SetDefaults fills in what was left out, as the provider does. Whoever means a zero (a tolerance, a cooldown) sets it
// afterwards.
func (s *Subject) SetDefaults() {
	r := &s.Role
	if r.Farm == "" {
		r.Farm = "simulated"
	}
	if r.Name == "" {
		r.Name = "web"
	}
	if r.Behavior == "" {
		r.Behavior = "base"
	}
	r.SetDefaults()
	for i := range s.Policies {
		p := &s.Policies[i]
		p.Farm, p.Role = r.Farm, r.Name
		p.SetDefaults()
	}
}

// Validate tells what is wrong with the role or its policies, after SetDefaults. Warnings are left to those who declare.
func (s Subject) Validate() error {
	var all []error
	add := func(of string, problems []spec.Problem) {
		for _, p := range problems {
			if !p.Warning {
				all = append(all, fmt.Errorf("%s: %w", of, p))
			}
		}
	}
	add("role "+s.Role.Name, s.Role.Validate())
	for _, p := range s.Policies {
		add("policy "+p.Name, p.Validate())
	}
	for _, p := range s.Policies {
		if missing := world.Simulated(p); missing != "" {
			all = append(all, fmt.Errorf("policy %s: %s is not simulated: %s. Try the role out without this policy, or with a metric of its load", p.Name, p.Metric.Kind, missing))
		}
	}
	if len(all) == 0 { // what they do together means something only if each is sound
		add("the policies", spec.ValidatePolicies(s.Role, s.Policies))
	}
	return errors.Join(all...)
}

// aim is what counts as the target, and what the algorithms that are compared are set to.
type aim struct {
	metric spec.Metric
	target float64
	line   float64 // the demand that one server bears at the target
}

// aim is that of the policy that allows a server the least: its target, or where its steps begin to add. A role
// without such a policy is meant to keep its servers just busy.
func (s Subject) aim(o world.Options) aim {
	metric := spec.Metric{Kind: spec.LoadAverage}
	best := aim{metric: metric, target: o.Cores, line: o.Capacity}
	best.metric.Minutes, best.metric.Window = spec.DefaultLoadMinutes, spec.DefaultWindow
	found := false
	for _, p := range s.Policies {
		level, ok := levelOf(p)
		if !ok {
			continue
		}
		line := level // a share of the demand itself
		switch p.Metric.Kind {
		case spec.LoadAverage:
			line = level / o.Cores * o.Capacity
		case spec.CPU, spec.BusyWorkers:
			line = level * o.Capacity
		}
		if !found || line < best.line {
			best, found = aim{*p.Metric, level, line}, true
		}
	}
	return best
}

// levelOf is the value of the policy's metric above which it wants more servers.
func levelOf(p spec.Policy) (float64, bool) {
	if p.Metric == nil || p.Metric.Kind == spec.QueueDepth {
		return 0, false
	}
	switch p.Kind() {
	case spec.KindTarget:
		if p.Target != nil {
			return *p.Target, true
		}
	case spec.KindStep:
		level, found := 0.0, false
		for _, s := range p.Steps {
			if s.Add > 0 && s.From != nil && (!found || *s.From < level) {
				level, found = *s.From, true
			}
		}
		return level, found && level > 0
	case spec.KindThreshold:
		if p.Threshold.Upper != nil && p.Threshold.UpperIncrement > 0 {
			return *p.Threshold.Upper, true
		}
	case spec.KindForecast:
		return p.Forecast.Target, true
	}
	return 0, false // schedules have none, and a backlog is no load
}

func (a aim) String() string {
	name := strings.ReplaceAll(a.metric.Kind, "_", " ")
	if a.metric.Kind == spec.LoadAverage {
		name = fmt.Sprintf("%d-minute %s", a.metric.Minutes, name)
	}
	return fmt.Sprintf("%s %g", name, a.target)
}
