package trace

import (
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"time"
)

// Shape is a generator: the same seed gives the same trace, on every machine.
type Shape struct {
	Kind   string
	Seed   uint64
	Start  time.Time     // zero: Monday 2 March 2026, 00:00 UTC
	Length time.Duration // zero: 7 days
	Step   time.Duration // zero: 10 s
	// Low and High are the demand at its quietest and at its highest, apart from noise. Both zero: 2 and 20.
	Low, High float64
	// Noise is the standard deviation of each point, as a share of its value, beside what the shape itself has.
	Noise float64
}

// shapes are the demand between 0 (quietest) and 1 (highest) at a share of the length and a time of day. jitter is a
// source of chance that was seeded for the trace.
var shapes = map[string]func(s *Shape, chance *rand.Rand) func(at time.Duration) float64{
	"flat":        flat,
	"daily":       daily,
	"spike":       spike,
	"step":        step,
	"ramp":        ramp,
	"square":      square,
	"noisy":       noisy,
	"flash-crowd": flashCrowd,
}

// Shapes are the kinds that there are, in the order in which they are shown.
func Shapes() []string {
	return []string{"flat", "daily", "spike", "step", "ramp", "square", "noisy", "flash-crowd"}
}

// Validate tells what is wrong with s, after SetDefaults.
func (s Shape) Validate() error {
	switch {
	case shapes[s.Kind] == nil:
		return fmt.Errorf("there is no shape %q: write one of %s", s.Kind, strings.Join(Shapes(), ", "))
	case s.Step < time.Second || s.Step > time.Hour:
		return fmt.Errorf("points %s apart: between 1s and 1h", s.Step)
	case s.Length < 2*s.Step || s.Length > 10*366*24*time.Hour:
		return fmt.Errorf("%s is no length for a trace with points %s apart: from two of them to ten years", s.Length, s.Step)
	case !(s.Low >= 0) || !(s.High >= s.Low) || math.IsInf(s.High, 0):
		return fmt.Errorf("demand from %v to %v: the first is to be 0 or more, and the second no less", s.Low, s.High)
	case !(s.Noise >= 0) || s.Noise > 1:
		return fmt.Errorf("noise of %v: a share from 0 to 1", s.Noise)
	}
	return nil
}

// SetDefaults fills in what was left out.
func (s *Shape) SetDefaults() {
	if s.Start.IsZero() {
		s.Start = time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)
	}
	if s.Length == 0 {
		s.Length = 7 * 24 * time.Hour
	}
	if s.Step == 0 {
		s.Step = 10 * time.Second
	}
	if s.Low == 0 && s.High == 0 {
		s.Low, s.High = 2, 20
	}
}

// Name is the kind.
func (s Shape) Name() string { return s.Kind }

// Open starts it anew.
func (s Shape) Open() (Reader, error) {
	s.SetDefaults()
	if err := s.Validate(); err != nil {
		return nil, err
	}
	// Two sources: the noise of a point does not move the shape.
	g := &generator{Shape: s, noise: rand.New(rand.NewPCG(s.Seed, 2))}
	g.level = shapes[s.Kind](&g.Shape, rand.New(rand.NewPCG(s.Seed, 1)))
	return g, nil
}

type generator struct {
	Shape
	level func(time.Duration) float64
	noise *rand.Rand
	at    time.Duration
}

func (g *generator) Next() (Point, error) {
	if g.at >= g.Length {
		return Point{}, io.EOF
	}
	v := g.Low + (g.High-g.Low)*g.level(g.at)
	if g.Noise > 0 {
		v *= 1 + g.Noise*g.noise.NormFloat64()
	}
	p := Point{g.Start.Add(g.at), max(0, v)}
	g.at += g.Step
	return p, nil
}

func (g *generator) Done() float64 { return min(1, float64(g.at)/float64(g.Length)) }
func (g *generator) Close() error  { return nil }

const day = 24 * time.Hour

// flat: half way, all the time. Nothing is to be done.
func flat(*Shape, *rand.Rand) func(time.Duration) float64 {
	return func(time.Duration) float64 { return 0.5 }
}

// daily: quiet at four in the morning, high at four in the afternoon, weekends two thirds of it.
func daily(s *Shape, _ *rand.Rand) func(time.Duration) float64 {
	return func(at time.Duration) float64 {
		t := s.Start.Add(at)
		hour := float64(t.Hour()) + float64(t.Minute())/60 + float64(t.Second())/3600
		v := 0.5 - 0.5*math.Cos(2*math.Pi*(hour-4)/24)
		if w := t.Weekday(); w == time.Saturday || w == time.Sunday {
			v *= 2.0 / 3
		}
		return v
	}
}

// spike: quiet, and for five minutes at a time everything, three times a day on average.
func spike(s *Shape, chance *rand.Rand) func(time.Duration) float64 {
	const length = 5 * time.Minute
	starts := moments(s.Length, 3, length, chance)
	return func(at time.Duration) float64 {
		i, _ := slices.BinarySearch(starts, at+1)
		if i > 0 && at < starts[i-1]+length {
			return 1
		}
		return 0.1
	}
}

// step: one rise from low to high at a third of the time, and back at two thirds.
func step(s *Shape, _ *rand.Rand) func(time.Duration) float64 {
	return func(at time.Duration) float64 {
		if x := float64(at) / float64(s.Length); x >= 1.0/3 && x < 2.0/3 {
			return 1
		}
		return 0
	}
}

// ramp: up in a straight line over four hours, four hours high, four hours down, twelve hours low, every day.
func ramp(*Shape, *rand.Rand) func(time.Duration) float64 {
	return func(at time.Duration) float64 {
		h := (at % day).Hours()
		switch {
		case h < 6:
			return 0
		case h < 10:
			return (h - 6) / 4
		case h < 14:
			return 1
		case h < 18:
			return 1 - (h-14)/4
		}
		return 0
	}
}

// square: twenty minutes high and twenty low, in turn: what makes a controller with a delay swing.
func square(*Shape, *rand.Rand) func(time.Duration) float64 {
	return func(at time.Duration) float64 {
		if (at/(20*time.Minute))%2 == 1 {
			return 0.8
		}
		return 0.3
	}
}

// noisy: half way, with a slow random walk of fifteen minutes' memory and twenty per cent of white noise on top.
func noisy(s *Shape, chance *rand.Rand) func(time.Duration) float64 {
	keep := math.Exp(-s.Step.Seconds() / (15 * 60))
	kick := 0.12 * math.Sqrt(1-keep*keep)
	walk := 0.0
	return func(time.Duration) float64 {
		walk = walk*keep + kick*chance.NormFloat64()
		return max(0, 0.5+walk+0.1*chance.NormFloat64())
	}
}

// flashCrowd: a link goes round. Once a day and a half, demand rises within three minutes to everything and dies away
// with a half-life of forty minutes, on a quiet daily rhythm.
func flashCrowd(s *Shape, chance *rand.Rand) func(time.Duration) float64 {
	const rise, half = 3 * time.Minute, 40 * time.Minute
	starts := moments(s.Length, 2.0/3, 8*half, chance)
	rhythm := daily(s, chance)
	return func(at time.Duration) float64 {
		v := 0.05 + 0.2*rhythm(at)
		i, _ := slices.BinarySearch(starts, at+1)
		if i == 0 {
			return v
		}
		since := at - starts[i-1]
		crowd := min(1, float64(since)/float64(rise))
		if since > rise {
			crowd = math.Exp2(-float64(since-rise) / float64(half))
		}
		return max(v, v+(1-v)*crowd)
	}
}

// moments are random times, perDay on average, at least apart from each other.
func moments(length time.Duration, perDay float64, apart time.Duration, chance *rand.Rand) []time.Duration {
	var all []time.Duration
	mean := float64(day) / perDay
	for at := time.Duration(0); ; {
		at += apart + time.Duration(chance.ExpFloat64()*max(0, mean-float64(apart)))
		if at >= length {
			if len(all) == 0 { // a short trace shows one all the same
				all = append(all, length/3)
			}
			return all
		}
		all = append(all, at)
	}
}
