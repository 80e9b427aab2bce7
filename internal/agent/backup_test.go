package agent

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/farmhand/terraform-provider-farmhand/internal/backup"
	"github.com/farmhand/terraform-provider-farmhand/internal/behavior"
	"github.com/farmhand/terraform-provider-farmhand/internal/spec"
	"github.com/farmhand/terraform-provider-farmhand/internal/state"
	"github.com/farmhand/terraform-provider-farmhand/internal/store"
	"github.com/farmhand/terraform-provider-farmhand/internal/store/sqlite"
)

// backingUp is a runner whose data is one line.
type backingUp struct {
	behavior.Runner
	taken, logs int
	fail        error
}

func (b *backingUp) TakeBackup(ctx context.Context, c backup.Catalog, key backup.Key, m *backup.Manifest, _ func(int64)) error {
	b.taken++
	if b.fail != nil {
		return b.fail
	}
	if err := c.Claim(ctx, time.Now()); err != nil {
		return err
	}
	m.Instance, m.Ended = "db-1", time.Now()
	return c.StoreFull(ctx, m, key, func(w io.Writer) error { _, err := io.WriteString(w, "data"); return err })
}

func (b *backingUp) StoreLogs(context.Context, backup.Catalog, backup.Key) (time.Time, error) {
	b.logs++
	return time.Now(), nil
}

// stored stores logs that hold these transactions, first and last.
func stored(t *testing.T, c backup.Catalog, spans ...[2]uint64) {
	t.Helper()
	at := time.Date(2026, 3, 2, 3, 0, 0, 0, time.UTC)
	for _, s := range spans {
		l := backup.Log{First: at.Add(time.Duration(s[0]) * time.Second), Last: at.Add(time.Duration(s[1]) * time.Second), Server: "db-1.7", File: fmt.Sprintf("bin.%06d", s[0]),
			Begin: s[0], End: s[1], Position: fmt.Sprintf("0-7-%d", s[1])}
		if err := c.StoreLog(t.Context(), l, backup.Key{}, func(w io.Writer) error { _, err := io.WriteString(w, "log"); return err }); err != nil {
			t.Fatal(err)
		}
	}
}

// TestGapIsFound: in what is stored, when the storing of logs begins, which may be another server's work than before.
func TestGapIsFound(t *testing.T) {
	target, err := backup.OpenDir(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	c := backup.Catalog{Target: target, Farm: "shop", Role: "db"}
	full := func(at time.Time, position string) {
		m := backup.Manifest{ID: backup.NewID(at), Ended: at, Position: position}
		if err := c.StoreFull(t.Context(), &m, backup.Key{}, func(w io.Writer) error { _, err := io.WriteString(w, "data"); return err }); err != nil {
			t.Fatal(err)
		}
	}
	stored(t, c, [2]uint64{1, 20})
	full(time.Date(2026, 3, 2, 3, 0, 10, 0, time.UTC), "0-7-10")
	if g, err := newestGap(t.Context(), c); g != nil || err != nil {
		t.Errorf("%+v, %v", g, err)
	}
	stored(t, c, [2]uint64{31, 40})
	if g, err := newestGap(t.Context(), c); err != nil || g == nil || g.First != 21 || g.Last != 30 || g.Whole != "" || !strings.Contains(g.Text, "transactions 21 to 30") {
		t.Errorf("%+v, %v", g, err)
	}
	full(time.Date(2026, 3, 2, 3, 0, 35, 0, time.UTC), "0-7-35")
	if g, err := newestGap(t.Context(), c); err != nil || g == nil || g.Whole != "20260302T030035Z" {
		t.Errorf("%+v, %v", g, err)
	}
}

func (b *backingUp) Rehearse(_ context.Context, _ backup.Catalog, m backup.Manifest, _ backup.Key, query string, _ func(string)) (backup.Drill, error) {
	return backup.Drill{Backup: m.ID, Instance: "db-1", Began: time.Now(), OK: true, Tables: 14, Rows: 5012, Query: query, Answer: "n = 3"}, nil
}

// gatewayed is a store with a place for backups, as the gateway's client is.
type gatewayed struct {
	store.Store
	target backup.Target
}

func (gatewayed) OpenBlob(context.Context, string) (io.ReadCloser, error) {
	return nil, store.ErrNotFound
}
func (g gatewayed) Backups() backup.Target { return g.target }

// TestBackupTasks: a task is done once and reported, also by an agent that starts anew; the binary logs are stored once more at the
// end; what fails is said.
func TestBackupTasks(t *testing.T) {
	s, err := sqlite.Open(t.Context(), t.TempDir()+"/farmhand.db")
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	key, err := backup.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := store.PutJSON(t.Context(), s, state.SecretKey("shop", "db"), map[string]string{state.BackupKey: key.Secret()}); err != nil {
		t.Fatal(err)
	}
	target, err := backup.OpenDir(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	declared := spec.Backup{To: "file:///b", Encrypted: true}
	declared.SetDefaults()
	archive := state.Archive{To: declared.To, UID: "one", Every: time.Hour}
	as := state.Assignment{Farm: "shop", Role: spec.Role{Name: "db", Backup: &declared}, Archive: &archive}
	life := func() (*keepsBackups, *backingUp, context.CancelFunc) {
		a := &agent{Options: Options{Log: slog.New(slog.DiscardHandler)}, farm: gatewayed{s, target}, wake: make(chan struct{}, 1)}
		ctx, cancel := context.WithCancel(context.Background())
		t.Cleanup(cancel)
		b := &backingUp{}
		k := &keepsBackups{agent: a, runner: b, ctx: ctx}
		a.backups.Store(k)
		return k, b, cancel
	}
	until := func(k *keepsBackups, task string) state.BackupReport {
		t.Helper()
		for began := time.Now(); time.Since(began) < 20*time.Second; time.Sleep(time.Millisecond) {
			if r := k.backupReport(); r != nil && r.Task == task && (r.Done || r.Error != "") {
				return *r
			}
		}
		t.Fatalf("%s does not end: %+v", task, k.backupReport())
		return state.BackupReport{}
	}
	k, b, end := life()
	as.Backup = &state.BackupTask{ID: "20261121T031500Z", Kind: state.BackupFull, Archive: archive, At: time.Now()}
	k.follow(as)
	k.follow(as)
	if r := until(k, as.Backup.ID); r.Result == nil || r.Result.ID != as.Backup.ID || r.Result.Bytes == 0 || b.taken != 1 {
		t.Fatalf("%+v, taken %d times", r, b.taken)
	}
	looked := func() *state.BackupReport {
		for began := time.Now(); time.Since(began) < 20*time.Second; time.Sleep(time.Millisecond) {
			if r := k.backupReport(); r != nil && !r.Looked.IsZero() {
				return r
			}
		}
		return nil
	}
	if r := looked(); r == nil || r.Gap != nil {
		t.Errorf("nobody looked whether what is stored is whole: %+v", r)
	}
	end()
	k.wait()
	if b.logs != 2 {
		t.Fatalf("binary logs were stored %d times: at the beginning and at the end is twice", b.logs)
	}

	k, b, _ = life()
	k.follow(as)
	if r := until(k, as.Backup.ID); !r.Done || b.taken != 0 {
		t.Fatalf("after another start: %+v, taken %d times", r, b.taken)
	}
	as.Backup = &state.BackupTask{ID: "drill-1", Kind: state.BackupDrill, Archive: archive, Query: "SELECT 3 AS n", At: time.Now()}
	k.follow(as)
	if r := until(k, "drill-1"); r.Result == nil || !strings.Contains(r.Result.Text, "14 tables, 5012 rows") || !strings.Contains(r.Result.Text, "n = 3") {
		t.Fatalf("%+v", r)
	}
	b.fail = errors.New("the disk is full")
	as.Backup = &state.BackupTask{ID: "20261121T041500Z", Kind: state.BackupFull, Archive: archive, At: time.Now()}
	k.follow(as)
	if r := until(k, as.Backup.ID); r.Error != "the disk is full" || r.Transient {
		t.Fatalf("%+v", r)
	}
	b.fail = fmt.Errorf("storing it: %w", backup.ErrUnavailable)
	as.Backup = &state.BackupTask{ID: "20261121T043000Z", Kind: state.BackupFull, Archive: archive, At: time.Now()}
	k.follow(as)
	if r := until(k, as.Backup.ID); !r.Transient {
		t.Fatalf("a place that was away: %+v", r)
	}
	b.fail = nil
	foreign := archive
	foreign.UID = "two"
	as.Backup = &state.BackupTask{ID: "20261121T051500Z", Kind: state.BackupFull, Archive: foreign, At: time.Now()}
	k.follow(as)
	if r := until(k, as.Backup.ID); !strings.Contains(r.Error, backup.ErrForeign.Error()) {
		t.Fatalf("%+v", r)
	}
	if _, err := store.PutJSON(t.Context(), s, state.SecretKey("shop", "db"), map[string]string{}); err != nil {
		t.Fatal(err)
	}
	as.Backup = &state.BackupTask{ID: "20261121T061500Z", Kind: state.BackupFull, Archive: archive, At: time.Now()}
	k.follow(as)
	if r := until(k, as.Backup.ID); !strings.Contains(r.Error, "encrypted") {
		t.Fatalf("without its key: %+v", r)
	}
}
