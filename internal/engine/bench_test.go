package engine_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/farmhand/terraform-provider-farmhand/internal/engine"
	"github.com/farmhand/terraform-provider-farmhand/internal/metric"
	"github.com/farmhand/terraform-provider-farmhand/internal/spec"
	"github.com/farmhand/terraform-provider-farmhand/internal/state"
)

// BenchmarkDecide is one pass over roles of ten instances each, every kind of policy on every role, in the midst of
// life: some sick, some coming, some to grow. The bound for 1,000 roles is 250 ms and 150 MB; and ten times the roles
// take ten times as long.
func BenchmarkDecide(b *testing.B) {
	for _, roles := range []int{100, 1_000} {
		v := largeView(roles)
		b.Run(fmt.Sprintf("roles=%d", roles), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				engine.Decide(v)
			}
			b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N)/float64(roles), "µs/role")
		})
		b.Run(fmt.Sprintf("measuring-too/roles=%d", roles), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				measureAll(&v)
				engine.Decide(v)
			}
		})
	}
}

func measureAll(v *engine.View) {
	for i := range v.Roles {
		r := &v.Roles[i]
		for j := range r.Policies {
			if m := r.Policies[j].Spec.Metric; m != nil && m.Origin() == spec.OnServer {
				r.Policies[j].Measure = metric.OfRole(v.Now, *m, r.Instances, func(in engine.Instance) bool { return engine.Warm(v.Now, *m, r.Memory.Boots, in) })
			}
		}
	}
}

// largeView is a farm of that many roles with ten instances each.
func largeView(roles int) engine.View {
	v := engine.View{Now: start, Farm: spec.Farm{Name: "shop"}, MachinesListed: true}
	for i := range roles {
		v.Roles = append(v.Roles, largeRole(i))
	}
	measureAll(&v)
	return v
}

func largeRole(i int) engine.Role {
	r := spec.Role{Farm: "shop", Name: fmt.Sprintf("role-%04d", i), Min: 2, Max: 20}
	r.SetDefaults()
	role := engine.Role{Spec: r, Generation: "g1", Memory: state.Memory{Desired: 10}}
	for k := range 10 {
		role.Instances = append(role.Instances, largeInstance(r, k+1, float64(i%30)/10))
	}
	switch i % 50 { // something goes on in every tenth role
	case 7:
		role.Generation = "g2"
	case 17:
		role.Instances[3].Machine = nil
	case 27:
		role.Instances[4].Report.Checks[1].OK = false
	case 37:
		role.Instances = role.Instances[:8]
	case 47:
		role.Memory.LastScaleOut = start.Add(-time.Minute)
	}
	target, low, high, two, four := 1.5, 0.2, 0.8, 2.0, 4
	for _, p := range []spec.Policy{
		{Name: "target", Metric: &spec.Metric{Kind: spec.LoadAverage}, Target: &target},
		{Name: "steps", Metric: &spec.Metric{Kind: spec.CPU}, Steps: []spec.Step{{To: &low, Add: -1}, {From: &low, To: &high}, {From: &high, Add: 2}}},
		{Name: "threshold", Metric: &spec.Metric{Kind: spec.LoadAverage, Minutes: 5}, Threshold: &spec.Threshold{Lower: &low, Upper: &two}},
		{Name: "queue", Metric: &spec.Metric{Kind: spec.HTTPValue, HTTP: &spec.HTTPMetric{URL: "http://jobs/"}}, Queue: &spec.Queue{Backlog: 100}},
		{Name: "forecast", Metric: &spec.Metric{Kind: spec.CPU}, Forecast: &spec.Forecast{Target: 0.5, Zone: "Europe/Paris"}},
		{Name: "night", Schedule: &spec.Schedule{Days: []string{"fri", "sat"}, From: "22:00", To: "06:00", Zone: "Europe/Paris", Min: &four}},
		{Name: "schedule", Schedule: &spec.Schedule{Cron: "0 8 * * 1-5", Zone: "Europe/Paris", Duration: spec.Duration(10 * time.Hour), Min: &four}},
	} {
		p.SetDefaults()
		ep := engine.Policy{Spec: p}
		if p.Forecast != nil {
			ep.History = largeHistory(p)
		}
		if p.Queue != nil {
			ep.Measure = measured(10, 950)
		}
		role.Policies = append(role.Policies, ep)
	}
	return role
}

// largeHistory is a month of learning.
func largeHistory(p spec.Policy) *state.History {
	h := &state.History{Of: p.Metric.Key(), Zone: p.Forecast.Zone, Level: 1, Since: start.AddDate(0, -1, 0), Closed: start, Open: state.Quarter{Start: start, Sum: 1, N: 1}, Tried: 2000, Off: 0.1, Mean: 1,
		Day: make([]float32, 96), Week: make([]float32, 7*96), DaySeen: make([]byte, 96), WeekSeen: make([]byte, 7*96)}
	for i := range h.Week {
		h.Week[i], h.WeekSeen[i] = float32(i%96)/40, 4
		h.Day[i%96], h.DaySeen[i%96] = float32(i%96)/40, 30
	}
	return h
}

func largeInstance(r spec.Role, index int, load float64) engine.Instance {
	born := start.Add(-time.Hour)
	in := engine.Instance{Instance: state.Instance{Role: r.Name, Index: index, Token: fmt.Sprintf("%s-%d", r.Name, index), Generation: "g1",
		Phase: state.Running, Since: born, Created: born, ServedAt: born, PlatformID: "m-" + r.Name}}
	in.Machine = &engine.Machine{ID: in.PlatformID, Role: r.Name, Name: in.Name(), Token: in.Token}
	in.Report = &state.Report{Token: in.Token, At: start.Add(-time.Second), Boot: state.Boot{Step: "serving", Done: true},
		Checks: []state.Check{{Name: "behavior", OK: true, Since: born}, {Name: "http", OK: true, Since: born}}}
	for k := 30; k > 0; k-- {
		in.Report.Samples = append(in.Report.Samples, state.Sample{At: start.Add(-time.Duration(2*k-1) * time.Second), Load1: load, CPU: load / 4})
	}
	return in
}
