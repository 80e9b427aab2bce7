package agent

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/farmhand/terraform-provider-farmhand/internal/behavior"
	"github.com/farmhand/terraform-provider-farmhand/internal/behavior/base"
	"github.com/farmhand/terraform-provider-farmhand/internal/behavior/mysql"
	"github.com/farmhand/terraform-provider-farmhand/internal/platform"
	"github.com/farmhand/terraform-provider-farmhand/internal/spec"
	"github.com/farmhand/terraform-provider-farmhand/internal/state"
	"github.com/farmhand/terraform-provider-farmhand/internal/store"
	"github.com/farmhand/terraform-provider-farmhand/internal/store/dirblobs"
	"github.com/farmhand/terraform-provider-farmhand/internal/store/sqlite"
)

// scripted is a behavior whose every step does what the test says; nil does nothing.
type scripted struct {
	base.Behavior
	setup, apply func(in behavior.Input) error
	check, stop  func() error
}

func (s *scripted) New(behavior.Instance) behavior.Runner { return scriptedRunner{s} }

type scriptedRunner struct{ s *scripted }

func (r scriptedRunner) Setup(_ context.Context, in behavior.Input, step func(string)) error {
	step("scripted")
	if r.s.setup == nil {
		return nil
	}
	return r.s.setup(in)
}

func (r scriptedRunner) Apply(_ context.Context, in behavior.Input) error {
	if r.s.apply == nil {
		return nil
	}
	return r.s.apply(in)
}

func (r scriptedRunner) Check(context.Context) error {
	if r.s.check == nil {
		return nil
	}
	return r.s.check()
}

func (r scriptedRunner) Stop(context.Context) error {
	if r.s.stop == nil {
		return nil
	}
	return r.s.stop()
}

// closing is a store of the test's own, which outlives the agent.
type closing struct {
	*sqlite.Store
	*dirblobs.Blobs
}

func (closing) Close() error { return nil }

// life is one agent's, in a folder.
type life struct {
	*testing.T
	store *sqlite.Store
	blobs *dirblobs.Blobs
	root  string
	end   func() error // ends the agent and returns what Run did
}

// born starts the agent of web-1 with behavior b.
func born(t *testing.T, b behavior.Behavior) *life {
	t.Helper()
	l := &life{T: t, root: t.TempDir()}
	var err error
	l.store, err = sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "farmhand.db"))
	l.must(err)
	t.Cleanup(func() { l.store.Close() })
	l.blobs, err = dirblobs.Open(t.TempDir())
	l.must(err)
	l.must(os.MkdirAll(filepath.Join(l.root, "etc"), 0o755))
	bootstrap, err := json.Marshal(platform.Bootstrap{Farm: "shop", Instance: "web-1", Gateway: "192.0.2.1:1", Secret: "s"})
	l.must(err)
	path := filepath.Join(l.root, "agent.json")
	l.must(os.WriteFile(path, bootstrap, 0o600))

	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- Run(ctx, Options{
			Version: "test", Bootstrap: path, Root: l.root, Names: "127.0.0.1:0",
			Connect: func(platform.Bootstrap) Farm { return closing{l.store, l.blobs} },
			Behavior: func(name string) (behavior.Behavior, bool) {
				if name == "mysql" {
					return mysql.Behavior{}, true
				}
				return b, name == "scripted"
			},
			Output: &bytes.Buffer{}, Log: slog.New(slog.DiscardHandler),
		})
	}()
	l.end = sync.OnceValue(func() error { stop(); return <-ended })
	t.Cleanup(func() {
		if err := l.end(); err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	return l
}

func (l *life) must(err error) {
	l.Helper()
	if err != nil {
		l.Fatal(err)
	}
}

func (l *life) put(key string, v any) int64 {
	l.Helper()
	r, err := store.PutJSON(l.Context(), l.store, key, v)
	l.must(err)
	return int64(r)
}

// assign makes the instance what role says.
func (l *life) assign(role spec.Role, change ...func(*state.Assignment)) {
	l.Helper()
	role.Farm, role.Name = "shop", "web"
	if role.Behavior == "" {
		role.Behavior = "scripted"
	}
	role.HealthCheck.Interval = spec.Duration(10 * time.Millisecond)
	role.HealthCheck.UnhealthyAfter = 3
	as := state.Assignment{Farm: "shop", Zone: "shop.internal", Role: role, Index: 1, Address: "127.0.0.1", Token: "t1", Nameserver: "127.0.0.1:1"}
	for _, c := range change {
		c(&as)
	}
	l.put(state.AssignmentKey("shop", "web-1"), as)
}

// topology makes it known who serves in role.
func (l *life) topology(role string, behavior string, addresses ...string) int64 {
	l.Helper()
	of := state.RoleTopology{Behavior: behavior}
	for i, a := range addresses {
		of.Instances = append(of.Instances, state.Member{Name: state.InstanceName(role, i+1), Index: i + 1, Address: a})
	}
	return l.put(state.TopologyKey("shop"), state.Topology{Farm: "shop", Zone: "shop.internal", Roles: map[string]state.RoleTopology{role: of}})
}

// await returns the first report that is as wanted.
func (l *life) await(what string, wanted func(state.Report) bool) state.Report {
	l.Helper()
	ctx, cancel := context.WithTimeout(l.Context(), 30*time.Second)
	defer cancel()
	hints, err := l.store.Watch(ctx, state.ReportKey("shop", "web-1"))
	l.must(err)
	var last state.Report
	for range hints {
		r, _, err := store.GetJSON[state.Report](ctx, l.store, state.ReportKey("shop", "web-1"))
		if err == nil {
			if last = r; wanted(r) {
				return r
			}
		}
	}
	l.Fatalf("never %s; the last report: %+v", what, last)
	return last
}

func serving(r state.Report) bool { return r.Serving() }
func failed(r state.Report) bool  { return r.Boot.Failed != "" }

func TestFromAssignmentToServing(t *testing.T) {
	var got behavior.Input
	l := born(t, &scripted{setup: func(in behavior.Input) error { got = in; return nil }})
	l.put(state.SecretKey("shop", "web"), map[string]string{"API_KEY": "k", "OTHER": "not named"})
	l.put(state.SecretKey("shop", "mysql"), map[string]string{"db_password": "pw"})
	l.assign(spec.Role{
		Uses:        []string{"shop/mysql"},
		Environment: map[string]string{"MODE": "it's live", "DB_HOST": "overridden", "FARMHAND_ROLE": "overridden"},
		Secrets:     []string{"API_KEY"},
		BootScript:  "printf '%s ' $FARMHAND_INSTANCE $API_KEY $DB_HOST; env | grep ^MODE",
	})
	l.topology("mysql", "mysql")
	r := l.await("serving", serving)
	if r.Token != "t1" || r.Version != "test" || r.Instance != "web-1" || r.Applied == 0 {
		t.Errorf("the report is %+v", r)
	}
	for name, want := range map[string]string{
		"MODE": "it's live", "API_KEY": "k", "DB_HOST": "primary.mysql.shop.internal", "DB_PASSWORD": "pw", "DB_NAME": "app",
		"FARMHAND_FARM": "shop", "FARMHAND_ROLE": "web", "FARMHAND_INDEX": "1", "FARMHAND_INSTANCE": "web-1",
		"FARMHAND_ADDRESS": "127.0.0.1", "FARMHAND_ZONE": "shop.internal",
	} {
		if got.Environment[name] != want {
			t.Errorf("%s is %q, want %q", name, got.Environment[name], want)
		}
	}
	if _, ok := got.Environment["OTHER"]; ok {
		t.Error("a secret that the role does not name is in the environment")
	}
	b, err := os.ReadFile(filepath.Join(l.root, "etc/farmhand/env.json"))
	l.must(err)
	var written map[string]string
	l.must(json.Unmarshal(b, &written))
	if written["MODE"] != "it's live" || len(written) != len(got.Environment) {
		t.Errorf("env.json holds %v", written)
	}
	sh, err := os.ReadFile(filepath.Join(l.root, "etc/farmhand/env"))
	l.must(err)
	if want := `export MODE='it'\''s live'` + "\n"; !strings.Contains(string(sh), want) {
		t.Errorf("%q is not in\n%s", want, sh)
	}
}

func TestBootThatFails(t *testing.T) {
	missing := strings.Repeat("ab", 32)
	for name, c := range map[string]struct {
		behavior           *scripted
		role               spec.Role
		change             func(*state.Assignment)
		step, failed, line string
	}{
		"a script that exits 3": {
			role: spec.Role{BootScript: "echo looking for the thing\necho no thing here >&2\nexit 3"},
			step: "boot script", failed: "boot script exited 3", line: "no thing here",
		},
		"a script of another language": {
			role: spec.Role{BootScript: "#!/usr/bin/env -S sh -eu\necho $0 $undefined"},
			step: "boot script", failed: "boot script exited 2", line: "undefined",
		},
		"a script that kills itself": {
			role: spec.Role{BootScript: "kill -KILL $$"},
			step: "boot script", failed: "boot script was ended by signal 9 (killed)",
		},
		"a script that does not end": {
			role: spec.Role{BootScript: "echo here I am; sleep 1000", LaunchTimeout: spec.Duration(300 * time.Millisecond)},
			step: "boot script", failed: "did not end within 300ms", line: "here I am",
		},
		"an interpreter that is not there": {
			role: spec.Role{BootScript: "#!/no/such/shell\n"},
			step: "boot script", failed: "no such file",
		},
		"a behavior that fails": {
			behavior: &scripted{setup: func(behavior.Input) error { return errors.New("port taken") }},
			step:     "scripted", failed: "port taken",
		},
		"a behavior that panics": {
			behavior: &scripted{setup: func(behavior.Input) error { panic("index out of range") }},
			step:     "scripted", failed: "index out of range",
		},
		"a behavior that nobody knows": {
			role: spec.Role{Behavior: "nginx"},
			step: "behavior", failed: `knows no behavior "nginx"`,
		},
		"an application that is not there": {
			change: func(as *state.Assignment) { as.Application = &spec.Application{Name: "site", Release: missing} },
			step:   "application", failed: "abababababab",
		},
	} {
		t.Run(name, func(t *testing.T) {
			if c.behavior == nil {
				c.behavior = &scripted{}
			}
			l := born(t, c.behavior)
			if c.change == nil {
				c.change = func(*state.Assignment) {}
			}
			l.assign(c.role, c.change)
			r := l.await("failed", failed)
			if r.Boot.Step != c.step || !strings.Contains(r.Boot.Failed, c.failed) || r.Boot.Done || r.Serving() {
				t.Errorf("step %q failed by %q; want %q by %q", r.Boot.Step, r.Boot.Failed, c.step, c.failed)
			}
			if c.line != "" && !strings.Contains(strings.Join(r.Boot.Log, "\n"), c.line) {
				t.Errorf("%q is not among the last lines %q", c.line, r.Boot.Log)
			}
		})
	}
}

func TestLastFortyLinesOfAFailedBootAreReportedOn(t *testing.T) {
	l := born(t, &scripted{})
	l.assign(spec.Role{BootScript: "seq 1 1000; exit 1"})
	r := l.await("failed", failed)
	if n := len(r.Boot.Log); n != bootLines || r.Boot.Log[n-1] != "1000" || r.Boot.Log[0] != "961" {
		t.Errorf("%d lines from %q to %q", n, r.Boot.Log[0], r.Boot.Log[n-1])
	}
	// The agent stays, and goes on saying so.
	l.await("reporting on", func(next state.Report) bool { return next.At.After(r.At) && failed(next) })
}

func TestChangesAreTakenOverAndRefusedOnesAreSaid(t *testing.T) {
	var mu sync.Mutex
	var applied []string
	l := born(t, &scripted{apply: func(in behavior.Input) error {
		mu.Lock()
		defer mu.Unlock()
		address := in.Topology.Roles["web"].Instances[0].Address
		applied = append(applied, address)
		switch address {
		case "10.0.0.66":
			return errors.New("the checker says no")
		case "10.0.0.67":
			panic("nil map")
		}
		return nil
	}})
	l.assign(spec.Role{})
	l.await("serving", serving)
	first := l.topology("web", "scripted", "10.0.0.1")
	l.await("taking a change over", func(r state.Report) bool { return r.Applied == first })

	for address, want := range map[string]string{"10.0.0.66": "the checker says no", "10.0.0.67": "nil map"} {
		l.topology("web", "scripted", address)
		r := l.await("refusing "+address, func(r state.Report) bool { return strings.Contains(r.ApplyError, want) })
		if r.Applied != first || !r.Serving() {
			t.Errorf("%s: applied is %d, serving %v; want it serving on %d", address, r.Applied, r.Serving(), first)
		}
	}
	last := l.topology("web", "scripted", "10.0.0.2")
	l.await("taking the mended one over", func(r state.Report) bool { return r.Applied == last && r.ApplyError == "" })

	// The same again is a new revision and no change.
	mu.Lock()
	before := len(applied)
	mu.Unlock()
	same := l.topology("web", "scripted", "10.0.0.2")
	l.await("noticing the revision", func(r state.Report) bool { return r.Applied == same })
	mu.Lock()
	defer mu.Unlock()
	if len(applied) != before {
		t.Errorf("the same topology was applied again: %v", applied)
	}
}

func TestHealthIsJudgedOverSeveralResults(t *testing.T) {
	fail := errors.New("no")
	at := func(s int) time.Time { return time.Unix(int64(s), 0) }
	c := state.Check{Name: "http", Since: at(0)}
	for i, step := range []struct {
		err      error
		ok       bool
		failures int
		since    int
	}{
		{fail, false, 1, 0}, // it never passed: not healthy yet
		{nil, true, 0, 1},
		{fail, true, 1, 1},
		{fail, true, 2, 1},
		{nil, true, 0, 1}, // not three in a row
		{fail, true, 1, 1},
		{fail, true, 2, 1},
		{fail, false, 3, 7},
		{fail, false, 4, 7},
		{nil, true, 0, 9},
	} {
		c = judge(c, step.err, 3, at(i))
		if c.OK != step.ok || c.Failures != step.failures || !c.Since.Equal(at(step.since)) || (c.Message == "") != (step.err == nil) {
			t.Errorf("after result %d (%v): %+v; want %+v", i, step.err, c, step)
		}
	}
}

func TestHealthIsReported(t *testing.T) {
	var mu sync.Mutex
	sick := errors.New("not yet")
	set := func(err error) { mu.Lock(); sick = err; mu.Unlock() }
	l := born(t, &scripted{check: func() error {
		mu.Lock()
		defer mu.Unlock()
		if sick != nil && sick.Error() == "panic" {
			panic(sick)
		}
		return sick
	}})
	l.assign(spec.Role{})
	r := l.await("booted", func(r state.Report) bool { return r.Boot.Done && len(r.Checks) > 0 && r.Checks[0].Failures > 0 })
	if r.Serving() || r.Checks[0].Message != "not yet" {
		t.Errorf("before its first success: serving %v, %+v", r.Serving(), r.Checks)
	}
	set(nil)
	l.await("serving", serving)
	set(errors.New("disk full"))
	r = l.await("unhealthy", func(r state.Report) bool { return !r.Serving() })
	if c := r.Checks[0]; c.Name != "behavior" || c.Message != "disk full" || c.Failures < 3 {
		t.Errorf("the check is %+v", c)
	}
	set(errors.New("panic"))
	l.await("outliving a check that panics", func(r state.Report) bool { return strings.Contains(r.Checks[0].Message, "panic") })
	set(nil)
	l.await("serving again", serving)
}

func TestAssignmentOfARunningInstance(t *testing.T) {
	l := born(t, &scripted{})
	l.assign(spec.Role{})
	l.await("serving", serving)
	// A health check that is declared later counts from then on. Nobody listens at this port.
	l.assign(spec.Role{HealthCheck: spec.HealthCheck{TCP: &spec.TCPCheck{Port: 1}}})
	r := l.await("checking the port", func(r state.Report) bool {
		return slices.ContainsFunc(r.Checks, func(c state.Check) bool { return c.Name == "tcp" && c.Failures > 0 })
	})
	if r.Serving() {
		t.Error("it serves although its check never passed")
	}
	l.assign(spec.Role{}, func(as *state.Assignment) { as.Draining = true })
	l.await("draining", func(r state.Report) bool {
		return slices.ContainsFunc(r.Checks, func(c state.Check) bool { return c.Name == "draining" && !c.OK })
	})
}

func TestBootWaitsForWhatItNeeds(t *testing.T) {
	booted := make(chan behavior.Input, 1)
	l := born(t, &needy{scripted{setup: func(in behavior.Input) error { booted <- in; return nil }}})
	l.assign(spec.Role{Uses: []string{"shop/cache"}})
	said := func(what string) {
		t.Helper()
		l.await("saying what it waits for: "+what, func(r state.Report) bool {
			return r.Boot.Step == "credentials" && strings.Contains(strings.Join(r.Boot.Log, "\n"), what)
		})
	}
	said("credentials are not made yet")
	l.put(state.SecretKey("shop", "web"), map[string]string{"password": "p"})
	said("does not know role shop/cache yet")
	l.topology("cache", "scripted")
	l.await("serving", serving)
	if in := <-booted; in.Secret["password"] != "p" {
		t.Errorf("it was set up with the secret %v", in.Secret)
	}
}

// needy is a behavior that has credentials.
type needy struct{ scripted }

func (*needy) NewSecret(spec.Role) map[string]string { return map[string]string{"password": "made"} }

func TestEndStopsTheService(t *testing.T) {
	for name, stop := range map[string]func() error{
		"well":   func() error { return nil },
		"badly":  func() error { return errors.New("killed") },
		"panics": func() error { panic("stop") },
	} {
		t.Run(name, func(t *testing.T) {
			stopped := 0
			l := born(t, &scripted{stop: func() error { stopped++; return stop() }})
			l.assign(spec.Role{})
			l.await("serving", serving)
			if err := l.end(); err != nil || stopped != 1 {
				t.Errorf("Run returned %v, having stopped the service %d times", err, stopped)
			}
		})
	}
	t.Run("before there is one", func(t *testing.T) {
		if err := born(t, &scripted{}).end(); err != nil {
			t.Error(err)
		}
	})
	t.Run("during a boot script", func(t *testing.T) {
		l := born(t, &scripted{})
		l.assign(spec.Role{BootScript: "echo begun; sleep 1000"})
		l.await("running its script", func(r state.Report) bool { return slices.Contains(r.Boot.Log, "begun") })
		if err := l.end(); err != nil {
			t.Error(err)
		}
	})
}

func TestAnInstanceWithoutAFarmSaysSo(t *testing.T) {
	dir := t.TempDir()
	for content, want := range map[string]string{"": "started by a platform", "{": "agent.json", `{"farm":"shop"}`: "names no farm"} {
		path := filepath.Join(dir, fmt.Sprint(len(content)), "agent.json")
		if content != "" {
			if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(content), 0o600)); err != nil {
				t.Fatal(err)
			}
		}
		err := Run(t.Context(), Options{Bootstrap: path})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", content, err, want)
		}
	}
}
