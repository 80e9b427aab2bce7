package engine

import (
	"fmt"
	"time"

	"github.com/farmhand/terraform-provider-farmhand/internal/state"
)

// Time limits of the life of an instance that no role sets.
const (
	// relaunchAfter: a platform takes a call within this time or has lost it with the sidecar that made it. Calls are
	// idempotent by token, so being too early costs nothing but the call.
	relaunchAfter = 10 * time.Second
	// appearsWithin: EC2 lists a machine seconds after it has accepted its launch; an accepted one that is not
	// listed by then is none.
	appearsWithin = 30 * time.Second
	// longDrain and longEnd: after this much more than the drain, or than any platform takes to end a machine, somebody should look.
	longEnd = 2 * time.Minute
)

// live moves every instance along its life: planned → launching → booting → running → draining → terminating → gone,
// and failed from any of the first three. Every phase but running and gone has a time limit and a way out.
func (p *pass) live() {
	for i := range p.members {
		m := &p.members[i]
		switch m.Phase {
		case state.Planned, state.Launching, state.Booting:
			p.come(m)
		case state.Running:
			p.run(m)
		case state.Draining:
			p.drain(m)
		case state.Terminating:
			p.end(m)
		case state.Failed:
			p.clearAway(m)
		default: // a phase of a newer version: leave it be, but hold its index
			m.standing = leaving
		}
	}
}

// come follows an instance until it serves or has failed.
func (p *pass) come(m *member) {
	m.standing = coming
	age := p.since(m.Created)
	r := m.Report
	switch {
	case p.ending(): // endEverything sees to it
		return
	case m.Failure != nil:
		p.fail(m, *m.Failure)
	case r != nil && r.Boot.Failed != "":
		p.fail(m, state.Failure{Step: orElse(r.Boot.Step, "boot"), Error: r.Boot.Failed, Log: r.Boot.Log})
	case r != nil && r.Serving() && p.mayServe(m):
		m.standing = serving
		d := m.about(Move, "running", info, fmt.Sprintf("serves, %s after its launch", brief(age)))
		d.Phase = state.Running
		p.decide(d)
		p.launchSucceeded(m)
		p.booted(age)
	case m.Machine != nil && m.Machine.Stopped:
		p.fail(m, state.Failure{Step: p.stepOf(m), Error: "its machine stopped: " + orElse(m.Machine.Exit, "no reason given"), Log: logOf(m)})
	case m.Machine != nil && m.Machine.Ending:
		p.fail(m, state.Failure{Step: p.stepOf(m), Error: "its machine was removed by somebody else", Log: logOf(m)})
	case m.Phase == state.Booting && p.absent(m), m.Phase == state.Launching && p.absent(m) && p.since(m.Since) > appearsWithin:
		p.fail(m, state.Failure{Step: p.stepOf(m), Error: "the platform has no machine for it any more", Log: logOf(m)})
	case age > p.role.Spec.LaunchTimeout.Std() && (m.Machine != nil || p.view.MachinesListed):
		p.fail(m, state.Failure{Step: p.stepOf(m), Error: fmt.Sprintf("not serving %s after its launch: %s", brief(age), p.lastWord(m)), Log: logOf(m)})
	case m.Phase == state.Planned && p.absent(m):
		if p.since(m.Since) > relaunchAfter {
			p.decide(m.about(Relaunch, "", info, fmt.Sprintf("the platform has no machine for %s %s after the intent: calling again", m.Name(), brief(age))))
		}
	case m.Phase != state.Booting && r != nil:
		p.step(m, state.Booting, "its agent reports")
	case m.Phase == state.Planned && m.Machine != nil:
		p.step(m, state.Launching, "the platform has its machine")
	}
}

// mayServe tells whether a machine stands behind what the agent says; one that was only just accepted may be listed late.
func (p *pass) mayServe(m *member) bool {
	if m.Machine == nil {
		return m.Phase != state.Booting || !p.view.MachinesListed
	}
	return !m.Machine.Stopped && !m.Machine.Ending && m.unreadyTarget() == ""
}

// step is a move too small for an event.
func (p *pass) step(m *member, to state.Phase, reason string) {
	d := m.about(Move, "", info, reason)
	d.Phase = to
	p.decide(d)
}

// fail gives an instance up that never served. Its machine is ended at once.
func (p *pass) fail(m *member, f state.Failure) {
	d := m.about(Move, "failed", failure, fmt.Sprintf("it did not come up, in step %q: %s", f.Step, f.Error))
	d.Phase, d.Failure = state.Failed, &f
	p.decide(d)
	p.launchFailed(m, f)
	p.clearAway(m)
}

// clearAway ends the machine of a failed instance, and forgets it when there is none.
func (p *pass) clearAway(m *member) {
	m.standing = leaving
	if m.Phase == state.Failed && m.Failure != nil {
		p.launchFailed(m, *m.Failure) // counted once, whoever found it failed
	}
	switch {
	case p.absent(m):
		p.forget(m, "")
	case p.stoppedForGood(m):
		p.endStopped(m)
	default:
		p.terminate(m, "", "it did not come up")
	}
}

// run looks whether the machine of a running instance is still there. Its health is diagnose's concern.
func (p *pass) run(m *member) {
	m.standing = serving
	if p.ending() {
		return
	}
	switch {
	case p.absent(m):
		p.lose(m, "its machine is gone from the platform")
		p.forget(m, "")
	case p.stoppedForGood(m):
		p.lose(m, "its machine stopped: "+orElse(m.Machine.Exit, "no reason given"))
		p.endStopped(m)
	case m.Machine != nil && m.Machine.Stopped: // stateful: its index stays taken until the machine is absent
		m.standing = leaving
		p.lose(m, "its machine stopped: "+orElse(m.Machine.Exit, "no reason given"))
		p.terminate(m, "", "its machine stopped: "+orElse(m.Machine.Exit, "no reason given"))
	case m.Machine != nil && m.Machine.Ending:
		m.standing = leaving
		p.lose(m, "its machine is being removed by somebody else")
		p.step(m, state.Terminating, "its machine is being removed by somebody else")
	}
}

// lose says that a server was lost, and remembers the reason for its replacement.
func (p *pass) lose(m *member, why string) {
	p.decide(m.about(Note, "lost", warning, why))
	if p.since(m.ServedAt) < young {
		p.memory.DiedYoung = append(p.diedYoung(), p.now)
	}
	p.lost = append(p.lost, fmt.Sprintf("replaces %s: %s", m.Name(), why))
}

// drain waits until its connections have had their time.
func (p *pass) drain(m *member) {
	m.standing = leaving
	wait := p.drainTime()
	switch {
	case p.absent(m):
		p.forget(m, orElse(m.Reason, "it was draining"))
	case p.stoppedForGood(m):
		p.endStopped(m)
	case p.since(m.Since) >= wait && p.deregistering(m) && !(m.Machine != nil && m.Machine.Stopped):
		// its balancer still waits for connections to end
	case p.since(m.Since) >= wait || (m.Machine != nil && m.Machine.Stopped):
		p.terminate(m, "terminate", fmt.Sprintf("drained for %s; %s", brief(p.since(m.Since)), orElse(m.Reason, "it is to end")))
	}
}

// end repeats the call that ends a machine until the platform no longer lists it.
func (p *pass) end(m *member) {
	m.standing = leaving
	switch {
	case p.absent(m):
		p.forget(m, orElse(m.Reason, "it was told to end"))
	default:
		p.terminate(m, "", orElse(m.Reason, "it was told to end"))
		if over := p.since(m.Since); over > p.role.Spec.Drain.Std()+longEnd {
			p.hold("stuck:"+m.Name(), warning, fmt.Sprintf("%s was told to end %s ago and its machine %s is still there; the call is repeated. Look at the platform", m.Name(), brief(over), m.machineID()), nil)
		}
	}
}

// terminate is one call to end the machine; kind is empty where it is a repetition.
func (p *pass) terminate(m *member, kind, reason string) {
	m.standing = leaving
	id := m.machineID()
	if id == "" { // the platform could not be asked and never told: the next listing will
		return
	}
	d := m.about(Terminate, kind, info, reason)
	d.Machine = id
	p.decide(d)
}

// stoppedForGood tells whether the index may be given away while the stopped machine is still listed: it runs no
// more and will not. Where data belongs to the index, its volume could still be held, so there absence is waited for.
func (p *pass) stoppedForGood(m *member) bool {
	return m.Machine != nil && m.Machine.Stopped && !p.role.Stateful
}

// endStopped removes a stopped machine and frees its index in the same tick, so that a replacement need not wait.
func (p *pass) endStopped(m *member) {
	p.terminate(m, "", "its machine stopped: "+orElse(m.Machine.Exit, "no reason given"))
	p.memory.Ending = with(p.memory.Ending, m.Machine.ID)
	p.forget(m, "")
}

// forget frees the index. Without a reason there is no event: something more telling was said of it.
func (p *pass) forget(m *member, reason string) {
	m.standing = gone
	d := m.about(Forget, "", info, "the platform has no machine for it any more")
	if reason != "" {
		d.Kind = "gone"
		if p.role.Stateful || p.role.InPlace {
			p.lost = append(p.lost, fmt.Sprintf("takes the place of the former %s: %s", m.Name(), reason))
		}
	}
	p.decide(d)
}

// endEverything ends a role that is being deleted. With the whole farm nobody is left who would notice a drain.
func (p *pass) endEverything() {
	why := "its role is being deleted"
	if p.view.Deleting {
		why = "its farm is being deleted"
	}
	for i := range p.members {
		m := &p.members[i]
		switch m.standing {
		case coming:
			if p.absent(m) {
				if m.Phase != state.Planned || p.since(m.Since) > relaunchAfter { // else its launch may be under way
					p.forget(m, why)
				}
				continue
			}
			p.terminate(m, "terminate", why)
		case serving, sick:
			if p.absent(m) {
				p.forget(m, why)
				continue
			}
			if p.view.Deleting || p.drainTime() == 0 || m.Machine != nil && m.Machine.Stopped {
				p.terminate(m, "terminate", why)
				continue
			}
			p.leave(m, why)
		}
	}
}

// deleteDrain bounds the drain of a role that is being deleted: who used it was told to do without, or goes too.
const deleteDrain = 5 * time.Second

func (p *pass) drainTime() time.Duration {
	d := p.role.Spec.Drain.Std()
	switch {
	case p.view.Deleting:
		return 0
	case p.role.Deleting:
		return min(d, deleteDrain)
	}
	return d
}

// leave takes a server out of service; it is ended when it has drained.
func (p *pass) leave(m *member, why string) {
	m.standing = leaving
	p.decide(m.about(Drain, "drain", info, why))
}

// stepOf is how far an instance came that did not come up.
func (p *pass) stepOf(m *member) string {
	if m.Report != nil && m.Report.Boot.Step != "" && !m.Report.Boot.Done {
		return m.Report.Boot.Step
	}
	if m.Report != nil {
		return "health check"
	}
	return "launch"
}

// lastWord is what is known of an instance that never served.
func (p *pass) lastWord(m *member) string {
	r := m.Report
	switch {
	case r == nil && m.Machine == nil:
		return "the platform made no machine"
	case r == nil:
		return "its agent never reported"
	case !r.Boot.Done:
		return fmt.Sprintf("its agent, last heard %s ago, was at step %q", brief(p.since(r.At)), r.Boot.Step)
	}
	for _, c := range r.Checks {
		if !c.OK {
			return fmt.Sprintf("check %q does not pass: %s", c.Name, orElse(c.Message, "no message"))
		}
	}
	return "it said nothing more"
}

func logOf(m *member) []string {
	if m.Report == nil {
		return nil
	}
	return m.Report.Boot.Log
}
