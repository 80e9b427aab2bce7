package route53

import (
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/farmhand/terraform-provider-farmhand/internal/dns"
	"github.com/farmhand/terraform-provider-farmhand/internal/dns/dnstest"
)

func (s *service) publisher(owner string) *Publisher {
	return New(s.config(), Options{HostedZoneID: zoneID, Zone: s.zone, Owner: owner})
}

func TestContract(t *testing.T) {
	dnstest.Run(t, func(t *testing.T) dnstest.Zone {
		s := newService(t, "shop.example")
		return dnstest.Zone{
			Name:    s.zone,
			New:     func(owner string) dns.Publisher { return s.publisher(owner) },
			Look:    s.look,
			Foreign: func(name, address string) { s.set(name+".", "A", 300, address) },
			Ownerships: func() int {
				return s.ownerships()
			},
		}
	})
}

func record(name string, addresses ...string) dns.Record {
	r := dns.Record{Name: name + ".shop.example", TTL: 5 * time.Second}
	for _, a := range addresses {
		r.Addresses = append(r.Addresses, netip.MustParseAddr(a))
	}
	return r
}

func TestOneChangeIsOneBatch(t *testing.T) {
	s := newService(t, "shop.example")
	p := s.publisher("shop")
	publish := func(want ...dns.Record) {
		t.Helper()
		if _, err := p.Publish(t.Context(), nil, want); err != nil {
			t.Fatal(err)
		}
	}
	publish(record("web", "10.0.0.1"), record("db", "10.0.0.2"))
	publish(record("web", "10.0.0.3"), record("cache", "10.0.0.4"))
	publish(record("web", "10.0.0.3"), record("cache", "10.0.0.4"))
	if len(s.batches) != 2 {
		t.Fatalf("%d batches for two changes", len(s.batches))
	}
	if s.lists != 1 {
		t.Errorf("the zone was listed %d times: once is enough as long as nobody else changes it", s.lists)
	}
	var said []string
	for _, c := range s.batches[1].ChangeBatch.Changes.Change {
		said = append(said, c.Action+" "+c.ResourceRecordSet.key()+" "+strings.Join(c.ResourceRecordSet.values(), " "))
	}
	want := `CREATE _farmhand.cache.shop.example. TXT "heritage=farmhand,farmhand/owner=shop"
CREATE cache.shop.example. A 10.0.0.4
DELETE web.shop.example. A 10.0.0.1
CREATE web.shop.example. A 10.0.0.3
DELETE _farmhand.db.shop.example. TXT "heritage=farmhand,farmhand/owner=shop"
DELETE db.shop.example. A 10.0.0.2`
	if got := strings.Join(said, "\n"); got != want {
		t.Errorf("the second batch:\n%s\nwant:\n%s", got, want)
	}
}

func TestAForeignHandMeanwhile(t *testing.T) {
	s := newService(t, "shop.example")
	p := s.publisher("shop")
	if _, err := p.Publish(t.Context(), nil, []dns.Record{record("web", "10.0.0.1")}); err != nil {
		t.Fatal(err)
	}
	// Somebody edits the record and makes another one, neither of which the publisher has read.
	s.set("web.shop.example.", "A", 300, "192.0.2.1")
	s.set("new.shop.example.", "CNAME", 300, "example.org")
	_, err := p.Publish(t.Context(), nil, []dns.Record{record("web", "10.0.0.2"), record("new", "10.0.0.3")})
	if c := dns.Conflicts(err); len(c) != 1 || c[0].Name != "new.shop.example" || c[0].Holder != "a CNAME record" {
		t.Errorf("publishing over a CNAME record: %v", err)
	}
	if got, _ := s.look("web.shop.example"); len(got) != 1 || got[0] != "10.0.0.2" {
		t.Errorf("our own record that was edited is %v: it is to be ours again", got)
	}
}

func TestThrottlingIsWaitedFor(t *testing.T) {
	s := newService(t, "shop.example")
	refusals := []string{"Throttling", "PriorRequestNotComplete"}
	s.before = func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method != http.MethodPost || len(refusals) == 0 {
			return false
		}
		fail(w, http.StatusBadRequest, refusals[0], "Rate exceeded")
		refusals = refusals[1:]
		return true
	}
	if _, err := s.publisher("shop").Publish(t.Context(), nil, []dns.Record{record("web", "10.0.0.1")}); err != nil {
		t.Fatal(err)
	}
	if got, _ := s.look("web.shop.example"); len(got) != 1 {
		t.Errorf("web is %v", got)
	}
}

func TestZonesThatDoNotFit(t *testing.T) {
	s := newService(t, "shop.example")
	for name, c := range map[string]struct {
		change func(*Options)
		says   string
	}{
		"another zone": {func(o *Options) { o.Zone = "shop.internal" }, "set the farm's zone to shop.example"},
		"no such zone": {func(o *Options) { o.HostedZoneID = "ZNONE" }, "Is it the id of a hosted zone of this account"},
		"a part of it": {func(o *Options) { o.Zone = "a.shop.example" }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			o := Options{HostedZoneID: "/hostedzone/" + zoneID, Zone: s.zone, Owner: "shop"}
			c.change(&o)
			_, err := New(s.config(), o).Publish(t.Context(), nil, nil)
			if c.says == "" && err != nil || c.says != "" && (err == nil || !strings.Contains(err.Error(), c.says)) {
				t.Errorf("error %v, want one that says %q", err, c.says)
			}
		})
	}
}
