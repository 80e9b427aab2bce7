package exporter_test

import (
	"context"
	"errors"
	"flag"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/farmhand/terraform-provider-farmhand/internal/exporter"
	"github.com/farmhand/terraform-provider-farmhand/internal/spec"
	"github.com/farmhand/terraform-provider-farmhand/internal/state"
	"github.com/farmhand/terraform-provider-farmhand/internal/store"
)

var update = flag.Bool("update", false, "write testdata/shop.prom anew")

const golden = "testdata/shop.prom"

func TestAFarm(t *testing.T) {
	w := shop(t)
	got := w.text()
	if *update {
		if err := os.WriteFile(golden, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(filepath.FromSlash(golden))
	if err != nil {
		t.Fatal(err)
	}
	before, after := map[string]bool{}, map[string]bool{}
	for line := range strings.Lines(string(want)) {
		before[line] = true
	}
	for line := range strings.Lines(got) {
		if after[line] = true; !before[line] {
			t.Errorf("new: %s", line)
		}
	}
	for line := range before {
		if !after[line] {
			t.Errorf("missing: %s", line)
		}
	}
}

// What is collected is what is described, label by label, and the farm of the tests has each of them but those that a quiet
// database lacks.
func TestDescribed(t *testing.T) {
	w := shop(t)
	change(w, state.DatabaseKey("shop", "mysql"), func(d *state.Database) {
		d.Failover = &state.Failover{Step: state.StepRefused, Began: now.Add(-time.Minute)}
	})
	registry := prometheus.NewPedanticRegistry()
	if err := registry.Register(w.collector()); err != nil {
		t.Fatal(err)
	}
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{"farmhand_database_semi_sync_degraded": strings.Contains(shop(t).text(), "farmhand_database_semi_sync_degraded")}
	for _, f := range families {
		seen[f.GetName()] = true
	}
	for _, m := range exporter.Metrics() {
		if !seen[m.Name] {
			t.Errorf("%s is described and never collected", m.Name)
		}
	}
}

func TestWhatIsNotKnownIsAbsent(t *testing.T) {
	w := newWorld(t)
	w.put(state.FarmIndexKey("shop"), state.FarmEntry{Name: "shop"})
	has(t, w.text(), "farmhand_store_up 1", "no farm_info") // the name is taken and no more
	w.put(state.FarmKey("shop"), state.Declared[spec.Farm]{Spec: spec.Farm{Name: "shop", Zone: "shop.internal", Simulated: &spec.Simulated{}}})
	role := spec.Role{Farm: "shop", Name: "mysql", Behavior: "mysql", Min: 1, Max: 1}
	role.SetDefaults()
	w.put(state.RoleKey("shop", "mysql"), state.Declared[spec.Role]{Spec: role})
	has(t, w.text(), `farmhand_farm_kept{farm="shop"} 0`, `farmhand_role_instances{farm="shop",phase="running",role="mysql"} 0`, `farmhand_role_instances_min{farm="shop",role="mysql"} 1`,
		"no lease_info", "no desired", "no decided", "no backup_", "no database_", "no failures", `farmhand_farm_unreadable_records{farm="shop"} 0`)

	role.Backup = &spec.Backup{To: "s3://b", NoLogs: true}
	role.SetDefaults()
	w.put(state.RoleKey("shop", "mysql"), state.Declared[spec.Role]{Spec: role})
	// Declared, and no sidecar has looked: an alert on what is overdue needs the schedule alone.
	has(t, w.text(), `farmhand_backup_info{encrypted="false",farm="shop",role="mysql"} 1`, `farmhand_backup_next_due_timestamp_seconds{farm="shop",role="mysql",task="backup"} 1.7725068e+09`,
		"no overdue", "no backup_due", "no expected", "no log_interval", `farmhand_farm_unreadable_records{farm="shop"} 0`, `no task="snapshot"`, `no task="drill"`)

	w.put(state.BackupsKey("shop", "mysql"), state.Backups{Since: now.Add(-10 * time.Hour)})
	has(t, w.text(), `farmhand_backup_overdue{farm="shop",role="mysql"} 0`, `farmhand_backup_failing{farm="shop",role="mysql"} 0`,
		`farmhand_backup_due_timestamp_seconds{farm="shop",role="mysql",task="backup"} 1.7724204e+09`,
		`farmhand_backup_expected_timestamp_seconds{farm="shop",role="mysql",task="backup"} 1.7724204e+09`,
		"no full_timestamp", "no drill_failing", "no snapshot", "no log_timestamp", "no missed")
	w.now = now.Add(15*time.Hour + time.Minute) // the next one is due, and may still begin
	has(t, w.text(), `farmhand_backup_due_timestamp_seconds{farm="shop",role="mysql",task="backup"} 1.7725068e+09`,
		`farmhand_backup_expected_timestamp_seconds{farm="shop",role="mysql",task="backup"} 1.7724204e+09`)
	w.now = now
	w.put(state.DatabaseKey("shop", "mysql"), state.Database{Term: 1, Primary: "mysql-1", Orders: map[string]state.DatabaseOrder{"mysql-1": {Alone: true}}})
	has(t, w.text(), `farmhand_database_has_primary{farm="shop",role="mysql"} 1`, "no semi_sync_degraded") // one server is alone by its nature
}

func TestSeriesEndWithWhatTheyAreOf(t *testing.T) {
	w := shop(t)
	before := w.text()
	has(t, before, `farmhand_instance_serving{farm="shop",role="web",server="web-1"} 1`, `farmhand_role_deleting{farm="shop",role="old"} 1`, `no role="gone"`,
		`no instance_serving{farm="shop",role="old"`, `no server="mysql-0"`, `no sidecar-0`)
	w.delete(state.RoleKey("shop", "mysql"))
	w.delete(state.RoleKey("shop", "old"))
	w.delete(state.InstanceKey("shop", "old-1"))
	w.delete(state.InstanceKey("shop", "web-1"))
	// A role whose declaration is gone ends: nobody is paged for it, and what is left of it can be seen.
	has(t, w.text(), `farmhand_role_instances{farm="shop",phase="running",role="mysql"} 3`, `farmhand_role_deleting{farm="shop",role="mysql"} 1`,
		`no role="old"`, "no backup_", "no database_", `no server="web-1"`, `no server="mysql-1"`)
	w.put(state.FarmKey("shop"), state.Declared[spec.Farm]{Spec: spec.Farm{Name: "shop"}, Deleting: true, Ended: true})
	has(t, w.text(), "farmhand_store_up 1", "no farm_info", "no role=")
	w.delete(state.FarmIndexKey("shop"))
	has(t, w.text(), `no farm="shop"`)
}

// A server that has fallen silent is not as it said last, and what a former holder of its index said is not of this one.
func TestReportsThatDoNotCount(t *testing.T) {
	w := shop(t)
	change(w, state.ReportKey("shop", "mysql-1"), func(r *state.Report) { r.At = now.Add(-11 * time.Second) })
	change(w, state.ReportKey("shop", "mysql-2"), func(r *state.Report) { r.Token = "former" })
	has(t, w.text(), `farmhand_database_primary{farm="shop",role="mysql",server="mysql-1"} 1`, `farmhand_instance_report_timestamp_seconds{farm="shop",role="mysql",server="mysql-1"} 1.772452789e+09`,
		`no writable{farm="shop",role="mysql",server="mysql-1"}`, `no acknowledging_replicas`, `no writable{farm="shop",role="mysql",server="mysql-2"}`, `no report_timestamp_seconds{farm="shop",role="mysql",server="mysql-2"}`)
}

func TestFailover(t *testing.T) {
	w := shop(t)
	change(w, state.DatabaseKey("shop", "mysql"), func(d *state.Database) {
		d.Primary, d.Suspect = "", &state.DatabaseSuspicion{}
		d.Failover = &state.Failover{Step: state.StepRefused, Began: now.Add(-time.Minute)}
		for name, o := range d.Orders {
			o.Office = state.OfficeDrain
			d.Orders[name] = o
		}
	})
	has(t, w.text(), `farmhand_database_has_primary{farm="shop",role="mysql"} 0`, `farmhand_database_failover_refused{farm="shop",role="mysql"} 1`, `farmhand_database_failover_in_progress{farm="shop",role="mysql"} 1`,
		`farmhand_database_primary_suspected{farm="shop",role="mysql"} 1`, `farmhand_database_primary{farm="shop",role="mysql",server="mysql-1"} 0`, "no semi_sync", "no replication_running", "no lag_seconds")
	change(w, state.DatabaseKey("shop", "mysql"), func(d *state.Database) {
		d.Primary, d.Failover = "mysql-1", nil
		d.Orders["mysql-1"] = state.DatabaseOrder{Office: state.OfficePrimary, Alone: true}
	})
	has(t, w.text(), `farmhand_database_semi_sync_degraded{farm="shop",role="mysql"} 1`, `farmhand_database_commits_waiting{farm="shop",role="mysql",server="mysql-1"} 0`)
}

func TestLogGap(t *testing.T) {
	w := shop(t)
	for value, gap := range map[string]*state.LogGap{"0": nil, "1": {First: 3, Last: 9}, "0 ": {First: 3, Last: 9, Whole: "20260301T030000Z"}} {
		change(w, state.BackupsKey("shop", "mysql"), func(b *state.Backups) { b.Gap = gap })
		has(t, w.text(), `farmhand_backup_log_gap{farm="shop",role="mysql"} `+strings.TrimSpace(value))
	}
	change(w, state.RoleKey("shop", "mysql"), func(d *state.Declared[spec.Role]) { d.Spec.Backup.NoLogs = true })
	has(t, w.text(), "no backup_log_")
}

func TestDrills(t *testing.T) {
	w := shop(t)
	const failing = `farmhand_backup_drill_failing{farm="shop",role="mysql"} `
	backups := func(do func(*state.Backups)) string {
		change(w, state.BackupsKey("shop", "mysql"), do)
		return w.text()
	}
	has(t, backups(func(b *state.Backups) { b.DrillFailed = nil }), failing+"0")
	has(t, backups(func(b *state.Backups) { b.Snapshots[0].Failed = true }), failing+"1") // the newest that was rehearsed
	has(t, backups(func(b *state.Backups) { b.Snapshots[1].Drill = "14 tables" }), failing+"0")
	has(t, backups(func(b *state.Backups) { b.Snapshots, b.Drill, b.DrillFailed = nil, nil, &state.BackupDone{} }), failing+"1", "no drill_timestamp")
}

// Records of another version: one that lacks what came later says less, one that cannot be read is counted, and neither keeps
// anything else from being said.
func TestRecordsOfOtherVersions(t *testing.T) {
	w := shop(t)
	w.raw(state.BackupsKey("shop", "mysql"), `{"full":{"id":"a","at":"2026-03-01T03:00:00Z"},"since":"2026-02-01T00:00:00Z","later":{"what":"ever"}}`)
	w.raw(state.ReportKey("shop", "web-2"), `{"token":"web-token-2","at":"2026-03-02T11:59:59Z","boot":{"done":true},"samples":"in another form"}`)
	w.raw(state.DatabaseKey("shop", "mysql"), `{"term":"the fourth"}`)
	w.raw(state.LedgerKey("shop", "web", "20260302T115900.000000000Z-000001"), "!")
	has(t, w.text(), `farmhand_farm_unreadable_records{farm="shop"} 2`, `farmhand_backup_full_timestamp_seconds{farm="shop",role="mysql"} 1.772334e+09`,
		`farmhand_instance_serving{farm="shop",role="web",server="web-2"} 1`, `farmhand_role_instances_min{farm="shop",role="web"} 2`,
		`farmhand_role_consecutive_launch_failures{farm="shop",role="web"} 3`, "no database_", "no desired{farm=\"shop\",role=\"web\"}")
}

func TestAStoreThatCannotBeRead(t *testing.T) {
	w := shop(t)
	w.fails = store.ErrUnavailable
	c := w.collector()
	registry := prometheus.NewRegistry()
	registry.MustRegister(c)
	families, err := registry.Gather()
	if err != nil || len(families) != 2 || families[1].GetName() != "farmhand_store_up" || families[1].GetMetric()[0].GetGauge().GetValue() != 0 {
		t.Errorf("%v, %v; want build_info and store_up 0", families, err)
	}
	var out strings.Builder
	if err := exporter.Write(&out, c); !errors.Is(err, store.ErrUnavailable) || out.Len() > 0 {
		t.Errorf("printed %q, %v", out.String(), err)
	}
}

// A scrape costs two reads, seven for each farm and one for each role, however many servers there are and however often it is asked.
func TestReadsAreBounded(t *testing.T) {
	w := shop(t)
	for i := 4; i < 400; i++ {
		w.server("web", i, state.Running, state.Report{})
	}
	c := w.collector()
	collect := func() int64 {
		w.reads.Store(0)
		ch := make(chan prometheus.Metric, 1e5)
		c.Collect(ch)
		return w.reads.Load()
	}
	const roles = 3
	if n := collect(); n != 2+7+roles {
		t.Errorf("%d reads", n)
	}
	w.now = w.now.Add(4900 * time.Millisecond)
	if n := collect(); n != 0 {
		t.Errorf("%d reads, though it was answered just before", n)
	}
	w.now = w.now.Add(200 * time.Millisecond)
	if n := collect(); n != 2+7+roles {
		t.Errorf("%d reads after that", n)
	}
}

func TestOneFarmOfSeveral(t *testing.T) {
	w := shop(t)
	w.put(state.FarmIndexKey("other"), state.FarmEntry{Name: "other"})
	w.put(state.FarmKey("other"), state.Declared[spec.Farm]{Spec: spec.Farm{Name: "other"}})
	has(t, w.text(), `farmhand_farm_deleting{farm="other"} 0`, `farmhand_farm_deleting{farm="shop"} 0`)
	var out strings.Builder
	if err := exporter.Write(&out, exporter.New(exporter.Options{Store: w, Farm: "other"})); err != nil {
		t.Fatal(err)
	}
	has(t, samplesOf(out.String()), `farmhand_farm_deleting{farm="other"} 0`, `no "shop"`)
}

// TestHandler: what is healthy is said by who knows, and a request costs the store nothing while an answer is good.
func TestHandler(t *testing.T) {
	w := shop(t)
	var trouble error
	h, err := exporter.Handler(w.collector(), func() error { return trouble }, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	ask := func(method, path string) (int, string) {
		r := httptest.NewRecorder()
		h.ServeHTTP(r, httptest.NewRequestWithContext(t.Context(), method, path, nil))
		return r.Code, r.Body.String()
	}
	if code, body := ask("GET", "/healthz"); code != http.StatusOK || body != "ok\n" {
		t.Errorf("healthz: %d %s", code, body)
	}
	trouble = errors.New("no tick of farm shop went well for 2m")
	if code, body := ask("GET", "/healthz"); code != http.StatusServiceUnavailable || body != trouble.Error()+"\n" {
		t.Errorf("healthz: %d %s", code, body)
	}
	code, first := ask("GET", "/metrics")
	reads := w.reads.Load()
	_, second := ask("GET", "/metrics")
	has(t, first, `farmhand_store_up 1`, `farmhand_database_term{farm="shop",role="mysql"} 4`)
	if code != http.StatusOK || first != second || w.reads.Load() != reads || !strings.Contains(first, "# TYPE farmhand_store_up gauge\n") {
		t.Errorf("%d, %d reads then %d:\n%s", code, reads, w.reads.Load(), second)
	}
}

func TestServeEndsWithItsContext(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	c := shop(t).collector()
	done := make(chan error, 1)
	go func() {
		done <- exporter.Serve(ctx, l, c, func() error { return nil }, slog.New(slog.DiscardHandler))
	}()
	resp, err := http.Get("http://" + l.Addr().String() + "/healthz")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if _, err := net.Dial("tcp", l.Addr().String()); err == nil {
		t.Error("somebody listens still")
	}
}
