package engine_test

import (
	"testing"
	"time"

	"github.com/farmhand/terraform-provider-farmhand/internal/spec"
	"github.com/farmhand/terraform-provider-farmhand/internal/state"
)

// TestRestoreIsTriedAgain: what the place of the backups is to blame for, under another id, ever later, and not for ever.
func TestRestoreIsTriedAgain(t *testing.T) {
	w, task := wishRestore(t)
	away := func() {
		r := w.role().Instances[0].Report.Database
		r.RestoreFailed, r.RestoreTransient, r.Error = w.role().Backups.Task.ID, true, "target unavailable"
	}
	away()
	b := w.pass(time.Second)
	w.says("warning: the restore failed: target unavailable. The data of before is in force; trying again in 1m")
	if b.Task != nil || !b.Again.Is(task.ID) {
		t.Fatalf("%+v", b)
	}
	if b = w.pass(30 * time.Second); b.Task != nil {
		t.Fatalf("too early: %+v", b.Task)
	}
	b = w.pass(31 * time.Second)
	w.says("the restore asked for by ada begins on mysql-1, try 2")
	if !b.Task.Is(task.ID) || b.Task.ID == task.ID || !b.Task.Force || b.Again != nil {
		t.Fatalf("%+v", b)
	}
	w.pass(time.Second)
	if o := w.role().Database.Orders["mysql-1"]; o.Restore == nil || o.Restore.ID != b.Task.ID {
		t.Fatalf("%+v", o)
	}
	for _, wait := range []int{2, 4, 8} {
		away()
		w.pass(time.Second)
		if b = w.pass(time.Duration(wait) * time.Minute); b.Task == nil {
			t.Fatalf("not tried again after %dm: %+v", wait, b)
		}
	}
	away()
	b = w.pass(time.Second)
	w.says("error: the restore failed: target unavailable. The data of before is in force")
	if b.Again != nil || b.Task != nil {
		t.Errorf("%+v", b)
	}
}

// TestRestoreAnew: who asks for another restore meanwhile has that one.
func TestRestoreAnew(t *testing.T) {
	w, task := wishRestore(t)
	r := w.role().Instances[0].Report.Database
	r.RestoreFailed, r.RestoreTransient, r.Error = task.ID, true, "target unavailable"
	w.pass(time.Second)
	w.role().BackupWish = &state.BackupTask{ID: "restore-9", Kind: state.BackupRestore, By: "ada"}
	if b := w.pass(time.Second); b.Task == nil || b.Task.ID != "restore-9" || b.Again != nil {
		t.Errorf("%+v", b)
	}
}

// TestDrillIsTriedAgain: a place that is away says nothing of the backup in it.
func TestDrillIsTriedAgain(t *testing.T) {
	w := newBackupWorld(t, func(b *spec.Backup) { b.DrillCron, b.DrillOn = "0 7 * * *", spec.DrillOnReplica })
	w.logged()
	w.pass(0)
	w.pass(time.Hour)
	w.done("20260302T030000Z")
	w.pass(time.Minute)
	b := w.pass(4 * time.Hour)
	if b.Task == nil || b.Task.Kind != state.BackupDrill {
		t.Fatalf("%+v", b.Task)
	}
	first := b.Task.ID
	w.report(state.BackupReport{Error: "target unavailable", Transient: true})
	w.pass(time.Second)
	w.says("warning: the drill could not be done: target unavailable; trying again in 1m")
	if b = w.pass(time.Minute); b.Task == nil || b.Task.ID != first+"-2" || b.Task.Query != "" {
		t.Fatalf("%+v", b.Task)
	}
	w.done("20260302T030000Z")
	if b = w.pass(time.Minute); b.Drill == nil || b.Drill.Asked != first || b.Task != nil {
		t.Errorf("%+v", b)
	}
	if b = w.pass(time.Hour); b.Task != nil {
		t.Errorf("the same drill again: %+v", b.Task)
	}
}

// TestManualBackupIsTriedAgain: as another backup, since its id is its moment.
func TestManualBackupIsTriedAgain(t *testing.T) {
	w := newBackupWorld(t, nil)
	w.logged()
	w.pass(0)
	w.role().BackupWish = &state.BackupTask{ID: "20260302T020001Z", Kind: state.BackupFull, By: "ada"}
	w.pass(time.Second)
	w.role().BackupWish = nil
	w.report(state.BackupReport{Error: "target unavailable", Transient: true})
	w.pass(time.Second)
	b := w.pass(time.Minute)
	if b.Task == nil || !b.Task.Is("20260302T020001Z") || b.Task.ID != w.view.Now.Format("20060102T150405Z") || b.Task.By != "ada" {
		t.Fatalf("%+v", b.Task)
	}
	w.report(state.BackupReport{Error: "mariabackup: exit status 1"})
	b = w.pass(time.Second)
	w.says("error: the backup asked for by ada failed: mariabackup: exit status 1")
	if b.Again != nil {
		t.Errorf("%+v", b.Again)
	}
}
