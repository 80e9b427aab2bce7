package embedded

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	wire "github.com/miekg/dns"
	"go.uber.org/goleak"

	"github.com/farmhand/terraform-provider-farmhand/internal/dns"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// serve starts a server for shop.internal that knows no other resolver than the given ones.
func serve(t *testing.T, resolvers ...string) *Server {
	t.Helper()
	conf := filepath.Join(t.TempDir(), "resolv.conf")
	var b strings.Builder
	for _, r := range resolvers {
		fmt.Fprintf(&b, "nameserver %s\n", r)
	}
	if err := os.WriteFile(conf, []byte(b.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := Listen("127.0.0.1", 0, Options{Zone: "shop.internal", ResolvConf: conf})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("serving: %v", err)
		}
	})
	return s
}

func zoneOf(records ...dns.Record) dns.Zone { return dns.Zone{Name: "shop.internal", Records: records} }

func record(name string, addresses ...string) dns.Record {
	r := dns.Record{Name: name, TTL: 5 * time.Second}
	for _, a := range addresses {
		r.Addresses = append(r.Addresses, netip.MustParseAddr(a))
	}
	return r
}

func ask(t *testing.T, s *Server, network, name string, qtype uint16, edit ...func(*wire.Msg)) *wire.Msg {
	t.Helper()
	m := new(wire.Msg)
	m.SetQuestion(name, qtype)
	for _, e := range edit {
		e(m)
	}
	reply, _, err := (&wire.Client{Net: network, Timeout: 5 * time.Second, UDPSize: 4096}).Exchange(m, fmt.Sprintf("127.0.0.1:%d", s.Port()))
	if err != nil {
		t.Fatalf("asking for %s by %s: %v", name, network, err)
	}
	return reply
}

func addressesOf(m *wire.Msg) []string {
	var as []string
	for _, rr := range m.Answer {
		if a, ok := rr.(*wire.A); ok {
			as = append(as, a.A.String())
		}
	}
	return as
}

func TestAnswers(t *testing.T) {
	s := serve(t)
	s.Publish(zoneOf(record("web", "10.0.0.10", "10.0.0.11"), record("web-1.web", "10.0.0.10"), record("empty"), record("a.b.c", "10.0.0.12"), record("six", "fd00::1")))
	for _, c := range []struct {
		name    string
		qtype   uint16
		rcode   int
		answers int
		soa     bool // in the authority section: what a negative answer needs
	}{
		{"web.shop.internal.", wire.TypeA, wire.RcodeSuccess, 2, false},
		{"WEB.Shop.INTERNAL.", wire.TypeA, wire.RcodeSuccess, 2, false},
		{"web-1.web.shop.internal.", wire.TypeA, wire.RcodeSuccess, 1, false},
		{"six.shop.internal.", wire.TypeAAAA, wire.RcodeSuccess, 1, false},
		{"shop.internal.", wire.TypeSOA, wire.RcodeSuccess, 1, false},
		{"shop.internal.", wire.TypeNS, wire.RcodeSuccess, 1, false},
		{"ns.shop.internal.", wire.TypeA, wire.RcodeSuccess, 1, false},
		{"web.shop.internal.", wire.TypeAAAA, wire.RcodeSuccess, 0, true},  // exists, not of this kind
		{"web.shop.internal.", wire.TypeMX, wire.RcodeSuccess, 0, true},    // the same
		{"empty.shop.internal.", wire.TypeA, wire.RcodeSuccess, 0, true},   // exists, nobody serves
		{"shop.internal.", wire.TypeA, wire.RcodeSuccess, 0, true},         // the zone itself
		{"b.c.shop.internal.", wire.TypeA, wire.RcodeSuccess, 0, true},     // stands inside a longer name
		{"c.shop.internal.", wire.TypeA, wire.RcodeSuccess, 0, true},       // the same
		{"nope.shop.internal.", wire.TypeA, wire.RcodeNameError, 0, true},  // does not exist
		{"x.web.shop.internal.", wire.TypeA, wire.RcodeNameError, 0, true}, // neither below one that does
		{"web-2.web.shop.internal.", wire.TypeA, wire.RcodeNameError, 0, true},
		{"shop.internal.", wire.TypeAXFR, wire.RcodeRefused, 0, false},
	} {
		for _, network := range []string{"udp", "tcp"} {
			r := ask(t, s, network, c.name, c.qtype)
			what := fmt.Sprintf("%s %s by %s", c.name, wire.TypeToString[c.qtype], network)
			if r.Rcode != c.rcode || len(r.Answer) != c.answers {
				t.Errorf("%s: %s with %d answers, want %s with %d", what, wire.RcodeToString[r.Rcode], len(r.Answer), wire.RcodeToString[c.rcode], c.answers)
			}
			hasSOA := len(r.Ns) == 1 && r.Ns[0].Header().Rrtype == wire.TypeSOA
			if hasSOA != c.soa {
				t.Errorf("%s: SOA in the authority section: %t, want %t", what, hasSOA, c.soa)
			}
			if hasSOA && r.Ns[0].(*wire.SOA).Minttl > 1 {
				t.Errorf("%s: remembered as absent for %d s", what, r.Ns[0].(*wire.SOA).Minttl)
			}
			if c.rcode != wire.RcodeRefused && !r.Authoritative {
				t.Errorf("%s: not authoritative", what)
			}
			for _, a := range r.Answer {
				if c.qtype == wire.TypeA && a.Header().Name != c.name && a.Header().Name != strings.ToLower(c.name) {
					t.Errorf("%s: answered as %s", what, a.Header().Name)
				}
			}
		}
	}
}

func TestTheSerialMovesOnChangeOnly(t *testing.T) {
	s := serve(t)
	s.Publish(zoneOf(record("web", "10.0.0.10")))
	first := s.Serial()
	s.Publish(zoneOf(record("web", "10.0.0.10")))
	if s.Serial() != first {
		t.Error("it moved without a change")
	}
	s.Publish(zoneOf(record("web", "10.0.0.11")))
	if s.Serial() <= first {
		t.Errorf("it went from %d to %d", first, s.Serial())
	}
	if got := addressesOf(ask(t, s, "udp", "web.shop.internal.", wire.TypeA)); !slices.Equal(got, []string{"10.0.0.11"}) {
		t.Errorf("after the change: %v", got)
	}
}

func TestAddressesTakeTurns(t *testing.T) {
	s := serve(t)
	s.Publish(zoneOf(record("web", "10.0.0.10", "10.0.0.11", "10.0.0.12")))
	firsts := map[string]int{}
	for range 30 {
		firsts[addressesOf(ask(t, s, "udp", "web.shop.internal.", wire.TypeA))[0]]++
	}
	for _, a := range []string{"10.0.0.10", "10.0.0.11", "10.0.0.12"} {
		if firsts[a] != 10 {
			t.Errorf("%s came first %d times of 30", a, firsts[a])
		}
	}
}

func TestALongAnswerIsTruncatedByUDPAndWholeByTCP(t *testing.T) {
	var many []string
	for i := range 200 {
		many = append(many, fmt.Sprintf("10.1.%d.%d", i/100, i%100+1))
	}
	s := serve(t)
	s.Publish(zoneOf(record("web", many...)))
	plain := ask(t, s, "udp", "web.shop.internal.", wire.TypeA)
	edns := ask(t, s, "udp", "web.shop.internal.", wire.TypeA, func(m *wire.Msg) { m.SetEdns0(4096, false) })
	whole := ask(t, s, "tcp", "web.shop.internal.", wire.TypeA)
	plain.Compress, edns.Compress = true, true // as they came, for Len
	if !plain.Truncated || plain.Len() > 512 {
		t.Errorf("plain UDP: truncated %t, %d bytes", plain.Truncated, plain.Len())
	}
	if !edns.Truncated || edns.IsEdns0() == nil || edns.Len() > udpSize || len(edns.Answer) <= len(plain.Answer) {
		t.Errorf("EDNS: truncated %t, %d bytes, %d answers", edns.Truncated, edns.Len(), len(edns.Answer))
	}
	if whole.Truncated || len(whole.Answer) != 200 {
		t.Errorf("TCP: truncated %t, %d answers", whole.Truncated, len(whole.Answer))
	}
}

func TestQuestionsThatAreNone(t *testing.T) {
	s := serve(t)
	if r := ask(t, s, "udp", "shop.internal.", wire.TypeSOA, func(m *wire.Msg) { m.SetEdns0(1232, false); m.IsEdns0().SetVersion(1) }); r.Rcode != wire.RcodeBadVers {
		t.Errorf("EDNS of another version: %s", wire.RcodeToString[r.Rcode])
	}
	if r := ask(t, s, "udp", "shop.internal.", wire.TypeSOA, func(m *wire.Msg) { m.Opcode = wire.OpcodeStatus }); r.Rcode != wire.RcodeNotImplemented {
		t.Errorf("another opcode: %s", wire.RcodeToString[r.Rcode])
	}
	if r := ask(t, s, "udp", "web.shop.internal.", wire.TypeA, func(m *wire.Msg) { m.Question[0].Qclass = wire.ClassCHAOS }); r.Rcode != wire.RcodeRefused {
		t.Errorf("another class: %s", wire.RcodeToString[r.Rcode])
	}
}

func TestOtherZonesAreForwarded(t *testing.T) {
	var asked atomic.Int32
	upstream, err := net.ListenPacket("udp", "127.0.0.2:53")
	if err != nil {
		t.Skipf("no resolver can be played on port 53 here: %v", err)
	}
	server := &wire.Server{PacketConn: upstream, Handler: wire.HandlerFunc(func(w wire.ResponseWriter, r *wire.Msg) {
		asked.Add(1)
		m := new(wire.Msg)
		m.SetReply(r)
		a, err := wire.NewRR(r.Question[0].Name + " 60 IN A 192.0.2.1")
		if err != nil {
			t.Error(err)
		}
		m.Answer = append(m.Answer, a)
		_ = w.WriteMsg(m)
	})}
	ended := make(chan error, 1)
	go func() { ended <- server.ActivateAndServe() }()
	defer func() {
		_ = upstream.Close()
		<-ended
	}()
	s := serve(t, "127.0.0.2")
	s.Publish(zoneOf(record("web", "10.0.0.10")))
	if got := addressesOf(ask(t, s, "udp", "example.org.", wire.TypeA)); !slices.Equal(got, []string{"192.0.2.1"}) {
		t.Errorf("example.org is %v", got)
	}
	ask(t, s, "udp", "nope.shop.internal.", wire.TypeA)
	if n := asked.Load(); n != 1 {
		t.Errorf("the other resolver was asked %d times: names of the zone are nobody else's", n)
	}
	if r := ask(t, s, "udp", "example.org.", wire.TypeA, func(m *wire.Msg) { m.RecursionDesired = false }); r.Rcode != wire.RcodeRefused {
		t.Errorf("without recursion desired: %s", wire.RcodeToString[r.Rcode])
	}
}

func TestWithoutAnotherResolverOtherZonesFailAtOnce(t *testing.T) {
	s := serve(t)
	if r := ask(t, s, "udp", "example.org.", wire.TypeA); r.Rcode != wire.RcodeServerFailure {
		t.Errorf("example.org: %s", wire.RcodeToString[r.Rcode])
	}
}

func TestTheSamePortAgainAndAnotherWhenTaken(t *testing.T) {
	first, err := Listen("127.0.0.1", 0, Options{Zone: "shop.internal"})
	if err != nil {
		t.Fatal(err)
	}
	port := first.Port()
	other, err := Listen("127.0.0.1", port, Options{Zone: "shop.internal"})
	if err != nil || other.Port() == port {
		t.Fatalf("beside one on the same port: %v", err)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	again, err := Listen("127.0.0.1", port, Options{Zone: "shop.internal"})
	if err != nil || again.Port() != port {
		t.Fatalf("the former port was not taken again: %v", err)
	}
	_ = again.Close()
	_ = other.Close()
}
