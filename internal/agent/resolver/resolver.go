// Package resolver answers the names that the programs of an instance ask for: the farm's zone from the sidecar's
// nameserver, everything else from the resolvers that the instance had before.
//
// Where the farm has no nameserver, it answers for the zone itself from what the agent hands it. Names of the farm go on being answered, as they were last, while the sidecar is away. Start at Resolver.
package resolver

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/miekg/dns"

	names "github.com/farmhand/terraform-provider-farmhand/internal/dns"
	"github.com/farmhand/terraform-provider-farmhand/internal/dns/answer"
)

const (
	// zoneTimeout bounds one question to the farm's nameserver, which is a bridge away and answers within a
	// millisecond; libc would give up after 5 s.
	zoneTimeout = 500 * time.Millisecond
	// awayTime is how long a nameserver that did not answer is not asked again if there is an older answer: a
	// name is asked for at every page, and half a second each time would be felt.
	awayTime = time.Second
	// otherTimeout bounds one question to one of the other resolvers, which may have to ask around.
	otherTimeout = 3 * time.Second
	// staleTTL is what an older answer may be kept for by who asked, in seconds.
	staleTTL = 1
	// atOnce bounds the questions under way; each is a goroutine and a socket. More are refused.
	atOnce = 64
	// remembered bounds the older answers. A farm has some hundred names; who asks for random ones gets no more.
	remembered = 1024
)

// Resolver is a forwarding resolver. Safe for concurrent use.
type Resolver struct {
	zone   string   // with its final dot
	others []string // host:port, in the order in which they are asked
	slots  chan struct{}

	self atomic.Pointer[answer.Zone] // nil: the nameserver is asked
	turn atomic.Uint32

	mu         sync.Mutex
	nameserver string
	awayUntil  time.Time
	last       map[dns.Question]*dns.Msg
}

// New makes a resolver for the farm's zone (no final dot needed) at nameserver, and for all others at others.
func New(zone, nameserver string, others []string) *Resolver {
	return &Resolver{
		zone:       dns.CanonicalName(zone),
		nameserver: nameserver,
		others:     others,
		slots:      make(chan struct{}, atOnce),
		last:       map[dns.Question]*dns.Msg{},
	}
}

// SetNameserver changes where the farm's zone is asked for.
func (r *Resolver) SetNameserver(addr string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if addr != r.nameserver {
		r.nameserver, r.awayUntil = addr, time.Time{}
	}
}

// SetZone has the resolver answer for the farm's zone itself, from plan, from now on.
func (r *Resolver) SetZone(plan names.Zone) {
	if z := r.self.Load(); z == nil || !z.Plan().Equal(plan) {
		r.self.Store(answer.New(plan, uint32(time.Now().Unix())))
	}
}

// Serve answers on addr, UDP and TCP, until ctx ends. It returns where, as soon as both listen, or the error of one
// that cannot.
func (r *Resolver) Serve(ctx context.Context, addr string) (net.Addr, error) {
	packets, listener, err := listen(addr)
	if err != nil {
		return nil, fmt.Errorf("listening for names: %w", err)
	}
	servers := []*dns.Server{
		{PacketConn: packets, Handler: r, UDPSize: dns.DefaultMsgSize},
		{Listener: listener, Handler: r, MaxTCPQueries: 16, ReadTimeout: 5 * time.Second, WriteTimeout: 5 * time.Second},
	}
	var started sync.WaitGroup
	for _, s := range servers {
		started.Add(1)
		s.NotifyStartedFunc = started.Done
		go func() { _ = s.ActivateAndServe() }() // until Shutdown
	}
	started.Wait()
	context.AfterFunc(ctx, func() {
		for _, s := range servers {
			_ = s.Shutdown()
		}
	})
	return packets.LocalAddr(), nil
}

// listen listens for both on the same port. Where addr leaves it to the kernel, what is free for UDP may be taken for TCP: then another
// one is tried.
func listen(addr string) (packets net.PacketConn, listener net.Listener, err error) {
	tries := 1
	if _, port, err := net.SplitHostPort(addr); err == nil && port == "0" {
		tries = 20
	}
	for range tries {
		if packets, err = net.ListenPacket("udp", addr); err != nil {
			return nil, nil, err
		}
		if listener, err = net.Listen("tcp", packets.LocalAddr().String()); err == nil {
			return packets, listener, nil
		}
		packets.Close()
	}
	return nil, nil, err
}

// ServeDNS implements dns.Handler.
func (r *Resolver) ServeDNS(w dns.ResponseWriter, q *dns.Msg) {
	select {
	case r.slots <- struct{}{}:
		defer func() { <-r.slots }()
	default:
		a := new(dns.Msg).SetRcode(q, dns.RcodeRefused)
		a.RecursionAvailable = true
		_ = w.WriteMsg(a)
		return
	}
	network := "udp"
	if _, ok := w.RemoteAddr().(*net.TCPAddr); ok {
		network = "tcp"
	}
	var a *dns.Msg
	switch {
	case len(q.Question) != 1:
		a = new(dns.Msg).SetRcode(q, dns.RcodeFormatError)
	case dns.IsSubDomain(r.zone, dns.CanonicalName(q.Question[0].Name)):
		if z := r.self.Load(); z != nil {
			a = new(dns.Msg).SetReply(q)
			z.Answer(a, q.Question[0], netip.Addr{}, int(r.turn.Add(1)&0xffff))
			break
		}
		a = r.ours(q, network)
	default:
		a = r.other(q, network)
	}
	a.Id = q.Id
	a.RecursionAvailable = true
	_ = w.WriteMsg(a) // who got no answer asks again
}

// ours asks the farm's nameserver, and remembers; if it does not answer, what it said last stands.
func (r *Resolver) ours(q *dns.Msg, network string) *dns.Msg {
	key := q.Question[0]
	key.Name = dns.CanonicalName(key.Name)
	r.mu.Lock()
	server, old, away := r.nameserver, r.last[key], time.Now().Before(r.awayUntil)
	r.mu.Unlock()

	if old == nil || !away {
		a, err := exchange(q, network, server, zoneTimeout)
		r.mu.Lock()
		if err == nil {
			r.awayUntil = time.Time{}
			if !a.Truncated {
				r.remember(key, a.Copy()) // who asked gets a, with an id of its own
			}
		} else if server == r.nameserver {
			r.awayUntil = time.Now().Add(awayTime)
		}
		r.mu.Unlock()
		if err == nil {
			return a
		}
	}
	if old == nil {
		return new(dns.Msg).SetRcode(q, dns.RcodeServerFailure)
	}
	return stale(q, old)
}

// remember holds mu. When it is full, some other answer goes: which, is no matter at this size.
func (r *Resolver) remember(key dns.Question, a *dns.Msg) {
	if _, ok := r.last[key]; !ok && len(r.last) >= remembered {
		for k := range r.last {
			delete(r.last, k)
			break
		}
	}
	r.last[key] = a
}

// stale is an older answer to a question of now.
func stale(q, old *dns.Msg) *dns.Msg {
	a := old.Copy()
	a.Question = q.Question
	for _, section := range [][]dns.RR{a.Answer, a.Ns, a.Extra} {
		for _, rr := range section {
			if h := rr.Header(); h.Rrtype != dns.TypeOPT { // there the TTL's bits mean something else
				h.Ttl = min(h.Ttl, staleTTL)
			}
		}
	}
	return a
}

// other asks the resolvers of before, one after the other.
func (r *Resolver) other(q *dns.Msg, network string) *dns.Msg {
	for _, server := range r.others {
		if a, err := exchange(q, network, server, otherTimeout); err == nil {
			return a
		}
	}
	return new(dns.Msg).SetRcode(q, dns.RcodeServerFailure)
}

// errUnable is an answer that says nothing of the name: the server cannot, or does not know the zone (yet).
var errUnable = errors.New("the nameserver is not able to answer")

// exchange passes the question on as it is. A truncated answer is passed back: who asked asks again by TCP.
func exchange(q *dns.Msg, network, server string, timeout time.Duration) (*dns.Msg, error) {
	c := dns.Client{Net: network, Timeout: timeout}
	a, _, err := c.Exchange(q.Copy(), server)
	if err != nil {
		return nil, err
	}
	switch a.Rcode {
	case dns.RcodeSuccess, dns.RcodeNameError:
		return a, nil
	}
	return nil, errUnable
}
