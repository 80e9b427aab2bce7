package controller

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/farmhand/terraform-provider-farmhand/internal/platform"
	"github.com/farmhand/terraform-provider-farmhand/internal/spec"
	"github.com/farmhand/terraform-provider-farmhand/internal/state"
	"github.com/farmhand/terraform-provider-farmhand/internal/store"
)

const farmName = "shop"

// world is a farm, its platform, and a sidecar that ticks when told to. Time passes between ticks only.
type world struct {
	t        testing.TB
	ctx      context.Context
	store    store.Store
	platform *fakePlatform
	holder   string
	keeper   *keeper
	// successor is the holder that comes after a sidecar that died.
	successor string
	cloud     *cloudPlatform // in place of platform, which it is made of; nil: none
	shots     *shotPlatform  // likewise
	crash     *crash         // what the sidecar's calls go through; nil: nothing happens to them

	mu   sync.Mutex
	time time.Time
}

func newWorld(t testing.TB, s store.Store) *world {
	w := &world{t: t, ctx: t.Context(), store: s, holder: "sidecar-1", successor: "sidecar-1", time: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}
	w.platform = newFakePlatform(s, farmName, w.now)
	farm := spec.Farm{Name: farmName, Zone: "shop.internal", Docker: &spec.Docker{Subnet: "10.201.5.0/24", Image: "base:1"}}
	farm.SetDefaults()
	w.put(state.FarmKey(farmName), state.Declared[spec.Farm]{Spec: farm})
	w.put(state.FarmIndexKey(farmName), state.FarmEntry{Name: farmName, Created: w.time})
	return w
}

func (w *world) now() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.time
}

func (w *world) put(key string, v any) {
	w.t.Helper()
	if _, err := store.PutJSON(w.ctx, w.store, key, v); err != nil {
		w.t.Fatal(err)
	}
}

// declare writes a role as the provider does.
func (w *world) declare(r spec.Role) {
	w.t.Helper()
	r.Farm = farmName
	r.SetDefaults()
	r.Drain = spec.Duration(4 * time.Second)
	w.put(state.RoleKey(farmName, r.Name), state.Declared[spec.Role]{Spec: r})
}

// delete sets what is declared under key to be ended.
func deleting[T any](w *world, key string) {
	w.t.Helper()
	d, _, err := store.GetJSON[state.Declared[T]](w.ctx, w.store, key)
	if err != nil {
		w.t.Fatal(err)
	}
	d.Deleting = true
	w.put(key, d)
}

// start begins a run of a sidecar: it takes the lease, as after a restart.
func (w *world) start() error {
	s := w.store
	var p platform.Platform = w.platform
	if w.cloud != nil {
		p = w.cloud
	}
	if w.shots != nil {
		p = w.shots
	}
	if w.crash != nil {
		s, p = crashStore{w.store, w.crash}, crashPlatform{w.platform, w.crash}
		if w.cloud != nil {
			p = crashCloud{crashPlatform{w.platform, w.crash}, w.cloud}
		}
		if w.shots != nil {
			p = crashShots{crashPlatform{w.platform, w.crash}, w.shots}
		}
	}
	opts, err := Options{Store: s, Holder: w.holder, Now: w.now,
		OpenPlatform: func(context.Context, spec.Farm, store.Store) (platform.Platform, error) { return p, nil }}.complete()
	if err != nil {
		return err
	}
	k := newKeeper(opts, farmName)
	lease, err := store.AcquireLease(w.ctx, s, state.LeaseKey(farmName), state.FenceKey(farmName), w.holder, opts.LeaseTTL, w.now)
	if err != nil {
		return err
	}
	k.begin(w.ctx, lease)
	farm, _, err := store.GetJSON[state.Declared[spec.Farm]](w.ctx, w.store, state.FarmKey(farmName))
	if err != nil {
		return err
	}
	if w.cloud == nil {
		k.runtime = state.Runtime{Gateway: "127.0.0.1:1", Nameserver: "127.0.0.1:2"}
	}
	if err := k.open(w.ctx, farm.Spec); err != nil {
		return err
	}
	w.keeper = k
	return nil
}

// tick lets two seconds pass, the agents report, and the sidecar look and act; a sidecar that is dead is started
// again. It tells whether the farm has ended.
func (w *world) tick() (ended bool) {
	w.t.Helper()
	w.mu.Lock()
	w.time = w.time.Add(2 * time.Second)
	w.mu.Unlock()
	w.platform.live(w.ctx)
	if w.keeper == nil {
		err := w.start()
		if errors.Is(err, store.ErrHeld) {
			return false // by the dead one, for a while
		}
		if err != nil {
			w.died(err)
			return false
		}
	}
	if err := w.keeper.lease.Renew(w.ctx); err != nil {
		w.died(err)
		return false
	}
	err := w.keeper.tick(w.ctx)
	w.keeper.jobs.wait()
	switch {
	case errors.Is(err, errEnded):
		return true
	case err != nil || w.crash.dead():
		w.died(err)
	}
	return false
}

// died takes a dead sidecar away; that it died of anything but the crash is a failure.
func (w *world) died(err error) {
	w.t.Helper()
	if !w.crash.dead() {
		w.t.Fatalf("the sidecar failed: %v", err)
	}
	w.keeper, w.crash, w.holder = nil, nil, w.successor
}

// until ticks until ok, at most for a while.
func (w *world) until(what string, ok func() bool) {
	w.t.Helper()
	for range 60 {
		if ok() {
			return
		}
		if w.tick() {
			break
		}
	}
	if !ok() {
		w.t.Fatalf("never came to: %s\n%s", what, w.describe())
	}
}

// serves tells whether web and db have so many instances, all of which serve, with nothing else about.
func (w *world) serves(web, db int) func() bool {
	return func() bool {
		up, of := w.platform.up(), map[string]int{}
		for name, r := range w.records() {
			if r.Phase != state.Running || up[name] != r.Generation {
				return false
			}
			of[r.Role]++
		}
		return of["web"] == web && of["db"] == db && len(up) == web+db
	}
}

func (w *world) records() map[string]state.Instance {
	w.t.Helper()
	items, err := store.ListJSON[state.Instance](w.ctx, w.store, state.InstancePrefix(farmName))
	if err != nil {
		w.t.Fatal(err)
	}
	records := map[string]state.Instance{}
	for _, i := range items {
		records[i.Value.Name()] = i.Value
	}
	return records
}

func (w *world) events() []state.Event {
	w.t.Helper()
	items, err := store.ListJSON[state.Event](w.ctx, w.store, state.EventPrefix(farmName))
	if err != nil {
		w.t.Fatal(err)
	}
	var events []state.Event
	for _, i := range items {
		events = append(events, i.Value)
	}
	return events
}

// sound fails the test if the platform saw what must never be, or if something was left behind.
func (w *world) sound() {
	w.t.Helper()
	if len(w.platform.broken) > 0 {
		w.t.Fatalf("the platform complains:\n%s\n%s", strings.Join(w.platform.broken, "\n"), w.describe())
	}
	records := w.records()
	for _, prefix := range []string{state.AssignmentKey(farmName, ""), state.TokenKey(farmName, "")} {
		entries, err := w.store.List(w.ctx, prefix)
		if err != nil {
			w.t.Fatal(err)
		}
		for _, e := range entries {
			if _, ok := records[strings.TrimPrefix(e.Key, prefix)]; !ok {
				w.t.Fatalf("%s was left behind", e.Key)
			}
		}
	}
	for _, e := range w.events() {
		if e.Reason == "" || e.Kind == "" || e.Level == "" {
			w.t.Fatalf("an event without a word: %+v", e)
		}
	}
}

func (w *world) describe() string {
	var b strings.Builder
	fmt.Fprintf(&b, "machines: %v\nrecords:\n", w.platform.up())
	for name, r := range w.records() {
		fmt.Fprintf(&b, "  %s %s %s %s %+v\n", name, r.Phase, r.PlatformID, r.Reason, r.Failure)
	}
	events := w.events()
	b.WriteString("events:\n")
	for _, e := range events[max(0, len(events)-25):] {
		fmt.Fprintf(&b, "  %s %s%s %s: %s\n", e.At.Format("15:04:05"), e.Role, e.Instance, e.Kind, e.Reason)
	}
	return b.String()
}

// topology are the names of who serves, by role.
func (w *world) topology() map[string][]string {
	w.t.Helper()
	t, _, err := store.GetJSON[state.Topology](w.ctx, w.store, state.TopologyKey(farmName))
	if err != nil {
		w.t.Fatal(err)
	}
	names := map[string][]string{}
	for role, rt := range t.Roles {
		for _, m := range rt.Instances {
			names[role] = append(names[role], m.Name)
		}
		slices.Sort(names[role])
	}
	return names
}
