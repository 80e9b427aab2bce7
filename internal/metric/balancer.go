package metric

import (
	"fmt"
	"time"

	"github.com/farmhand/terraform-provider-farmhand/internal/engine"
	"github.com/farmhand/terraform-provider-farmhand/internal/spec"
	"github.com/farmhand/terraform-provider-farmhand/internal/state"
)

// ofBalancers measures what the role's balancers count: sums over all of them, and of response times the longest that
// one of them tells. A balancer that says nothing may have any amount of it, so that the measurement is then partial:
// it is borne by one server fewer than there should be, which blocks scaling in.
func ofBalancers(now time.Time, role string, m spec.Metric, instances, balancers []engine.Instance, warm func(engine.Instance) bool) engine.Measure {
	asked := members(balancers, nil)
	if len(asked) == 0 {
		return engine.Measure{Problem: fmt.Sprintf("no balancer of role %s is running: its requests are measured by a haproxy role that uses it", role)}
	}
	key := state.SampleKey(role, m)
	recent := m
	if m.Kind == spec.ResponseTime {
		// Each sample speaks for the window already; the last few are all there is to know.
		recent.Window = spec.DefaultWindow
		recent.Statistic = ""
	}
	var windows [][]point
	var dumb []*engine.Instance
	for _, in := range asked {
		w := windowOf(now, recent.Window.Std(), in.Report, func(s state.Sample) (float64, bool) { return stored(m, key, s) })
		if len(w) >= enough {
			windows = append(windows, w)
		} else {
			dumb = append(dumb, in)
		}
	}
	if len(windows) == 0 {
		return engine.Measure{Problem: silent(now, key, asked)}
	}
	joined := windows[0]
	for _, w := range windows[1:] {
		joined = join(joined, w, m.Kind == spec.ResponseTime)
	}
	measure := ofWhole(now, recent, joined, instances, warm)
	if len(dumb) > 0 {
		if measure.Servers <= 1 {
			return engine.Measure{Problem: silent(now, key, dumb)}
		}
		measure.Servers--
	}
	return measure
}

// join makes one series of two balancers': the k-th newest of each belong together, since agents sample in the same
// rhythm. The age is that of the one further behind.
func join(a, b []point, highest bool) []point {
	out := make([]point, min(len(a), len(b)))
	for i := range out {
		out[i] = point{at: a[i].at, value: a[i].value + b[i].value}
		if highest {
			out[i].value = max(a[i].value, b[i].value)
		}
		if b[i].at.Before(a[i].at) {
			out[i].at = b[i].at
		}
	}
	return out
}
