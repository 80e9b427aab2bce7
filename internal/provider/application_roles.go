package provider

import (
	"context"
	"strings"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/diag"

	"github.com/farmhand/terraform-provider-farmhand/internal/spec"
	"github.com/farmhand/terraform-provider-farmhand/internal/state"
	"github.com/farmhand/terraform-provider-farmhand/internal/store"
)

// warnReplaced says how many running servers a new release replaces, by role.
func (r *applicationResource) warnReplaced(ctx context.Context, app spec.Application, diags *diag.Diagnostics) {
	s, err := r.openExisting(ctx)
	if err != nil {
		return // the refresh has told
	}
	former := storedApplication(ctx, s, app.Name)
	if former == nil || former.Release == app.Release && former.DocumentRoot == app.DocumentRoot {
		return
	}
	users, err := rolesRunning(ctx, s, app.Name)
	if err != nil {
		return
	}
	var sentences []string
	for _, role := range users {
		if n := runningServers(ctx, s, role); n > 0 {
			sentences = append(sentences, replacedSentence(role, n))
		}
	}
	if len(sentences) > 0 {
		diags.AddWarning("Running instances will be replaced", strings.Join(sentences, "\n"))
	}
}

// rolesRunning are the roles, of all farms, that run the application.
func rolesRunning(ctx context.Context, s store.Store, application string) ([]spec.Role, error) {
	farms, err := store.ListJSON[state.FarmEntry](ctx, s, state.FarmIndexKey(""))
	if err != nil {
		return nil, err
	}
	var users []spec.Role
	for _, f := range farms {
		roles, err := store.ListJSON[state.Declared[spec.Role]](ctx, s, state.RolePrefix(f.Value.Name))
		if err != nil {
			return nil, err
		}
		for _, role := range roles {
			if role.Value.Spec.Application == application && !role.Value.Deleting {
				users = append(users, role.Value.Spec)
			}
		}
	}
	return users, nil
}

// rolesStillRunning gives roles some time to go: the same apply may be destroying them, side by side with this.
func rolesStillRunning(ctx context.Context, s store.Store, application string) ([]spec.Role, error) {
	const patience = 5 * time.Second
	for began := time.Now(); ; {
		users, err := rolesRunning(ctx, s, application)
		if err != nil || len(users) == 0 || time.Since(began) > patience {
			return users, err
		}
		select {
		case <-ctx.Done():
			return users, ctx.Err()
		case <-time.After(patience / 20):
		}
	}
}

func (r *applicationResource) waitRoles(ctx context.Context, s store.Store, app spec.Application, timeout time.Duration) error {
	users, err := rolesRunning(ctx, s, app.Name)
	if err != nil {
		return err
	}
	until := time.Now().Add(timeout)
	for _, role := range users {
		farm := r.declaredFarm(ctx, s, role.Farm)
		if farm == nil {
			continue // it is being destroyed
		}
		if err := forgiveFailures(ctx, s, role); err != nil {
			return err
		}
		if err := r.waitServing(ctx, s, *farm, role, time.Until(until)); err != nil {
			return err
		}
	}
	return nil
}
