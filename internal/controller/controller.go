package controller

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v5"

	"github.com/farmhand/terraform-provider-farmhand/internal/state"
	"github.com/farmhand/terraform-provider-farmhand/internal/store"
)

// lookEvery is how often the list of farms is read when no hint calls earlier, and how long a farm whose lease
// another holds is left alone.
const lookEvery = 2 * time.Second

// Controller keeps every farm of a store whose lease it gets.
type Controller struct {
	opts Options

	mu   sync.Mutex
	kept map[string]bool // farms whose lease is ours now
	pulse
}

// New makes a controller; Run starts it.
func New(opts Options) (*Controller, error) {
	opts, err := opts.complete()
	if err != nil {
		return nil, err
	}
	return &Controller{opts: opts, kept: map[string]bool{}, pulse: pulse{ticked: map[string]beat{}}}, nil
}

// Farms names the farms kept now, sorted. Safe for concurrent use.
func (c *Controller) Farms() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	var names []string
	for name := range c.kept {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// Run keeps the store's farms until ctx ends, each in a goroutine of its own: one that is in trouble delays no other.
// When ctx ends it lets go of them: leases are released, instances live on. nil then.
func (c *Controller) Run(ctx context.Context) error {
	hints, err := c.opts.Store.Watch(ctx, state.FarmIndexKey(""))
	if err != nil {
		return fmt.Errorf("watching the list of farms: %w", err)
	}
	var farms sync.WaitGroup
	defer farms.Wait()
	started := map[string]context.CancelFunc{}
	c.looked(c.opts.Now())
	for {
		names, err := c.declared(ctx)
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, store.ErrClosed):
			return err
		case err != nil:
			c.opts.Log.Error("reading the list of farms", "error", err)
		default:
			c.looked(c.opts.Now())
			for _, name := range names {
				if started[name] == nil {
					farmCtx, cancel := context.WithCancel(ctx)
					started[name] = cancel
					farms.Go(func() { c.keep(farmCtx, name) })
				}
			}
			for name, cancel := range started {
				if !slices.Contains(names, name) {
					cancel()
					delete(started, name)
				}
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case _, open := <-hints:
			if !open && ctx.Err() == nil {
				return fmt.Errorf("watching the list of farms: %w", store.ErrClosed)
			}
		case <-time.After(lookEvery):
		}
	}
}

func (c *Controller) declared(ctx context.Context) ([]string, error) {
	entries, err := store.ListJSON[state.FarmEntry](ctx, c.opts.Store, state.FarmIndexKey(""))
	if err != nil {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Key[len(state.FarmIndexKey("")):])
	}
	return names, nil
}

// keep runs one farm's keeper again and again until ctx ends.
func (c *Controller) keep(ctx context.Context, name string) {
	k := newKeeper(c.opts, name)
	k.onLease = func(held bool) {
		c.mu.Lock()
		defer c.mu.Unlock()
		if held {
			c.kept[name] = true
			c.begins(name, c.opts.Now())
		} else {
			delete(c.kept, name)
		}
	}
	k.onTick = func(every time.Duration) { c.beats(name, c.opts.Now(), every) }
	defer c.rests(name)
	wait := backoff.NewExponentialBackOff()
	wait.InitialInterval, wait.MaxInterval = 250*time.Millisecond, 15*time.Second
	hints := c.signs(ctx, name)
	for ctx.Err() == nil {
		began := time.Now()
		err := k.run(ctx)
		pause, listen := lookEvery, hints
		switch {
		case err == nil || errors.Is(err, errNotDeclared) || errors.Is(err, store.ErrHeld):
			c.rests(name) // nothing of ours to keep
		case errors.Is(err, context.Canceled) && ctx.Err() != nil:
			return
		case errors.Is(err, errPlatformChanged):
			pause = 0
		default:
			if time.Since(began) > time.Minute {
				wait.Reset()
			}
			pause, listen = wait.NextBackOff(), nil
			c.opts.Log.Error("keeping the farm; trying again", "farm", name, "in", pause.Round(time.Millisecond).String(), "error", err)
		}
		select {
		case <-ctx.Done():
		case <-listen:
		case <-time.After(pause):
		}
	}
}

// signs are hints that a farm may be there to be kept now: it is declared, or another sidecar let go of it.
// Without them it is looked at every lookEvery.
func (c *Controller) signs(ctx context.Context, farm string) <-chan struct{} {
	any := make(chan struct{}, 1)
	for _, key := range []string{state.FarmKey(farm), state.LeaseKey(farm)} {
		hints, err := c.opts.Store.Watch(ctx, key)
		if err != nil {
			continue
		}
		go func() {
			for range hints {
				select {
				case any <- struct{}{}:
				default:
				}
			}
		}()
	}
	return any
}
