package provider

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/farmhand/terraform-provider-farmhand/internal/behavior/behaviors"
	"github.com/farmhand/terraform-provider-farmhand/internal/controller"
	"github.com/farmhand/terraform-provider-farmhand/internal/daemon"
	"github.com/farmhand/terraform-provider-farmhand/internal/engine"
	"github.com/farmhand/terraform-provider-farmhand/internal/spec"
	"github.com/farmhand/terraform-provider-farmhand/internal/state"
	"github.com/farmhand/terraform-provider-farmhand/internal/store"
)

// lookAgain is how often a wait looks when the store gives no hint: time alone ends some of them.
const lookAgain = time.Second

// launchFailedError: the role's instances do not come up, and the sidecar tries no more.
type launchFailedError struct{ detail string }

func (e *launchFailedError) Error() string { return e.detail }

// waitServing waits until min servers of the declared generation serve and none of a former one is left. It returns a
// launchFailedError as soon as the sidecar has given up, and another error when time is up or the sidecar has died.
func (b *backend) waitServing(ctx context.Context, s store.Store, farm spec.Farm, role spec.Role, timeout time.Duration) error {
	v, ok := behaviors.Get(role.Behavior)
	if !ok {
		return fmt.Errorf("there is no behavior %q", role.Behavior)
	}
	generation := controller.Generation(farm, role, storedApplication(ctx, s, role.Application), v.Traits())
	waitCtx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	hints, err := s.Watch(waitCtx, role.Farm+"/")
	if err != nil {
		return fmt.Errorf("waiting for %s: %w", role.ID(), err)
	}
	tick := time.NewTicker(lookAgain)
	defer tick.Stop()
	var last progress
	for {
		p, err := look(waitCtx, s, role, generation)
		switch {
		case err == nil && p.serves(role):
			return nil
		case err == nil && engine.GivenUp(p.memory, generation):
			return &launchFailedError{p.failureDetail(role)}
		case err == nil:
			last = p
		case waitCtx.Err() == nil:
			return fmt.Errorf("waiting for %s: %w", role.ID(), err)
		}
		if b.sidecarIsDead(waitCtx) {
			return fmt.Errorf("the sidecar ended meanwhile. Apply again: that starts it, and it goes on from there. %s", last.detail(role))
		}
		select {
		case <-waitCtx.Done():
			if ctx.Err() != nil {
				return fmt.Errorf("interrupted. %s", last.detail(role))
			}
			return fmt.Errorf("within %s it did not serve as declared. %s", timeout, last.detail(role))
		case <-hints:
		case <-tick.C:
		}
	}
}

// sidecarIsDead is true only if that is certain.
func (b *backend) sidecarIsDead(ctx context.Context) bool {
	return errors.Is(b.sidecarRuns(ctx), daemon.ErrNotRunning)
}

// progress is how far a role has come.
type progress struct {
	serving int // of the declared generation
	former  int // of another one, not yet leaving
	coming  []state.Instance
	failed  []state.Instance
	reports map[string]state.Report
	memory  state.Memory
}

func look(ctx context.Context, s store.Store, role spec.Role, generation string) (progress, error) {
	p := progress{reports: map[string]state.Report{}}
	instances, err := store.ListJSON[state.Instance](ctx, s, state.InstancePrefix(role.Farm))
	if err != nil {
		return p, err
	}
	for _, it := range instances {
		i := it.Value
		if i.Role != role.Name || i.Temporary() {
			continue
		}
		switch {
		case i.Phase == state.Draining || i.Phase == state.Terminating || i.Phase == state.Gone:
		case i.Phase == state.Failed:
			p.failed = append(p.failed, i)
		case i.Generation != generation:
			p.former++
		case i.Phase == state.Running:
			p.serving++
		default:
			p.coming = append(p.coming, i)
			if r, _, err := store.GetJSON[state.Report](ctx, s, state.ReportKey(role.Farm, i.Name())); err == nil && r.Token == i.Token {
				p.reports[i.Name()] = r
			}
		}
	}
	p.memory, _, err = store.GetJSON[state.Memory](ctx, s, state.MemoryKey(role.Farm, role.Name))
	if errors.Is(err, store.ErrNotFound) {
		err = nil
	}
	return p, err
}

func (p progress) serves(role spec.Role) bool { return p.serving >= role.Min && p.former == 0 }

// sentence is what a person needs first: how many serve.
func (p progress) sentence(role spec.Role) string {
	s := fmt.Sprintf("%d of %d servers of %s serve", p.serving, role.Min, role.Name)
	if p.former > 0 {
		s += fmt.Sprintf(", and %d of the former generation are still there", p.former)
	}
	return s + "."
}

// failureDetail tells of the failure that was the last straw: the instance, the step, the cause, what was printed.
func (p progress) failureDetail(role spec.Role) string {
	f := p.memory.LastFailure
	if f == nil {
		return fmt.Sprintf("%s %d launches failed.", p.sentence(role), p.memory.LaunchFailures)
	}
	return fmt.Sprintf("%s\n\n%d launches in a row failed, and the sidecar tries no more.\n\n%s", p.sentence(role), p.memory.LaunchFailures, failureText(p.memory.FailedInstance, f))
}

// detail tells where each instance stands that should serve and does not.
func (p progress) detail(role spec.Role) string {
	parts := []string{p.sentence(role)}
	for _, i := range p.failed {
		if i.Failure != nil {
			parts = append(parts, failureText(i.Name(), i.Failure))
		}
	}
	for _, i := range p.coming {
		text := fmt.Sprintf("%s is %s since %s", i.Name(), i.Phase, i.Since.Local().Format(time.TimeOnly))
		if r, ok := p.reports[i.Name()]; ok {
			switch {
			case !r.Boot.Done:
				text += fmt.Sprintf(", at step %q", r.Boot.Step) + printed(r.Boot.Log)
			default:
				for _, c := range r.Checks {
					if !c.OK {
						text += fmt.Sprintf("; its check %s fails: %s", c.Name, c.Message)
					}
				}
			}
		}
		parts = append(parts, text)
	}
	if len(p.failed) == 0 && p.memory.LastFailure != nil {
		parts = append(parts, "The last launch that failed: "+failureText(p.memory.FailedInstance, p.memory.LastFailure))
	}
	if p.memory.Hold != "" {
		parts = append(parts, sentence("The sidecar says: "+p.memory.Hold))
	}
	return strings.Join(parts, "\n\n")
}

// failureText is "web-1 failed at step "boot script": exit status 3", and what it printed.
func failureText(instance string, f *state.Failure) string {
	return fmt.Sprintf("%s failed at step %q: %s", instance, f.Step, f.Error) + printed(f.Log)
}

func printed(lines []string) string {
	if len(lines) == 0 {
		return ""
	}
	return ". It printed last:\n  " + strings.Join(lines, "\n  ")
}
