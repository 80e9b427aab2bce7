package haproxy

import (
	"context"
	"strings"
	"syscall"
	"testing"

	"github.com/farmhand/terraform-provider-farmhand/internal/behavior"
	"github.com/farmhand/terraform-provider-farmhand/internal/behavior/behaviortest"
	"github.com/farmhand/terraform-provider-farmhand/internal/spec"
	"github.com/farmhand/terraform-provider-farmhand/internal/state"
)

var balancer = spec.Role{Farm: "shop", Name: "lb", Behavior: "haproxy", Min: 1, Max: 1, Uses: []string{"shop/web"}}

// input is a topology of web servers, and of others that speak no HTTP or are not used.
func input(uses []string, roles map[string]state.RoleTopology) behavior.Input {
	return behavior.Input{Uses: uses, Topology: state.Topology{Farm: "shop", Zone: "shop.internal", Roles: roles}}
}

func servers(role, path string, addresses ...string) state.RoleTopology {
	r := state.RoleTopology{Behavior: "apache", HealthPath: path}
	for i, a := range addresses {
		r.Instances = append(r.Instances, state.Member{Name: state.InstanceName(role, i+1), Index: i + 1, Address: a})
	}
	return r
}

func traits(name string) (behavior.Traits, bool) {
	switch name {
	case "apache":
		return behavior.Traits{Name: name, Port: 80, HTTP: true}, true
	case "mysql":
		return behavior.Traits{Name: name, Port: 3306}, true
	}
	return behavior.Traits{}, false
}

func TestContract(t *testing.T) {
	two := input(balancer.Uses, map[string]state.RoleTopology{"web": servers("web", "/healthz", "10.0.0.1", "10.0.0.2")})
	one := input(balancer.Uses, map[string]state.RoleTopology{"web": servers("web", "/healthz", "10.0.0.1")})
	behaviortest.Run(t, behaviortest.Case{
		Behavior: Behavior{},
		New: func(in behavior.Instance) behavior.Runner {
			r := newRunner(in)
			r.inForce = func(context.Context, string) (string, error) { return versionOf(r.config.Path) }
			return r
		},
		Traits: traits,
		Role:   balancer,
		Invalid: map[string]spec.Role{
			"settings.balance":         {Settings: map[string]string{"balance": "fairly"}},
			"settings.max_connections": {Settings: map[string]string{"max_connections": "1e6"}},
			"settings.server_timeout":  {Settings: map[string]string{"server_timeout": "30"}},

			"settings.server_connections": {Settings: map[string]string{"server_connections": "-1"}},
		},
		Input: two, Changed: &one, Tested: true,
		Broken: map[string]behavior.Input{
			"a second directive in a path": input(balancer.Uses, map[string]state.RoleTopology{"web": servers("web", "/\n    server evil 6.6.6.6:80", "10.0.0.1")}),
			"a blank in a path":            input(balancer.Uses, map[string]state.RoleTopology{"web": servers("web", "/health check", "10.0.0.1")}),
			"a second word in an address":  input(balancer.Uses, map[string]state.RoleTopology{"web": servers("web", "/", "10.0.0.1 backup")}),
		},
		Ends: []syscall.Signal{syscall.SIGUSR1},
	})
}

// TestWhatMetricsNeed: requests are logged where somebody asks for response times, and wait here where a limit says so.
func TestWhatMetricsNeed(t *testing.T) {
	role := balancer
	role.Settings = map[string]string{"server_connections": "20"}
	in := input(balancer.Uses, map[string]state.RoleTopology{"web": servers("web", "/healthz", "10.0.0.1")})
	in.LogRequests = "127.0.0.1:8514"
	got, _, err := render(behavior.Instance{Assignment: state.Assignment{Farm: "shop", Role: role, Index: 1}, Root: "/", Traits: traits}, in, "/run/farmhand/haproxy.sock")
	if err != nil {
		t.Fatal(err)
	}
	behaviortest.Golden(t, "metrics.cfg", got)
}

func TestRendering(t *testing.T) {
	canary := append([]string{"shop/canary"}, balancer.Uses...)
	for name, in := range map[string]behavior.Input{
		"no_server": input(balancer.Uses, map[string]state.RoleTopology{"web": servers("web", "")}),
		"one_role": input(append(balancer.Uses, "shop/mysql"), map[string]state.RoleTopology{
			"web":     servers("web", "/healthz", "10.0.0.1", "10.0.0.2"),
			"mysql":   {Behavior: "mysql", Instances: []state.Member{{Name: "mysql-1", Index: 1, Address: "10.0.0.3"}}},
			"another": servers("another", "/", "10.0.0.4"),
		}),
		"two_roles_with_a_path_each": input(canary, map[string]state.RoleTopology{
			"web": servers("web", "/healthz", "10.0.0.1", "10.0.0.2"), "canary": servers("canary", "/alive?deep=1", "10.0.0.9"),
		}),
	} {
		t.Run(name, func(t *testing.T) {
			got, version, err := render(behavior.Instance{Assignment: state.Assignment{Farm: "shop", Role: balancer, Index: 1}, Traits: traits}, in, "/run/farmhand/haproxy.sock")
			if err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(string(got), version) {
				t.Errorf("version %q is not in the configuration", version)
			}
			behaviortest.Golden(t, name+".cfg", got)
		})
	}
}
