package engine

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/farmhand/terraform-provider-farmhand/internal/spec"
	"github.com/farmhand/terraform-provider-farmhand/internal/state"
)

// Pace of scaling.
const (
	// Within burstPeriod a role grows by at most burstServers or its own size again, whichever is more: Kubernetes'
	// default limit on scaling up, which a real rise seldom meets and a runaway metric does.
	burstPeriod  = 15 * time.Second
	burstServers = 4
	// idleHold: a role without any metric policy keeps its size for this long before it goes down to its minimum.
	// Terraform replaces a policy by deleting and creating it; the moment between is no wish to shrink.
	idleHold = 30 * time.Second
)

// size chooses how many servers there are to be, and accounts for it.
func (p *pass) size() {
	a := &p.account
	a.Serving, a.Coming = p.count(serving), p.count(coming)
	if p.ending() {
		a.Desired, a.Reason = 0, "the role is being deleted"
		p.memory.Desired = 0
		return
	}
	p.envelope()
	p.forecasts()
	current := p.memory.Desired
	if current == 0 && !p.memory.Sized { // the first decision, or one whose memory is lost: what is there is what was wanted
		current = p.count(serving, sick, coming)
	}
	// What was wanted before is brought into the envelope first, so that votes are about what may be.
	base := min(max(current, a.Min), a.Max)
	n, reason, set := p.setByHand(base)
	if !set {
		n, reason = p.vote(base)
	}
	if n == base && base != current {
		reason = p.whyEnvelope(current, base)
	}
	a.Desired, a.Reason = n, reason
	p.remember(current, n)
}

// vote asks the policies: out if any says so, in only if all agree.
func (p *pass) vote(base int) (n int, reason string) {
	wishes := p.wishes(base)
	if len(wishes) == 0 {
		return p.withoutPolicies(base)
	}
	var out, in *wish
	allLower, voted, most := true, false, base
	for _, w := range wishes {
		if !w.vote.Abstain {
			voted = true
			if w.vote.Want > base {
				// Each within its own pace: a hasty policy that is held back must not hide a slower one that is not.
				if n, _ := p.paced(w, base); out == nil || n > most || n == most && w.vote.Want > out.vote.Want {
					out, most = w, n
				}
			}
			if w.vote.Want >= base {
				allLower = false
			} else if in == nil || w.vote.Want > in.vote.Want {
				in = w
			}
		}
		if w.vote.Blocks {
			allLower = false
		}
	}
	p.watchLow(voted && allLower)
	switch {
	case out != nil:
		return p.grow(base, out)
	case voted && allLower:
		return p.shrink(base, in, wishes)
	}
	return base, p.whyStay(base, wishes)
}

// grow adds servers, at once and as many as are wanted, within the envelope and the pace.
func (p *pass) grow(base int, w *wish) (int, string) {
	a := &p.account
	n, clamps := p.paced(w, base)
	a.Clamps = append(a.Clamps, clamps...)
	if n <= base {
		return base, fmt.Sprintf("%s, but role %s stays at %d: %s", w.vote.Reason, p.role.Spec.Name, base, a.Clamps[len(a.Clamps)-1])
	}
	p.memory.GrownBy, p.memory.GrownValue = w.vote.Policy, w.level
	p.endSpells(w.vote.Policy)
	return n, w.vote.Reason
}

// paced is how many servers a policy that wants more than base gets now, and what keeps it from getting all.
func (p *pass) paced(w *wish, base int) (n int, clamps []string) {
	if n = w.vote.Want; n > p.account.Max {
		clamps = append(clamps, fmt.Sprintf("policy %s wants %s, max %d allows no more", w.vote.Policy, servers(n), p.account.Max))
		n = p.account.Max
	}
	if atMost, per, ok := w.policy.Spec.ScaleOut.Limit(); ok {
		if limit := base + max(0, atMost-p.changed(per.Std(), state.Out)); n > limit {
			clamps = append(clamps, fmt.Sprintf("policy %s wants %s; it adds at most %d within %s", w.vote.Policy, servers(n), atMost, per))
			n = limit
		}
		return n, clamps
	}
	from := base
	if p.since(p.memory.BurstSince) < burstPeriod {
		from = min(base, p.memory.BurstFrom)
	}
	if limit := from + max(burstServers, from); n > limit {
		clamps = append(clamps, fmt.Sprintf("policy %s wants %s; within %s no more than %d are added to %d", w.vote.Policy, servers(n), brief(burstPeriod), limit-from, from))
		n = limit
	}
	return n, clamps
}

// shrink removes servers once everybody has wanted it for long enough: one, or as many as the policies' paces say. By a
// quarter at a time a role comes down from a spike sooner, but in simulation a square wave then found it too small
// twenty times as often. Never more than the most careful of them wants.
func (p *pass) shrink(base int, w *wish, wishes []*wish) (int, string) {
	a := &p.account
	n, why := p.fewer(base, w.vote.Want, wishes)
	if why == "" {
		for _, each := range wishes {
			p.endSpells(each.vote.Policy)
		}
		return n, w.vote.Reason
	}
	if base > a.Min {
		a.Clamps = append(a.Clamps, "no server is removed now: "+why)
	}
	return base, fmt.Sprintf("%s; role %s stays at %d: %s", w.vote.Reason, p.role.Spec.Name, base, why)
}

// fewer is down to how many servers the role may go now, or why not.
func (p *pass) fewer(base, want int, wishes []*wish) (n int, why string) {
	rest, wait := p.stabilisation(wishes)
	if len(p.memory.Boots) > 0 {
		rest = max(rest, p.bootTime()) // what was added is to be there first, and to be felt
	}
	grown := p.memory.LastScaleOut
	atMost, limited := p.mayRemove(wishes)
	removable, kept := p.removable()
	switch {
	case base <= p.account.Min:
		return base, fmt.Sprintf("min is %d%s", p.account.Min, by(p.minBy))
	case !p.view.MachinesListed:
		return base, "the platform could not be asked what it holds"
	case p.count(coming) > 0:
		return base, fmt.Sprintf("%s still coming up", serversAre(p.count(coming)))
	case p.chosen() > 0:
		return base, fmt.Sprintf("%s being replaced", serversAre(p.chosen()))
	case p.count(leaving) > 0:
		return base, fmt.Sprintf("%s still leaving", serversAre(p.count(leaving)))
	case !grown.IsZero() && p.since(grown) < rest:
		return base, fmt.Sprintf("its number changed %s ago, and must rest for %s", brief(p.since(grown)), brief(rest))
	case atMost < 1:
		return base, limited
	case p.since(p.memory.LowSince) < wait:
		return base, fmt.Sprintf("this must last for %s, and has for %s", brief(wait), brief(p.since(p.memory.LowSince)))
	case removable < 1:
		return base, kept
	}
	if why := p.outOfReversals(); why != "" {
		return base, why
	}
	return max(want, base-atMost, base-removable, p.account.Min), ""
}

// stabilisation is how long the role rests after it has grown, and how long all must have wanted fewer.
func (p *pass) stabilisation(wishes []*wish) (rest, wait time.Duration) {
	rest, wait = minStabilisation, minStabilisation
	for _, w := range wishes {
		if !w.vote.Abstain {
			rest = max(rest, w.policy.Spec.Cooldown.Std())
			usual := w.policy.Spec.Cooldown
			if w.policy.Spec.Threshold != nil {
				usual = 0 // its breach has lasted before it wants anything
			}
			wait = max(wait, w.policy.Spec.ScaleIn.Window(usual).Std())
		}
	}
	return rest, wait
}

// mayRemove is how many servers all policies' paces allow to remove now, and what forbids it if none.
func (p *pass) mayRemove(wishes []*wish) (atMost int, why string) {
	atMost = spec.MaxServers
	for _, w := range wishes {
		if w.vote.Abstain {
			continue
		}
		may, this := 1, ""
		if most, per, ok := w.policy.Spec.ScaleIn.Limit(); ok {
			may = most - p.changed(per.Std(), state.In)
			this = fmt.Sprintf("policy %s removes at most %d within %s", w.vote.Policy, most, per)
		} else if rest := max(minStabilisation, w.policy.Spec.Cooldown.Std()); !p.memory.LastScaleIn.IsZero() && p.since(p.memory.LastScaleIn) < rest {
			may = 0
			this = fmt.Sprintf("its number changed %s ago, and must rest for %s", brief(p.since(p.memory.LastScaleIn)), brief(rest))
		}
		if may < atMost {
			atMost, why = may, this
		}
	}
	return atMost, why
}

// minStabilisation: samples of the last server's work are out of every window by then.
const minStabilisation = 10 * time.Second

// withoutPolicies: nothing but the envelope speaks.
func (p *pass) withoutPolicies(base int) (int, string) {
	p.watchLow(base > p.account.Min)
	if base == p.account.Min {
		return base, fmt.Sprintf("no policy asks for more than min %d", base)
	}
	if p.since(p.memory.LowSince) < idleHold {
		return base, fmt.Sprintf("no policy asks for more than min %d; role %s stays at %d for %s more, should one come", p.account.Min, p.role.Spec.Name, base, brief(idleHold-p.since(p.memory.LowSince)))
	}
	if why := p.outOfReversals(); why != "" {
		return base, fmt.Sprintf("no policy asks for more than min %d; role %s stays at %d: %s", p.account.Min, p.role.Spec.Name, base, why)
	}
	return p.account.Min, fmt.Sprintf("no policy asks for more than min %d", p.account.Min)
}

// watchLow remembers since when fewer are wanted.
func (p *pass) watchLow(low bool) {
	switch {
	case !low:
		p.memory.LowSince = time.Time{}
	case p.memory.LowSince.IsZero():
		p.memory.LowSince = p.now
	}
}

// remember keeps the number, and says when it changed.
func (p *pass) remember(current, n int) {
	first := p.role.Memory.Desired == 0 && !p.role.Memory.Sized
	p.memory.Sized = true
	if !first {
		p.turn(n - current)
	}
	p.account.Reversals, p.account.Budget = p.reversals(), p.budget()
	if n > current {
		if !first && p.since(p.memory.BurstSince) >= burstPeriod { // what a role begins with is no burst
			p.memory.BurstSince, p.memory.BurstFrom = p.now, current
		}
		p.memory.LastScaleOut = p.now
		if !first {
			p.decide(Decision{Action: Note, Kind: "scale-out", Level: info, Reason: fmt.Sprintf("role %s grows from %d to %d: %s", p.role.Spec.Name, current, n, p.account.Reason)})
		}
	}
	if n < current {
		p.memory.LastScaleIn = p.now
		p.decide(Decision{Action: Note, Kind: "scale-in", Level: info, Reason: fmt.Sprintf("role %s shrinks from %d to %d: %s", p.role.Spec.Name, current, n, p.account.Reason)})
	}
	p.memory.Desired = n
	if n == p.account.Max && n > p.account.Min {
		// Said once for as long as it stays there: a metric that trembles at the edge would say it all the time.
		switch {
		case p.wantsMore():
			p.hold("max", warning, fmt.Sprintf("role %s is at its max of %d and its policies want more", p.role.Spec.Name, n), nil)
		case p.held("max"):
			p.holds = append(p.holds, hold{key: "max", quiet: true})
		}
	}
}

func (p *pass) wantsMore() bool {
	return slices.ContainsFunc(p.account.Votes, func(v Vote) bool { return !v.Abstain && v.Kind != byHand && v.Want > p.account.Max })
}

func (p *pass) whyEnvelope(current, n int) string {
	if n > current {
		return fmt.Sprintf("min is %d%s", p.account.Min, by(p.minBy))
	}
	return fmt.Sprintf("max is %d%s", p.account.Max, by(p.maxBy))
}

func by(policy string) string {
	if policy == "" {
		return ""
	}
	return " by " + policy
}

// explainLaunches says in the account when fewer were launched than are missing.
func (p *pass) explainLaunches(missing, launched int, why string) {
	if launched < missing && why != "" {
		p.account.Clamps = append(p.account.Clamps, fmt.Sprintf("%s missing: %s", serversAre(missing-launched), why))
	}
}

// whyStay tells the reason for there being no change: the vote that stands against one.
func (p *pass) whyStay(base int, wishes []*wish) string {
	against := slices.MinFunc(wishes, func(a, b *wish) int {
		return cmp.Or(compareBool(b.vote.Blocks, a.vote.Blocks), compareBool(a.vote.Abstain, b.vote.Abstain), cmp.Compare(b.vote.Want, a.vote.Want), cmp.Compare(a.vote.Policy, b.vote.Policy))
	})
	return fmt.Sprintf("%s: role %s stays at %d", against.vote.Reason, p.role.Spec.Name, base)
}

// serversAre is "1 server is" or "3 servers are".
func serversAre(n int) string {
	if n == 1 {
		return servers(n) + " is"
	}
	return servers(n) + " are"
}
