package controller

import (
	"testing"
	"time"

	"github.com/farmhand/terraform-provider-farmhand/internal/spec"
	"github.com/farmhand/terraform-provider-farmhand/internal/state"
	"github.com/farmhand/terraform-provider-farmhand/internal/store"
)

// TestWhatAForecastLearnsIsKept: a quarter of an hour that has ended is written down, a sidecar that comes back goes on
// from there, and it goes with its role.
func TestWhatAForecastLearnsIsKept(t *testing.T) {
	w := web(newWorld(t, newMemory()))
	p := spec.Policy{Farm: farmName, Role: "web", Metric: &spec.Metric{Kind: spec.LoadAverage}, Forecast: &spec.Forecast{Target: 1}}
	p.SetDefaults()
	w.put(state.PolicyKey(farmName, "web", p.Name), p)
	key := state.HistoryKey(farmName, "web", p.Name)

	w.tick()
	stored := func() state.History {
		h, _, err := store.GetJSON[state.History](w.ctx, w.store, key)
		if err != nil {
			t.Fatal(err)
		}
		return h
	}
	learn := func(h state.History) {
		if err := w.keeper.learn(w.ctx, map[string]map[string]state.History{"web": {p.Name: h}}); err != nil {
			t.Fatal(err)
		}
	}
	ended := w.now().Truncate(15 * time.Minute)
	learn(state.History{Of: p.Metric.Key(), Zone: "UTC", Closed: ended})
	learn(state.History{Of: p.Metric.Key(), Zone: "UTC", Closed: ended, Open: state.Quarter{Start: ended, N: 1}})
	if h := stored(); !h.Closed.Equal(ended) || h.Open.N != 0 {
		t.Errorf("as of the quarter's end it is kept as %+v", h)
	}
	if err := w.start(); err != nil { // another sidecar
		t.Fatal(err)
	}
	w.tick()
	if h := w.keeper.learnt[key]; h == nil || !h.Closed.Equal(ended) {
		t.Errorf("another sidecar goes on from %+v", h)
	}
	declared, _, err := store.GetJSON[state.Declared[spec.Role]](w.ctx, w.store, state.RoleKey(farmName, "web"))
	if err != nil {
		t.Fatal(err)
	}
	declared.Deleting = true
	w.put(state.RoleKey(farmName, "web"), declared)
	w.until("it is forgotten", func() bool {
		_, err := w.store.Get(w.ctx, key)
		return err != nil
	})
}
