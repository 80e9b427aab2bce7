package engine

import (
	"fmt"
	"slices"
	"time"

	"github.com/farmhand/terraform-provider-farmhand/internal/state"
)

// joinShare of the limit is what a replica's lag must be under to join the pool that is read from; it leaves above the limit.
const joinShare = 0.5

// chooseReads keeps the pool of replicas that are read from. While the primary is being replaced nobody can keep up, and
// what is there serves on.
func (d *database) chooseReads() {
	var reads []string
	changing := d.db.Failover != nil || d.db.Suspect != nil
	for i := range d.members {
		m := &d.members[i]
		in := slices.Contains(d.db.Reads, m.Name())
		if m == d.primary || m.standing == gone || m.standing == leaving || m.Phase != state.Running {
			continue
		}
		r := m.report()
		office := d.db.Orders[m.Name()].Office
		switch {
		case r == nil || r.Empty || r.Writable || !d.fresh(m) && !(in && changing):
			continue
		case changing && in && office != state.OfficeFrozen && office != state.OfficeClone:
		case office != state.OfficeReplica || r.Diverged != "" || !r.LagKnown:
			continue
		case r.Lag > d.maxLag.Seconds(), !in && (r.Lag > joinShare*d.maxLag.Seconds() || !r.Receiving || !d.done(m)):
			continue
		}
		reads = append(reads, m.Name())
	}
	slices.Sort(reads)
	if !slices.Equal(reads, d.db.Reads) {
		d.db.Reads = reads
	}
}

// alert says what a person should know of, once when it begins and once when it is over.
func (d *database) alert() {
	quiet := d.db.Failover != nil || d.db.Suspect != nil
	for i := range d.members {
		m := &d.members[i]
		r := m.report()
		if r == nil || m.standing == gone || m.standing == leaving || !d.fresh(m) {
			continue
		}
		if r.DiskUsed >= volumeFull {
			level := warning
			if r.DiskUsed >= 0.95 {
				level = failure
			}
			d.hold("disk:"+m.Name(), level, fmt.Sprintf("the disk of %s is %.0f %% full; a full one stops the server. Give the role's volume more room", m.Name(), r.DiskUsed*100), nil)
		}
		if m == d.primary {
			if !quiet && d.done(m) && !r.Writable {
				d.hold("database:readonly", warning, fmt.Sprintf("primary %s takes no writes: %s", m.Name(), orElse(r.Error, "it does not say why")), nil)
			}
			continue
		}
		d.alertReplica(m, r, quiet)
	}
	d.alertSemiSync()
}

func (d *database) alertReplica(m *member, r *state.DatabaseReport, quiet bool) {
	broken, lags := "replication:"+m.Name(), "lag:"+m.Name()
	follows := d.db.Orders[m.Name()].Office == state.OfficeReplica && d.done(m) && !r.Empty
	switch {
	case quiet || !follows: // it is known why, and what held goes on holding
		for _, key := range []string{broken, lags} {
			if d.held(key) {
				d.holds = append(d.holds, hold{key: key, quiet: true})
			}
		}
		return
	case !r.Receiving || !r.Applying:
		d.hold(broken, failure, fmt.Sprintf("replication of %s is broken: %s", m.Name(), orElse(r.ReplicaNote, orElse(r.Error, "it is not connected to "+d.db.Primary))), nil)
	case d.held(broken):
		d.say("replication", info, fmt.Sprintf("%s replicates again", m.Name()), m.Name())
	}
	switch limit := d.maxLag.Seconds(); {
	case r.LagKnown && (r.Lag > limit || r.Lag > limit*joinShare && d.held(lags)):
		d.hold(lags, warning, fmt.Sprintf("%s lags behind by %s; above %s it is not read from", m.Name(), brief(time.Duration(r.Lag*float64(time.Second))), brief(d.maxLag)), nil)
	case d.held(lags) && r.LagKnown:
		d.say("replication", info, fmt.Sprintf("%s has caught up", m.Name()), m.Name())
	}
}

// alertSemiSync says when writes are on the primary alone though the role is to have replicas.
func (d *database) alertSemiSync() {
	const key = "semisync"
	if d.primary == nil || d.db.Failover != nil || d.role.Spec.Min < 2 {
		return
	}
	alone := d.db.Orders[d.db.Primary].Alone
	switch {
	case alone && d.since(d.db.PromotedAt) > d.role.Spec.LaunchTimeout.Std() || alone && d.held(key), alone && len(d.db.Known) > 1 && !d.db.Bare.IsZero() && d.since(d.db.Bare) >= degradeAfter:
		d.hold(key, failure, fmt.Sprintf("no replica acknowledges the writes of %s: it takes them alone, and if its data is lost they are", d.db.Primary), nil)
	case !alone && d.held(key):
		d.say("replication", info, "a replica acknowledges writes again", "")
	}
}
