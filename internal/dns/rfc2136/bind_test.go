package rfc2136

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	wire "github.com/miekg/dns"

	"github.com/farmhand/terraform-provider-farmhand/internal/dns"
	"github.com/farmhand/terraform-provider-farmhand/internal/dns/dnstest"
)

const (
	keyName   = "farmhand"
	keySecret = "bXkgdGVzdCBrZXkgb2YgdGhpcnR5LXR3byBieXRlcyE="
)

// bind is a BIND with one zone after the other.
type bind struct {
	t      *testing.T
	addr   string
	folder string
}

// startBIND runs named with the zones on a free port of 127.0.0.1; updates need the key.
func startBIND(t *testing.T, zones ...string) *bind {
	t.Helper()
	named := "/usr/sbin/named"
	if _, err := os.Stat(named); err != nil {
		t.Skip("no BIND: install bind9, or run scripts/setup.sh")
	}
	b := &bind{t: t, folder: t.TempDir()}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	b.addr = l.Addr().String()
	l.Close()
	_, port, _ := net.SplitHostPort(b.addr)
	var conf strings.Builder
	fmt.Fprintf(&conf, `options { directory %q; pid-file none; session-keyfile %q; listen-on port %s { 127.0.0.1; }; listen-on-v6 { none; };
  recursion no; dnssec-validation no; notify no; allow-transfer { none; }; };
controls { };
key %q { algorithm hmac-sha256; secret %q; };
`, b.folder, filepath.Join(b.folder, "session.key"), port, keyName, keySecret)
	for _, z := range zones {
		fmt.Fprintf(&conf, "zone %q { type primary; file %q; allow-update { key %q; }; };\n", z, z+".db", keyName)
		b.write(z+".db", "$TTL 300\n@ SOA ns hostmaster 1 3600 600 86400 60\n@ NS ns\nns A 127.0.0.1\n")
	}
	b.write("named.conf", conf.String())
	log, err := os.Create(filepath.Join(b.folder, "log"))
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(named, "-f", "-n", "1", "-c", filepath.Join(b.folder, "named.conf"))
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		log.Close()
	})
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		m, _, err := new(wire.Client).Exchange(new(wire.Msg).SetQuestion(zones[len(zones)-1]+".", wire.TypeSOA), b.addr)
		if err == nil && len(m.Answer) == 1 {
			return b
		}
		if time.Now().After(end) {
			said, _ := os.ReadFile(log.Name())
			t.Fatalf("BIND does not answer: %v\n%s", err, said)
		}
	}
}

func (b *bind) write(name, content string) {
	b.t.Helper()
	if err := os.WriteFile(filepath.Join(b.folder, name), []byte(content), 0o644); err != nil {
		b.t.Fatal(err)
	}
}

// ask is what dig would show: the records of one name and type, as they are written.
func (b *bind) ask(name string, t uint16) []wire.RR {
	b.t.Helper()
	c := wire.Client{Net: "tcp"}
	m, _, err := c.Exchange(new(wire.Msg).SetQuestion(wire.Fqdn(name), t), b.addr)
	if err != nil {
		b.t.Fatal(err)
	}
	return m.Answer
}

// update changes the zone as its administrator does.
func (b *bind) update(zone string, change func(*wire.Msg)) {
	b.t.Helper()
	m := new(wire.Msg).SetUpdate(zone + ".")
	change(m)
	m.SetTsig(keyName+".", wire.HmacSHA256, 300, time.Now().Unix())
	c := wire.Client{Net: "tcp", TsigSecret: map[string]string{keyName + ".": keySecret}}
	r, _, err := c.Exchange(m, b.addr)
	if err != nil || r.Rcode != wire.RcodeSuccess {
		b.t.Fatalf("updating: %v, %v", r, err)
	}
}

func parse(t *testing.T, s string) wire.RR {
	t.Helper()
	rr, err := wire.NewRR(s)
	if err != nil {
		t.Fatal(err)
	}
	return rr
}

func (b *bind) publisher(zone, owner string) *Publisher {
	return New(Options{Server: b.addr, Zone: zone, Owner: owner, KeyName: keyName, KeyAlgorithm: "hmac-sha256", KeySecret: keySecret})
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
	b := startBIND(t, zones...)
	next := 0
	dnstest.Run(t, func(t *testing.T) dnstest.Zone {
		zone := zones[next]
		next++
		s := &names{known: map[string]bool{}}
		return dnstest.Zone{
			Name: zone,
			New:  func(owner string) dns.Publisher { return &noting{b.publisher(zone, owner), s} },
			Look: func(name string) (addresses []string, ttl int) {
				for _, kind := range []uint16{wire.TypeA, wire.TypeAAAA} {
					for _, rr := range b.ask(name, kind) {
						if a, ok := addressOf(rr); ok {
							addresses, ttl = append(addresses, a.String()), int(rr.Header().Ttl)
						}
					}
				}
				return addresses, ttl
			},
			Foreign: func(name, address string) {
				b.update(zone, func(m *wire.Msg) { m.Insert([]wire.RR{parse(t, name+". 300 IN A "+address)}) })
			},
			Ownerships: func() int {
				n := 0
				for name := range s.known {
					n += len(b.ask(dns.OwnershipName(name), wire.TypeTXT))
				}
				return n
			},
		}
	})
}

// serial is the zone's: BIND counts it up once per update that changes anything.
func (b *bind) serial(zone string) uint32 {
	b.t.Helper()
	return b.ask(zone, wire.TypeSOA)[0].(*wire.SOA).Serial
}

func TestOneChangeIsOneUpdate(t *testing.T) {
	b := startBIND(t, "shop.internal")
	p := b.publisher("shop.internal", "shop")
	record := func(name, address string) dns.Record {
		return dns.Record{Name: name + ".shop.internal", TTL: 5 * time.Second, Addresses: []netip.Addr{netip.MustParseAddr(address)}}
	}
	first := []dns.Record{record("web", "10.0.0.1"), record("db", "10.0.0.2")}
	second := []dns.Record{record("web", "10.0.0.3"), record("cache", "10.0.0.4")}
	for i, step := range [][2][]dns.Record{{nil, first}, {first, second}, {second, second}, {second, nil}} {
		before := b.serial("shop.internal")
		if _, err := p.Publish(t.Context(), step[0], step[1]); err != nil {
			t.Fatal(err)
		}
		want := uint32(1)
		if i == 2 {
			want = 0
		}
		if got := b.serial("shop.internal") - before; got != want {
			t.Errorf("publication %d was %d updates, want %d", i, got, want)
		}
	}
}

func TestRefusalsSayWhatToDo(t *testing.T) {
	b := startBIND(t, "shop.internal")
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
			o := Options{Server: b.addr, Zone: "shop.internal", Owner: "shop", KeyName: keyName, KeyAlgorithm: "hmac-sha256", KeySecret: keySecret}
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
