package engine

import (
	"cmp"
	"slices"

	"github.com/farmhand/terraform-provider-farmhand/internal/state"
)

// Decide tells what is to be done at view.Now, and why. It is deterministic, changes nothing that the view points to,
// and may be called concurrently. Cost: linear in roles and instances.
//
// Each role goes through the same steps, one file each: what its instances have come to (lifecycle.go), which of them
// are sick (healing.go) or announced to end (notices.go), who of a replicated database takes writes (database.go), how many there should be (scaling.go, and a file per kind of policy), and what brings it there
// (fleet.go and indexed.go, with victims.go, rollout.go and backoff.go).
func Decide(view View) Outcome {
	out := Outcome{
		Memory:   make(map[string]state.Memory, len(view.Roles)),
		Accounts: make(map[string]Account, len(view.Roles)),
	}
	roles := make([]*Role, len(view.Roles))
	for i := range view.Roles {
		roles[i] = &view.Roles[i]
	}
	slices.SortFunc(roles, func(a, b *Role) int { return cmp.Compare(a.Spec.Name, b.Spec.Name) })

	passes := make([]*pass, len(roles))
	for i, role := range roles {
		passes[i] = newPass(&view, role)
		passes[i].live()
	}
	silent, all := farmFellSilent(passes)
	for _, p := range passes {
		p.diagnose(silent, all)
		p.heedNotices()
		p.keepDatabase()
		p.heedVolumes()
		p.size()
		p.reconcile()
		p.keepBackups()
		p.keepTemporary()
		p.tell()
	}
	out.Decisions = reap(&view, passes)
	for _, p := range passes {
		out.Decisions = append(out.Decisions, p.decisions...)
		out.Memory[p.role.Spec.Name] = p.memory
		out.Accounts[p.role.Spec.Name] = p.account
		if db := p.database.outcome(); db != nil {
			if out.Databases == nil {
				out.Databases = map[string]state.Database{}
			}
			out.Databases[p.role.Spec.Name] = *db
		}
		if p.backups != nil {
			if out.Backups == nil {
				out.Backups = map[string]state.Backups{}
			}
			out.Backups[p.role.Spec.Name] = *p.backups
		}
		if p.histories != nil {
			if out.Histories == nil {
				out.Histories = map[string]map[string]state.History{}
			}
			out.Histories[p.role.Spec.Name] = p.histories
		}
	}
	return out
}

// reconcile brings the role to its number.
func (p *pass) reconcile() {
	switch {
	case p.ending():
		p.endEverything()
	case p.role.Stateful || p.role.InPlace:
		p.keepIndexed()
	default:
		p.keepFleet()
	}
}
