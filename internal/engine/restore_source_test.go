package engine_test

import (
	"testing"
	"time"

	"github.com/farmhand/terraform-provider-farmhand/internal/state"
)

// TestRestoreFromElsewhere: it is said from where, and what the data brings that does not fit.
func TestRestoreFromElsewhere(t *testing.T) {
	w, _ := wishRestore(t)
	w.report(state.BackupReport{})
	w.role().Backups = &state.Backups{Since: w.view.Now}
	w.role().BackupWish = &state.BackupTask{ID: "restore-2", Kind: state.BackupRestore, By: "ada", From: "db", FromFarm: "old", FromTo: "s3://left", FromKey: true}
	b := w.pass(time.Second)
	w.says("the restore asked for by ada from old/db in s3://left begins on mysql-1")
	w.role().BackupWish = nil
	w.pass(time.Second)
	r := w.role().Instances[0].Report.Database
	r.Done, r.RestoreNoted, r.RestoreNote = w.role().Database.Orders["mysql-1"].Seq, b.Task.ID, "it has no database app"
	b = w.pass(time.Second)
	w.says("the restore is done", "warning: the restored data: it has no database app")
	if b.Restored == nil || b.Restored.Text != "it has no database app" {
		t.Errorf("%+v", b.Restored)
	}
}
