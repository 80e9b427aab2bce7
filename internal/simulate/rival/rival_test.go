package rival

import (
	"testing"
	"time"

	"github.com/farmhand/terraform-provider-farmhand/internal/simulate/trace"
	"github.com/farmhand/terraform-provider-farmhand/internal/simulate/world"
)

var start = time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)

// see is one tick: what is seen and what is to be decided.
type see struct {
	at   time.Duration
	s    world.Sight
	want int
}

// play asks an algorithm tick by tick. Each decision is what the next tick finds as desired.
func play(t *testing.T, a world.Algorithm, ticks []see) {
	t.Helper()
	for i, tick := range ticks {
		s := tick.s
		s.Now = start.Add(tick.at)
		if s.Max == 0 {
			s.Max = 100
		}
		if i > 0 && s.Desired == 0 {
			s.Desired = ticks[i-1].want
		}
		got := a.Desired(s)
		got = min(max(got, s.Min), s.Max)
		if got != tick.want {
			t.Fatalf("tick %d at %s: %d servers wanted, not %d; seen %+v", i+1, tick.at, got, tick.want, s)
		}
	}
}

func minutes(values ...float64) []float64 { return values }

func repeated(v float64, n int) []float64 {
	m := make([]float64, n)
	for i := range m {
		m[i] = v
	}
	return m
}

func TestAWSTargetTracking(t *testing.T) {
	at := func(m []float64, serving, coming, desired, want int) see {
		return see{s: world.Sight{Desired: desired, Serving: serving, Whole: serving, Coming: coming, Target: 50, Minutes: m, Minute: len(m)}, want: want}
	}
	for name, c := range map[string]see{
		"two minutes high are not enough":             at(minutes(40, 80, 80), 4, 0, 4, 4),
		"three are, and the number is rounded up":     at(minutes(80, 80, 80), 4, 0, 4, 7), // 6.4
		"one in between begins anew":                  at(minutes(80, 50, 80, 80), 4, 0, 4, 4),
		"those that warm up are asked for already":    at(minutes(80, 80, 80), 4, 3, 7, 7),
		"a higher metric asks for the difference":     at(minutes(80, 80, 100), 4, 3, 7, 8),
		"fourteen minutes low are not enough":         at(repeated(20, 14), 4, 0, 4, 4),
		"fifteen are; 1.5 to remove become 1":         at(repeated(31.25, 15), 4, 0, 4, 3), // 2.5 would do
		"between 90 % and the target nothing happens": at(repeated(46, 15), 4, 0, 4, 4),
		"nothing is removed during a scale-out":       at(repeated(20, 15), 4, 1, 5, 5),
		"no data, no change":                          at(nil, 4, 0, 4, 4),
	} {
		t.Run(name, func(t *testing.T) { play(t, &awsTarget{}, []see{c}) })
	}
}

// The walk-through of the user guide: ten servers, bands of +10 % and +30 %.
func TestAWSStepAsInTheUserGuide(t *testing.T) {
	at := func(m []float64, whole, coming, desired, want int) see {
		return see{s: world.Sight{Desired: desired, Serving: whole, Whole: whole, Coming: coming, Target: 50, Minutes: m, Minute: len(m)}, want: want}
	}
	for name, c := range map[string]see{
		"at 60, ten become eleven":                            at(minutes(60, 60), 10, 0, 10, 11),
		"still 60 while the eleventh warms up: nothing":       at(minutes(60, 60, 62), 10, 1, 11, 11),
		"at 70 then three are wanted, of which one is coming": at(minutes(60, 60, 70), 10, 1, 11, 13),
		"between 50 and 60 nothing is added":                  at(minutes(55, 55), 10, 0, 10, 10),
		"at 40, one of ten goes":                              at(minutes(40, 40), 10, 0, 10, 9),
		"at 30, three of ten go":                              at(minutes(30, 30), 10, 0, 10, 7),
		"between 40 and 50 none goes":                         at(minutes(45, 45), 10, 0, 10, 10),
		"none goes while one warms up":                        at(minutes(30, 30), 10, 1, 11, 11),
		"one minute is no breach":                             at(minutes(49, 90), 10, 0, 10, 10),
	} {
		t.Run(name, func(t *testing.T) { play(t, &awsStep{}, []see{c}) })
	}
}

func TestPercentChangeRounds(t *testing.T) {
	for x, want := range map[float64]int{12.7: 12, 1.5: 1, 0.67: 1, 0: 0, -0.58: -1, -6.67: -6, 3: 3} { // the user guide's own examples
		if got := percentChange(x); got != want {
			t.Errorf("%v is %d, not %d", x, got, want)
		}
	}
}

func TestKubernetes(t *testing.T) {
	sight := func(latest float64, serving, coming int) world.Sight {
		return world.Sight{Known: true, Latest: latest, Serving: serving, Coming: coming, Target: 100, Min: 1}
	}
	first := func(s world.Sight, desired int) world.Sight { s.Desired = desired; return s }
	t.Run("200m where 100m is wanted doubles", func(t *testing.T) { // the documentation's example
		play(t, &kubernetes{}, []see{{0, first(sight(200, 3, 0), 3), 6}})
	})
	t.Run("within the tolerance nothing happens", func(t *testing.T) {
		play(t, &kubernetes{}, []see{{0, first(sight(109, 3, 0), 3), 3}, {15 * time.Second, sight(91, 3, 0), 3}})
	})
	t.Run("50m halves, after five minutes of it", func(t *testing.T) {
		k := &kubernetes{}
		play(t, k, []see{{0, first(sight(100, 6, 0), 6), 6}})
		for at := 15 * time.Second; at < 300*time.Second; at += 15 * time.Second {
			play(t, k, []see{{at, first(sight(50, 6, 0), 6), 6}})
		}
		play(t, k, []see{{300 * time.Second, first(sight(50, 6, 0), 6), 3}})
	})
	t.Run("at most four more or twice as many in 15 s", func(t *testing.T) {
		play(t, &kubernetes{}, []see{{0, first(sight(5000, 1, 0), 1), 5}})
		play(t, &kubernetes{}, []see{{0, first(sight(5000, 10, 0), 10), 20}})
	})
	t.Run("pods that are not ready count as idle", func(t *testing.T) {
		// 3 ready at 200 and 3 not: 600 over 6 is the target.
		play(t, &kubernetes{}, []see{{0, first(sight(200, 3, 3), 6), 6}})
		// 3 ready at 300 and 3 not: 900 over 6 is half more.
		play(t, &kubernetes{}, []see{{0, first(sight(300, 3, 3), 6), 9}})
	})
	t.Run("asked every 15 s only", func(t *testing.T) {
		play(t, &kubernetes{}, []see{{0, first(sight(100, 3, 0), 3), 3}, {10 * time.Second, sight(200, 3, 0), 3}, {20 * time.Second, sight(200, 3, 0), 6}})
	})
	t.Run("without a metric nothing happens", func(t *testing.T) {
		s := first(sight(0, 3, 0), 3)
		s.Known = false
		play(t, &kubernetes{}, []see{{0, s, 3}})
	})
}

func TestNomad(t *testing.T) {
	sight := func(latest float64, desired int) world.Sight {
		return world.Sight{Known: true, Latest: latest, Desired: desired, Serving: desired, Target: 20, Min: 1}
	}
	for name, ticks := range map[string][]see{
		"the last sample decides, rounded up": {{0, sight(30, 3), 5}}, // 4.5
		"within one per cent nothing happens": {{0, sight(20.1, 3), 3}},
		"down as fast as up":                  {{0, sight(2, 10), 1}},
		"nothing during the cooldown":         {{0, sight(30, 3), 5}, {time.Minute, sight(60, 5), 5}, {5 * time.Minute, sight(60, 5), 15}},
	} {
		t.Run(name, func(t *testing.T) { play(t, &nomad{}, ticks) })
	}
}

func TestScalr(t *testing.T) {
	sight := func(latest float64, serving, coming int) world.Sight {
		return world.Sight{Known: true, Latest: 0.5, Load: latest, Desired: serving + coming, Serving: serving, Coming: coming, Target: 0.7, TargetLoad: 3.5, Min: 1, Max: 30}
	}
	for name, ticks := range map[string][]see{
		"between 2 and 5 nothing happens":      {{0, sight(4.9, 3, 0), 3}, {time.Minute, sight(2.1, 3, 0), 3}},
		"above 5 ten are launched in one pass": {{0, sight(5.1, 3, 0), 13}},
		"and no more than the maximum":         {{0, sight(5.1, 25, 0), 30}},
		"those pending do not stop it":         {{0, sight(5.1, 3, 10), 23}},
		"below 2 one goes":                     {{0, sight(1, 9, 0), 8}},
		"one pass a minute":                    {{0, sight(1, 9, 0), 8}, {30 * time.Second, sight(1, 8, 0), 8}, {time.Minute, sight(1, 8, 0), 7}},
		"never below the minimum":              {{0, sight(1, 1, 0), 1}},
	} {
		t.Run(name, func(t *testing.T) { play(t, &scalr{}, ticks) })
	}
}

// Nothing that stays above target for no time can take fewer hours, and the bound is never above target.
func TestForesightIsNeverAboveTarget(t *testing.T) {
	envelope := world.Envelope{Min: 1, Max: 40, Line: 1.4, Drain: 10 * time.Second}
	options := world.Options{BootTime: 2 * time.Minute, BootJitter: 0.2, Seed: 7}
	for _, kind := range trace.Shapes() {
		t.Run(kind, func(t *testing.T) {
			source := trace.Shape{Kind: kind, Seed: 3, Length: 24 * time.Hour, Noise: 0.05}
			a, err := newForesight(envelope, options, source)
			if err != nil {
				t.Fatal(err)
			}
			r, err := world.Run(t.Context(), world.Job{Options: options, Envelope: envelope, Trace: source,
				Pilot: &world.Numbers{Algorithm: a, Envelope: envelope, Target: 1.4}})
			if err != nil {
				t.Fatal(err)
			}
			// Only what is beyond the world's beginning: then nothing was known early enough.
			if r.MinutesAboveTarget > 2.7 {
				t.Errorf("above target for %.1f minutes, far above for %.1f", r.MinutesAboveTarget, r.MinutesFarAboveTarget)
			}
			if e := a.(*foresight).err; e != nil {
				t.Error(e)
			}
		})
	}
}

func TestEveryRivalNamesItsSource(t *testing.T) {
	seen := map[string]bool{}
	for _, r := range All() {
		if r.Name == "" || r.Source == "" || seen[r.Name] {
			t.Errorf("%+v", r)
		}
		seen[r.Name] = true
	}
	if len(seen) != 6 {
		t.Errorf("%d rivals", len(seen))
	}
}
