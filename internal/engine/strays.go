package engine

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/farmhand/terraform-provider-farmhand/internal/state"
)

// strayAge is how old a machine must be before nobody's knowing it means something: a record may have been written
// after the sidecar read the records and before it listed the machines.
const strayAge = 15 * time.Second

// unmatchedAge is how old a machine of a batch may grow before it must be known whose it is: see platform.Batcher.
const unmatchedAge = 2 * time.Minute

func strayAgeOf(m Machine) time.Duration {
	if m.Token == "" {
		return unmatchedAge
	}
	return strayAge
}

// reap ends machines that no record knows: a launch that a crash cut off, or a role that is gone. Machines whose
// records the engine itself has closed are ended without a word.
func reap(view *View, passes []*pass) []Decision {
	strays := slices.Clone(view.Strays)
	slices.SortFunc(strays, func(a, b Machine) int { return cmp.Compare(a.ID, b.ID) })
	byRole := make(map[string]*pass, len(passes))
	for _, p := range passes {
		byRole[p.role.Spec.Name] = p
		if view.MachinesListed && len(p.role.Memory.Ending) > 0 {
			p.keepEnding(strays)
		}
	}
	var decisions []Decision
	for _, s := range strays {
		p := byRole[s.Role]
		known := p != nil && slices.Contains(p.role.Memory.Ending, s.ID)
		if s.Ending || !known && !view.Deleting && s.Age < strayAgeOf(s) {
			continue
		}
		d := Decision{Action: Reap, Role: s.Role, Instance: s.Name, Machine: s.ID, Level: info}
		if known {
			d.Reason = "its record is closed"
		} else {
			d.Kind, d.Level = "reap", warning
			d.Reason = fmt.Sprintf("machine %s (%s) carries the farm's tags, but no record knows it %s after its launch: ending it", s.ID, orElse(s.Name, "without a name"), brief(s.Age))
			if p != nil {
				p.memory.Ending = with(p.memory.Ending, s.ID)
			}
		}
		decisions = append(decisions, d)
	}
	return decisions
}

// keepEnding forgets the machines that are gone.
func (p *pass) keepEnding(strays []Machine) {
	var kept []string
	for _, id := range p.memory.Ending {
		listed := slices.ContainsFunc(strays, func(s Machine) bool { return s.ID == id })
		if listed || !slices.Contains(p.role.Memory.Ending, id) { // the latter were told to end at this tick
			kept = append(kept, id)
		}
	}
	p.memory.Ending = kept
}

// strayAt is a machine of the index that no record knows, where data belongs to the index: nobody else may write to it
// while that one runs. It is reaped in time.
func (p *pass) strayAt(index int) *Machine {
	if !p.role.Stateful {
		return nil
	}
	for i := range p.view.Strays {
		if s := &p.view.Strays[i]; s.Role == p.role.Spec.Name && s.Name == state.InstanceName(s.Role, index) {
			return s
		}
	}
	return nil
}
