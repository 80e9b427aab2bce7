package world_test

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/farmhand/terraform-provider-farmhand/internal/simulate/trace"
	"github.com/farmhand/terraform-provider-farmhand/internal/simulate/world"
)

// Whatever the world is like, every decision of the engine can be carried out in it, the number stays in the envelope,
// and the sums hold together.
func TestFarmhandInEveryWorld(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		o := world.Options{
			Tick:         rapid.SampledFrom([]time.Duration{2 * time.Second, 10 * time.Second, time.Minute}).Draw(t, "tick"),
			BootTime:     time.Duration(rapid.IntRange(0, 400).Draw(t, "boot")) * time.Second,
			BootJitter:   rapid.Float64Range(0, 1).Draw(t, "jitter"),
			Cores:        rapid.Float64Range(0.5, 8).Draw(t, "cores"),
			Capacity:     rapid.Float64Range(0.5, 100).Draw(t, "capacity"),
			Noise:        rapid.Float64Range(0, 0.5).Draw(t, "noise"),
			FailLaunches: rapid.SampledFrom([]float64{0, 0, 0.2, 1}).Draw(t, "fail"),
			Seed:         rapid.Uint64().Draw(t, "seed"),
		}
		if rapid.Bool().Draw(t, "mortal") {
			o.MeanLife = time.Duration(rapid.IntRange(2, 240).Draw(t, "life")) * time.Minute
		}
		low := rapid.Float64Range(0, 50).Draw(t, "low")
		source := trace.Shape{
			Kind: rapid.SampledFrom(trace.Shapes()).Draw(t, "shape"), Seed: o.Seed, Length: 3 * time.Hour,
			Low: low, High: low + rapid.Float64Range(0.1, 200).Draw(t, "more"), Noise: 0.05,
		}
		job, pilot := farmhand(source, o)
		r, err := world.Run(t.Context(), job)
		if err != nil {
			t.Fatal(err)
		}
		if broken := pilot.Broken(); len(broken) > 0 {
			t.Fatalf("%d decisions cannot be carried out: %v", len(broken), broken[0])
		}
		hours := r.End.Sub(r.Start).Hours()
		// Of those that are sick, drain or are replaced some are more than the envelope for a while, never twice of it.
		if r.Peak > 2*job.Max || r.InstanceHours > 2*float64(job.Max)*hours {
			t.Fatalf("%d servers at once, %.1f instance-hours in %.1f hours, with a max of %d", r.Peak, r.InstanceHours, hours, job.Max)
		}
		if o.MeanLife == 0 && r.InstanceHours < float64(job.Min)*hours*0.999 {
			t.Fatalf("%.2f instance-hours in %.1f hours, with a min of %d", r.InstanceHours, hours, job.Min)
		}
		if r.MinutesFarAboveTarget > r.MinutesAboveTarget || r.MinutesAboveTarget > hours*60+1e-6 || r.OverCapacity < 0 || r.OverCapacity > 1+1e-9 || r.Reversals > r.Actions {
			t.Fatalf("the sums do not hold: %+v", r)
		}
	})
}
