package mysql

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/farmhand/terraform-provider-farmhand/internal/backup"
	"github.com/farmhand/terraform-provider-farmhand/internal/backup/backuptest"
	"github.com/farmhand/terraform-provider-farmhand/internal/state"
)

func count(t *testing.T, db *sql.DB, table string) (n int) {
	t.Helper()
	if err := db.QueryRow("SELECT COUNT(*) FROM " + table).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// TestBackups: a server is backed up while it runs, its restore is rehearsed beside it, and it is restored to a transaction, with its
// tables guarded; what is wrong with a backup or its key harms nothing.
func TestBackups(t *testing.T) {
	r := newRig(t, 1)
	key, err := backup.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	r.secret[state.BackupKey] = key.Secret()
	place := t.TempDir()
	target, err := backup.OpenDir(place)
	if err != nil {
		t.Fatal(err)
	}
	r.start(1)
	n := r.nodes[1]
	n.runner.Backups = func(context.Context, string) (backup.Target, error) { return target, nil }
	c := backup.Catalog{Target: target, Farm: "shop", Role: "db", UID: "one"}
	ctx := t.Context()
	db := n.app()
	n.exec(db, "CREATE TABLE orders (id INT PRIMARY KEY)")
	n.exec(db, "INSERT INTO orders VALUES (1), (2)")
	m := backup.Manifest{ID: "20261121T031500Z", Farm: "shop", Role: "db", Began: time.Now()}
	if err := n.runner.TakeBackup(ctx, c, key, &m, nil); err != nil {
		t.Fatal(err)
	}
	n.exec(db, "INSERT INTO orders VALUES (3)")
	position := n.report().Position
	n.until("its position with order 3", func(d state.DatabaseReport) bool {
		var p string
		if err := n.root_().QueryRow("SELECT @@gtid_binlog_pos").Scan(&p); err != nil {
			t.Fatal(err)
		}
		position = p
		return d.Position == p
	})
	n.exec(db, "INSERT INTO orders VALUES (4)")
	if _, err := n.runner.StoreLogs(ctx, c, key); err != nil {
		t.Fatal(err)
	}
	n.exec(db, "INSERT INTO orders VALUES (5)")

	d, err := n.runner.Rehearse(ctx, c, m, key, "SELECT MAX(id) AS newest FROM app.orders", nil)
	if err != nil || !d.OK || d.Rows != 4 || d.Answer != "newest = 4" {
		t.Fatalf("the drill: %+v, %v", d, err)
	}
	if exists(n.runner.volume.path(drillDir)) {
		t.Fatal("the drill left something")
	}
	huge := m
	huge.Plain = 1 << 60
	if _, err := n.runner.Rehearse(ctx, c, huge, key, "", nil); err == nil || !strings.Contains(err.Error(), "MB free") {
		t.Fatalf("a restore that there is no room for: %v", err)
	}
	wrong, _ := backup.NewKey()
	if d, err := n.runner.Rehearse(ctx, c, m, wrong, "", nil); err != nil || d.OK || d.Error == "" {
		t.Fatalf("a drill with the wrong key: %+v, %v", d, err)
	}
	other := c
	other.UID = "two"
	stray := backup.Manifest{ID: "20261121T041500Z", Began: time.Now()}
	if err := n.runner.TakeBackup(ctx, other, key, &stray, nil); !errors.Is(err, backup.ErrForeign) {
		t.Fatalf("another farm's place: %v", err)
	}
	cut, stop := context.WithCancel(ctx)
	stop()
	if err := n.runner.TakeBackup(cut, c, key, &stray, nil); err == nil {
		t.Fatal("a backup that was cut off is whole")
	}
	if all, err := c.Fulls(ctx); err != nil || len(all) != 1 {
		t.Fatalf("%d backups, %v", len(all), err)
	}

	restore := func(task state.BackupTask) {
		r.order(func(d *state.Database) {
			o := d.Orders[n.name()]
			o.Alone, o.Restore = true, &task
			d.Orders[n.name()] = o
		})
	}
	restore(state.BackupTask{ID: "guarded", Kind: state.BackupRestore, Position: position, Archive: state.Archive{UID: "one"}})
	n.until("a refusal", func(d state.DatabaseReport) bool {
		return d.RestoreFailed == "guarded" && strings.Contains(d.Error, "--overwrite shop/db")
	})
	data := filepath.Join(place, "shop/db/full", m.ID, "data")
	whole, err := os.ReadFile(data)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(data, whole[:len(whole)-1000], 0o600); err != nil {
		t.Fatal(err)
	}
	restore(state.BackupTask{ID: "truncated", Kind: state.BackupRestore, Position: position, Force: true, Archive: state.Archive{UID: "one"}})
	n.until("a failure", func(d state.DatabaseReport) bool { return d.RestoreFailed == "truncated" && d.Writable })
	if got := count(t, db, "orders"); got != 5 {
		t.Fatalf("a restore that failed left %d orders", got)
	}
	if err := os.WriteFile(data, whole, 0o600); err != nil {
		t.Fatal(err)
	}
	// The place is away, for longer than anybody is patient.
	n.runner.Backups = func(context.Context, string) (backup.Target, error) {
		return nil, fmt.Errorf("%w: the network is away", backup.ErrUnavailable)
	}
	restore(state.BackupTask{ID: "away", Kind: state.BackupRestore, Position: position, Force: true, Archive: state.Archive{UID: "one"}})
	n.until("a failure that may pass", func(d state.DatabaseReport) bool {
		return d.RestoreFailed == "away" && d.RestoreTransient && d.Writable
	})
	// It is back, and breaks off again and again.
	faulty := &backuptest.Faulty{Target: target, Fails: func(what string, i int) bool { return what != "Put" && i%200 == 100 }}
	n.runner.Backups = func(context.Context, string) (backup.Target, error) { return faulty, nil }
	restore(state.BackupTask{ID: "good", Kind: state.BackupRestore, Position: position, Force: true, Archive: state.Archive{UID: "one"}})
	n.until("the restore", func(d state.DatabaseReport) bool {
		return d.Done == r.decided().Orders[n.name()].Seq && d.Writable && d.RestoreFailed == ""
	})
	if got := count(t, n.app(), "orders"); got != 3 {
		t.Fatalf("restored to %s: %d orders, not 3\n%s", position, got, tail(n.out.String()))
	}
	if faulty.Asked() < 500 {
		t.Errorf("only %d calls and reads", faulty.Asked())
	}
	if kept, err := n.runner.volume.aside(); err != nil || len(kept) != 1 {
		t.Fatalf("kept aside: %v, %v", kept, err)
	}
	n.exec(n.app(), "INSERT INTO orders VALUES (6)")
}
