package engine_test

import (
	"math"
	"testing"
	"time"

	"github.com/farmhand/terraform-provider-farmhand/internal/engine"
	"github.com/farmhand/terraform-provider-farmhand/internal/metric"
	"github.com/farmhand/terraform-provider-farmhand/internal/spec"
	"github.com/farmhand/terraform-provider-farmhand/internal/state"
)

// point is a measurement, stamped so long before now.
type point struct {
	ago   time.Duration
	value float64
}

// defects are the ways in which measurements can be bad. Each makes of good ones what is reported, where bad is what
// somebody would like the engine to believe.
var defects = map[string]func(good []point, bad float64) []point{
	"missing": func([]point, float64) []point { return nil },
	"stale": func(good []point, bad float64) []point {
		var old []point
		for _, p := range good {
			old = append(old, point{p.ago + 10*time.Minute, bad})
		}
		return old
	},
	"NaN":      func(good []point, _ float64) []point { return all(good, math.NaN()) },
	"infinite": func(good []point, _ float64) []point { return all(good, math.Inf(1)) },
	"negative": func(good []point, _ float64) []point { return all(good, -1) },
	"jump":     func(good []point, bad float64) []point { return append(good[:2:2], point{good[2].ago, bad}) },
	"future": func(good []point, bad float64) []point {
		return append(good[:3:3], point{-time.Minute, bad}, point{-2 * time.Minute, bad})
	},
	"all in future": func(good []point, bad float64) []point {
		return []point{{-time.Minute, bad}, {-2 * time.Minute, bad}, {-3 * time.Minute, bad}}
	},
	"duplicate": func(good []point, bad float64) []point {
		return append(good[:2:2], point{good[2].ago, bad}, point{good[2].ago, bad}, point{good[2].ago, bad})
	},
	"disorder": func(good []point, bad float64) []point { return []point{{good[2].ago, bad}, good[1], good[0]} },
}

func all(good []point, v float64) []point {
	var bad []point
	for _, p := range good {
		bad = append(bad, point{p.ago, v})
	}
	return bad
}

// kindsUnderTest vote at a level of 1 on each of four servers for no change, at 0 for fewer and at 9 for more.
func kindsUnderTest() map[string]spec.Policy {
	one, low, high := 1.0, 0.5, 2.0
	load := func() *spec.Metric { return &spec.Metric{Kind: spec.LoadAverage} }
	kinds := map[string]spec.Policy{
		spec.KindTarget:    {Metric: load(), Target: &one},
		spec.KindStep:      {Metric: load(), Steps: []spec.Step{{To: &low, Add: -1}, {From: &low, To: &high}, {From: &high, Add: 1}}},
		spec.KindThreshold: {Metric: load(), Threshold: &spec.Threshold{Lower: &low, Upper: &high}},
		spec.KindQueue:     {Metric: &spec.Metric{Kind: spec.HTTPValue, HTTP: &spec.HTTPMetric{URL: "http://jobs/"}}, Queue: &spec.Queue{Backlog: 1}},
	}
	for name, p := range kinds {
		p.Farm, p.Role, p.Name = "shop", "web", name
		p.SetDefaults()
		kinds[name] = p
	}
	return kinds
}

// measuredFrom is a role of four servers whose measurements are these; server 1 alone, or all of them, report what the
// defect makes of theirs. Everything else is as if the role had long wanted what the level says.
func measuredFrom(p spec.Policy, level, bad float64, defect func([]point, float64) []point, everywhere bool) engine.View {
	v := quiet(4, engine.Policy{Spec: p})
	role := &v.Roles[0]
	long := start.Add(-20 * time.Minute)
	for _, of := range []string{state.Out, state.In} {
		role.Memory.Spells = append(role.Memory.Spells, state.Spell{Policy: p.Name, Of: of, Since: long, Seen: start.Add(-2 * time.Second)})
	}
	points := func(level float64, broken bool) []point {
		good := []point{{5 * time.Second, level}, {3 * time.Second, level}, {time.Second, level}}
		if broken {
			return defect(good, bad)
		}
		return good
	}
	in := metric.Input{Now: start, Policy: p}
	for i := range role.Instances {
		r := role.Instances[i].Report
		r.Samples = nil
		for _, s := range points(level, defect != nil && (everywhere || i == 0)) {
			r.Samples = append(r.Samples, state.Sample{At: start.Add(-s.ago), Load1: s.value})
		}
	}
	in.Instances = role.Instances
	in.Series = state.Series{Key: p.Metric.Key()}
	bad *= 4 // the queue is the whole role's
	for _, s := range points(4*level, defect != nil) {
		in.Series.Points = append(in.Series.Points, state.Point{At: start.Add(-s.ago), Value: s.value})
	}
	role.Policies[0].Measure = metric.Of(in)
	return v
}

// TestBadMeasurements: every defect, on one server and on all, for every kind of policy, feigning little load and much.
// None of them ever lowers the capacity, none of them adds to it, and none keeps another policy from adding.
func TestBadMeasurements(t *testing.T) {
	for kind, p := range kindsUnderTest() {
		for _, c := range []struct {
			level float64
			want  int
		}{{1, 4}, {0, 3}, {9, 5}} {
			if a := engine.Decide(measuredFrom(p, c.level, 0, nil, false)).Accounts["web"]; c.want > 4 && a.Desired <= 4 || c.want <= 4 && a.Desired != c.want {
				t.Fatalf("%s at %v, measured well: %s", kind, c.level, accountWords(a))
			}
		}
		for name, defect := range defects {
			for _, everywhere := range []bool{false, true} {
				for direction, bad := range map[string]float64{"in": 0, "out": 1000} {
					where := "one server's"
					if everywhere {
						where = "all servers'"
					}
					t.Run(kind+" "+name+" "+direction+" "+where, func(t *testing.T) {
						v := measuredFrom(p, 1, bad, defect, everywhere)
						if a := engine.Decide(v).Accounts["web"]; a.Desired != 4 {
							t.Errorf("%s measurements move it to %d: %s", name, a.Desired, accountWords(a))
						}
						// Another policy has good measurements, and too much load.
						v.Roles[0].Policies = append(v.Roles[0].Policies, targetOf(1.5, 0.1, measured(4, 3)))
						v.Roles[0].Policies[1].Spec.Name = "other"
						if a := engine.Decide(v).Accounts["web"]; a.Desired != 8 {
							t.Errorf("another policy is kept from adding: %s", accountWords(a))
						}
						// And one that would remove does not get its way against what is not known whole.
						v.Roles[0].Policies[1].Measure = measured(4, 0.1)
						if a := engine.Decide(v).Accounts["web"]; a.Desired < 4 {
							t.Errorf("another policy removes, though this one's measurements are %s: %s", name, accountWords(a))
						}
					})
				}
			}
		}
	}
}

// TestPartialMeasurements: servers that say nothing while the others have nothing to do.
func TestPartialMeasurements(t *testing.T) {
	for kind, p := range kindsUnderTest() {
		if p.Queue != nil {
			continue // is asked of nobody in particular
		}
		for _, name := range []string{"missing", "stale", "NaN", "infinite", "negative", "all in future"} {
			if a := engine.Decide(measuredFrom(p, 0, 0, defects[name], false)).Accounts["web"]; a.Desired != 4 {
				t.Errorf("%s: with one server's measurements %s: %s", kind, name, accountWords(a))
			}
			if a := engine.Decide(measuredFrom(p, 9, 0, defects[name], false)).Accounts["web"]; a.Desired <= 4 {
				t.Errorf("%s: with one server's measurements %s and much load on the others: %s", kind, name, accountWords(a))
			}
		}
	}
}

// TestSpells: what has to last is not taken for having lasted by who did not see it.
func TestSpells(t *testing.T) {
	p := kindsUnderTest()[spec.KindThreshold]
	for name, c := range map[string]struct {
		since, seen time.Duration // ago
		grows       bool
	}{
		"seen all the while":        {3 * time.Minute, 2 * time.Second, true},
		"a few ticks missed":        {3 * time.Minute, 25 * time.Second, true},
		"the sidecar was away":      {3 * time.Minute, time.Minute, false},
		"not for long enough":       {time.Minute, 2 * time.Second, false},
		"by a clock that was ahead": {3 * time.Minute, -time.Minute, false},
	} {
		v := measuredFrom(p, 9, 0, nil, false)
		v.Roles[0].Memory.Spells = []state.Spell{{Policy: p.Name, Of: state.Out, Since: start.Add(-c.since), Seen: start.Add(-c.seen)}}
		if a := engine.Decide(v).Accounts["web"]; (a.Desired > 4) != c.grows {
			t.Errorf("%s: %s", name, accountWords(a))
		}
	}
}
