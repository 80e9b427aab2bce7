package engine

import "fmt"

// queue asks for as many servers as the work that waits calls for, ceil(backlog ÷ backlog of one server): for more on
// the least that waited within the window, for fewer on the most. The metric is the whole role's and is known at no
// server, too, so that the role may go down to none, which it does only when nothing has waited, and come back.
func (p *pass) queue(w *wish, base int) {
	m, v, policy := w.policy.Measure, &w.vote, w.policy.Spec
	metric, each := *policy.Metric, policy.Queue.Backlog
	what := metric.Words()
	w.level = m.Floor

	fewest := needed(m.Peak, each*(1-calmMargin))
	if m.Peak > 0 {
		fewest = max(fewest, 1)
	}
	switch {
	case base == 0 && m.Floor > 0, m.Floor > each*(1+policy.TolerateAbove())*float64(base):
		v.Want = max(needed(m.Floor, each), 1)
		v.Reason = fmt.Sprintf("%s %s calls for %s, at %s for each", what, metric.Amount(m.Floor), servers(v.Want), metric.Amount(each))
	case fewest < base && m.Servers < m.Expected:
		v.Reason = fmt.Sprintf("%s is known in part only: nothing is removed on that", what)
	case fewest < base:
		v.Want = fewest
		v.Reason = fmt.Sprintf("%s %s calls for no more than %s, at %s for each", what, metric.Amount(m.Peak), servers(fewest), metric.Amount(each))
	default:
		v.Reason = fmt.Sprintf("%s %s is what %s are for, at %s for each", what, metric.Amount(m.Value), servers(base), metric.Amount(each))
	}
}
