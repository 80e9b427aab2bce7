package engine

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/farmhand/terraform-provider-farmhand/internal/state"
)

// giveOrders tells each server what it is to be. An order changes only where it says something else; what is not told
// anew goes on holding.
func (d *database) giveOrders() {
	d.forgetOrders()
	for i := range d.members {
		m := &d.members[i]
		if m.standing == gone {
			continue
		}
		was, had := d.db.Orders[m.Name()]
		want, ok := d.orderFor(m, was, had)
		if !ok {
			if had && was.Token != m.Token {
				delete(d.db.Orders, m.Name())
			}
			continue
		}
		want.Token, want.Seq = m.Token, was.Seq
		if had && want.Equal(was) {
			continue
		}
		want.Seq++
		d.db.Orders[m.Name()] = want
	}
}

// orderFor is what a server is to be now; false: nothing is known yet, and it stays read-only and waits.
func (d *database) orderFor(m *member, was state.DatabaseOrder, had bool) (state.DatabaseOrder, bool) {
	f := d.db.Failover
	if m == d.primary {
		return d.orderRestore(m, d.primaryOrder(m, was, had), was), true
	}
	if f != nil && f.Step != state.StepPromote && f.Step != state.StepAborted {
		return d.orderMeanwhile(m, was, had)
	}
	if d.db.Primary == "" {
		return was, false
	}
	return d.replicaOrder(m, was, had), true
}

// orderMeanwhile is for the time in which nobody takes writes.
func (d *database) orderMeanwhile(m *member, was state.DatabaseOrder, had bool) (state.DatabaseOrder, bool) {
	f := d.db.Failover
	order := state.DatabaseOrder{Term: d.db.Term, Office: state.OfficeFrozen}
	switch {
	case m.Name() == f.From:
		return order, true
	case f.Step == state.StepCatchUp && m.Name() == f.To:
		order = was
		order.Until = f.Position
		return order, had
	case (f.Step == state.StepDrain || f.Step == state.StepRefused) && m.holdsData() && was.Office != state.OfficeClone:
		order.Office = state.OfficeDrain
		return order, true
	}
	return was, had && was.Token == m.Token
}

// primaryOrder lets it take writes. First sets an empty server up, and stays as long as it is empty.
func (d *database) primaryOrder(m *member, was state.DatabaseOrder, had bool) state.DatabaseOrder {
	order := state.DatabaseOrder{Term: d.db.Term, Office: state.OfficePrimary, Alone: true}
	again := had && was.Token == m.Token && was.Term == order.Term && was.Office == order.Office
	if r := m.report(); r != nil && r.Empty {
		order.First = d.db.Failover != nil && (!again || was.First)
	}
	if again {
		order.Alone = d.alone(m, was.Alone)
		if was.First && order.First != was.First {
			order.First = true // it has been set up meanwhile: no reason to tell it anew
		}
	}
	return order
}

// alone tells whether the primary's commits are to wait for nobody: none could acknowledge. What is acknowledged then is
// on its data alone, and countAckers forgets who acknowledged before.
func (d *database) alone(m *member, was bool) bool {
	able := false
	for _, o := range d.others(m.Name()) {
		r := o.report()
		able = able || r != nil && d.fresh(o) && d.done(o) && d.db.Orders[o.Name()].Office == state.OfficeReplica &&
			r.Receiving && (r.Acks || r.LagKnown && r.Lag <= d.maxLag.Seconds())
	}
	if able {
		d.db.Bare = nothing
		return false
	}
	if was || !d.fresh(m) || d.db.Suspect != nil || d.db.Failover != nil {
		return was
	}
	if d.db.Bare.IsZero() {
		d.db.Bare = d.now
	}
	return d.since(d.db.Bare) >= degradeAfter
}

// replicaOrder makes it follow the primary. A former primary first says how far it wrote: what goes beyond the promotion
// that ended its term is nobody else's, and its data is cloned anew; so is that of a replica that says it cannot follow.
func (d *database) replicaOrder(m *member, was state.DatabaseOrder, had bool) state.DatabaseOrder {
	order := state.DatabaseOrder{Term: d.db.Term, Office: state.OfficeReplica, Source: d.db.PrimaryAddress}
	r := m.report()
	mine := had && was.Token == m.Token
	empty := r == nil || r.Empty
	order.CloneFrom = d.cloneFrom(m, was, empty)
	switch {
	case !had, r == nil && !m.legacy() && was.Office != state.OfficeFrozen && was.Office != state.OfficeClone:
		return order
	case was.Office == state.OfficeClone:
		if mine && d.done(m) && !empty && r.Diverged == "" {
			d.say("replication", info, fmt.Sprintf("%s was cloned anew and follows %s", m.Name(), d.db.Primary), m.Name())
			d.known(m.Name())
			return order
		}
		order.Office = state.OfficeClone
		return order
	case was.Office == state.OfficeFrozen || was.Office == state.OfficePrimary:
		if m.legacy() || r != nil && r.Empty {
			return order
		}
		if !mine || !d.done(m) || r.Writable {
			return state.DatabaseOrder{Term: was.Term, Office: state.OfficeFrozen}
		}
		return d.rejoin(m, order, d.limitOf(m.Name()))
	case was.Office == state.OfficeDrain && mine && d.done(m) && !empty:
		return d.rejoin(m, order, d.db.PromotedPosition)
	}
	if mine && was.Term == order.Term && r != nil && r.Diverged != "" && (r.Done >= was.Seq || r.Source == was.Source) {
		return d.clone(m, order, "it says that it cannot follow: "+r.Diverged)
	}
	if mine && d.done(m) && !empty && r != nil && r.Receiving {
		d.known(m.Name())
	}
	return order
}

// limitOf is how far a former primary may have written: to where the one after it was promoted.
func (d *database) limitOf(name string) string {
	limit := d.db.PromotedPosition
	for i := len(d.db.Promotions) - 1; i >= 0 && d.db.Promotions[i].Primary != name; i-- {
		limit = d.db.Promotions[i].Position
	}
	return limit
}

func (d *database) rejoin(m *member, order state.DatabaseOrder, limit string) state.DatabaseOrder {
	if d.covers(flavorOf(m), limit, positionOf(m)) {
		return order
	}
	return d.clone(m, order, fmt.Sprintf("it holds writes up to %s that went beyond %s, where another one took over", positionOf(m), orElse(limit, "nothing")))
}

// clone has data thrown away. Only the role's own, and one server's at a time: a clone is a load on its source, and what
// makes all of them seem wrong at once had better be looked at first.
func (d *database) clone(m *member, order state.DatabaseOrder, why string) state.DatabaseOrder {
	was := d.db.Orders[m.Name()]
	waiting := state.DatabaseOrder{Term: was.Term, Office: state.OfficeFrozen}
	if was.Office != state.OfficeFrozen {
		waiting = was
		waiting.Token = m.Token
	}
	if was.Office == state.OfficeDrain {
		waiting.Office = state.OfficeFrozen
	}
	if !slices.Contains(d.db.Known, m.Name()) {
		d.hold("database:foreign:"+m.Name(), failure, fmt.Sprintf("%s holds data that is not the role's (%s); it is not overwritten. Look at it, then empty its data directory or delete its volume", m.Name(), why), nil)
		return waiting
	}
	for i := range d.members {
		o := &d.members[i]
		if b, ok := d.db.Orders[o.Name()]; ok && o != m && o.standing != gone && b.Office == state.OfficeClone && b.Token == o.Token {
			d.hold("database:clone:"+m.Name(), warning, fmt.Sprintf("%s is cloned anew after %s: %s", m.Name(), o.Name(), why), nil)
			return waiting
		}
	}
	order.Office = state.OfficeClone
	d.say("replication", warning, fmt.Sprintf("%s has diverged and is cloned anew: %s", m.Name(), why), m.Name())
	return order
}

// cloneFrom is the address of the server that a clone is taken of: a replica that keeps up, so that the primary is spared,
// else the primary. It stays while it is there, and for those who have their data already.
func (d *database) cloneFrom(m *member, was state.DatabaseOrder, needed bool) string {
	var sources []*member
	for _, o := range d.others(m.Name()) {
		if o != d.primary && o.Address != "" && d.unable(o) == "" {
			sources = append(sources, o)
		}
	}
	usable := func(o *member) bool { return o.Address == was.CloneFrom }
	if was.CloneFrom != "" && (!needed && was.Office != state.OfficeClone || was.CloneFrom == d.db.PrimaryAddress || slices.ContainsFunc(sources, usable)) {
		return was.CloneFrom
	}
	if len(sources) == 0 {
		return d.db.PrimaryAddress
	}
	return slices.MinFunc(sources, func(a, b *member) int {
		return cmp.Or(cmp.Compare(a.report().Lag, b.report().Lag), byIndex(a, b))
	}).Address
}

// forgetOrders drops those of indexes that the role has no more: a primary that is alone knows by them that it is.
func (d *database) forgetOrders() {
	if d.db.Failover != nil || d.role.Memory.Desired == 0 {
		return
	}
	for name := range d.db.Orders {
		m := d.named(name)
		if (m == nil || m.standing == gone) && name != d.db.Primary && indexOf(name) > d.role.Memory.Desired {
			delete(d.db.Orders, name)
		}
	}
}

// indexOf is the index in an instance's name.
func indexOf(name string) int {
	n, err := strconv.Atoi(name[strings.LastIndexByte(name, '-')+1:])
	if err != nil {
		return 0
	}
	return n
}
