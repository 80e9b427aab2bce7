package resolver

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// upstream is a nameserver that says what the test wants.
type upstream struct {
	addr  string
	mu    sync.Mutex
	rcode int
	says  map[string]string // by name
	hold  chan struct{}     // if set, answers wait for it
	asked int
	stop  func()
}

func newUpstream(t *testing.T, addr string, says map[string]string) *upstream {
	t.Helper()
	u := &upstream{says: says}
	packets, err := net.ListenPacket("udp", addr)
	if err != nil {
		t.Fatal(err)
	}
	u.addr = packets.LocalAddr().String()
	listener, err := net.Listen("tcp", u.addr)
	if err != nil {
		t.Fatal(err)
	}
	udp, tcp := &dns.Server{PacketConn: packets, Handler: u}, &dns.Server{Listener: listener, Handler: u}
	var started, ended sync.WaitGroup
	for _, s := range []*dns.Server{udp, tcp} {
		started.Add(1)
		s.NotifyStartedFunc = started.Done
		ended.Go(func() { s.ActivateAndServe() })
	}
	started.Wait()
	u.stop = sync.OnceFunc(func() { udp.Shutdown(); tcp.Shutdown(); ended.Wait() })
	t.Cleanup(u.stop)
	return u
}

func (u *upstream) ServeDNS(w dns.ResponseWriter, q *dns.Msg) {
	u.mu.Lock()
	u.asked++
	hold, rcode, address, known := u.hold, u.rcode, u.says[q.Question[0].Name], false
	_, known = u.says[q.Question[0].Name]
	u.mu.Unlock()
	if hold != nil {
		<-hold
	}
	a := new(dns.Msg).SetReply(q)
	switch {
	case rcode != 0:
		a.Rcode = rcode
	case !known:
		a.Rcode = dns.RcodeNameError
	case q.Question[0].Qtype == dns.TypeA:
		a.Answer = []dns.RR{&dns.A{Hdr: dns.RR_Header{Name: q.Question[0].Name, Rrtype: dns.TypeA, Class: dns.ClassINET, Ttl: 30}, A: net.ParseIP(address)}}
	}
	w.WriteMsg(a)
}

func (u *upstream) set(change func(*upstream)) {
	u.mu.Lock()
	defer u.mu.Unlock()
	change(u)
}

// serve starts a resolver and returns what asks it: the answer's address, or its status.
func serve(t *testing.T, r *Resolver) func(network, name string) (answer string, ttl uint32) {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	t.Cleanup(stop)
	addr, err := r.Serve(ctx, "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return func(network, name string) (string, uint32) {
		t.Helper()
		c := dns.Client{Net: network, Timeout: 20 * time.Second}
		a, _, err := c.Exchange(new(dns.Msg).SetQuestion(name, dns.TypeA), addr.String())
		if err != nil {
			t.Fatalf("asking for %s: %v", name, err)
		}
		if !a.RecursionAvailable {
			t.Errorf("%s: recursion is said not to be available; libc would complain", name)
		}
		if len(a.Answer) == 0 {
			return dns.RcodeToString[a.Rcode], 0
		}
		return a.Answer[0].(*dns.A).A.String(), a.Answer[0].Header().Ttl
	}
}

const anywhere = "127.0.0.1:0"

// closed is an address at which nobody answers.
func closed(t *testing.T) string {
	u := newUpstream(t, anywhere, nil)
	u.stop()
	return u.addr
}

func TestNamesGoWhereTheyBelong(t *testing.T) {
	ours := newUpstream(t, anywhere, map[string]string{"db.shop.internal.": "10.0.0.1"})
	world := newUpstream(t, anywhere, map[string]string{"www.example.org.": "151.101.2.132", "myshop.internal.": "192.0.2.7"})
	ask := serve(t, New("shop.internal", ours.addr, []string{closed(t), world.addr}))
	for name, want := range map[string]string{
		"db.shop.internal.":   "10.0.0.1",
		"DB.Shop.Internal.":   "NXDOMAIN", // the upstream of this test knows one spelling; it was asked in the other
		"none.shop.internal.": "NXDOMAIN",
		"www.example.org.":    "151.101.2.132",
		"myshop.internal.":    "192.0.2.7", // ends like the zone and is not in it
		"none.example.org.":   "NXDOMAIN",
	} {
		for _, network := range []string{"udp", "tcp"} {
			if got, _ := ask(network, name); got != want {
				t.Errorf("%s by %s is %s, want %s", name, network, got, want)
			}
		}
	}
}

func TestLastAnswersStandWhileTheSidecarIsAway(t *testing.T) {
	u := newUpstream(t, anywhere, map[string]string{"db.shop.internal.": "10.0.0.1", "web.shop.internal.": "10.0.0.2"})
	ask := serve(t, New("shop.internal.", u.addr, nil))
	if got, ttl := ask("udp", "db.shop.internal."); got != "10.0.0.1" || ttl != 30 {
		t.Fatalf("%s for %d s", got, ttl)
	}
	// It answers, and says nothing: a sidecar that has not read its farm yet.
	u.set(func(u *upstream) { u.rcode = dns.RcodeRefused })
	if got, ttl := ask("udp", "db.shop.internal."); got != "10.0.0.1" || ttl > staleTTL {
		t.Errorf("while it refuses: %s for %d s; want the last answer, for a moment", got, ttl)
	}
	u.stop()
	for _, network := range []string{"udp", "tcp"} {
		if got, ttl := ask(network, "DB.shop.internal."); got != "10.0.0.1" || ttl > staleTTL {
			t.Errorf("while it is away, by %s: %s for %d s; want the last answer, for a moment", network, got, ttl)
		}
	}
	if got, _ := ask("udp", "web.shop.internal."); got != "SERVFAIL" {
		t.Errorf("a name never asked for: %s; want SERVFAIL, for NXDOMAIN would be believed", got)
	}
	newUpstream(t, u.addr, map[string]string{"db.shop.internal.": "10.0.0.9"})
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		if got, _ := ask("udp", "db.shop.internal."); got == "10.0.0.9" {
			break
		} else if time.Now().After(end) {
			t.Fatalf("after it came back: %s", got)
		}
	}
}

func TestChangesAreSeenAtOnce(t *testing.T) {
	u := newUpstream(t, anywhere, map[string]string{"web.shop.internal.": "10.0.0.1"})
	r := New("shop.internal", u.addr, nil)
	ask := serve(t, r)
	ask("udp", "web.shop.internal.")
	u.set(func(u *upstream) { u.says["web.shop.internal."] = "10.0.0.2" })
	if got, _ := ask("udp", "web.shop.internal."); got != "10.0.0.2" {
		t.Errorf("a changed name is %s: an older answer is for need only", got)
	}
	u.set(func(u *upstream) { delete(u.says, "web.shop.internal.") })
	if got, _ := ask("udp", "web.shop.internal."); got != "NXDOMAIN" {
		t.Errorf("a removed name is %s", got)
	}
	moved := newUpstream(t, anywhere, map[string]string{"web.shop.internal.": "10.0.0.3"})
	u.stop()
	ask("udp", "web.shop.internal.") // finds it away
	r.SetNameserver(moved.addr)
	if got, _ := ask("udp", "web.shop.internal."); got != "10.0.0.3" {
		t.Errorf("with the nameserver elsewhere it is %s", got)
	}
}

func TestQuestionsAtOnceAreBounded(t *testing.T) {
	hold := make(chan struct{})
	u := newUpstream(t, anywhere, nil)
	u.set(func(u *upstream) { u.hold = hold })
	r := New("shop.internal", closed(t), []string{u.addr})
	ask := serve(t, r)
	var all sync.WaitGroup
	for i := range atOnce {
		all.Go(func() { ask("udp", fmt.Sprintf("slow%d.example.", i)) })
	}
	for end := time.Now().Add(20 * time.Second); len(r.slots) < atOnce; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%d of %d questions are under way", len(r.slots), atOnce)
		}
	}
	if got, _ := ask("udp", "one.too.many."); got != "REFUSED" {
		t.Errorf("one more is answered %s", got)
	}
	close(hold)
	all.Wait()
}

func TestOlderAnswersAreBounded(t *testing.T) {
	u := newUpstream(t, anywhere, nil)
	r := New("shop.internal", u.addr, nil)
	ask := serve(t, r)
	for i := range remembered + 50 {
		ask("udp", fmt.Sprintf("random%d.shop.internal.", i))
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if n := len(r.last); n != remembered {
		t.Errorf("%d answers are remembered, want %d", n, remembered)
	}
}

func TestConfIsTakenOverOnce(t *testing.T) {
	dir := t.TempDir()
	c := Conf{Path: filepath.Join(dir, "resolv.conf"), Kept: filepath.Join(dir, "before")}
	before := "# Generated\nnameserver 127.0.0.11\nnameserver 192.0.2.53\nsearch example.org\noptions ndots:0\n"
	if err := os.WriteFile(c.Path, []byte(before), 0o644); err != nil {
		t.Fatal(err)
	}
	want := []string{"127.0.0.11:53", "192.0.2.53:53"}
	for _, when := range []string{"first", "again, by an agent that was started anew"} {
		if got, err := c.Before(); err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: the resolvers before were %v, %v; want %v", when, got, err, want)
		}
		if err := c.TakeOver(); err != nil {
			t.Fatal(err)
		}
		b, _ := os.ReadFile(c.Path)
		for _, line := range []string{"nameserver 127.0.0.1\n", "search example.org\n", "options ndots:0\n"} {
			if !strings.Contains(string(b), line) {
				t.Errorf("%s: %q is not in\n%s", when, line, b)
			}
		}
		if strings.Count(string(b), "nameserver") != 1 {
			t.Errorf("%s: others than the resolver here are asked:\n%s", when, b)
		}
		if kept, _ := os.ReadFile(c.Kept); string(kept) != before {
			t.Errorf("%s: kept is\n%s", when, kept)
		}
	}
}

func TestNoConfIsNoResolvers(t *testing.T) {
	dir := t.TempDir()
	c := Conf{Path: filepath.Join(dir, "resolv.conf"), Kept: filepath.Join(dir, "before")}
	if got, err := c.Before(); err != nil || len(got) != 0 {
		t.Errorf("%v, %v", got, err)
	}
	if err := c.TakeOver(); err != nil {
		t.Error(err)
	}
}
