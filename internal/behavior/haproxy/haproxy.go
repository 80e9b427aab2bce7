// Package haproxy is the balancer: it spreads HTTP over the serving instances of the roles that it uses.
//
// Its configuration follows the topology; every change is checked by haproxy itself before the running one is
// reloaded, without a connection lost. Start at Behavior, then render.go for what the configuration says and
// runner.go for how it comes into force.
package haproxy

import (
	"regexp"

	"github.com/farmhand/terraform-provider-farmhand/internal/behavior"
	"github.com/farmhand/terraform-provider-farmhand/internal/spec"
	"github.com/farmhand/terraform-provider-farmhand/internal/state"
)

// Behavior is the balancer.
type Behavior struct{}

var _ behavior.Behavior = Behavior{}

// Traits implements behavior.Behavior.
func (Behavior) Traits() behavior.Traits {
	return behavior.Traits{
		Name:        "haproxy",
		Description: "HAProxy in front of the web servers of the roles it uses.",
		Port:        80,
		HTTP:        true,
		Balances:    true,
		Settings: []behavior.Setting{
			{Name: "balance", Default: "roundrobin", Description: "How requests are spread: roundrobin, leastconn or random."},
			{Name: "max_connections", Default: "2000", Description: "Connections open at once; more wait in the kernel's queue."},
			{Name: "server_timeout", Default: "30s", Description: "How long a server may take to answer."},
			{Name: "server_connections", Default: "0", Description: "Requests sent to each server at once; more wait at the balancer, at most 5 s, and are its `queue_depth`. 0: any number."},
		},
		Packages: []string{"haproxy"},
	}
}

// timeout is how haproxy writes one; without a unit it would mean milliseconds, which nobody expects.
var timeout = regexp.MustCompile(`^[1-9][0-9]{0,5}(ms|s|m|h)$`)

// Validate implements behavior.Behavior.
func (b Behavior) Validate(role spec.Role) []spec.Problem {
	t := b.Traits()
	problems := t.CheckNames(role)
	problems = append(problems, t.CheckOneOf(role, "balance", "roundrobin", "leastconn", "random")...)
	problems = append(problems, t.CheckInt(role, "max_connections", 10, 1_000_000)...)
	problems = append(problems, t.CheckInt(role, "server_connections", 0, 1_000_000)...)
	problems = append(problems, t.CheckPattern(role, "server_timeout", timeout, "a time such as 30s")...)
	if len(role.Uses) == 0 {
		problems = append(problems, spec.Problem{
			Attribute: "uses",
			Summary:   "the balancer uses no role, so it has no server to send anything to",
			Advice:    "Name the web servers' role: uses = [farmhand_role.web.id].",
			Warning:   true,
		})
	}
	return problems
}

// Exports is empty: who uses a balancer finds it by its name in the farm's zone.
func (Behavior) Exports(spec.Role, string, state.RoleTopology, map[string]string) map[string]string {
	return map[string]string{}
}

// NewSecret makes none.
func (Behavior) NewSecret(spec.Role) map[string]string { return nil }
