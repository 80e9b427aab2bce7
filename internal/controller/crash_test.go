package controller

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/farmhand/terraform-provider-farmhand/internal/platform"
	"github.com/farmhand/terraform-provider-farmhand/internal/spec"
	"github.com/farmhand/terraform-provider-farmhand/internal/state"
	"github.com/farmhand/terraform-provider-farmhand/internal/store"
)

var errCrashed = errors.New("the sidecar is dead")

// crash kills a sidecar at one of its steps: before or after a write to the store or a call of the platform. From
// then on nothing that it does reaches anything.
type crash struct {
	mu   sync.Mutex
	at   int // the step, counted from 0
	step int
	gone bool
	what string // it died at
}

// step does f, unless this is where the sidecar dies.
func (c *crash) do(what string, f func() error) error {
	c.mu.Lock()
	defer c.mu.Unlock() // one step after the other: the same step is the same in every run
	if c.gone {
		return errCrashed
	}
	c.step += 2
	if c.at == c.step-2 {
		c.gone, c.what = true, "before "+what
		return errCrashed
	}
	err := f()
	if c.at == c.step-1 {
		c.gone, c.what = true, "after "+what
		return errCrashed
	}
	return err
}

func (c *crash) dead() bool {
	if c == nil {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.gone
}

type crashStore struct {
	store.Store
	crash *crash
}

func (s crashStore) Get(ctx context.Context, key string) (store.Entry, error) {
	if s.crash.dead() {
		return store.Entry{}, errCrashed
	}
	return s.Store.Get(ctx, key)
}

func (s crashStore) List(ctx context.Context, prefix string, opts ...store.ListOption) ([]store.Entry, error) {
	if s.crash.dead() {
		return nil, errCrashed
	}
	return s.Store.List(ctx, prefix, opts...)
}

func (s crashStore) Put(ctx context.Context, key string, value []byte, opts ...store.Option) (r store.Revision, err error) {
	err = s.crash.do("writing "+key, func() (err error) {
		r, err = s.Store.Put(ctx, key, value, opts...)
		return err
	})
	return r, err
}

func (s crashStore) Delete(ctx context.Context, key string, opts ...store.Option) error {
	return s.crash.do("deleting "+key, func() error { return s.Store.Delete(ctx, key, opts...) })
}

type crashPlatform struct {
	platform.Platform
	crash *crash
}

func (p crashPlatform) Launch(ctx context.Context, l platform.Launch) (m platform.Machine, err error) {
	err = p.crash.do("launching "+l.Instance, func() (err error) {
		m, err = p.Platform.Launch(ctx, l)
		return err
	})
	return m, err
}

func (p crashPlatform) Terminate(ctx context.Context, id string, grace time.Duration) error {
	return p.crash.do("ending "+id, func() error { return p.Platform.Terminate(ctx, id, grace) })
}

func (p crashPlatform) EnsureVolume(ctx context.Context, role, instance string) (id string, err error) {
	err = p.crash.do("making a volume", func() (err error) {
		id, err = p.Platform.EnsureVolume(ctx, role, instance)
		return err
	})
	return id, err
}

func (p crashPlatform) DeleteVolume(ctx context.Context, id string) error {
	return p.crash.do("deleting a volume", func() error { return p.Platform.DeleteVolume(ctx, id) })
}

func (p crashPlatform) Destroy(ctx context.Context) error {
	return p.crash.do("removing the network", func() error { return p.Platform.Destroy(ctx) })
}

// story is a farm's life: it comes up, loses a server, is rolled over, shrinks, loses a role, and ends.
func story(w *world) {
	w.declare(spec.Role{Name: "web", Behavior: "base", Min: 2, Max: 3})
	w.declare(spec.Role{Name: "db", Behavior: "mysql", Min: 1, Max: 1})
	w.until("all serve", w.serves(2, 1))

	w.platform.stop("web-1")
	w.platform.stop("db-1")
	w.until("what was killed is back", func() bool { return w.serves(2, 1)() && w.platform.launches >= 5 })

	var former string
	for _, r := range w.records() {
		if r.Role == "web" {
			former = r.Generation
		}
	}
	w.declare(spec.Role{Name: "web", Behavior: "base", Min: 2, Max: 3, BootScript: "echo 2"})
	w.until("the new boot script is everywhere", func() bool {
		for _, r := range w.records() {
			if r.Role == "web" && r.Generation == former {
				return false
			}
		}
		return w.serves(2, 1)()
	})

	deleting[spec.Role](w, state.RoleKey(farmName, "db"))
	w.until("the database has ended", func() bool {
		ended, err := RoleEnded(w.ctx, w.store, farmName, "db")
		return err == nil && ended && len(w.platform.volumes) == 0
	})
	deleting[spec.Farm](w, state.FarmKey(farmName))
	w.until("the farm has ended", func() bool {
		ended, err := FarmEnded(w.ctx, w.store, farmName)
		return err == nil && ended
	})
	if n := len(w.platform.up()); n > 0 || !w.platform.destroyed {
		w.t.Fatalf("%d machines are left, network removed: %t", n, w.platform.destroyed)
	}
	if n := len(w.records()); n > 0 {
		w.t.Fatalf("%d records are left", n)
	}
	w.sound()
}

func TestStory(t *testing.T) {
	w := newWorld(t, newMemory())
	story(w)
	if w.platform.launches > 7 {
		t.Errorf("%d launches for a story of 7:\n%s", w.platform.launches, w.describe())
	}
}

// TestACrashAnywhere lives the story once for each step at which the sidecar can die. The next sidecar takes it up.
func TestACrashAnywhere(t *testing.T) {
	crashAnywhere(t, 50, func(t testing.TB) *world { return newWorld(t, newMemory()) }, func(w *world) {
		story(w)
		if w.crash == nil && w.platform.launches > 7 {
			w.t.Errorf("%d launches for a story of 7", w.platform.launches)
		}
	})
}

// crashAnywhere lives a story in a new world once for each step at which the sidecar can die, of which there are at least so many.
func crashAnywhere(t *testing.T, least int, begin func(testing.TB) *world, story func(w *world)) {
	t.Helper()
	stride := 1
	if testing.Short() {
		stride = 17
	}
	steps := 0
	for at := 0; ; at += stride {
		w := begin(t)
		c := &crash{at: at}
		w.crash = c
		if at%4 == 3 {
			w.successor = "sidecar-2" // another, which has to wait until the lease has run out
		}
		died := false
		t.Run(fmt.Sprint(at), func(t *testing.T) {
			w.t = t
			story(w)
			died = c.dead()
			if t.Failed() {
				t.Logf("it died %s", c.what)
			}
		})
		if t.Failed() || !died {
			break
		}
		steps++
	}
	if steps < least/stride {
		t.Errorf("only %d steps to die at", steps)
	}
}
