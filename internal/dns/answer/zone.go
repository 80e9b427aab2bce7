// Package answer makes replies out of a plan of names: for the sidecar's nameserver, and for agents that answer for their farm's
// zone themselves.
package answer

import (
	"net/netip"
	"strings"

	wire "github.com/miekg/dns"

	"github.com/farmhand/terraform-provider-farmhand/internal/dns"
)

// negativeTTL is how long resolvers may remember that a name does not exist or has nobody: an instance that comes up
// is to be found within a second.
const negativeTTL = 1

// Zone is a plan made ready to answer from. It is never changed: a new plan is a new Zone.
type Zone struct {
	plan    dns.Zone
	origin  string // "shop.internal."
	serial  uint32
	records map[string]dns.Record // by lower-case name with trailing dot
	// between are names that only stand inside longer ones ("b" of "a.b"): they exist, and have nothing.
	between map[string]bool
}

// New makes a zone of a plan; serial is that of its SOA.
func New(plan dns.Zone, serial uint32) *Zone {
	z := &Zone{plan: plan, origin: wire.Fqdn(plan.Name), serial: serial, records: map[string]dns.Record{}, between: map[string]bool{}}
	for _, r := range plan.Records {
		name := r.Name + "." + z.origin
		z.records[name] = r
		for {
			_, parent, _ := strings.Cut(name, ".")
			if parent == z.origin || parent == "" {
				break
			}
			z.between[parent] = true
			name = parent
		}
	}
	return z
}

// Plan and Serial are what it was made of.
func (z *Zone) Plan() dns.Zone { return z.plan }
func (z *Zone) Serial() uint32 { return z.serial }

// Holds tells whether a name is in the zone.
func (z *Zone) Holds(name string) bool { return wire.IsSubDomain(z.origin, name) }

// Answer fills in the reply to a question about a name of the zone. turn rotates addresses, so that clients which
// take the first one spread. own is the address of the zone's nameserver, invalid for none.
func (z *Zone) Answer(reply *wire.Msg, q wire.Question, own netip.Addr, turn int) {
	reply.Authoritative = true
	name := strings.ToLower(q.Name)
	switch {
	case name == z.origin:
		switch q.Qtype {
		case wire.TypeSOA, wire.TypeANY:
			reply.Answer = append(reply.Answer, z.soa())
		case wire.TypeNS:
			reply.Answer = append(reply.Answer, z.ns())
		default:
			reply.Ns = append(reply.Ns, z.soa())
		}
		return
	case name == "ns."+z.origin && own.IsValid():
		if _, taken := z.records[name]; !taken {
			z.addresses(reply, q, dns.Record{TTL: dns.DefaultTTL, Addresses: []netip.Addr{own}}, 0)
			return
		}
	}
	if r, ok := z.records[name]; ok {
		z.addresses(reply, q, r, turn)
		return
	}
	if !z.between[name] {
		reply.Rcode = wire.RcodeNameError
	}
	reply.Ns = append(reply.Ns, z.soa())
}

func (z *Zone) addresses(reply *wire.Msg, q wire.Question, r dns.Record, turn int) {
	for i := range r.Addresses {
		a := r.Addresses[(i+turn)%len(r.Addresses)]
		// The name as it was asked: clients compare it, in its very case.
		header := wire.RR_Header{Name: q.Name, Class: wire.ClassINET, Ttl: uint32(r.TTL.Seconds())}
		switch {
		case a.Is4() && (q.Qtype == wire.TypeA || q.Qtype == wire.TypeANY):
			header.Rrtype = wire.TypeA
			reply.Answer = append(reply.Answer, &wire.A{Hdr: header, A: a.AsSlice()})
		case a.Is6() && (q.Qtype == wire.TypeAAAA || q.Qtype == wire.TypeANY):
			header.Rrtype = wire.TypeAAAA
			reply.Answer = append(reply.Answer, &wire.AAAA{Hdr: header, AAAA: a.AsSlice()})
		}
	}
	if len(reply.Answer) == 0 {
		reply.Ns = append(reply.Ns, z.soa())
	}
}

func (z *Zone) soa() wire.RR {
	return &wire.SOA{
		Hdr:    wire.RR_Header{Name: z.origin, Rrtype: wire.TypeSOA, Class: wire.ClassINET, Ttl: negativeTTL},
		Ns:     "ns." + z.origin,
		Mbox:   "hostmaster." + z.origin,
		Serial: z.serial, Refresh: 60, Retry: 10, Expire: 3600, Minttl: negativeTTL,
	}
}

func (z *Zone) ns() wire.RR {
	return &wire.NS{
		Hdr: wire.RR_Header{Name: z.origin, Rrtype: wire.TypeNS, Class: wire.ClassINET, Ttl: uint32(dns.DefaultTTL.Seconds())},
		Ns:  "ns." + z.origin,
	}
}
