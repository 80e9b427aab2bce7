package mysql

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/farmhand/terraform-provider-farmhand/internal/backup"
	"github.com/farmhand/terraform-provider-farmhand/internal/state"
)

// A farm of MySQL servers, from the first installation over clones and a planned change to the loss of a primary under load.
func TestMySQLServers(t *testing.T) {
	r := newMySQLRig(t, 3)
	r.start(1, 2, 3)
	for i, n := range r.nodes {
		if d := n.report(); d.Flavor != "mysql" || (n.runner.mark().Cloned != 0) != (i != 1) {
			t.Errorf("%s reports %+v and its data is %+v", n.name(), d, n.runner.mark())
		}
		if exists(n.runner.volume.path(givenDir)) {
			t.Errorf("%s: the copy that it gave away is still there", n.name())
		}
	}
	l := r.load(1, 8)
	l.more(300)

	began := time.Now()
	r.order(func(d *state.Database) { d.Orders["db-1"] = state.DatabaseOrder{Office: state.OfficeFrozen} })
	seq := r.decided().Orders["db-1"].Seq
	r.nodes[1].until("frozen", func(d state.DatabaseReport) bool { return d.Done == seq && !d.Writable })
	p := r.nodes[1].report().Position
	r.nodes[2].until("caught up", func(d state.DatabaseReport) bool {
		over, err := r.nodes[2].runner.db().Beyond(t.Context(), p, d.Position)
		return err == nil && !over
	})
	r.primary(2, p, false, 1, 3)
	r.nodes[2].until("writing", writable)
	t.Logf("switched after %s", time.Since(began).Round(time.Millisecond))
	l.at.Store(2)
	l.more(300)
	if m := r.nodes[1].runner.mark(); m.Cloned != 0 {
		t.Errorf("the old primary was cloned: %+v", m)
	}

	r.nodes[2].kill()
	for _, i := range []int{1, 3} {
		r.nodes[i].until("the source's loss", func(d state.DatabaseReport) bool { return d.Lost })
	}
	to := r.failover(2, 1, 3)
	l.at.Store(int32(to))
	l.more(300)

	// It kept what its log held: what nobody acknowledged makes it one to be cloned anew.
	r.nodes[2].launch()
	r.order(func(d *state.Database) {
		d.Orders["db-2"] = state.DatabaseOrder{Office: state.OfficeReplica, Source: r.nodes[to].address, CloneFrom: r.nodes[to].address}
	})
	t.Logf("the old primary rejoined: %+v", r.rejoinOrClone(2, to))
	l.more(100)
	l.verify(r.nodes[to])
	r.nodes[2].until("following", following)
}

// A primary of MySQL's that the farm does not hear becomes read-only though its commits wait for acknowledgements that will not come, and
// without being killed. Nobody is told that one of those succeeded.
func TestMySQLPrimaryThatIsCutOff(t *testing.T) {
	r := newMySQLRig(t, 2)
	r.start(1, 2)
	l := r.load(1, 8)
	l.more(200)
	old := r.nodes[1]
	r.mu.Lock()
	r.cut[1] = true
	r.mu.Unlock()
	r.order(func(d *state.Database) { d.Orders["db-2"] = state.DatabaseOrder{Office: state.OfficeDrain} })
	r.nodes[2].until("drained", func(d state.DatabaseReport) bool { return d.Drained })
	old.until("commits that wait", func(d state.DatabaseReport) bool { return d.Waiting })
	old.until("read-only", func(d state.DatabaseReport) bool { return !d.Writable })
	if err := old.runner.service.Alive(); err != nil {
		t.Errorf("it had to be killed to become read-only: %v\n%s", err, tail(old.out.String()))
	}
	l.at.Store(int32(r.failover(1, 2)))
	l.more(200)
	l.verify(r.nodes[2])
}

// What a replica wrote itself is found out, and gives way to a clone.
func TestMySQLErrantTransaction(t *testing.T) {
	r := newMySQLRig(t, 2)
	r.start(1, 2)
	n := r.nodes[2]
	root := n.root_()
	root.SetMaxOpenConns(1)
	n.exec(root, "SET GLOBAL super_read_only = OFF")
	n.exec(root, "CREATE TABLE app.errant (id INT)")
	n.until("diverged", func(d state.DatabaseReport) bool { return d.Diverged != "" })
	r.rejoinOrClone(2, 1)
	var there int
	if err := n.root_().QueryRow("SELECT COUNT(*) FROM information_schema.tables WHERE table_name='errant'").Scan(&there); err != nil || there != 0 {
		t.Errorf("the errant table: %d, %v", there, err)
	}
}

// A replica that was away when one took over that had received less is found out, though MySQL lets it follow.
func TestMySQLReplicaThatReceivedMore(t *testing.T) {
	r := newMySQLRig(t, 3)
	r.start(1, 2, 3)
	r.order(func(d *state.Database) { d.Orders["db-2"] = state.DatabaseOrder{Office: state.OfficeDrain} })
	r.nodes[2].until("drained", func(d state.DatabaseReport) bool { return d.Drained })
	less := r.nodes[2].report().Position
	r.nodes[1].exec(r.nodes[1].app(), "INSERT INTO acked VALUES (1, 'for db-3 alone')")
	root := r.nodes[3].root_()
	r.nodes[3].until("the row", func(state.DatabaseReport) bool { return count(t, root, "app.acked") == 1 })
	r.nodes[1].kill()
	r.primary(2, less, true)
	r.nodes[2].until("writing", writable)
	r.primary(2, less, true, 3)
	r.nodes[3].until("diverged", func(d state.DatabaseReport) bool { return d.Diverged != "" })
	r.rejoinOrClone(3, 2)
	if n := count(t, r.nodes[3].root_(), "app.acked"); n != 0 {
		t.Errorf("it has %d rows that the primary never had", n)
	}
}

// Variables are checked when they are declared against MariaDB's. What MySQL lacks of them is said by the instance.
func TestMySQLVariablesThatItLacks(t *testing.T) {
	r := newMySQLRig(t, 1)
	r.role.Settings["server.aria_pagecache_buffer_size"] = "1048576"
	r.nodes[1].launch()
	if err := <-r.nodes[1].setup; err == nil || !strings.Contains(err.Error(), "aria_pagecache_buffer_size") {
		t.Errorf("setting up with a variable that takes a restart: %v", err)
	}

	r = newMySQLRig(t, 1)
	r.role.Settings["server.aria_checkpoint_interval"] = "60"
	r.start(1)
	n := r.nodes[1]
	n.until("a word of the variable", func(d state.DatabaseReport) bool { return strings.Contains(d.Error, "aria_checkpoint_interval") })
	if _, err := n.runner.StoreLogs(t.Context(), backup.Catalog{}, backup.Key{}); err == nil || !strings.Contains(err.Error(), "MySQL") {
		t.Errorf("storing binary logs: %v", err)
	}
}

// A giver without room for the copy says so, and nothing of a copy is on its volume.
func TestMySQLGiverNeedsRoom(t *testing.T) {
	r := newMySQLRig(t, 2)
	at := filepath.Join(r.nodes[1].root, "var/lib/mysql")
	if err := os.MkdirAll(at, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("tmpfs", at, "tmpfs", 0, "size=230m"); err != nil {
		t.Skipf("no small volume can be mounted here: %v", err)
	}
	t.Cleanup(func() {
		r.nodes[1].kill()
		if err := syscall.Unmount(at, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	r.start(1)
	r.nodes[2].launch()
	r.primary(1, "", true, 2)
	r.nodes[2].until("word of the room", func(d state.DatabaseReport) bool { return strings.Contains(d.Error, "give it a larger volume") })
	if !strings.Contains(r.nodes[2].report().Error, "its volume has") || exists(r.nodes[1].runner.volume.path(givenDir)) {
		t.Errorf("the taker reports %q", r.nodes[2].report().Error)
	}
}
