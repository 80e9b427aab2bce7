package engine

import (
	"fmt"
	"math"

	"github.com/farmhand/terraform-provider-farmhand/internal/spec"
)

// steps is Auto Scaling's step scaling: the band that the metric lies in says what to add. A band's servers are added
// to those that are warm, and the role never gets fewer than it has for it: as long as the former step's servers warm
// up, the same band asks for nothing more and a higher one for the difference.
func (p *pass) steps(w *wish, base int) {
	m, v, policy := w.policy.Measure, &w.vote, w.policy.Spec
	metric := *policy.Metric
	what := called(metric)
	w.level = m.Floor

	low, high := band(policy.Steps, m.Floor), band(policy.Steps, m.Peak)
	switch {
	case low != nil && low.Add > 0:
		if left, cooling := p.cooling(w, m.Floor); cooling {
			v.Reason = fmt.Sprintf("%s %s is in the band %s that adds %d; it did %s ago and has not risen since: %s left of the cooldown",
				what, amount(metric, m.Floor), bounds(metric, low), low.Add, brief(p.since(p.memory.LastScaleOut)), brief(left))
			return
		}
		v.Want = max(base, m.Expected+low.Add)
		v.Reason = fmt.Sprintf("%s %s over %s is in the band %s: %d more than the %d that are warm",
			what, amount(metric, m.Floor), servers(m.Servers), bounds(metric, low), low.Add, m.Expected)
		if v.Want == base {
			v.Reason += ", and these are on their way or warming up"
		}
	case m.Servers < m.Expected:
		v.Reason = fmt.Sprintf("%s is known of %d of %s only: nothing is removed on that", what, m.Servers, servers(m.Expected))
	case high != nil && high.Add < 0:
		adds := func(each float64) bool {
			next := band(policy.Steps, each)
			return next != nil && next.Add > 0
		}
		if v.Want = p.foresee(w, base, base+high.Add, adds); v.Want == base {
			v.Reason = fmt.Sprintf("%s %s is in the band %s that removes %d, but with one fewer it would be %s, where servers are added",
				what, amount(metric, m.Peak), bounds(metric, high), -high.Add, amount(metric, p.spread(w, base-1)))
			return
		}
		v.Reason = fmt.Sprintf("%s %s over %s is in the band %s: %d fewer", what, amount(metric, m.Peak), servers(max(p.shares(), m.Servers)), bounds(metric, high), base-v.Want)
	case low == nil && high == nil:
		v.Abstain = true
		v.Reason = fmt.Sprintf("%s %s is in none of its bands: no vote", what, amount(metric, m.Value))
	default:
		v.Reason = fmt.Sprintf("%s between %s and %s calls for no change", what, amount(metric, m.Floor), amount(metric, m.Peak))
	}
}

// band is the step that a value lies in, nil if none.
func band(steps []spec.Step, v float64) *spec.Step {
	for i := range steps {
		s := &steps[i]
		if (s.From == nil || v >= *s.From) && (s.To == nil || v < *s.To) {
			return s
		}
	}
	return nil
}

func bounds(m spec.Metric, s *spec.Step) string {
	from, to := math.Inf(-1), math.Inf(1)
	if s.From != nil {
		from = *s.From
	}
	if s.To != nil {
		to = *s.To
	}
	switch {
	case s.From == nil && s.To == nil:
		return "of every value"
	case s.From == nil:
		return "below " + amount(m, to)
	case s.To == nil:
		return "from " + amount(m, from)
	}
	return fmt.Sprintf("from %s to %s", amount(m, from), amount(m, to))
}
