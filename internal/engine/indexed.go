package engine

import "fmt"

// keepIndexed brings a role to its number whose data belongs to the index: there is never a second server for an
// index while the first may still write, so replacing ends first and launches into the same index once the platform
// confirms that the old machine is absent.
func (p *pass) keepIndexed() {
	desired := p.account.Desired
	p.cancelSuperseded()

	// Those on their way out hold their index, and their place.
	have := p.count(serving, sick, coming, leaving)
	if have < desired {
		allowed, why := p.mayLaunch(desired - have)
		p.launch(allowed, desired, false)
		p.explainLaunches(desired-have, allowed, why)
	} else {
		p.mayLaunch(0)
	}

	staying := p.count(serving, sick, coming)
	if staying > desired {
		p.cancel(min(staying-desired, p.count(coming)))
	}
	for up := p.count(serving, sick); up > desired; up-- {
		v := p.victim()
		if v == nil {
			break
		}
		p.leave(v, p.whyVictim(v, desired))
	}
	if p.count(coming, leaving) > 0 || !p.view.MachinesListed {
		return // one at a time
	}
	for i := range p.members {
		if m := &p.members[i]; m.chosen && m.standing == sick {
			p.replaced()
			p.terminate(m, "terminate", fmt.Sprintf("%s ends and comes back with its data: %s", m.Name(), m.ailment.reason))
			return
		}
	}
	if p.count(sick) == 0 && p.rolloutMayGoOn() {
		if m := p.oldest(); m != nil {
			p.leave(m, fmt.Sprintf("it comes back, with its data, as generation %s", short(p.role.Generation)))
		}
	}
}
