package world_test

import (
	"context"
	"errors"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/farmhand/terraform-provider-farmhand/internal/engine"
	"github.com/farmhand/terraform-provider-farmhand/internal/simulate/trace"
	"github.com/farmhand/terraform-provider-farmhand/internal/simulate/world"
	"github.com/farmhand/terraform-provider-farmhand/internal/spec"
)

// fixed wants a number that is told by time.
type fixed func(since time.Duration) int

type fixedNumber struct {
	want  fixed
	began time.Time
	seen  []world.Sight
}

func (f *fixedNumber) Desired(s world.Sight) int {
	if f.began.IsZero() {
		f.began = s.Now
	}
	s.Minutes = append([]float64(nil), s.Minutes...)
	f.seen = append(f.seen, s)
	return f.want(s.Now.Sub(f.began))
}

// csv is a trace of ten-second points.
func csv(t *testing.T, rows string) trace.Source {
	t.Helper()
	path := filepath.Join(t.TempDir(), "trace.csv")
	if err := os.WriteFile(path, []byte(rows), 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := trace.Open(path, trace.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func numbers(t *testing.T, source trace.Source, o world.Options, want fixed) (world.Result, *fixedNumber) {
	t.Helper()
	a := &fixedNumber{want: want}
	e := world.Envelope{Min: 0, Max: 50, Line: 1, Drain: 30 * time.Second, Metric: spec.Metric{Kind: spec.LoadAverage}}
	r, err := world.Run(t.Context(), world.Job{Options: o, Envelope: e, Trace: source, Pilot: &world.Numbers{Algorithm: a, Envelope: e, Target: 1}})
	if err != nil {
		t.Fatal(err)
	}
	return r, a
}

func near(t *testing.T, what string, got, want float64) {
	t.Helper()
	if math.Abs(got-want) > 1e-6 {
		t.Errorf("%s is %v, not %v", what, got, want)
	}
}

// One hour of demand 4; from 2 servers to 4 after ten minutes, and back to 2 after forty. A server takes 2 and is at its
// target at 1; it boots for a minute and drains for half of one.
func TestWhatIsPaidAndWhatIsMissed(t *testing.T) {
	source := trace.Shape{Kind: "flat", Length: time.Hour, Low: 4, High: 4}
	o := world.Options{BootTime: time.Minute, Capacity: 2}
	r, _ := numbers(t, source, o, func(at time.Duration) int {
		if at >= 10*time.Minute && at < 40*time.Minute {
			return 4
		}
		if at < 5*time.Minute {
			return 1
		}
		return 2
	})
	// It begins with the four that the demand fills; three of them drain for 30 s.
	// 1 for 5 min + 3 draining for 0.5 min; 2 from 5 to 10; 4 from 10 to 40; 2 to 60 + 2 draining for 0.5 min.
	near(t, "instance-hours", r.InstanceHours, (5+1.5+10+120+40+1)/60)
	// Four serve from minute 11 to 40: all else is above the target of 1 each, of what is demanded.
	near(t, "minutes above target", r.MinutesAboveTarget, 31)
	near(t, "minutes far above target", r.MinutesFarAboveTarget, 31)
	// Over capacity: one server takes 2 of 4, until minute 6 (the second boots for a minute).
	near(t, "requests over capacity", r.RequestsOverCapacity, 2*6*60)
	near(t, "share over capacity", r.OverCapacity, 2.0*6/(4*60))
	if r.Actions != 4 || r.Reversals != 2 || r.ReversalsPerHour != 2 || r.Peak != 4 || r.Ticks != 360 {
		t.Errorf("%+v", r)
	}
}

// The one-minute load average follows the kernel's decay, and the CPU stops at all of it.
func TestLoadAverageAndCPU(t *testing.T) {
	rows := "time,demand\n"
	for i := range 60 {
		v := "0"
		if i >= 30 {
			v = "8"
		}
		rows += time.Unix(1772442000+int64(i)*10, 0).UTC().Format(time.RFC3339) + "," + v + "\n"
	}
	_, a := numbers(t, csv(t, rows), world.Options{Cores: 2, Capacity: 2}, func(time.Duration) int { return 2 })
	for _, s := range a.seen[20:] { // those of the beginning, where no server was needed, still boot
		busy := s.Now.Sub(a.began) - 300*time.Second
		want := 0.0
		if busy > 0 {
			want = 4 * (1 - math.Exp(-busy.Seconds()/60)) // 8 over two servers of two cores
		}
		near(t, s.Now.Sub(a.began).String(), s.Latest, want)
	}
}

func TestMinutesAreMeansOfWholeMinutes(t *testing.T) {
	_, a := numbers(t, trace.Shape{Kind: "flat", Length: 10 * time.Minute, Low: 3, High: 3}, world.Options{}, func(time.Duration) int { return 3 })
	for _, s := range a.seen {
		if want := int(s.Now.Sub(a.began) / time.Minute); s.Minute != want || len(s.Minutes) != want {
			t.Fatalf("after %s: minute %d, %d minutes", s.Now.Sub(a.began), s.Minute, len(s.Minutes))
		}
		for _, v := range s.Minutes {
			near(t, "a minute", v, 1)
		}
	}
}

func TestSameSeedSameResult(t *testing.T) {
	source := trace.Shape{Kind: "noisy", Length: 12 * time.Hour, Seed: 3}
	o := world.Options{Noise: 0.1, BootJitter: 0.3, MeanLife: 6 * time.Hour, FailLaunches: 0.1, Seed: 4}
	run := func(o world.Options) world.Result {
		job, pilot := farmhand(source, o)
		r, err := world.Run(t.Context(), job)
		if err != nil || len(pilot.Broken()) > 0 {
			t.Fatal(err, pilot.Broken())
		}
		return r
	}
	a, b := run(o), run(o)
	if !reflect.DeepEqual(a, b) {
		t.Error("the same seed, another result")
	}
	if a.Crashes == 0 || a.FailedLaunches == 0 {
		t.Errorf("%d crashes and %d failed launches: nothing was tried", a.Crashes, a.FailedLaunches)
	}
	o.Seed = 5
	if reflect.DeepEqual(a, run(o)) {
		t.Error("another seed, the same result")
	}
}

// Farmhand heals in the simulation as it does in life: the role is back at its number two ticks and a boot after each crash.
func TestFarmhandHeals(t *testing.T) {
	o := world.Options{MeanLife: 2 * time.Hour, BootTime: time.Minute, Seed: 1}
	job, pilot := farmhand(trace.Shape{Kind: "flat", Length: 24 * time.Hour, Low: 5.5, High: 5.5}, o)
	short, longest := 0, 0
	pilot.Account = func(a engine.Account) {
		if short++; a.Serving >= a.Desired {
			short = 0
		}
		longest = max(longest, short)
	}
	r, err := world.Run(t.Context(), job)
	if err != nil || len(pilot.Broken()) > 0 {
		t.Fatal(err, pilot.Broken())
	}
	if r.Crashes < 20 {
		t.Fatalf("%d crashes only", r.Crashes)
	}
	if longest > 30 { // several in a row may crash within one boot
		t.Errorf("short of servers for %d ticks on end", longest)
	}
	if r.InstanceHours < 24*4 {
		t.Errorf("%.1f instance-hours: those that crashed were not replaced", r.InstanceHours)
	}
}

// The engine's own account of each tick names the numbers that the results are made of: it is that engine that runs.
func TestFarmhandIsTheEngine(t *testing.T) {
	job, pilot := farmhand(trace.Shape{Kind: "step", Length: 6 * time.Hour}, world.Options{})
	var reasons []string
	former := 0
	pilot.Account = func(a engine.Account) {
		if former != 0 && a.Desired != former {
			reasons = append(reasons, a.Reason)
		}
		former = a.Desired
	}
	r, err := world.Run(t.Context(), job)
	if err != nil {
		t.Fatal(err)
	}
	if len(reasons) != r.Actions || r.Actions == 0 {
		t.Errorf("%d actions, %d reasons", r.Actions, len(reasons))
	}
	if len(reasons) > 0 && !strings.Contains(reasons[0], "above the target") {
		t.Errorf("the first reason is %q", reasons[0])
	}
}

func TestSeriesIsBounded(t *testing.T) {
	r, _ := numbers(t, trace.Shape{Kind: "flat", Length: 5 * 24 * time.Hour, Low: 3, High: 3}, world.Options{}, func(time.Duration) int { return 3 })
	if n := len(r.Series); n < 500 || n > 2000 {
		t.Errorf("%d stretches", n)
	}
	for _, s := range r.Series {
		near(t, s.At.String(), s.Serving, 3)
		near(t, s.At.String(), s.Needed, 3)
	}
}

func TestWrongWorlds(t *testing.T) {
	for name, change := range map[string]func(*world.Job){
		"tick 3s":       func(j *world.Job) { j.Tick = 3 * time.Second },
		"boot":          func(j *world.Job) { j.BootTime = -1 },
		"jitter":        func(j *world.Job) { j.BootJitter = 2 },
		"noise":         func(j *world.Job) { j.Noise = math.NaN() },
		"capacity":      func(j *world.Job) { j.Capacity = -1 },
		"life":          func(j *world.Job) { j.MeanLife = time.Second },
		"failing":       func(j *world.Job) { j.FailLaunches = 1.5 },
		"target":        func(j *world.Job) { j.Line = 0 },
		"unknown shape": func(j *world.Job) { j.Trace = trace.Shape{Kind: "zigzag"} },
	} {
		job, _ := farmhand(trace.Shape{Kind: "flat"}, world.Options{})
		change(&job)
		if _, err := world.Run(t.Context(), job); err == nil {
			t.Errorf("%s: it ran", name)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	job, _ := farmhand(trace.Shape{Kind: "flat"}, world.Options{})
	if _, err := world.Run(ctx, job); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}
