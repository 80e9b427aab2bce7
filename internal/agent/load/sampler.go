// Package load measures the load of one instance: load average and share of the processor.
//
// In a container /proc/loadavg is the whole machine's, so there the tasks of the instance's own process namespace
// are counted, as the kernel would, and its cgroup's processor time is read. Start at Sampler.
package load

import (
	"context"
	"sync"
	"time"

	"github.com/farmhand/terraform-provider-farmhand/internal/state"
)

const (
	lookEvery   = time.Second     // at the tasks
	sampleEvery = 2 * time.Second // what is kept
	keep        = 31              // a minute of samples with both its ends
)

// Sources are where measurements come from.
type Sources struct {
	// Tasks counts the runnable and the uninterruptible ones; nil where Averages is used.
	Tasks func() (int, error)
	// Averages reads the kernel's load averages; nil where Tasks is used.
	Averages func() (one, five, fifteen float64, err error)
	// CPU is the processor time used so far, by all cores, and how many cores there are to use.
	CPU func() (used time.Duration, cores float64, err error)
}

// Sampler keeps the samples of the last minute, two seconds apart. Samples may be called concurrently with Run.
type Sampler struct {
	sources Sources
	// More gives further values of a sample, nil for none. Set it before Run.
	More func() map[string]float64

	taken   chan struct{}
	mu      sync.Mutex
	samples []state.Sample
}

// New makes a sampler; it measures while Run does.
func New(s Sources) *Sampler { return &Sampler{sources: s, taken: make(chan struct{}, 1)} }

// Taken hints that there is a new sample.
func (s *Sampler) Taken() <-chan struct{} { return s.taken }

// Samples are those of the last minute, oldest first.
func (s *Sampler) Samples() []state.Sample {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]state.Sample(nil), s.samples...)
}

// Run measures until ctx ends. What cannot be read makes no sample: a gap is seen, an invented number is not.
func (s *Sampler) Run(ctx context.Context) {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	var avg average
	looked, sampled := time.Now(), time.Now()
	used, _, usedErr := s.sources.CPU()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		now := time.Now()
		err := s.look(&avg, now.Sub(looked))
		looked = now
		// A tick comes now and then a little early after one that was late; the next would be a whole second on.
		if now.Sub(sampled) < sampleEvery-lookEvery/2 {
			continue
		}
		nowUsed, cores, cpuErr := s.sources.CPU()
		if err == nil && usedErr == nil && cpuErr == nil {
			sample := state.Sample{
				At:    now,
				Load1: avg.one, Load5: avg.five, Load15: avg.fifteen,
				CPU: share(nowUsed-used, now.Sub(sampled), cores),
			}
			if s.More != nil {
				sample.Values = s.More()
			}
			s.add(sample)
		}
		used, usedErr, sampled = nowUsed, cpuErr, now
	}
}

func (s *Sampler) look(avg *average, elapsed time.Duration) (err error) {
	if s.sources.Averages != nil {
		avg.one, avg.five, avg.fifteen, err = s.sources.Averages()
		return err
	}
	n, err := s.sources.Tasks()
	if err == nil {
		avg.add(float64(n), elapsed)
	}
	return err
}

func (s *Sampler) add(sample state.Sample) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.samples) == keep {
		s.samples = append(s.samples[:0], s.samples[1:]...)
	}
	s.samples = append(s.samples, sample)
	select {
	case s.taken <- struct{}{}:
	default:
	}
}

// share is the part of the cores in use, 0..1; the counters' coarseness can make it a little more, which is cut.
func share(used, elapsed time.Duration, cores float64) float64 {
	if elapsed <= 0 || cores <= 0 {
		return 0
	}
	return max(0, min(1, used.Seconds()/elapsed.Seconds()/cores))
}
