package simulated

import (
	"context"
	"errors"
	"math"
	"time"

	"github.com/farmhand/terraform-provider-farmhand/internal/state"
	"github.com/farmhand/terraform-provider-farmhand/internal/store"
)

const (
	// stepEvery is how often the machines' lives move on: a boot step or a fault shows within it.
	stepEvery = 500 * time.Millisecond
	// reportEvery and samplesKept are the real agent's: a sample every two seconds, the last minute kept.
	reportEvery = 2 * time.Second
	samplesKept = 31
	// cores of every machine, for the share of CPU that a load takes.
	cores = 2
)

// vm is what is remembered of a machine between steps; after a restart it is taken up from its last report.
type vm struct {
	load     [3]float64 // over 1, 5 and 15 minutes
	loadAt   time.Time
	samples  []state.Sample
	reported time.Time
	said     state.Boot // of the last report
	healthy  bool
}

// live moves the machines' lives on until ctx ends. It is the platform's only goroutine.
func (s *Simulated) live(ctx context.Context, done chan<- struct{}) {
	defer close(done)
	tick := time.NewTicker(stepEvery)
	defer tick.Stop()
	still := false // said once, not twice a second
	for {
		err := s.Step(ctx)
		if err != nil && ctx.Err() == nil && !still {
			s.log.Warn("the simulated machines stand still", "error", err)
		}
		still = err != nil
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case <-s.kick:
		}
	}
}

// Step moves every machine's life on to now: boots proceed, load averages decay, reports are written where they
// are due. Open's goroutine calls it; a test that has no patience may, too.
func (s *Simulated) Step(ctx context.Context) error {
	s.stepMu.Lock()
	defer s.stepMu.Unlock()
	now := s.now()

	records, err := machines(ctx, s.store, s.farm.Name)
	if err != nil {
		return err
	}
	topology, revision, err := store.GetJSON[state.Topology](ctx, s.store, state.TopologyKey(s.farm.Name))
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return unavailable("reading the topology", err)
	}
	shares, err := s.shares(ctx, records, topology, now)
	if err != nil {
		return err
	}

	seen := make(map[string]bool, len(records))
	for _, r := range records {
		m := r.Value
		seen[m.ID] = true
		if m.Exit != "" || m.Hung {
			continue
		}
		v, err := s.recall(ctx, m)
		if err != nil {
			return err
		}
		v.work(shares[m.ID], now)
		if err := s.report(ctx, m, v, int64(revision), now); err != nil {
			return err
		}
	}
	for id := range s.world {
		if !seen[id] {
			delete(s.world, id)
		}
	}
	return nil
}

// recall returns what is remembered of a machine, after a restart from its last report.
func (s *Simulated) recall(ctx context.Context, m machine) (*vm, error) {
	if v := s.world[m.ID]; v != nil {
		return v, nil
	}
	v := &vm{}
	last, _, err := store.GetJSON[state.Report](ctx, s.store, state.ReportKey(m.Farm, m.Instance))
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return nil, unavailable("reading the last report of "+m.Instance, err)
	}
	if last.Token == m.Token && len(last.Samples) > 0 {
		v.samples = last.Samples
		newest := last.Samples[len(last.Samples)-1]
		v.load, v.loadAt = [3]float64{newest.Load1, newest.Load5, newest.Load15}, newest.At
	}
	s.world[m.ID] = v
	return v, nil
}

// work lets tasks (an average number of runnable ones) act on the load averages until now, and samples them.
// The averages follow the kernel's: each goes towards the number of tasks by 1-exp(-dt/window)
// (kernel/sched/loadavg.c, there in fixed point and steps of five seconds).
func (v *vm) work(tasks float64, now time.Time) {
	if dt := now.Sub(v.loadAt).Seconds(); !v.loadAt.IsZero() && dt > 0 {
		for i, minutes := range []float64{1, 5, 15} {
			keep := math.Exp(-dt / (60 * minutes))
			v.load[i] = v.load[i]*keep + tasks*(1-keep)
		}
	}
	v.loadAt = now
	if n := len(v.samples); n > 0 && now.Sub(v.samples[n-1].At) < reportEvery {
		return
	}
	v.samples = append(v.samples, state.Sample{
		At: now, Load1: v.load[0], Load5: v.load[1], Load15: v.load[2], CPU: math.Min(1, tasks/cores),
	})
	v.samples = v.samples[max(0, len(v.samples)-samplesKept):]
}

// report writes what the machine's agent would: every two seconds, and at once when boot or health changed.
func (s *Simulated) report(ctx context.Context, m machine, v *vm, topology int64, now time.Time) error {
	boot, healthy := m.boot(now), m.Sick.IsZero()
	changed := boot.Step != v.said.Step || boot.Done != v.said.Done || boot.Failed != v.said.Failed || healthy != v.healthy
	if !changed && now.Sub(v.reported) < reportEvery {
		return nil
	}
	r := state.Report{
		Instance: m.Instance, Token: m.Token, At: now, Version: "simulated",
		Boot: boot, Samples: v.samples, Applied: topology,
	}
	if boot.Done {
		c := state.Check{Name: "behavior", OK: true, Since: m.ServesAt}
		if !healthy {
			c = state.Check{Name: "behavior", Failures: 1 + int(now.Sub(m.Sick)/reportEvery), Since: m.Sick, Message: "simulated: made sick"}
		}
		r.Checks = []state.Check{c}
	}
	if _, err := store.PutJSON(ctx, s.store, state.ReportKey(m.Farm, m.Instance), r); err != nil {
		return unavailable("reporting "+m.Instance, err)
	}
	v.reported, v.said, v.healthy = now, boot, healthy
	return nil
}
