package world

import (
	"time"

	"github.com/farmhand/terraform-provider-farmhand/internal/spec"
)

// World is what a Pilot sees and acts on. Servers are in order of launch.
type World struct {
	Options
	Now     time.Time
	Servers []*Server
	// Line is the demand that one server bears at the target; see Envelope.Line.
	Line float64
	// Metric is what pilots other than Farmhand look at: Metric.Kind of the servers' samples.
	Metric spec.Metric

	// Backlog is the demand that nobody had the capacity for and that still waits, times seconds. Queues keep it; people
	// at a web page do not wait, so that it is no server's load.
	Backlog float64
	moments []moment // the last ones, oldest first

	serial  int
	keep    int  // samples of each server
	remind  int  // moments
	counted bool // servers count requests and workers
	// Known and Latest are the mean over who serves of the newest sample; Minutes those of whole minutes, newest last.
	Known   bool
	Latest  float64
	Load    float64 // the same of the one-minute load average, whatever the metric
	Minutes []float64
	Minute  int // how many whole minutes there have been
	Whole   int // who served for the whole of the newest minute
	minute  struct {
		sum   float64
		n     int
		whole int
	}
}

// moment is what there is of demand and backlog at a time.
type moment struct {
	at              time.Time
	demand, backlog float64
}

// Pilot decides how many servers there are, and launches, drains and ends them. For one goroutine.
type Pilot interface {
	// Start is called once, with those servers that the world begins with: they serve, and have for long.
	Start(w *World)
	// Tick is called at every tick, after boots, crashes and samples up to w.Now. It returns the number wanted.
	Tick(w *World) (desired int)
}

// Launch makes a machine. It boots from now on.
func (w *World) Launch() *Server {
	w.serial++
	s := newServer(&w.Options, w.serial, w.Now)
	w.Servers = append(w.Servers, s)
	return s
}

// Serve puts a server that is up into service, or takes it out of it.
func (w *World) Serve(s *Server, serve bool) {
	if serve && !s.Serving {
		s.Since = w.Now
	}
	s.Serving = serve
}

// End ends a machine; it is not paid for any more.
func (w *World) End(s *Server) {
	s.Serving = false
	for i, other := range w.Servers {
		if other == s {
			w.Servers = append(w.Servers[:i], w.Servers[i+1:]...)
			return
		}
	}
}

// Serving counts those in service.
func (w *World) Serving() int {
	n := 0
	for _, s := range w.Servers {
		if s.Serving {
			n++
		}
	}
	return n
}

// crashes lets those whose time has come crash.
func (w *World) crashes() int {
	n := 0
	for _, s := range w.Servers {
		if !s.crash.IsZero() && !s.Crashed && !s.Doomed && !w.Now.Before(s.crash) {
			s.Crashed, s.Serving = true, false
			n++
		}
	}
	return n
}

// bear divides the demand over who serves from w.Now to until, and lets every server that is up measure itself.
func (w *World) bear(demand float64, until time.Time) {
	serving := w.Serving()
	share := 0.0
	if serving > 0 {
		share = demand / float64(serving) / w.Capacity
	}
	for _, s := range w.Servers {
		if !s.Up(w.Now) {
			continue
		}
		busy := 0.0
		if s.Serving {
			busy = share
		}
		for at := w.Now.Add(SampleEvery); !at.After(until); at = at.Add(SampleEvery) {
			s.work(&w.Options, busy, at, w.keep, w.counted)
		}
	}
	for at := w.Now.Add(SampleEvery); !at.After(until); at = at.Add(SampleEvery) {
		w.Backlog = max(0, w.Backlog+(demand-float64(serving)*w.Capacity)*SampleEvery.Seconds())
		w.note(at, demand)
	}
}

// note remembers a moment, where somebody looks at them.
func (w *World) note(at time.Time, demand float64) {
	if w.remind == 0 {
		return
	}
	if len(w.moments) == 2*w.remind {
		w.moments = w.moments[:copy(w.moments, w.moments[w.remind:])]
	}
	w.moments = append(w.moments, moment{at, demand, w.Backlog})
}

// measure takes the mean over who serves, for the pilots that look at nothing else.
func (w *World) measure(began time.Time) {
	sum, load, n := 0.0, 0.0, 0
	for _, s := range w.Servers {
		if k := len(s.samples); s.Serving && k > 0 {
			sum += w.value(s)
			load += s.samples[k-1].Load1
			n++
		}
	}
	if w.minute.n == 0 || n < w.minute.whole {
		w.minute.whole = n
	}
	if w.Known = n > 0; w.Known {
		w.Latest, w.Load = sum/float64(n), load/float64(n)
		w.minute.sum += w.Latest
		w.minute.n++
	}
	if minute := int(w.Now.Sub(began) / time.Minute); minute > w.Minute {
		w.Minute, w.Whole = minute, w.minute.whole
		if w.minute.n > 0 {
			w.Minutes = append(w.Minutes, w.minute.sum/float64(w.minute.n))
		}
		w.minute.sum, w.minute.n = 0, 0
		if len(w.Minutes) > minutesKept {
			w.Minutes = w.Minutes[:copy(w.Minutes, w.Minutes[len(w.Minutes)-minutesKept:])]
		}
	}
}

// minutesKept: no rule that is compared looks back further.
const minutesKept = 60

func (w *World) value(s *Server) float64 {
	sample := s.samples[len(s.samples)-1]
	switch {
	case w.Metric.Kind == spec.CPU, w.Metric.Kind == spec.BusyWorkers:
		return sample.CPU
	case w.Metric.Kind != spec.LoadAverage:
		return s.bears
	}
	switch w.Metric.Minutes {
	case 5:
		return sample.Load5
	case 15:
		return sample.Load15
	}
	return sample.Load1
}
