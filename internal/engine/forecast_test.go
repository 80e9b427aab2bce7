package engine_test

import (
	"encoding/json"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/farmhand/terraform-provider-farmhand/internal/engine"
	"github.com/farmhand/terraform-provider-farmhand/internal/spec"
	"github.com/farmhand/terraform-provider-farmhand/internal/state"
)

// student is a role of one server whose load follows a shape, and a forecast that learns it every five minutes.
type student struct {
	view    engine.View
	history *state.History
}

func newStudent(at time.Time, zone string) *student {
	p := spec.Policy{Farm: "shop", Role: "web", Metric: &spec.Metric{Kind: spec.LoadAverage}, Forecast: &spec.Forecast{Target: 1, Zone: zone}}
	p.SetDefaults()
	v := quiet(1, engine.Policy{Spec: p})
	v.Now = at
	v.Roles[0].Memory.Boots = []spec.Duration{spec.Duration(2 * time.Minute), spec.Duration(4*time.Minute + 30*time.Second)}
	return &student{view: v}
}

// account is what the engine makes of the load now; the student learns it.
func (s *student) account(load float64) engine.Account {
	r := &s.view.Roles[0]
	r.Policies[0].Measure, r.Policies[0].History = measured(1, load), s.history
	in := &r.Instances[0]
	in.Report.At = s.view.Now
	out := engine.Decide(s.view)
	h := out.Histories["web"]["forecast"]
	s.history = &h
	r.Memory = out.Memory["web"]
	return out.Accounts["web"]
}

// learn lets days go by.
func (s *student) learn(d time.Duration, load func(time.Time) float64) {
	for end := s.view.Now.Add(d); s.view.Now.Before(end); s.view.Now = s.view.Now.Add(5 * time.Minute) {
		s.account(load(s.view.Now))
	}
}

// office is a load of 8 from 8 to 18 o'clock in Berlin on working days, and of 1 else.
func office(at time.Time) float64 {
	zone, _ := time.LoadLocation("Europe/Berlin")
	t := at.In(zone)
	if t.Weekday() != time.Saturday && t.Weekday() != time.Sunday && t.Hour() >= 8 && t.Hour() < 18 {
		return 8
	}
	return 1
}

// TestForecastLearns: it abstains and says why, until it knows, and then is ahead by the boot.
func TestForecastLearns(t *testing.T) {
	began := time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC) // a Monday
	s := newStudent(began, "Europe/Berlin")
	vote := func(a engine.Account) engine.Vote { return a.Votes[0] }
	for _, c := range []struct {
		learnt time.Duration
		says   string
	}{
		{0, "has learnt nothing yet"},
		{20 * time.Hour, "does not know this time of the day yet"},
		{50 * time.Hour, "is heeded when 6h of it have come true or not"},
	} {
		s.learn(began.Add(c.learnt).Sub(s.view.Now), office)
		a := s.account(office(s.view.Now))
		if v := vote(a); !v.Abstain || !strings.Contains(v.Reason, c.says) || a.Min != 1 {
			t.Errorf("after %s, min %d: %+v, want it to say %q", c.learnt, a.Min, v, c.says)
		}
	}
	// Two weeks later it knows weekends from working days.
	s.learn(time.Date(2026, 3, 20, 6, 40, 0, 0, time.UTC).Sub(s.view.Now), office) // Friday, 7:40 in Berlin
	for _, c := range []struct {
		at  string
		min int
	}{
		{"2026-03-20T06:40:00Z", 1},
		{"2026-03-20T06:56:00Z", 8}, // 7:56, five minutes before: the boots' 95th percentile and the margin
		{"2026-03-20T12:00:00Z", 8},
		{"2026-03-20T20:00:00Z", 1},
		{"2026-03-21T07:30:00Z", 1}, // Saturday
		{"2026-03-23T06:56:00Z", 8}, // Monday
		{"2026-03-30T05:56:00Z", 8}, // Monday after the clocks went forward: 7:56 again
	} {
		at, err := time.Parse(time.RFC3339, c.at)
		if err != nil {
			t.Fatal(err)
		}
		s.learn(at.Sub(s.view.Now), office)
		s.view.Now = at
		a := s.account(office(at))
		if diff := a.Min - c.min; diff > 1 || diff < -1 || (c.min == 1 && a.Min > 4) {
			t.Errorf("at %s the floor is %d, want about %d: %s", c.at, a.Min, c.min, vote(a).Reason)
		}
	}
	b, err := json.Marshal(s.history)
	if err != nil {
		t.Fatal(err)
	}
	if len(b) > 16<<10 {
		t.Errorf("what was learnt takes %d bytes", len(b))
	}
	t.Logf("%d bytes; %s", len(b), vote(s.account(8)).Reason)
}

// TestForecastOfNoShape: what it cannot foresee, it does not.
func TestForecastOfNoShape(t *testing.T) {
	s := newStudent(time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC), "UTC")
	// Up and down by hashes of the time: no day is like another.
	noise := func(at time.Time) float64 {
		x := math.Sin(float64(at.Unix()/int64(15*60))*12.9898) * 43758.5453
		return 20 * math.Pow(x-math.Floor(x), 6)
	}
	s.learn(6*24*time.Hour, noise)
	a := s.account(noise(s.view.Now))
	if v := a.Votes[0]; !v.Abstain || !strings.Contains(v.Reason, "no shape that it knows") || a.Min != 1 {
		t.Errorf("min %d: %+v", a.Min, v)
	}
}

// TestForecastUnmeasured: what was not measured whole is not learnt as little load, and the floor stays.
func TestForecastUnmeasured(t *testing.T) {
	s := newStudent(time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC), "Europe/Berlin")
	s.learn(9*24*time.Hour, office)
	s.view.Now = time.Date(2026, 3, 11, 10, 0, 0, 0, time.UTC) // Wednesday
	before := *s.history
	for name, m := range map[string]engine.Measure{
		"lost":     {Problem: "nothing is known"},
		"partial":  {Value: 0, Samples: 3, Servers: 1, Expected: 2},
		"too few":  {Value: 0, Samples: 1, Servers: 1, Expected: 1},
		"NaN":      {Value: math.NaN(), Samples: 3, Servers: 1, Expected: 1},
		"negative": {Value: -3, Samples: 3, Servers: 1, Expected: 1},
	} {
		r := &s.view.Roles[0]
		r.Policies[0].Measure, r.Policies[0].History = m, &before
		out := engine.Decide(s.view)
		if h := out.Histories["web"]["forecast"]; h.Open.N != before.Open.N || !h.Closed.Equal(before.Closed) {
			t.Errorf("%s: was learnt", name)
		}
		if a := out.Accounts["web"]; a.Min < 7 {
			t.Errorf("%s: the floor is %d: %s", name, a.Min, a.Votes[0].Reason)
		}
	}
}

// TestForecastOfSomethingElse: what was learnt of another metric, or is damaged, is not believed.
func TestForecastOfSomethingElse(t *testing.T) {
	for name, h := range map[string]*state.History{
		"another metric": {Of: "cpu", Zone: "Europe/Berlin", Level: 1, Tried: 1000},
		"cut off":        {Of: (spec.Metric{Kind: spec.LoadAverage, Minutes: 1, Window: spec.DefaultWindow}).Key(), Zone: "Europe/Berlin", Day: make([]float32, 3), Tried: 1000},
	} {
		s := newStudent(start, "Europe/Berlin")
		s.history = h
		if v := s.account(3).Votes[0]; !v.Abstain || !strings.Contains(v.Reason, "nothing yet") {
			t.Errorf("%s: %+v", name, v)
		}
		if s.history.Open.N != 1 || s.history.Of == "cpu" {
			t.Errorf("%s: it did not begin anew: %+v", name, s.history.Open)
		}
	}
}
