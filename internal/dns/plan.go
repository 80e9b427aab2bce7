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

// PrimaryTTL is that of who takes writes and who is read from: a change of the primary takes about as long.
const PrimaryTTL = time.Second

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
//	primary.db   of a replicated role: the server that takes writes, none while there is none
//	replicas.db  of a replicated role: those to read from
//	db           a declared record: all, primary, replicas or one index of its role
//
// A declared record takes the name of a role that is called the same; one that is published elsewhere is not in the
// farm's zone. Replicas of a role whose primary is alone are the primary: readers are served as long as anybody is.
func Plan(t state.Topology, declared []spec.DNSRecord) Zone {
	records := map[string]Record{}
	for role, rt := range t.Roles {
		name := canonical(role)
		records[name] = Record{Name: name, TTL: DefaultTTL, Addresses: addresses(rt.Instances)}
		for _, m := range rt.Instances {
			one := canonical(m.Name + "." + role)
			records[one] = Record{Name: one, TTL: DefaultTTL, Addresses: addresses([]state.Member{m})}
		}
		if rt.Term > 0 {
			for word, members := range map[string][]state.Member{"primary": primary(rt), "replicas": replicas(rt)} {
				one := canonical(word + "." + role)
				records[one] = Record{Name: one, TTL: PrimaryTTL, Addresses: addresses(members)}
			}
		}
	}
	for _, d := range declared {
		if !d.Elsewhere() {
			r := Follow(t, d)
			records[r.Name] = r
		}
	}
	zone := Zone{Name: canonical(t.Zone)}
	for _, name := range slices.Sorted(maps.Keys(records)) {
		zone.Records = append(zone.Records, records[name])
	}
	return zone
}

// Follow is one declared record as it is now, by the name that it is declared with.
func Follow(t state.Topology, d spec.DNSRecord) Record {
	ttl := d.TTL.Std()
	if ttl <= 0 {
		ttl = DefaultTTL
	}
	return Record{Name: canonical(d.Name), TTL: ttl, Addresses: addresses(pointedTo(d, t.Roles[d.Role]))}
}

// pointedTo picks the members that a declared record resolves to.
func pointedTo(d spec.DNSRecord, role state.RoleTopology) []state.Member {
	switch d.PointsTo {
	case spec.PointsToPrimary:
		return primary(role)
	case spec.PointsToReplicas:
		return replicas(role)
	case spec.PointsToIndex:
		return slices.DeleteFunc(slices.Clone(role.Instances), func(m state.Member) bool { return m.Index != d.Index })
	}
	return role.Instances
}

// primary is the member marked so. In a role that is not replicated and marks none it is the lowest index, which stays
// the longest; in one that is, the primary has just been lost, and no other takes writes yet.
func primary(role state.RoleTopology) []state.Member {
	for i, m := range role.Instances {
		if m.Primary {
			return role.Instances[i : i+1]
		}
	}
	if role.Term > 0 {
		return nil
	}
	return role.Instances[:min(1, len(role.Instances))]
}

// replicas are the members to read from: of a replicated role those that keep up, of another all but the primary.
// While there are none, it is the primary, and without a primary whoever is left.
func replicas(role state.RoleTopology) []state.Member {
	first := primary(role)
	others := slices.DeleteFunc(slices.Clone(role.Instances), func(m state.Member) bool {
		return len(first) > 0 && m == first[0] || role.Term > 0 && !m.Reads
	})
	switch {
	case len(others) > 0:
		return others
	case len(first) > 0:
		return first
	}
	return role.Instances
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
