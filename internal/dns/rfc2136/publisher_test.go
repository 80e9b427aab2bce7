package rfc2136

import (
	"context"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	wire "github.com/miekg/dns"

	"github.com/farmhand/terraform-provider-farmhand/internal/dns"
	"github.com/farmhand/terraform-provider-farmhand/internal/dns/bindtest"
	"github.com/farmhand/terraform-provider-farmhand/internal/dns/dnstest"
)

func publisher(b *bindtest.Server, zone, owner string) *Publisher {
	return New(Options{Server: b.Addr, Zone: zone, Owner: owner, KeyName: bindtest.KeyName, KeyAlgorithm: "hmac-sha256", KeySecret: bindtest.KeySecret})
}

// names are those that were ever to be published: a zone does not list its ownership texts without a transfer.
type names struct {
	mu    sync.Mutex
	known map[string]bool
}

type noting struct {
	*Publisher
	names *names
}

func (n *noting) Publish(ctx context.Context, former, want []dns.Record) ([]dns.Change, error) {
	n.names.mu.Lock()
	for _, r := range append(slices.Clone(former), want...) {
		n.names.known[r.Name] = true
	}
	n.names.mu.Unlock()
	return n.Publisher.Publish(ctx, former, want)
}

func TestContract(t *testing.T) {
	var zones []string
	for i := range 20 {
		zones = append(zones, "z"+strconv.Itoa(i)+".internal")
	}
	b := bindtest.Start(t, zones...)
	next := 0
	dnstest.Run(t, func(t *testing.T) dnstest.Zone {
		zone := zones[next]
		next++
		s := &names{known: map[string]bool{}}
		return dnstest.Zone{
			Name: zone,
			New:  func(owner string) dns.Publisher { return &noting{publisher(b, zone, owner), s} },
			Look: func(name string) (addresses []string, ttl int) {
				for _, kind := range []uint16{wire.TypeA, wire.TypeAAAA} {
					for _, rr := range b.Ask(name, kind) {
						if a, ok := addressOf(rr); ok {
							addresses, ttl = append(addresses, a.String()), int(rr.Header().Ttl)
						}
					}
				}
				return addresses, ttl
			},
			Foreign: func(name, address string) {
				b.Update(zone, func(m *wire.Msg) { m.Insert([]wire.RR{bindtest.Parse(t, name+". 300 IN A "+address)}) })
			},
			Ownerships: func() int {
				n := 0
				for name := range s.known {
					n += len(b.Ask(dns.OwnershipName(name), wire.TypeTXT))
				}
				return n
			},
		}
	})
}

// serial is the zone's: BIND counts it up once per update that changes anything.
func serial(b *bindtest.Server, zone string) uint32 {
	return b.Ask(zone, wire.TypeSOA)[0].(*wire.SOA).Serial
}

func TestOneChangeIsOneUpdate(t *testing.T) {
	b := bindtest.Start(t, "shop.internal")
	p := publisher(b, "shop.internal", "shop")
	record := func(name, address string) dns.Record {
		return dns.Record{Name: name + ".shop.internal", TTL: 5 * time.Second, Addresses: []netip.Addr{netip.MustParseAddr(address)}}
	}
	first := []dns.Record{record("web", "10.0.0.1"), record("db", "10.0.0.2")}
	second := []dns.Record{record("web", "10.0.0.3"), record("cache", "10.0.0.4")}
	for i, step := range [][2][]dns.Record{{nil, first}, {first, second}, {second, second}, {second, nil}} {
		before := serial(b, "shop.internal")
		if _, err := p.Publish(t.Context(), step[0], step[1]); err != nil {
			t.Fatal(err)
		}
		want := uint32(1)
		if i == 2 {
			want = 0
		}
		if got := serial(b, "shop.internal") - before; got != want {
			t.Errorf("publication %d was %d updates, want %d", i, got, want)
		}
	}
}

func TestRefusalsSayWhatToDo(t *testing.T) {
	b := bindtest.Start(t, "shop.internal")
	want := []dns.Record{{Name: "web.shop.internal", TTL: time.Second, Addresses: []netip.Addr{netip.MustParseAddr("10.0.0.1")}}}
	for name, c := range map[string]struct {
		change func(*Options)
		says   string
	}{
		"another secret":    {func(o *Options) { o.KeySecret = "b3RoZXI=" }, "compare its name, algorithm and secret"},
		"another key":       {func(o *Options) { o.KeyName = "nobody" }, `key "nobody" was not taken`},
		"no key":            {func(o *Options) { o.KeyName = "" }, "allow it for key"},
		"another zone":      {func(o *Options) { o.Zone = "internal" }, "nameserver 127.0.0.1"},
		"a clock behind":    {func(o *Options) { o.Now = func() time.Time { return time.Now().Add(-time.Hour) } }, "both clocks"},
		"nobody there":      {func(o *Options) { o.Server = "127.0.0.1:1" }, "connection refused"},
		"no base64 at all":  {func(o *Options) { o.KeySecret = "%%%" }, "illegal base64"},
		"a name of another": {func(o *Options) { o.Zone = "market.internal" }, "another zone than market.internal"},
	} {
		t.Run(name, func(t *testing.T) {
			o := Options{Server: b.Addr, Zone: "shop.internal", Owner: "shop", KeyName: bindtest.KeyName, KeyAlgorithm: "hmac-sha256", KeySecret: bindtest.KeySecret}
			c.change(&o)
			_, err := New(o).Publish(t.Context(), nil, want)
			if err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("error %v, want one that says %q", err, c.says)
			}
			if err != nil && strings.Contains(err.Error(), o.KeySecret) {
				t.Errorf("the key's secret is in %v", err)
			}
		})
	}
}
