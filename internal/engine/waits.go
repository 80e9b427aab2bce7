package engine

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/farmhand/terraform-provider-farmhand/internal/spec"
)

// A shutdown hook that says wait keeps its server from being chosen to leave: when the role shrinks, when a generation
// is rolled out and when a schedule lowers max. It keeps nobody from being healed, and no role from ending.

// waits tells whether the server's shutdown hook says wait and is to be heard: one whose agent is silent may have died
// with its job, and one that has said so for longer than the role allows is overruled.
func (p *pass) waits(m *member) bool {
	if p.ending() || m.standing != serving && m.standing != sick {
		return false
	}
	if quiet, _ := p.silentSince(m); quiet {
		return false
	}
	return m.Report != nil && m.Report.Wait != nil && waitedFor(m) < p.hookTimeout()
}

// waitedFor is how long the hook has said wait, by the instance's own clock on both ends.
func waitedFor(m *member) time.Duration { return max(0, m.Report.At.Sub(m.Report.Wait.Since)) }

func (p *pass) hookTimeout() time.Duration {
	return cmp.Or(p.role.Spec.ShutdownHookTimeout, spec.DefaultShutdownHookTimeout).Std()
}

func (p *pass) whyWaits(m *member) string {
	return fmt.Sprintf("%s stays: its shutdown hook says %s", m.Name(), orElse(m.Report.Wait.Reason, "wait"))
}

// overruled is what is to be said when a server leaves although its hook says wait; empty if it does not.
func (p *pass) overruled(m *member) string {
	if m.Report == nil || m.Report.Wait == nil || waitedFor(m) < p.hookTimeout() {
		return ""
	}
	return fmt.Sprintf("; its shutdown hook has said %q for %s, and %s is all that it may", orElse(m.Report.Wait.Reason, "wait"), brief(waitedFor(m)), brief(p.hookTimeout()))
}

// outdatedWaits tells that a server of a former generation waits: its successor is there already and must not leave in
// its stead, or it would be launched again for ever.
func (p *pass) outdatedWaits() bool {
	return slices.ContainsFunc(p.members, func(m member) bool { return m.old && p.waits(&m) })
}

func (p *pass) holdRollout(m *member) {
	p.hold("rollout-hook", info, fmt.Sprintf("the roll-out of generation %s of role %s waits: %s", short(p.role.Generation), p.role.Spec.Name, p.whyWaits(m)), nil)
}

// waiting are the reasons of those that stay although somebody is to leave, by index.
func (p *pass) waiting() []string {
	var all []string
	for i := range p.members {
		if m := &p.members[i]; p.waits(m) {
			all = append(all, p.whyWaits(m))
		}
	}
	return all
}

// keepWaiting holds the role at more servers than it is to have, by the first of the waiting, and returns the others.
func (p *pass) keepWaiting(up int, waiting []string) []string {
	p.hold("waits", info, fmt.Sprintf("role %s is to have %s and keeps %d: %s", p.role.Spec.Name, servers(p.account.Desired), up, waiting[0]), nil)
	return waiting[1:]
}

// tellWaiting puts them in the account.
func (p *pass) tellWaiting(waiting []string) {
	told := min(len(waiting), waitsTold)
	p.account.Clamps = append(p.account.Clamps, waiting[:told]...)
	if more := len(waiting) - told; more > 0 {
		p.account.Clamps = append(p.account.Clamps, fmt.Sprintf("the shutdown hooks of %s more say wait, too", servers(more)))
	}
}

// waitsTold: an account is read by people.
const waitsTold = 3
