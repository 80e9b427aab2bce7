package engine

import (
	"cmp"
	"fmt"
	"slices"
)

// A generation is rolled out one server at a time. The next step is taken only when everybody serves, so a
// generation that does not come up stops with one server, and the old ones go on serving.

// surge is by how many the role may exceed its number now, for the roll-out: 1 while the new one comes up beside the
// old ones, also above max.
func (p *pass) surge() (n int, rollout bool) {
	if p.oldest() == nil {
		return 0, false
	}
	goOn := p.rolloutMayGoOn()
	if onTheirWay := p.count(coming); onTheirWay > 0 {
		// The new one is coming, beside all the others: let it.
		if p.count(serving, sick)+onTheirWay-p.chosen() > p.account.Desired {
			return 1, true
		}
		return 0, false
	}
	if p.chosen() > 0 || p.count(leaving) > 0 {
		return 0, false // first things first: the sick are replaced, and what left is gone
	}
	if p.count(serving, sick) < p.account.Desired || !goOn {
		return 0, false
	}
	if m := p.oldest(); p.waits(m) { // so do all: a successor would only stand beside them
		if p.count(serving, sick) == p.account.Desired { // else there is one already, and that is said
			p.holdRollout(m)
		}
		return 0, false
	}
	return 1, true
}

// rolloutMayGoOn tells whether the role's generation comes up, as far as is known; says so where it does not.
func (p *pass) rolloutMayGoOn() bool {
	mem := &p.memory
	if p.oldest() == nil || mem.LaunchFailures == 0 || mem.FailedGeneration != p.role.Generation {
		return true
	}
	stays := fmt.Sprintf("%s of the former generation keep serving", servers(p.count(serving, sick)))
	if mem.LaunchFailures >= launchBudget {
		p.hold("rollout-stopped", failure, fmt.Sprintf("the roll-out of generation %s of role %s stops: %s. %s", short(p.role.Generation), p.role.Spec.Name, p.failureStory(), stays), mem.LastFailure)
		return false
	}
	p.hold("rollout-waits", warning, fmt.Sprintf("the roll-out of generation %s of role %s waits: %s did not come up; it is tried again. %s",
		short(p.role.Generation), p.role.Spec.Name, mem.FailedInstance, stays), mem.LastFailure)
	return !p.now.Before(mem.RetryAt)
}

// oldest is the next to be replaced by the role's generation, nil if none is left: followers before a primary, and those
// whose shutdown hook says wait after those that may leave.
func (p *pass) oldest() *member {
	var old []*member
	for i := range p.members {
		if m := &p.members[i]; m.old && (m.standing == serving || m.standing == sick) {
			old = append(old, m)
		}
	}
	if len(old) == 0 {
		return nil
	}
	return slices.MinFunc(old, func(a, b *member) int {
		return cmp.Or(compareBool(p.keepsOffice(a), p.keepsOffice(b)), compareBool(p.waits(a), p.waits(b)), a.Created.Compare(b.Created), cmp.Compare(a.Index, b.Index))
	})
}

// compareBool puts false first.
func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	}
	return 1
}
