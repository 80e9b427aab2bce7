package sidecar

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/farmhand/terraform-provider-farmhand/internal/controller"
	"github.com/farmhand/terraform-provider-farmhand/internal/daemon"
	"github.com/farmhand/terraform-provider-farmhand/internal/spec"
	"github.com/farmhand/terraform-provider-farmhand/internal/state"
	"github.com/farmhand/terraform-provider-farmhand/internal/store"
)

func TestExitStatuses(t *testing.T) {
	dir, _ := declare(t, 1, 1)
	none := filepath.Join(t.TempDir(), "none")
	damaged := t.TempDir()
	if err := os.WriteFile(daemon.DatabasePath(damaged), []byte("this is no database, and long enough to be told from an empty one"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args string
		want int
		says string // on standard error, or on standard output where the status is 0
	}{
		{"", ExitOK, "Available Commands"},
		{"version", ExitOK, "farmhand 1.2.3"},
		{"help exit-codes", ExitOK, "no sidecar runs in this state directory"},
		{"status --help", ExitOK, "Examples:"},
		{"bogus", ExitUsage, "unknown command"},
		{"status --bogus", ExitUsage, "unknown flag"},
		{"status a b", ExitUsage, "at most 1"},
		{"simulated load shop", ExitUsage, "accepts 2"},
		{"simulated load shop/web -- -1", ExitUsage, "FARM/ROLE and a number"},
		{"simulated load shop 3", ExitUsage, "FARM/ROLE and a number"},
		{"run --log-level loud", ExitUsage, "debug, info, warn or error"},
		{"run --metrics-listen 9641", ExitUsage, `--metrics-listen: "9641" is not HOST:PORT`},
		{"metrics --state-dir " + none, ExitAbsent, "there is no store"},
		{"metrics nope --state-dir " + dir, ExitAbsent, `no farm "nope"; there is shop`},
		{"metrics --state-dir " + damaged, ExitFailure, "is not a farmhand store"},
		{"metrics shop --state-dir " + dir, ExitOK, "farmhand_store_up 1"},
		{"events --since -5m", ExitUsage, "no negative"},
		{"status --state-dir " + none, ExitAbsent, "there is no store"},
		{"events --state-dir " + none, ExitAbsent, "there is no store"},
		{"status nope --state-dir " + dir, ExitAbsent, `no farm "nope"; there is shop`},
		{"status --state-dir " + dir, ExitAbsent, "no sidecar runs here"},
		{"simulated load shop/nope 3 --state-dir " + dir, ExitAbsent, `no role "nope"`},
		{"simulated kill shop web-9 --state-dir " + dir, ExitAbsent, "web-9"},
		{"simulated load shop/web 3 --state-dir " + dir, ExitOK, "load 3 on shop/web"},
		{"events --state-dir " + dir, ExitOK, ""},
		{"status --state-dir " + damaged, ExitFailure, "is not a farmhand store"},
	} {
		code, out, stderr := farmhand(t, strings.Fields(c.args)...)
		said := stderr
		if c.want == ExitOK {
			said = out
		}
		if code != c.want || !strings.Contains(said, c.says) {
			t.Errorf("farmhand %s: %d, want %d with %q; it said %s%s", c.args, code, c.want, c.says, out, stderr)
		}
	}
	if _, err := os.Stat(none); !os.IsNotExist(err) {
		t.Error("looking made a state directory")
	}
}

func TestDocumentedExitStatusesAreTheSame(t *testing.T) {
	page, err := os.ReadFile("../docs/exit-codes.md")
	if err != nil {
		t.Fatal(err)
	}
	plain := strings.Join(strings.Fields(strings.NewReplacer("`", "", "|", " ").Replace(string(page))), " ")
	for _, sentence := range regexp.MustCompile(`(?m)^  (\d)  ((?:.+\n)(?:     .+\n)*)`).FindAllStringSubmatch(exitCodes, -1) {
		if want := sentence[1] + " " + strings.Join(strings.Fields(sentence[2]), " "); !strings.Contains(plain, want) {
			t.Errorf("docs/exit-codes.md does not say %q", want)
		}
	}
}

func event(s store.Store, t *testing.T, at time.Time, n int, level, reason string) {
	t.Helper()
	e := state.Event{ID: controller.EventID(at, n), At: at, Farm: "shop", Role: "web", Instance: "web-1", Kind: "launch", Level: level, Reason: reason}
	put(t, s, state.EventKey("shop", e.ID), e)
}

func TestEvents(t *testing.T) {
	dir, s := declare(t, 1, 1)
	now := time.Now()
	for i := range 150 {
		event(s, t, now.Add(-3*time.Hour), i, "info", fmt.Sprintf("reason %d", i))
	}
	event(s, t, now.Add(-time.Minute), 1, "error", "it ran out of luck")
	lines := func(args ...string) []string {
		code, out, stderr := farmhand(t, append(args, "--state-dir", dir)...)
		if code != 0 {
			t.Fatalf("%v: %d, %s", args, code, stderr)
		}
		return strings.Split(strings.TrimSpace(out), "\n")
	}
	if got := lines("events"); len(got) != eventsShown || !strings.HasSuffix(got[99], "it ran out of luck") || !strings.HasSuffix(got[0], "reason 51") {
		t.Errorf("events: %d lines, from %q to %q", len(got), got[0], got[len(got)-1])
	}
	if got := lines("events", "-n", "0"); len(got) != 151 {
		t.Errorf("events -n 0: %d lines", len(got))
	}
	if got := lines("events", "--since", "1h"); len(got) != 1 || !strings.Contains(got[0], " E web-1") {
		t.Errorf("events --since 1h: %q", got)
	}
	if got := lines("events", "--since", "24h"); len(got) != 151 {
		t.Errorf("events --since 24h: %d lines", len(got))
	}
	var e state.Event
	if got := lines("events", "--json", "--since", "1h"); json.Unmarshal([]byte(got[0]), &e) != nil || e.Reason != "it ran out of luck" {
		t.Errorf("events --json: %q", got)
	}
}

func TestEventsFollow(t *testing.T) {
	dir, s := declare(t, 1, 1)
	event(s, t, time.Now(), 1, "info", "the past")
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	out := &lineWriter{lines: make(chan string, 10)}
	code := make(chan int, 1)
	go func() { code <- execute(ctx, []string{"events", "-f", "--state-dir", dir}, "1.2.3", out, out) }()
	if got := <-out.lines; !strings.Contains(got, "the past") {
		t.Errorf("first: %s", got)
	}
	event(s, t, time.Now(), 2, "info", "the present")
	if got := <-out.lines; !strings.Contains(got, "the present") {
		t.Errorf("then: %s", got)
	}
	cancel() // Ctrl-C
	if c := <-code; c != ExitOK {
		t.Errorf("following ended with %d", c)
	}
}

type lineWriter struct{ lines chan string }

func (w *lineWriter) Write(b []byte) (int, error) {
	w.lines <- string(b)
	return len(b), nil
}

func TestSeveralFarmsNeedAName(t *testing.T) {
	dir, s := declare(t, 1, 1)
	put(t, s, state.FarmIndexKey("blog"), state.FarmEntry{Name: "blog"})
	code, _, stderr := farmhand(t, "events", "--state-dir", dir)
	if code != ExitUsage || !strings.Contains(stderr, "name one of blog, shop") {
		t.Errorf("%d, %s", code, stderr)
	}
	_, out, _ := farmhand(t, "status", "--state-dir", dir)
	if !strings.Contains(out, "farm shop") || !strings.Contains(out, "farm blog") {
		t.Errorf("status: %s", out)
	}
}

func TestColoursOnTerminalsOnly(t *testing.T) {
	f, err := os.CreateTemp(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if colours(f).on || colours(&strings.Builder{}).on {
		t.Error("a file is no terminal")
	}
	if s := (palette{on: true}).bad("x"); s != "\x1b[31mx\x1b[0m" {
		t.Errorf("painted: %q", s)
	}
	if s := (palette{}).bad("x"); s != "x" {
		t.Errorf("not painted: %q", s)
	}
}

func TestHealthInWords(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	ok := state.Report{At: now, Boot: state.Boot{Done: true}, Checks: []state.Check{{Name: "http", OK: true}}}
	edit := func(f func(*state.Report)) state.Report {
		r := ok
		r.Checks = []state.Check{{Name: "http", OK: true}}
		f(&r)
		return r
	}
	for want, c := range map[string]struct {
		i     state.Instance
		r     state.Report
		heard bool
	}{
		"ok":                                     {r: ok, heard: true},
		"not heard of yet":                       {},
		"packages":                               {r: state.Report{At: now, Boot: state.Boot{Step: "packages"}}, heard: true},
		"boot script: exit status 3":             {r: state.Report{At: now, Boot: state.Boot{Step: "boot script", Failed: "exit status 3"}}, heard: true},
		"silent for 1m00s":                       {r: edit(func(r *state.Report) { r.At = now.Add(-time.Minute) }), heard: true},
		"http check: status 500":                 {r: edit(func(r *state.Report) { r.Checks[0].OK, r.Checks[0].Message = false, "status 500" }), heard: true},
		"launch: no such image":                  {i: state.Instance{Failure: &state.Failure{Step: "launch", Error: "no such image"}}},
		"serves on its former configuration: no": {r: edit(func(r *state.Report) { r.ApplyError = "no" }), heard: true},
	} {
		if got := health(c.i, c.r, c.heard, now); got != want {
			t.Errorf("health %q, want %q", got, want)
		}
	}
}

func TestAnUpgradeByTheRealDaemon(t *testing.T) {
	// The test binary stands in for the executable: see TestMain.
	dir, s := declare(t, 1, 1)
	t.Cleanup(func() {
		if err := daemon.Stop(context.Background(), dir); err != nil {
			t.Error(err)
		}
	})
	first, err := daemon.Start(t.Context(), daemon.Options{StateDir: dir, Version: "1.0.0", Env: []string{"FARMHAND_TEST_VERSION=1.0.0"}})
	if err != nil {
		t.Fatal(err)
	}
	before := seen(t, dir, "one server", serving(1)).Farms[0].Instances[0].Created
	second, err := daemon.Start(t.Context(), daemon.Options{StateDir: dir, Version: "1.1.0", Env: []string{"FARMHAND_TEST_VERSION=1.1.0"}})
	if err != nil || second.PID == first.PID || second.ID != first.ID || second.Version != "1.1.0" {
		t.Fatalf("the second: %+v, %v", second, err)
	}
	st := seen(t, dir, "the farm kept by the new one", func(st status) bool { return serving(1)(st) && st.Farms[0].Kept })
	if !st.Farms[0].Instances[0].Created.Equal(before) {
		t.Error("the upgrade replaced the server")
	}
	d, _, err := store.GetJSON[state.Declared[spec.Farm]](t.Context(), s, state.FarmKey("shop"))
	if err != nil || d.Deleting {
		t.Errorf("%+v, %v", d, err)
	}
}

func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "run" {
		os.Exit(Main(os.Args[1:], os.Getenv("FARMHAND_TEST_VERSION")))
	}
	os.Exit(m.Run())
}
