package engine_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/farmhand/terraform-provider-farmhand/internal/engine"
	"github.com/farmhand/terraform-provider-farmhand/internal/spec"
	"github.com/farmhand/terraform-provider-farmhand/internal/state"
)

// newSnapshotWorld is a database whose platform takes snapshots: every three hours, two are kept.
func newSnapshotWorld(t *testing.T) *backupWorld {
	w := newBackupWorld(t, func(b *spec.Backup) {
		b.Snapshots = &spec.Snapshots{Cron: "0 */3 * * *", Keep: 2}
	})
	w.logged()
	w.role().SnapshotsListed = true
	w.role().Backups = &state.Backups{Since: w.view.Now, Full: &state.BackupDone{At: w.view.Now.Add(100 * time.Hour)}} // full ones are another test's
	w.pass(0)
	return w
}

// lists has the platform list the snapshot under way, done.
func (w *backupWorld) lists() string {
	t := w.role().Backups.Snapshotting
	if t == nil {
		w.t.Fatal("none is under way")
	}
	w.role().Snapshots = append(w.role().Snapshots, engine.Snapshot{ID: "snap-" + t.ID, Name: t.ID, Instance: t.Server, At: t.At, Done: true})
	return t.ID
}

func TestSnapshotDay(t *testing.T) {
	w := newSnapshotWorld(t)
	w.says()
	b := w.pass(time.Hour + time.Second)
	const first = "auto-20260302t030001z"
	if b.Snapshotting == nil || b.Snapshotting.ID != first || b.Snapshotting.Position != "0-1-10" {
		t.Fatalf("%+v", b.Snapshotting)
	}
	w.says("info: snapshot " + first + " of the volume of mysql-3 begins: due since 2026-03-02 03:00:00 UTC")
	w.does("take snapshot mysql-3 " + first)
	w.pass(time.Second)
	w.does("take snapshot mysql-3 " + first) // until it is listed
	w.role().Snapshots = []engine.Snapshot{{ID: "snap-1", Name: first, Instance: "mysql-3", At: w.view.Now, Progress: "40%"}}
	w.pass(time.Minute)
	w.does()
	w.role().Snapshots[0].Done = true
	b = w.pass(time.Minute)
	w.says("info: snapshot " + first + " of the volume of mysql-3 is done, 2m after it was begun")
	if b.Snapshotting != nil || len(b.Snapshots) != 1 || b.Snapshots[0].Position != "0-1-10" || b.Snapshots[0].ID != "snap-1" || b.Snapshots[0].Flavor != "mariadb" {
		t.Fatalf("%+v", b)
	}
	w.pass(time.Hour)
	w.says()
	// The next two are taken, and then the oldest is one too many.
	for range 2 {
		w.pass(3 * time.Hour)
		w.lists()
		w.pass(time.Minute)
	}
	w.does("drop snapshot mysql-3 " + first)
	w.pass(time.Second)
	w.does("drop snapshot mysql-3 " + first) // until it is listed no more
	w.role().Snapshots = w.role().Snapshots[1:]
	if b = w.pass(time.Second); len(b.Snapshots) != 2 || b.Snapshots[0].Name == first {
		t.Errorf("%+v", b.Snapshots)
	}
	w.does()
}

// TestSnapshotWish: one that a person asks for is kept for a month, and stands for none that is due.
func TestSnapshotWish(t *testing.T) {
	w := newSnapshotWorld(t)
	name := engine.SnapshotName(w.view.Now, true)
	w.role().BackupWish = &state.BackupTask{ID: name, Kind: state.BackupSnapshot, By: "ada"}
	b := w.pass(time.Second)
	if b.Snapshotting == nil || b.Task != nil || b.Snapshotting.ID != name {
		t.Fatalf("%+v", b)
	}
	w.role().BackupWish = nil
	w.lists()
	w.pass(time.Second)
	for range 4 {
		w.pass(3 * time.Hour)
		w.lists()
		w.pass(time.Second)
		w.role().Snapshots = slices.DeleteFunc(w.role().Snapshots, func(s engine.Snapshot) bool {
			return slices.ContainsFunc(w.did, func(d string) bool { return strings.Contains(d, s.Name) })
		})
	}
	if b = w.pass(time.Second); len(b.Snapshots) != 3 || b.Snapshots[0].Name != name {
		t.Errorf("kept %+v", b.Snapshots)
	}
}

func TestSnapshotFails(t *testing.T) {
	w := newSnapshotWorld(t)
	w.role().Spec.Backup.Window = spec.Duration(time.Hour)
	b := w.pass(time.Hour + time.Second)
	w.role().Snapshots = []engine.Snapshot{{ID: "snap-1", Name: b.Snapshotting.ID, Instance: "mysql-3", Failed: "the quota of snapshots is used up"}}
	b = w.pass(time.Second)
	w.says("warning: snapshot auto-20260302t030001z of the volume of mysql-3 failed: the quota of snapshots is used up; trying again in 30m, within its window")
	if b.Snapshotting != nil || !slices.Contains(w.did, "drop snapshot mysql-3 auto-20260302t030001z") {
		t.Fatalf("%+v, did %q", b.Snapshotting, w.did)
	}
	w.role().Snapshots = nil
	w.pass(10 * time.Minute)
	w.says()
	if b = w.pass(25 * time.Minute); b.Snapshotting == nil {
		t.Fatal("not tried again")
	}
	w.role().Snapshots = []engine.Snapshot{{Name: b.Snapshotting.ID, Failed: "again"}} // the call was refused: the platform has nothing
	w.pass(time.Second)
	w.role().Snapshots = nil
	w.pass(time.Hour)
	w.says("error: the snapshot due at 2026-03-02 03:00:00 UTC was not taken within its window of 1h: again")
	w.pass(time.Minute)
	w.says()
}

// TestNotListed: a platform that cannot be asked has not lost anything.
func TestNotListed(t *testing.T) {
	w := newSnapshotWorld(t)
	w.pass(time.Hour + time.Second)
	w.lists()
	w.pass(time.Second)
	listed := w.role().Snapshots
	w.role().Snapshots, w.role().SnapshotsListed = nil, false
	if b := w.pass(time.Minute); len(b.Snapshots) != 1 {
		t.Error("forgotten")
	}
	w.role().Snapshots, w.role().SnapshotsListed = nil, true
	if b := w.pass(time.Minute); len(b.Snapshots) != 0 {
		t.Error("deleted by somebody, and still counted")
	}
	// One from before, of which nothing is recorded, is the role's, but not known well enough to make a replica of.
	w.role().Snapshots = listed
	if b := w.pass(time.Minute); len(b.Snapshots) != 1 || b.Snapshots[0].Position != "" {
		t.Errorf("%+v", b.Snapshots)
	}
}

// TestCloneFromSnapshot: a new replica's volume is made of the snapshot where that is nearer than a stream.
func TestCloneFromSnapshot(t *testing.T) {
	const gb = 1e9
	for name, c := range map[string]struct {
		bytes    int64
		position string // of the primary
		change   func(w *backupWorld)
		age      time.Duration
		want     bool
	}{
		"a large one":               {bytes: 100 * gb, position: "0-1-5000", want: true},
		"a small one":               {bytes: gb / 100, position: "0-1-5000"},
		"far behind":                {bytes: gb, position: "0-1-90000"},
		"large and far behind":      {bytes: 100 * gb, position: "0-1-90000", want: true},
		"old":                       {bytes: 100 * gb, position: "0-1-5000", age: 40 * time.Hour},
		"of another history":        {bytes: 100 * gb, position: "0-1-5"},
		"from before a restore":     {bytes: 100 * gb, position: "0-1-5000", change: func(w *backupWorld) { w.role().Backups.Restored = &state.BackupDone{At: w.view.Now} }},
		"one that came back badly":  {bytes: 100 * gb, position: "0-1-5000", change: func(w *backupWorld) { w.role().Backups.Snapshots[0].Failed = true }},
		"of an unknown position":    {bytes: 100 * gb, position: "0-1-5000", change: func(w *backupWorld) { w.role().Backups.Snapshots[0].Position = "" }},
		"an index that has data":    {bytes: 100 * gb, position: "0-1-5000", change: func(w *backupWorld) { w.role().Database.Known = []string{"mysql-4"} }},
		"not listed any more":       {bytes: 100 * gb, position: "0-1-5000", change: func(w *backupWorld) { w.role().Snapshots = nil }},
		"while nobody takes writes": {bytes: 100 * gb, position: "0-1-5000", change: func(w *backupWorld) { w.role().Database.Primary = "" }},
	} {
		w := newSnapshotWorld(t)
		w.pass(time.Hour + time.Second)
		w.lists()
		w.pass(time.Second)
		w.pass(c.age)
		if c.age > 0 { // what fell due meanwhile
			w.role().Backups.Snapshotting = nil
		}
		r := w.role().Instances[0].Report.Database
		r.Bytes, r.Position = c.bytes, c.position
		w.role().Spec.Min, w.role().Spec.Max = 4, 4
		if c.change != nil {
			c.change(w)
		}
		w.pass(time.Second)
		i := slices.IndexFunc(w.did, func(d string) bool { return strings.HasPrefix(d, "launch mysql-4") })
		if i < 0 {
			t.Errorf("%s: did %q", name, w.did)
		} else if got := strings.Contains(w.did[i], "snap-"); got != c.want {
			t.Errorf("%s: %q", name, w.did[i])
		}
		w.role().Instances = append(w.role().Instances, engine.Instance{Instance: state.Instance{Role: "mysql", Index: 4, Token: "t4", Phase: state.Planned, Since: w.view.Now, Created: w.view.Now, Snapshot: "snap-1"}})
		w.pass(time.Second)
		if !slices.Contains(w.role().Database.Known, "mysql-4") {
			t.Errorf("%s: its data would not be thrown away if it did not fit", name)
		}
	}
}

// TestSnapshotDrill: the newest snapshot is rehearsed after the newest backup, on a volume that is made of it.
func TestSnapshotDrill(t *testing.T) {
	w := newSnapshotWorld(t)
	w.role().Spec.Backup.DrillCron = "30 3 * * *"
	w.pass(time.Hour + time.Second)
	name := w.lists()
	w.pass(time.Second)
	b := w.pass(time.Hour)
	if b.Task == nil || b.Task.Snapshot != nil || b.Task.Kind != state.BackupDrill {
		t.Fatalf("%+v", b.Task)
	}
	w.pass(time.Second)
	w.done("20260302T030000Z")
	w.pass(time.Second)
	for range 3 { // the first one's instance goes before the second one's comes
		if b = w.pass(time.Second); slices.ContainsFunc(w.did, func(d string) bool { return strings.HasPrefix(d, "launch") }) {
			break
		}
	}
	w.does("launch mysql-0 snap-" + name)
	if b.Task == nil || b.Task.Snapshot == nil || b.Task.Snapshot.Name != name || b.Task.Backup != name {
		t.Fatalf("%+v", b.Task)
	}
	w.pass(time.Second)
	w.report(state.BackupReport{Error: "CHECK TABLE app.orders: Corrupt"})
	b = w.pass(time.Second)
	w.says("error: the rehearsed restore failed: CHECK TABLE app.orders: Corrupt. The snapshot may be of no use")
	if !b.Snapshots[0].Failed || b.DrillFailed != nil {
		t.Errorf("%+v; of full backups %+v", b.Snapshots, b.DrillFailed)
	}
}

// TestRestoreSnapshot: a temporary instance gives the snapshot's data out before the primary is ordered to take it.
func TestRestoreSnapshot(t *testing.T) {
	w := newSnapshotWorld(t)
	w.pass(time.Hour + time.Second)
	name := w.lists()
	w.pass(time.Second)
	w.role().BackupWish = &state.BackupTask{ID: "restore-1", Kind: state.BackupRestore, Backup: name, By: "ada", Force: true}
	b := w.pass(time.Second)
	if b.Task == nil || !b.Task.Temporary || b.Task.Server != "mysql-1" {
		t.Fatalf("%+v", b.Task)
	}
	w.does("launch mysql-0 snap-" + name)
	w.role().BackupWish = nil
	w.pass(time.Second)
	if o := w.role().Database.Orders["mysql-1"]; o.Restore != nil {
		t.Fatalf("ordered before there is anything to take: %+v", o)
	}
	w.role().Instances[3].Report.Backup = &state.BackupReport{Task: "restore-1", Done: true}
	w.pass(time.Second)
	o := w.role().Database.Orders["mysql-1"]
	if o.Restore == nil || o.Restore.Snapshot == nil || o.CloneFrom != "10.0.0.99" {
		t.Fatalf("%+v", o)
	}
	w.role().Instances[0].Report.Database.Done = o.Seq
	w.pass(time.Second)
	b = w.pass(time.Second)
	if b.Task != nil || b.Restored == nil {
		t.Fatalf("%+v", b)
	}
	for range 3 {
		w.pass(time.Second)
	}
	if len(w.role().Instances) != 3 {
		t.Error("the temporary instance is still there")
	}
}

// TestRestoreSnapshotInstanceLost: the data of before is in force, and nothing waits for ever.
func TestRestoreSnapshotInstanceLost(t *testing.T) {
	w := newSnapshotWorld(t)
	w.pass(time.Hour + time.Second)
	name := w.lists()
	w.pass(time.Second)
	w.role().BackupWish = &state.BackupTask{ID: "restore-1", Kind: state.BackupRestore, Backup: name, By: "ada", Force: true}
	w.pass(time.Second)
	w.role().BackupWish = nil
	w.role().Instances[3].Report.Backup = &state.BackupReport{Task: "restore-1", Done: true}
	w.pass(time.Second)
	w.role().Instances[3].Machine.Stopped = true
	b := w.pass(time.Second)
	w.says("error: the restore failed: the instance for it is ended: no reason given. The data of before is in force")
	w.pass(time.Second)
	if o := w.role().Database.Orders["mysql-1"]; b.Task != nil || o.Restore != nil {
		t.Errorf("%+v, %+v", b.Task, o)
	}
}
