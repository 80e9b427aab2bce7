package engine

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/farmhand/terraform-provider-farmhand/internal/state"
)

// keepFleet brings a role of interchangeable servers to its number. Whoever is to go, goes after its replacement
// serves: the chosen sick and the servers of an older generation are replaced launch first.
//
// Three numbers say it all: there shall be desired servers; the chosen sick are not counted, so that for a while there
// may be as many more than max; and one more may come while a generation is rolled out.
func (p *pass) keepFleet() {
	desired := p.account.Desired
	p.cancelSuperseded()
	surge, rollout := p.surge()

	have := p.count(serving, sick, coming) - p.chosen()
	if have < desired+surge {
		missing := desired + surge - have
		allowed, why := p.mayLaunch(missing)
		p.launch(allowed, missing, rollout && have >= desired)
		p.explainLaunches(missing, allowed, why)
	} else {
		p.mayLaunch(0)
	}
	if have > desired+surge {
		p.cancel(have - desired - surge)
	}

	// What serves beyond the number goes. The chosen sick go once enough serve without them.
	up := p.count(serving, sick) - p.chosen()
	if up >= desired {
		for i := range p.members {
			if m := &p.members[i]; m.chosen && m.standing == sick {
				p.replaced()
				p.leave(m, "it is replaced: "+m.ailment.reason)
			}
		}
	}
	var waiting []string
	if up > desired {
		waiting = p.waiting()
	}
	for up > desired {
		v := p.victim()
		if v == nil && len(waiting) > 0 {
			waiting = p.keepWaiting(up, waiting)
			break
		}
		if v == nil {
			p.hold("kept", warning, fmt.Sprintf("role %s is to have %s and keeps %d: the others are protected", p.role.Spec.Name, servers(desired), up), nil)
			break
		}
		p.leave(v, p.whyVictim(v, desired))
		up--
	}
	p.tellWaiting(waiting)
}

// launch plans n servers of the missing at the lowest free indexes.
func (p *pass) launch(n, missing int, rollout bool) {
	taken := p.takenIndexes()
	grown := max(0, p.account.Desired-p.role.Memory.Desired)
	for i := range n {
		index := p.freeIndex(taken)
		taken[index] = true
		if s := p.strayAt(index); s != nil {
			p.hold("stray:"+s.Name, warning, fmt.Sprintf("%s is not launched before machine %s, which has its name and which no record knows, is absent: it may still write to its data", s.Name, s.ID), nil)
			break
		}
		reason := p.account.Reason
		if i < missing-grown {
			reason = p.reasonToReplace(rollout)
		}
		d := Decision{
			Action: Launch, Instance: state.InstanceName(p.role.Spec.Name, index), Index: index,
			Generation: p.role.Generation, Kind: "launch", Reason: reason,
		}
		p.fromSnapshot(&d)
		p.decide(d)
	}
}

// reasonToReplace is the most telling one for a launch that makes the role no larger than it was meant to be.
func (p *pass) reasonToReplace(rollout bool) string {
	if len(p.lost) > 0 {
		why := p.lost[0]
		p.lost = p.lost[1:]
		return why
	}
	if rollout {
		return fmt.Sprintf("generation %s is rolled out, one server at a time", short(p.role.Generation))
	}
	var last string
	nth := 0
	for i := range p.members {
		if m := &p.members[i]; m.chosen && m.standing == sick {
			last = fmt.Sprintf("to replace %s: %s", m.Name(), m.ailment.reason)
			if nth++; nth > p.replacing {
				p.replacing++
				return last
			}
		}
	}
	if last != "" {
		return last
	}
	why := fmt.Sprintf("role %s is to have %s and has %d", p.role.Spec.Name, servers(p.account.Desired), p.count(serving, sick, coming))
	if p.memory.LaunchFailures > 0 && p.memory.FailedInstance != "" {
		why += fmt.Sprintf("; %s did not come up %s ago", p.memory.FailedInstance, brief(p.since(p.memory.FailedAt)))
	}
	return why
}

// cancel ends n of those that are still coming up, the youngest first: they serve nobody yet.
func (p *pass) cancel(n int) {
	var young []*member
	for i := range p.members {
		if m := &p.members[i]; m.standing == coming {
			young = append(young, m)
		}
	}
	slices.SortFunc(young, func(a, b *member) int {
		return cmp.Or(b.Created.Compare(a.Created), cmp.Compare(b.Index, a.Index))
	})
	for _, m := range young[:min(n, len(young))] {
		p.abandon(m, "it is not needed any more")
	}
}

// cancelSuperseded ends what is coming up from an older generation: it would be replaced as soon as it served, and
// if that generation was broken it never would.
func (p *pass) cancelSuperseded() {
	for i := range p.members {
		if m := &p.members[i]; m.standing == coming && m.old {
			p.abandon(m, "a newer generation was declared before it served")
		}
	}
}

// abandon ends an instance that has not served.
func (p *pass) abandon(m *member, why string) {
	if p.absent(m) {
		if m.Phase != state.Planned || p.since(m.Since) > relaunchAfter { // else its launch may be under way
			p.forget(m, why)
		}
		return
	}
	p.terminate(m, "terminate", why)
}

func short(generation string) string {
	if len(generation) > 8 {
		return generation[:8]
	}
	return orElse(generation, "(none)")
}
