package engine

import (
	"fmt"
	"slices"
	"time"

	"github.com/farmhand/terraform-provider-farmhand/internal/spec"
	"github.com/farmhand/terraform-provider-farmhand/internal/state"
)

// What must last is counted from the engine's memory: since when a policy has wanted the same at every tick. A tick at
// which its metric is not known neither ends that nor lengthens it, and a gap of more than a few ticks ends it: whoever
// was away did not see whether it held.

// spellGap is how long a spell may go unseen, and spellTicks the same in ticks of a slow farm.
// spellStep is how often a spell that goes on is remembered anew: memory that changes is written down.
const (
	spellGap   = 30 * time.Second
	spellTicks = 3
	spellStep  = 10 * time.Second
)

// spell goes on with the policy's spell, or begins one, and tells for how long it has lasted.
func (p *pass) spell(policy, of string) time.Duration {
	s := state.Spell{Policy: policy, Of: of, Since: p.now, Seen: p.now}
	if was, ok := p.wasSpell(policy, of); ok {
		s.Since = was.Since
		if p.since(was.Seen) < spellStep {
			s.Seen = was.Seen
		}
	}
	p.memory.Spells = append(p.memory.Spells, s) // a slice of this pass' own; see wishes
	return p.since(s.Since)
}

func (p *pass) wasSpell(policy, of string) (state.Spell, bool) {
	for _, s := range p.role.Memory.Spells {
		if s.Policy == policy && s.Of == of && p.lives(s) {
			return s, true
		}
	}
	return state.Spell{}, false
}

func (p *pass) lives(s state.Spell) bool {
	gap := p.since(s.Seen)
	return gap >= 0 && gap <= max(spellGap, spellTicks*p.view.Farm.Tick.Std()) && !s.Since.After(s.Seen)
}

// keepSpells leaves the policy's as they are at a tick that says nothing of them.
func (p *pass) keepSpells(policy string) {
	for _, s := range p.role.Memory.Spells {
		if s.Policy == policy && p.lives(s) {
			p.memory.Spells = append(p.memory.Spells, s)
		}
	}
}

// endSpells lets the policy's begin anew: they have led to what they were for.
func (p *pass) endSpells(policy string) {
	p.memory.Spells = slices.DeleteFunc(p.memory.Spells, func(s state.Spell) bool { return s.Policy == policy })
}

// stabilize holds a vote to grow back until it has lasted for the policy's window. Of a threshold the breach duration
// comes first, and the window after it.
func (p *pass) stabilize(w *wish, base int) {
	window := w.policy.Spec.ScaleOut.Window(0).Std()
	if window == 0 || w.vote.Abstain || w.vote.Want <= base {
		return
	}
	if w.vote.Kind == spec.KindThreshold {
		window += w.policy.Spec.Threshold.BreachDuration.Std() // its spell of growing is the breach itself
	}
	lasted := time.Duration(0)
	if i := slices.IndexFunc(p.memory.Spells, func(s state.Spell) bool { return s.Policy == w.vote.Policy && s.Of == state.Out }); i >= 0 {
		lasted = p.since(p.memory.Spells[i].Since)
	} else {
		lasted = p.spell(w.vote.Policy, state.Out)
	}
	if lasted < window {
		w.vote.Want = base
		w.vote.Reason += fmt.Sprintf("; this must last for %s, and has for %s", brief(window), brief(lasted))
	}
}
