package mysql

import (
	"context"
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/farmhand/terraform-provider-farmhand/internal/backup"
	"github.com/farmhand/terraform-provider-farmhand/internal/behavior"
	"github.com/farmhand/terraform-provider-farmhand/internal/state"
)

// TestRestoreFromAnotherFarm: what another farm left, in another place and under another key, becomes the role's data; the accounts are the
// role's own. Backups of another farm of the same name are read only when somebody says that these are meant.
func TestRestoreFromAnotherFarm(t *testing.T) {
	r := newRig(t, 1)
	own, _ := backup.NewKey()
	theirs, _ := backup.NewKey()
	r.secret[state.BackupKey] = own.Secret()
	var places [2]backup.Target
	for i := range places {
		d, err := backup.OpenDir(t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		places[i] = d
	}
	r.start(1)
	n := r.nodes[1]
	n.runner.Backups = func(context.Context, string) (backup.Target, error) { return places[0], nil }
	n.runner.RestoreSource = func(_ context.Context, to string) (backup.Target, error) {
		switch to {
		case "s3://left/backups":
			return places[1], nil
		case "s3://own":
			return places[0], nil
		}
		return nil, fmt.Errorf("a place %q was never heard of: %w", to, backup.ErrDenied)
	}
	ctx := t.Context()

	// The other farm: its application has another database and another user, and ours had another password there.
	left := backup.Catalog{Target: places[1], Farm: "old", Role: "blog", UID: "nine"}
	for _, q := range []string{
		"CREATE DATABASE blog", "CREATE TABLE blog.posts (id INT PRIMARY KEY)", "INSERT INTO blog.posts VALUES (1), (2)",
		"CREATE USER writer@'%' IDENTIFIED BY 'theirs'", "ALTER USER app@'%' IDENTIFIED BY 'theirs'", "DROP DATABASE app",
	} {
		n.exec(n.root_(), q)
	}
	m := backup.Manifest{ID: "20261121T031500Z", Began: time.Now()}
	if err := n.runner.TakeBackup(ctx, left, theirs, &m, nil); err != nil {
		t.Fatal(err)
	}
	n.exec(n.root_(), "INSERT INTO blog.posts VALUES (3)")
	if _, err := n.runner.StoreLogs(ctx, left, theirs); err != nil {
		t.Fatal(err)
	}
	for _, q := range []string{"DROP DATABASE blog", "DROP USER writer@'%'"} {
		n.exec(n.root_(), q)
	}

	restore := func(id string, change func(*state.BackupTask)) {
		task := state.BackupTask{ID: id, Kind: state.BackupRestore, Archive: state.Archive{UID: "one", To: "s3://own"}, From: "blog", FromFarm: "old", FromTo: "s3://left/backups"}
		change(&task)
		r.order(func(d *state.Database) {
			o := d.Orders[n.name()]
			o.Alone, o.Restore = true, &task
			d.Orders[n.name()] = o
		})
	}
	refused := func(id, why string, change func(*state.BackupTask)) {
		t.Helper()
		restore(id, change)
		n.until("a refusal", func(d state.DatabaseReport) bool {
			if d.RestoreFailed == id && !strings.Contains(d.Error, why) {
				t.Fatalf("%s: %s, which does not say %q", id, d.Error, why)
			}
			return d.RestoreFailed == id
		})
	}
	refused("with our key", "--from-key-file", func(*state.BackupTask) {})
	refused("from where nobody may read", "farmhand iam-policy --for instance --farm shop --restore-from elsewhere/old/blog", func(t *state.BackupTask) { t.FromTo = "s3://elsewhere/" })
	n.exec(n.root_(), "CREATE DATABASE IF NOT EXISTS app")
	n.exec(n.root_(), "CREATE TABLE app.kept (id INT PRIMARY KEY)")
	refused("over tables", "--overwrite shop/db", func(*state.BackupTask) {})

	restore("good", func(t *state.BackupTask) { t.FromKey, t.Force = true, true })
	// The key comes by another way than the order, and later.
	time.AfterFunc(300*time.Millisecond, func() {
		secret := maps.Clone(r.secret)
		secret[state.RestoreKey] = theirs.Secret()
		if err := n.runner.Apply(ctx, behavior.Input{Secret: secret, Database: n.decided()}); err != nil {
			t.Error(err)
		}
	})
	var note string
	n.until("the restore", func(d state.DatabaseReport) bool {
		note = d.RestoreNote
		return d.Done == r.decided().Orders[n.name()].Seq && d.Writable && d.RestoreNoted == "good"
	})
	if got := count(t, n.root_(), "blog.posts"); got != 3 {
		t.Errorf("%d posts, not 3", got)
	}
	for _, want := range []string{"no database app", "but blog", "users writer with the passwords that they had"} {
		if !strings.Contains(note, want) {
			t.Errorf("%q does not say %q", note, want)
		}
	}
	n.until("the role's own accounts", func(state.DatabaseReport) bool { return n.app().Ping() == nil })
	n.exec(n.app(), "CREATE TABLE orders (id INT PRIMARY KEY)")

	// Another farm of our name had the place before.
	stranger := backup.Catalog{Target: places[0], Farm: "shop", Role: "db", UID: "two"}
	other := backup.Manifest{ID: "20261122T031500Z", Began: time.Now()}
	if err := n.runner.TakeBackup(ctx, stranger, own, &other, nil); err != nil {
		t.Fatal(err)
	}
	refused("theirs for ours", "--from shop/db", func(t *state.BackupTask) { t.From, t.FromFarm, t.FromTo, t.Force = "", "", "", true })
	n.exec(n.app(), "INSERT INTO orders VALUES (1)")
	restore("said", func(t *state.BackupTask) { t.From, t.FromFarm, t.FromTo, t.Force = "db", "shop", "", true })
	n.until("the restore", func(d state.DatabaseReport) bool {
		return d.Done == r.decided().Orders[n.name()].Seq && d.Writable && d.RestoreFailed == "" && n.runner.mark().Restored == "said"
	})
	if got := count(t, n.app(), "orders"); got != 0 {
		t.Errorf("%d orders, not those of the other farm", got)
	}
}
