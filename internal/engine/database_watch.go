package engine

import (
	"fmt"
	"slices"
	"time"

	"github.com/farmhand/terraform-provider-farmhand/internal/state"
)

// watch looks after a primary in office: is it dead, is somebody else wanted in its place.
//
// It is dead when its machine runs no more. It is also dead when it seems so for several looks and every replica that can
// be reached has lost it: its agent is silent, or its check fails, as that of a server that hangs does. If only some have
// lost it, it is the network; if none can be reached, it may be ours.
func (d *database) watch() {
	m := d.primary
	name := d.db.Primary
	if why, dead := d.dead(m); dead {
		d.db.Suspect = nil
		d.fail(why)
		return
	}
	if m.Address != "" && m.Address != d.db.PrimaryAddress {
		d.db.PrimaryAddress = m.Address
	}
	why, bad := d.seemsDead(m)
	if d.restoring(m) != nil && d.fresh(m) {
		bad = false // it is down for the moment in which restored data takes the place of the old
	}
	if !bad {
		d.db.Suspect = nil
		d.switchOver()
		return
	}
	if d.db.Suspect == nil {
		d.db.Suspect = &state.DatabaseSuspicion{Since: d.now}
	}
	s := d.db.Suspect
	if s.Looks < looksToDie {
		s.Looks++
	}
	s.Why = signalOf(why)
	if s.Looks < looksToDie || d.since(s.Since) < deadFor {
		return
	}
	others := d.others(name)
	if len(others) == 0 {
		return // healing ends it and brings it back with its data
	}
	var reachable, lost []*member
	for _, o := range others {
		if r := o.report(); r != nil && d.fresh(o) && o.Phase == state.Running && d.db.Orders[o.Name()].Office == state.OfficeReplica {
			reachable = append(reachable, o)
			if r.Lost {
				lost = append(lost, o)
			}
		}
	}
	switch {
	case len(reachable) == 0:
		d.hold("database:alone", warning, fmt.Sprintf("primary %s does not answer (%s), and no replica of it can be reached either: that is more likely our own network; nothing is promoted", name, why), nil)
	case len(lost) < len(reachable):
		d.hold("database:unreachable", warning, fmt.Sprintf("primary %s does not answer (%s), but %d of %d replicas that can be reached still hear it: unreachable is not dead; nothing is promoted", name, why, len(reachable)-len(lost), len(reachable)), nil)
		if m.chosen && d.fresh(m) { // its agent can be asked to hand over
			d.switchOver()
		}
	case d.restricted() != "":
		d.hold("database:restricted", failure, fmt.Sprintf("primary %s is dead (%s, and every replica has lost it), and is not replaced: %s. %s does it now", name, why, d.restricted(), d.command("")), nil)
	default:
		d.fail(fmt.Sprintf("%s, and %s have lost it", why, lostBy(lost)))
	}
	if w := d.db.Wish; w != nil && d.db.Failover == nil { // nobody is left to be asked to stop: what is wanted is a failover
		d.takeWish()
		d.fail(why + "; a person asked for another one")
		d.db.Failover.Wish, d.db.Failover.Forced = w.ID, w.Force
	}
}

func lostBy(all []*member) string {
	if len(all) == 1 {
		return "its only replica that can be reached, " + all[0].Name() + ","
	}
	return names(all)
}

// seemsDead tells whether the primary gives no sign of life, in words.
func (d *database) seemsDead(m *member) (string, bool) {
	if d.reboots(m) {
		return "", false
	}
	heard := d.heard(m)
	if silent := d.since(heard); silent > databaseSilent {
		return fmt.Sprintf("its agent has been silent for %s", brief(silent)), true
	}
	if m.Report == nil || m.Phase != state.Running {
		return "", false
	}
	for _, c := range m.Report.Checks {
		if !c.OK {
			return fmt.Sprintf("check %q fails: %s", c.Name, orElse(c.Message, "no message")), true
		}
	}
	return "", false
}

// signalOf is a reason without its numbers: the record is written when it changes.
func signalOf(why string) string {
	if len(why) > 10 && why[:9] == "its agent" {
		return "its agent is silent"
	}
	return why
}

// heard is when the agent was last heard; from Listening on at the earliest, for who does not listen hears nothing.
func (d *database) heard(m *member) time.Time {
	heard := m.Since
	if m.Report != nil && m.Report.At.After(heard) {
		heard = m.Report.At
	}
	if d.view.Listening.After(heard) {
		heard = d.view.Listening
	}
	return heard
}

// restricted says why no other server may take the primary's place by itself, empty if it may.
func (d *database) restricted() string {
	if d.policy == FailoverManual {
		return "the role's failover is manual"
	}
	if last := d.db.Last; last != nil && !last.Planned && last.From != "" && last.From != last.To && last.Step == state.StepDone {
		if ago := d.since(last.Since); ago < d.flap {
			return fmt.Sprintf("the last failover was %s ago, and another one within %s would be flapping", brief(ago), brief(d.flap))
		}
	}
	return ""
}

// hearing are the replicas that still hear a server and can be reached.
func (d *database) hearing(name string) []*member {
	var all []*member
	for _, o := range d.others(name) {
		if r := o.report(); r != nil && d.fresh(o) && !r.Lost && r.Receiving {
			all = append(all, o)
		}
	}
	slices.SortFunc(all, byIndex)
	return all
}
