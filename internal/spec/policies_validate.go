package spec

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
)

// ValidatePolicies checks what a role's policies do together, and within its envelope; each is sound by itself (see
// Policy.Validate). Attributes are those of the later policy of the two, by name, so that whoever plans one of them
// can tell which to show. Every contradiction comes with the value at which it shows.
func ValidatePolicies(role Role, policies []Policy) []Problem {
	var c checker
	sorted := slices.Clone(policies)
	for i, p := range sorted {
		sorted[i] = p.AsLoad()
	}
	slices.SortStableFunc(sorted, func(a, b Policy) int { return strings.Compare(a.Name, b.Name) })
	for i, p := range sorted {
		if p.Schedule != nil {
			p.validateWithin(&c, role)
		}
		p.calmWithin(&c, role)
		for _, q := range sorted[:i] {
			switch {
			case p.Name == q.Name:
				c.wrong("name", fmt.Sprintf("role %s has two policies of the name %q", role.ID(), p.Name), "Give one of them another name")
			case p.Schedule != nil && q.Schedule != nil:
				schedulesAgree(&c, q, p)
			case p.Votes() && q.Votes() && p.Metric.same(*q.Metric):
				metricsAgree(&c, q, p)
			}
		}
	}
	c.wholeSet(role, sorted)
	return c.problems
}

// pull is what a policy wants at a value of its metric: below zero fewer servers, above zero more.
func (p Policy) pull(v float64) int {
	switch p.Kind() {
	case KindTarget:
		switch {
		case v > p.OutLine():
			return 1
		case v < *p.Target*(1-p.Tolerance):
			return -1
		}
	case KindStep:
		for _, b := range intervals(p.Steps) {
			if v >= b.from && v < b.to {
				return b.add
			}
		}
	case KindThreshold:
		switch t := p.Threshold; {
		case t.Upper != nil && v > *t.Upper:
			return t.UpperIncrement
		case t.Lower != nil && v < *t.Lower:
			return t.LowerIncrement
		}
	}
	return 0
}

// turns are the values between which a policy's pull does not change.
func (p Policy) turns() []float64 {
	var all []float64
	switch p.Kind() {
	case KindTarget:
		all = []float64{*p.Target * (1 - p.Tolerance), p.OutLine()}
	case KindStep:
		for _, b := range intervals(p.Steps) {
			all = append(all, b.from, b.to)
		}
	case KindThreshold:
		for _, line := range []*float64{p.Threshold.Lower, p.Threshold.Upper} {
			if line != nil {
				all = append(all, *line)
			}
		}
	}
	return all
}

// metricsAgree looks for a value of the metric at which one policy wants more and the other fewer: the larger number
// always wins, so the other is never heard there, and where the two meet the role would swing.
func metricsAgree(c *checker, p, q Policy) {
	turns := append(p.turns(), q.turns()...)
	turns = append(turns, 0, q.Metric.highest())
	slices.Sort(turns)
	turns = slices.Compact(turns)
	for i := range turns[:len(turns)-1] {
		v := middle(turns[i], turns[i+1])
		if v < 0 || v > q.Metric.highest() || math.IsInf(v, 0) || math.IsNaN(v) {
			continue
		}
		if a, b := p.pull(v), q.pull(v); a*b < 0 {
			more, less := p, q
			if a < 0 {
				more, less = q, p
			}
			c.wrong(q.Kind(), fmt.Sprintf("policies %q (%s) and %q (%s) contradict each other: at a %s of %s the first wants more servers and the second fewer",
				more.Name, more.inShort(), less.Name, less.inShort(), q.Metric.words(), plain(v)), "Keep one of the two, or draw them apart so that both want the same at every value")
			return
		}
	}
	if p.Target != nil && q.Target != nil {
		c.wrong("target", fmt.Sprintf("policies %q (%s) and %q (%s) both set a target for the %s", p.Name, p.inShort(), q.Name, q.inShort(), q.Metric.words()), "Keep one of the two")
	}
}

func (p Policy) inShort() string {
	switch p.Kind() {
	case KindTarget:
		return "target " + plain(*p.Target)
	case KindStep:
		return "steps"
	}
	return p.Kind()
}

func plain(v float64) string { return fmt.Sprintf("%.4g", v) }

// validateWithin: a schedule narrows the role's envelope and never widens it.
func (p Policy) validateWithin(c *checker, role Role) {
	const advice = "A schedule narrows the role's own min and max, which always hold: widen those, or stay within them"
	for _, bound := range []struct {
		attribute string
		n         *int
	}{{"schedule.min", p.Schedule.Min}, {"schedule.max", p.Schedule.Max}, {"schedule.exact", p.Schedule.Exact}} {
		if bound.n != nil && (*bound.n < role.Min || *bound.n > role.Max) {
			c.wrong(bound.attribute, fmt.Sprintf("%d of policy %q is outside of role %s, which goes from %d to %d", *bound.n, p.Name, role.ID(), role.Min, role.Max), advice)
		}
	}
}

// schedulesAgree looks for a time at which one demands more than the other allows.
func schedulesAgree(c *checker, p, q Policy) {
	high, low := p, q
	for range 2 {
		least, _ := high.Schedule.Bounds()
		_, most := low.Schedule.Bounds()
		if least != nil && most != nil && *least > *most {
			if at, ok := together(*high.Schedule, *low.Schedule); ok {
				c.wrong("schedule", fmt.Sprintf("policies %q and %q contradict each other: at %s the first demands at least %d servers and the second allows %d",
					high.Name, low.Name, at.Format("15:04 MST on Monday 2 January"), *least, *most), "Draw them apart in time, or raise the latter's max")
				return
			}
		}
		high, low = low, high
	}
}

// together is a time within a year at which both are active.
func together(a, b Schedule) (time.Time, bool) {
	for _, pair := range [][2]Schedule{{a, b}, {b, a}} {
		// Two stretches overlap exactly if one begins within the other.
		at := pair[0].Next(referenceYear)
		for range maxFirings {
			if at.IsZero() || at.After(referenceYear.AddDate(1, 0, 1)) {
				break
			}
			if pair[1].Active(at) {
				return at, true
			}
			at = pair[0].Next(at)
		}
	}
	return time.Time{}, false
}

// maxFirings looked at: a year of hourly ones.
const maxFirings = 366 * 24

// wholeSet sees what no two policies show.
func (c *checker) wholeSet(role Role, policies []Policy) {
	measures, raises, grows, shrinks := 0, false, false, false
	var last Policy
	for _, p := range policies {
		if p.Schedule != nil {
			least, _ := p.Schedule.Bounds()
			raises = raises || least != nil && *least > 0
			continue
		}
		if !p.Votes() {
			continue
		}
		measures++
		last = p
		switch p.Kind() {
		case KindTarget:
			grows, shrinks = true, true
		case KindQueue:
			grows, shrinks, raises = true, true, true // it is known at no server, too
		case KindThreshold:
			grows, shrinks = grows || p.Threshold.Upper != nil, shrinks || p.Threshold.Lower != nil
		}
		for _, s := range p.Steps {
			grows, shrinks = grows || s.Add > 0, shrinks || s.Add < 0
		}
	}
	if measures == 0 {
		return
	}
	at := last.Kind()
	if role.Min == 0 && !raises {
		c.wrong("metric", fmt.Sprintf("role %s has min 0, and of no server nothing can be measured: it would never leave zero", role.ID()), "Set the role's min to 1, or add a schedule that sets min to 1 or more for a time, or a queue")
	}
	if role.Min == role.Max {
		c.warn(at, fmt.Sprintf("role %s has min %d and max %d: its policies can change nothing", role.ID(), role.Min, role.Max), "Raise its max")
	}
	if grows && !shrinks {
		c.warn(at, fmt.Sprintf("the policies of role %s add servers and never remove one", role.ID()), "Add what removes, or use a target")
	}
	if shrinks && !grows {
		c.warn(at, fmt.Sprintf("the policies of role %s remove servers and never add one", role.ID()), "Add what adds, or use a target")
	}
}
