package agent

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"
	"time"

	"github.com/farmhand/terraform-provider-farmhand/internal/agent/release"
	"github.com/farmhand/terraform-provider-farmhand/internal/agent/resolver"
	"github.com/farmhand/terraform-provider-farmhand/internal/behavior"
	"github.com/farmhand/terraform-provider-farmhand/internal/dns"
	"github.com/farmhand/terraform-provider-farmhand/internal/state"
	"github.com/farmhand/terraform-provider-farmhand/internal/store"
)

// retryTime is between two tries to read what the boot needs. A hint from the store ends the wait early.
const retryTime = time.Second

// awaitAssignment returns when the sidecar has said what this instance is to be; its error is ctx's.
func (a *agent) awaitAssignment(ctx context.Context) (state.Assignment, error) {
	key := state.AssignmentKey(a.boot.Farm, a.boot.Instance)
	hints := make(chan struct{}, 1)
	watching, stop := context.WithCancel(ctx)
	defer stop()
	go a.watch(watching, key, hints)
	for said := ""; ; {
		as, err := readJSON[state.Assignment](ctx, a.farm, key)
		if err == nil {
			return as, nil
		}
		if s := err.Error(); s != said && ctx.Err() == nil {
			a.say("waiting for the assignment: %v", err)
			said = s
		}
		if err := pause(ctx, hints); err != nil {
			return as, err
		}
	}
}

// bootUp takes every step to a serving instance and returns the input that the behavior was set up with. In an error
// the step that failed is the one reported last.
func (a *agent) bootUp(ctx context.Context, as state.Assignment, f *follower) (behavior.Input, error) {
	var none behavior.Input
	b, ok := a.Behavior(as.Role.Behavior)
	if !ok {
		a.step("behavior")
		return none, fmt.Errorf("this agent knows no behavior %q", as.Role.Behavior)
	}
	a.traits = b.Traits()

	if err := a.mountVolume(ctx, as); err != nil {
		return none, err
	}
	a.step("resolver")
	if err := a.startResolver(ctx, as); err != nil {
		return none, err
	}
	if app := as.Application; app != nil {
		a.step("application")
		if err := a.unpack(ctx, app.Release); err != nil {
			return none, err
		}
	}
	a.step("credentials")
	in, err := f.first(ctx, b.NewSecret(as.Role) != nil)
	if err != nil {
		return none, err
	}
	a.step("environment")
	if err := a.writeEnvironment(in.Environment); err != nil {
		return none, err
	}

	if in.proxy != nil {
		a.step("mysql proxy")
		if err := a.proxy.Apply(ctx, in.proxy); err != nil {
			return none, err
		}
	}

	a.step("configure")
	a.runner = b.New(behavior.Instance{
		Assignment:    as,
		Output:        a.out,
		Run:           a.table,
		Root:          a.Root,
		Backups:       a.openBackups,
		RestoreSource: a.openRestoreSource,
		Traits: func(name string) (behavior.Traits, bool) {
			b, ok := a.Behavior(name)
			if !ok {
				return behavior.Traits{}, false
			}
			return b.Traits(), true
		},
	})
	a.attachDatabase(ctx, as)
	if err := guarded("setting up", func() error { return a.runner.Setup(ctx, in.Input, a.step) }); err != nil {
		return none, err
	}
	a.applied(in.revision, nil)
	a.step("boot script")
	if err := a.runBootScript(ctx, as.Role, in.Environment); err != nil {
		return none, err
	}
	return in.Input, nil
}

// resolverEvery is how often what names the resolver is looked at on a machine whose own programs may write it anew.
const resolverEvery = 15 * time.Second

// startResolver takes the instance's name resolution over, unless the platform's own knows the farm's names.
func (a *agent) startResolver(ctx context.Context, as state.Assignment) error {
	if as.Names == state.NamesPlatform {
		return nil
	}
	conf := resolver.Conf{Path: a.file("etc/resolv.conf"), Kept: a.file("etc/farmhand/resolv.conf.before")}
	others, err := conf.Before()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(a.file("etc/farmhand"), 0o755); err != nil {
		return fmt.Errorf("making a place for the agent's files: %w", err)
	}
	a.names = resolver.New(as.Zone, as.Nameserver, others)
	// Until the very end: a service that stops may still want to say good-bye to another.
	if _, err := a.names.Serve(context.WithoutCancel(ctx), a.Names); err != nil {
		return err
	}
	if as.Names == state.NamesSelf {
		a.names.SetZone(dns.Zone{Name: as.Zone}) // until the topology is read: ours, and empty
		go keepTaken(ctx, conf)
	}
	return conf.TakeOver()
}

// keepTaken takes resolv.conf over again whenever a DHCP client has written it.
func keepTaken(ctx context.Context, conf resolver.Conf) {
	tick := time.NewTicker(resolverEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			_ = conf.TakeOver() // what stands in its way now may not at the next look
		}
	}
}

// fetchTries bounds the tries to get the release; the gateway's client goes on by itself while the sidecar is away,
// so what fails here is a broken transfer.
const fetchTries = 5

// unpack fetches the application's release.
func (a *agent) unpack(ctx context.Context, name string) error {
	for try := 1; ; try++ {
		current, err := release.Unpack(a.file("var/lib/farmhand/releases"), name, func() (io.ReadCloser, error) {
			return a.farm.OpenBlob(ctx, name)
		})
		if err == nil {
			a.releaseDir = current
			return nil
		}
		for _, final := range []error{store.ErrNotFound, store.ErrDenied, release.ErrUnfit, syscall.ENOSPC} {
			if errors.Is(err, final) {
				return err
			}
		}
		if try == fetchTries {
			return err
		}
		a.say("fetching the application, try %d: %v", try, err)
		if err := pause(ctx, nil); err != nil {
			return err
		}
	}
}

// pause waits for a hint, at most retryTime. Its error is ctx's.
func pause(ctx context.Context, hints <-chan struct{}) error {
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-hints:
		return nil
	case <-time.After(retryTime):
		return nil
	}
}

// readJSON is store.GetJSON bounded in time: the gateway's client would try as long as it is let.
func readJSON[T any](ctx context.Context, s store.Store, key string) (T, error) {
	ctx, cancel := context.WithTimeout(ctx, readTime)
	defer cancel()
	v, _, err := store.GetJSON[T](ctx, s, key)
	return v, err
}
