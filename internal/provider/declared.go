package provider

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"

	"github.com/farmhand/terraform-provider-farmhand/internal/spec"
	"github.com/farmhand/terraform-provider-farmhand/internal/state"
	"github.com/farmhand/terraform-provider-farmhand/internal/store"
)

// What is declared is, during a plan, what the plan makes of it, and else what the store holds.

// declaredFarm is a farm that is planned or stored; nil if it is neither, or is being destroyed.
func (b *backend) declaredFarm(ctx context.Context, s store.Store, name string) *spec.Farm {
	if f, ok := plannedAs[spec.Farm](b, state.FarmKey(name)); ok {
		return &f
	}
	if s == nil || name == "" {
		return nil
	}
	d, _, err := store.GetJSON[state.Declared[spec.Farm]](ctx, s, state.FarmKey(name))
	if err != nil || d.Deleting {
		return nil
	}
	return &d.Spec
}

// storedRole and storedApplication are what the store holds, whatever is planned; nil for none.
func storedRole(ctx context.Context, s store.Store, farm, name string) *spec.Role {
	if s == nil || farm == "" || name == "" {
		return nil
	}
	d, _, err := store.GetJSON[state.Declared[spec.Role]](ctx, s, state.RoleKey(farm, name))
	if err != nil {
		return nil
	}
	return &d.Spec
}

func storedApplication(ctx context.Context, s store.Store, name string) *spec.Application {
	if s == nil || name == "" {
		return nil
	}
	app, _, err := store.GetJSON[spec.Application](ctx, s, state.ApplicationKey(name))
	if err != nil {
		return nil
	}
	return &app
}

// requireRole tells whether the store holds the role that a record or a policy is declared for, and what to do if not.
func requireRole(ctx context.Context, s store.Store, farm, role string, id text, diags *diag.Diagnostics) bool {
	if storedRole(ctx, s, farm, role) != nil {
		return true
	}
	diags.AddAttributeError(path.Root("role"), "There is no such role", fmt.Sprintf("role: %q is not declared in this store. "+
		"Name a role by farmhand_role.<name>.id, so that it is made first.", id.ValueString()))
	return false
}

// declaredRoles are the roles of a farm after the plan, as far as it has come: those planned, and those stored that
// this run's state does not hold. What the state holds and the plan has not come to yet is checked when it comes.
func (b *backend) declaredRoles(ctx context.Context, s store.Store, farm string) ([]spec.Role, error) {
	return declaredUnder(ctx, b, s, state.RolePrefix(farm), func(d state.Declared[spec.Role]) spec.Role { return d.Spec })
}

// declaredPolicies are the same of the policies of a role.
func (b *backend) declaredPolicies(ctx context.Context, s store.Store, farm, role string) ([]spec.Policy, error) {
	return declaredUnder(ctx, b, s, state.PolicyKey(farm, role, ""), func(p spec.Policy) spec.Policy { return p })
}

// declaredUnder merges planned and stored declarations; stored of one entry gives the declaration in it.
func declaredUnder[S, D any](ctx context.Context, b *backend, s store.Store, prefix string, declaration func(stored S) D) ([]D, error) {
	var all []D
	planned := map[string]bool{}
	b.mu.Lock()
	for key, v := range b.planned {
		if strings.HasPrefix(key, prefix) {
			planned[key] = true
			if d, ok := v.(D); ok {
				all = append(all, d)
			}
		}
	}
	b.mu.Unlock()
	if s == nil {
		return all, nil
	}
	items, err := store.ListJSON[S](ctx, s, prefix)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return nil, err
	}
	for _, it := range items {
		if !planned[it.Key] && !b.inState(it.Key) {
			all = append(all, declaration(it.Value))
		}
	}
	return all, nil
}
