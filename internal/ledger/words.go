package ledger

import (
	"fmt"
	"strings"
	"time"

	"github.com/farmhand/terraform-provider-farmhand/internal/engine"
)

// Reader is who the words are for.
type Reader struct {
	Now  time.Time      // ages are told from here
	Zone *time.Location // times are told in; nil: UTC
	// Next is when the record behind this one began, zero if this is the newest.
	Next time.Time
	// Bold marks a heading; nil: no marks.
	Bold func(string) string
}

func (d Reader) clock(t time.Time) string {
	zone := d.Zone
	if zone == nil {
		zone = time.UTC
	}
	return t.In(zone).Format("Mon 2 Jan 15:04:05 MST")
}

func (d Reader) bold(s string) string {
	if d.Bold == nil {
		return s
	}
	return d.Bold(s)
}

// Words tell the record to a tired person: what there was and what was decided, what was measured, how the policies
// voted, what limited it, and what was left of the budgets. Of a record that held for a while the last account counts,
// and the decisions are those that it began with.
func (r *Record) Words(d Reader) string {
	var b strings.Builder
	a := r.Account
	b.WriteString(r.Head(d) + "\n")
	fmt.Fprintf(&b, "%s.\n", r.numbers(a))
	fmt.Fprintf(&b, "%s\n", sentence(capital(r.verdict())))
	r.section(&b, d, "What was done", r.done())
	r.section(&b, d, "What was measured", r.measured())
	r.section(&b, d, "How the policies voted", r.votes())
	r.section(&b, d, "What limited it", capitals(a.Clamps))
	r.section(&b, d, "Servers that are not simply serving", r.servers())
	r.section(&b, d, "Budgets", r.budgets(d))
	if r.LeftOut != "" {
		fmt.Fprintf(&b, "\nThis record does not hold all that it rested on: %s.\n", r.LeftOut)
	}
	return b.String()
}

// Head is which record it is and how long it held, in two lines.
func (r *Record) Head(d Reader) string {
	return fmt.Sprintf("%s\n%s\n", d.bold(fmt.Sprintf("%s at %s", r.name(), d.clock(r.Since))), r.duration(d))
}

func (r *Record) name() string {
	if role := r.Role(); role != nil && role.Spec.Farm != "" {
		return role.Spec.ID()
	}
	return r.Account.Role
}

// duration is for how long it held.
func (r *Record) duration(d Reader) string {
	id := "Record " + r.ID
	switch {
	case !d.Next.IsZero():
		return fmt.Sprintf("%s. It held for %s, until %s.", id, engine.Brief(d.Next.Sub(r.Since)), d.clock(d.Next))
	case r.Ticks > 1:
		return fmt.Sprintf("%s, the newest. It has held for %s as of %s ago.", id, engine.Brief(r.Until.Sub(r.Since)), engine.Brief(d.Now.Sub(r.Until)))
	}
	return fmt.Sprintf("%s, the newest, %s old.", id, engine.Brief(d.Now.Sub(r.Since)))
}

func (r *Record) numbers(a engine.Account) string {
	serving := "No server serves"
	switch {
	case a.Serving == 1:
		serving = "1 server serves"
	case a.Serving > 1:
		serving = fmt.Sprintf("%d servers serve", a.Serving)
	}
	switch {
	case a.Coming == 1:
		serving += " and 1 is coming up"
	case a.Coming > 1:
		serving += fmt.Sprintf(" and %d are coming up", a.Coming)
	}
	wanted := fmt.Sprintf("%d are wanted", a.Desired)
	if a.Desired == 1 {
		wanted = "1 is wanted"
	}
	bounds := fmt.Sprintf(", of %d to %d", a.Min, a.Max)
	if a.Min == a.Max {
		bounds = ", as its bounds say"
	}
	if a.Max == 0 && a.Desired == 0 {
		bounds = ""
	}
	return serving + "; " + wanted + bounds
}

// verdict is the decision on the number, or the reason for there being none.
func (r *Record) verdict() string {
	for _, d := range r.Decisions {
		if d.Action == engine.Note && (d.Kind == "scale-out" || d.Kind == "scale-in") {
			return d.Reason
		}
	}
	return r.Account.Reason
}

// done are the decisions, or that there are none.
func (r *Record) done() []string {
	var lines []string
	for _, d := range r.Decisions {
		if d.Action == engine.Note && (d.Kind == "scale-out" || d.Kind == "scale-in") {
			continue // said above
		}
		lines = append(lines, Act(d)+": "+d.Reason)
	}
	if len(lines) == 0 {
		return []string{"Nothing."}
	}
	return lines
}

// Act is what a decision does, in words.
func Act(d engine.Decision) string {
	who := d.Instance
	if who == "" {
		who = d.Machine
	}
	switch d.Action {
	case engine.Launch:
		return "Launch " + who
	case engine.Relaunch:
		return "Ask again for the launch of " + who
	case engine.Move:
		return fmt.Sprintf("%s is now %s", who, d.Phase)
	case engine.Drain:
		return "Take " + who + " out of service and let it drain"
	case engine.Terminate:
		return "End the machine of " + who
	case engine.Forget:
		return "Close the record of " + who
	case engine.Reap:
		return "End the stray machine " + d.Machine
	case engine.Note:
		switch d.Kind {
		case "hold":
			return "Hold"
		case "lost":
			return who + " is lost"
		case "manual":
			return "By hand"
		}
		return capital(d.Kind)
	}
	return string(d.Action) + " " + who
}

func (r *Record) measured() []string {
	role := r.Role()
	if role == nil {
		return nil
	}
	var lines []string
	for _, p := range role.Policies {
		if p.Spec.Metric == nil {
			continue
		}
		m, metric := p.Measure, *p.Spec.Metric
		head := fmt.Sprintf("%s, for policy %s: ", capital(metric.Words()), p.Spec.Name)
		if m.Problem != "" {
			lines = append(lines, head+"not known: "+m.Problem)
			continue
		}
		line := head + metric.Amount(m.Value)
		if m.Floor != m.Peak {
			line += fmt.Sprintf(" (%s to %s within the window of %s)", metric.Amount(m.Floor), metric.Amount(m.Peak), engine.Brief(metric.Window.Std()))
		}
		line += fmt.Sprintf(", %s old", engine.Brief(m.Age))
		if m.Expected > 0 {
			line += fmt.Sprintf(", from %d of %s", m.Servers, servers(m.Expected))
		}
		if span, ok := r.Ranges[p.Spec.Name]; ok && r.Ticks > 1 && span.Low < span.High {
			line += fmt.Sprintf("; since then between %s and %s", metric.Amount(span.Low), metric.Amount(span.High))
			for _, v := range r.Account.Votes {
				if v.Policy == p.Spec.Name && v.Age != "" {
					line += ", in the end " + metric.Amount(v.Value)
				}
			}
		}
		lines = append(lines, line)
	}
	return lines
}

func (r *Record) votes() []string {
	var lines []string
	for _, v := range r.Account.Votes {
		vote := fmt.Sprintf("wants %d", v.Want)
		switch {
		case v.Abstain && (v.Kind == "schedule"):
			vote = "sets bounds and has no vote"
		case v.Abstain && v.Blocks:
			vote = "has no vote, and lets nothing be removed"
		case v.Abstain:
			vote = "has no vote"
		case v.Blocks:
			vote += ", and lets nothing be removed"
		}
		lines = append(lines, fmt.Sprintf("%s (%s) %s: %s", v.Policy, v.Kind, vote, v.Reason))
	}
	return lines
}

func (r *Record) servers() []string {
	look, ok := r.look()
	if !ok {
		return nil
	}
	var lines []string
	for _, s := range look.Servers {
		if s.Standing == "serving" && !s.Old && s.Waits == "" {
			continue
		}
		line := fmt.Sprintf("%s is %s, %s for %s", s.Name, s.Standing, s.Phase, engine.Brief(s.For))
		if s.Why != "" {
			line += ": " + s.Why
		}
		switch {
		case s.Chosen:
			line += "; it is being replaced"
		case s.Standing == "sick":
			line += "; it is not its turn to be replaced"
		case s.Old && s.Standing == "serving":
			line += ", of a former generation"
		}
		if s.Waits != "" {
			line += "; it stays: its shutdown hook says " + s.Waits
		}
		lines = append(lines, line)
	}
	return lines
}

func (r *Record) look() (engine.Look, bool) {
	if r.LeftOut != "" || r.Role() == nil {
		return engine.Look{}, false
	}
	return engine.LookAt(r.View, r.Role().Spec.Name)
}

func (r *Record) budgets(d Reader) []string {
	look, ok := r.look()
	if !ok {
		return nil
	}
	launches := "Launches: as many as are wanted"
	if look.Failures > 0 {
		launches = fmt.Sprintf("Launches: %d of %d that may fail in a row have, the last was %s", look.Failures, look.FailureBudget, look.FailedLast)
		if f := look.Failure; f != nil {
			launches += fmt.Sprintf(" in step %q: %s", f.Step, f.Error)
		}
	} else if look.DiedYoung > 0 {
		launches = fmt.Sprintf("Launches: %s died lately soon after having come up", servers(look.DiedYoung))
	}
	if !look.MayLaunch.IsZero() {
		launches += fmt.Sprintf("; the next is allowed at %s, in %s", d.clock(look.MayLaunch), engine.Brief(look.MayLaunch.Sub(r.Since)))
	}
	sick := 0
	for _, s := range look.Servers {
		if s.Standing == "sick" {
			sick++
		}
	}
	healing := fmt.Sprintf("Healing: %s may be replaced at once; %s sick", servers(look.TurnOf), areServers(sick))
	if look.Replaced > 0 {
		healing += fmt.Sprintf(", and %d replaced a short while ago", look.Replaced)
	}
	lines := []string{launches, healing}
	if a := r.Account; a.Budget > 0 && a.Reversals > 0 {
		lines = append(lines, fmt.Sprintf("Calm: within the hour it turned from growing to shrinking or back %d of the %d times that it may", a.Reversals, a.Budget))
	}
	if m := r.Role().Manual; m.Active(r.Since) {
		lines = append(lines, fmt.Sprintf("By hand: %d until %s, set by %s %s before: %s", m.N, d.clock(m.Until), m.By, engine.Brief(r.Since.Sub(m.At)), m.Because))
	}
	return lines
}

func (r *Record) section(b *strings.Builder, d Reader, title string, lines []string) {
	if len(lines) == 0 {
		return
	}
	fmt.Fprintf(b, "\n%s\n", d.bold(title))
	for _, l := range lines {
		fmt.Fprintf(b, "  %s\n", sentence(l))
	}
}

// sentence ends in a full stop.
func sentence(s string) string {
	if s == "" {
		return s
	}
	if !strings.ContainsAny(s[len(s)-1:], ".!?") {
		s += "."
	}
	return s
}

// capital begins a sentence.
func capital(s string) string {
	first, _, _ := strings.Cut(s, " ")
	if s == "" || strings.ContainsAny(first, "-0123456789") { // a server's name stays as it is
		return s
	}
	return strings.ToUpper(s[:1]) + s[1:]
}

func capitals(lines []string) []string {
	all := make([]string, len(lines))
	for i, l := range lines {
		all[i] = capital(l)
	}
	return all
}

func servers(n int) string {
	if n == 1 {
		return "1 server"
	}
	return fmt.Sprintf("%d servers", n)
}

func areServers(n int) string {
	switch n {
	case 0:
		return "none is"
	case 1:
		return "1 is"
	}
	return fmt.Sprintf("%d are", n)
}
