package engine

import "fmt"

// target is target tracking: as many servers as bring the metric to the target, ceil(n × value ÷ target), Kubernetes'
// and Auto Scaling's rule. Within the tolerance it wants no change.
//
// Out rests on the window's floor and on the measured, warm servers: those still coming and warming up are already in
// the number asked for and so are not asked for twice. In rests on the window's peak and on every server that bears
// load, and wants no fewer than would stay at the target.
func (p *pass) target(w *wish, base int) {
	m, v, policy := w.policy.Measure, &w.vote, w.policy.Spec
	metric, target := *policy.Metric, *policy.Target
	what := called(metric)
	outLine := policy.OutLine()
	inLine := min(target, outLine*(1-calmMargin))
	w.level = m.Floor

	if m.Floor > outLine {
		bearing := m.Servers
		if p.rose(w, m.Floor) {
			// It rises although servers were added: those that are not warm bear their share too, and it is not enough.
			bearing = max(bearing, p.shares())
		}
		want, total := base, m.Floor*float64(bearing)
		if total > outLine*float64(base) { // those on their way would not bring it within the tolerance either
			want = needed(total, target)
		}
		if m.Servers < m.Expected {
			// Some say nothing. What they bear is not known, but those that speak have too much.
			want = max(want, m.Expected+1)
		}
		if want > base {
			v.Want = want
			v.Reason = fmt.Sprintf("%s %s over %s is above the target %s: %s would bring it to %s",
				what, amount(metric, m.Floor), servers(bearing), amount(metric, target), servers(want), amount(metric, total/float64(want)))
			return
		}
		v.Reason = fmt.Sprintf("%s %s over %s is above the target %s: the %d on their way or warming up will do",
			what, amount(metric, m.Floor), servers(bearing), amount(metric, target), max(0, base-m.Servers))
		return
	}
	bearing := max(p.shares(), m.Servers)
	fewest := max(needed(m.Peak*float64(bearing), inLine), 0)
	switch {
	case m.Servers < m.Expected:
		v.Reason = fmt.Sprintf("%s is known of %d of %s only: nothing is removed on that", what, m.Servers, servers(m.Expected))
	case m.Value > outLine:
		v.Reason = fmt.Sprintf("%s %s is above the target %s, but was at %s within the window: not for long enough", what, amount(metric, m.Value), amount(metric, target), amount(metric, m.Floor))
	case m.Peak >= target*(1-policy.Tolerance) || fewest >= base:
		v.Reason = fmt.Sprintf("%s %s over %s is near enough to the target %s", what, amount(metric, m.Value), servers(bearing), amount(metric, target))
		if m.Peak < target*(1-policy.Tolerance) && base > 1 {
			v.Reason = fmt.Sprintf("%s %s over %s is below the target %s, but with one fewer it would be %s", what, amount(metric, m.Value), servers(bearing), amount(metric, target), amount(metric, m.Peak*float64(bearing)/float64(max(1, base-1))))
		}
	default:
		v.Want = fewest
		v.Reason = fmt.Sprintf("%s %s over %s is below the target %s: with %s it would be %s",
			what, amount(metric, m.Peak), servers(bearing), amount(metric, target), servers(base-1), amount(metric, m.Peak*float64(bearing)/float64(max(1, base-1))))
	}
}
