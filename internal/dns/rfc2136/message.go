package rfc2136

import (
	"net/netip"

	wire "github.com/miekg/dns"

	"github.com/farmhand/terraform-provider-farmhand/internal/dns"
)

// claimRecords is about how many records one step takes beside its addresses.
const claimRecords = 6

// prerequisites begins an update: a name that is claimed must have none of the types that would be in the way, and a
// name that is ours must still be.
func (p *Publisher) prerequisites(steps []dns.Step) *wire.Msg {
	m := new(wire.Msg).SetUpdate(p.zone)
	for _, s := range steps {
		name := wire.Fqdn(s.Name)
		if !s.Claim {
			m.Used([]wire.RR{p.ownership(s.Name)})
			continue
		}
		m.RRsetNotUsed([]wire.RR{
			header(name, wire.TypeA), header(name, wire.TypeAAAA), header(name, wire.TypeCNAME),
			header(wire.Fqdn(dns.OwnershipName(s.Name)), wire.TypeTXT),
		})
	}
	return m
}

// write adds what one step changes.
func (p *Publisher) write(m *wire.Msg, s dns.Step) {
	name := wire.Fqdn(s.Name)
	if s.Claim {
		m.Insert([]wire.RR{p.ownership(s.Name)})
	} else {
		m.RemoveRRset([]wire.RR{header(name, wire.TypeA), header(name, wire.TypeAAAA)})
	}
	if s.Withdraw {
		m.RemoveRRset([]wire.RR{p.ownership(s.Name)})
		return
	}
	for _, a := range s.New.Addresses {
		h := wire.RR_Header{Name: name, Class: wire.ClassINET, Ttl: uint32(s.New.TTL.Seconds())}
		if a = a.Unmap(); a.Is4() {
			h.Rrtype = wire.TypeA
			m.Insert([]wire.RR{&wire.A{Hdr: h, A: a.AsSlice()}})
		} else {
			h.Rrtype = wire.TypeAAAA
			m.Insert([]wire.RR{&wire.AAAA{Hdr: h, AAAA: a.AsSlice()}})
		}
	}
}

func (p *Publisher) ownership(name string) wire.RR {
	return &wire.TXT{
		Hdr: wire.RR_Header{Name: wire.Fqdn(dns.OwnershipName(name)), Rrtype: wire.TypeTXT, Class: wire.ClassINET, Ttl: uint32(dns.DefaultTTL.Seconds())},
		Txt: []string{dns.OwnershipText(p.opts.Owner)},
	}
}

func header(name string, t uint16) wire.RR {
	return &wire.ANY{Hdr: wire.RR_Header{Name: name, Rrtype: t, Class: wire.ClassINET}}
}

func addressOf(rr wire.RR) (netip.Addr, bool) {
	switch rr := rr.(type) {
	case *wire.A:
		a, ok := netip.AddrFromSlice(rr.A)
		return a.Unmap(), ok
	case *wire.AAAA:
		return netip.AddrFromSlice(rr.AAAA)
	}
	return netip.Addr{}, false
}
