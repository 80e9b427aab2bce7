package metric

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/farmhand/terraform-provider-farmhand/internal/engine"
	"github.com/farmhand/terraform-provider-farmhand/internal/spec"
	"github.com/farmhand/terraform-provider-farmhand/internal/state"
)

// policy keeps the metric of role web at a half.
func policy(m spec.Metric) spec.Policy {
	half := 0.5
	p := spec.Policy{Farm: "shop", Role: "web", Metric: &m, Target: &half}
	p.SetDefaults()
	return p.AsLoad()
}

// old makes instances warm: they have served for an hour.
func old(instances ...engine.Instance) []engine.Instance {
	for i := range instances {
		instances[i].ServedAt = now.Add(-time.Hour)
	}
	return instances
}

// told is a server or balancer whose samples carry these values under the key, two seconds apart, the newest last.
func told(role string, index int, key string, values ...float64) engine.Instance {
	in := engine.Instance{Instance: state.Instance{Role: role, Index: index, Phase: state.Running, ServedAt: now.Add(-time.Hour)}}
	in.Report = &state.Report{At: now.Add(-second)}
	for i, v := range values {
		ago := time.Duration(2*(len(values)-1-i)+1) * second
		s := state.Sample{At: now.Add(-ago)}
		if key != "" {
			s.Values = map[string]float64{key: v}
		}
		in.Report.Samples = append(in.Report.Samples, s)
	}
	return in
}

func near(a, b float64) bool { return math.Abs(a-b) < 1e-9 }

func TestStatistics(t *testing.T) {
	w := []point{{now, 4}, {now, 1}, {now, 3}, {now, 2}}
	for name, want := range map[string]float64{"": 2.5, "avg": 2.5, "min": 1, "max": 4, "sum": 10, "p50": 2, "p75": 3, "p99": 4, "p1": 1} {
		if got := statistic(name, w); got != want {
			t.Errorf("%q of 1 to 4 is %v, want %v", name, got, want)
		}
	}
	if !math.IsNaN(statistic("median", w)) {
		t.Error("a statistic that there is not gives a number")
	}
}

// TestWhatServersAreAskedFor: by key, a statistic over each server's window, the mean over the servers.
func TestWhatServersAreAskedFor(t *testing.T) {
	web := []engine.Instance{told("web", 1, "busy", 0.2, 0.4, 0.9), told("web", 2, "busy", 0.1, 0.1, 0.4)}
	for name, c := range map[string]struct {
		m                  spec.Metric
		value, floor, peak float64
	}{
		"avg": {spec.Metric{Kind: spec.BusyWorkers}, 0.35, 0.15, 0.65},
		"max": {spec.Metric{Kind: spec.BusyWorkers, Statistic: "max"}, 0.65, 0.65, 0.65},
		"p50": {spec.Metric{Kind: spec.BusyWorkers, Statistic: "p50"}, 0.25, 0.25, 0.25},
	} {
		m := Of(Input{Now: now, Policy: policy(c.m), Instances: web})
		if m.Problem != "" || !near(m.Value, c.value) || !near(m.Floor, c.floor) || !near(m.Peak, c.peak) || m.Servers != 2 {
			t.Errorf("%s: %+v, want %v", name, m, c.value)
		}
	}
	free := Of(Input{Now: now, Policy: policy(spec.Metric{Kind: spec.MemoryFree}), Instances: []engine.Instance{told("web", 1, "mem", 0.2, 0.2)}})
	if !near(free.Value, 0.8) {
		t.Errorf("a fifth free is %v in use", free.Value)
	}
	mute := told("web", 1, "", 0, 0)
	mute.Report.Unmeasured = map[string]string{"busy": "Apache is away"}
	m := Of(Input{Now: now, Policy: policy(spec.Metric{Kind: spec.BusyWorkers}), Instances: []engine.Instance{mute}})
	if m.Problem != "web-1: Apache is away" {
		t.Errorf("what it says of its own is %q", m.Problem)
	}
	m = Of(Input{Now: now, Policy: policy(spec.Metric{Kind: spec.BusyWorkers}), Instances: []engine.Instance{web[0], mute}})
	if m.Servers != 1 || m.Expected != 2 {
		t.Errorf("with one that cannot tell: %+v", m)
	}
}

func TestBalancers(t *testing.T) {
	rate := spec.Metric{Kind: spec.RequestsPerSecond, Requests: &spec.RequestsMetric{At: spec.AtBalancer}}
	slow := spec.Metric{Kind: spec.ResponseTime}
	const key, times = "rps@web", "rtp95/15s@web"
	three := old(server(1), server(2), server(3))
	lb := func(values ...float64) engine.Instance { return told("lb", 1, key, values...) }
	for name, c := range map[string]struct {
		m         spec.Metric
		instances []engine.Instance
		balancers []engine.Instance
		want      engine.Measure
	}{
		"a total is shared": {rate, three, []engine.Instance{lb(30, 60)}, engine.Measure{Value: 15, Floor: 10, Peak: 20, Samples: 2, Age: second, Servers: 3, Expected: 3}},
		"two balancers add up": {rate, three, []engine.Instance{lb(30, 60), told("lb", 2, key, 15, 30, 30)},
			engine.Measure{Value: 25, Floor: 20, Peak: 30, Samples: 2, Age: second, Servers: 3, Expected: 3}},
		"of the slowest": {slow, three, []engine.Instance{told("lb", 1, times, 0.125, 0.25), told("lb", 2, times, 0.5, 0.125)},
			engine.Measure{Value: 0.375, Floor: 0.25, Peak: 0.5, Samples: 2, Age: second, Servers: 3, Expected: 3}},
		"one that is silent": {rate, three, []engine.Instance{lb(30, 30), told("lb", 2, "")},
			engine.Measure{Value: 10, Floor: 10, Peak: 10, Samples: 2, Age: second, Servers: 2, Expected: 3}},
		"no server":          {rate, nil, []engine.Instance{lb(30, 60)}, engine.Measure{Value: 45, Floor: 30, Peak: 60, Samples: 2, Age: second}},
		"nobody balances":    {rate, three, nil, engine.Measure{Problem: "no balancer of role web is running: its requests are measured by a haproxy role that uses it"}},
		"no balancer tells":  {rate, three, []engine.Instance{lb(30)}, engine.Measure{Problem: "lb-1 has given no samples for the window; its last report is 1s old"}},
		"NaN and negative":   {rate, three, []engine.Instance{lb(math.NaN(), -1, 30)}, engine.Measure{Problem: "lb-1 has given no samples for the window; its last report is 1s old"}},
		"one server, partly": {rate, three[:1], []engine.Instance{lb(30, 30), told("lb", 2, "")}, engine.Measure{Problem: "lb-2 has given no samples for the window; its last report is 1s old"}},
	} {
		if m := Of(Input{Now: now, Policy: policy(c.m), Instances: c.instances, Balancers: c.balancers}); m != c.want {
			t.Errorf("%s:\n%+v\nwant\n%+v", name, m, c.want)
		}
	}
}

// TestWarming: those that have just come have no part in what was measured before they were there.
func TestWarming(t *testing.T) {
	instances := old(server(1), server(2))
	fresh := server(3)
	fresh.ServedAt = now.Add(-5 * second)
	lb := told("lb", 1, "rtp95/15s@web", 1, 1, 1)
	m := Of(Input{Now: now, Policy: policy(spec.Metric{Kind: spec.ResponseTime}), Instances: append(instances, fresh), Balancers: []engine.Instance{lb}})
	if m.Servers != 2 || m.Expected != 2 || m.Value != 1 {
		t.Errorf("with one that warms up: %+v", m)
	}
}

// TestSeries: every kind of what may come of asking, and what is left of the measurement.
func TestSeries(t *testing.T) {
	metric := spec.Metric{Kind: spec.HTTPValue, HTTP: &spec.HTTPMetric{URL: "http://x/"}} // every 5 s, within 20 s
	p := policy(metric)
	at := func(ago time.Duration, v float64) state.Point { return state.Point{At: now.Add(-ago), Value: v} }
	good := []state.Point{at(11*second, 4), at(6*second, 6), at(1*second, 8)}
	of := func(points ...state.Point) state.Series { return state.Series{Key: p.Metric.Key(), Points: points} }
	failing := func(s state.Series) state.Series { s.Problem = "status 503"; return s }
	for name, c := range map[string]struct {
		series  state.Series
		value   float64
		problem string
	}{
		"good":                    {of(good...), 6, ""},
		"failing now":             {failing(of(good...)), 6, ""},
		"failing for long":        {failing(of(at(25*second, 4), at(21*second, 4))), 0, "status 503"},
		"one answer":              {of(good[2]), 0, "a decision rests on two"},
		"stale":                   {of(at(70*second, 4), at(65*second, 4)), 0, "1m5s old"},
		"stale beside good":       {of(append([]state.Point{at(70*second, 400)}, good...)...), 6, ""},
		"NaN, infinite, negative": {of(append(good, at(2*second, math.NaN()), at(3*second, math.Inf(1)), at(4*second, -9))...), 6, ""},
		"future":                  {of(append(good, at(-time.Minute, 400))...), 6, ""},
		"duplicates":              {of(append(good, good[2], good[2])...), 6, ""},
		"out of order":            {of(good[2], good[0], good[1]), 6, ""},
		"none":                    {of(), 0, "no answer yet"},
		"not asked":               {state.Series{}, 0, "was not asked"},
		"of another metric":       {state.Series{Key: "http:other", Points: good}, 0, "was not asked"},
	} {
		m := Of(Input{Now: now, Policy: p, Instances: old(server(1), server(2)), Series: c.series})
		if !near(m.Value, c.value) || (c.problem == "") != (m.Problem == "") || !strings.Contains(m.Problem, c.problem) {
			t.Errorf("%s: %+v; want %v, %q", name, m, c.value, c.problem)
		}
		if m.Problem == "" && (m.Floor > m.Value || m.Peak < m.Value || m.Age < 0 || m.Servers != 2) {
			t.Errorf("%s: %+v does not hold together", name, m)
		}
	}
	metric.Per, metric.Statistic = spec.PerServer, "max"
	if m := Of(Input{Now: now, Policy: policy(metric), Instances: old(server(1), server(2)), Series: of(good...)}); m.Value != 4 || m.Floor != 4 || m.Peak != 4 {
		t.Errorf("the most of it, shared by two: %+v", m)
	}
	if m := Of(Input{Now: now, Policy: spec.Policy{Schedule: &spec.Schedule{}}}); m != (engine.Measure{}) {
		t.Errorf("a schedule measures %+v", m)
	}
}
