// Package apache is the web server: Apache with PHP in its processes, serving the role's application.
//
// Start at Behavior, then render.go for the configuration and runner.go for how it comes into force.
package apache

import (
	"github.com/farmhand/terraform-provider-farmhand/internal/behavior"
	"github.com/farmhand/terraform-provider-farmhand/internal/spec"
	"github.com/farmhand/terraform-provider-farmhand/internal/state"
)

// Behavior is the web server.
type Behavior struct{}

var _ behavior.Behavior = Behavior{}

// Traits implements behavior.Behavior.
func (Behavior) Traits() behavior.Traits {
	return behavior.Traits{
		Name:        "apache",
		Description: "Apache with PHP, serving the role's application.",
		Port:        80,
		HTTP:        true,
		Settings: []behavior.Setting{
			{Name: "max_workers", Default: "20", Description: "Requests answered at once; each worker is a process with PHP in it, 10 to 40 MB."},
			{Name: "php_memory_mb", Default: "128", Description: "Memory that one PHP request may take, in MB."},
			{Name: "upload_mb", Default: "16", Description: "Largest request body and upload, in MB."},
		},
		Packages: []string{"apache2", "libapache2-mod-php", "php-mysql", "php-memcached"},
	}
}

// Validate implements behavior.Behavior.
func (b Behavior) Validate(role spec.Role) []spec.Problem {
	t := b.Traits()
	problems := t.CheckNames(role)
	problems = append(problems, t.CheckInt(role, "max_workers", 1, 2000)...)
	problems = append(problems, t.CheckInt(role, "php_memory_mb", 8, 16384)...)
	problems = append(problems, t.CheckInt(role, "upload_mb", 1, 4096)...)
	return problems
}

// Exports is empty: web servers are reached through a balancer or by name.
func (Behavior) Exports(spec.Role, string, state.RoleTopology, map[string]string) map[string]string {
	return map[string]string{}
}

// NewSecret makes none.
func (Behavior) NewSecret(spec.Role) map[string]string { return nil }
