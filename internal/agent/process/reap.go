package process

import (
	"context"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/prometheus/procfs"
)

// reapPause gathers a burst of deaths into one look at /proc.
const reapPause = 50 * time.Millisecond

// Reap buries orphans until ctx ends: processes whose parent died and that process 1 inherited. Call it where the
// agent is process 1 (or a subreaper), once.
//
// It must not take a child's status away from the goroutine that waits for it, as wait4(-1) would. So it looks for
// zombies by name in /proc, leaves the table's own alone, and waits for the others one by one.
func (t *Table) Reap(ctx context.Context) {
	died := make(chan os.Signal, 1)
	signal.Notify(died, syscall.SIGCHLD)
	defer signal.Stop(died)
	for {
		t.reapOrphans()
		select {
		case <-ctx.Done():
			return
		case <-died:
		case <-time.After(10 * time.Second): // signals coalesce; none is lost for longer than this
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(reapPause):
		}
	}
}

// reapOrphans buries those whose parents ended before them.
func (t *Table) reapOrphans() {
	t.starting.Lock()
	defer t.starting.Unlock()
	procs, err := procfs.AllProcs()
	if err != nil {
		return
	}
	self := os.Getpid()
	for _, p := range procs {
		stat, err := p.Stat()
		if err != nil || stat.State != "Z" || stat.PPID != self || t.owns(p.PID) {
			continue
		}
		_, _ = syscall.Wait4(p.PID, nil, syscall.WNOHANG, nil)
	}
}

func (t *Table) owns(pid int) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.own[pid]
}

// othersTime is what is left running when the service has stopped gets to end by itself.
const othersTime = time.Second

// EndOthers tells every other process of the machine to end, and returns when they have or othersTime is over. Only
// for process 1, whose own end takes the rest along unasked: daemons that a boot script started.
func (t *Table) EndOthers() {
	if os.Getpid() != 1 {
		return
	}
	_ = syscall.Kill(-1, syscall.SIGTERM)
	for end := time.Now().Add(othersTime); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		t.reapOrphans()
		if procs, err := procfs.AllProcs(); err != nil || len(procs) <= 1 {
			return
		}
	}
}
