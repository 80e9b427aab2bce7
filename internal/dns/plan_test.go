package dns

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/farmhand/terraform-provider-farmhand/internal/spec"
	"github.com/farmhand/terraform-provider-farmhand/internal/state"
)

func member(name string, index int, address string, primary bool) state.Member {
	return state.Member{Name: name, Index: index, Address: address, Primary: primary}
}

func TestPlan(t *testing.T) {
	top := state.Topology{Farm: "shop", Zone: "Shop.Internal.", Roles: map[string]state.RoleTopology{
		"web": {Instances: []state.Member{member("web-1", 1, "10.0.0.10", false), member("web-3", 3, "10.0.0.12", false)}},
		"db":  {Instances: []state.Member{member("db-1", 1, "10.0.0.20", false), member("db-2", 2, "10.0.0.21", true), member("db-3", 3, "10.0.0.22", false)}},
		"one": {Instances: []state.Member{member("one-1", 1, "10.0.0.30", true)}},
		"new": {Instances: nil},
		"odd": {Instances: []state.Member{member("odd-1", 1, "", false)}},
	}}
	ttl := spec.Duration(7 * time.Second)
	declared := []spec.DNSRecord{
		{Name: "WWW", Role: "web", PointsTo: spec.PointsToAll, TTL: ttl},
		{Name: "write", Role: "db", PointsTo: spec.PointsToPrimary, TTL: ttl},
		{Name: "read", Role: "db", PointsTo: spec.PointsToReplicas, TTL: ttl},
		{Name: "read-one", Role: "one", PointsTo: spec.PointsToReplicas, TTL: ttl},
		{Name: "third", Role: "web", PointsTo: spec.PointsToIndex, Index: 3, TTL: ttl},
		{Name: "second", Role: "web", PointsTo: spec.PointsToIndex, Index: 2, TTL: ttl},
		{Name: "first-web", Role: "web", PointsTo: spec.PointsToPrimary, TTL: ttl},
		{Name: "nobody", Role: "gone", PointsTo: spec.PointsToAll, TTL: ttl},
		{Name: "new", Role: "web", PointsTo: spec.PointsToAll, TTL: ttl},
		{Name: "a.b", Role: "one", PointsTo: spec.PointsToAll},
	}
	want := strings.TrimLeft(`
a.b.shop.internal 5s [10.0.0.30]
db.shop.internal 5s [10.0.0.20 10.0.0.21 10.0.0.22]
db-1.db.shop.internal 5s [10.0.0.20]
db-2.db.shop.internal 5s [10.0.0.21]
db-3.db.shop.internal 5s [10.0.0.22]
first-web.shop.internal 7s [10.0.0.10]
new.shop.internal 7s [10.0.0.10 10.0.0.12]
nobody.shop.internal 7s []
odd.shop.internal 5s []
odd-1.odd.shop.internal 5s []
one.shop.internal 5s [10.0.0.30]
one-1.one.shop.internal 5s [10.0.0.30]
read.shop.internal 7s [10.0.0.20 10.0.0.22]
read-one.shop.internal 7s [10.0.0.30]
second.shop.internal 7s []
third.shop.internal 7s [10.0.0.12]
web.shop.internal 5s [10.0.0.10 10.0.0.12]
web-1.web.shop.internal 5s [10.0.0.10]
web-3.web.shop.internal 5s [10.0.0.12]
write.shop.internal 7s [10.0.0.21]
www.shop.internal 7s [10.0.0.10 10.0.0.12]
`, "\n")
	for range 5 { // maps come in any order, plans in one
		if got := Plan(top, declared).String(); got != want {
			t.Fatalf("plan:\n%s\nwant:\n%s", got, want)
		}
	}
}

func TestEqual(t *testing.T) {
	top := state.Topology{Zone: "z", Roles: map[string]state.RoleTopology{"web": {Instances: []state.Member{member("web-1", 1, "10.0.0.10", false)}}}}
	a, b := Plan(top, nil), Plan(top, nil)
	if !a.Equal(b) {
		t.Error("two plans of the same differ")
	}
	top.Roles["web"] = state.RoleTopology{Instances: []state.Member{member("web-1", 1, "10.0.0.11", false)}}
	if a.Equal(Plan(top, nil)) {
		t.Error("another address is no difference")
	}
}

// A replicated role tells who is to be read from; its primary is nobody while it is being replaced.
func TestPlanOfAReplicatedRole(t *testing.T) {
	role := func(members ...state.Member) state.Topology {
		return state.Topology{Zone: "shop.internal", Roles: map[string]state.RoleTopology{"db": {Term: 3, Instances: members}}}
	}
	server := func(index int, primary, reads bool) state.Member {
		return state.Member{Name: state.InstanceName("db", index), Index: index, Address: "10.0.0." + string(rune('0'+index)), Primary: primary, Reads: reads}
	}
	for name, c := range map[string]struct {
		topology       state.Topology
		write, readers string
	}{
		"one lags":        {role(server(1, false, false), server(2, true, false), server(3, false, true)), "[10.0.0.2]", "[10.0.0.3]"},
		"all lag":         {role(server(1, true, false), server(2, false, false)), "[10.0.0.1]", "[10.0.0.1]"},
		"primary is lost": {role(server(2, false, true), server(3, false, true)), "[]", "[10.0.0.2 10.0.0.3]"},
		"and all lag":     {role(server(2, false, false), server(3, false, false)), "[]", "[10.0.0.2 10.0.0.3]"},
		"nobody":          {role(), "[]", "[]"},
	} {
		t.Run(name, func(t *testing.T) {
			for points, want := range map[string]string{spec.PointsToPrimary: c.write, spec.PointsToReplicas: c.readers} {
				if got := fmt.Sprint(Follow(c.topology, spec.DNSRecord{Name: "x", Role: "db", PointsTo: points}).Addresses); got != want {
					t.Errorf("%s is %s, want %s", points, got, want)
				}
			}
		})
	}
}

func TestPlanLeavesOutWhatIsElsewhere(t *testing.T) {
	declared := []spec.DNSRecord{{Name: "www.example.com", Role: "web", Route53: &spec.Route53{HostedZoneID: "Z1"}}}
	if z := Plan(state.Topology{Zone: "shop.internal"}, declared); len(z.Records) != 0 {
		t.Errorf("the farm's zone holds %v", z)
	}
}

// Who takes writes has a name that stays, and so have those to read from.
func TestNamesOfAReplicatedRole(t *testing.T) {
	farm := func(primary string) state.Topology {
		members := []state.Member{{Name: "db-1", Index: 1, Address: "10.0.0.1", Reads: true}, {Name: "db-2", Index: 2, Address: "10.0.0.2", Reads: true}, {Name: "db-3", Index: 3, Address: "10.0.0.3"}}
		for i := range members {
			members[i].Primary = members[i].Name == primary
		}
		return state.Topology{Zone: "shop.internal", Roles: map[string]state.RoleTopology{"db": {Term: 3, Instances: members}, "web": {Instances: members[:1]}}}
	}
	for primary, want := range map[string][2]string{
		"db-1": {"[10.0.0.1]", "[10.0.0.2]"},
		"db-2": {"[10.0.0.2]", "[10.0.0.1]"},
		"":     {"[]", "[10.0.0.1 10.0.0.2]"},
	} {
		got := map[string]string{}
		for _, r := range Plan(farm(primary), nil).Records {
			got[r.Name] = fmt.Sprint(r.Addresses)
			if strings.HasPrefix(r.Name, "primary.") && r.TTL != PrimaryTTL {
				t.Errorf("%s may be kept for %s", r.Name, r.TTL)
			}
		}
		if got["primary.db"] != want[0] || got["replicas.db"] != want[1] {
			t.Errorf("with primary %q: %s and %s, want %v", primary, got["primary.db"], got["replicas.db"], want)
		}
		if _, there := got["primary.web"]; there {
			t.Error("a role that is not replicated has a primary")
		}
	}
}
