package controller

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/farmhand/terraform-provider-farmhand/internal/dns"
	"github.com/farmhand/terraform-provider-farmhand/internal/dns/dnstest"
	"github.com/farmhand/terraform-provider-farmhand/internal/dns/publishers"
	"github.com/farmhand/terraform-provider-farmhand/internal/spec"
	"github.com/farmhand/terraform-provider-farmhand/internal/state"
	"github.com/farmhand/terraform-provider-farmhand/internal/store"
)

// zones are places that names are published in, by the target's ID.
type zones struct {
	mu      sync.Mutex
	of      map[string]*dnstest.Memory
	secrets map[string]string // that a publisher was opened with
	owners  map[string]bool
}

func newZones() *zones {
	return &zones{of: map[string]*dnstest.Memory{}, secrets: map[string]string{}, owners: map[string]bool{}}
}

func (z *zones) in(id string) *dnstest.Memory {
	z.mu.Lock()
	defer z.mu.Unlock()
	if z.of[id] == nil {
		z.of[id] = &dnstest.Memory{}
	}
	return z.of[id]
}

func (z *zones) open(_ context.Context, t publishers.Target, d publishers.Deps) (dns.Publisher, error) {
	m := z.in(t.ID())
	z.mu.Lock()
	defer z.mu.Unlock()
	z.secrets[t.ID()], z.owners[d.Owner] = d.Secret, true
	return m.Publisher(d.Owner), nil
}

// says is everything that stands in a place.
func (z *zones) says(id string) string {
	var lines []string
	held := z.in(id).Held()
	for _, name := range slices.Sorted(maps.Keys(held)) {
		lines = append(lines, fmt.Sprintf("%s %v", name, held[name].Addresses))
	}
	return strings.Join(lines, "\n")
}

// publishingWorld is a world whose sidecars publish in z, before and after any restart.
func publishingWorld(t *testing.T, z *zones) *world {
	w := newWorld(t, newMemory())
	w.publishIn(z)
	return w
}

func (w *world) publishIn(z *zones) {
	w.t.Helper()
	if err := w.start(); err != nil {
		w.t.Fatal(err)
	}
	w.keeper.opts.OpenPublisher = z.open
}

func (w *world) restart(z *zones) {
	w.t.Helper()
	w.keeper.jobs.wait()
	if err := w.keeper.lease.Release(w.ctx); err != nil {
		w.t.Fatal(err)
	}
	w.publishIn(z)
}

// said are the reasons of the farm's events about names.
func (w *world) said() (reasons []string) {
	w.t.Helper()
	events, err := store.ListJSON[state.Event](w.ctx, w.store, state.EventPrefix(farmName))
	if err != nil {
		w.t.Fatal(err)
	}
	for _, e := range events {
		if e.Value.Kind == "dns" {
			reasons = append(reasons, e.Value.Level+": "+e.Value.Reason)
		}
	}
	return reasons
}

func (w *world) declareName(d spec.DNSRecord) {
	w.t.Helper()
	d.Farm = farmName
	d.SetDefaults()
	w.put(state.DNSKey(farmName, d.Name), d)
}

const (
	hosted  = "Route 53 zone Z1"
	updated = "zone example.org at nameserver 10.0.0.2 by key farm"
)

func webServers(w *world, n int) {
	w.declare(spec.Role{Name: "web", Behavior: "apache", Min: n, Max: n})
}

func TestNamesFollowTheFarm(t *testing.T) {
	z := newZones()
	w := publishingWorld(t, z)
	webServers(w, 1)
	w.declareName(spec.DNSRecord{Name: "www.example.com", Role: "web", Route53: &spec.Route53{HostedZoneID: "Z1"}})
	w.declareName(spec.DNSRecord{Name: "www.example.org", Role: "web", PointsTo: spec.PointsToIndex, Index: 2,
		RFC2136: &spec.RFC2136{Server: "10.0.0.2", Zone: "example.org", KeyName: "farm", SecretVersion: 1}})
	w.declareName(spec.DNSRecord{Name: "inside", Role: "web"})
	w.put(state.DNSSecretKey(farmName, "www.example.org"), state.DNSSecret{Secret: "c2VjcmV0"})
	w.until("web serves", w.serves(1, 0))
	w.until("its name", func() bool { return z.says(hosted) == "www.example.com [10.201.5.10]" })
	if got := z.says(updated); got != "www.example.org []" {
		t.Errorf("the name of a server that is not there yet: %q", got)
	}
	if got := z.secrets[updated]; got != "c2VjcmV0" {
		t.Errorf("its publisher was given the secret %q", got)
	}
	webServers(w, 2)
	w.until("two servers", func() bool {
		return z.says(hosted) == "www.example.com [10.201.5.10 10.201.5.11]" && z.says(updated) == "www.example.org [10.201.5.11]"
	})
	calls := z.in(hosted).Calls()
	for range 20 {
		w.tick()
	}
	if n := z.in(hosted).Calls() - calls; n != 0 {
		t.Errorf("%d publications while nothing changed", n)
	}

	// Another sidecar goes on, and looks once.
	w.restart(z)
	for range 3 {
		w.tick()
	}
	if n := z.in(hosted).Calls() - calls; n != 1 {
		t.Errorf("%d publications after a restart, want 1", n)
	}
	if len(z.owners) != 1 {
		t.Errorf("the owner changed: %v", z.owners)
	}

	// A record that is no longer declared is withdrawn where it was, and its secret goes.
	if err := w.store.Delete(w.ctx, state.DNSKey(farmName, "www.example.org")); err != nil {
		t.Fatal(err)
	}
	w.until("withdrawn", func() bool { return z.says(updated) == "" })
	if _, err := w.store.Get(w.ctx, state.DNSSecretKey(farmName, "www.example.org")); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("the secret of a record that is gone: %v", err)
	}

	deleting[spec.Farm](w, state.FarmKey(farmName))
	for range 100 {
		if w.tick() {
			break
		}
	}
	if got := z.says(hosted); got != "" {
		t.Errorf("after the farm's end there is %q", got)
	}
	known, err := w.store.List(w.ctx, namesPrefix(farmName))
	if err != nil || len(known) != 0 {
		t.Errorf("after the farm's end it is remembered that %v is published (%v)", known, err)
	}
}

func TestTheFarmsZoneIsPublished(t *testing.T) {
	z := newZones()
	w := publishingWorld(t, z)
	// Docker beside it: this world's machines take the addresses that the sidecar gives them.
	farm := spec.Farm{Name: farmName, Zone: "shop.internal", AWS: &spec.AWS{HostedZoneID: "Z1"}, Docker: &spec.Docker{Subnet: "10.201.5.0/24", Image: "base:1"}}
	farm.SetDefaults()
	w.keeper.platSpec = platformJSON(farm)
	w.put(state.FarmKey(farmName), state.Declared[spec.Farm]{Spec: farm})
	webServers(w, 1)
	w.declareName(spec.DNSRecord{Name: "inside", Role: "web"})
	w.declareName(spec.DNSRecord{Name: "shop.example.com", Role: "web", Route53: &spec.Route53{HostedZoneID: "Z1"}})
	w.until("its names", func() bool {
		return z.says(hosted) == `inside.shop.internal [10.201.5.10]
shop.example.com [10.201.5.10]
web-1.web.shop.internal [10.201.5.10]
web.shop.internal [10.201.5.10]`
	})
	a, _, err := store.GetJSON[state.Assignment](w.ctx, w.store, state.AssignmentKey(farmName, "web-1"))
	if err != nil || a.Names != state.NamesPlatform {
		t.Errorf("the instance is told that %q answers (%v)", a.Names, err)
	}
}

// What an agent that answers for itself needs is in the topology.
func TestTheTopologyTellsDeclaredNames(t *testing.T) {
	w := publishingWorld(t, newZones())
	farm := spec.Farm{Name: farmName, Zone: "shop.internal", AWS: &spec.AWS{}}
	farm.SetDefaults()
	w.keeper.platSpec = platformJSON(farm)
	w.put(state.FarmKey(farmName), state.Declared[spec.Farm]{Spec: farm})
	webServers(w, 1)
	w.declareName(spec.DNSRecord{Name: "inside", Role: "web"})
	w.declareName(spec.DNSRecord{Name: "www.example.com", Role: "web", Route53: &spec.Route53{HostedZoneID: "Z1"}})
	w.until("web serves", w.serves(1, 0))
	topology, _, err := store.GetJSON[state.Topology](w.ctx, w.store, state.TopologyKey(farmName))
	if err != nil || len(topology.Names) != 1 || topology.Names[0].Name != "inside" {
		t.Errorf("the topology's names are %v (%v)", topology.Names, err)
	}
}

func TestTroubleWithNamesIsToldOnce(t *testing.T) {
	z := newZones()
	w := publishingWorld(t, z)
	webServers(w, 1)
	tries := 0
	z.in(hosted).Fail(func() error { tries++; return fmt.Errorf("read from port %d: refused", 40000+tries) })
	w.declareName(spec.DNSRecord{Name: "www.example.com", Role: "web", Route53: &spec.Route53{HostedZoneID: "Z1"}})
	w.until("several tries", func() bool { return tries >= 3 })
	if said := w.said(); len(said) != 1 || !strings.HasPrefix(said[0], "warning: names cannot be published in "+hosted) {
		t.Errorf("events of a failing place: %q", said)
	}
	if !w.serves(1, 0)() {
		t.Error("the farm waits for its names")
	}
	z.in(hosted).Fail(nil)
	w.until("published", func() bool { return z.says(hosted) == "www.example.com [10.201.5.10]" })
	if said := strings.Join(w.said()[1:], "\n"); said != "info: published in "+hosted+": www.example.com → 10.201.5.10\ninfo: names are published in "+hosted+" again" {
		t.Errorf("events of its recovery: %s", said)
	}
}

func TestAConflictIsToldByName(t *testing.T) {
	z := newZones()
	w := publishingWorld(t, z)
	z.in(hosted).Hold("www.example.com", dns.Held{Other: "a CNAME record"})
	webServers(w, 1)
	for _, name := range []string{"www.example.com", "shop.example.com"} {
		w.declareName(spec.DNSRecord{Name: name, Role: "web", Route53: &spec.Route53{HostedZoneID: "Z1"}})
	}
	w.until("the other is published", func() bool { return strings.Contains(z.says(hosted), "shop.example.com [10.201.5.10]") })
	for range 20 {
		w.tick()
	}
	conflicts := 0
	for _, reason := range w.said() {
		if strings.Contains(reason, "www.example.com is held by a CNAME record") {
			conflicts++
		}
	}
	if conflicts != 1 {
		t.Errorf("the conflict was told %d times: %q", conflicts, w.said())
	}
}

// A nameserver that is gone for good keeps no farm.
func TestAFarmEndsWithoutItsNameserver(t *testing.T) {
	z := newZones()
	w := publishingWorld(t, z)
	webServers(w, 1)
	w.declareName(spec.DNSRecord{Name: "www.example.com", Role: "web", Route53: &spec.Route53{HostedZoneID: "Z1"}})
	w.until("its name", func() bool { return z.says(hosted) == "www.example.com [10.201.5.10]" })
	z.in(hosted).Fail(func() error { return errors.New("no route to host") })
	deleting[spec.Farm](w, state.FarmKey(farmName))
	began, ended := w.now(), false
	for range 200 {
		if ended = w.tick(); ended {
			break
		}
	}
	if !ended {
		t.Fatal("the farm does not end")
	}
	if took := w.now().Sub(began); took < leaveNames || took > leaveNames+time.Minute {
		t.Errorf("it ended after %s", took)
	}
	if said := w.said(); !strings.Contains(said[len(said)-1], "remove www.example.com there by hand") {
		t.Errorf("the last event is %q", said[len(said)-1])
	}
}

// Records of a sidecar that died between writing down and publishing, and of one that died after it, are found.
func TestNamesSurviveCrashes(t *testing.T) {
	z := newZones()
	w := publishingWorld(t, z)
	webServers(w, 1)
	w.until("web serves", w.serves(1, 0))
	for _, published := range []bool{false, true} {
		die := errors.New("died")
		z.in(hosted).Fail(func() error { return die })
		w.declareName(spec.DNSRecord{Name: "www.example.com", Role: "web", Route53: &spec.Route53{HostedZoneID: "Z1"}})
		w.tick()
		z.in(hosted).Fail(nil)
		if published { // it was, and nobody knows the addresses
			owner, err := w.keeper.namesOwner(w.ctx, w.keeper.publishing)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := z.in(hosted).Publisher(owner).Publish(w.ctx, nil, []dns.Record{{Name: "www.example.com", TTL: time.Second}}); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.store.Delete(w.ctx, state.DNSKey(farmName, "www.example.com")); err != nil {
			t.Fatal(err)
		}
		w.restart(z)
		w.tick()
		w.tick()
		known, err := w.store.List(w.ctx, namesPrefix(farmName))
		if z.says(hosted) != "" || err != nil || len(known) != 0 {
			t.Errorf("published %t: %q stands, %v is remembered (%v)", published, z.says(hosted), known, err)
		}
	}
}
