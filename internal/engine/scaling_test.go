package engine_test

import (
	"math"
	"testing"
	"time"

	"github.com/farmhand/terraform-provider-farmhand/internal/engine"
	"github.com/farmhand/terraform-provider-farmhand/internal/spec"
	"github.com/farmhand/terraform-provider-farmhand/internal/state"
)

// quiet is a role of n running servers with nothing amiss, last changed long ago and low for as long.
func quiet(n int, policies ...engine.Policy) engine.View {
	born := start.Add(-time.Hour)
	r := spec.Role{Farm: "shop", Name: "web", Min: 1, Max: 20}
	r.SetDefaults()
	role := engine.Role{Spec: r, Generation: "g1", Policies: policies, Memory: state.Memory{Desired: n, LowSince: born}}
	for i := range n {
		in := largeInstance(r, i+1, 1)
		role.Instances = append(role.Instances, in)
	}
	return engine.View{Now: start, MachinesListed: true, Roles: []engine.Role{role}}
}

func targetOf(target, tolerance float64, m engine.Measure) engine.Policy {
	p := spec.Policy{Name: "target", Metric: &spec.Metric{Kind: spec.LoadAverage}, Target: &target, Cooldown: spec.Duration(time.Minute)}
	p.SetDefaults()
	p.Tolerance = tolerance
	return engine.Policy{Spec: p, Measure: m}
}

// measured is the same value of n servers at every sample.
func measured(n int, v float64) engine.Measure {
	return engine.Measure{Value: v, Floor: v, Peak: v, Samples: 3, Servers: n, Expected: n}
}

// TestTarget: what target tracking makes of a value, over 4 servers at a target of 1.5 and with a tolerance of a tenth.
func TestTarget(t *testing.T) {
	for _, c := range []struct {
		name string
		m    engine.Measure
		want int
	}{
		{"on target", measured(4, 1.5), 4},
		{"within the tolerance above", measured(4, 1.51), 4},
		{"beyond it", measured(4, 1.53), 5},
		{"double", measured(4, 3), 8},
		{"much more than the pace allows", measured(4, 30), 8},
		{"within the tolerance below", measured(4, 1.36), 4},
		{"below, but three could not bear it", measured(4, 1.09), 4},
		{"below, and three can", measured(4, 1.07), 3},
		{"idle: one at a time all the same", measured(4, 0), 3},
		{"one high sample", engine.Measure{Value: 3, Floor: 1, Peak: 7, Samples: 3, Servers: 4, Expected: 4}, 4},
		{"one low sample", engine.Measure{Value: 0.8, Floor: 0, Peak: 1.4, Samples: 3, Servers: 4, Expected: 4}, 4},
		{"one sample only, high", engine.Measure{Value: 9, Floor: 9, Peak: 9, Samples: 1, Servers: 4, Expected: 4}, 4},
		{"one sample only, low", engine.Measure{Samples: 1, Servers: 4, Expected: 4}, 4},
		{"one server silent, the others idle", engine.Measure{Samples: 3, Servers: 3, Expected: 4}, 4},
		{"one server silent, the others busy", engine.Measure{Value: 2, Floor: 2, Peak: 2, Samples: 3, Servers: 3, Expected: 4}, 5},
		{"not measured", engine.Measure{Problem: "the network is down"}, 4},
		{"no number", engine.Measure{Value: math.NaN(), Floor: math.NaN(), Peak: math.NaN(), Samples: 3, Servers: 4, Expected: 4}, 4},
		{"negative", measured(4, -1), 4},
		{"infinite", measured(4, math.Inf(1)), 4},
		{"larger than life", measured(4, 1e308), 8},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := engine.Decide(quiet(4, targetOf(1.5, 0.1, c.m))).Accounts["web"]
			if a.Desired != c.want {
				t.Errorf("desired %d, want %d: %s", a.Desired, c.want, accountWords(a))
			}
		})
	}
}

// TestPoliciesTogether: out if any says so, in only if all agree.
func TestPoliciesTogether(t *testing.T) {
	steps := func(m engine.Measure) engine.Policy {
		low, high := 0.2, 0.8
		p := spec.Policy{Name: "steps", Metric: &spec.Metric{Kind: spec.CPU}, Steps: []spec.Step{{To: &low, Add: -1}, {From: &low, To: &high}, {From: &high, Add: 3}}, Cooldown: spec.Duration(time.Minute)}
		p.SetDefaults()
		return engine.Policy{Spec: p, Measure: m}
	}
	outOnly := func(m engine.Measure) engine.Policy {
		p := steps(m)
		p.Spec.Name, p.Spec.Steps = "out", p.Spec.Steps[2:]
		return p
	}
	unknown := engine.Measure{Problem: "nothing is known"}
	for _, c := range []struct {
		name     string
		policies []engine.Policy
		want     int
	}{
		{"both want more: the larger number", []engine.Policy{targetOf(1.5, 0.1, measured(4, 1.8)), steps(measured(4, 0.9))}, 7},
		{"one wants more, one fewer", []engine.Policy{targetOf(1.5, 0.1, measured(4, 3)), steps(measured(4, 0.1))}, 8},
		{"one wants more, one knows nothing", []engine.Policy{targetOf(1.5, 0.1, measured(4, 3)), steps(unknown)}, 8},
		{"one wants fewer, one is content", []engine.Policy{targetOf(1.5, 0.1, measured(4, 0.1)), steps(measured(4, 0.5))}, 4},
		{"one wants fewer, one knows nothing", []engine.Policy{targetOf(1.5, 0.1, measured(4, 0.1)), steps(unknown)}, 4},
		{"both want fewer", []engine.Policy{targetOf(1.5, 0.1, measured(4, 0.1)), steps(measured(4, 0.1))}, 3},
		{"one wants fewer, one has no band there", []engine.Policy{targetOf(1.5, 0.1, measured(4, 0.1)), outOnly(measured(4, 0.1))}, 3},
		{"none has a band there", []engine.Policy{outOnly(measured(4, 0.1))}, 4},
		{"removing would lead into a band that adds", []engine.Policy{steps(measured(4, 0.19))}, 3},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := engine.Decide(quiet(4, c.policies...)).Accounts["web"]
			if a.Desired != c.want {
				t.Errorf("desired %d, want %d: %s", a.Desired, c.want, accountWords(a))
			}
		})
	}
	// From two to one the load doubles: 0.19 becomes 0.38. With a band that adds from 0.3 it must stay.
	low, high := 0.2, 0.3
	p := steps(measured(2, 0.19))
	p.Spec.Steps = []spec.Step{{To: &low, Add: -1}, {From: &low, To: &high}, {From: &high, Add: 1}}
	if a := engine.Decide(quiet(2, p)).Accounts["web"]; a.Desired != 2 {
		t.Errorf("went in, only to go out again: %s", accountWords(a))
	}
}

// TestShrinkingWaits: each of the reasons to wait, alone.
func TestShrinkingWaits(t *testing.T) {
	for name, change := range map[string]func(*engine.View){
		"the platform does not answer": func(v *engine.View) {
			v.MachinesListed = false
		},
		"it grew a short while ago":    func(v *engine.View) { v.Roles[0].Memory.LastScaleOut = start.Add(-59 * time.Second) },
		"it shrank a short while ago":  func(v *engine.View) { v.Roles[0].Memory.LastScaleIn = start.Add(-59 * time.Second) },
		"it is low only since shortly": func(v *engine.View) { v.Roles[0].Memory.LowSince = start.Add(-59 * time.Second) },
		"it is low since now":          func(v *engine.View) { v.Roles[0].Memory.LowSince = time.Time{} },
		"one is coming up": func(v *engine.View) {
			v.Roles[0].Instances[3].Phase, v.Roles[0].Instances[3].Report = state.Booting, nil
			v.Roles[0].Instances[3].Created = start.Add(-time.Second)
		},
		"one is draining": func(v *engine.View) {
			more := largeInstance(v.Roles[0].Spec, 5, 0)
			more.Phase, more.Since = state.Draining, start
			v.Roles[0].Instances = append(v.Roles[0].Instances, more)
		},
		"one is sick":             func(v *engine.View) { v.Roles[0].Instances[2].Report.Checks[0].OK = false },
		"it has no more than min": func(v *engine.View) { v.Roles[0].Spec.Min = 4 },
	} {
		t.Run(name, func(t *testing.T) {
			v := quiet(4, targetOf(1.5, 0.1, measured(4, 0.1)))
			if a := engine.Decide(v).Accounts["web"]; a.Desired != 3 {
				t.Fatalf("without that it does not shrink either: %s", accountWords(a))
			}
			change(&v)
			if a := engine.Decide(v).Accounts["web"]; a.Desired != 4 {
				t.Errorf("desired %d: %s", a.Desired, accountWords(a))
			}
		})
	}
}

// TestVictims: the oldest generation, then the unhealthy, then the role's order; never the primary.
func TestVictims(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*engine.Role)
		want   string
	}{
		"newest": {func(*engine.Role) {}, "web-4"},
		"oldest": {func(r *engine.Role) { r.Spec.ScaleIn = spec.ScaleInOldest }, "web-1"},
		"an older generation": {func(r *engine.Role) {
			r.Instances[1].Generation = "g0"
		}, "web-2"},
		"a sick one whose turn it is not": {func(r *engine.Role) {
			// Three of four by one check: doubted, and one was tried just now.
			for _, i := range []int{0, 1, 2} {
				r.Instances[i].Report.Checks[1].OK = false
			}
			r.Memory.Replaced = []time.Time{start}
		}, "web-3"},
		"never the primary": {func(r *engine.Role) { r.Instances[3].Primary = true }, "web-3"},
	} {
		t.Run(name, func(t *testing.T) {
			v := quiet(4)
			r := &v.Roles[0]
			for i := range r.Instances { // each a minute older than the next
				r.Instances[i].Created = r.Instances[i].Created.Add(time.Duration(i) * time.Minute)
			}
			r.Spec.Min, r.Spec.Max = 3, 3
			c.change(r)
			var drained []string
			for _, d := range engine.Decide(v).Decisions {
				if d.Action == engine.Drain {
					drained = append(drained, d.Instance)
				}
			}
			if len(drained) != 1 || drained[0] != c.want {
				t.Errorf("drained %v, want %s", drained, c.want)
			}
		})
	}
}

// TestPrimary: the recorded one, else the lowest that serves, and none where there is no state.
func TestPrimary(t *testing.T) {
	in := func(index int, phase state.Phase, primary bool) engine.Instance {
		return engine.Instance{Instance: state.Instance{Role: "mysql", Index: index, Phase: phase, Primary: primary}}
	}
	for name, c := range map[string]struct {
		role engine.Role
		want int
	}{
		"nobody":       {engine.Role{Stateful: true}, 0},
		"recorded":     {engine.Role{Stateful: true, Instances: []engine.Instance{in(1, state.Running, false), in(2, state.Running, true)}}, 2},
		"lowest":       {engine.Role{Stateful: true, Instances: []engine.Instance{in(3, state.Running, false), in(2, state.Running, false)}}, 2},
		"still coming": {engine.Role{Stateful: true, Instances: []engine.Instance{in(1, state.Booting, false)}}, 0},
		"ended":        {engine.Role{Stateful: true, Instances: []engine.Instance{in(1, state.Terminating, true), in(2, state.Running, false)}}, 2},
		"no state":     {engine.Role{Instances: []engine.Instance{in(1, state.Running, false)}}, 0},
	} {
		if got := engine.Primary(c.role); got != c.want {
			t.Errorf("%s: %d, want %d", name, got, c.want)
		}
	}
}
