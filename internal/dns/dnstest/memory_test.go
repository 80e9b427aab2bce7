package dnstest

import (
	"net/netip"
	"testing"

	"github.com/farmhand/terraform-provider-farmhand/internal/dns"
)

func TestMemory(t *testing.T) {
	Run(t, func(*testing.T) Zone {
		m := &Memory{}
		return Zone{
			Name: "shop.internal",
			New:  m.Publisher,
			Look: func(name string) (addresses []string, ttl int) {
				h := m.Held()[name]
				for _, a := range h.Addresses {
					addresses = append(addresses, a.String())
				}
				return addresses, int(h.TTL.Seconds())
			},
			Foreign: func(name, address string) {
				m.Hold(name, dns.Held{Record: dns.Record{Addresses: []netip.Addr{netip.MustParseAddr(address)}}})
			},
			Ownerships: func() (n int) {
				for _, h := range m.Held() {
					if h.Owned {
						n++
					}
				}
				return n
			},
		}
	})
}
