package controller

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/farmhand/terraform-provider-farmhand/internal/behavior/behaviors"
	"github.com/farmhand/terraform-provider-farmhand/internal/platform"
	"github.com/farmhand/terraform-provider-farmhand/internal/spec"
	"github.com/farmhand/terraform-provider-farmhand/internal/state"
	"github.com/farmhand/terraform-provider-farmhand/internal/store"
)

func web(w *world) *world {
	w.declare(spec.Role{Name: "web", Behavior: "base", Min: 2, Max: 3})
	w.until("both serve", w.serves(2, 0))
	return w
}

func (w *world) heard(kind, part string) bool {
	return slices.ContainsFunc(w.events(), func(e state.Event) bool { return e.Kind == kind && strings.Contains(e.Reason, part) })
}

func TestASidecarThatWasFencedOffDoesNothingMore(t *testing.T) {
	w := web(newWorld(t, newMemory()))
	old := w.keeper
	w.mu.Lock()
	w.time = w.time.Add(11 * time.Second) // it slept through its lease
	w.mu.Unlock()
	w.holder, w.keeper = "sidecar-2", nil
	w.platform.stop("web-1")
	w.tick()
	launches := w.platform.launches

	// The sleeper wakes up: by its clock the lease has run out.
	if err := old.tick(w.ctx); !errors.Is(err, store.ErrFenced) {
		t.Errorf("the former sidecar's tick: %v, want ErrFenced", err)
	}
	// And if its clock stood still, the guard stops it.
	_, err := old.store.Put(w.ctx, state.TopologyKey(farmName), []byte("{}"))
	if !errors.Is(err, store.ErrFenced) {
		t.Errorf("the former sidecar's write: %v, want ErrFenced", err)
	}
	old.jobs.wait()
	if w.platform.launches != launches {
		t.Errorf("the former sidecar launched")
	}
	w.until("two again", w.serves(2, 0))
	w.sound()
}

func TestTakingOverSaysWhatWasAdopted(t *testing.T) {
	w := web(newWorld(t, newMemory()))
	w.keeper, w.holder = nil, "sidecar-1"
	w.tick()
	if !w.heard("sidecar", "sidecar sidecar-1 took over, 2 instances adopted") {
		t.Error(w.describe())
	}
}

func TestAPlatformThatCannotListLosesNobody(t *testing.T) {
	w := web(newWorld(t, newMemory()))
	w.platform.unlisted = fmt.Errorf("dockerd is restarting: %w", platform.ErrUnavailable)
	for range 5 {
		w.tick()
	}
	if len(w.records()) != 2 || len(w.platform.up()) != 2 || w.platform.launches != 2 {
		t.Errorf("something was done about it:\n%s", w.describe())
	}
	said := 0
	for _, e := range w.events() {
		if e.Kind == "platform" {
			said++
		}
	}
	if said != 1 {
		t.Errorf("it was said %d times:\n%s", said, w.describe())
	}
}

func TestARefusedLaunchIsAFailureWithItsReason(t *testing.T) {
	w := newWorld(t, newMemory())
	w.platform.refuse = fmt.Errorf("image base:1 is not there: %w", platform.ErrInvalid)
	w.declare(spec.Role{Name: "web", Behavior: "base", Min: 1, Max: 1})
	for range 4 {
		w.tick()
	}
	if !slices.ContainsFunc(w.events(), func(e state.Event) bool {
		return e.Level == "error" && strings.Contains(e.Reason, "image base:1 is not there")
	}) {
		t.Errorf("no event tells the cause:\n%s", w.describe())
	}
	w.platform.refuse = nil
	w.until("it serves once it can", w.serves(1, 0))
}

func TestAnUnavailablePlatformIsTriedAgainUnderTheSameToken(t *testing.T) {
	w := newWorld(t, newMemory())
	w.platform.refuse = fmt.Errorf("dockerd does not answer: %w", platform.ErrUnavailable)
	w.declare(spec.Role{Name: "web", Behavior: "base", Min: 1, Max: 1})
	w.tick()
	token := w.records()["web-1"].Token
	w.platform.refuse = nil
	w.until("it serves", w.serves(1, 0))
	if now := w.records()["web-1"].Token; now != token || token == "" {
		t.Errorf("token went from %q to %q", token, now)
	}
}

func TestInstancesOfARoleThatVanishedEnd(t *testing.T) {
	w := web(newWorld(t, newMemory()))
	if err := w.store.Delete(w.ctx, state.RoleKey(farmName, "web")); err != nil {
		t.Fatal(err)
	}
	w.until("nothing is left", w.serves(0, 0))
	w.sound()
}

func TestAStrayMachineEnds(t *testing.T) {
	w := web(newWorld(t, newMemory()))
	w.platform.mu.Lock()
	w.platform.machines["stray"] = &fakeMachine{Machine: platform.Machine{ID: "stray", Farm: farmName, Role: "web", Instance: "web-9", Token: "nobody's", Status: platform.Up, Launched: w.now()}}
	w.platform.mu.Unlock()
	w.until("the stray is gone", w.serves(2, 0))
}

func TestVolumesAreKeptWhereDeclared(t *testing.T) {
	for onDestroy, left := range map[string]int{"keep": 1, "delete": 0, "": 0} {
		w := newWorld(t, newMemory())
		r := spec.Role{Name: "db", Behavior: "mysql", Min: 1, Max: 1}
		if onDestroy != "" {
			r.Volume = &spec.Volume{Path: "/var/lib/mysql", OnDestroy: onDestroy}
		}
		w.declare(r)
		w.until("it serves", w.serves(0, 1))
		deleting[spec.Role](w, state.RoleKey(farmName, "db"))
		w.until("it ended", func() bool {
			ended, err := RoleEnded(w.ctx, w.store, farmName, "db")
			return err == nil && ended
		})
		if n := len(w.platform.volumes); n != left {
			t.Errorf("on_destroy %q: %d volumes are left, want %d", onDestroy, n, left)
		}
		_, err := w.store.Get(w.ctx, state.SecretKey(farmName, "db"))
		if kept := err == nil; kept != (left > 0) {
			t.Errorf("on_destroy %q: credentials kept: %t", onDestroy, kept)
		}
	}
}

func TestSecretsAreMadeOnceBesideTheUsersOwnAndNeverSaid(t *testing.T) {
	var log bytes.Buffer
	w := newWorld(t, newMemory())
	w.put(state.SecretKey(farmName, "db"), map[string]string{"API_KEY": "users-own"})
	w.declare(spec.Role{Name: "db", Behavior: "mysql", Min: 1, Max: 1, Secrets: []string{"API_KEY"}})
	if err := w.start(); err != nil {
		t.Fatal(err)
	}
	w.keeper.log = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	w.until("it serves", w.serves(0, 1))
	secret, _, err := store.GetJSON[map[string]string](w.ctx, w.store, state.SecretKey(farmName, "db"))
	if err != nil || secret["API_KEY"] != "users-own" || secret["db_password"] == "" {
		t.Fatalf("secret has %d values, %v", len(secret), err)
	}
	w.keeper = nil
	w.tick()
	again, _, err := store.GetJSON[map[string]string](w.ctx, w.store, state.SecretKey(farmName, "db"))
	if err != nil || again["db_password"] != secret["db_password"] {
		t.Error("a restart changed the database's password")
	}
	if log.Len() == 0 {
		t.Error("nothing was logged")
	}
	entries, err := w.store.List(w.ctx, farmName+"/")
	if err != nil {
		t.Fatal(err)
	}
	for _, value := range []string{secret["db_password"], secret["db_authority"], strings.Split(secret["db_authority"], "\n")[14], "users-own", w.platform.machines["m1"].launch.Bootstrap.Secret} {
		if value == "" {
			t.Error("no secret to look for")
		}
		if strings.Contains(log.String(), value) {
			t.Error("a secret is in the log")
		}
		for _, e := range entries {
			if e.Key != state.SecretKey(farmName, "db") && strings.Contains(string(e.Value), value) {
				t.Errorf("a secret is in %s", e.Key)
			}
		}
	}
}

func TestTopologyHoldsWhoServesAndNobodyWhoLeaves(t *testing.T) {
	w := web(newWorld(t, newMemory()))
	w.declare(spec.Role{Name: "db", Behavior: "mysql", Min: 1, Max: 1})
	w.until("all serve", w.serves(2, 1))
	w.tick()
	if got := fmt.Sprint(w.topology()); got != "map[db:[db-1] web:[web-1 web-2]]" {
		t.Errorf("topology %s", got)
	}
	top, _, err := store.GetJSON[state.Topology](w.ctx, w.store, state.TopologyKey(farmName))
	if err != nil || !top.Roles["db"].Instances[0].Primary || top.Roles["web"].Instances[0].Primary {
		t.Errorf("primaries: %+v, %v", top.Roles, err)
	}
	before, err := w.store.Get(w.ctx, state.TopologyKey(farmName))
	if err != nil {
		t.Fatal(err)
	}
	w.tick()
	if after, err := w.store.Get(w.ctx, state.TopologyKey(farmName)); err != nil || after.Revision != before.Revision {
		t.Errorf("it was written again without a change: %v", err)
	}

	deleting[spec.Role](w, state.RoleKey(farmName, "web"))
	w.tick()
	if r := w.records()["web-1"]; r.Phase != state.Draining {
		t.Fatalf("web-1 is %s", r.Phase)
	}
	if got := w.topology()["web"]; len(got) > 0 {
		t.Errorf("draining instances are in the topology: %v", got)
	}
	a, _, err := store.GetJSON[state.Assignment](w.ctx, w.store, state.AssignmentKey(farmName, "web-1"))
	if err != nil || !a.Draining {
		t.Errorf("its agent is not told that it drains: %v", err)
	}
}

func TestADeclarationIsNeverASurpriseRestart(t *testing.T) {
	w := web(newWorld(t, newMemory()))
	assignment := func(name string) state.Assignment {
		a, _, err := store.GetJSON[state.Assignment](w.ctx, w.store, state.AssignmentKey(farmName, name))
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	check := spec.HealthCheck{TCP: &spec.TCPCheck{Port: 99}, UnhealthyAfter: 7}
	w.declare(spec.Role{Name: "web", Behavior: "base", Min: 2, Max: 3, BootScript: "echo 2", HealthCheck: check})
	w.tick()
	a := assignment("web-1")
	if a.Role.BootScript != "" {
		t.Errorf("the running instance was handed the new boot script")
	}
	if a.Role.HealthCheck.UnhealthyAfter != 7 {
		t.Errorf("the running instance keeps its former health check: %+v", a.Role.HealthCheck)
	}
	successor := ""
	w.until("a successor is launched", func() bool {
		for name, r := range w.records() {
			if r.Generation != w.records()["web-1"].Generation {
				successor = name
				return true
			}
		}
		return false
	})
	if a := assignment(successor); a.Role.BootScript != "echo 2" {
		t.Errorf("%s is made by boot script %q", successor, a.Role.BootScript)
	}
}

func TestWithoutItsApplicationARoleStaysAsItIs(t *testing.T) {
	w := newWorld(t, newMemory())
	w.put(state.ApplicationKey("site"), spec.Application{Name: "site", Release: strings.Repeat("a", 64)})
	w.declare(spec.Role{Name: "web", Behavior: "base", Min: 2, Max: 3, Application: "site"})
	w.until("both serve", w.serves(2, 0))
	if err := w.store.Delete(w.ctx, state.ApplicationKey("site")); err != nil {
		t.Fatal(err)
	}
	for range 5 {
		w.tick()
	}
	if !w.serves(2, 0)() || w.platform.launches != 2 || !w.heard("hold", `application "site" is not in the store`) {
		t.Error(w.describe())
	}
	a, _, err := store.GetJSON[state.Assignment](w.ctx, w.store, state.AssignmentKey(farmName, "web-1"))
	if err != nil || a.Application == nil {
		t.Errorf("the instances lost their application: %v", err)
	}
	w.put(state.ApplicationKey("site"), spec.Application{Name: "site", Release: strings.Repeat("b", 64)})
	w.until("the new release is rolled out", func() bool { return w.serves(2, 0)() && w.platform.launches == 4 })
}

func TestGeneration(t *testing.T) {
	farm := spec.Farm{Docker: &spec.Docker{Image: "base:1"}}
	role := spec.Role{Name: "web", Behavior: "apache", Min: 1, Max: 2, Environment: map[string]string{"A": "1", "B": "2"}}
	app := &spec.Application{Name: "site", Release: "r1", Bytes: 1}
	apache, _ := behaviors.Get("apache")
	of := func(f spec.Farm, r spec.Role, a *spec.Application) string {
		return Generation(f, r, a, apache.Traits())
	}
	same := of(farm, role, app)

	for what, change := range map[string]func(*spec.Farm, *spec.Role, *spec.Application){
		"image of the farm": func(f *spec.Farm, _ *spec.Role, _ *spec.Application) { f.Docker = &spec.Docker{Image: "base:2"} },
		"image":             func(_ *spec.Farm, r *spec.Role, _ *spec.Application) { r.Image = "mine" },
		"behavior":          func(_ *spec.Farm, r *spec.Role, _ *spec.Application) { r.Behavior = "base" },
		"settings":          func(_ *spec.Farm, r *spec.Role, _ *spec.Application) { r.Settings = map[string]string{"a": "b"} },
		"boot script":       func(_ *spec.Farm, r *spec.Role, _ *spec.Application) { r.BootScript = "true" },
		"environment":       func(_ *spec.Farm, r *spec.Role, _ *spec.Application) { r.Environment = map[string]string{"A": "1"} },
		"secrets":           func(_ *spec.Farm, r *spec.Role, _ *spec.Application) { r.SecretsVersion = 2 },
		"release":           func(_ *spec.Farm, _ *spec.Role, a *spec.Application) { a.Release = "r2" },
		"volume":            func(_ *spec.Farm, r *spec.Role, _ *spec.Application) { r.Volume = &spec.Volume{Path: "/data"} },
	} {
		f, r, a := farm, role, *app
		change(&f, &r, &a)
		if of(f, r, &a) == same {
			t.Errorf("a change of %s is no new generation", what)
		}
	}
	for what, change := range map[string]func(*spec.Farm, *spec.Role, *spec.Application){
		"nothing":             func(*spec.Farm, *spec.Role, *spec.Application) {},
		"envelope":            func(_ *spec.Farm, r *spec.Role, _ *spec.Application) { r.Min, r.Max = 3, 9 },
		"health check":        func(_ *spec.Farm, r *spec.Role, _ *spec.Application) { r.HealthCheck.UnhealthyAfter = 9 },
		"drain":               func(_ *spec.Farm, r *spec.Role, _ *spec.Application) { r.Drain = 9 },
		"shutdown hook":       func(_ *spec.Farm, r *spec.Role, _ *spec.Application) { r.ShutdownHook = "exit 1" },
		"who is used":         func(_ *spec.Farm, r *spec.Role, _ *spec.Application) { r.Uses = []string{"shop/db"} },
		"on_destroy":          func(_ *spec.Farm, r *spec.Role, _ *spec.Application) {},
		"an image said twice": func(_ *spec.Farm, r *spec.Role, _ *spec.Application) { r.Image = "base:1" },
	} {
		f, r, a := farm, role, *app
		change(&f, &r, &a)
		if of(f, r, &a) != same {
			t.Errorf("a change of %s is a new generation", what)
		}
	}
}

func TestAddressesAreLowestFreeAndNeverShared(t *testing.T) {
	w := newWorld(t, newMemory())
	var all sync.WaitGroup
	got := make([]string, 12)
	for i := range got {
		all.Go(func() {
			a, err := EnsureAddress(w.ctx, w.store, farmName, state.InstanceName("web", i/2+1)) // two ask for each
			if err != nil {
				t.Error(err)
			}
			got[i] = a
		})
	}
	all.Wait()
	for i := 0; i < len(got); i += 2 {
		if got[i] != got[i+1] {
			t.Errorf("web-%d has %s and %s", i/2+1, got[i], got[i+1])
		}
	}
	slices.Sort(got)
	want := []string{"10.201.5.10", "10.201.5.11", "10.201.5.12", "10.201.5.13", "10.201.5.14", "10.201.5.15"}
	if got = slices.Compact(got); !slices.Equal(got, want) {
		t.Errorf("addresses %v, want %v", got, want)
	}
	if err := releaseAddresses(w.ctx, w.store, farmName, "web"); err != nil {
		t.Fatal(err)
	}
	if a, err := EnsureAddress(w.ctx, w.store, farmName, "db-1"); err != nil || a != "10.201.5.10" {
		t.Errorf("after the release: %s, %v", a, err)
	}
}

func TestASubnetIsUsedUpToItsLastAddress(t *testing.T) {
	prefix := netip.MustParsePrefix("10.201.5.16/28")
	taken := map[string]bool{}
	for {
		a := lowestFree(prefix, taken)
		if a == "" {
			break
		}
		taken[a] = true
	}
	if len(taken) != 5 || !taken["10.201.5.26"] || !taken["10.201.5.30"] {
		t.Errorf("a /28 gives %v, want .26 to .30", taken)
	}
}

func TestAFullSubnetIsSaid(t *testing.T) {
	w := newWorld(t, newMemory())
	farm := spec.Farm{Name: farmName, Zone: "shop.internal", Docker: &spec.Docker{Subnet: "10.201.5.0/28", Image: "base:1"}}
	w.put(state.FarmKey(farmName), state.Declared[spec.Farm]{Spec: farm})
	w.declare(spec.Role{Name: "web", Behavior: "base", Min: 6, Max: 6})
	for range 5 {
		w.tick()
	}
	if !slices.ContainsFunc(w.events(), func(e state.Event) bool {
		return strings.Contains(e.Reason, "all addresses of subnet 10.201.5.0/28 are taken")
	}) {
		t.Error(w.describe())
	}
	if len(w.platform.up()) != 5 {
		t.Errorf("%d machines run, want the five that there is room for", len(w.platform.up()))
	}
}

func TestTheLedgerFoldsWhatStaysTheSame(t *testing.T) {
	w := web(newWorld(t, newMemory()))
	count := func() int {
		entries, err := w.store.List(w.ctx, state.LedgerPrefix(farmName))
		if err != nil {
			t.Fatal(err)
		}
		return len(entries)
	}
	w.tick()
	before := count()
	for range 40 {
		w.tick()
	}
	if n := count(); n != before {
		t.Errorf("40 ticks without a change made %d records", n-before)
	}
	r, err := LatestRecord(w.ctx, w.store, farmName, "web")
	if err != nil || r.Ticks < 20 || r.Account.Serving != 2 || !r.Until.After(r.Since) {
		t.Errorf("the newest record: %+v, %v", r, err)
	}
	for _, e := range w.events() {
		if e.Kind == "launch" {
			if _, err := w.store.Get(w.ctx, state.LedgerKey(farmName, "web", e.Ledger)); err != nil {
				t.Errorf("the event of a launch names ledger record %q: %v", e.Ledger, err)
			}
		}
	}
}

func TestEventsArePrunedAndSort(t *testing.T) {
	w := web(newWorld(t, newMemory()))
	for i := range 30 {
		if err := w.keeper.event(w.ctx, state.Event{Kind: "test", Reason: fmt.Sprint(i)}); err != nil {
			t.Fatal(err)
		}
	}
	if err := prune(w.ctx, w.store, state.EventPrefix(farmName), 10); err != nil {
		t.Fatal(err)
	}
	events := w.events()
	if len(events) != 10 || events[0].Reason != "20" || events[9].Reason != "29" {
		t.Errorf("left: %+v", events)
	}
}

func TestAJobRunsOnceAtATimeAndWaitsAfterAFailure(t *testing.T) {
	now := time.Unix(0, 0)
	j := newJobs(func() time.Time { return now }, func() {})
	l := make(lane, 1)
	release := make(chan struct{})
	if !j.start(t.Context(), l, "a", func(context.Context) error { <-release; return errors.New("no") }) {
		t.Fatal("it did not start")
	}
	if j.start(t.Context(), l, "a", func(context.Context) error { return nil }) {
		t.Error("it runs twice at once")
	}
	close(release)
	j.wait()
	if j.start(t.Context(), l, "a", func(context.Context) error { return nil }) {
		t.Error("it was tried again at once after a failure")
	}
	now = now.Add(time.Minute)
	if !j.start(t.Context(), l, "a", func(context.Context) error { return nil }) {
		t.Error("it was not tried again later")
	}
	j.wait()
}

func TestRunUntilGone(t *testing.T) {
	for _, only := range []string{"", "web"} {
		w := newWorld(t, newMemory())
		w.declare(spec.Role{Name: "web", Behavior: "base", Min: 1, Max: 1})
		w.declare(spec.Role{Name: "db", Behavior: "mysql", Min: 1, Max: 1})
		w.until("both serve", w.serves(1, 1))
		if err := w.keeper.lease.Release(w.ctx); err != nil {
			t.Fatal(err)
		}
		w.platform.stop("db-1") // nobody is asked to heal it where only web is to end
		opts := Options{Store: w.store, Holder: "terraform-1", OpenPlatform: func(context.Context, spec.Farm, store.Store) (platform.Platform, error) { return w.platform, nil }}
		// Nothing is there to be drained for: the role's drain is waited for in real time.
		role, _, err := store.GetJSON[state.Declared[spec.Role]](w.ctx, w.store, state.RoleKey(farmName, "web"))
		if err != nil {
			t.Fatal(err)
		}
		role.Spec.Drain = 0
		w.put(state.RoleKey(farmName, "web"), role)
		ctx, cancel := context.WithTimeout(w.ctx, 30*time.Second)
		defer cancel()
		if only == "" {
			deleting[spec.Farm](w, state.FarmKey(farmName))
			err = RunFarmUntilGone(ctx, opts, farmName)
		} else {
			deleting[spec.Role](w, state.RoleKey(farmName, "web"))
			err = RunRoleUntilGone(ctx, opts, farmName, "web")
		}
		if err != nil {
			t.Fatalf("ending %q: %v\n%s", only, err, w.describe())
		}
		left := 0
		if only != "" {
			left = 1
		}
		if n := len(w.records()); n != left {
			t.Errorf("ending %q left %d records, want %d:\n%s", only, n, left, w.describe())
		}
		if len(w.platform.broken) > 0 {
			t.Error(w.platform.broken)
		}
	}
}

func TestRunUntilGoneRespectsALivingSidecar(t *testing.T) {
	w := web(newWorld(t, newMemory()))
	deleting[spec.Farm](w, state.FarmKey(farmName))
	opts := Options{Store: w.store, Holder: "terraform-1", Now: w.now, LeaseTTL: time.Nanosecond}
	if err := RunFarmUntilGone(w.ctx, opts, farmName); !errors.Is(err, store.ErrHeld) {
		t.Errorf("%v, want ErrHeld", err)
	}
}

// Unknown behaviors come from a newer provider; the farm's other roles are kept all the same.
func TestAnUnknownBehaviorStopsNobody(t *testing.T) {
	w := newWorld(t, newMemory())
	w.declare(spec.Role{Name: "web", Behavior: "base", Min: 1, Max: 1})
	w.declare(spec.Role{Name: "odd", Behavior: "from-the-future", Min: 0, Max: 1})
	w.until("web serves", w.serves(1, 0))
}
