package world

import (
	"cmp"
	"slices"
	"time"
)

// Sight is what an algorithm that chooses a number rests on.
type Sight struct {
	Now      time.Time
	Desired  int // chosen before
	Serving  int // in service
	Coming   int // launched and not yet in service: warming up, not ready, pending
	Min, Max int
	Target   float64 // of the metric
	// Load is the mean one-minute load average over the servers in service, for a rule that knows no other metric, and
	// TargetLoad what it is where the metric is at its target.
	Load, TargetLoad float64
	// Known and Latest are the mean over the servers in service of the newest sample; Minutes those of whole minutes,
	// newest last, and Minute how many there have been: it moves when there is a new one.
	Known   bool
	Latest  float64
	Minutes []float64
	Minute  int
	// Whole is how many were in service for the whole of the newest minute: that is whom it speaks of.
	Whole int
}

// Algorithm chooses a number of servers. It may remember; for one goroutine.
type Algorithm interface {
	// Desired is asked at every tick. What is outside of the envelope is brought into it.
	Desired(Sight) int
}

// Numbers is the pilot around an Algorithm. It is generous: whatever fails is replaced at the next tick, and
// measurements arrive at once. Those coming up go first when there are too many, then the newest.
type Numbers struct {
	Algorithm
	Envelope
	Target float64

	desired  int
	leaving  map[*Server]time.Time // since when
	failures int
}

// Start takes over what is there.
func (p *Numbers) Start(w *World) { p.desired, p.leaving = len(w.Servers), map[*Server]time.Time{} }

// Failures counts launches that did not come up.
func (p *Numbers) Failures() int { return p.failures }

// Tick puts into service what is up, asks for the number, and brings the world to it.
func (p *Numbers) Tick(w *World) int {
	coming := 0
	for _, s := range slices.Clone(w.Servers) {
		since, leaves := p.leaving[s]
		switch {
		case s.Failed(w.Now), leaves && w.Now.Sub(since) >= p.Drain:
			if s.Doomed {
				p.failures++
			}
			delete(p.leaving, s)
			w.End(s)
		case leaves:
		case s.Up(w.Now):
			w.Serve(s, true)
		default:
			coming++
		}
	}
	see := Sight{
		Now: w.Now, Desired: p.desired, Serving: w.Serving(), Coming: coming, Min: p.Min, Max: p.Max, Target: p.Target,
		Load: w.Load, TargetLoad: p.Line / w.Capacity * w.Cores,
		Known: w.Known, Latest: w.Latest, Minutes: w.Minutes, Minute: w.Minute, Whole: min(w.Whole, w.Serving()),
	}
	p.desired = min(max(p.Desired(see), p.Min), p.Max)

	for have := see.Serving + coming; have < p.desired; have++ {
		w.Launch()
	}
	if over := see.Serving + coming - p.desired; over > 0 {
		for _, s := range p.victims(w)[:over] {
			if !s.Serving {
				w.End(s)
				continue
			}
			w.Serve(s, false)
			p.leaving[s] = w.Now
		}
	}
	return p.desired
}

// victims are who may go, the first to go first.
func (p *Numbers) victims(w *World) []*Server {
	may := slices.DeleteFunc(slices.Clone(w.Servers), func(s *Server) bool { _, leaves := p.leaving[s]; return leaves })
	slices.SortStableFunc(may, func(a, b *Server) int {
		if a.Serving != b.Serving {
			if b.Serving {
				return -1
			}
			return 1
		}
		return cmp.Compare(b.Serial, a.Serial)
	})
	return may
}
