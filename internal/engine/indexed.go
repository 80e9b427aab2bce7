package engine

import "fmt"

// keepIndexed brings a role to its number whose data or address belongs to the index: there is never a second server
// for an index while the first may still write, so replacing ends first and launches into the same index once the
// platform confirms that the old machine is absent. Where it is the only one, it does not drain: nobody could take over.
func (p *pass) keepIndexed() {
	desired := p.account.Desired
	p.cancelSuperseded()

	// Those on their way out hold their index, and their place if that is among the first.
	have := p.count(serving, sick, coming)
	for i := range p.members {
		if m := &p.members[i]; m.standing == leaving && m.Index <= desired {
			have++
		}
	}
	allowed := 0
	if have < desired {
		var why string
		allowed, why = p.mayLaunch(desired - have)
		p.launch(allowed, desired-have, false)
		p.explainLaunches(desired-have, allowed, why)
	} else {
		p.mayLaunch(0)
	}

	staying := p.count(serving, sick, coming)
	if staying > desired {
		p.cancel(min(staying-desired, p.count(coming)))
	}
	up := p.count(serving, sick)
	var waiting []string
	if up > desired {
		waiting = p.waiting()
	}
	for ; up > desired; up-- {
		v := p.victim()
		if v == nil {
			if len(waiting) > 0 {
				waiting = p.keepWaiting(up, waiting)
			}
			break
		}
		p.leave(v, p.whyVictim(v, desired))
	}
	p.tellWaiting(waiting)
	if p.count(coming, leaving) > 0 || allowed > 0 || !p.view.MachinesListed {
		return // one at a time; what is launched in this very pass is no member yet
	}
	if p.database.changing() {
		return // who takes writes is being settled: nobody else is touched
	}
	for i := range p.members {
		if m := &p.members[i]; m.chosen && m.standing == sick && !p.database.stays(m) {
			p.replaced()
			p.terminate(m, "terminate", "it ends and comes back in its place: "+m.ailment.reason)
			return
		}
	}
	if have >= desired && p.count(sick) == 0 && p.rolloutMayGoOn() {
		if m := p.oldest(); m != nil && p.database.stays(m) {
			return
		} else if m != nil && p.waits(m) {
			p.holdRollout(m)
		} else if m != nil {
			why := fmt.Sprintf("it comes back in its place as generation %s", short(p.role.Generation)) + p.overruled(m)
			if p.count(serving) == 1 {
				p.terminate(m, "terminate", why)
				return
			}
			p.leave(m, why)
		}
	}
}
