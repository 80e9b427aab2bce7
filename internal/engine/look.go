package engine

import (
	"time"

	"github.com/farmhand/terraform-provider-farmhand/internal/state"
)

// Look is what a View says of one role beside its number: how its servers stand, and what is left of the budgets of
// launching and healing. It is for those who explain; nothing is decided on it.
type Look struct {
	Servers []Standing `json:"servers"` // by index
	// TurnOf is how many sick ones may be under replacement at once, and Replaced how many were a short while ago.
	TurnOf   int `json:"replaced_at_once"`
	Replaced int `json:"recently_replaced"`
	// Launches of the present generation that failed in a row, of those that are tried before it is given up.
	Failures      int            `json:"launch_failures"`
	FailureBudget int            `json:"launch_failure_budget"`
	FailedLast    string         `json:"failed_last,omitempty"`
	Failure       *state.Failure `json:"failure,omitempty"`
	DiedYoung     int            `json:"died_young"` // lately
	// MayLaunch is from when on a launch is allowed, zero if it is now.
	MayLaunch time.Time `json:"may_launch,omitzero"`
}

// Standing is how a server stands.
type Standing struct {
	Name     string        `json:"name"`
	Phase    state.Phase   `json:"phase"`
	Standing string        `json:"standing"` // coming, serving, sick, leaving or gone
	For      time.Duration `json:"for"`      // in its phase; nanoseconds
	Why      string        `json:"why,omitempty"`
	Waits    string        `json:"waits,omitempty"`  // what its shutdown hook says that keeps it from being chosen to leave
	Chosen   bool          `json:"chosen,omitempty"` // a sick one whose turn it is to be replaced
	Old      bool          `json:"old,omitempty"`    // of another generation than the role's
}

// LookAt looks at a role of the View; ok is false if it is not in it.
func LookAt(view View, role string) (l Look, ok bool) {
	passes := make([]*pass, len(view.Roles))
	var p *pass
	for i := range view.Roles {
		passes[i] = newPass(&view, &view.Roles[i])
		passes[i].live()
		if view.Roles[i].Spec.Name == role {
			p = passes[i]
		}
	}
	if p == nil {
		return l, false
	}
	replaced := p.recentlyReplaced()
	p.diagnose(farmFellSilent(passes))
	p.heedNotices()
	l = Look{TurnOf: max(1, int(replaceShare*float64(p.count(serving, sick)))), Replaced: replaced, FailureBudget: launchBudget, DiedYoung: len(p.diedYoung())}
	for i := range p.members {
		m := &p.members[i]
		s := Standing{Name: m.Name(), Phase: m.Phase, Standing: string(m.standing), For: p.since(m.Since), Why: m.ailment.reason, Chosen: m.chosen, Old: m.old}
		if p.waits(m) {
			s.Waits = orElse(m.Report.Wait.Reason, "wait")
		}
		l.Servers = append(l.Servers, s)
	}
	mem := &p.memory
	if mem.LaunchFailures > 0 && mem.FailedGeneration == p.role.Generation {
		l.Failures, l.FailedLast, l.Failure = mem.LaunchFailures, mem.FailedInstance, mem.LastFailure
		l.MayLaunch = mem.RetryAt
		if mem.LaunchFailures >= launchBudget {
			l.MayLaunch = mem.FailedAt.Add(forgiveAfter)
		}
	}
	if t := p.youngRetry(); t.After(l.MayLaunch) {
		l.MayLaunch = t
	}
	if !l.MayLaunch.After(view.Now) {
		l.MayLaunch = time.Time{}
	}
	return l, true
}

// Brief is a duration as one would say it: "3.2s", "45s", "12m", "3h20m".
func Brief(d time.Duration) string { return brief(d) }
