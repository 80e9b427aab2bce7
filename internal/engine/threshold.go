package engine

import (
	"fmt"

	"github.com/farmhand/terraform-provider-farmhand/internal/state"
)

// threshold adds or removes its increment once the metric has been beyond a line for the whole of the breach duration.
// How long it has been, is in the role's memory; see spells. A breach that led to a change begins anew.
//
// As with steps, servers are added to those that are warm: while the former increment warms up, the same breach asks
// for nothing more.
func (p *pass) threshold(w *wish, base int) {
	m, v, t := w.policy.Measure, &w.vote, w.policy.Spec.Threshold
	metric := *w.policy.Spec.Metric
	what := metric.Words()
	w.level = m.Floor

	switch {
	case t.Upper != nil && m.Floor > *t.Upper:
		v.Reason = fmt.Sprintf("%s %s over %s is above %s", what, metric.Amount(m.Floor), servers(m.Servers), metric.Amount(*t.Upper))
		if !p.breached(w, state.Out) {
			return
		}
		if left, cooling := p.cooling(w, m.Floor); cooling {
			v.Reason += fmt.Sprintf("; the policy added servers %s ago and it has not risen since: %s left of the cooldown", brief(p.since(p.memory.LastScaleOut)), brief(left))
			return
		}
		v.Want = max(base, m.Expected+t.UpperIncrement)
		v.Reason += fmt.Sprintf(": %d more than the %d that are warm", t.UpperIncrement, m.Expected)
		if v.Want == base {
			v.Reason += ", and these are on their way or warming up"
		}
	case t.Lower != nil && m.Peak < *t.Lower:
		v.Reason = fmt.Sprintf("%s %s over %s is below %s", what, metric.Amount(m.Peak), servers(m.Servers), metric.Amount(*t.Lower))
		if m.Servers < m.Expected {
			v.Reason = fmt.Sprintf("%s is known of %d of %s only: nothing is removed on that", what, m.Servers, servers(m.Expected))
			return
		}
		if !p.breached(w, state.In) {
			return
		}
		v.Want = p.foresee(w, base, base+t.LowerIncrement, func(each float64) bool { return t.Upper != nil && each > *t.Upper })
		if v.Want == base {
			v.Reason += fmt.Sprintf(", but with one fewer it would be %s, above %s", metric.Amount(p.spread(w, base-1)), metric.Amount(*t.Upper))
		}
	default:
		v.Reason = fmt.Sprintf("%s between %s and %s is beyond no line", what, metric.Amount(m.Floor), metric.Amount(m.Peak))
	}
}

// breached tells whether the metric has been beyond the line for long enough, and says so.
func (p *pass) breached(w *wish, of string) bool {
	lasted, duration := p.spell(w.vote.Policy, of), w.policy.Spec.Threshold.BreachDuration.Std()
	if lasted < duration {
		w.vote.Reason += fmt.Sprintf(", for %s of the %s that it takes", brief(lasted), brief(duration))
		return false
	}
	w.vote.Reason += fmt.Sprintf(", for %s", brief(lasted))
	return true
}

// foresee is the fewest servers, from base down to want, with which none would have to be added again.
func (p *pass) foresee(w *wish, base, want int, tooMuch func(each float64) bool) int {
	n := base
	for n > max(want, 0) && !tooMuch(p.spread(w, n-1)*(1+calmMargin)) {
		n--
	}
	return n
}

// spread is what the metric would be on each of n servers: the most that was measured, borne by all who serve now.
func (p *pass) spread(w *wish, n int) float64 {
	bearing := max(p.shares(), w.policy.Measure.Servers)
	return w.policy.Measure.Peak * float64(bearing) / float64(max(1, n))
}
