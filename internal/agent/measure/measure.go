// Package measure takes, on an instance, the measurements that policies ask for besides load and CPU: free memory,
// traffic, what Apache's workers do, the numbers in files and of commands, and, on a balancer, the response times,
// requests and queues of the roles behind it.
//
// Only what the assignment asks for is measured. What cannot be measured is missing, and why is said: no number is
// ever made up. Start at Set; one file for each thing that is looked at.
package measure

import (
	"context"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"sync"
	"time"

	"github.com/farmhand/terraform-provider-farmhand/internal/agent/process"
	"github.com/farmhand/terraform-provider-farmhand/internal/spec"
	"github.com/farmhand/terraform-provider-farmhand/internal/state"
)

const (
	// every is between two rounds: the rhythm of the agent's samples.
	every = 2 * time.Second
	// patience bounds one measurement, but for commands, which have bounds of their own.
	patience = 1500 * time.Millisecond
)

// Options say where things are on the instance.
type Options struct {
	// Root prefixes /proc, /sys and /run; "/" on an instance.
	Root string
	// Container: limits of the instance are those of its cgroup.
	Container bool
	// Run runs commands; its output is not printed.
	Run func(context.Context, process.Command) error
	// Status is the address of Apache's mod_status; empty for that of the apache behavior.
	Status string
	// Socket is haproxy's runtime socket; empty for that of the haproxy behavior.
	Socket string
	// Log is where haproxy logs requests to; empty for LogAddress.
	Log string
}

func (o Options) withDefaults() Options {
	if o.Root == "" {
		o.Root = "/"
	}
	if o.Status == "" {
		o.Status = "http://127.0.0.1:8081/server-status?auto"
	}
	if o.Socket == "" {
		o.Socket = filepath.Join(o.Root, "run/farmhand/haproxy.sock")
	}
	if o.Log == "" {
		o.Log = LogAddress
	}
	return o
}

// meter takes one measurement. It is called by one goroutine at a time.
type meter interface {
	measure(ctx context.Context, now time.Time) (float64, error)
}

// errNotYet is of what is counted: the first look, or the first after the counter was set back, gives no rate. It is
// no trouble worth a word.
var errNotYet = errors.New("counting has begun")

// Set takes the measurements that it was last told to follow. Safe for concurrent use.
type Set struct {
	opts   Options
	apache *apache
	proxy  *proxy

	mu     sync.Mutex
	meters map[string]*entry
}

type entry struct {
	asked   state.Asked
	meter   meter
	busy    bool
	fresh   bool // value has not been taken yet
	value   float64
	problem string
}

// New makes a Set that follows nothing; Run runs it.
func New(o Options) *Set {
	o = o.withDefaults()
	return &Set{opts: o, apache: &apache{url: o.Status}, proxy: &proxy{socket: o.Socket}, meters: map[string]*entry{}}
}

// Follow takes over what is asked now. What was asked before goes on without a break.
func (s *Set) Follow(asked []state.Asked) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := map[string]*entry{}
	for _, a := range asked {
		if e, ok := s.meters[a.Key]; ok {
			e.asked = a
			now[a.Key] = e
			continue
		}
		e := &entry{asked: a}
		if m, err := s.meterOf(a); err != nil {
			e.problem = err.Error()
		} else {
			e.meter = m
		}
		now[a.Key] = e
	}
	s.meters = now
}

func (s *Set) meterOf(a state.Asked) (meter, error) {
	m := a.Metric
	switch {
	case m.Kind == spec.MemoryFree:
		return &memory{root: s.opts.Root, container: s.opts.Container}, nil
	case m.Kind == spec.Bandwidth && m.Bandwidth != nil:
		return &bandwidth{proc: filepath.Join(s.opts.Root, "proc"), outward: m.Bandwidth.Direction == spec.Outward}, nil
	case m.Kind == spec.BusyWorkers:
		return &busyWorkers{of: s.apache}, nil
	case m.Kind == spec.RequestsPerSecond && m.Origin() == spec.OnServer:
		return &serverRequests{of: s.apache}, nil
	case m.Kind == spec.FileValue && m.File != nil:
		return file{filepath.Join(s.opts.Root, m.File.Path)}, nil
	case m.Kind == spec.CommandValue && m.Command != nil:
		return command{run: s.opts.Run, argv: m.Command.Argv, limit: m.Command.Timeout.Std()}, nil
	case m.Kind == spec.RequestsPerSecond:
		return &balancerRequests{of: s.proxy, role: a.Role}, nil
	case m.Kind == spec.QueueDepth:
		return &queueDepth{of: s.proxy, role: a.Role}, nil
	case m.Kind == spec.ResponseTime:
		return newResponseTime(s.proxy, a), nil
	}
	return nil, fmt.Errorf("this agent cannot measure %s; it is older than the declaration", m.Kind)
}

// Run measures until ctx ends.
func (s *Set) Run(ctx context.Context) {
	// Between two samples of the load: a measurement of the same moment would go along with one or with the next.
	select {
	case <-ctx.Done():
		return
	case <-time.After(every / 2):
	}
	tick := time.NewTicker(every)
	defer tick.Stop()
	var log requestLog
	defer log.close()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			s.listen(&log)
			s.round(ctx, now)
		}
	}
}

// listen takes requests logged by haproxy while somebody asks for response times.
func (s *Set) listen(log *requestLog) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var times []*responseTime
	for _, e := range s.meters {
		if r, ok := e.meter.(*responseTime); ok {
			times = append(times, r)
		}
	}
	log.to(times)
	if len(times) == 0 {
		log.close()
		return
	}
	if err := log.open(s.opts.Log); err != nil {
		for _, r := range times {
			r.deaf(err)
		}
	}
}

// round starts every measurement that is not still under way.
func (s *Set) round(ctx context.Context, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range s.meters {
		if e.meter == nil || e.busy {
			continue
		}
		e.busy = true
		go s.take(ctx, e, now)
	}
}

func (s *Set) take(ctx context.Context, e *entry, now time.Time) {
	limit := patience
	if c, ok := e.meter.(command); ok {
		limit = c.limit
	}
	ctx, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("no answer within %s", spec.Duration(limit)))
	defer cancel()
	value, err := e.meter.measure(ctx, now)
	if err == nil {
		err = possible(value)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	e.busy = false
	switch {
	case err == nil:
		e.value, e.fresh, e.problem = value, true, ""
	case errors.Is(err, errNotYet):
		e.fresh = false
	default:
		e.fresh, e.problem = false, cut(err.Error())
	}
}

// possible: what is no number, or negative, is not measured.
func possible(v float64) error {
	switch {
	case math.IsNaN(v) || math.IsInf(v, 0):
		return fmt.Errorf("%v is no number to go by", v)
	case v < 0:
		return fmt.Errorf("%v is negative", v)
	}
	return nil
}

// cut bounds a problem's length: it goes along with every report.
func cut(s string) string {
	const most = 200
	if len(s) > most {
		return s[:most] + "..."
	}
	return s
}

// Values are what was measured since Values was last called; nil if nothing.
func (s *Set) Values() map[string]float64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	var v map[string]float64
	for key, e := range s.meters {
		if e.fresh {
			if v == nil {
				v = map[string]float64{}
			}
			v[key], e.fresh = e.value, false
		}
	}
	return v
}

// Problems say why the last try gave no value, by key; nil if each did.
func (s *Set) Problems() map[string]string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all map[string]string
	for key, e := range s.meters {
		if e.problem != "" {
			if all == nil {
				all = map[string]string{}
			}
			all[key] = e.problem
		}
	}
	return all
}

// NeedsLog tells whether a balancer has to log its requests for what is asked.
func NeedsLog(asked []state.Asked) bool {
	for _, a := range asked {
		if a.Metric.Kind == spec.ResponseTime {
			return true
		}
	}
	return false
}
