package mysql

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/farmhand/terraform-provider-farmhand/internal/backup"
	"github.com/farmhand/terraform-provider-farmhand/internal/behavior"
	"github.com/farmhand/terraform-provider-farmhand/internal/state"
)

// snapshot copies the node's volume while its server stands still, as a platform's snapshot shows it: as after a loss of power.
func (n *node) snapshot() string {
	n.Helper()
	dir, err := os.MkdirTemp("", "farmhand-snapshot-") //nolint:usetesting // beside the volumes, on one file system
	if err != nil {
		n.Fatal(err)
	}
	n.Cleanup(func() { os.RemoveAll(dir) })
	n.signal(syscall.SIGSTOP)
	defer n.signal(syscall.SIGCONT)
	for end := time.Now().Add(5 * time.Second); ; time.Sleep(time.Millisecond) {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", n.pid()))
		if err == nil && strings.Contains(string(stat), ") T ") {
			break
		}
		if time.Now().After(end) {
			n.Fatalf("%s does not stand still: %s, %v", n.name(), stat, err)
		}
	}
	if out, err := exec.Command("cp", "-a", filepath.Join(n.root, "var/lib/mysql"), dir).CombinedOutput(); err != nil {
		n.Fatalf("%v: %s", err, out)
	}
	return filepath.Join(dir, "mysql")
}

// volumeOf gives the node, before its life, a volume that is made of a snapshot.
func (n *node) volumeOf(snapshot string) {
	n.Helper()
	at := filepath.Join(n.root, "var/lib/mysql")
	if err := os.RemoveAll(at); err != nil {
		n.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
		n.Fatal(err)
	}
	if out, err := exec.Command("cp", "-a", snapshot, at).CombinedOutput(); err != nil {
		n.Fatalf("%v: %s", err, out)
	}
}

// TestReplicaOfSnapshot: a new replica's volume that is made of a snapshot, of a replica or the primary and under load, saves it the clone.
func TestReplicaOfSnapshot(t *testing.T) {
	r := newRig(t, 4)
	r.start(1, 2)
	l := r.load(1, 4)
	l.more(200)
	snapshots := map[int]string{3: r.nodes[2].snapshot(), 4: r.nodes[1].snapshot()}
	l.more(200)
	for i, snapshot := range snapshots {
		n := r.nodes[i]
		n.volumeOf(snapshot)
		n.launch()
		r.order(func(d *state.Database) {
			d.Orders[n.name()] = state.DatabaseOrder{Office: state.OfficeReplica, Source: r.nodes[1].address, CloneFrom: r.nodes[1].address}
		})
		n.awaitSetup()
		n.until("following", following)
		if out := n.out.String(); strings.Contains(out, "farmhand: cloned") || !strings.Contains(out, "the volume was made of a snapshot of db-") {
			t.Errorf("%s did not take the snapshot's data:\n%s", n.name(), tail(out))
		}
	}
	ids := map[string]string{}
	for _, n := range r.nodes {
		var id string
		if err := n.root_().QueryRow("SELECT @@server_id").Scan(&id); err != nil {
			t.Fatal(err)
		}
		if other := ids[id]; other != "" {
			t.Errorf("%s and %s have one id, %s", n.name(), other, id)
		}
		ids[id] = n.name()
		if m := n.runner.mark(); m.Instance != n.name() || m.Seed {
			t.Errorf("%s holds the data of %+v", n.name(), m)
		}
	}
	close(l.stop)
	l.done.Wait()
	l.stop = make(chan struct{})
	want := count(t, r.nodes[1].root_(), "app.acked")
	for i := range snapshots {
		r.nodes[i].until("all rows", func(state.DatabaseReport) bool { return count(t, r.nodes[i].root_(), "app.acked") == want })
	}
	l.verify(r.nodes[3])

	// One that holds what the primary never had is found out, and cloned anew. The last of it a replica drops by itself when it
	// recovers: its commit was not on the disk yet.
	stray := r.nodes[2]
	for id := -3; id < 0; id++ {
		stray.exec(stray.root_(), fmt.Sprintf("INSERT INTO app.acked VALUES (%d, 'errant')", id))
	}
	copied := stray.snapshot()
	r.nodes[4].kill()
	r.nodes[4].volumeOf(copied)
	r.nodes[4].launch()
	r.nodes[1].exec(r.nodes[1].app(), "INSERT INTO acked VALUES (-9, 'after')")
	r.nodes[4].until("a word of it", func(d state.DatabaseReport) bool { return d.Diverged != "" })
	r.order(func(d *state.Database) {
		d.Orders[r.nodes[4].name()] = state.DatabaseOrder{Office: state.OfficeClone, Source: r.nodes[1].address, CloneFrom: r.nodes[1].address}
	})
	r.nodes[4].until("the clone", following)
	if n := count(t, r.nodes[4].root_(), "app.acked WHERE filler = 'errant'"); n != 0 {
		t.Error("it has what the primary never had")
	}
}

// TestSnapshotAsBackup: what a snapshot holds, with the binary logs behind it, is rehearsed in place and restored from an instance that
// gives it out.
func TestSnapshotAsBackup(t *testing.T) {
	r := newRig(t, 1)
	key, err := backup.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	r.secret[state.BackupKey] = key.Secret()
	target, err := backup.OpenDir(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	places := func(context.Context, string) (backup.Target, error) { return target, nil }
	r.start(1)
	n := r.nodes[1]
	n.runner.Backups = places
	c := backup.Catalog{Target: target, Farm: "shop", Role: "db", UID: "one"}
	db := n.app()
	n.exec(db, "CREATE TABLE orders (id INT PRIMARY KEY)")
	n.exec(db, "INSERT INTO orders VALUES (1), (2)")
	s := state.Snapshot{Name: "auto-1", Instance: "db-1", At: time.Now().UTC(), Flavor: "mariadb", Bytes: 100 << 20}
	snapshot := n.snapshot()
	n.exec(db, "INSERT INTO orders VALUES (3)")
	var position string
	if err := n.root_().QueryRow("SELECT @@gtid_binlog_pos").Scan(&position); err != nil {
		t.Fatal(err)
	}
	n.exec(db, "INSERT INTO orders VALUES (4)")
	if _, err := n.runner.StoreLogs(t.Context(), c, key); err != nil {
		t.Fatal(err)
	}

	root, err := os.MkdirTemp("", "farmhand-mysql-") //nolint:usetesting // short: a socket's path has 108 bytes
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(root) })
	if err := os.Chmod(root, 0o755); err != nil {
		t.Fatal(err)
	}
	temporary := &node{rig: r, index: 0, root: root, address: r.subnet + ".9", task: &state.BackupTask{ID: "drill", Kind: state.BackupDrill, Snapshot: &s}}
	r.nodes[0] = temporary
	temporary.volumeOf(snapshot)
	temporary.launch()
	temporary.awaitSetup()
	if err := temporary.runner.Check(t.Context()); err != nil {
		t.Errorf("it has nothing to serve: %v", err)
	}
	m := behavior.ManifestOf(s)
	m.InPlace = true
	d, err := temporary.runner.Rehearse(t.Context(), c, m, key, "SELECT MAX(id) AS newest FROM app.orders", nil)
	if err != nil || !d.OK || d.Answer != "newest = 4" || d.Backup != "auto-1" {
		t.Fatalf("the drill: %+v, %v", d, err)
	}
	temporary.kill()

	// The drill used its copy up.
	temporary.volumeOf(snapshot)
	task := state.BackupTask{ID: "restore", Kind: state.BackupRestore, Position: position, Force: true, Temporary: true, Snapshot: &s, Backup: s.Name, Archive: state.Archive{UID: "one"}}
	temporary.task = &task
	temporary.launch()
	temporary.awaitSetup()
	r.order(func(d *state.Database) {
		o := d.Orders[n.name()]
		o.Alone, o.Restore, o.CloneFrom = true, &task, temporary.address
		d.Orders[n.name()] = o
	})
	n.until("the restore", func(d state.DatabaseReport) bool {
		return d.Done == r.decided().Orders[n.name()].Seq && d.Writable && d.RestoreFailed == ""
	})
	if got := count(t, n.app(), "orders"); got != 3 {
		t.Fatalf("restored to %s: %d orders, not 3\n%s", position, got, tail(n.out.String()))
	}
	n.exec(n.app(), "INSERT INTO orders VALUES (6)")

	// The instance is lost in the middle: the data of before is in force.
	temporary.kill()
	again := task
	again.ID = "again"
	r.order(func(d *state.Database) {
		o := d.Orders[n.name()]
		o.Restore = &again
		d.Orders[n.name()] = o
	})
	n.until("a failure", func(d state.DatabaseReport) bool { return d.RestoreFailed == "again" && d.Writable })
	if got := count(t, n.app(), "orders"); got != 4 {
		t.Fatalf("a restore that failed left %d orders", got)
	}
}
