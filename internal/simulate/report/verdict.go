package report

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/farmhand/terraform-provider-farmhand/internal/simulate"
	"github.com/farmhand/terraform-provider-farmhand/internal/simulate/world"
)

// Verdict is how Farmhand did beside the algorithms of the field on one trace, against the bar of fewer minutes above
// target than each, at no more instance-hours than the best of them and a tenth. "The best" is read in both ways: the
// one that was above target for the shortest time, and the cheapest, which is cheap by being above target. The
// lower bound of foresight counts for nothing.
type Verdict struct {
	Calmer       []string // rows that were above target for less time
	OverBest     string   // how far it is beyond the best's instance-hours and a tenth; empty: it is not
	OverCheapest string   // the same of the cheapest
}

// Judge compares the first result, Farmhand's, with the others. ok is false where there is nobody to compare with.
func Judge(r simulate.Report) (v Verdict, ok bool) {
	var others []world.Result
	for _, o := range r.Results[1:] {
		if o.Pilot != "foresight" {
			others = append(others, o)
		}
	}
	if len(others) == 0 {
		return v, false
	}
	own := r.Results[0]
	for _, o := range others {
		if o.MinutesAboveTarget < own.MinutesAboveTarget {
			v.Calmer = append(v.Calmer, fmt.Sprintf("%s was above target for %.1f minutes less, at %s instance-hours", o.Pilot, own.MinutesAboveTarget-o.MinutesAboveTarget, relative(o, own)))
		}
	}
	over := func(what string, o world.Result) string {
		if own.InstanceHours <= 1.1*o.InstanceHours {
			return ""
		}
		return fmt.Sprintf("farmhand took %s instance-hours than the %s, %s, which was above target for %.1f minutes", relative(own, o), what, o.Pilot, o.MinutesAboveTarget)
	}
	hours := func(a, b world.Result) int { return cmp.Compare(a.InstanceHours, b.InstanceHours) }
	v.OverCheapest = over("cheapest", slices.MinFunc(others, hours))
	v.OverBest = over("calmest", slices.MinFunc(others, func(a, b world.Result) int {
		return cmp.Or(cmp.Compare(a.MinutesAboveTarget, b.MinutesAboveTarget), hours(a, b))
	}))
	return v, true
}

// String names every row that is lost.
func (v Verdict) String() string {
	lost := slices.Clone(v.Calmer)
	for _, s := range []string{v.OverBest, v.OverCheapest} {
		if s != "" {
			lost = append(lost, s)
		}
	}
	if len(lost) == 0 {
		return "Nothing is lost: farmhand was above target for no longer than any of them, within a tenth of the cheapest's instance-hours."
	}
	return "Lost: " + strings.Join(lost, "; ") + "."
}

// relative is how many more or fewer instance-hours a took than b.
func relative(a, b world.Result) string {
	x := 100 * (a.InstanceHours/b.InstanceHours - 1)
	if x < 0 {
		return fmt.Sprintf("%.1f %% fewer", -x)
	}
	return fmt.Sprintf("%.1f %% more", x)
}
