package controller

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/farmhand/terraform-provider-farmhand/internal/engine"
	"github.com/farmhand/terraform-provider-farmhand/internal/ledger"
	"github.com/farmhand/terraform-provider-farmhand/internal/platform"
	"github.com/farmhand/terraform-provider-farmhand/internal/spec"
	"github.com/farmhand/terraform-provider-farmhand/internal/state"
	"github.com/farmhand/terraform-provider-farmhand/internal/store"
)

// TestTheWholeLedgerReplays lets a farm of three roles live through a quarter of an hour of trouble. Each record of
// it then gives the same account and decisions when the engine is asked again, by what the record alone holds, and
// each event of the engine's names a record that did what it says.
func TestTheWholeLedgerReplays(t *testing.T) {
	for seed := range uint64(4) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			w := newWorld(t, newMemory())
			w.declare(spec.Role{Name: "web", Behavior: "base", Min: 2, Max: 6, Environment: map[string]string{"A": "b"}})
			w.declare(spec.Role{Name: "db", Behavior: "mysql", Min: 1, Max: 1})
			w.declare(spec.Role{Name: "lb", Behavior: "haproxy", Min: 1, Max: 2})
			chance := rand.New(rand.NewPCG(seed, seed))
			for range 450 {
				trouble(w, chance)
				w.tick()
			}
			total := 0
			for _, role := range []string{"web", "db", "lb"} {
				all, err := ledger.Last(w.ctx, w.store, farmName, role, 0)
				if err != nil {
					t.Fatal(err)
				}
				total += len(all)
				for i := range all {
					if p := all[i].Replay(engine.Decide); !p.Same {
						t.Errorf("%s, record %s: %s", role, all[i].ID, p.Why)
					}
				}
			}
			if total < 50 {
				t.Errorf("%d records only", total)
			}
			named := 0
			for _, e := range w.events() {
				if e.Ledger == "" {
					continue
				}
				named++
				r, err := ledger.Get(w.ctx, w.store, farmName, e.Role, e.Ledger)
				if err != nil {
					t.Errorf("event %q: %v", e.Reason, err)
					continue
				}
				if !did(r, e) {
					t.Errorf("record %s knows nothing of its event %s %s: %s", r.ID, e.Kind, e.Instance, e.Reason)
				}
			}
			t.Logf("%d records, %d events of the engine's", total, named)
		})
	}
}

// did tells whether the event is of one of the record's decisions.
func did(r ledger.Record, e state.Event) bool {
	for _, d := range r.Decisions {
		if d.Kind == e.Kind && d.Instance == e.Instance && d.Reason == e.Reason {
			return true
		}
	}
	return false
}

func trouble(w *world, chance *rand.Rand) {
	p := w.platform
	p.mu.Lock()
	var some *fakeMachine
	if ids := slices.Sorted(maps.Keys(p.machines)); len(ids) > 0 {
		some = p.machines[ids[chance.IntN(len(ids))]]
	}
	byHand := -1
	switch n := chance.IntN(40); {
	case some == nil:
	case n == 0:
		some.Status, some.Exit = platform.Stopped, "exit status 137, killed"
	case n == 1:
		some.mute = !some.mute
	case n == 2:
		some.sick = true
	case n == 3 || n == 4:
		some.sick, some.mute = false, false
	case n == 5:
		delete(p.machines, some.ID)
	case n == 6 && p.unlisted == nil:
		p.unlisted = errors.New("it does not answer")
	case n < 9:
		p.unlisted = nil
	case n == 9:
		p.refuse = fmt.Errorf("no room: %w", platform.ErrCapacity)
	case n < 13:
		p.refuse = nil
	case n == 13 && some.Role == "web":
		some.Token += "-lost" // its record is no more: a stray
	case n == 14:
		byHand = 2 + chance.IntN(5)
	case n == 15:
		byHand = 0
	}
	p.mu.Unlock()
	key := state.ManualKey(farmName, "web")
	switch {
	case byHand > 0:
		w.put(key, state.Manual{N: byHand, At: w.now(), Until: w.now().Add(time.Duration(chance.IntN(120)) * time.Second), By: "ada", Because: "a rehearsal"})
	case byHand == 0:
		if err := w.store.Delete(w.ctx, key); err != nil && !errors.Is(err, store.ErrNotFound) {
			w.t.Fatal(err)
		}
	}
}
