// Package memcached is the cache: memcached in memory, nothing kept. It has no configuration file and follows no
// topology; the roles that use it are told the addresses of those that serve.
package memcached

import (
	"net"
	"strconv"
	"strings"

	"github.com/farmhand/terraform-provider-farmhand/internal/behavior"
	"github.com/farmhand/terraform-provider-farmhand/internal/spec"
	"github.com/farmhand/terraform-provider-farmhand/internal/state"
)

// Behavior is the cache.
type Behavior struct{}

var _ behavior.Behavior = Behavior{}

// Traits implements behavior.Behavior.
func (Behavior) Traits() behavior.Traits {
	return behavior.Traits{
		Name:        "memcached",
		Description: "memcached; the roles that use it get the serving addresses as MEMCACHED_SERVERS.",
		Port:        11211,
		Settings: []behavior.Setting{
			{Name: "memory_mb", Default: "64", Description: "Memory for items, in MB."},
			{Name: "max_connections", Default: "1024", Description: "Clients connected at once."},
		},
		Packages: []string{"memcached"},
	}
}

// Validate implements behavior.Behavior.
func (b Behavior) Validate(role spec.Role) []spec.Problem {
	t := b.Traits()
	problems := t.CheckNames(role)
	problems = append(problems, t.CheckInt(role, "memory_mb", 1, 1<<20)...)
	problems = append(problems, t.CheckInt(role, "max_connections", 1, 100000)...)
	return problems
}

// Exports is MEMCACHED_SERVERS, "10.0.0.5:11211,10.0.0.6:11211", by index; empty while none serves.
func (b Behavior) Exports(_ spec.Role, _ string, topo state.RoleTopology, _ map[string]string) map[string]string {
	port := strconv.Itoa(b.Traits().Port)
	servers := make([]string, 0, len(topo.Instances))
	for _, m := range topo.Instances {
		servers = append(servers, net.JoinHostPort(m.Address, port))
	}
	return map[string]string{"MEMCACHED_SERVERS": strings.Join(servers, ",")}
}

// NewSecret makes none.
func (Behavior) NewSecret(spec.Role) map[string]string { return nil }
