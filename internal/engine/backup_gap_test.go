package engine_test

import (
	"testing"
	"time"

	"github.com/farmhand/terraform-provider-farmhand/internal/state"
)

// TestGapIsSaidOnce: when it appears, again when another one does, and when it is gone.
func TestGapIsSaidOnce(t *testing.T) {
	w := newBackupWorld(t, nil)
	report := &w.role().Instances[0].Report.Backup
	*report = &state.BackupReport{Log: w.view.Now.Add(48 * time.Hour)}
	w.pass(0)
	w.says()
	gap := state.LogGap{First: 43, Last: 57, From: w.view.Now.Add(-time.Hour), To: w.view.Now.Add(-time.Minute), Text: "transactions 43 to 57 are in no stored binary log"}
	look := func(g *state.LogGap) {
		*report = &state.BackupReport{Log: w.view.Now.Add(48 * time.Hour), Looked: w.view.Now, Gap: g}
		w.pass(time.Second)
	}
	look(&gap)
	w.says("error: transactions 43 to 57 are in no stored binary log. Backups do not lead across it: take one now with farmhand backup shop/mysql")
	whole := gap
	whole.Whole = "20260302T015900Z"
	look(&whole)
	w.says()
	later := whole
	later.First, later.Last, later.Text = 90, 90, "transaction 90 is in no stored binary log"
	look(&later)
	w.says("warning: transaction 90 is in no stored binary log. Moments of that time cannot be restored; what came later can, from backup 20260302T015900Z on")
	// Another server stores now, and has not looked yet.
	*report = &state.BackupReport{Log: w.view.Now.Add(48 * time.Hour)}
	w.pass(time.Second)
	w.says()
	look(&later)
	w.says()
	look(nil)
	w.says("info: the binary logs of between")
	look(nil)
	w.says()
}
