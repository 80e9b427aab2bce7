package mysql

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/farmhand/terraform-provider-farmhand/internal/backup"
	"github.com/farmhand/terraform-provider-farmhand/internal/backup/remote"
	"github.com/farmhand/terraform-provider-farmhand/internal/state"
)

// TestBackupNumbers prints how long the backup of 260 MB takes, to a folder behind HTTP as the gateway serves it, and its restore.
// With FARMHAND_BENCH only: it is a measurement.
func TestBackupNumbers(t *testing.T) {
	if os.Getenv("FARMHAND_BENCH") == "" {
		t.Skip("a measurement: set FARMHAND_BENCH=1")
	}
	r := newRig(t, 1)
	key, err := backup.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	r.secret[state.BackupKey] = key.Secret()
	folder, err := backup.OpenDir(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) { remote.Serve(w, q, folder) }))
	defer server.Close()
	target := &remote.Client{HTTP: server.Client(), Request: func(ctx context.Context, method, path string, body io.Reader) (*http.Request, error) {
		return http.NewRequestWithContext(ctx, method, server.URL+path, body)
	}}
	r.start(1)
	n := r.nodes[1]
	n.runner.Backups = func(context.Context, string) (backup.Target, error) { return target, nil }
	db := n.app()
	n.exec(db, "CREATE TABLE rows_ (id INT PRIMARY KEY AUTO_INCREMENT, b LONGTEXT)")
	for range 26 {
		// Half of it can be compressed.
		n.exec(db, "INSERT INTO rows_ (b) SELECT CONCAT(REPEAT('x', 5000), HEX(RANDOM_BYTES(1024)), HEX(RANDOM_BYTES(1024)), HEX(RANDOM_BYTES(500))) FROM seq_1_to_1000")
	}
	c := backup.Catalog{Target: target, Farm: "shop", Role: "db", UID: "one"}
	m := backup.Manifest{ID: "20261121T031500Z", Farm: "shop", Role: "db", Began: time.Now()}
	began := time.Now()
	if err := n.runner.TakeBackup(t.Context(), c, key, &m, nil); err != nil {
		t.Fatal(err)
	}
	t.Logf("backup: %d MB, %d MB stored, in %s", m.Plain>>20, m.Stored>>20, time.Since(began).Round(time.Millisecond))
	began = time.Now()
	r.order(func(d *state.Database) {
		o := d.Orders[n.name()]
		o.Alone, o.Restore = true, &state.BackupTask{ID: "r", Kind: state.BackupRestore, Force: true, Archive: state.Archive{UID: "one"}}
		d.Orders[n.name()] = o
	})
	n.until("the restore", func(d state.DatabaseReport) bool {
		return d.Done == r.decided().Orders[n.name()].Seq && d.Writable
	})
	for line := range strings.Lines(n.out.String()) {
		if strings.HasPrefix(line, "farmhand:") {
			t.Log(line)
		}
	}
	t.Logf("restore, until it takes writes: %s", time.Since(began).Round(time.Millisecond))
}
