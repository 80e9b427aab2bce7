package declared

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/farmhand/terraform-provider-farmhand/internal/simulate"
	"github.com/farmhand/terraform-provider-farmhand/internal/spec"
	"github.com/farmhand/terraform-provider-farmhand/internal/state"
	"github.com/farmhand/terraform-provider-farmhand/internal/store"
)

// FromStore reads a role and its policies as they were applied, with the defaults of then. The error wraps store.ErrNotFound if there is none.
// boot is the longest that one of its running servers took to serve; 0 if none has.
func FromStore(ctx context.Context, s store.Store, farm, role string) (subject simulate.Subject, boot time.Duration, err error) {
	declared, _, err := store.GetJSON[state.Declared[spec.Role]](ctx, s, state.RoleKey(farm, role))
	if err != nil {
		return subject, 0, fmt.Errorf("role %s/%s: %w", farm, role, err)
	}
	subject.Role = declared.Spec
	policies, err := store.ListJSON[spec.Policy](ctx, s, state.PolicyKey(farm, role, ""))
	if err != nil {
		return subject, 0, fmt.Errorf("policies of %s/%s: %w", farm, role, err)
	}
	for _, p := range policies {
		subject.Policies = append(subject.Policies, p.Value)
	}
	subject.SetDefaults() // of what came to declarations after this one was written; its zeroes were meant
	subject.Role.Drain = declared.Spec.Drain
	for i, p := range policies {
		subject.Policies[i].Cooldown, subject.Policies[i].Tolerance = p.Value.Cooldown, p.Value.Tolerance
	}
	instances, err := store.ListJSON[state.Instance](ctx, s, state.InstancePrefix(farm))
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return subject, 0, fmt.Errorf("instances of %s: %w", farm, err)
	}
	for _, i := range instances {
		if in := i.Value; in.Role == role && !in.ServedAt.IsZero() {
			boot = max(boot, in.ServedAt.Sub(in.Created))
		}
	}
	return subject, boot, nil
}
