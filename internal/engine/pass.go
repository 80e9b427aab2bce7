package engine

import (
	"cmp"
	"slices"
	"time"

	"github.com/farmhand/terraform-provider-farmhand/internal/state"
)

// pass is the decision on one role while it is being made.
type pass struct {
	view    *View
	role    *Role
	now     time.Time
	members []member // by index
	// temporary is the instance that is none of the role's servers, nil for none; see temporary.go.
	temporary *member
	// memory is a copy. Its slices are those of the View: they are replaced, never written to.
	memory    state.Memory
	account   Account
	decisions []Decision
	holds     []hold
	// minBy and maxBy name the policies that narrow the envelope now ("schedule night"); empty: the role's own.
	minBy, maxBy string
	// histories are what forecasts have learnt, by policy.
	histories map[string]state.History
	// lost are the reasons for replacing what was found lost at this tick; see reasonToLaunch.
	lost     []string
	database *database // of a replicated role, once keepDatabase has been
	// backups is how the role's backups stand now, nil for a role without.
	backups *state.Backups
	// replacing counts the chosen sick that a launch of this tick has been named after.
	replacing int
}

// member is an instance and what this pass makes of it.
type member struct {
	*Instance
	standing standing
	old      bool    // of another generation than the role's
	ailment  ailment // of a sick one
	chosen   bool    // a sick one whose turn it is to be replaced
}

// standing is what an instance counts as.
type standing string

const (
	coming  standing = "coming"  // on its way to serving
	serving standing = "serving" // serves and is well
	sick    standing = "sick"    // meant to serve, and does not
	leaving standing = "leaving" // on its way out; its index is taken
	gone    standing = "gone"    // its index is free
)

func newPass(view *View, role *Role) *pass {
	p := &pass{view: view, role: role, now: view.Now, memory: notAfter(view.Now, role.Memory)}
	p.members = make([]member, 0, len(role.Instances))
	for i := range role.Instances {
		in := &role.Instances[i]
		m := member{Instance: in, old: in.Generation != role.Generation}
		if in.Temporary() {
			p.temporary = &m
			continue
		}
		p.members = append(p.members, m)
	}
	slices.SortFunc(p.members, func(a, b member) int { return cmp.Compare(a.Index, b.Index) })
	p.account = Account{Role: role.Spec.Name}
	return p
}

// notAfter brings the memory of a clock that was ahead back to now: a time yet to come would hold everything up until
// then.
func notAfter(now time.Time, m state.Memory) state.Memory {
	for _, t := range []*time.Time{&m.LastScaleOut, &m.LastScaleIn, &m.LowSince, &m.FailedAt, &m.BurstSince} {
		if t.After(now) {
			*t = now
		}
	}
	if slices.ContainsFunc(m.Reversals, now.Before) {
		m.Reversals = slices.Clone(m.Reversals)
		for i := range m.Reversals {
			if now.Before(m.Reversals[i]) {
				m.Reversals[i] = now
			}
		}
	}
	if latest := now.Add(lastRetry); m.RetryAt.After(latest) {
		m.RetryAt = latest
	}
	return m
}

func (p *pass) ending() bool { return p.view.Deleting || p.role.Deleting }

func (p *pass) count(s ...standing) int {
	n := 0
	for i := range p.members {
		if slices.Contains(s, p.members[i].standing) {
			n++
		}
	}
	return n
}

// chosen counts the sick ones whose turn it is.
func (p *pass) chosen() int {
	n := 0
	for i := range p.members {
		if p.members[i].chosen {
			n++
		}
	}
	return n
}

// freeIndex is the lowest that nobody holds. taken grows with what this pass launches.
func (p *pass) freeIndex(taken map[int]bool) int {
	for i := 1; ; i++ {
		if !taken[i] {
			return i
		}
	}
}

func (p *pass) takenIndexes() map[int]bool {
	taken := make(map[int]bool, len(p.members))
	for i := range p.members {
		if p.members[i].standing != gone {
			taken[p.members[i].Index] = true
		}
	}
	return taken
}

func (p *pass) decide(d Decision) {
	d.Role = p.role.Spec.Name
	if d.Kind != "" && d.Level == "" {
		d.Level = info
	}
	p.decisions = append(p.decisions, d)
}

// about is a Decision on a member.
func (m *member) about(a Action, kind, level, reason string) Decision {
	return Decision{Action: a, Instance: m.Name(), Index: m.Index, Kind: kind, Level: level, Reason: reason}
}

// Levels of an event.
const (
	info    = "info"
	warning = "warning"
	failure = "error"
)

// machineID is what the platform calls its machine; empty if it never told.
func (m *member) machineID() string {
	if m.Machine != nil {
		return m.Machine.ID
	}
	return m.PlatformID
}

// absent tells that the platform was asked and has no machine for it.
func (p *pass) absent(m *member) bool { return p.view.MachinesListed && m.Machine == nil }

func (p *pass) since(t time.Time) time.Duration { return p.now.Sub(t) }
