package spec

import (
	"fmt"
	"math"
)

// calmWithin refuses a policy that would not come to rest under a load that does not change: one that adds so many
// servers at some size of the role that it would remove some of them again. Only what adds and removes fixed numbers
// can do that; a target and a queue ask for the number that is needed.
//
// It is enough to look at each policy alone. Servers are removed only if all of a role's policies want it, so a set of
// policies, each of which does not want back what it has asked for, does not give back either. p is sound by itself.
func (p Policy) calmWithin(c *checker, role Role) {
	if p.Kind() != KindStep && p.Kind() != KindThreshold || p.Metric == nil {
		return
	}
	if p.Metric.Origin() != OnServer && p.Metric.Per == PerRole {
		return // how the number of servers moves a level of the whole role is not known before it does
	}
	p = p.AsLoad()
	for n := max(role.Min, 1); n < role.Max; n++ {
		for _, v := range p.growsAt() {
			grown := min(n+p.pull(v), role.Max)
			then := v * float64(n) / float64(grown)
			if p.pull(then) >= 0 || grown-1 < max(role.Min, 1) {
				continue
			}
			if fewer := then * float64(grown) / float64(grown-1); p.pull(fewer) > 0 {
				continue // the engine foresees that and does not remove
			}
			c.wrong(p.growth(), fmt.Sprintf("policy %q would swing: with %s at a %s of %s it adds %d, which brings it to %s, where it removes",
				p.Name, plural(n, "server"), p.Metric.words(), plain(v), grown-n, plain(then)), "Add fewer at a time, or lower the line below which servers are removed")
			return
		}
	}
}

// growsAt are the least values in each band at which the policy adds.
func (p Policy) growsAt() []float64 {
	var all []float64
	for _, v := range p.turns() {
		if v < 0 || math.IsInf(v, 0) {
			continue
		}
		if v = math.Nextafter(v, math.Inf(1)); p.pull(v) > 0 {
			all = append(all, v)
		}
	}
	return all
}

// growth is the attribute that says how much it adds.
func (p Policy) growth() string {
	if p.Kind() == KindThreshold {
		return "threshold.upper_increment"
	}
	return KindStep
}

func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
