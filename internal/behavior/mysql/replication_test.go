package mysql

import (
	"context"
	"syscall"
	"testing"
	"time"

	"github.com/farmhand/terraform-provider-farmhand/internal/state"
)

// pair is a primary with replicas, under way.
func (r *rig) start(indexes ...int) {
	r.Helper()
	first := r.nodes[indexes[0]]
	first.launch()
	r.primary(indexes[0], "", true)
	first.awaitSetup()
	first.until("writing", writable)
	db := first.app()
	first.exec(db, "CREATE TABLE acked (id BIGINT PRIMARY KEY, filler VARCHAR(200)) ENGINE=InnoDB")
	if len(indexes) == 1 {
		return
	}
	for _, i := range indexes[1:] {
		r.nodes[i].launch()
	}
	r.primary(indexes[0], "", true, indexes[1:]...)
	for _, i := range indexes[1:] {
		r.nodes[i].awaitSetup()
		r.nodes[i].until("following", following)
	}
	r.primary(indexes[0], "", false, indexes[1:]...)
	first.until("acknowledgements", func(d state.DatabaseReport) bool { return d.SemiSync == len(indexes)-1 })
}

// failover does what the farm does when the primary is lost: drain the survivors and promote the most advanced.
func (r *rig) failover(from int, survivors ...int) (to int) {
	r.Helper()
	r.order(func(d *state.Database) {
		delete(d.Orders, r.nodes[from].name())
		for _, i := range survivors {
			d.Orders[r.nodes[i].name()] = state.DatabaseOrder{Office: state.OfficeDrain}
		}
	})
	best := ""
	for _, i := range survivors {
		r.nodes[i].until("drained", func(d state.DatabaseReport) bool { return d.Drained })
		p := r.nodes[i].report().Position
		over, _ := r.nodes[i].runner.db().Beyond(context.Background(), p, best)
		if to == 0 || over {
			to, best = i, p
		}
	}
	var others []int
	for _, i := range survivors {
		if i != to {
			others = append(others, i)
		}
	}
	r.primary(to, best, len(others) == 0, others...)
	took := r.nodes[to].until("writing", writable)
	r.Logf("promoted %s at %s: writable %s after the order", r.nodes[to].name(), best, took.Round(time.Millisecond))
	return to
}

func TestKilledPrimary(t *testing.T) {
	r := newRig(t, 3)
	r.start(1, 2, 3)
	l := r.load(1, 8)
	l.more(500)
	r.nodes[1].kill()
	for _, i := range []int{2, 3} {
		took := r.nodes[i].until("the source's loss", func(d state.DatabaseReport) bool { return d.Lost })
		t.Logf("db-%d says that its source is lost after %s", i, took.Round(time.Millisecond))
	}
	to := r.failover(1, 2, 3)
	l.at.Store(int32(to))
	l.more(500)

	// It comes back on its volume as another machine, and rejoins by GTID.
	r.nodes[1].launch()
	r.order(func(d *state.Database) {
		d.Orders["db-1"] = state.DatabaseOrder{Office: state.OfficeReplica, Source: r.nodes[to].address, CloneFrom: r.nodes[to].address}
	})
	r.nodes[1].awaitSetup()
	r.nodes[1].until("rejoining", following)
	if m := r.nodes[1].runner.mark(); m.Cloned != 0 {
		t.Errorf("it was cloned anew (%+v), and was to rejoin by GTID", m)
	}
	l.more(100)
	l.verify(r.nodes[to])
}

func TestPausedPrimaryAcceptsNothing(t *testing.T) {
	r := newRig(t, 3)
	r.start(1, 2, 3)
	l := r.load(1, 8)
	l.more(200)
	old := r.nodes[1]
	r.mu.Lock()
	r.cut[1] = true
	r.mu.Unlock()
	old.signal(syscall.SIGSTOP)
	for _, i := range []int{2, 3} {
		r.nodes[i].until("the source's loss", func(d state.DatabaseReport) bool { return d.Lost })
	}
	to := r.failover(1, 2, 3)
	l.at.Store(int32(to))
	l.more(200)

	// The lease ran out meanwhile: the server goes on and must not take a single write. It is killed if it does not
	// become read-only in time, which is as good; then it comes back as another machine does.
	old.signal(syscall.SIGCONT)
	db := old.app()
	for began := time.Now(); time.Since(began) < time.Second; time.Sleep(5 * time.Millisecond) {
		ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
		if _, err := db.ExecContext(ctx, "INSERT INTO acked VALUES (-1, 'split brain')"); err == nil {
			t.Fatal("the old primary accepted a write")
		}
		cancel()
	}
	r.mu.Lock()
	r.cut[1] = false
	r.mu.Unlock()
	if old.runner.service.Alive() != nil {
		old.kill()
		old.launch()
	}
	r.order(func(d *state.Database) {
		d.Orders["db-1"] = state.DatabaseOrder{Office: state.OfficeReplica, Source: r.nodes[to].address, CloneFrom: r.nodes[to].address}
	})
	d := r.rejoinOrClone(1, to)
	t.Logf("the old primary rejoined: %+v", d)
	l.verify(r.nodes[to])
}

// rejoinOrClone does as the farm does: what says that it has diverged is told to be cloned.
func (r *rig) rejoinOrClone(index, source int) state.DatabaseReport {
	r.Helper()
	n := r.nodes[index]
	n.until("following, or diverged", func(d state.DatabaseReport) bool { return following(d) || d.Diverged != "" })
	if d := n.report(); d.Diverged != "" {
		r.Logf("%s: %s", n.name(), d.Diverged)
		r.order(func(db *state.Database) {
			db.Orders[n.name()] = state.DatabaseOrder{Office: state.OfficeClone, Source: r.nodes[source].address, CloneFrom: r.nodes[source].address}
		})
		n.until("following a clone", func(d state.DatabaseReport) bool { return following(d) && d.Diverged == "" })
	}
	return n.report()
}

func TestPrimaryThatHearsNothingBecomesReadOnly(t *testing.T) {
	r := newRig(t, 2)
	r.start(1, 2)
	n := r.nodes[1]
	r.mu.Lock()
	r.cut[1] = true
	r.mu.Unlock()
	took := n.until("read-only", func(d state.DatabaseReport) bool { return !d.Writable })
	if took < time.Second || took > 4*time.Second {
		t.Errorf("read-only after %s; the lease is 2s", took)
	}
	r.mu.Lock()
	r.cut[1] = false
	r.mu.Unlock()
	n.until("writing again", writable)
}

func TestPlannedSwitch(t *testing.T) {
	r := newRig(t, 2)
	r.start(1, 2)
	l := r.load(1, 4)
	l.more(200)
	began := time.Now()
	r.order(func(d *state.Database) { d.Orders["db-1"] = state.DatabaseOrder{Office: state.OfficeFrozen} })
	seq := r.decided().Orders["db-1"].Seq
	r.nodes[1].until("frozen", func(d state.DatabaseReport) bool { return d.Done == seq && !d.Writable })
	p := r.nodes[1].report().Position
	r.nodes[2].until("caught up", func(d state.DatabaseReport) bool {
		over, _ := r.nodes[2].runner.db().Beyond(t.Context(), p, d.Position)
		return !over
	})
	r.primary(2, p, true, 1)
	r.nodes[2].until("writing", writable)
	t.Logf("switched after %s", time.Since(began).Round(time.Millisecond))
	l.at.Store(2)
	r.nodes[1].until("following", following)
	r.primary(2, p, false, 1)
	r.nodes[2].until("acknowledgements", func(d state.DatabaseReport) bool { return d.SemiSync == 1 })
	l.more(100)
	l.verify(r.nodes[2])
	if m := r.nodes[1].runner.mark(); m.Cloned != 0 {
		t.Errorf("the old primary was cloned: %+v", m)
	}
}

func TestErrantTransaction(t *testing.T) {
	r := newRig(t, 2)
	r.start(1, 2)
	n := r.nodes[2]
	n.exec(n.root_(), "CREATE TABLE app.errant (id INT)")
	n.until("diverged", func(d state.DatabaseReport) bool { return d.Diverged != "" })
	if err := n.runner.Check(t.Context()); err == nil {
		t.Error("it serves though it has diverged")
	}
	t.Log(n.report().Diverged)
	r.rejoinOrClone(2, 1)
	var there int
	if err := n.root_().QueryRow("SELECT COUNT(*) FROM information_schema.tables WHERE table_name='errant'").Scan(&there); err != nil || there != 0 {
		t.Errorf("the errant table: %d, %v", there, err)
	}
	if kept, _ := n.runner.volume.aside(); len(kept) != 1 {
		t.Errorf("the diverged data is not kept: %v", kept)
	}
}
