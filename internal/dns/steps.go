package dns

import (
	"maps"
	"slices"
)

// Held is what a zone holds at one name. The zero value: nothing.
type Held struct {
	// Owner is who the ownership text names, Owned whether there is one.
	Owner string
	Owned bool
	Record
	// Other is what stands there that a publisher never makes ("a CNAME record"); "" for nothing.
	Other string
}

// Step is what is to be done to one name so that it stands as wanted.
type Step struct {
	Name     string
	Old, New Record
	Claim    bool // its ownership is to be written
	Withdraw bool // its ownership is to be removed
}

// Steps compares what is wanted with what stands, name by name in order:
//
//	stands        wanted              step
//	nothing       addresses, or none  claim, write what there is
//	ours          another answer      write
//	ours          no longer           withdraw
//	another's     anything            none; a conflict
//	another's     no longer           none: it was never ours, or is no longer
func Steps(owner string, former, want []Record, held func(name string) Held) (steps []Step, conflicts []error) {
	wanted := byName(want)
	for _, name := range slices.Sorted(maps.Keys(byName(former, want))) {
		w, isWanted := wanted[name]
		h := held(name)
		free := !h.Owned && h.Other == "" && len(h.Addresses) == 0
		ours := h.Owned && h.Owner == owner && h.Other == ""
		step := Step{Name: name, Old: h.Record, New: w}
		switch {
		case isWanted && free:
			step.Claim = true
		case isWanted && ours:
			if h.Equal(w) || len(w.Addresses) == 0 && len(h.Addresses) == 0 {
				continue
			}
		case isWanted:
			conflicts = append(conflicts, &ConflictError{Name: name, Holder: h.holder(owner)})
			continue
		case ours:
			step.Withdraw = true
		default:
			continue
		}
		steps = append(steps, step)
	}
	return steps, conflicts
}

func (h Held) holder(owner string) string {
	switch {
	case h.Other != "":
		return h.Other
	case h.Owned && h.Owner != owner:
		return "another farm (its owner is " + h.Owner + ", as the TXT record " + OwnershipName(h.Name) + " says)"
	}
	return "a record that no farm has made (no TXT record " + OwnershipName(h.Name) + ")"
}

func byName(lists ...[]Record) map[string]Record {
	m := map[string]Record{}
	for _, l := range lists {
		for _, r := range l {
			m[canonical(r.Name)] = Record{Name: canonical(r.Name), TTL: r.TTL, Addresses: Sorted(r.Addresses)}
		}
	}
	return m
}

// Change is what the step does, for who is told.
func (s Step) Change() Change {
	return Change{Name: s.Name, Old: s.Old.Addresses, New: s.New.Addresses, Withdrawn: s.Withdraw}
}

// Before is what may stand published once want is being published: to be written down first, so that whoever goes on
// after a crash knows every name.
func Before(former, want []Record) []Record {
	known := byName(former)
	for name := range byName(want) {
		if _, ok := known[name]; !ok {
			known[name] = Record{Name: name}
		}
	}
	return sorted(known)
}

// After is what stands published after err: what was wanted without error; the names in conflict are not ours.
// For an error of another kind, nothing new is known and Before stays.
func After(former, want []Record, err error) []Record {
	known := byName(want)
	if err == nil {
		return sorted(known)
	}
	conflicts := Conflicts(err)
	if len(conflicts) == 0 {
		return Before(former, want)
	}
	for _, c := range conflicts {
		delete(known, canonical(c.Name))
	}
	return sorted(known)
}

func sorted(records map[string]Record) []Record {
	var all []Record
	for _, name := range slices.Sorted(maps.Keys(records)) {
		all = append(all, records[name])
	}
	return all
}
