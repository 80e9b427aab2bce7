package engine

import (
	"fmt"
	"slices"

	"github.com/farmhand/terraform-provider-farmhand/internal/state"
)

// findFirst gives a role that has no primary yet its first one: the one that is recorded from before the role was
// replicated, else one that holds data, else the lowest index, which is then set up empty. Setting up anew beside data
// that is merely late would be its end, so every other server is heard first.
func (d *database) findFirst() {
	var data, empty, unheard []*member
	for i := range d.members {
		m := &d.members[i]
		if _, dead := d.dead(m); dead || m.standing == gone || m.standing == leaving {
			continue
		}
		switch {
		case m.Primary && m.standing == serving && (m.holdsData() || m.report() == nil && m.Phase == state.Running):
			d.adopt(m)
			return
		case m.holdsData():
			data = append(data, m)
		case m.report() == nil:
			unheard = append(unheard, m)
		default:
			empty = append(empty, m)
		}
	}
	slices.SortFunc(data, byIndex)
	slices.SortFunc(empty, byIndex)
	all := slices.Concat(data, empty, unheard)
	if len(all) == 0 || len(unheard) == len(all) {
		return
	}
	if len(unheard) > 0 {
		for _, m := range unheard {
			if d.since(m.Created) < firstPatience {
				return
			}
		}
	}
	if len(data) > 0 {
		m := d.best(data)
		if others := len(data) - 1; others > 0 {
			d.say("failover", warning, fmt.Sprintf("%s hold data and none was the primary: %s is the most advanced", servers(len(data)), m.Name()), m.Name())
		}
		d.begin("the role has no primary yet, and this server holds data", state.StepPromote)
		d.promote(m)
		return
	}
	m := empty[0]
	d.begin("the role's first primary", state.StepPromote)
	d.promote(m)
}

// adopt takes over the primary of a role that ran before there was a record of its database. Nothing is restarted.
func (d *database) adopt(m *member) {
	d.appoint(m)
	d.known(m.Name())
	d.say("failover", info, fmt.Sprintf("%s takes the role's writes already and stays the primary", m.Name()), m.Name())
}
