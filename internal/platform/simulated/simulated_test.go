package simulated

import (
	"errors"
	"fmt"
	"log/slog"
	"math"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/farmhand/terraform-provider-farmhand/internal/platform"
	"github.com/farmhand/terraform-provider-farmhand/internal/spec"
	"github.com/farmhand/terraform-provider-farmhand/internal/state"
	"github.com/farmhand/terraform-provider-farmhand/internal/store"
)

// world is a simulated farm whose clock the test turns.
type world struct {
	*testing.T
	store store.Store
	now   time.Time
	p     *Simulated
	farm  spec.Farm
}

const farmName = "shop"

func newWorld(t *testing.T, sim spec.Simulated) *world {
	t.Helper()
	w := &world{T: t, store: openStore(t), now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC), farm: spec.Farm{Name: farmName, Simulated: &sim}}
	w.restart()
	return w
}

// restart is a new process: it knows what the store knows.
func (w *world) restart() {
	w.Helper()
	p, err := New(Options{Farm: w.farm, Store: w.store, Log: slog.New(slog.DiscardHandler), Now: func() time.Time { return w.now }})
	if err != nil {
		w.Fatal(err)
	}
	w.p = p
}

// pass lets time pass, a step each half second as Open's goroutine takes them.
func (w *world) pass(d time.Duration) {
	w.Helper()
	for end := w.now.Add(d); w.now.Before(end); {
		w.now = w.now.Add(stepEvery)
		if err := w.p.Step(w.Context()); err != nil {
			w.Fatal(err)
		}
	}
}

func (w *world) launch(role string, index int) platform.Machine {
	w.Helper()
	name := state.InstanceName(role, index)
	m, err := w.p.Launch(w.Context(), platform.Launch{Farm: farmName, Role: role, Instance: name, Token: "token-" + name, Generation: "g"})
	if err != nil {
		w.Fatal(err)
	}
	return m
}

func (w *world) report(instance string) state.Report {
	w.Helper()
	r, _, err := store.GetJSON[state.Report](w.Context(), w.store, state.ReportKey(farmName, instance))
	if err != nil {
		w.Fatal(err)
	}
	return r
}

func (w *world) demand(role string, load float64) {
	w.Helper()
	if err := SetDemand(w.Context(), w.store, farmName, role, load); err != nil {
		w.Fatal(err)
	}
}

func (w *world) admit(role string, names ...string) store.Revision {
	w.Helper()
	topology := state.Topology{Farm: farmName, Roles: map[string]state.RoleTopology{}}
	var members []state.Member
	for _, n := range names {
		members = append(members, state.Member{Name: n})
	}
	topology.Roles[role] = state.RoleTopology{Instances: members}
	r, err := store.PutJSON(w.Context(), w.store, state.TopologyKey(farmName), topology)
	if err != nil {
		w.Fatal(err)
	}
	return r
}

func newest(r state.Report) state.Sample { return r.Samples[len(r.Samples)-1] }

func near(t *testing.T, what string, got, want float64) {
	t.Helper()
	if math.Abs(got-want) > 0.01 {
		t.Errorf("%s is %.3f, want %.3f", what, got, want)
	}
}

func TestAMachineBootsStepByStepAndThenServes(t *testing.T) {
	w := newWorld(t, spec.Simulated{BootTime: spec.Duration(20 * time.Second), Subnet: "10.99.0.0/24"})
	m := w.launch("web", 1)
	if m.Status != platform.Up || m.Address != "10.99.0.10" {
		t.Errorf("launched as %+v", m)
	}
	var told []string
	for range 60 {
		w.pass(stepEvery)
		r := w.report("web-1")
		if r.Token != m.Token || r.Instance != "web-1" {
			t.Fatalf("report of %s with token %s", r.Instance, r.Token)
		}
		if r.Serving() != (r.Boot.Step == stepServing) {
			t.Errorf("at step %s it reports serving: %v", r.Boot.Step, r.Serving())
		}
		if len(told) == 0 || told[len(told)-1] != r.Boot.Step {
			told = append(told, r.Boot.Step)
		}
	}
	if got, want := strings.Join(told, ", "), "packages, configure, boot script, health check, serving"; got != want {
		t.Errorf("it went through %s; want %s", got, want)
	}
}

func TestBootTimesDifferAndComeAgainWithTheirSeed(t *testing.T) {
	boots := func(seed int64) (all []time.Duration) {
		farm := spec.Farm{Name: farmName, Simulated: &spec.Simulated{BootTime: spec.Duration(10 * time.Second), Seed: seed}}
		for n := range 50 {
			m := newMachine(farm, platform.Launch{Farm: farmName, Token: fmt.Sprint(n)}, time.Time{})
			all = append(all, m.ServesAt.Sub(m.Launched))
		}
		return all
	}
	first, again, other := boots(1), boots(1), boots(2)
	differ, same := 0, 0
	for i, b := range first {
		if b < 8*time.Second || b > 12*time.Second {
			t.Errorf("launch %d takes %s, want 10s within a fifth", i, b)
		}
		if b != again[i] {
			t.Errorf("launch %d takes %s and, with the same seed, %s", i, b, again[i])
		}
		if b != first[0] {
			differ++
		}
		if b == other[i] {
			same++
		}
	}
	if differ < 40 || same > 10 {
		t.Errorf("%d of 50 boot times differ from the first, %d are another seed's", differ, same)
	}
}

func TestDemandIsDividedOverThoseThatServe(t *testing.T) {
	w := newWorld(t, spec.Simulated{})
	for i := range 3 {
		w.launch("web", i+1)
	}
	w.demand("web", 3)
	w.pass(10 * time.Minute)
	for i := range 3 {
		s := newest(w.report(state.InstanceName("web", i+1)))
		near(t, "load average over a minute of a third of 3", s.Load1, 1)
		near(t, "the same over 15 minutes, after 10", s.Load15, 1-math.Exp(-10.0/15))
		near(t, "cpu", s.CPU, 0.5)
	}
	w.launch("db", 1)
	w.admit("web", "web-1", "web-2") // web-3 drains
	w.pass(10 * time.Minute)
	near(t, "load of one that is balanced to", newest(w.report("web-1")).Load1, 1.5)
	near(t, "load of one that drains", newest(w.report("web-3")).Load1, 0)
	near(t, "load of another role", newest(w.report("db-1")).Load1, 0)

	if err := Kill(t.Context(), w.store, farmName, "web-2"); err != nil {
		t.Fatal(err)
	}
	w.pass(10 * time.Minute)
	near(t, "load of the last one left", newest(w.report("web-1")).Load1, 3)
	near(t, "its cpu", newest(w.report("web-1")).CPU, 1)
	w.demand("web", 0)
	at := w.now
	w.pass(time.Minute)
	s := newest(w.report("web-1"))
	near(t, "load a minute after all demand went", s.Load1, 3*math.Exp(-s.At.Sub(at).Minutes()))
	near(t, "cpu then", s.CPU, 0)
}

func TestReportsHoldTheLastMinute(t *testing.T) {
	w := newWorld(t, spec.Simulated{})
	w.launch("web", 1)
	revision := w.admit("web", "web-1")
	w.pass(3 * time.Minute)
	r := w.report("web-1")
	if len(r.Samples) != samplesKept || w.now.Sub(r.At) > reportEvery {
		t.Fatalf("%d samples, reported %s ago", len(r.Samples), w.now.Sub(r.At))
	}
	for i := 1; i < len(r.Samples); i++ {
		if d := r.Samples[i].At.Sub(r.Samples[i-1].At); d != reportEvery {
			t.Errorf("sample %d is %s after the one before", i, d)
		}
	}
	if r.Applied != int64(revision) {
		t.Errorf("it applied topology %d, want %d", r.Applied, revision)
	}
}

func TestARestartedSidecarGoesOnWithTheLoadThereWas(t *testing.T) {
	w := newWorld(t, spec.Simulated{})
	w.launch("web", 1)
	w.demand("web", 2)
	w.pass(10 * time.Minute)
	before := w.report("web-1")
	w.restart()
	w.now = w.now.Add(5 * time.Second)
	w.pass(5 * time.Second)
	after := w.report("web-1")
	near(t, "load after a restart", newest(after).Load1, 2)
	if len(after.Samples) < samplesKept-1 || !after.At.After(before.At) {
		t.Errorf("%d samples after a restart, reported at %s, before at %s", len(after.Samples), after.At, before.At)
	}
}

func TestFaults(t *testing.T) {
	w := newWorld(t, spec.Simulated{})
	for i := range 3 {
		w.launch("web", i+1)
	}
	w.pass(10 * time.Second)
	for name, fault := range map[string]func() error{
		"web-1": func() error { return Kill(t.Context(), w.store, farmName, "web-1") },
		"web-2": func() error { return Hang(t.Context(), w.store, farmName, "web-2") },
		"web-3": func() error { return Sicken(t.Context(), w.store, farmName, "web-3", w.now) },
	} {
		if err := fault(); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
	}
	at := w.now
	w.pass(10 * time.Second)
	for _, silent := range []string{"web-1", "web-2"} {
		if r := w.report(silent); r.At.After(at) {
			t.Errorf("%s still reports", silent)
		}
	}
	if r := w.report("web-3"); !r.At.After(at) || r.Serving() || r.Checks[0].Failures < 3 || !r.Checks[0].Since.Equal(at) {
		t.Errorf("the sick one reports %+v at %s", r.Checks, r.At)
	}
	statuses := map[string]platform.Status{}
	machines, err := w.p.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range machines {
		statuses[m.Instance] = m.Status
	}
	if statuses["web-1"] != platform.Stopped || statuses["web-2"] != platform.Up || statuses["web-3"] != platform.Up {
		t.Errorf("the platform says %v", statuses)
	}
	if err := Kill(t.Context(), w.store, farmName, "web-9"); err == nil || !strings.Contains(err.Error(), "web-2") {
		t.Errorf("killing what is not there gives %v, want an error that names what is", err)
	}
	if err := SetDemand(t.Context(), w.store, farmName, "web", -1); err == nil {
		t.Error("a negative load was taken")
	}
}

func TestLaunchesFailAsOftenAsDeclared(t *testing.T) {
	farm := spec.Farm{Name: farmName, Simulated: &spec.Simulated{BootTime: spec.Duration(time.Minute), FailLaunches: 0.3, Seed: 4}}
	failed := 0
	for n := range 1000 {
		if m := newMachine(farm, platform.Launch{Farm: farmName, Token: fmt.Sprint(n)}, time.Time{}); !m.FailsAt.IsZero() {
			failed++
		}
	}
	if failed < 250 || failed > 350 { // six deviations: the draw is the same in every run
		t.Errorf("%d of 1000 launches fail, want about 300", failed)
	}

	w := newWorld(t, spec.Simulated{BootTime: spec.Duration(time.Minute), FailLaunches: 1})
	m := w.launch("web", 1)
	w.pass(2 * time.Minute)
	r := w.report("web-1")
	if r.Boot.Done || r.Boot.Failed != "exit status 3" || r.Boot.Step != "boot script" || len(r.Boot.Log) == 0 {
		t.Errorf("a failed boot reports %+v", r.Boot)
	}
	lines, err := w.p.Output(t.Context(), m.ID, 1)
	if err != nil || len(lines) != 1 || !strings.Contains(lines[0], "exit status 3") {
		t.Errorf("its output ends in %q, %v", lines, err)
	}
}

func TestAddressesRunOut(t *testing.T) {
	w := newWorld(t, spec.Simulated{Subnet: "10.99.0.0/28"})
	var got []string
	for i := range 5 {
		got = append(got, w.launch("web", i+1).Address)
	}
	if want := "10.99.0.10 10.99.0.11 10.99.0.12 10.99.0.13 10.99.0.14"; strings.Join(got, " ") != want {
		t.Errorf("addresses are %v, want %s", got, want)
	}
	_, err := w.p.Launch(t.Context(), platform.Launch{Farm: farmName, Role: "web", Instance: "web-6", Token: "t6"})
	if !errors.Is(err, platform.ErrCapacity) || !strings.Contains(err.Error(), "simulated.subnet") {
		t.Errorf("the sixth gives %v, want an ErrCapacity that names simulated.subnet", err)
	}
}

// The goroutine that Open starts makes the same life, on the bubble's virtual time, and ends with Close.
func TestOpenKeepsMachinesAlive(t *testing.T) {
	s := openStore(t)
	synctest.Test(t, func(t *testing.T) {
		p, err := New(Options{Farm: spec.Farm{Name: farmName, Simulated: &spec.Simulated{BootTime: spec.Duration(time.Minute)}}, Store: s, Log: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		w := &world{T: t, store: s, p: p}
		n, err := p.Open(t.Context())
		if err != nil || n.ListenHost != listenHost {
			t.Fatalf("Open gives %+v, %v", n, err)
		}
		w.launch("web", 1)
		time.Sleep(2 * time.Minute)
		if r := w.report("web-1"); !r.Serving() {
			t.Errorf("after twice its boot time it reports %+v", r.Boot)
		}
		if err := p.Close(); err != nil {
			t.Fatal(err)
		}
		at := w.report("web-1").At
		time.Sleep(time.Minute)
		if r := w.report("web-1"); r.At.After(at) {
			t.Error("it lives on after Close")
		}
	})
}
