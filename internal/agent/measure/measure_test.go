package measure

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/farmhand/terraform-provider-farmhand/internal/agent/process"
	"github.com/farmhand/terraform-provider-farmhand/internal/spec"
	"github.com/farmhand/terraform-provider-farmhand/internal/state"
)

var start = time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)

func at(seconds int) time.Time { return start.Add(time.Duration(seconds) * time.Second) }

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

func near(a, b float64) bool { return a-b < 1e-9 && b-a < 1e-9 }

// TestCounter: a counter's first look, its being set back and its owner's restart give no rate, and no false one later.
func TestCounter(t *testing.T) {
	var c counter
	for i, step := range []struct {
		second int
		value  float64
		epoch  string
		want   float64
		ok     bool
	}{
		{0, 1000, "a", 0, false}, // the first
		{2, 1100, "a", 50, true},
		{4, 1100, "a", 0, true},
		{6, 10, "a", 0, false}, // set back
		{8, 30, "a", 10, true},
		{10, 90, "b", 0, false}, // restarted, and already beyond
		{10, 95, "b", 0, false}, // no time has passed
		{12, 105, "b", 5, true},
	} {
		v, err := c.rate(step.value, at(step.second), step.epoch)
		if (err == nil) != step.ok || !near(v, step.want) || err != nil && !errors.Is(err, errNotYet) {
			t.Errorf("step %d: %v, %v; want %v, %t", i, v, err, step.want, step.ok)
		}
	}
}

func TestMemory(t *testing.T) {
	const meminfo = "MemTotal:        1000 kB\nMemFree:          100 kB\nMemAvailable:     400 kB\n"
	for name, c := range map[string]struct {
		container bool
		files     map[string]string
		want      float64
	}{
		"a machine": {false, map[string]string{"sys/fs/cgroup/memory.max": "102400", "sys/fs/cgroup/memory.current": "102400"}, 0.4},
		"version 2": {true, map[string]string{"sys/fs/cgroup/memory.max": "102400\n", "sys/fs/cgroup/memory.current": "81920\n",
			"sys/fs/cgroup/memory.stat": "anon 1\ninactive_file 30720\n"}, 0.5},
		"version 2 without a limit": {true, map[string]string{"sys/fs/cgroup/memory.max": "max\n", "sys/fs/cgroup/memory.current": "81920\n"}, 0.4},
		"version 1": {true, map[string]string{"sys/fs/cgroup/memory/memory.limit_in_bytes": "204800\n", "sys/fs/cgroup/memory/memory.usage_in_bytes": "153600\n",
			"sys/fs/cgroup/memory/memory.stat": "cache 1\ntotal_inactive_file 0\n"}, 0.25},
		"version 1 without a limit": {true, map[string]string{"sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n", "sys/fs/cgroup/memory/memory.usage_in_bytes": "1\n"}, 0.4},
		"beyond its limit":          {true, map[string]string{"sys/fs/cgroup/memory.max": "1024", "sys/fs/cgroup/memory.current": "2048"}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			root := t.TempDir()
			write(t, filepath.Join(root, "proc/meminfo"), meminfo)
			for path, content := range c.files {
				write(t, filepath.Join(root, path), content)
			}
			v, err := (&memory{root: root, container: c.container}).measure(t.Context(), start)
			if err != nil || !near(v, c.want) {
				t.Errorf("%v is free, %v; want %v", v, err, c.want)
			}
		})
	}
}

// TestBandwidth: each interface is counted by itself, the loopback not at all.
func TestBandwidth(t *testing.T) {
	root := t.TempDir()
	counts := func(lines ...string) {
		write(t, filepath.Join(root, "net/dev"), "Inter-|   Receive  |  Transmit\n face |bytes\n"+strings.Join(lines, "\n")+"\n")
	}
	line := func(name string, in, out int) string {
		return fmt.Sprintf("%6s: %d 0 0 0 0 0 0 0 %d 0 0 0 0 0 0 0", name, in, out)
	}
	in, out := &bandwidth{proc: root}, &bandwidth{proc: root, outward: true}
	for i, c := range []struct {
		lines       []string
		in, out     float64
		inOK, outOK bool
	}{
		{[]string{line("lo", 1, 1), line("eth0", 1e6, 2e6)}, 0, 0, false, false},
		{[]string{line("lo", 9e9, 9e9), line("eth0", 2e6, 4e6)}, 4, 8, true, true},
		{[]string{line("eth0", 3e6, 5e6), line("eth1", 5e6, 5e6)}, 4, 4, true, true}, // another comes
		{[]string{line("eth0", 4e6, 100), line("eth1", 6e6, 6e6)}, 8, 4, true, true}, // one half is set back
		{[]string{line("eth1", 7e6, 7e6)}, 4, 4, true, true},                         // one goes
		{[]string{line("eth1", 10, 10)}, 0, 0, false, false},                         // set back
	} {
		counts(c.lines...)
		for _, b := range []struct {
			meter *bandwidth
			want  float64
			ok    bool
		}{{in, c.in, c.inOK}, {out, c.out, c.outOK}} {
			v, err := b.meter.measure(t.Context(), at(2*i))
			if (err == nil) != b.ok || !near(v, b.want) {
				t.Errorf("round %d, outward %t: %v Mbit/s, %v; want %v", i, b.meter.outward, v, err, b.want)
			}
		}
	}
}

func status(busy, most int, total int, restarted string) string {
	return fmt.Sprintf("web-1\nRestartTime: %s\nTotal Accesses: %d\nBusyWorkers: %d\nIdleWorkers: 3\nScoreboard: %s\n", restarted, total, busy, strings.Repeat("_", most))
}

func TestApache(t *testing.T) {
	answer := status(6, 20, 100, "Monday")
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, answer) }))
	defer server.Close()
	a := &apache{url: server.URL}
	busy, requests := &busyWorkers{a}, &serverRequests{of: a}
	if v, err := busy.measure(t.Context(), at(0)); err != nil || !near(v, 5.0/20) { // one of the six is the one that tells
		t.Errorf("%v busy, %v", v, err)
	}
	if _, err := requests.measure(t.Context(), at(0)); !errors.Is(err, errNotYet) {
		t.Errorf("a rate at the first look: %v", err)
	}
	answer = status(1, 20, 121, "Monday") // of the 21, one was ours
	if v, err := requests.measure(t.Context(), at(2)); err != nil || !near(v, 10) {
		t.Errorf("%v requests a second, %v; want 10", v, err)
	}
	answer = status(1, 20, 500, "Tuesday")
	if _, err := requests.measure(t.Context(), at(4)); !errors.Is(err, errNotYet) {
		t.Errorf("a rate over a restart: %v", err)
	}
	answer = "<html>It works!</html>"
	if _, err := busy.measure(t.Context(), at(6)); err == nil || !strings.Contains(err.Error(), "mod_status") {
		t.Errorf("of an answer that is none: %v", err)
	}
}

// TestAllWorkersBusy: connections are taken and never answered, which is what a full Apache does; one that is not
// there is another matter.
func TestAllWorkersBusy(t *testing.T) {
	full, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	a := &apache{url: "http://" + full.Addr().String() + "/server-status?auto"}
	if v, err := (&busyWorkers{a}).measure(ctx, at(0)); err != nil || v != 1 {
		t.Errorf("%v busy, %v; want all", v, err)
	}
	if _, err := (&serverRequests{of: a}).measure(ctx, at(0)); !errors.Is(err, errAllBusy) {
		t.Errorf("requests of a full server: %v", err)
	}
	full.Close()
	if v, err := (&busyWorkers{a}).measure(t.Context(), at(2)); err == nil {
		t.Errorf("of a server that is not there: %v busy", v)
	}
}

func TestFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "backlog")
	for content, want := range map[string]string{
		"12.5\n": "", "  7": "", "1e3": "", "": "no number", "twelve": "no number", "1 2": "no number", strings.Repeat("1", 300): "more than a number",
	} {
		write(t, path, content)
		v, err := file{path}.measure(t.Context(), start)
		if want == "" && (err != nil || v <= 0) || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%.20q is %v, %v; want %q", content, v, err, want)
		}
	}
	if _, err := (file{filepath.Dir(path)}).measure(t.Context(), start); err == nil {
		t.Error("a folder is read")
	}
	if _, err := (file{path + "-not"}).measure(t.Context(), start); err == nil {
		t.Error("a file that is not there is read")
	}
}

func TestCommand(t *testing.T) {
	var printed strings.Builder
	run := process.NewTable(&printed).RunCommand
	for name, c := range map[string]struct {
		script string
		want   float64
		says   string
	}{
		"the last line counts":  {"echo warming up; echo 42", 42, ""},
		"nothing":               {"true", 0, "printed nothing"},
		"no number":             {"echo many", 0, `"many" is no number`},
		"it fails":              {"echo 1; echo oh >&2; exit 3", 0, "exit status 3"},
		"it never ends":         {"echo 1; exec sleep 60", 0, "enough"},
		"it never stops saying": {"exec yes", 0, "enough"},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithTimeoutCause(t.Context(), time.Second/2, errors.New("enough"))
			defer cancel()
			if c.says == "" { // on a busy machine a shell may take its time
				ctx = t.Context()
			}
			v, err := command{run: run, argv: []string{"/bin/sh", "-c", c.script}}.measure(ctx, start)
			if c.says == "" && (err != nil || v != c.want) || c.says != "" && (err == nil || !strings.Contains(err.Error(), c.says) && !strings.Contains(err.Error(), "enough")) {
				t.Errorf("%v, %v; want %v, %q", v, err, c.want, c.says)
			}
		})
	}
	if printed.Len() > 0 {
		t.Errorf("a measurement prints among what the instance's programs print: %.80q", printed.String())
	}
}

// TestSet: what is asked is measured, what cannot be is said, and what is not asked any more is forgotten.
func TestSet(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "run/a"), "3")
	write(t, filepath.Join(dir, "run/b"), "-3")
	s := New(Options{Root: dir})
	ask := func(key, path string) state.Asked {
		return state.Asked{Key: key, Role: "web", Metric: spec.Metric{Kind: spec.FileValue, File: &spec.FileMetric{Path: path}}}
	}
	round := func() {
		s.round(t.Context(), start)
		for busy := true; busy; {
			s.mu.Lock()
			busy = false
			for _, e := range s.meters {
				busy = busy || e.busy
			}
			s.mu.Unlock()
		}
	}
	s.Follow([]state.Asked{ask("a", "/run/a"), ask("b", "/run/b"), {Key: "m", Metric: spec.Metric{Kind: "moon"}}})
	round()
	if v := s.Values(); len(v) != 1 || v["a"] != 3 {
		t.Errorf("measured %v", v)
	}
	if v := s.Values(); v != nil {
		t.Errorf("the same measurement is told twice: %v", v)
	}
	if p := s.Problems(); len(p) != 2 || !strings.Contains(p["b"], "negative") || !strings.Contains(p["m"], "older than the declaration") {
		t.Errorf("said %v", p)
	}
	s.Follow([]state.Asked{ask("b", "/run/b")})
	write(t, filepath.Join(dir, "run/b"), "5")
	round()
	if v, p := s.Values(), s.Problems(); len(v) != 1 || v["b"] != 5 || p != nil {
		t.Errorf("measured %v, said %v", v, p)
	}
}
