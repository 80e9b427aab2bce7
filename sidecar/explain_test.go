package sidecar

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/farmhand/terraform-provider-farmhand/internal/engine"
	"github.com/farmhand/terraform-provider-farmhand/internal/ledger"
	"github.com/farmhand/terraform-provider-farmhand/internal/spec"
	"github.com/farmhand/terraform-provider-farmhand/internal/state"
	"github.com/farmhand/terraform-provider-farmhand/internal/store"
)

// TestScaleByHandAndExplain sets a number by hand on a simulated farm with a real sidecar, sees it reached, shown and
// explained, taken back, and run out by itself.
func TestScaleByHandAndExplain(t *testing.T) {
	dir, s := declare(t, 1, 4)
	target := 1.5
	p := spec.Policy{Farm: "shop", Role: "web", Name: "load", Metric: &spec.Metric{Kind: spec.LoadAverage}, Target: &target}
	p.SetDefaults()
	put(t, s, state.PolicyKey("shop", "web", p.Name), p)
	at := func(args ...string) (int, string, string) {
		return farmhand(t, append(args, "--state-dir", dir)...)
	}
	if code, _, stderr := at("explain", "web"); code != ExitAbsent || !strings.Contains(stderr, "nothing is written down of shop/web yet") {
		t.Errorf("explain before there is a sidecar: %d, %s", code, stderr)
	}
	code, out, stderr := at("scale", "web", "3", "--for", "1h", "--because", "a rehearsal")
	if code != 0 || !strings.Contains(out, "to have 3 of its 1 to 4 servers") || !strings.Contains(out, "no sidecar runs here now") {
		t.Fatalf("scale: %d, %s%s", code, out, stderr)
	}
	background(t, dir)
	st := seen(t, dir, "three servers", serving(3))
	if r := st.Farms[0].Roles[0]; r.Manual == nil || r.Manual.N != 3 || r.Manual.Because != "a rehearsal" || !strings.Contains(r.Reason, "set to 3 by hand, by ") {
		t.Errorf("status: %+v, %+v", r, r.Manual)
	}
	code, out, _ = at("explain", "web")
	if code != 0 || !strings.Contains(out, "by hand (manual) wants 3: set to 3 by hand") || !strings.Contains(out, "set by ") {
		t.Errorf("explain: %d\n%s", code, out)
	}
	code, out, _ = at("explain", "shop/web", "--why-not", "scale-in")
	if code != 0 || !strings.Contains(out, "no number were set by hand") {
		t.Errorf("explain --why-not scale-in: %d\n%s", code, out)
	}
	t.Log("\n" + out)

	// Every record replays, and every event of the engine's names one that can be explained.
	code, out, stderr = at("explain", "web", "--last", "100", "--replay", "--json")
	lines := strings.Split(strings.TrimSpace(out), "\n")
	if code != 0 || len(lines) < 3 {
		t.Fatalf("explain --json: %d, %d lines, %s", code, len(lines), stderr)
	}
	for _, line := range lines {
		var e explained
		if err := json.Unmarshal([]byte(line), &e); err != nil || e.Replay == nil || !e.Replay.Same || e.Look == nil || e.Role() == nil {
			t.Errorf("%v: %s", err, line)
		}
	}
	events, err := store.ListJSON[state.Event](t.Context(), s, state.EventPrefix("shop"))
	if err != nil {
		t.Fatal(err)
	}
	began := ""
	for _, e := range events {
		if e.Value.Ledger == "" {
			continue
		}
		if e.Value.Kind == "manual" {
			began = e.Value.Reason
		}
		code, out, stderr := at("explain", "--event", e.Value.ID)
		if code != 0 || !strings.Contains(out, "Record "+e.Value.Ledger) {
			t.Errorf("explain --event of %q: %d, %s%s", e.Value.Reason, code, out, stderr)
		}
		if code, byID, _ := at("explain", "--event", e.Value.Ledger); code != 0 || strings.Split(byID, "\n")[0] != strings.Split(out, "\n")[0] {
			t.Errorf("explain --event of the record: %d, %s", code, byID)
		}
		at := e.Value.At.Format(time.RFC3339Nano)
		if code, then, _ := farmhand(t, "explain", "web", "--at", at, "--state-dir", dir); code != 0 || !strings.Contains(then, "Record ") {
			t.Errorf("explain --at %s: %d, %s", at, code, then)
		}
	}
	if !strings.Contains(began, "role web is set to 3 by hand") {
		t.Errorf("no event says that it began: %q", began)
	}

	if code, out, stderr := at("scale", "web", "--cancel"); code != 0 || !strings.Contains(out, "is taken back") {
		t.Fatalf("cancel: %d, %s%s", code, out, stderr)
	}
	if code, _, _ := at("scale", "web", "--cancel"); code != ExitAbsent {
		t.Errorf("cancelled twice: %d", code)
	}
	until(t, dir, "was taken back: its policies decide again")

	// A number whose time runs out; by the store, since nobody waits in a test.
	m := state.Manual{N: 4, Until: time.Now().Add(2 * time.Second), Because: "a moment", By: "test", At: time.Now()}
	put(t, s, state.ManualKey("shop", "web"), m)
	until(t, dir, "the number 4 set by hand for role web has run out")
}

// until polls the events for a reason.
func until(t *testing.T, dir, reason string) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		_, out, _ := farmhand(t, "events", "--state-dir", dir)
		if strings.Contains(out, reason) {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("no event says %q:\n%s", reason, out)
		}
	}
}

func TestScaleAndExplainRefuse(t *testing.T) {
	dir, _ := declare(t, 1, 4)
	set := []string{"--for", "1h", "--because", "a rehearsal"}
	for _, c := range []struct {
		args []string
		want int
		says string
	}{
		{[]string{"scale"}, ExitUsage, "between 1 and 2"},
		{[]string{"scale", "web"}, ExitUsage, "takes a role and a number"},
		{append([]string{"scale", "web", "many"}, set...), ExitUsage, "no number of servers"},
		{append([]string{"scale", "web", "5"}, set...), ExitUsage, "5 is outside of what role shop/web may have, 1 to 4"},
		{append([]string{"scale", "web", "0"}, set...), ExitUsage, "0 is outside"},
		{append([]string{"scale", "web", "5", "--beyond"}, set...), ExitUsage, "min and max are what the configuration promises"},
		{[]string{"scale", "web", "3", "--for", "1h"}, ExitUsage, "--because says why"},
		{[]string{"scale", "web", "3", "--because", "x"}, ExitUsage, "--for says how long"},
		{[]string{"scale", "web", "3", "--because", "x", "--for", "1000h"}, ExitUsage, "30 days"},
		{[]string{"scale", "web", "3", "--cancel"}, ExitUsage, "takes the role alone"},
		{[]string{"scale", "web", "--cancel"}, ExitAbsent, "no number is set by hand"},
		{append([]string{"scale", "db", "3"}, set...), ExitAbsent, `no role "db"; there is shop/web`},
		{append([]string{"scale", "blog/web", "3"}, set...), ExitAbsent, `no farm "blog"`},
		{[]string{"explain"}, ExitUsage, "name a role"},
		{[]string{"explain", "shop/db"}, ExitAbsent, `farm shop has no role "db"; it has web`},
		{[]string{"explain", "web", "--at", "soon"}, ExitUsage, "neither a time"},
		{[]string{"explain", "web", "--at", "5m"}, ExitAbsent, "nothing is written down of shop/web at"},
		{[]string{"explain", "web", "--at", "5m", "--last", "2"}, ExitUsage, "not both"},
		{[]string{"explain", "web", "--why-not", "dance"}, ExitUsage, "scale-out, scale-in, launch, replace"},
		{[]string{"explain", "--event", "yesterday"}, ExitUsage, "is no id"},
		{[]string{"explain", "--event", ledger.ID(time.Now(), 1)}, ExitAbsent, "there is no event and no ledger record"},
	} {
		code, out, stderr := farmhand(t, append(c.args, "--state-dir", dir)...)
		if code != c.want || !strings.Contains(stderr, c.says) {
			t.Errorf("farmhand %s: %d, want %d with %q; it said %s%s", strings.Join(c.args, " "), code, c.want, c.says, out, stderr)
		}
	}
}

func TestPointInTime(t *testing.T) {
	now := time.Date(2026, 3, 2, 9, 30, 0, 0, time.Local)
	for word, want := range map[string]time.Time{
		"90s":                             now.Add(-90 * time.Second),
		"3h ago":                          now.Add(-3 * time.Hour),
		"1.5d":                            now.Add(-36 * time.Hour),
		"09:15":                           now.Add(-15 * time.Minute),
		"09:45":                           now.Add(15*time.Minute - 24*time.Hour),
		"09:29:58":                        now.Add(-2 * time.Second),
		"2026-03-01 09:30":                now.AddDate(0, 0, -1),
		"2026-03-01T08:00:00Z":            time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC),
		ledger.ID(now.Add(-time.Hour), 3): now.Add(-time.Hour),
	} {
		if got, err := pointInTime(word, now); err != nil || !got.Equal(want) {
			t.Errorf("%s is %s (%v), want %s", word, got, err, want)
		}
	}
	if _, err := pointInTime("soon", now); err == nil {
		t.Error("soon is a time")
	}
}

func TestExplainOfSeveralFarms(t *testing.T) {
	dir, s := declare(t, 1, 4)
	put(t, s, state.FarmIndexKey("blog"), state.FarmEntry{Name: "blog"})
	put(t, s, state.RoleKey("blog", "web"), state.Declared[spec.Role]{Spec: spec.Role{Farm: "blog", Name: "web"}})
	code, _, stderr := farmhand(t, "explain", "web", "--state-dir", dir)
	if code != ExitUsage || !strings.Contains(stderr, "blog/web, shop/web") {
		t.Errorf("%d, %s", code, stderr)
	}
}

// TestLedgerAsATrace: what the ledger knows of the demand is a trace that farmhand simulate takes.
func TestLedgerAsATrace(t *testing.T) {
	dir, s := declare(t, 2, 12)
	target := 1.4
	p := spec.Policy{Farm: "shop", Role: "web", Name: "load", Metric: &spec.Metric{Kind: spec.LoadAverage}, Target: &target}
	p.SetDefaults()
	began := time.Now().Add(-3 * time.Hour)
	r := ledger.Record{ID: ledger.ID(began, 1), Since: began, Until: began.Add(3 * time.Hour), Ticks: 5400,
		View: engine.View{Now: began, Roles: []engine.Role{{Spec: spec.Role{Farm: "shop", Name: "web"},
			Policies: []engine.Policy{{Spec: p, Measure: engine.Measure{Value: 1.5, Servers: 2, Expected: 2, Samples: 4}}}}}},
		Account: engine.Account{Role: "web", Serving: 2, Desired: 2}}
	for minute := 1; minute < 180; minute++ {
		r.Trail = append(r.Trail, ledger.Mark{After: 60 * minute, Serving: 2, Values: map[string]float64{"load": 1 + float64(minute)/100}})
	}
	b, err := ledger.Encode(r)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Put(t.Context(), state.LedgerKey("shop", "web", r.ID), b); err != nil {
		t.Fatal(err)
	}
	code, out, stderr := farmhand(t, "explain", "web", "--trace", "2h", "--state-dir", dir)
	rows := strings.Split(strings.TrimSpace(out), "\n")
	if code != 0 || rows[0] != "time,demand" || len(rows) < 115 || len(rows) > 121 {
		t.Fatalf("%d, %d rows, %s\n%s", code, len(rows), stderr, out)
	}
	file := filepath.Join(t.TempDir(), "trace.csv")
	if err := os.WriteFile(file, []byte(out), 0o600); err != nil {
		t.Fatal(err)
	}
	code, out, stderr = farmhand(t, "simulate", file, "--min", "2", "--max", "12", "--target", "1.4", "--gaps", "hold", "--json", "--state-dir", dir)
	if code != 0 || !strings.Contains(out, "farmhand") {
		t.Errorf("simulate: %d, %s%s", code, stderr, out)
	}
	for _, args := range [][]string{{"--trace", "2h", "--at", "1h"}, {"--trace", "soon"}} {
		if code, _, _ := farmhand(t, append([]string{"explain", "web", "--state-dir", dir}, args...)...); code != ExitUsage {
			t.Errorf("explain %v: %d", args, code)
		}
	}
	if code, _, stderr := farmhand(t, "explain", "web", "--trace", "2h", "--policy", "cpu", "--state-dir", dir); code != ExitFailure || !strings.Contains(stderr, `no policy "cpu"`) {
		t.Errorf("another policy: %d, %s", code, stderr)
	}
}
