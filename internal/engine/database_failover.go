package engine

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"github.com/farmhand/terraform-provider-farmhand/internal/gtid"
	"github.com/farmhand/terraform-provider-farmhand/internal/state"
)

// An unplanned change of the primary: fence → drain → promote. Nobody is promoted before the old one runs no more, or has
// said that it is read-only, or has been without word for longer than its lease.

// begin opens a change of the primary in its first step.
func (d *database) begin(reason string, step state.FailoverStep) {
	d.db.Failover = &state.Failover{
		ID: fmt.Sprintf("%s-%d", d.now.UTC().Format("20060102T150405.000Z"), d.db.Term+1), Reason: reason,
		From: d.db.Primary, FromToken: d.db.PrimaryToken, FromAddress: d.db.PrimaryAddress,
		Step: step, Since: d.now, Began: d.now,
	}
	if d.primary != nil {
		d.db.Failover.Heard = d.heard(d.primary)
	}
	d.db.Primary, d.db.PrimaryToken, d.db.Suspect = "", "", nil
	d.primary = nil
}

// fail begins the failover from the primary.
func (d *database) fail(why string) {
	name := d.db.Primary
	d.begin(why, state.StepFence)
	d.enter(state.StepFence, failure, fmt.Sprintf("primary %s is dead: %s. It is fenced before another one is promoted", name, why))
	d.fence()
}

// enter goes to a step, with what was found or done; each is an event.
func (d *database) enter(step state.FailoverStep, level, text string) {
	f := d.db.Failover
	f.History = append(f.History, state.FailoverPast{Step: step, At: d.now, Text: text})
	if f.Step != step {
		f.Step, f.Since = step, d.now
	}
	who := f.To
	if who == "" {
		who = f.From
	}
	d.say("failover", level, text, who)
}

// goOn takes up the change that is under way, whoever began it.
func (d *database) goOn() {
	switch f := d.db.Failover; f.Step {
	case state.StepFence:
		d.fence()
	case state.StepDrain, state.StepRefused:
		d.endFenced()
		d.drainAll()
	case state.StepPromote:
		d.awaitPromotion()
	case state.StepFreeze, state.StepCatchUp:
		d.goOnPlanned()
	case state.StepAborted:
		d.awaitReturn()
	default: // of a newer version
		d.hold("database:step", warning, fmt.Sprintf("step %q of the failover is not known to this version", f.Step), nil)
	}
}

// fence stops the old primary, and waits until that is certain.
func (d *database) fence() {
	f := d.db.Failover
	m := d.holder(f.From, f.FromToken)
	if d.stopped(m) {
		d.beginDrain(fmt.Sprintf("%s runs no more", f.From))
		return
	}
	if m.Report != nil && m.Report.At.After(f.Heard) {
		f.Heard = m.Report.At
	}
	if r := m.report(); r != nil && d.fresh(m) && d.done(m) && d.db.Orders[m.Name()].Office == state.OfficeFrozen && !r.Writable {
		d.beginDrain(fmt.Sprintf("%s says itself that it is read-only", f.From))
	} else if wait := d.db.Lease + leaseMargin; d.since(f.Heard) > wait {
		d.beginDrain(fmt.Sprintf("%s has not been heard for %s: its lease of %s is over, and it is read-only by itself", f.From, brief(d.since(f.Heard)), brief(d.db.Lease)))
	}
	if m.Phase != state.Terminating && m.Phase != state.Failed {
		d.terminate(m, "fence", "it is fenced: it must not take writes any more. Its data stays, and it comes back as a replica")
	}
	m.standing = leaving
}

// endFenced sees to it that the old primary ends although a sidecar died between writing that it is fenced and ending it:
// it comes back with its data, as one that may be promoted.
func (d *database) endFenced() {
	m := d.holder(d.db.Failover.From, d.db.Failover.FromToken)
	if m == nil || d.stopped(m) || m.Phase == state.Terminating || m.Phase == state.Failed || m.standing == gone {
		return
	}
	d.terminate(m, "fence", "it is fenced: it must not take writes any more. Its data stays, and it comes back as a replica")
}

func (d *database) beginDrain(how string) {
	replicas := d.others(d.db.Failover.From)
	text := how
	if len(replicas) > 0 {
		slices.SortFunc(replicas, byIndex)
		text += fmt.Sprintf("; %s apply what they have received", names(replicas))
		if len(replicas) == 1 {
			text = fmt.Sprintf("%s; %s applies what it has received", how, names(replicas))
		}
	}
	d.enter(state.StepDrain, info, text)
	d.drainAll()
}

// drainAll waits until those that can be reached have applied what they have received, and promotes the best.
func (d *database) drainAll() {
	f := d.db.Failover
	d.takeWish()
	ready, slow := d.candidates()
	if wait := d.since(f.Since); len(slow) > 0 && f.Step == state.StepDrain && wait < drainPatience {
		needed := slices.ContainsFunc(slow, func(m *member) bool { return d.db.Ackers[m.Name()].Counted })
		if len(ready) == 0 || needed || wait < stragglers || d.uncovered(ready) != "" {
			return
		}
	}
	if len(ready) == 0 {
		d.waitForData(slow)
		return
	}
	if why := d.uncovered(ready); why != "" {
		d.refuse(why)
		return
	}
	if former := slices.IndexFunc(ready, func(m *member) bool { return m.Name() == f.From }); former >= 0 && f.Wish == "" && !f.Forced && d.restricted() != "" {
		ready = ready[former : former+1] // it is back, and nobody else may
	}
	chosen := d.chooseOf(ready)
	text := fmt.Sprintf("%s is promoted", chosen.Name())
	if at := positionOf(chosen); at != "" {
		text += " at " + at
	}
	text += d.whyChosenOf(chosen, ready)
	if f.Forced && f.Step == state.StepRefused {
		text += "; forced by a person: acknowledged writes may be lost"
	}
	if len(slow) > 0 {
		text += fmt.Sprintf("; %s did not finish and is left out", names(slow))
	}
	f.To = chosen.Name()
	d.enter(state.StepPromote, warning, text)
	d.promote(chosen)
}

// candidates are the servers that can be reached and hold data: those that have applied what they received, and those that
// have not yet. The old primary, come back on another machine, is one of them.
func (d *database) candidates() (ready, slow []*member) {
	f := d.db.Failover
	for _, m := range d.others("") {
		r := m.report()
		switch {
		case m.Token == f.FromToken || m.standing == leaving || m.Phase == state.Failed || !d.fresh(m):
		case r == nil:
			ready = append(ready, m)
		case r.Diverged != "" || d.db.Orders[m.Name()].Office == state.OfficeClone:
		case !d.done(m):
			slow = append(slow, m)
		case m.Name() == f.From && !r.Writable, r.Drained && !r.Writable:
			ready = append(ready, m)
		default:
			slow = append(slow, m)
		}
	}
	slices.SortFunc(ready, byIndex)
	slices.SortFunc(slow, byIndex)
	return ready, slow
}

// uncovered says why none of the ready may be promoted, empty if one may. What was acknowledged is on the old primary, and
// on one replica at least of those that acknowledged at the end. So all of these must be here, for any of them may be the
// only one (Vitess calls it revocation), and not restarted since, for a server that starts throws away what it received
// and did not apply (relay_log_recovery); or the old primary itself, come back with its data.
func (d *database) uncovered(ready []*member) string {
	f := d.db.Failover
	if f.Forced || slices.ContainsFunc(ready, func(m *member) bool { return m.Name() == f.From }) {
		return ""
	}
	if f.Wish == "" {
		if why := d.restricted(); why != "" {
			return why
		}
	}
	if d.policy != FailoverNoLoss {
		return ""
	}
	counted, missing := 0, []string(nil)
	for name, a := range d.db.Ackers {
		if !a.Counted {
			continue
		}
		counted++
		if !slices.ContainsFunc(ready, func(m *member) bool { return m.Name() == name && m.Token == a.Token }) {
			missing = append(missing, name)
		}
	}
	slices.Sort(missing)
	switch {
	case counted == 0:
		return fmt.Sprintf("no replica acknowledged the last writes of %s: they may be on its data alone", f.From)
	case len(missing) > 0:
		if m := d.named(missing[0]); m != nil && m.Token != d.db.Ackers[missing[0]].Token {
			return fmt.Sprintf("%s acknowledged writes at the end and was restarted since: what it had received and not applied is gone", missing[0])
		}
		return fmt.Sprintf("%s acknowledged writes at the end and cannot be reached: the last ones may be there alone", missing[0])
	}
	return ""
}

// refuse stops before a promotion that might lose what was acknowledged. It goes on by itself when who is missing is back.
func (d *database) refuse(why string) {
	f := d.db.Failover
	way := d.command(" --force")
	if f.Wish == "" && d.restricted() != "" {
		way = d.command("")
	}
	text := fmt.Sprintf("no server is promoted: %s. It goes on by itself when %s is back with its data; %s goes on without", why, d.missingOnes(), way)
	if f.Step != state.StepRefused {
		d.enter(state.StepRefused, failure, text)
	}
	d.account.Clamps = append(d.account.Clamps, text)
}

func (d *database) missingOnes() string {
	list := d.db.Failover.From
	for _, m := range slices.Sorted(maps.Keys(d.db.Ackers)) {
		if mm := d.named(m); d.db.Ackers[m].Counted && !d.fresh(mm) {
			list += " or " + m
			break
		}
	}
	return list
}

// waitForData: nobody could be promoted. The old primary comes back in its place, with its data.
func (d *database) waitForData(slow []*member) {
	f := d.db.Failover
	if m := d.allEmpty(); m != nil {
		never := len(d.db.Known) == 0
		if never || f.Forced {
			level, text := failure, fmt.Sprintf("a person gave up the role's data, which no server holds: %s is set up empty", m.Name())
			if never {
				level, text = info, fmt.Sprintf("%s is set up anew: it had not taken a write yet", m.Name())
			}
			f.To = m.Name()
			d.enter(state.StepPromote, level, text)
			d.promote(m)
			return
		}
		text := fmt.Sprintf("no server of role %s holds its data any more: %s came up empty. Nothing is set up over that: restore a backup; or %s begins anew, empty", d.role.Spec.Name, m.Name(), d.command(" --force"))
		if f.Step != state.StepRefused {
			d.enter(state.StepRefused, failure, text)
		}
		d.account.Clamps = append(d.account.Clamps, text)
		return
	}
	if f.Step == state.StepDrain && d.since(f.Since) > stragglers || f.Step == state.StepRefused {
		who := "no other server holds data"
		if len(slow) > 0 {
			who = fmt.Sprintf("%s are not ready", names(slow))
		}
		d.hold("database:waits", warning, fmt.Sprintf("role %s has no primary: %s, so it waits for %s to come back with its data", d.role.Spec.Name, who, f.From), nil)
	}
}

// allEmpty is the server to be set up where every server of the role was heard and none holds data; nil if not.
func (d *database) allEmpty() *member {
	var first *member
	for i := range d.members {
		m := &d.members[i]
		if m.standing == gone || m.standing == leaving {
			continue
		}
		r := m.report()
		if r == nil || !r.Empty || !d.fresh(m) {
			return nil
		}
		if first == nil || m.Name() == d.db.Failover.From {
			first = m
		}
	}
	return first
}

// best is the most advanced of those that hold data; see chooseOf.
func (d *database) best(all []*member) *member {
	return slices.MinFunc(all, func(a, b *member) int {
		if o, err := gtid.Compare(flavorOf(a), positionOf(a), positionOf(b)); err == nil && (o == gtid.Ahead || o == gtid.Behind) {
			return -int(o)
		}
		return cmp.Or(compareBool(!d.fresh(a), !d.fresh(b)), compareBool(a.notice() != nil, b.notice() != nil),
			compareBool(a.standing == sick, b.standing == sick), compareBool(a.old, b.old), cmp.Compare(a.Index, b.Index))
	})
}

// chooseOf is the most advanced; among equals who a person asked for, who is well and to stay, of the former primary's
// zone, and of the lowest index. Of two that have diverged the one that covers more of the others is nearer to the truth.
func (d *database) chooseOf(ready []*member) *member {
	f := d.db.Failover
	covered := func(m *member) int {
		n := 0
		for _, o := range ready {
			if d.covers(flavorOf(m), positionOf(m), positionOf(o)) {
				n++
			}
		}
		return n
	}
	zone := ""
	if m := d.named(f.From); m != nil {
		zone = m.Zone
	}
	wanted := f.To
	if f.Wish == "" {
		wanted = ""
	}
	return slices.MinFunc(ready, func(a, b *member) int {
		return cmp.Or(
			cmp.Compare(covered(b), covered(a)),
			compareBool(a.Name() != wanted, b.Name() != wanted),
			compareBool(a.standing == sick, b.standing == sick),
			compareBool(a.old, b.old),
			compareBool(a.standing == coming, b.standing == coming),
			compareBool(a.Zone != zone, b.Zone != zone),
			cmp.Compare(a.Index, b.Index),
		)
	})
}

func (d *database) whyChosenOf(m *member, ready []*member) string {
	if len(ready) == 1 {
		return ", the only one that is ready"
	}
	for _, o := range ready {
		if o != m && !d.covers(flavorOf(m), positionOf(o), positionOf(m)) {
			return fmt.Sprintf(", the most advanced of %d", len(ready))
		}
	}
	return fmt.Sprintf(", as advanced as each of the %d", len(ready))
}

// appoint makes a server the primary of a new term.
func (d *database) appoint(m *member) {
	d.db.Term++
	d.db.Primary, d.db.PrimaryToken, d.db.PrimaryAddress = m.Name(), m.Token, m.Address
	d.db.PromotedAt, d.db.PromotedPosition = d.now, positionOf(m)
	d.db.Ackers, d.db.Bare, d.db.Suspect = nil, d.now, nil
	d.db.Promotions = append(d.db.Promotions, state.DatabasePromotion{Term: d.db.Term, Primary: m.Name(), Position: positionOf(m)})
	d.db.Promotions = d.db.Promotions[max(0, len(d.db.Promotions)-promotionsKept):]
	d.primary = m
}

// promote orders a server to take writes.
func (d *database) promote(m *member) {
	f := d.db.Failover
	f.To = m.Name()
	if f.Step != state.StepPromote {
		f.Step, f.Since = state.StepPromote, d.now
	}
	if len(f.History) == 0 {
		what := "takes over with the data that it has"
		if r := m.report(); r != nil && r.Empty {
			what = "is set up"
		}
		d.enter(state.StepPromote, info, fmt.Sprintf("%s %s: %s", m.Name(), what, f.Reason))
	}
	d.appoint(m)
	d.awaitPromotion()
}

// awaitPromotion ends the change when the new primary takes writes. If it dies first, it is fenced as the old one was.
func (d *database) awaitPromotion() {
	f := d.db.Failover
	m := d.primary
	why, dead := d.dead(m)
	r := m.report()
	switch {
	case dead:
	case r == nil && m.legacy(), r != nil && r.Writable && r.Term == d.db.Term && d.done(m):
		if m.Address != "" {
			d.db.PrimaryAddress = m.Address
		}
		d.known(m.Name())
		d.enter(state.StepDone, info, fmt.Sprintf("%s takes writes, %s after the change began", m.Name(), brief(d.since(f.Began))))
		d.db.Last, d.db.Failover = f, nil
		return
	case d.since(f.Since) > promotePatience && !d.fresh(m):
		why, dead = fmt.Sprintf("it has not taken writes within %s and is silent", brief(d.since(f.Since))), true
	case d.since(f.Since) > promotePatience:
		doing := "it does not say why"
		if r != nil {
			doing = orElse(r.Error, orElse(r.Doing, doing))
		}
		d.hold("database:promotion", failure, fmt.Sprintf("%s is to take writes since %s and does not yet: %s", m.Name(), brief(d.since(f.Since)), doing), nil)
	}
	if !dead {
		return
	}
	f.From, f.FromToken, f.FromAddress, f.To, f.Planned = d.db.Primary, d.db.PrimaryToken, d.db.PrimaryAddress, "", false
	f.Heard = d.now
	if m != nil {
		f.Heard = d.heard(m)
	}
	d.db.Primary, d.db.PrimaryToken = "", ""
	d.primary = nil
	d.enter(state.StepFence, failure, fmt.Sprintf("%s died before it took writes: %s", f.From, why))
	d.fence()
}

// takeWish takes up what a person asked for while the primary is being replaced already.
func (d *database) takeWish() {
	w, f := d.db.Wish, d.db.Failover
	if w == nil {
		return
	}
	d.db.Wish = nil
	if f == nil {
		return
	}
	f.Wish, f.Forced, f.To = w.ID, f.Forced || w.Force, w.To
	text := fmt.Sprintf("%s asked for it", orElse(w.By, "a person"))
	if w.Force {
		text += ", and accepts that acknowledged writes may be lost"
	}
	if w.Reason != "" {
		text += ": " + w.Reason
	}
	f.History = append(f.History, state.FailoverPast{Step: f.Step, At: d.now, Text: text})
	d.say("failover", warning, text, w.To)
}
