package engine

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/farmhand/terraform-provider-farmhand/internal/spec"
)

// minSamples that a scale-out rests on, and a scale-in: one sample never decides.
const minSamples = 2

// wish is a policy's vote while it is being counted.
type wish struct {
	policy *Policy
	vote   Vote
	level  float64 // what the vote rests on, to be compared with at the next
}

// wishes asks every policy with a metric, in the order of their names. Schedules move the envelope instead; see envelope.
func (p *pass) wishes(base int) []*wish {
	var all []*wish
	p.memory.Spells = nil
	for _, policy := range p.policies() {
		if !policy.Spec.Votes() {
			continue
		}
		w := &wish{policy: policy}
		w.vote = Vote{Policy: policy.Spec.Name, Kind: policy.Spec.Kind(), Want: base, Value: policy.Measure.Value, Age: brief(policy.Measure.Age)}
		if p.measured(w) {
			of := base - p.unmeasured()
			w.vote.Want = of
			switch w.vote.Kind {
			case spec.KindTarget:
				p.target(w, of)
			case spec.KindStep:
				p.steps(w, of)
			case spec.KindThreshold:
				p.threshold(w, of)
			case spec.KindQueue:
				p.queue(w, of)
			}
			w.vote.Want += base - of
			p.stabilize(w, base)
		} else {
			p.keepSpells(w.vote.Policy)
		}
		w.vote.Want = min(max(w.vote.Want, 0), spec.MaxServers)
		all = append(all, w)
		p.account.Votes = append(p.account.Votes, w.vote)
	}
	return all
}

// policies are the role's, by name.
func (p *pass) policies() []*Policy {
	all := make([]*Policy, len(p.role.Policies))
	for i := range p.role.Policies {
		all[i] = &p.role.Policies[i]
	}
	slices.SortFunc(all, func(a, b *Policy) int { return cmp.Compare(a.Spec.Name, b.Spec.Name) })
	return all
}

// measured tells whether there is anything to vote on. What cannot be measured blocks scaling in and nothing else: a
// server that says nothing is not an idle one. What is measured in part blocks it too, and may still ask for more.
func (p *pass) measured(w *wish) bool {
	m, v := w.policy.Measure, &w.vote
	what := called(*w.policy.Spec.Metric)
	switch {
	case m.Problem != "":
		v.Abstain, v.Blocks, v.Value, v.Age = true, true, 0, ""
		v.Reason = fmt.Sprintf("%s is not known: %s", what, m.Problem)
		if p.count(serving, sick) > 0 && p.oldestServed() > deafAfter {
			p.hold("unmeasured:"+v.Policy, warning, fmt.Sprintf("policy %s of role %s cannot vote: %s; nothing is removed meanwhile, and other policies may still add", v.Policy, p.role.Spec.Name, v.Reason), nil)
		}
		return false
	case m.Servers == 0 && w.vote.Kind != spec.KindQueue || m.Samples < minSamples: // what waits is known at no server, too
		v.Abstain, v.Blocks = true, true
		v.Reason = fmt.Sprintf("%s is not known yet: %s of %s", what, plural(m.Samples, "sample"), servers(m.Servers))
		return false
	case !sane(m.Floor) || !sane(m.Peak) || !sane(m.Value):
		v.Abstain, v.Blocks, v.Value = true, true, 0
		v.Reason = what + " is not known: what was measured is no number"
		return false
	}
	v.Blocks = m.Servers < m.Expected
	return true
}

// deafAfter: a role whose first server has served for so long ought to be measured.
const deafAfter = time.Minute

// oldestServed is for how long the first of those that serve has.
func (p *pass) oldestServed() time.Duration {
	var longest time.Duration
	for i := range p.members {
		if m := &p.members[i]; (m.standing == serving || m.standing == sick) && !m.ServedAt.IsZero() {
			longest = max(longest, p.since(m.ServedAt))
		}
	}
	return longest
}

func sane(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) && v >= 0 }

// shares is by how many servers the role's load is borne: the warm ones that are measured, and those that serve but
// are not warm yet, which bear load all the same.
func (p *pass) shares() int { return p.count(serving, sick) - p.unmeasured() }

// unmeasured are the servers that no policy speaks of: the primary of a database that has replicas. Measurements are of
// these, and so are the numbers that follow; it comes on top.
func (p *pass) unmeasured() int {
	if db := p.role.Database; p.role.Replicated && db != nil && db.Primary != "" && p.count(serving, sick) > 1 {
		return 1
	}
	return 0
}

// needed is the number of servers that brings a total to level each, rounded up but for what floating point adds.
func needed(total, level float64) int {
	n := math.Ceil(total/level - 1e-9)
	if n > spec.MaxServers {
		return spec.MaxServers
	}
	return int(n)
}

// calmMargin keeps at least this much between the level at which a server is removed and the one at which the
// remaining ones would call for another, whatever the tolerance.
const calmMargin = 0.05

// cooling tells whether the policy itself grew the role a short while ago and its metric has not risen since.
func (p *pass) cooling(w *wish, level float64) (time.Duration, bool) {
	left := w.policy.Spec.Cooldown.Std() - p.since(p.memory.LastScaleOut)
	own := p.memory.GrownBy == w.policy.Spec.Name && !p.memory.LastScaleOut.IsZero()
	return left, own && left > 0 && !p.rose(w, level)
}

// rose tells whether the metric is clearly higher than when the policy last grew the role: more servers, and still more load on each.
func (p *pass) rose(w *wish, level float64) bool {
	return p.memory.GrownBy == w.policy.Spec.Name && level > p.memory.GrownValue*(1+calmMargin)
}
