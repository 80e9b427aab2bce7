package metric

import (
	"fmt"
	"slices"
	"time"

	"github.com/farmhand/terraform-provider-farmhand/internal/engine"
	"github.com/farmhand/terraform-provider-farmhand/internal/spec"
	"github.com/farmhand/terraform-provider-farmhand/internal/state"
)

// ofSeries measures what the sidecar asks for elsewhere. An answer that did not come is missing; while the window holds
// enough earlier ones it goes on with those, and after that it is a problem that holds the policy.
func ofSeries(now time.Time, m spec.Metric, instances []engine.Instance, s state.Series, warm func(engine.Instance) bool) engine.Measure {
	if s.Key != m.Key() { // none yet, or what was asked before the policy was changed
		return engine.Measure{Problem: "it was not asked for yet"}
	}
	var points []point
	from, to := now.Add(-m.Window.Std()), now.Add(skew)
	for _, p := range s.Points {
		if !p.At.Before(from) && !p.At.After(to) && plausible(p.Value) {
			points = append(points, point{p.At, p.Value})
		}
	}
	slices.SortStableFunc(points, func(a, b point) int { return b.at.Compare(a.at) })
	points = slices.CompactFunc(points, func(a, b point) bool { return a.at.Equal(b.at) })
	if len(points) >= enough {
		return ofWhole(now, m, points, instances, warm)
	}
	switch {
	case s.Problem != "":
		return engine.Measure{Problem: s.Problem}
	case len(points) == 1:
		return engine.Measure{Problem: fmt.Sprintf("there is one answer within the last %s, and a decision rests on two", m.Window)}
	case len(s.Points) > 0:
		return engine.Measure{Problem: fmt.Sprintf("the last answer is %s old", now.Sub(s.Points[len(s.Points)-1].At).Round(time.Second))}
	}
	return engine.Measure{Problem: "there is no answer yet"}
}
