package world_test

import (
	"testing"
	"time"

	"github.com/farmhand/terraform-provider-farmhand/internal/simulate/trace"
	"github.com/farmhand/terraform-provider-farmhand/internal/simulate/world"
	"github.com/farmhand/terraform-provider-farmhand/internal/spec"
)

// web is a role with one target policy on the load average.
func web(target float64) (spec.Role, []spec.Policy) {
	role := spec.Role{Farm: "shop", Name: "web", Behavior: "apache", Min: 2, Max: 40}
	role.SetDefaults()
	policy := spec.Policy{Farm: "shop", Role: "web", Metric: &spec.Metric{Kind: spec.LoadAverage}, Target: &target}
	policy.SetDefaults()
	return role, []spec.Policy{policy}
}

func farmhand(source trace.Source, o world.Options) (world.Job, *world.Farmhand) {
	role, policies := web(1.4)
	pilot := &world.Farmhand{Role: role, Policies: policies}
	return world.Job{
		Options: o, Trace: source, Pilot: pilot,
		Envelope: world.Envelope{Min: role.Min, Max: role.Max, Line: 1.4, Metric: *policies[0].Metric, Drain: role.Drain.Std()},
	}, pilot
}

// BenchmarkWeek is seven days of ticks ten seconds apart, one role of 2 to 15 servers: the bar is one second.
func BenchmarkWeek(b *testing.B) {
	for b.Loop() {
		job, pilot := farmhand(trace.Shape{Kind: "daily", Noise: 0.05, Length: 7 * 24 * time.Hour}, world.Options{Noise: 0.02})
		r, err := world.Run(b.Context(), job)
		if err != nil || len(pilot.Broken()) > 0 {
			b.Fatal(err, pilot.Broken())
		}
		b.ReportMetric(float64(r.Ticks), "ticks/op")
		if b.N == 1 {
			r.Series = nil
			b.Logf("%+v", r)
		}
	}
}
