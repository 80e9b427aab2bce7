package engine

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/farmhand/terraform-provider-farmhand/internal/state"
)

// Limits of healing.
const (
	// replaceShare of a role may be under replacement for bad health at once, and always one.
	replaceShare = 0.1
	// doubtShare of a role turning bad by one signal is more likely the signal's fault than the servers'.
	doubtShare = 0.5
	// doubtAtLeast: one server alone cannot be a majority of anything.
	doubtAtLeast = 2
	// deafPatience: when most of the farm is silent, what hears it is at fault. For longer than this, one at a time is
	// tried even so.
	deafPatience = 5 * time.Minute
)

// silence is the signal of an agent that does not report; the others are the names of checks.
const silence = "silence"

// ailment is what is wrong with a server that runs.
type ailment struct {
	signals []string  // the check or checks that fail, or silence
	since   time.Time // the earliest
	reason  string
}

// farmFellSilent counts the silent agents of the farm, of whatever role, if that is most of them: what they report to
// is at fault then, not they. It speaks up for roles of one server too. silent is 0 if they are few.
func farmFellSilent(passes []*pass) (silent, all int) {
	for _, p := range passes {
		quiet, of := p.countSilent()
		silent, all = silent+quiet, all+of
	}
	if len(passes) > 0 {
		silent, all = silent+passes[0].view.Elsewhere.Silent, all+passes[0].view.Elsewhere.Serving
	}
	if !suspicious(silent, all) {
		return 0, all
	}
	return silent, all
}

// countSilent counts those that should serve, and those of them whose agents are silent.
func (p *pass) countSilent() (silent, all int) {
	for i := range p.members {
		if m := &p.members[i]; m.standing == serving {
			all++
			if quiet, _ := p.silentSince(m); quiet {
				silent++
			}
		}
	}
	return silent, all
}

func suspicious(bad, all int) bool {
	return bad >= doubtAtLeast && float64(bad) > doubtShare*float64(all)
}

// silentSince tells whether the agent has been silent for too long, and since when.
func (p *pass) silentSince(m *member) (bool, time.Time) {
	if p.reboots(m) {
		return false, m.Report.Rebooting
	}
	heard := m.ServedAt
	if heard.IsZero() {
		heard = m.Since
	}
	if m.Report != nil && m.Report.At.After(heard) {
		heard = m.Report.At
	}
	if p.view.Listening.After(heard) {
		heard = p.view.Listening
	}
	return p.since(heard) > p.role.Spec.HealthCheck.SilentAfter.Std(), heard
}

// examine tells what is wrong with a server that should serve.
func (p *pass) examine(m *member) (ailment, bool) {
	if quiet, since := p.silentSince(m); quiet {
		return ailment{[]string{silence}, since, fmt.Sprintf("its agent has been silent for %s", brief(p.since(since)))}, true
	}
	r := m.Report
	if r == nil || m.Phase != state.Running { // not heard yet, or moved to running at this tick
		return ailment{}, false
	}
	if p.inGrace(m) || p.reboots(m) {
		return ailment{}, false
	}
	var a ailment
	add := func(signal string, since time.Time, reason string) {
		if len(a.signals) == 0 || since.Before(a.since) {
			a.since = since
		}
		if len(a.signals) == 0 {
			a.reason = reason
		}
		a.signals = append(a.signals, signal)
	}
	if r.Boot.Failed != "" || !r.Boot.Done {
		add("boot", m.Since, fmt.Sprintf("its agent sets it up anew and is at step %q %s", r.Boot.Step, r.Boot.Failed))
	}
	for _, c := range r.Checks {
		if !c.OK {
			add(c.Name, c.Since, fmt.Sprintf("check %q has failed %d times, for %s: %s", c.Name, c.Failures, brief(p.since(c.Since)), orElse(c.Message, "no message")))
		}
	}
	if group, t := m.badTarget(); group != "" {
		add(group, m.ServedAt, fmt.Sprintf("%s finds it unhealthy: %s", group, orElse(t.Reason, "no reason given")))
	}
	return a, len(a.signals) > 0
}

// inGrace tells that its checks do not count yet.
func (p *pass) inGrace(m *member) bool {
	return m.ServedAt.IsZero() || p.since(m.ServedAt) < p.role.Spec.HealthCheck.Grace.Std()
}

// diagnose finds the sick and chooses whose turn it is to be replaced. Those not chosen keep counting as capacity:
// they limp, but they are there. silent of all is farmFellSilent.
func (p *pass) diagnose(silent, all int) {
	if p.ending() {
		return
	}
	deaf := silent > 0
	role, known := p.count(serving), 0
	bySignal := map[string]int{}
	var ill []*member
	for i := range p.members {
		m := &p.members[i]
		if m.standing != serving {
			continue
		}
		a, is := p.examine(m)
		if is || !p.inGrace(m) {
			known++
		}
		if !is {
			continue
		}
		m.standing, m.ailment = sick, a
		ill = append(ill, m)
		for _, s := range a.signals {
			bySignal[s]++
		}
	}
	if len(ill) == 0 {
		return
	}
	// The longest ill first; a stable order, so that the same one stays chosen until it is replaced.
	slices.SortFunc(ill, func(a, b *member) int {
		return cmp.Or(a.ailment.since.Compare(b.ailment.since), cmp.Compare(a.Index, b.Index))
	})
	turn := max(1, int(replaceShare*float64(role)))
	if signal := p.doubted(ill, bySignal, role, known, deaf); signal != "" {
		turn -= p.recentlyReplaced()
		if p.role.Stateful {
			turn = 0 // ending a healthy database on a mistaken signal is worse than waiting
		}
		bad, of := bySignal[signal], fmt.Sprintf("%s of role %s", servers(role), p.role.Spec.Name)
		if deaf && signal == silence {
			bad, of = silent, servers(all)+" of the farm"
			if p.since(ill[0].ailment.since) < deafPatience {
				turn = 0
			}
		}
		p.holdForDoubt(signal, bad, of, max(0, turn))
	}
	for _, m := range ill[:min(max(0, turn), len(ill))] {
		m.chosen = true
	}
}

// doubted is the signal that so many turned bad by that it is not believed, or empty. Of checks only those servers
// count whose checks count: one that has just come up has shown nothing yet.
func (p *pass) doubted(ill []*member, bySignal map[string]int, role, known int, deaf bool) string {
	for _, m := range ill {
		for _, s := range m.ailment.signals {
			if s == silence && (deaf || suspicious(bySignal[s], role)) || s != silence && suspicious(bySignal[s], known) {
				return s
			}
		}
	}
	return ""
}

func (p *pass) holdForDoubt(signal string, bad int, of string, turn int) {
	what, look := fmt.Sprintf("fail check %q", signal), "the check, or what all of them depend on,"
	if signal == silence {
		what, look = "have fallen silent", "what they report to"
	}
	then := "none is replaced for it meanwhile"
	if turn > 0 {
		then = fmt.Sprintf("%d is replaced, to see whether that helps", turn)
	}
	p.hold("doubt:"+signal, warning, fmt.Sprintf("%d of the %s %s at once: that is more likely %s than the servers; %s", bad, of, what, look, then), nil)
}

// recentlyReplaced counts replacements for bad health that have not had the time to show whether they helped.
func (p *pass) recentlyReplaced() int {
	n := 0
	for _, at := range p.memory.Replaced {
		if p.since(at) < p.trial() {
			n++
		}
	}
	return n
}

// replaced records a replacement for bad health.
func (p *pass) replaced() {
	var kept []time.Time
	for _, at := range p.memory.Replaced {
		if p.since(at) < p.trial() {
			kept = append(kept, at)
		}
	}
	p.memory.Replaced = append(kept, p.now)
}

// trial is how long a replacement takes to come up and to show its own health.
func (p *pass) trial() time.Duration { return p.bootTime() + p.role.Spec.HealthCheck.Grace.Std() }
