// Package base is a bare instance: the user's boot script makes of it what it is to be, and nothing else runs.
package base

import (
	"context"

	"github.com/farmhand/terraform-provider-farmhand/internal/behavior"
	"github.com/farmhand/terraform-provider-farmhand/internal/spec"
	"github.com/farmhand/terraform-provider-farmhand/internal/state"
)

// Behavior is the bare instance. It serves when its boot script is done.
type Behavior struct{}

var _ behavior.Behavior = Behavior{}

// Traits implements behavior.Behavior.
func (Behavior) Traits() behavior.Traits {
	return behavior.Traits{
		Name:        "base",
		Description: "A bare Debian instance on which only the role's boot script runs.",
	}
}

// Validate refuses any setting: there are none.
func (b Behavior) Validate(role spec.Role) []spec.Problem { return b.Traits().CheckNames(role) }

// Exports is empty: what a bare instance offers is known to its author only.
func (Behavior) Exports(spec.Role, string, state.RoleTopology, map[string]string) map[string]string {
	return map[string]string{}
}

// NewSecret makes none.
func (Behavior) NewSecret(spec.Role) map[string]string { return nil }

// New implements behavior.Behavior.
func (Behavior) New(behavior.Instance) behavior.Runner { return runner{} }

// runner has nothing to do: the agent runs the boot script and the role's own health check.
type runner struct{}

func (runner) Setup(context.Context, behavior.Input, func(string)) error { return nil }
func (runner) Apply(context.Context, behavior.Input) error               { return nil }
func (runner) Check(context.Context) error                               { return nil }
func (runner) Stop(context.Context) error                                { return nil }
