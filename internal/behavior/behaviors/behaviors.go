// Package behaviors lists the behaviors that there are: one line each.
package behaviors

import (
	"slices"

	"github.com/farmhand/terraform-provider-farmhand/internal/behavior"
	"github.com/farmhand/terraform-provider-farmhand/internal/behavior/apache"
	"github.com/farmhand/terraform-provider-farmhand/internal/behavior/base"
	"github.com/farmhand/terraform-provider-farmhand/internal/behavior/haproxy"
	"github.com/farmhand/terraform-provider-farmhand/internal/behavior/memcached"
	"github.com/farmhand/terraform-provider-farmhand/internal/behavior/mysql"
)

var registry = []behavior.Behavior{
	apache.Behavior{},
	base.Behavior{},
	haproxy.Behavior{},
	memcached.Behavior{},
	mysql.Behavior{},
}

// Get returns the behavior of that name; ok is false if there is none. It may be called concurrently.
func Get(name string) (b behavior.Behavior, ok bool) {
	for _, b := range registry {
		if b.Traits().Name == name {
			return b, true
		}
	}
	return nil, false
}

// Names are the names of all behaviors, sorted.
func Names() []string {
	names := make([]string, 0, len(registry))
	for _, b := range registry {
		names = append(names, b.Traits().Name)
	}
	slices.Sort(names)
	return names
}
