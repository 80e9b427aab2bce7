// Package dns plans a farm's names: topology and declared records in, records out. Publishers put the plan where
// resolvers find it: embedded answers itself. The planner knows no publisher and no publisher knows a topology.
package dns

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/farmhand/terraform-provider-farmhand/internal/spec"
	"github.com/farmhand/terraform-provider-farmhand/internal/state"
)

// DefaultTTL is that of names nobody declared: short, since instances come and go, and long enough that a busy
// client does not ask for each connection.
const DefaultTTL = 5 * time.Second

// Record is a name and what it resolves to. No addresses: the name exists and nobody serves under it now.
type Record struct {
	Name      string // relative to the zone, lower case: "web", "web-1.web", "db"
	TTL       time.Duration
	Addresses []netip.Addr // in the order of indexes
}

// Zone is everything that is published for a farm. Names are unique and sorted, so that equal zones are equal values.
type Zone struct {
	Name    string // without trailing dot, lower case
	Records []Record
}

// Plan makes the farm's zone:
//
//	web          every serving instance of role web
//	web-1.web    that instance, as long as it serves
//	db           a declared record: all, primary, replicas or one index of its role
//
// A declared record takes the name of a role that is called the same. Replicas of a role whose primary is alone are
// the primary: readers are served as long as anybody is.
func Plan(t state.Topology, declared []spec.DNSRecord) Zone {
	records := map[string]Record{}
	for role, rt := range t.Roles {
		name := canonical(role)
		records[name] = Record{Name: name, TTL: DefaultTTL, Addresses: addresses(rt.Instances)}
		for _, m := range rt.Instances {
			one := canonical(m.Name + "." + role)
			records[one] = Record{Name: one, TTL: DefaultTTL, Addresses: addresses([]state.Member{m})}
		}
	}
	for _, d := range declared {
		name := canonical(d.Name)
		ttl := d.TTL.Std()
		if ttl <= 0 {
			ttl = DefaultTTL
		}
		records[name] = Record{Name: name, TTL: ttl, Addresses: addresses(pointedTo(d, t.Roles[d.Role].Instances))}
	}
	zone := Zone{Name: canonical(t.Zone)}
	for _, name := range slices.Sorted(maps.Keys(records)) {
		zone.Records = append(zone.Records, records[name])
	}
	return zone
}

// pointedTo picks the members that a declared record resolves to.
func pointedTo(d spec.DNSRecord, members []state.Member) []state.Member {
	switch d.PointsTo {
	case spec.PointsToPrimary:
		return primary(members)
	case spec.PointsToReplicas:
		first := primary(members)
		if len(members) <= 1 {
			return first
		}
		return slices.DeleteFunc(slices.Clone(members), func(m state.Member) bool { return m == first[0] })
	case spec.PointsToIndex:
		return slices.DeleteFunc(slices.Clone(members), func(m state.Member) bool { return m.Index != d.Index })
	}
	return members
}

// primary is the member marked so; in a role that marks none, the lowest index: it stays the longest.
func primary(members []state.Member) []state.Member {
	for i, m := range members {
		if m.Primary {
			return members[i : i+1]
		}
	}
	return members[:min(1, len(members))]
}

// addresses leaves out what does not parse: an instance whose address is not known yet has none.
func addresses(members []state.Member) []netip.Addr {
	var as []netip.Addr
	for _, m := range members {
		if a, err := netip.ParseAddr(m.Address); err == nil {
			as = append(as, a)
		}
	}
	return as
}

func canonical(name string) string { return strings.ToLower(strings.TrimSuffix(name, ".")) }

// Equal tells whether two zones say the same.
func (z Zone) Equal(o Zone) bool {
	return z.Name == o.Name && slices.EqualFunc(z.Records, o.Records, func(a, b Record) bool {
		return a.Name == b.Name && a.TTL == b.TTL && slices.Equal(a.Addresses, b.Addresses)
	})
}

// String is a zone as a person reads it, a line per record.
func (z Zone) String() string {
	var b strings.Builder
	for _, r := range z.Records {
		fmt.Fprintf(&b, "%s.%s %s %v\n", r.Name, z.Name, r.TTL, r.Addresses)
	}
	return b.String()
}
