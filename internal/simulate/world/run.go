package world

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"time"

	"github.com/farmhand/terraform-provider-farmhand/internal/simulate/trace"
	"github.com/farmhand/terraform-provider-farmhand/internal/spec"
)

// Envelope is what every pilot is held to.
type Envelope struct {
	Min, Max int
	// Line is the demand that one server bears at the target, in the trace's unit: above it counts as above target.
	Line   float64
	Metric spec.Metric
	Drain  time.Duration // from leaving service to the end of the machine
}

// Job is one run.
type Job struct {
	Options
	Envelope
	Trace trace.Source
	Pilot Pilot
	// Progress is told the share that is done, now and then; nil: nobody.
	Progress func(done float64)
}

// window is the longest stretch of samples that anybody looks at, and an agent's report holds no more than a minute.
const longestReport = time.Minute

// Run lets the trace go by. The world begins with as many servers as the first demand fills to the target, within the
// envelope; they have served for long. The same job gives the same result.
func Run(ctx context.Context, j Job) (Result, error) {
	j.SetDefaults()
	if err := j.Validate(); err != nil {
		return Result{}, err
	}
	if !(j.Line > 0) {
		return Result{}, errors.New("one server bears nothing at the target: give a target above 0")
	}
	r, err := j.Trace.Open()
	if err != nil {
		return Result{}, err
	}
	feed, err := trace.NewFeed(r)
	if err != nil {
		return Result{}, fmt.Errorf("trace %s: %w", j.Trace.Name(), err)
	}
	defer func() { _ = feed.Close() }()

	began := feed.Start()
	w := &World{Options: j.Options, Now: began, Line: j.Line, Metric: j.Metric}
	w.keep = int(min(longestReport, max(j.Metric.Window.Std(), SampleEvery))/SampleEvery) + 2
	if f, ok := j.Pilot.(*Farmhand); ok {
		w.keep = max(w.keep, f.samples())
		w.remind, w.counted = f.looksAt()
	}
	w.populate(feed.First(), j.Envelope)
	j.Pilot.Start(w)

	m := &meter{wanted: len(w.Servers)}
	m.Trace, m.Start = j.Trace.Name(), began
	for n := 0; ; n++ {
		until := w.Now.Add(j.Tick)
		demand, err := feed.Mean(w.Now, until)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return Result{}, err
		}
		m.Crashes += w.crashes()
		desired := j.Pilot.Tick(w)
		m.tick(w, demand, desired, j.Tick)
		w.bear(demand, until)
		m.MostBacklog = max(m.MostBacklog, w.Backlog)
		w.Now = until
		w.measure(began)
		if n%1024 == 0 {
			if err := ctx.Err(); err != nil {
				return Result{}, err
			}
			if j.Progress != nil {
				j.Progress(feed.Done())
			}
		}
	}
	if f, ok := j.Pilot.(interface{ Failures() int }); ok {
		m.FailedLaunches = f.Failures()
	}
	if j.Progress != nil {
		j.Progress(1)
	}
	return m.result(w.Now), nil
}

// settled is how long the first servers have been there.
const settled = time.Hour

// populate is the world's beginning.
func (w *World) populate(demand float64, e Envelope) {
	n := int(min(max(math.Ceil(demand/e.Line-1e-9), float64(e.Min)), float64(e.Max)))
	now := w.Now
	for range n {
		w.Now = now.Add(-settled)
		s := w.Launch()
		w.Now = now
		s.Ready, s.Doomed = s.Launched, false
		if !s.crash.IsZero() && !s.crash.After(now) {
			s.crash = now.Add(s.crash.Sub(s.Launched))
		}
		s.Serving, s.Since = true, s.Launched
		busy := demand / float64(n) / w.Capacity
		s.settle(&w.Options, busy)
		for k := w.keep - 1; k >= 0; k-- {
			s.work(&w.Options, busy, now.Add(-time.Duration(k)*SampleEvery), w.keep, w.counted)
		}
	}
	for k := w.remind - 1; k >= 0; k-- {
		w.note(now.Add(-time.Duration(k)*SampleEvery), demand)
	}
	w.measure(now)
}
