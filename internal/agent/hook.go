package agent

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/farmhand/terraform-provider-farmhand/internal/agent/process"
	"github.com/farmhand/terraform-provider-farmhand/internal/spec"
	"github.com/farmhand/terraform-provider-farmhand/internal/state"
)

const (
	// hookEvery is between two runs of the shutdown hook: a job that has just begun is seen before the next decision but one.
	hookEvery = 3 * time.Second
	// hookTime bounds one run. A hook that takes longer says wait.
	hookTime = 10 * time.Second
	// hookWidth is where its last line is cut, in bytes: it is part of a sentence.
	hookWidth = 200
)

// hookAnswer is what a shutdown hook said last.
type hookAnswer struct {
	of   string // the hook; another one has not been asked yet
	wait *state.Wait
}

// wait is what the next report says: that the instance is not to leave until its hook, where it has one, has said that
// it may.
func (t *told) wait() *state.Wait {
	hook := t.assignment.Role.ShutdownHook
	switch {
	case hook == "" || !t.boot.Done:
		return nil
	case hook != t.hook.of:
		since := time.Now()
		if t.hook.wait != nil { // an edited hook: its server has waited on
			since = t.hook.wait.Since
		}
		return &state.Wait{Reason: "nothing yet", Since: since}
	}
	return t.hook.wait
}

// watchShutdownHook asks the hook that the assignment declares, every hookEvery and at once when it is another one,
// until ctx ends.
func (a *agent) watchShutdownHook(ctx context.Context) {
	for {
		if hook := a.assigned().Role.ShutdownHook; hook != "" {
			reason := a.askHook(ctx, hook)
			if ctx.Err() != nil {
				return
			}
			a.tellHook(hook, reason, time.Now())
		} else {
			a.tellHook("", "", time.Now())
		}
		select {
		case <-ctx.Done():
			return
		case <-a.rehook:
		case <-time.After(hookEvery):
		}
	}
}

// tellHook takes an answer over: reason is why to wait, "" if the instance may leave. That it turned is worth a report.
func (a *agent) tellHook(hook, reason string, now time.Time) {
	a.mu.Lock()
	before := a.told.hook
	next := hookAnswer{of: hook}
	if reason != "" {
		next.wait = &state.Wait{Reason: reason, Since: now}
		if before.wait != nil {
			next.wait.Since = before.wait.Since
		}
	}
	a.told.hook = next
	a.mu.Unlock()
	if before.of != hook || (before.wait == nil) != (next.wait == nil) {
		poke(a.wake)
	}
}

// askHook runs the hook as root, as the boot script runs, and returns why to wait, "" if the instance may leave. A hook
// that cannot be run says wait, too: what it was to guard is not known.
func (a *agent) askHook(ctx context.Context, hook string) string {
	a.mu.Lock()
	env := a.told.env
	a.mu.Unlock()
	tooLong := fmt.Errorf("nothing: it did not end within %s", spec.Duration(hookTime))
	ctx, cancel := context.WithTimeoutCause(ctx, hookTime, tooLong)
	defer cancel()
	c, err := a.script(ctx, "shutdown-hook", hook, env)
	if err != nil {
		return fmt.Sprintf("nothing: it could not be written: %v", err)
	}
	printed := process.NewLines(1)
	c.Output = printed
	err = a.table.RunCommand(ctx, c)
	var exit *process.ExitError
	last := printed.Cut(hookWidth)
	switch {
	case err == nil:
		return ""
	case errors.Is(err, tooLong):
		return tooLong.Error()
	case errors.As(err, &exit) && len(last) > 0:
		return last[0]
	case errors.As(err, &exit) && exit.Signal != 0:
		return fmt.Sprintf("nothing: it was ended by signal %d (%s)", int(exit.Signal), exit.Signal)
	case errors.As(err, &exit):
		return fmt.Sprintf("wait (exit status %d)", exit.Code)
	}
	return fmt.Sprintf("nothing: %v", err)
}
