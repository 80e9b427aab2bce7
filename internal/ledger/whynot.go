package ledger

import (
	"fmt"
	"slices"
	"strings"

	"github.com/farmhand/terraform-provider-farmhand/internal/engine"
)

// Actions that can be asked about.
const (
	ScaleOut = "scale-out"
	ScaleIn  = "scale-in"
	Launch   = "launch"
	Replace  = "replace"
)

// Actions are all of them.
var Actions = []string{ScaleOut, ScaleIn, Launch, Replace}

// WhyNot is what stood against an action, and what would have had to be otherwise.
type WhyNot struct {
	Action string `json:"action"`
	// Done: it was not left undone at all, and Reason says why it was done.
	Done   bool   `json:"done"`
	Reason string `json:"reason,omitempty"`
	// Against are what spoke against it: votes, clamps, the state of the servers.
	Against []string `json:"against,omitempty"`
	// Final: it is being deleted, and nothing else matters any more.
	Final bool `json:"final,omitempty"`
	// Otherwise are alternatives, each of which would have led to the action; all of an alternative's parts are needed.
	// Every one was tried: the engine was asked on the record's View, changed so.
	Otherwise [][]string `json:"otherwise,omitempty"`
}

// Ask tells why an action was not taken at the record's first tick. decide is the engine.
func (r *Record) Ask(action string, d Reader, decide func(engine.View) engine.Outcome) (WhyNot, error) {
	if !slices.Contains(Actions, action) {
		return WhyNot{}, fmt.Errorf("%q is nothing that can be asked about: ask why not %s", action, strings.Join(Actions, ", "))
	}
	w := WhyNot{Action: action}
	if r.LeftOut != "" || r.Role() == nil {
		return w, fmt.Errorf("the record of %s does not hold what its decision rested on: %s", d.clock(r.Since), r.LeftOut)
	}
	q := &question{Record: r, Reader: d, decide: decide, role: r.Role().Spec.Name, action: action}
	q.was = decide(r.View)
	account := q.was.Accounts[q.role]
	if q.before = r.Role().Memory.Desired; q.before == 0 { // nothing was decided yet
		q.before = account.Desired
	}
	if q.reached(q.was, r.View) {
		w.Done, w.Reason = true, q.doneWhy(account)
		return w, nil
	}
	w.Against = q.against(account)
	if w.Final = r.View.Deleting || r.Role().Deleting; w.Final {
		return w, nil
	}
	w.Otherwise = q.alternatives()
	return w, nil
}

// question is an action that was not taken.
type question struct {
	*Record
	Reader
	decide func(engine.View) engine.Outcome
	role   string
	action string
	before int // desired at the tick before
	was    engine.Outcome
}

// reached tells whether an outcome is the action.
func (q *question) reached(o engine.Outcome, v engine.View) bool {
	switch q.action {
	case ScaleOut:
		return o.Accounts[q.role].Desired > q.before
	case ScaleIn:
		return o.Accounts[q.role].Desired < q.before
	case Launch:
		return slices.ContainsFunc(o.Decisions, func(d engine.Decision) bool { return d.Role == q.role && d.Action == engine.Launch })
	}
	look, _ := engine.LookAt(v, q.role)
	return slices.ContainsFunc(look.Servers, func(s engine.Standing) bool { return s.Chosen })
}

func (q *question) doneWhy(a engine.Account) string {
	var done []string
	switch q.action {
	case ScaleOut, ScaleIn:
		return fmt.Sprintf("%s went from %d to %d: %s", q.name(), q.before, a.Desired, a.Reason)
	case Launch:
		for _, d := range q.was.Decisions {
			if d.Role == q.role && d.Action == engine.Launch {
				done = append(done, Act(d)+": "+d.Reason)
			}
		}
		return strings.Join(done, "; ")
	}
	look, _ := engine.LookAt(q.View, q.role)
	for _, s := range look.Servers {
		if s.Chosen {
			done = append(done, fmt.Sprintf("%s is being replaced: %s", s.Name, s.Why))
		}
	}
	return strings.Join(done, "; ")
}

// against is what spoke against it.
func (q *question) against(a engine.Account) []string {
	if q.View.Deleting || q.Role().Deleting {
		return []string{a.Reason}
	}
	var list []string
	for _, v := range a.Votes {
		says := fmt.Sprintf("policy %s: %s", v.Policy, v.Reason)
		switch {
		case v.Kind == "manual":
			says = v.Reason
		case v.Kind == "schedule":
			continue
		case q.action == ScaleOut && !v.Abstain && v.Want > q.before, q.action == ScaleIn && !v.Abstain && !v.Blocks && v.Want < q.before:
			continue // spoke for it
		}
		if q.action == ScaleOut || q.action == ScaleIn {
			list = append(list, says)
		}
	}
	list = append(list, a.Clamps...)
	look, _ := engine.LookAt(q.View, q.role)
	switch q.action {
	case ScaleIn:
		if q.before <= a.Min {
			list = append(list, fmt.Sprintf("%d is the least that its bounds allow", a.Min))
		}
	case ScaleOut:
		if q.before >= a.Max {
			list = append(list, fmt.Sprintf("%d is the most that its bounds allow", a.Max))
		}
	case Launch:
		if a.Desired <= a.Serving+a.Coming {
			list = append(list, fmt.Sprintf("nobody is missing: %s wanted, %d serving, %d coming up", servers(a.Desired), a.Serving, a.Coming))
		}
	case Replace:
		sick := false
		for _, s := range look.Servers {
			if s.Standing == "sick" {
				sick = true
				list = append(list, fmt.Sprintf("%s is sick, but it is not its turn: %s", s.Name, s.Why))
			}
		}
		if !sick {
			list = append(list, "no server is sick: every agent reports, and no check that counts fails")
		}
	}
	if len(list) == 0 {
		list = append(list, a.Reason)
	}
	return list
}

// Words tell it to a tired person.
func (w WhyNot) Words(d Reader) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n", d.bold("Why not "+w.Action+"?"))
	if w.Done {
		fmt.Fprintf(&b, "  It was done. %s\n", sentence(w.Reason))
		return b.String()
	}
	b.WriteString("  What spoke against it:\n")
	for _, a := range w.Against {
		fmt.Fprintf(&b, "  - %s\n", sentence(capital(a)))
	}
	switch len(w.Otherwise) {
	case 0:
		if w.Final {
			return b.String()
		}
		b.WriteString("  No change of what was measured, of the bounds or of the waits alone would lead to it.\n")
		return b.String()
	case 1:
		b.WriteString("  It would be done if\n")
	default:
		b.WriteString("  It would be done if any of these were so:\n")
	}
	for _, alternative := range w.Otherwise {
		fmt.Fprintf(&b, "  - %s.\n", strings.Join(alternative, ", and "))
	}
	return b.String()
}
