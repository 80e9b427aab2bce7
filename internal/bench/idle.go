package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/prometheus/procfs"

	"github.com/farmhand/terraform-provider-farmhand/internal/daemon"
)

// usage is what a process used.
type usage struct {
	rss int     // bytes
	cpu float64 // seconds of processor time since its start
}

func use(pid int) (usage, error) {
	p, err := procfs.NewProc(pid)
	if err != nil {
		return usage{}, err
	}
	stat, err := p.Stat()
	if err != nil {
		return usage{}, err
	}
	return usage{stat.ResidentMemory(), stat.CPUTime()}, nil
}

// idle looks at sidecar and agents over a while in which nothing is asked of the farm.
func (f *farm) idle(ctx context.Context) ([]row, error) {
	const while = 30 * time.Second
	if err := f.calm(ctx); err != nil {
		return nil, err
	}
	sidecar, err := daemon.Find(ctx, f.StateDir)
	if err != nil {
		return nil, err
	}
	pids, err := f.engine.PIDs(ctx, f.Name)
	if err != nil {
		return nil, err
	}
	pids["sidecar"] = sidecar.PID

	before := map[string]usage{}
	for name, pid := range pids {
		if before[name], err = use(pid); err != nil {
			return nil, fmt.Errorf("looking at %s: %w (the engine's processes must be this machine's)", name, err)
		}
	}
	say("looking at sidecar and agents for %s", while)
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-time.After(while):
	}
	var most usage // of the agents
	var of usage   // of the sidecar
	for _, name := range slices.Sorted(maps.Keys(pids)) {
		now, err := use(pids[name])
		if err != nil {
			return nil, fmt.Errorf("looking at %s: %w", name, err)
		}
		now.cpu = (now.cpu - before[name].cpu) / while.Seconds()
		say("%s: %s, %s of a core", name, megabytes(now.rss), percent(now.cpu))
		if name == "sidecar" {
			of = now
			continue
		}
		most.rss, most.cpu = max(most.rss, now.rss), max(most.cpu, now.cpu)
	}
	how := fmt.Sprintf("the demo farm at rest, %d instances, over %s", len(pids)-1, while)
	return []row{
		{"Sidecar at rest, resident memory", megabytes(of.rss), "≤ 60 MB", how},
		{"Sidecar at rest, processor", percent(of.cpu) + " of a core", "≤ 2 %", how},
		{"Agent, resident memory (the largest)", megabytes(most.rss), "≤ 25 MB", how + "; the agent's own process"},
		{"Agent, processor (the busiest)", percent(most.cpu) + " of a core", "", how},
	}, nil
}

func megabytes(bytes int) string   { return fmt.Sprintf("%.0f MB", float64(bytes)/1e6) }
func percent(share float64) string { return fmt.Sprintf("%.1f %%", 100*share) }
