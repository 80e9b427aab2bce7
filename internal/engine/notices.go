package engine

import (
	"fmt"
	"time"

	"github.com/farmhand/terraform-provider-farmhand/internal/state"
)

// leaveBefore is how long before an announced end a server leaves at the latest, beside its drain: the platform's call and the
// clocks of two machines lie in between.
const leaveBefore = 15 * time.Second

// maintenance is the kind of notice that a server outlives: its machine reboots and comes back.
const maintenance = "maintenance"

// reboots tells whether the machine reboots and may take its time: as long as a launch may.
func (p *pass) reboots(m *member) bool {
	return m.Report != nil && !m.Report.Rebooting.IsZero() && p.since(m.Report.Rebooting) < p.role.Spec.LaunchTimeout.Std()
}

// notice is the announced end of the machine that comes first, nil for none.
func (m *member) notice() *state.Notice {
	var first *state.Notice
	consider := func(n *state.Notice) {
		if n.Kind != maintenance && (first == nil || !n.Before.IsZero() && (first.Before.IsZero() || n.Before.Before(first.Before))) {
			first = n
		}
	}
	if m.Machine != nil && m.Machine.Notice != nil {
		consider(m.Machine.Notice)
	}
	if m.Report != nil {
		for i := range m.Report.Notices {
			consider(&m.Report.Notices[i])
		}
	}
	return first
}

// heedNotices chooses servers whose end the platform has announced: they are replaced like the sick, launch first where the
// role allows it. Unlike with sickness there is nothing to doubt, however many they are. One whose time is nearly up leaves
// though nothing has taken its place yet: cut off, its connections would break.
func (p *pass) heedNotices() {
	if p.ending() {
		return
	}
	for i := range p.members {
		m := &p.members[i]
		n := m.notice()
		if n == nil || m.standing != serving && m.standing != sick {
			continue
		}
		m.standing, m.chosen = sick, true
		m.ailment = ailment{[]string{"notice"}, m.ServedAt, noticed(n, p.now)}
		if !n.Before.IsZero() && n.Before.Sub(p.now) <= p.drainTime()+leaveBefore && !p.role.Stateful {
			m.chosen = false
			p.leave(m, m.ailment.reason)
		}
	}
}

// noticed is a notice as a person reads it.
func noticed(n *state.Notice, now time.Time) string {
	s := fmt.Sprintf("its platform announced a %s", n.Kind)
	switch left := n.Before.Sub(now); {
	case n.Before.IsZero():
	case left > 0:
		s += fmt.Sprintf(" in %s", brief(left))
	default:
		s += fmt.Sprintf(" that was due %s ago", brief(-left))
	}
	if n.Text != "" {
		s += " (" + n.Text + ")"
	}
	return s
}
