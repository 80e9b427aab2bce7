// Package process runs the programs of an instance: commands to their end, services for good, and, where the
// agent is process 1, the burial of orphans that some program left behind.
//
// Start at Table. It implements behavior.Commander.
package process

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/farmhand/terraform-provider-farmhand/internal/behavior"
)

// errorLines is how many of the last lines a failed command's error carries, each cut at errorWidth: an error is
// one line in a table of events, the rest is in the boot log.
const (
	errorLines = 5
	errorWidth = 200
)

// drainTime is how long after a command's exit its output may still come. A daemon that the command left behind
// holds the pipe open for ever; what it prints later is still read, but nobody waits for it.
const drainTime = 200 * time.Millisecond

// Command is a program to run.
type Command struct {
	Name string
	Args []string
	Env  []string // added to the agent's own environment
	Dir  string
	// Output gets what a command prints instead of the table's; nil for that. It is written to by one goroutine.
	Output io.Writer
}

// ExitError is a command that ended badly.
type ExitError struct {
	Command string
	Code    int            // exit status; -1 if a signal ended it
	Signal  syscall.Signal // 0 if none
	Lines   []string       // the last it printed
}

func (e *ExitError) Error() string {
	s := fmt.Sprintf("%s: exit status %d", e.Command, e.Code)
	if e.Signal != 0 {
		s = fmt.Sprintf("%s: ended by signal %d (%s)", e.Command, int(e.Signal), e.Signal)
	}
	if len(e.Lines) > 0 {
		s += ": " + strings.Join(e.Lines, " / ")
	}
	return s
}

// Printed are the last lines that the command printed, for whoever has a better name for it than its words.
func (e *ExitError) Printed() []string { return e.Lines }

// Table starts programs and knows which children are its own. Safe for concurrent use.
type Table struct {
	out io.Writer

	// starting is read-held from fork until the child is registered, and held while orphans are looked for: so a
	// child that is not registered is certainly not ours.
	starting sync.RWMutex
	mu       sync.Mutex
	own      map[int]bool
}

var _ behavior.Commander = (*Table)(nil)

// NewTable makes a table whose programs print to out, which must be safe for concurrent use.
func NewTable(out io.Writer) *Table { return &Table{out: out, own: map[int]bool{}} }

// Run implements behavior.Commander. Its error is an *ExitError if the program ran and ended badly.
func (t *Table) Run(ctx context.Context, name string, args ...string) error {
	return t.RunCommand(ctx, Command{Name: name, Args: args})
}

// RunCommand runs c to its end. When ctx ends first, the whole process group is killed and ctx's cause returned.
func (t *Table) RunCommand(ctx context.Context, c Command) error {
	last := NewLines(errorLines)
	out := t.out
	if c.Output != nil {
		out = c.Output
	}
	p, err := t.start(c, io.MultiWriter(out, last))
	if err != nil {
		return err
	}
	select {
	case <-p.done:
	case <-ctx.Done():
		p.killGroup()
		<-p.done
		return fmt.Errorf("%s: %w", c.label(), context.Cause(ctx))
	}
	select {
	case <-p.drained:
	case <-time.After(drainTime):
	}
	return p.exitError(last.Cut(errorWidth))
}

// Start implements behavior.Commander: the program outlives ctx.
func (t *Table) Start(_ context.Context, name string, args ...string) (behavior.Process, error) {
	return t.start(Command{Name: name, Args: args}, t.out)
}

func (t *Table) start(c Command, out io.Writer) (*Process, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("starting %s: %w", c.label(), err)
	}
	cmd := exec.Command(c.Name, c.Args...)
	cmd.Env = append(environment(), c.Env...)
	cmd.Dir = c.Dir
	// A pipe of our own and not a Writer in cmd.Stdout: Wait would stay until the last holder of the pipe is gone.
	cmd.Stdout, cmd.Stderr = w, w
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}

	t.starting.RLock()
	err = cmd.Start()
	if err == nil {
		t.mu.Lock()
		t.own[cmd.Process.Pid] = true
		t.mu.Unlock()
	}
	t.starting.RUnlock()
	w.Close()
	if err != nil {
		r.Close()
		return nil, fmt.Errorf("starting %s: %w", c.label(), err)
	}
	p := &Process{cmd: cmd, label: c.label(), done: make(chan struct{}), drained: make(chan struct{})}
	go func() {
		defer close(p.drained)
		defer r.Close()
		_, _ = io.Copy(out, r)
	}()
	go func() {
		p.err = cmd.Wait()
		t.mu.Lock()
		delete(t.own, cmd.Process.Pid)
		t.mu.Unlock()
		close(p.done)
	}()
	return p, nil
}

// label is the command in an error: without the arguments behind the second, which are long and say little.
func (c Command) label() string {
	words := append([]string{c.Name}, c.Args...)
	if len(words) > 3 {
		words = words[:3]
	}
	return strings.Join(words, " ")
}

// environment is the agent's own, with a path that finds Debian's daemons even if the image's has no sbin.
func environment() []string {
	env := os.Environ()
	for i, kv := range env {
		if path, ok := strings.CutPrefix(kv, "PATH="); ok {
			env[i] = "PATH=" + path + ":/usr/local/sbin:/usr/sbin:/sbin"
			return env
		}
	}
	return append(env, "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
}

// Process is a running program. Safe for concurrent use.
type Process struct {
	cmd     *exec.Cmd
	label   string
	done    chan struct{}
	drained chan struct{}
	err     error // of Wait; read it after done
}

// Pid implements behavior.Process.
func (p *Process) Pid() int { return p.cmd.Process.Pid }

// Done implements behavior.Process.
func (p *Process) Done() <-chan struct{} { return p.done }

// Err implements behavior.Process: nil while it runs or if it ended with status 0, else an *ExitError.
func (p *Process) Err() error {
	select {
	case <-p.done:
		return p.exitError(nil)
	default:
		return nil
	}
}

// Signal implements behavior.Process. A program that has ended takes no signal: os.ErrProcessDone.
func (p *Process) Signal(sig int) error { return p.cmd.Process.Signal(syscall.Signal(sig)) }

// killGroup ends the program and what it started, unless that left the group.
func (p *Process) killGroup() {
	_ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL)
	_ = p.cmd.Process.Kill()
}

func (p *Process) exitError(lines []string) error {
	if p.err == nil {
		return nil
	}
	var exit *exec.ExitError
	if !errors.As(p.err, &exit) {
		return fmt.Errorf("%s: %w", p.label, p.err)
	}
	e := &ExitError{Command: p.label, Code: exit.ExitCode(), Lines: lines}
	if ws, ok := exit.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
		e.Signal = ws.Signal()
	}
	return e
}
