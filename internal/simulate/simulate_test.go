package simulate_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/farmhand/terraform-provider-farmhand/internal/simulate"
	"github.com/farmhand/terraform-provider-farmhand/internal/simulate/report"
	"github.com/farmhand/terraform-provider-farmhand/internal/simulate/trace"
	"github.com/farmhand/terraform-provider-farmhand/internal/simulate/world"
	"github.com/farmhand/terraform-provider-farmhand/internal/spec"
)

func subject(target float64, kind string) simulate.Subject {
	s := simulate.Subject{
		Role:     spec.Role{Min: 2, Max: 30},
		Policies: []spec.Policy{{Metric: &spec.Metric{Kind: kind}, Target: &target}},
	}
	s.SetDefaults()
	return s
}

func request(kind string) simulate.Request {
	return simulate.Request{
		Subject: subject(1.4, spec.LoadAverage), Compare: true,
		World: world.Options{BootJitter: 0.1, Noise: 0.02, Seed: 1},
		Trace: trace.Shape{Kind: kind, Length: 24 * time.Hour, Seed: 1, Noise: 0.05},
	}
}

func TestRunComparesInOneWorld(t *testing.T) {
	var told []float64
	q := request("daily")
	q.Progress = func(done float64) { told = append(told, done) }
	a, err := simulate.Run(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, r := range a.Results {
		names = append(names, r.Pilot)
		if r.Ticks != 8640 || r.Trace != "daily" || r.Source == "" || len(r.Series) == 0 {
			t.Errorf("%s: %d ticks of %s from %q", r.Pilot, r.Ticks, r.Trace, r.Source)
		}
		if r.Peak < 2 || r.Peak > 30 {
			t.Errorf("%s left the envelope: %d servers", r.Pilot, r.Peak)
		}
	}
	if got, want := strings.Join(names, " "), "farmhand aws-target aws-step kubernetes-hpa nomad-target scalr-2012 foresight"; got != want {
		t.Errorf("compared were %s", got)
	}
	if a.Target != "1-minute load average 1.4" {
		t.Errorf("target %q", a.Target)
	}
	if n := len(told); n == 0 || told[n-1] < 0.999 {
		t.Errorf("progress was told %d times", n)
	}
	b, err := simulate.Run(t.Context(), request("daily"))
	if err != nil || !reflect.DeepEqual(a, b) {
		t.Errorf("the same request, another report (%v)", err)
	}
	// Alone it is the same as among others: nobody's run touches another's.
	q = request("daily")
	q.Compare = false
	alone, err := simulate.Run(t.Context(), q)
	if err != nil || !reflect.DeepEqual(alone.Results[0], a.Results[0]) {
		t.Errorf("alone Farmhand does otherwise than in company (%v)", err)
	}
}

// Whatever the metric, the target is the same demand for each server.
func TestTargetOfEveryMetricAndKind(t *testing.T) {
	from := func(v float64) *float64 { return &v }
	steps := simulate.Subject{Role: spec.Role{Min: 1, Max: 9}, Policies: []spec.Policy{{
		Metric: &spec.Metric{Kind: spec.CPU},
		Steps:  []spec.Step{{To: from(0.3), Add: -1}, {From: from(0.3), To: from(0.7), Add: 0}, {From: from(0.7), Add: 1}},
	}}}
	steps.SetDefaults()
	schedule := simulate.Subject{Role: spec.Role{Min: 1, Max: 9}, Policies: []spec.Policy{{
		Schedule: &spec.Schedule{Cron: "0 8 * * *", Zone: "UTC", Duration: spec.Duration(time.Hour), Min: func() *int { n := 1; return &n }()},
	}}}
	schedule.SetDefaults()
	threshold := simulate.Subject{Role: spec.Role{Min: 1, Max: 9}, Policies: []spec.Policy{{
		Metric: &spec.Metric{Kind: spec.LoadAverage}, Threshold: &spec.Threshold{Lower: from(0.4), Upper: from(1.5)},
	}}}
	threshold.SetDefaults()
	two := subject(1.4, spec.LoadAverage)
	two.Policies = append(two.Policies, subject(0.5, spec.CPU).Policies...)
	for name, c := range map[string]struct {
		s      simulate.Subject
		target string
		above  float64 // minutes of an hour of 1.3 for one server of 2 cores
	}{
		"load":             {subject(1.4, spec.LoadAverage), "1-minute load average 1.4", 0},
		"lower load":       {subject(1.2, spec.LoadAverage), "1-minute load average 1.2", 60},
		"cpu":              {subject(0.7, spec.CPU), "cpu 0.7", 0},
		"steps":            {steps, "cpu 0.7", 0},
		"schedules":        {schedule, "1-minute load average 2", 0},
		"threshold":        {threshold, "1-minute load average 1.5", 0},
		"the least counts": {two, "cpu 0.5", 60},
	} {
		t.Run(name, func(t *testing.T) {
			c.s.Role.Min, c.s.Role.Max = 1, 1
			r, err := simulate.Run(t.Context(), simulate.Request{Subject: c.s, Trace: trace.Shape{Kind: "flat", Length: time.Hour, Low: 1.3, High: 1.3}})
			if err != nil {
				t.Fatal(err)
			}
			if got := r.Results[0].MinutesAboveTarget; r.Target != c.target || got != c.above {
				t.Errorf("target %s, %v minutes above it; want %s, %v", r.Target, got, c.target, c.above)
			}
		})
	}
}

func TestWhatCannotRun(t *testing.T) {
	for want, change := range map[string]func(*simulate.Request){
		"min 9 is greater than max 3":  func(q *simulate.Request) { q.Role.Min, q.Role.Max = 9, 3 },
		"two policies of the name":     func(q *simulate.Request) { q.Policies = append(q.Policies, q.Policies[0]) },
		"target":                       func(q *simulate.Request) { q.Policies[0].Target = func() *float64 { v := -1.0; return &v }() },
		"memory_free is not simulated": func(q *simulate.Request) { q.Policies[0].Metric.Kind = "memory_free" },
		"tick":                         func(q *simulate.Request) { q.World.Tick = time.Second },
		"zigzag":                       func(q *simulate.Request) { q.Trace = trace.Shape{Kind: "zigzag"} },
	} {
		q := request("flat")
		change(&q)
		if _, err := simulate.Run(t.Context(), q); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
}

func TestReports(t *testing.T) {
	r, err := simulate.Run(t.Context(), request("spike"))
	if err != nil {
		t.Fatal(err)
	}
	var table, chart, grey bytes.Buffer
	if err := report.Table(&table, r); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimRight(table.String(), "\n"), "\n")
	if len(lines) != 8 || !strings.HasPrefix(strings.TrimSpace(lines[0]), "PILOT") || strings.Contains(lines[0], "CRASHES") {
		t.Errorf("the table:\n%s", &table)
	}
	for _, line := range lines {
		if len(line) != len(lines[0]) {
			t.Errorf("the columns do not stand under each other:\n%s", &table)
			break
		}
	}
	for _, c := range []struct {
		b       *bytes.Buffer
		colours bool
	}{{&chart, true}, {&grey, false}} {
		if err := report.Chart(c.b, r.Results[0], 80, c.colours); err != nil {
			t.Fatal(err)
		}
		if strings.Contains(c.b.String(), "\x1b[") != c.colours || !strings.Contains(c.b.String(), "servers in service") {
			t.Errorf("colours %v:\n%s", c.colours, c.b)
		}
	}
	dir := t.TempDir()
	for format, magic := range map[string]string{"svg": "<svg ", "png": "\x89PNG"} {
		path := filepath.Join(dir, "a."+format)
		if err := report.Picture(path, format, r); err != nil {
			t.Fatal(err)
		}
		if b, err := os.ReadFile(path); err != nil || !bytes.HasPrefix(b, []byte(magic)) || len(b) < 2000 {
			t.Errorf("%s: %d bytes, %v", path, len(b), err)
		}
	}
	if err := report.Picture(filepath.Join(dir, "none", "a.svg"), "svg", r); err == nil {
		t.Error("a picture in no folder")
	}
	if md := report.Markdown(r); strings.Count(md, "\n") != 9 || !strings.Contains(md, "| **farmhand** |") {
		t.Error(md)
	}
	b, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	var back simulate.Report
	if err := json.Unmarshal(b, &back); err != nil || !reflect.DeepEqual(back, r) {
		t.Errorf("JSON does not say all of it: %v", err)
	}
}

func TestVerdictNamesEveryRowThatIsLost(t *testing.T) {
	results := func(own, cheap, calm world.Result) simulate.Report {
		own.Pilot, cheap.Pilot, calm.Pilot = simulate.FarmhandName, "cheap", "calm"
		return simulate.Report{Results: []world.Result{own, cheap, calm, {Pilot: "foresight", InstanceHours: 1}}}
	}
	for _, c := range []struct {
		r    simulate.Report
		want []string
	}{
		{results(world.Result{InstanceHours: 109, MinutesAboveTarget: 5}, world.Result{InstanceHours: 100, MinutesAboveTarget: 9}, world.Result{InstanceHours: 150, MinutesAboveTarget: 5}), []string{"Nothing is lost"}},
		{
			results(world.Result{InstanceHours: 120, MinutesAboveTarget: 5}, world.Result{InstanceHours: 100, MinutesAboveTarget: 9}, world.Result{InstanceHours: 150, MinutesAboveTarget: 5}),
			[]string{"Lost: farmhand took 20.0 % more instance-hours than the cheapest, cheap, which was above target for 9.0 minutes."},
		},
		{
			results(world.Result{InstanceHours: 100, MinutesAboveTarget: 5}, world.Result{InstanceHours: 100, MinutesAboveTarget: 9}, world.Result{InstanceHours: 150, MinutesAboveTarget: 3.5}),
			[]string{"calm was above target for 1.5 minutes less, at 50.0 % more instance-hours"},
		},
		{
			results(world.Result{InstanceHours: 200, MinutesAboveTarget: 5}, world.Result{InstanceHours: 100, MinutesAboveTarget: 9}, world.Result{InstanceHours: 160, MinutesAboveTarget: 6}),
			[]string{"25.0 % more instance-hours than the calmest, calm", "100.0 % more instance-hours than the cheapest"},
		},
	} {
		v, ok := report.Judge(c.r)
		for _, want := range c.want {
			if !ok || !strings.Contains(v.String(), want) {
				t.Errorf("%q; want %q", v, want)
			}
		}
	}
	if _, ok := report.Judge(simulate.Report{Results: make([]world.Result, 1)}); ok {
		t.Error("a verdict without anybody to compare with")
	}
}
