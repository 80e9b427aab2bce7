package engine

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/farmhand/terraform-provider-farmhand/internal/state"
)

// A planned change of the primary: freeze → catch up → promote. Until somebody is promoted it can be called off, and the
// old one is writable again.

// switchOver begins one where a person, a roll-out, bad health or an announced end asks for it.
func (d *database) switchOver() {
	m := d.primary
	why, to := "", ""
	w := d.db.Wish
	switch {
	case w != nil:
		why, to = orElse(w.By, "a person")+" asked for it", w.To
		if w.Reason != "" {
			why += ": " + w.Reason
		}
	case len(d.others(m.Name())) == 0:
		return
	case m.chosen:
		why = "it is to be replaced: " + m.ailment.reason
	case d.rolloutReachedPrimary():
		why = fmt.Sprintf("generation %s is rolled out, and it is the last of the former one", short(d.role.Generation))
	default:
		return
	}
	if last := d.db.Last; w == nil && last != nil && last.Step == state.StepAborted && d.since(last.Since) < switchAgainAfter {
		d.hold("database:switchover", warning, fmt.Sprintf("primary %s is to be replaced (%s); the last try was called off %s ago, the next one comes %s after that", m.Name(), why, brief(d.since(last.Since)), brief(switchAgainAfter)), nil)
		return
	}
	r := m.report()
	if r == nil || !d.done(m) {
		if w != nil && r == nil {
			d.refuseWish("the agent of "+m.Name()+" says nothing of its database: it is of an older version and cannot be asked to stop", why)
		}
		return
	}
	able, not := d.successors()
	if to != "" {
		if i := slices.IndexFunc(able, func(m *member) bool { return m.Name() == to }); i >= 0 {
			able = able[i : i+1]
		} else if to == m.Name() {
			d.refuseWish(to+" is the primary already", why)
			return
		} else {
			able, not = nil, d.whyUnable(to)
		}
	}
	if len(able) == 0 {
		if w != nil {
			d.refuseWish(not, why)
			return
		}
		d.hold("database:switchover", warning, fmt.Sprintf("primary %s is to be replaced (%s) and nobody can take over yet: %s", m.Name(), why, not), nil)
		return
	}
	d.db.Wish = nil
	d.begin(why, state.StepFreeze)
	f := d.db.Failover
	f.Planned, f.To = true, able[0].Name()
	if w != nil {
		f.Wish = w.ID
	}
	d.enter(state.StepFreeze, info, fmt.Sprintf("the primary changes from %s to %s: %s. %s becomes read-only", f.From, f.To, why, f.From))
}

// refuseWish answers a person that it is not done.
func (d *database) refuseWish(not, why string) {
	w := d.db.Wish
	d.db.Wish = nil
	text := "the primary is not changed: " + not
	d.db.Last = &state.Failover{ID: w.ID, Planned: true, Reason: why, From: d.db.Primary, To: w.To, Step: state.StepRefused, Since: d.now, Began: d.now, Wish: w.ID,
		History: []state.FailoverPast{{Step: state.StepRefused, At: d.now, Text: text}}}
	d.say("failover", warning, text, "")
}

// rolloutReachedPrimary tells that everybody but the primary is of the role's generation and well.
func (d *database) rolloutReachedPrimary() bool {
	if !d.primary.old || d.primary.standing != serving || d.waits(d.primary) || d.account.Desired != 0 && d.count(serving) < d.account.Desired {
		return false
	}
	for i := range d.members {
		if m := &d.members[i]; m != d.primary && (m.standing != serving || m.old) {
			return false
		}
	}
	return d.settled() && d.memory.LaunchFailures == 0
}

// settled tells that every replica follows and acknowledges: the next one may be touched.
func (d *database) settled() bool {
	if d.db.Failover != nil || d.db.Primary == "" {
		return false
	}
	for i := range d.members {
		m := &d.members[i]
		if m.Name() == d.db.Primary || m.standing == gone || m.legacy() {
			continue
		}
		if why := d.unable(m); why != "" {
			return false
		}
	}
	return true
}

// successors are those that could take over now, the best first, or why there is none.
func (d *database) successors() (able []*member, not string) {
	not = "it has no replica"
	for _, m := range d.others(d.db.Primary) {
		if why := d.unable(m); why != "" {
			not = why
			continue
		}
		able = append(able, m)
	}
	slices.SortFunc(able, func(a, b *member) int {
		return cmp.Or(compareBool(a.old, b.old), compareBool(!a.report().Acks, !b.report().Acks), compareBool(d.primary.Zone != a.Zone, d.primary.Zone != b.Zone), byIndex(a, b))
	})
	return able, not
}

func (d *database) whyUnable(name string) string {
	m := d.named(name)
	switch {
	case m == nil:
		return fmt.Sprintf("role %s has no server %s", d.role.Spec.Name, name)
	case !m.holdsData():
		return name + " holds no data yet"
	}
	return d.unable(m)
}

// unable says why a replica cannot take over in a planned change, empty if it can.
func (d *database) unable(m *member) string {
	r := m.report()
	switch {
	case m.standing == leaving || m.standing == coming || m.Phase != state.Running:
		return m.Name() + " is " + string(m.Phase)
	case r == nil || !d.fresh(m):
		return m.Name() + " cannot be reached"
	case m.notice() != nil:
		return m.Name() + " is about to end itself"
	case m.standing == sick:
		return m.Name() + " is sick: " + m.ailment.reason
	case r.Diverged != "" || r.Empty:
		return m.Name() + " is to be cloned"
	case !d.done(m):
		return m.Name() + " has not carried out its order yet"
	case !r.Receiving || !r.Applying:
		return m.Name() + " does not replicate: " + orElse(r.ReplicaNote, "not connected")
	case !r.LagKnown || r.Lag > min(d.maxLag, defaultMaxLag).Seconds():
		return fmt.Sprintf("%s lags behind by %s", m.Name(), lagOf(r))
	}
	return ""
}

func lagOf(r *state.DatabaseReport) string {
	if !r.LagKnown {
		return "an unknown time"
	}
	return brief(time.Duration(r.Lag * float64(time.Second)))
}

// goOnPlanned waits for the old primary to be read-only and for the new one to have all that it wrote.
func (d *database) goOnPlanned() {
	f := d.db.Failover
	old, next := d.holder(f.From, f.FromToken), d.named(f.To)
	d.db.Wish = nil
	if why, dead := d.dead(old); dead {
		f.Planned, f.To = false, ""
		d.enter(state.StepFence, failure, fmt.Sprintf("%s died in the middle of the change: %s", f.From, why))
		d.fence()
		return
	}
	if old.Report != nil && old.Report.At.After(f.Heard) {
		f.Heard = old.Report.At
	}
	if _, dead := d.dead(next); dead || next.report() == nil {
		d.abort(f.To + " is lost")
		return
	}
	if f.Step == state.StepFreeze {
		r := old.report()
		if r == nil || !d.done(old) || r.Writable {
			if d.since(f.Since) > freezePatience {
				d.abort(fmt.Sprintf("%s was not read-only within %s", f.From, brief(freezePatience)))
			}
			return
		}
		f.Position = r.Position
		d.enter(state.StepCatchUp, info, fmt.Sprintf("%s is read-only at %s; %s applies up to there", f.From, orElse(f.Position, "nothing"), f.To))
	}
	if !d.covers(flavorOf(next), positionOf(next), f.Position) {
		if d.since(f.Since) > catchUpPatience {
			d.abort(fmt.Sprintf("%s did not catch up within %s: it is at %s of %s", f.To, brief(catchUpPatience), orElse(positionOf(next), "nothing"), f.Position))
		}
		return
	}
	if r := old.report(); d.fresh(old) && r != nil && r.Writable { // must not be, since its order is to be frozen
		d.abort(f.From + " is writable again though it was told not to be")
		return
	}
	d.enter(state.StepPromote, info, fmt.Sprintf("%s has everything and is promoted", f.To))
	d.promote(next)
}

// abort calls a planned change off: nobody was promoted, so the old primary takes writes again in the same term.
func (d *database) abort(why string) {
	f := d.db.Failover
	d.enter(state.StepAborted, warning, fmt.Sprintf("the change to %s is called off: %s. %s takes writes again", f.To, why, f.From))
	d.db.Primary, d.db.PrimaryToken, d.db.PrimaryAddress = f.From, f.FromToken, f.FromAddress
	d.primary = d.holder(f.From, f.FromToken)
}

// awaitReturn ends a change that was called off when the old primary takes writes again.
func (d *database) awaitReturn() {
	f := d.db.Failover
	m := d.primary
	if why, dead := d.dead(m); dead {
		d.db.Primary, d.db.PrimaryToken, d.primary = "", "", nil
		f.Planned, f.To = false, ""
		d.enter(state.StepFence, failure, fmt.Sprintf("%s died before it took writes again: %s", f.From, why))
		d.fence()
		return
	}
	if r := m.report(); r != nil && d.done(m) && r.Writable || d.since(f.Since) > promotePatience || !d.fresh(m) {
		d.db.Last, d.db.Failover = f, nil // what keeps it from it now, watch finds
	}
}
