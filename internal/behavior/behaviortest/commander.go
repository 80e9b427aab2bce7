package behaviortest

import (
	"context"
	"errors"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"

	"github.com/farmhand/terraform-provider-farmhand/internal/behavior"
)

// Commander pretends to run programs and records what was asked of it. Safe for concurrent use; the zero value
// lets everything succeed.
type Commander struct {
	// Ends are signals that end a service, beside SIGTERM and SIGKILL. Set it before use.
	Ends []syscall.Signal

	mu sync.Mutex
	// fail is asked before a command is let succeed.
	fail      func(line string) error
	ran       []string
	processes []*Process
}

var _ behavior.Commander = (*Commander)(nil)

// Refuse makes every command fail from now on whose line f returns an error for; nil lets all succeed again.
func (c *Commander) Refuse(f func(line string) error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.fail = f
}

// Run implements behavior.Commander.
func (c *Commander) Run(ctx context.Context, name string, args ...string) error {
	line := strings.Join(append([]string{name}, args...), " ")
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ran = append(c.ran, line)
	if c.fail != nil {
		if err := c.fail(line); err != nil {
			return err
		}
	}
	return context.Cause(ctx)
}

// Ran returns the lines of all commands run to their end so far.
func (c *Commander) Ran() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]string(nil), c.ran...)
}

// Start implements behavior.Commander: the process runs until a signal ends it.
func (c *Commander) Start(_ context.Context, name string, args ...string) (behavior.Process, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	p := &Process{ends: c.Ends, done: make(chan struct{}), Line: strings.Join(append([]string{name}, args...), " ")}
	c.processes = append(c.processes, p)
	return p, nil
}

// Processes are those started so far.
func (c *Commander) Processes() []*Process {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]*Process(nil), c.processes...)
}

// Process pretends to be a service that runs until a signal ends it.
type Process struct {
	Line string
	ends []syscall.Signal

	mu      sync.Mutex
	signals []int
	done    chan struct{}
	err     error
}

// Exit ends it by itself.
func (p *Process) Exit(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	select {
	case <-p.done:
	default:
		p.err = err
		close(p.done)
	}
}

// Signals are those it was sent.
func (p *Process) Signals() []int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]int(nil), p.signals...)
}

// Pid implements behavior.Process.
func (p *Process) Pid() int { return 4242 }

// Done implements behavior.Process.
func (p *Process) Done() <-chan struct{} { return p.done }

// Err implements behavior.Process.
func (p *Process) Err() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.err
}

// Signal implements behavior.Process.
func (p *Process) Signal(sig int) error {
	select {
	case <-p.done:
		return os.ErrProcessDone
	default:
	}
	p.mu.Lock()
	p.signals = append(p.signals, sig)
	p.mu.Unlock()
	switch s := syscall.Signal(sig); {
	case s == syscall.SIGTERM, slices.Contains(p.ends, s):
		p.Exit(nil)
	case s == syscall.SIGKILL:
		p.Exit(errors.New("killed"))
	}
	return nil
}
