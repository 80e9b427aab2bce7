package engine

import (
	"slices"
	"time"

	"github.com/farmhand/terraform-provider-farmhand/internal/state"
)

var nothing time.Time

// countAckers keeps the list of replicas on which alone an acknowledged write may be, besides the primary. It is looked at
// when the primary is dead, so it stands still while that is in doubt.
//
// Who begins to acknowledge counts from when it has received what the primary had then: before, it may lack older writes.
// Who stops counts on until another one has received what the primary had after that: before, the last write may be there
// alone.
func (d *database) countAckers() {
	m := d.primary
	r := m.report()
	if d.db.Failover != nil || r == nil || d.db.Suspect != nil || !d.fresh(m) {
		return
	}
	order := d.db.Orders[m.Name()]
	if order.Alone || order.Office != state.OfficePrimary || order.Token != m.Token || r.Done < order.Seq || order.Term != d.db.Term {
		if order.Alone {
			d.db.Ackers = nil
		}
		return
	}
	acking := map[string]*member{}
	for _, o := range d.others(m.Name()) {
		if or := o.report(); or != nil && d.fresh(o) && or.Acks && (or.Source == "" || or.Source == d.db.PrimaryAddress) {
			acking[o.Name()] = o
		}
	}
	ackers := d.db.Ackers
	if ackers == nil {
		ackers = map[string]state.DatabaseAcker{}
	}
	received := func(o *member, floor string) bool {
		or := o.report()
		return d.covers(or.Flavor, orElse(or.Received, or.Position), floor)
	}
	for name, o := range acking {
		a, known := ackers[name]
		switch {
		case !known || !a.Counted && a.Token != o.Token:
			a = state.DatabaseAcker{Token: o.Token, Floor: r.Position}
		case a.Token != o.Token: // restarted: what it had received and not applied is thrown away then, and sent anew
			if a.Floor == "" {
				a.Floor = r.Position
			}
			if received(o, a.Floor) {
				a = state.DatabaseAcker{Token: o.Token, Counted: true}
			}
		case a.Counted:
			a.Stopped, a.Floor = nothing, ""
		}
		if !a.Counted && received(o, a.Floor) {
			a.Counted, a.Floor = true, ""
		}
		ackers[name] = a
	}
	for name, a := range ackers {
		if acking[name] != nil {
			continue
		}
		if !a.Counted {
			delete(ackers, name)
			continue
		}
		if a.Stopped.IsZero() {
			a.Stopped, a.Floor = d.now, ""
		}
		if a.Floor == "" && m.Report.At.After(a.Stopped) {
			a.Floor = r.Position
		}
		ackers[name] = a
		// One whose agent is silent may acknowledge still: the primary knows how many do.
		if a.Floor == "" || r.SemiSync > len(acking) {
			continue
		}
		for _, other := range sortedNames(acking) {
			if ackers[other].Counted && received(acking[other], a.Floor) {
				delete(ackers, name)
				break
			}
		}
	}
	if len(ackers) == 0 {
		ackers = nil
	}
	d.db.Ackers = ackers
}

func sortedNames(m map[string]*member) []string {
	list := make([]string, 0, len(m))
	for name := range m {
		list = append(list, name)
	}
	slices.Sort(list)
	return list
}
