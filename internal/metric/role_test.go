package metric

import (
	"math"
	"testing"
	"time"

	"github.com/farmhand/terraform-provider-farmhand/internal/engine"
	"github.com/farmhand/terraform-provider-farmhand/internal/spec"
	"github.com/farmhand/terraform-provider-farmhand/internal/state"
)

var (
	now    = time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	load1  = spec.Metric{Kind: spec.LoadAverage, Minutes: 1, Window: spec.DefaultWindow}
	cpu    = spec.Metric{Kind: spec.CPU, Window: spec.DefaultWindow}
	always = func(engine.Instance) bool { return true }
)

// sample is a load average, stamped so long ago.
func sample(ago time.Duration, v float64) state.Sample {
	return state.Sample{At: now.Add(-ago), Load1: v, Load5: v / 2, Load15: v / 4, CPU: v / 10}
}

const second = time.Second

// server is a running instance with these samples.
func server(index int, samples ...state.Sample) engine.Instance {
	in := engine.Instance{Instance: state.Instance{Role: "web", Index: index, Phase: state.Running}}
	in.Report = &state.Report{At: now.Add(-second), Samples: samples}
	return in
}

// steady reports v every two seconds up to a second ago.
func steady(index int, v float64) engine.Instance {
	return server(index, sample(7*second, v), sample(5*second, v), sample(3*second, v), sample(1*second, v))
}

func TestOfRole(t *testing.T) {
	m := OfRole(now, load1, []engine.Instance{
		server(1, sample(5*second, 1), sample(3*second, 2), sample(1*second, 3)),
		server(2, sample(6*second, 3), sample(4*second, 4), sample(2*second, 11)),
	}, always)
	want := engine.Measure{Value: 4, Floor: 2, Peak: 7, Samples: 3, Age: 2 * second, Servers: 2, Expected: 2}
	if m != want {
		t.Errorf("measured %+v\nwant     %+v", m, want)
	}
}

// TestBadSamples: every kind of bad sample beside good ones, and what is left of the measurement. The other server
// steadily says 4. None may make the role look less loaded than without that server.
func TestBadSamples(t *testing.T) {
	good := []state.Sample{sample(5*second, 2), sample(3*second, 2), sample(1*second, 2)}
	with := func(more ...state.Sample) []state.Sample { return append(append([]state.Sample{}, good...), more...) }
	for name, c := range map[string]struct {
		samples []state.Sample
		servers int
		value   float64
	}{
		"good":                   {good, 2, 3},
		"missing":                {nil, 1, 4},
		"only one":               {good[2:], 1, 4},
		"stale":                  {[]state.Sample{sample(70*second, 0), sample(68*second, 0), sample(66*second, 0)}, 1, 4},
		"stale beside good":      {with(sample(60*second, 90)), 2, 3},
		"NaN":                    {with(sample(2*second, math.NaN())), 2, 3},
		"all NaN":                {[]state.Sample{sample(3*second, math.NaN()), sample(1*second, math.NaN())}, 1, 4},
		"infinite":               {with(sample(2*second, math.Inf(1))), 2, 3},
		"negative":               {with(sample(2*second, -5)), 2, 3},
		"all negative":           {[]state.Sample{sample(3*second, -1), sample(1*second, -1)}, 1, 4},
		"more than there can be": {with(sample(2*second, 1e300)), 2, 3},
		"future":                 {with(sample(-time.Minute, 0), sample(-2*time.Minute, 0)), 2, 3},
		"all in the future":      {[]state.Sample{sample(-50*second, 0), sample(-52*second, 0), sample(-54*second, 0)}, 1, 4},
		"a little ahead":         {[]state.Sample{sample(3*second, 2), sample(1*second, 2), sample(-second/2, 2)}, 2, 3},
		"duplicates":             {with(sample(1*second, 2), sample(1*second, 2), sample(1*second, 2)), 2, 3},
		"one twice is one":       {[]state.Sample{sample(1*second, 0), sample(1*second, 0), sample(1*second, 0)}, 1, 4},
		"out of order":           {[]state.Sample{good[2], good[0], good[1]}, 2, 3},
	} {
		t.Run(name, func(t *testing.T) {
			m := OfRole(now, load1, []engine.Instance{server(1, c.samples...), steady(2, 4)}, always)
			if m.Problem != "" || m.Servers != c.servers || m.Expected != 2 || math.Abs(m.Value-c.value) > 1e-9 {
				t.Errorf("measured %+v, want %d servers and a value of %v", m, c.servers, c.value)
			}
			if m.Floor > m.Value || m.Peak < m.Value {
				t.Errorf("floor %v and peak %v do not hold the value %v", m.Floor, m.Peak, m.Value)
			}
			if m.Age < 0 {
				t.Errorf("an age of %s", m.Age)
			}
		})
	}
}

// TestOneNoisySample: the floor does not follow it up, nor the peak down.
func TestOneNoisySample(t *testing.T) {
	up := OfRole(now, load1, []engine.Instance{server(1, sample(5*second, 1), sample(3*second, 50), sample(1*second, 1))}, always)
	if up.Floor != 1 {
		t.Errorf("one high sample lifts the floor to %v", up.Floor)
	}
	down := OfRole(now, load1, []engine.Instance{server(1, sample(5*second, 3), sample(3*second, 0), sample(1*second, 3))}, always)
	if down.Peak != 3 {
		t.Errorf("one low sample lowers the peak to %v", down.Peak)
	}
}

// TestWhoIsAsked: joiners and leavers have no part, and no say in the coverage.
func TestWhoIsAsked(t *testing.T) {
	others := func(phases ...state.Phase) []engine.Instance {
		all := []engine.Instance{steady(1, 2)}
		for i, p := range phases {
			in := steady(i+2, 0)
			in.Phase = p
			all = append(all, in)
		}
		return all
	}
	all := others(state.Planned, state.Launching, state.Booting, state.Draining, state.Terminating, state.Failed)
	if m := OfRole(now, load1, all, always); m.Servers != 1 || m.Expected != 1 || m.Value != 2 {
		t.Errorf("with joiners and leavers measured %+v, want one server at 2", m)
	}
	warming := []engine.Instance{steady(1, 2), steady(2, 0)}
	if m := OfRole(now, load1, warming, func(i engine.Instance) bool { return i.Index == 1 }); m.Expected != 1 || m.Value != 2 {
		t.Errorf("with one warming up measured %+v, want one server at 2", m)
	}
	if m := OfRole(now, load1, warming, func(engine.Instance) bool { return false }); m.Expected != 2 || m.Value != 1 {
		t.Errorf("with all of them new measured %+v, want both", m)
	}
}

func TestNothingToMeasure(t *testing.T) {
	unheard := engine.Instance{Instance: state.Instance{Role: "web", Index: 1, Phase: state.Running}}
	for name, c := range map[string]struct {
		instances []engine.Instance
		want      string
	}{
		"nobody":  {nil, "no server is running"},
		"unheard": {[]engine.Instance{unheard}, "web-1 has not reported yet"},
		"silent":  {[]engine.Instance{server(1, sample(50*second, 1))}, "web-1 has given no samples for the window; its last report is 1s old"},
		"both":    {[]engine.Instance{unheard, server(2)}, "none of 2 servers has given samples for the window; the last report is 1s old"},
	} {
		if m := OfRole(now, load1, c.instances, always); m.Problem != c.want || m.Servers != 0 {
			t.Errorf("%s: %+v, want the problem %q", name, m, c.want)
		}
	}
}

func TestValues(t *testing.T) {
	s := state.Sample{Load1: 4, Load5: 2, Load15: 1, CPU: 1.02}
	for _, c := range []struct {
		m    spec.Metric
		want float64
		ok   bool
	}{
		{spec.Metric{Kind: spec.LoadAverage, Minutes: 1}, 4, true},
		{spec.Metric{Kind: spec.LoadAverage, Minutes: 5}, 2, true},
		{spec.Metric{Kind: spec.LoadAverage, Minutes: 15}, 1, true},
		{cpu, 1, true},
		{spec.Metric{Kind: "moon"}, 0, false},
	} {
		if v, ok := value(c.m, s); v != c.want || ok != c.ok {
			t.Errorf("%+v is %v, %t, want %v, %t", c.m, v, ok, c.want, c.ok)
		}
	}
	if _, ok := value(cpu, state.Sample{CPU: 37}); ok {
		t.Error("a CPU that is 37 times busy is believed")
	}
}
