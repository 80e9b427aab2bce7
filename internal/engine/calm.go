package engine

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/farmhand/terraform-provider-farmhand/internal/spec"
	"github.com/farmhand/terraform-provider-farmhand/internal/state"
)

// The flap budget: how often within an hour the number may turn from growing to shrinking or back. It binds shrinking
// only, and still is never exceeded: to turn inward takes two reversals that are free, this one and the one that
// growing again would be, so that growing need never be refused. docs/decisions/006 argues it.
//
// What the envelope demands (min, max, a schedule, a number set by hand) is not refused either. It counts all the same,
// so that policies hold still while somebody else moves the role.

// flapPeriod is what the budget is for.
const flapPeriod = time.Hour

func (p *pass) budget() int { return cmp.Or(p.role.Spec.ReversalsPerHour, spec.DefaultReversals) }

// reversals counts those of the last hour.
func (p *pass) reversals() int {
	n := 0
	for _, at := range p.memory.Reversals {
		if p.since(at) < flapPeriod {
			n++
		}
	}
	return n
}

// outOfReversals says why the role may not shrink now, if its budget is the reason.
func (p *pass) outOfReversals() string {
	used, budget := p.reversals(), p.budget()
	takes := 2
	switch p.memory.Direction {
	case state.In:
		return "" // it goes on as it went; what growing again takes was kept when it turned
	case "":
		takes = 1 // the first change is no reversal
	}
	if used+takes <= budget {
		return ""
	}
	why := fmt.Sprintf("it turned %s within the last hour, of %d that it may, and the last is kept for growing", times(used), budget)
	if at := p.nextReversal(used + takes - budget); !at.IsZero() {
		why += fmt.Sprintf("; it may shrink again in %s", brief(flapPeriod-p.since(at)))
	}
	p.hold("flap", info, fmt.Sprintf("role %s holds its size: %s", p.role.Spec.Name, why), nil)
	return why
}

// nextReversal is the one after whose hour n fewer count.
func (p *pass) nextReversal(n int) time.Time {
	for _, at := range p.memory.Reversals {
		if p.since(at) < flapPeriod {
			if n--; n == 0 {
				return at
			}
		}
	}
	return time.Time{}
}

// turn remembers a change of the number, and that it was a reversal if it was one.
func (p *pass) turn(by int) {
	m := &p.memory
	longest := p.longestPace()
	if slices.ContainsFunc(m.Changes, func(c state.Change) bool { return p.since(c.At) >= longest }) {
		m.Changes = slices.DeleteFunc(slices.Clone(m.Changes), func(c state.Change) bool { return p.since(c.At) >= longest })
	}
	if slices.ContainsFunc(m.Reversals, p.longAgo) {
		m.Reversals = slices.DeleteFunc(slices.Clone(m.Reversals), p.longAgo)
	}
	if by == 0 {
		return
	}
	direction := state.Out
	if by < 0 {
		direction = state.In
	}
	if m.Direction != "" && m.Direction != direction {
		m.Reversals = append(slices.Clone(m.Reversals), p.now)
	}
	m.Direction = direction
	if longest > 0 {
		m.Changes = append(slices.Clone(m.Changes), state.Change{At: p.now, By: by})
	}
}

func (p *pass) longAgo(at time.Time) bool { return p.since(at) >= flapPeriod }

// changed counts the servers that were added, or removed, within the period.
func (p *pass) changed(per time.Duration, direction string) int {
	n := 0
	for _, c := range p.memory.Changes {
		if p.since(c.At) < per && (c.By > 0) == (direction == state.Out) {
			n += max(c.By, -c.By)
		}
	}
	return n
}

// longestPace is for how long changes matter to a rate limit.
func (p *pass) longestPace() time.Duration {
	var longest time.Duration
	for i := range p.role.Policies {
		s := &p.role.Policies[i].Spec
		for _, pace := range []*spec.Pace{s.ScaleOut, s.ScaleIn} {
			if _, per, ok := pace.Limit(); ok {
				longest = max(longest, per.Std())
			}
		}
	}
	return longest
}

func times(n int) string {
	switch n {
	case 1:
		return "once"
	case 2:
		return "twice"
	}
	return fmt.Sprintf("%d times", n)
}
