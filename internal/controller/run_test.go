package controller

import (
	"context"
	"slices"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/farmhand/terraform-provider-farmhand/internal/platform"
	"github.com/farmhand/terraform-provider-farmhand/internal/spec"
	"github.com/farmhand/terraform-provider-farmhand/internal/state"
	"github.com/farmhand/terraform-provider-farmhand/internal/store"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// eventually polls: the controllers here run by themselves, in real time.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("never came to: %s", what)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// sidecar runs a controller over the world's store until stopped.
func sidecar(t *testing.T, w *world, holder string) (c *Controller, stop func()) {
	t.Helper()
	c, err := New(Options{Store: w.store, Holder: holder, OpenPlatform: func(context.Context, spec.Farm, store.Store) (platform.Platform, error) { return w.platform, nil }})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- c.Run(ctx) }()
	stopped := false
	stop = func() {
		cancel()
		if stopped {
			return
		}
		stopped = true
		if err := <-done; err != nil {
			t.Errorf("%s: %v", holder, err)
		}
	}
	t.Cleanup(stop)
	return c, stop
}

func realTime(t *testing.T) *world {
	w := newWorld(t, newMemory())
	w.platform.now = time.Now
	return w
}

func TestTwoSidecarsShareFarmsByLease(t *testing.T) {
	w := realTime(t)
	one, stopOne := sidecar(t, w, "sidecar-1")
	eventually(t, "one keeps the farm", func() bool { return slices.Equal(one.Farms(), []string{farmName}) })
	two, _ := sidecar(t, w, "sidecar-2")
	w.declare(spec.Role{Name: "web", Behavior: "base", Min: 2, Max: 2})
	eventually(t, "both machines run", func() bool { return len(w.platform.up()) == 2 })
	if len(two.Farms()) > 0 {
		t.Error("both keep it")
	}
	former, _, err := store.GetJSON[state.Runtime](t.Context(), w.store, state.RuntimeKey(farmName))
	if err != nil {
		t.Fatal(err)
	}
	stopOne()
	eventually(t, "two takes it over", func() bool { return slices.Equal(two.Farms(), []string{farmName}) })
	eventually(t, "it listens where the first one did", func() bool {
		r, _, err := store.GetJSON[state.Runtime](t.Context(), w.store, state.RuntimeKey(farmName))
		return err == nil && r.Sidecar == "sidecar-2" && r.Gateway == former.Gateway && r.Nameserver == former.Nameserver
	})
	if len(w.platform.up()) != 2 || w.platform.launches != 2 {
		t.Errorf("%d machines, %d launches: the instances did not live on", len(w.platform.up()), w.platform.launches)
	}
}

func TestAFarmIsKeptFromItsDeclarationToItsEndAndAgain(t *testing.T) {
	w := realTime(t)
	declared, err := w.store.Get(t.Context(), state.FarmKey(farmName))
	if err != nil {
		t.Fatal(err)
	}
	if err := w.store.Delete(t.Context(), state.FarmKey(farmName)); err != nil { // its name is taken, no more
		t.Fatal(err)
	}
	c, _ := sidecar(t, w, "sidecar-1")
	for range 2 {
		w.put(state.FarmIndexKey(farmName), state.FarmEntry{Name: farmName, Created: time.Now()})
		if _, err := w.store.Put(t.Context(), state.FarmKey(farmName), declared.Value); err != nil {
			t.Fatal(err)
		}
		w.declare(spec.Role{Name: "web", Behavior: "base", Min: 1, Max: 1})
		eventually(t, "its machine runs", func() bool { return len(w.platform.up()) == 1 })
		deleting[spec.Farm](w, state.FarmKey(farmName))
		eventually(t, "it ended", func() bool {
			ended, err := FarmEnded(t.Context(), w.store, farmName)
			return err == nil && ended
		})
		if err := Erase(t.Context(), w.store, farmName); err != nil {
			t.Fatal(err)
		}
		eventually(t, "nobody keeps it", func() bool { return len(c.Farms()) == 0 })
		if left, err := w.store.List(t.Context(), farmName+"/"); err != nil || len(left) > 0 {
			t.Errorf("left in the store: %v, %v", left, err)
		}
	}
	w.platform.mu.Lock()
	defer w.platform.mu.Unlock()
	if len(w.platform.broken) > 0 {
		t.Error(w.platform.broken)
	}
}
