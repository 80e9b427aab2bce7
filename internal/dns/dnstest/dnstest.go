// Package dnstest is the contract of dns.Publisher, run against each implementation.
package dnstest

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/farmhand/terraform-provider-farmhand/internal/dns"
)

// Zone is one that publishers can be made for, empty but for what every zone has.
type Zone struct {
	Name string
	// New makes a publisher of an owner, as a process that has just started does.
	New func(owner string) dns.Publisher
	// Look resolves a full name, "*" taken literally: its addresses and TTL in seconds.
	Look func(name string) (addresses []string, ttl int)
	// Foreign makes an address record that no farm owns.
	Foreign func(name, address string)
	// Ownerships counts the ownership texts in the zone.
	Ownerships func() int
}

// world is a zone and what one owner remembers between publications.
type world struct {
	*testing.T
	Zone
	former map[string][]dns.Record
}

// Run runs the contract. open is called for each story.
func Run(t *testing.T, open func(t *testing.T) Zone) {
	for name, story := range map[string]func(*world){
		"published, changed, withdrawn": changes, "foreign records survive": foreign, "another farm's names": owners,
		"a restart goes on": restart, "a crash before the answer": crash, "two of one farm": race,
		"nobody serves": nobody, "hundreds of names": many, "wildcards": wildcards, "its context ends": ends,
	} {
		t.Run(name, func(t *testing.T) {
			story(&world{T: t, Zone: open(t), former: map[string][]dns.Record{}})
		})
	}
}

func (w *world) record(name string, ttl int, addresses ...string) dns.Record {
	r := dns.Record{Name: name + "." + w.Name, TTL: time.Duration(ttl) * time.Second}
	for _, a := range addresses {
		r.Addresses = append(r.Addresses, netip.MustParseAddr(a))
	}
	return r
}

// publish does as the sidecar does, and returns the changes as text.
func (w *world) publish(p dns.Publisher, owner string, want ...dns.Record) ([]string, error) {
	w.Helper()
	changed, err := p.Publish(w.Context(), w.former[owner], want)
	w.former[owner] = dns.After(w.former[owner], want, err)
	var said []string
	for _, c := range changed {
		said = append(said, c.String())
	}
	slices.Sort(said)
	return said, err
}

func (w *world) must(p dns.Publisher, owner string, want ...dns.Record) []string {
	w.Helper()
	said, err := w.publish(p, owner, want...)
	if err != nil {
		w.Fatalf("publishing: %v", err)
	}
	return said
}

func (w *world) expect(name string, ttl int, addresses ...string) {
	w.Helper()
	got, gotTTL := w.Look(name + "." + w.Name)
	slices.Sort(got)
	slices.Sort(addresses)
	if !slices.Equal(got, addresses) || len(addresses) > 0 && gotTTL != ttl {
		w.Errorf("%s is %v for %d s, want %v for %d s", name, got, gotTTL, addresses, ttl)
	}
}

func (w *world) same(what string, got, want []string) {
	w.Helper()
	if !slices.Equal(got, want) {
		w.Errorf("%s: changes are %q, want %q", what, got, want)
	}
}

func changes(w *world) {
	p := w.New("shop")
	web, db := w.record("web", 5, "10.0.0.1", "10.0.0.2"), w.record("db-1.db", 60, "10.0.0.9")
	w.same("first", w.must(p, "shop", web, db), []string{db.Name + " → 10.0.0.9", web.Name + " → 10.0.0.1 10.0.0.2"})
	w.expect("web", 5, "10.0.0.1", "10.0.0.2")
	w.expect("db-1.db", 60, "10.0.0.9")
	w.same("again", w.must(p, "shop", web, db), nil)
	w.same("in another order", w.must(p, "shop", db, w.record("web", 5, "10.0.0.2", "10.0.0.1")), nil)

	web = w.record("web", 5, "10.0.0.2", "2001:db8::1")
	w.same("another address", w.must(p, "shop", web, db), []string{web.Name + " → 10.0.0.2 2001:db8::1"})
	w.expect("web", 5, "10.0.0.2", "2001:db8::1")
	web = w.record("web", 7, "10.0.0.2")
	w.must(p, "shop", web, db)
	w.expect("web", 7, "10.0.0.2")
	w.same("another TTL", w.must(p, "shop", web, w.record("db-1.db", 61, "10.0.0.9")), []string{db.Name + " → 10.0.0.9"})
	w.expect("db-1.db", 61, "10.0.0.9")

	w.same("withdrawn", w.must(p, "shop", web), []string{db.Name + " withdrawn"})
	w.expect("db-1.db", 0)
	w.must(p, "shop")
	w.expect("web", 0)
	if n := w.Ownerships(); n != 0 {
		w.Errorf("%d ownership texts are left when everything is withdrawn", n)
	}
	w.same("nothing, again", w.must(p, "shop"), nil)
}

func foreign(w *world) {
	w.Foreign("www."+w.Name, "192.0.2.1")
	w.Foreign("mail."+w.Name, "192.0.2.2")
	p := w.New("shop")
	said, err := w.publish(p, "shop", w.record("www", 5, "10.0.0.1"), w.record("web", 5, "10.0.0.2"))
	conflicts := dns.Conflicts(err)
	if len(conflicts) != 1 || conflicts[0].Name != "www."+w.Name {
		w.Fatalf("publishing over a foreign record: %v; want a conflict that names it", err)
	}
	w.same("beside a conflict", said, []string{"web." + w.Name + " → 10.0.0.2"})
	w.expect("web", 5, "10.0.0.2")
	said, err = w.publish(p, "shop", w.record("www", 5, "10.0.0.1"), w.record("web", 5, "10.0.0.3"))
	if len(dns.Conflicts(err)) != 1 {
		w.Errorf("the second time: %v; want the conflict again", err)
	}
	w.same("a change beside a conflict", said, []string{"web." + w.Name + " → 10.0.0.3"})
	w.must(p, "shop")
	for name, address := range map[string]string{"www." + w.Name: "192.0.2.1", "mail." + w.Name: "192.0.2.2"} {
		if got, _ := w.Look(name); !slices.Equal(got, []string{address}) {
			w.Errorf("the foreign %s is %v after all is withdrawn", name, got)
		}
	}
}

func owners(w *world) {
	shop, market := w.New("shop"), w.New("market")
	w.must(shop, "shop", w.record("web", 5, "10.0.0.1"))
	_, err := w.publish(market, "market", w.record("web", 5, "10.1.0.1"), w.record("db", 5, "10.1.0.2"))
	if c := dns.Conflicts(err); len(c) != 1 || c[0].Name != "web."+w.Name {
		w.Errorf("another farm's name: %v; want a conflict that names it", err)
	}
	w.expect("web", 5, "10.0.0.1")
	w.expect("db", 5, "10.1.0.2")
	// One that remembers a name as its own, wrongly, withdraws nothing that is not.
	w.former["market"] = append(w.former["market"], w.record("web", 5, "10.0.0.1"))
	w.must(market, "market")
	w.expect("web", 5, "10.0.0.1")
	w.must(shop, "shop")
	w.must(market, "market", w.record("web", 5, "10.1.0.1"))
	w.expect("web", 5, "10.1.0.1")
}

func restart(w *world) {
	w.must(w.New("shop"), "shop", w.record("web", 5, "10.0.0.1"), w.record("old", 5, "10.0.0.2"))
	next := w.New("shop")
	w.same("after a restart", w.must(next, "shop", w.record("web", 5, "10.0.0.3"), w.record("new", 5, "10.0.0.4")),
		[]string{"new." + w.Name + " → 10.0.0.4", "old." + w.Name + " withdrawn", "web." + w.Name + " → 10.0.0.3"})
	w.expect("web", 5, "10.0.0.3")
	w.expect("old", 0)
	w.same("after another", w.must(w.New("shop"), "shop", w.record("web", 5, "10.0.0.3"), w.record("new", 5, "10.0.0.4")), nil)
}

// crash: names were published and the process died before it knew. What it wrote down before names them.
func crash(w *world) {
	want := []dns.Record{w.record("web", 5, "10.0.0.1"), w.record("gone", 5, "10.0.0.2")}
	before := dns.Before(nil, want)
	if _, err := w.New("shop").Publish(w.Context(), nil, want); err != nil {
		w.Fatal(err)
	}
	w.former["shop"] = before
	w.must(w.New("shop"), "shop", w.record("web", 5, "10.0.0.1"))
	w.expect("web", 5, "10.0.0.1")
	w.expect("gone", 0)

	// And one that died before anything was published.
	w.former["shop"] = append(w.former["shop"], dns.Record{Name: "never." + w.Name})
	w.must(w.New("shop"), "shop")
	if n := w.Ownerships(); n != 0 {
		w.Errorf("%d ownership texts are left", n)
	}
}

// race: a sidecar that was taken over still publishes what it knew.
func race(w *world) {
	a, b := w.New("shop"), w.New("shop")
	first, second := []dns.Record{w.record("web", 5, "10.0.0.1")}, []dns.Record{w.record("web", 5, "10.0.0.2"), w.record("db", 5, "10.0.0.3")}
	former := dns.Before(first, second)
	var both sync.WaitGroup
	for range 3 {
		// Either may lose and say so; neither harms.
		both.Go(func() { _, _ = a.Publish(w.Context(), former, first) })
		both.Go(func() { _, _ = b.Publish(w.Context(), former, second) })
		both.Wait()
	}
	w.former["shop"] = former
	w.must(b, "shop", second...)
	for range 2 { // what b believes of the zone may rest on a's last word; nothing worse than that
		w.must(w.New("shop"), "shop", second...)
	}
	w.expect("web", 5, "10.0.0.2")
	w.expect("db", 5, "10.0.0.3")
	if n := w.Ownerships(); n != 2 {
		w.Errorf("%d ownership texts for 2 names", n)
	}
}

func nobody(w *world) {
	p := w.New("shop")
	w.must(p, "shop", w.record("web", 5, "10.0.0.1"))
	w.same("nobody", w.must(p, "shop", w.record("web", 5)), []string{"web." + w.Name + " → nobody"})
	w.expect("web", 0)
	w.same("nobody, again", w.must(p, "shop", w.record("web", 5)), nil)
	w.same("nobody, after a restart", w.must(w.New("shop"), "shop", w.record("web", 5)), nil)
	if _, err := w.publish(w.New("market"), "market", w.record("web", 5, "10.1.0.1")); len(dns.Conflicts(err)) != 1 {
		w.Errorf("a name that nobody serves under was given to another farm: %v", err)
	}
	w.must(p, "shop", w.record("web", 5, "10.0.0.2"))
	w.expect("web", 5, "10.0.0.2")
}

func many(w *world) {
	p := w.New("shop")
	const names = 620 // more than one request of any publisher takes
	want := make([]dns.Record, 0, names)
	for i := range names {
		want = append(want, w.record("web-"+string([]byte{'a' + byte(i/26/26), 'a' + byte(i/26%26), 'a' + byte(i%26)})+".web", 5,
			netip.AddrFrom4([4]byte{10, 0, byte(i / 250), byte(i%250 + 1)}).String()))
	}
	if n := len(w.must(p, "shop", want...)); n != names {
		w.Errorf("%d changes for %d names", n, names)
	}
	if n := w.Ownerships(); n != names {
		w.Errorf("%d ownership texts for %d names", n, names)
	}
	w.same("again, after a restart", w.must(w.New("shop"), "shop", want...), nil)
	w.must(p, "shop")
	if n := w.Ownerships(); n != 0 {
		w.Errorf("%d ownership texts are left", n)
	}
}

func wildcards(w *world) {
	p := w.New("shop")
	w.must(p, "shop", w.record("*.app", 5, "10.0.0.1"))
	w.expect("*.app", 5, "10.0.0.1")
	// A name that the wildcard answers for is free all the same.
	w.must(p, "shop", w.record("*.app", 5, "10.0.0.1"), w.record("one.app", 5, "10.0.0.2"))
	w.expect("one.app", 5, "10.0.0.2")
	w.same("after a restart", w.must(w.New("shop"), "shop", w.record("*.app", 5, "10.0.0.1"), w.record("one.app", 5, "10.0.0.2")), nil)
	w.must(p, "shop")
	w.expect("*.app", 0)
}

func ends(w *world) {
	ctx, cancel := context.WithCancelCause(w.Context())
	cancel(errors.New("the sidecar stops"))
	if _, err := w.New("shop").Publish(ctx, nil, []dns.Record{w.record("web", 5, "10.0.0.1")}); err == nil {
		w.Error("publishing after the context's end: no error")
	}
	w.expect("web", 0)
}
