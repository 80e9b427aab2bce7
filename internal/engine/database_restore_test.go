package engine_test

import (
	"testing"
	"time"

	"github.com/farmhand/terraform-provider-farmhand/internal/state"
)

// wishRestore has a person ask for one, and the engine take it up.
func wishRestore(t *testing.T) (*backupWorld, *state.BackupTask) {
	w := newBackupWorld(t, nil)
	for range 3 {
		w.pass(time.Second)
		for i := range w.role().Instances {
			in := w.role().Instances[i]
			in.Report.Database.Done = w.role().Database.Orders[in.Name()].Seq
		}
	}
	w.role().BackupWish = &state.BackupTask{ID: "restore-1", Kind: state.BackupRestore, By: "ada", Force: true}
	b := w.pass(time.Second)
	if b.Task == nil || b.Task.ID != "restore-1" || b.Task.Server != "mysql-1" {
		t.Fatalf("%+v", b)
	}
	w.role().BackupWish = nil
	w.pass(time.Second)
	o := w.role().Database.Orders["mysql-1"]
	if o.Office != state.OfficePrimary || o.Restore == nil || o.Restore.ID != "restore-1" || !o.Alone {
		t.Fatalf("%+v", o)
	}
	w.pass(time.Second)
	if again := w.role().Database.Orders["mysql-1"]; again.Seq != o.Seq {
		t.Fatalf("the order was given again: %+v", again)
	}
	return w, b.Task
}

// TestRestore: the primary is ordered to restore, once; then everybody else is cloned, once.
func TestRestore(t *testing.T) {
	w, _ := wishRestore(t)
	for _, name := range []string{"mysql-2", "mysql-3"} {
		if o := w.role().Database.Orders[name]; o.Office != state.OfficeReplica {
			t.Fatalf("before the data is whole: %s is %+v", name, o)
		}
	}
	w.role().Instances[0].Report.Database.Done = w.role().Database.Orders["mysql-1"].Seq
	b := w.pass(time.Second)
	if b.Task != nil || b.Restored == nil || b.Restored.Server != "mysql-1" {
		t.Fatalf("%+v", b)
	}
	seqs := map[string]int64{}
	for _, name := range []string{"mysql-2", "mysql-3"} {
		o := w.role().Database.Orders[name]
		if o.Office != state.OfficeClone || o.CloneFrom != "10.0.0.1" {
			t.Fatalf("%s is %+v", name, o)
		}
		seqs[name] = o.Seq
	}
	w.pass(time.Second)
	db := w.role().Database
	if db.Primary != "mysql-1" || db.Failover != nil || db.Orders["mysql-1"].Restore != nil {
		t.Fatalf("%+v", db)
	}
	for name, seq := range seqs {
		if o := db.Orders[name]; o.Office != state.OfficeClone || o.Seq != seq {
			t.Fatalf("%s is told anew: %+v", name, o)
		}
	}
	// No backup of before leads to what is written from now on. What replicas hold until they are cloned is not it.
	if b = w.role().Backups; b.Task != nil {
		t.Fatalf("%+v", b.Task)
	}
	for i := range w.role().Instances[1:] {
		in := w.role().Instances[1+i]
		in.Report.Database.Done = seqs[in.Name()]
	}
	b = w.pass(time.Second)
	if b.Task == nil || b.Task.Kind != state.BackupFull {
		t.Fatalf("no backup follows: %+v", b)
	}
	w.says("the first one of the restored data")
	w.done(b.Task.ID)
	w.pass(time.Second)
	if b := w.pass(time.Minute); b.Task != nil {
		t.Errorf("and another one: %+v", b.Task)
	}
}

// TestRestoreFails: the data of before stays in force, nobody is cloned, and it is said.
func TestRestoreFails(t *testing.T) {
	w, task := wishRestore(t)
	r := w.role().Instances[0].Report.Database
	r.RestoreFailed, r.Error = task.ID, "the wrong key"
	b := w.pass(time.Second)
	w.says("the wrong key")
	if b.Task != nil || b.Restored != nil || b.Failure != "the wrong key" {
		t.Fatalf("%+v", b)
	}
	w.pass(time.Second)
	db := w.role().Database
	if o := db.Orders["mysql-1"]; o.Restore != nil || o.Office != state.OfficePrimary {
		t.Fatalf("%+v", o)
	}
	if o := db.Orders["mysql-2"]; o.Office != state.OfficeReplica {
		t.Fatalf("%+v", o)
	}
}

// TestRestoreWhilePrimaryIsSwapped: the moment in which its server is down is no death.
func TestRestoreWhilePrimaryIsSwapped(t *testing.T) {
	w, _ := wishRestore(t)
	in := &w.role().Instances[0]
	in.Report.Checks = []state.Check{{Name: "behavior", Message: "the server is not started"}}
	for i := 1; i < 3; i++ {
		w.role().Instances[i].Report.Database.Lost = true
	}
	for range 4 {
		w.pass(500 * time.Millisecond)
	}
	if db := w.role().Database; db.Primary != "mysql-1" || db.Failover != nil {
		t.Fatalf("%+v", db)
	}
}
