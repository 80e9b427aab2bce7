package controller

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/farmhand/terraform-provider-farmhand/internal/backup"
	"github.com/farmhand/terraform-provider-farmhand/internal/platform"
	"github.com/farmhand/terraform-provider-farmhand/internal/spec"
	"github.com/farmhand/terraform-provider-farmhand/internal/state"
	"github.com/farmhand/terraform-provider-farmhand/internal/store"
)

func (w *world) restoreKey() string {
	w.t.Helper()
	secret, _, err := store.GetJSON[map[string]string](w.ctx, w.store, state.SecretKey(farmName, "db"))
	if err != nil {
		w.t.Fatal(err)
	}
	return secret[state.RestoreKey]
}

// restoreStory: a restore from elsewhere, whose key is there as long as it stands.
func restoreStory(w *world) {
	w.declare(database(2))
	w.until("two serve", w.serves(0, 2))
	if err := SetRestoreKey(w.ctx, w.store, farmName, "db", "AGE-SECRET"); err != nil {
		w.t.Fatal(err)
	}
	w.wish(state.BackupTask{ID: "restore-1", Kind: state.BackupRestore, From: "db", FromFarm: "old", FromTo: "s3://left", FromKey: true, Force: true})
	w.until("a restore", func() bool {
		b := w.backups()
		d, _, _ := store.GetJSON[state.Database](w.ctx, w.store, state.DatabaseKey(farmName, "db"))
		if d.Restored != "restore-1" && w.restoreKey() == "" {
			w.t.Fatal("the key is gone before the restore has ended")
		}
		return b.Restored != nil && b.Task == nil
	})
	if key := w.restoreKey(); key != "" {
		w.t.Fatalf("the key %s stays", key)
	}
	w.sound()
}

// TestACrashAmongRestores lives the story once for each step at which the sidecar can die.
func TestACrashAmongRestores(t *testing.T) { crashAnywhere(t, 100, newShotWorld, restoreStory) }

// TestAKeyOfNoRestore: whoever asked was killed between the key and the wish.
func TestAKeyOfNoRestore(t *testing.T) {
	w := newShotWorld(t)
	w.declare(database(2))
	w.until("two serve", w.serves(0, 2))
	if err := SetRestoreKey(w.ctx, w.store, farmName, "db", "AGE-SECRET"); err != nil {
		t.Fatal(err)
	}
	w.declare(database(3))
	w.until("three serve", w.serves(0, 3))
	if key := w.restoreKey(); key != "" {
		t.Errorf("the key %s stays", key)
	}
}

// TestRestoreSource: an instance reads what its restore names, for as long as that is ordered, and writes nothing there.
func TestRestoreSource(t *testing.T) {
	w := newWorld(t, newMemory())
	places := map[string]backup.Target{}
	for _, to := range []string{"s3://own", "s3://left"} {
		d, err := backup.OpenDir(t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"shop/db/x", "shop/other/x", "old/db/x", "old/secret/x"} {
			if _, err := d.Put(t.Context(), name, strings.NewReader(to)); err != nil {
				t.Fatal(err)
			}
		}
		places[to] = d
	}
	opts, err := Options{Store: w.store, Holder: "x", OpenPlatform: func(context.Context, spec.Farm, store.Store) (platform.Platform, error) { return nil, nil },
		OpenBackups: func(_ context.Context, to string) (backup.Target, error) { return places[to], nil }}.complete()
	if err != nil {
		t.Fatal(err)
	}
	k := newKeeper(opts, farmName)
	w.put(state.AssignmentKey(farmName, "db-1"), state.Assignment{Farm: farmName, Role: spec.Role{Farm: farmName, Name: "db", Backup: &spec.Backup{To: "s3://own"}}})
	order := func(task *state.BackupTask) {
		w.put(state.DatabaseKey(farmName, "db"), state.Database{Orders: map[string]state.DatabaseOrder{"db-1": {Restore: task}}})
	}
	reads := func(target backup.Target, err error) string {
		t.Helper()
		if err != nil {
			if !errors.Is(err, store.ErrDenied) {
				t.Fatal(err)
			}
			return "nothing"
		}
		var names []string
		for _, name := range []string{"shop/db/x", "shop/other/x", "old/db/x", "old/secret/x"} {
			r, err := target.Get(t.Context(), name)
			if err == nil {
				b := make([]byte, 20)
				n, _ := r.Read(b)
				r.Close()
				names = append(names, string(b[:n])+"/"+name)
			} else if !errors.Is(err, backup.ErrDenied) {
				t.Fatal(err)
			}
		}
		return strings.Join(names, " ")
	}
	for _, c := range []struct {
		task           *state.BackupTask
		source, backup string
	}{
		{nil, "nothing", "s3://own/shop/db/x"},
		{&state.BackupTask{From: "other"}, "s3://own/shop/other/x", "s3://own/shop/db/x s3://own/shop/other/x"},
		{&state.BackupTask{From: "db", FromFarm: "old", FromTo: "s3://left"}, "s3://left/old/db/x", "s3://own/shop/db/x"},
		{&state.BackupTask{From: "db", FromFarm: "old"}, "s3://own/old/db/x", "s3://own/shop/db/x"},
		{&state.BackupTask{From: "db", FromFarm: "shop", FromTo: "s3://left"}, "s3://left/shop/db/x", "s3://own/shop/db/x"},
	} {
		order(c.task)
		if got := reads(k.restoreSourceOf(t.Context(), "db-1")); got != c.source {
			t.Errorf("%+v: as its source it reads %s, want %s", c.task, got, c.source)
		}
		if got := reads(k.backupsOf(t.Context(), "db-1")); got != c.backup {
			t.Errorf("%+v: as its place it reads %s, want %s", c.task, got, c.backup)
		}
	}
	target, err := k.restoreSourceOf(t.Context(), "db-1")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := target.Put(t.Context(), "shop/db/y", strings.NewReader("x")); !errors.Is(err, backup.ErrDenied) {
		t.Errorf("a source is written to: %v", err)
	}
	if err := target.Delete(t.Context(), "shop/db/x"); !errors.Is(err, backup.ErrDenied) {
		t.Errorf("a source is deleted from: %v", err)
	}
}
