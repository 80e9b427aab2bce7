package sidecar

import (
	"strings"
	"testing"
	"time"

	"github.com/farmhand/terraform-provider-farmhand/internal/spec"
	"github.com/farmhand/terraform-provider-farmhand/internal/state"
	"github.com/farmhand/terraform-provider-farmhand/internal/store"
	"github.com/farmhand/terraform-provider-farmhand/internal/store/sqlite"
)

func TestRestoreTo(t *testing.T) {
	for to, good := range map[string]bool{"latest": true, "2026-11-21T14:05:00Z": true, "2026-11-21T14:05:00+01:00": true, "0-1-2345": true, "0-1-5,1-2-7": true,
		"": false, "yesterday": false, "2026-11-21": false, "2026-11-21T14:05": false} {
		var task state.BackupTask
		if err := restoreTo(&task, to); (err == nil) != good {
			t.Errorf("--to %q: %v", to, err)
		}
	}
}

// TestAwaitBackup: what came of a task is told, and one that failed is an error.
func TestAwaitBackup(t *testing.T) {
	ctx := t.Context()
	s, err := sqlite.Open(ctx, t.TempDir()+"/farmhand.db")
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	put := func(key string, v any) {
		t.Helper()
		if _, err := store.PutJSON(ctx, s, key, v); err != nil {
			t.Fatal(err)
		}
	}
	put(state.RoleKey("shop", "db"), state.Declared[spec.Role]{Spec: spec.Role{Farm: "shop", Name: "db"}})
	put(state.FarmIndexKey("shop"), state.FarmEntry{})
	if _, _, _, err := theBackedUp(ctx, s, "shop/db"); err == nil || !strings.Contains(err.Error(), "declares no backups") {
		t.Fatalf("a role without backups: %v", err)
	}
	at := time.Now().Add(-time.Minute)
	put(state.BackupsKey("shop", "db"), state.Backups{Full: &state.BackupDone{ID: "a", Bytes: 2e6}, Drill: &state.BackupDone{ID: "a", At: at.Add(time.Second), Text: "14 tables"}, Failure: "the disk is full"})
	text, err := awaitBackup(ctx, s, "shop", "db", state.BackupTask{ID: "a", Kind: state.BackupFull}, nil)
	if err != nil || !strings.Contains(text, "2.0 MB") {
		t.Fatalf("%q, %v", text, err)
	}
	text, err = awaitBackup(ctx, s, "shop", "db", state.BackupTask{ID: "drill-1", Kind: state.BackupDrill, At: at}, nil)
	if err != nil || !strings.Contains(text, "14 tables") {
		t.Fatalf("%q, %v", text, err)
	}
	if _, err = awaitBackup(ctx, s, "shop", "db", state.BackupTask{ID: "b", Kind: state.BackupFull}, nil); err == nil || !strings.Contains(err.Error(), "the disk is full") {
		t.Fatalf("a backup that failed: %v", err)
	}

	put(state.BackupsKey("shop", "db"), state.Backups{Snapshot: &state.BackupDone{ID: "manual-1", Server: "db-3", Took: 2 * time.Second}, SnapshotFailure: "no room"})
	if text, err = awaitBackup(ctx, s, "shop", "db", state.BackupTask{ID: "manual-1", Kind: state.BackupSnapshot}, nil); err != nil || !strings.Contains(text, "db-3") {
		t.Fatalf("%q, %v", text, err)
	}
	if _, err = awaitBackup(ctx, s, "shop", "db", state.BackupTask{ID: "manual-2", Kind: state.BackupSnapshot}, nil); err == nil || !strings.Contains(err.Error(), "no room") {
		t.Fatalf("a snapshot that failed: %v", err)
	}

	// One that failed for a cause that may pass is waited for further, also as another backup.
	again := state.BackupTask{ID: "b", Asked: "b", Tries: 1, Kind: state.BackupFull}
	put(state.BackupsKey("shop", "db"), state.Backups{Again: &again, Failure: "target unavailable", RetryAt: at})
	text, err = awaitBackup(ctx, s, "shop", "db", state.BackupTask{ID: "b", Kind: state.BackupFull}, func(doing string) {
		if !strings.Contains(doing, "it failed and is tried again at") || !strings.Contains(doing, "target unavailable") {
			t.Errorf("told %q", doing)
		}
		put(state.BackupsKey("shop", "db"), state.Backups{Full: &state.BackupDone{ID: "b2", Asked: "b", Bytes: 4e6}})
	})
	if err != nil || !strings.Contains(text, "backup b2 is stored: 4.0 MB") {
		t.Fatalf("%q, %v", text, err)
	}

	// While it is under way its steps are told, each once.
	task := state.BackupTask{ID: "c", Kind: state.BackupFull}
	put(state.BackupsKey("shop", "db"), state.Backups{Task: &task})
	var told []string
	report := func(b state.BackupReport) {
		b.Task = "c"
		put(state.ReportKey("shop", "db-2"), state.Report{Instance: "db-2", Backup: &b})
	}
	report(state.BackupReport{Doing: "taking it", Bytes: 5 << 20})
	text, err = awaitBackup(ctx, s, "shop", "db", task, func(doing string) {
		told = append(told, doing)
		switch len(told) {
		case 1:
			report(state.BackupReport{Doing: "deleting what is kept no longer"})
		case 2:
			put(state.BackupsKey("shop", "db"), state.Backups{Full: &state.BackupDone{ID: "c", Bytes: 3e6}})
		}
	})
	if err != nil || !strings.Contains(text, "3.0 MB") || strings.Join(told, "; ") != "db-2: taking it, 5 MB; db-2: deleting what is kept no longer" {
		t.Fatalf("%q, %v; told %q", text, err, told)
	}
}
