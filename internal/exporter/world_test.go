package exporter_test

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/farmhand/terraform-provider-farmhand/internal/engine"
	"github.com/farmhand/terraform-provider-farmhand/internal/exporter"
	"github.com/farmhand/terraform-provider-farmhand/internal/ledger"
	"github.com/farmhand/terraform-provider-farmhand/internal/spec"
	"github.com/farmhand/terraform-provider-farmhand/internal/state"
	"github.com/farmhand/terraform-provider-farmhand/internal/store"
	"github.com/farmhand/terraform-provider-farmhand/internal/store/sqlite"
)

// now is a Monday noon.
var now = time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)

// world is a store, how often it was read, and a clock.
type world struct {
	store.Store
	t     testing.TB
	reads atomic.Int64
	now   time.Time
	fails error // set: every read does
}

func newWorld(t testing.TB) *world {
	s, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "farmhand.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return &world{Store: s, t: t, now: now}
}

func (w *world) List(ctx context.Context, prefix string, opts ...store.ListOption) ([]store.Entry, error) {
	w.reads.Add(1)
	if w.fails != nil {
		return nil, w.fails
	}
	return w.Store.List(ctx, prefix, opts...)
}

func (w *world) Get(ctx context.Context, key string) (store.Entry, error) {
	w.reads.Add(1)
	if w.fails != nil {
		return store.Entry{}, w.fails
	}
	return w.Store.Get(ctx, key)
}

func (w *world) put(key string, v any) {
	w.t.Helper()
	if _, err := store.PutJSON(w.t.Context(), w.Store, key, v); err != nil {
		w.t.Fatal(err)
	}
}

// change reads a record, changes it and writes it back.
func change[T any](w *world, key string, do func(*T)) {
	w.t.Helper()
	v, _, err := store.GetJSON[T](w.t.Context(), w.Store, key)
	if err != nil {
		w.t.Fatal(err)
	}
	do(&v)
	w.put(key, v)
}

func (w *world) delete(key string) {
	w.t.Helper()
	if err := w.Delete(w.t.Context(), key); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) collector() *exporter.Collector {
	return exporter.New(exporter.Options{Store: w, Version: "1.2.3", Now: func() time.Time { return w.now }})
}

// text is what a new collector prints, without its comments.
func (w *world) text() string {
	w.t.Helper()
	var out strings.Builder
	if err := exporter.Write(&out, w.collector()); err != nil {
		w.t.Fatal(err)
	}
	return samplesOf(out.String())
}

func samplesOf(exposition string) string {
	var b strings.Builder
	for line := range strings.Lines(exposition) {
		if !strings.HasPrefix(line, "#") {
			b.WriteString(line)
		}
	}
	return b.String()
}

// has checks that the text has each line, or, begun with "no ", none that contains it.
func has(t *testing.T, text string, lines ...string) {
	t.Helper()
	for _, line := range lines {
		if absent, ok := strings.CutPrefix(line, "no "); ok {
			if strings.Contains(text, absent) {
				t.Errorf("there is %s in\n%s", absent, text)
			}
		} else if !strings.Contains("\n"+text, "\n"+line+"\n") {
			t.Errorf("there is no %s in\n%s", line, text)
		}
	}
}

func (w *world) role(r spec.Role, a engine.Account) {
	w.t.Helper()
	r.Farm = "shop"
	r.SetDefaults()
	w.put(state.RoleKey("shop", r.Name), state.Declared[spec.Role]{Spec: r})
	value, err := ledger.Encode(ledger.Record{ID: ledger.ID(now.Add(-time.Hour), 1), Since: now.Add(-time.Hour), Until: now.Add(-20 * time.Second), Account: a})
	if err != nil {
		w.t.Fatal(err)
	}
	if _, err := w.Put(w.t.Context(), state.LedgerKey("shop", r.Name, ledger.ID(now.Add(-time.Hour), 1)), value); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) server(role string, index int, phase state.Phase, r state.Report) {
	i := state.Instance{Role: role, Index: index, Token: fmt.Sprintf("%s-token-%d", role, index), Phase: phase, Created: now.Add(-24 * time.Hour), Since: now.Add(-23 * time.Hour)}
	w.put(state.InstanceKey("shop", i.Name()), i)
	if phase == state.Running || phase == state.Draining {
		r.Token, r.At, r.Boot.Done = i.Token, now.Add(-time.Second), true
		r.Samples = []state.Sample{{At: r.At, Load1: 0.5}}
		w.put(state.ReportKey("shop", i.Name()), r)
	}
}

// shop is a farm in which something of everything is going on: a database of three whose third replica is broken, a role that
// does not come up, one that is being destroyed.
func shop(t *testing.T) *world {
	w := newWorld(t)
	fill(w)
	return w
}

func fill(w *world) {
	ago := func(d time.Duration) time.Time { return now.Add(-d) }
	w.put(state.FarmIndexKey("shop"), state.FarmEntry{Name: "shop", Sidecar: "local"})
	w.put(state.FarmKey("shop"), state.Declared[spec.Farm]{Spec: spec.Farm{Name: "shop", Zone: "shop.internal", Simulated: &spec.Simulated{}}})
	w.put(state.LeaseKey("shop"), store.LeaseRecord{Holder: "sidecar-1", Expires: now.Add(8 * time.Second)})
	w.put(state.AliveKey("sidecar-1"), state.Alive{Holder: "sidecar-1", Sidecar: "main", Version: "1.2.3", Host: "ip-10-0-0-7", Seen: ago(4 * time.Second)})
	w.put(state.AliveKey("sidecar-0"), state.Alive{Holder: "sidecar-0", Version: "1.2.2", Host: "ip-10-0-0-6", Seen: ago(10 * time.Minute)})

	w.role(spec.Role{Name: "web", Behavior: "apache", Min: 2, Max: 6}, engine.Account{Min: 3, Max: 6, Desired: 4})
	w.put(state.MemoryKey("shop", "web"), state.Memory{LaunchFailures: 3, LastScaleOut: ago(time.Hour), Hold: "disk:web-1; launches-stopped; max", Manual: &state.Manual{N: 4, Until: now.Add(time.Hour)}})
	w.server("web", 1, state.Running, state.Report{VolumeUsed: 0.91})
	w.server("web", 2, state.Running, state.Report{Checks: []state.Check{{Name: "http", OK: false}}})
	w.server("web", 3, state.Booting, state.Report{})

	w.role(spec.Role{Name: "old", Behavior: "base", Min: 1, Max: 1}, engine.Account{})
	change(w, state.RoleKey("shop", "old"), func(d *state.Declared[spec.Role]) { d.Deleting = true })
	w.server("old", 1, state.Draining, state.Report{})

	w.role(spec.Role{Name: "mysql", Behavior: "mysql", Min: 3, Max: 3, Backup: &spec.Backup{To: "s3://backups", Encrypted: true,
		DrillCron: "0 7 * * 0", Snapshots: &spec.Snapshots{}}}, engine.Account{Min: 3, Max: 3, Desired: 3})
	w.put(state.MemoryKey("shop", "mysql"), state.Memory{LastScaleIn: ago(48 * time.Hour), Hold: "database:alone; replication:mysql-3"})
	replica := state.DatabaseOrder{Seq: 7, Term: 4, Office: state.OfficeReplica}
	w.put(state.DatabaseKey("shop", "mysql"), state.Database{Term: 4, Primary: "mysql-1", PromotedAt: ago(72 * time.Hour), Reads: []string{"mysql-2"}, Plain: []string{"10.0.0.3"},
		Orders: map[string]state.DatabaseOrder{"mysql-1": {Seq: 5, Term: 4, Office: state.OfficePrimary}, "mysql-2": replica, "mysql-3": replica}})
	w.server("mysql", 1, state.Running, state.Report{VolumeUsed: 0.4, Database: &state.DatabaseReport{Done: 5, Writable: true, SemiSync: 1, DiskUsed: 0.4, Bytes: 7e9}})
	w.server("mysql", 2, state.Running, state.Report{VolumeUsed: 0.4, Database: &state.DatabaseReport{Done: 7, Receiving: true, Applying: true, LagKnown: true, Lag: 0.25, Acks: true, DiskUsed: 0.4, Bytes: 7e9}})
	w.server("mysql", 3, state.Running, state.Report{VolumeUsed: 0.4, Database: &state.DatabaseReport{Done: 6, Receiving: true, Diverged: "0-3-12 is nobody else's"}})
	w.server("mysql", 0, state.Booting, state.Report{})
	w.put(state.BackupsKey("shop", "mysql"), state.Backups{
		Since: ago(30 * 24 * time.Hour), Log: ago(40 * time.Second), Overdue: true, Tries: 2, Failure: "no space left", Missed: ago(9 * time.Hour),
		Full:        &state.BackupDone{ID: "20260301T030000Z", At: ago(33 * time.Hour), Took: 95 * time.Second, Bytes: 2e9},
		Drill:       &state.BackupDone{At: ago(28 * time.Hour)},
		DrillFailed: &state.BackupDone{At: ago(time.Hour), Text: "corrupt"},
		Task:        &state.BackupTask{Kind: state.BackupRestore, At: ago(time.Minute)}, Snapshotting: &state.BackupTask{Kind: state.BackupSnapshot, At: ago(10 * time.Second)},
		Snapshots: []state.Snapshot{{Name: "auto-1", At: ago(12 * time.Hour), Drill: "14 tables"}, {Name: "auto-2", At: ago(6 * time.Hour)}},
	})
	// What a role that is gone has left behind is nobody's.
	w.put(state.BackupsKey("shop", "gone"), state.Backups{Overdue: true})
}

// raw writes a record as another version did.
func (w *world) raw(key, value string) {
	w.t.Helper()
	if !json.Valid([]byte(value)) && !strings.HasPrefix(value, "!") {
		w.t.Fatalf("%s is no JSON", value)
	}
	if _, err := w.Put(w.t.Context(), key, []byte(value)); err != nil {
		w.t.Fatal(err)
	}
}
