package provider

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/diag"

	"github.com/farmhand/terraform-provider-farmhand/internal/spec"
	"github.com/farmhand/terraform-provider-farmhand/internal/state"
	"github.com/farmhand/terraform-provider-farmhand/internal/store"
)

// roleChange is an update of a role that can be undone.
type roleChange struct {
	role    spec.Role
	secrets map[string]string // nil: they stay as they are

	former        state.Declared[spec.Role]
	formerSecrets map[string]string
	revision      store.Revision // of the declaration: read, then written
}

// prepare reads what the change would replace. Secret values are taken over when their version or names change; those
// that the behavior made for itself stay.
func (r *roleResource) prepare(ctx context.Context, s store.Store, role spec.Role, config *roleModel, diags *diag.Diagnostics) (*roleChange, error) {
	c := &roleChange{role: role}
	var err error
	c.former, c.revision, err = store.GetJSON[state.Declared[spec.Role]](ctx, s, state.RoleKey(role.Farm, role.Name))
	if err != nil {
		return nil, err
	}
	c.formerSecrets, _, err = store.GetJSON[map[string]string](ctx, s, state.SecretKey(role.Farm, role.Name))
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return nil, err
	}
	c.role.Secrets = config.secretNames()
	if role.SecretsVersion == c.former.Spec.SecretsVersion && slices.Equal(c.role.Secrets, c.former.Spec.Secrets) && keyVersion(role) == keyVersion(c.former.Spec) {
		return c, nil
	}
	c.secrets = map[string]string{}
	maps.Copy(c.secrets, c.formerSecrets)
	for _, name := range c.former.Spec.Secrets {
		delete(c.secrets, name)
	}
	maps.Copy(c.secrets, config.secrets(ctx, diags))
	if keyVersion(role) != keyVersion(c.former.Spec) {
		delete(c.secrets, state.BackupKey)
		maps.Copy(c.secrets, config.allSecrets(ctx, diags))
	}
	return c, nil
}

// apply writes secrets first: an instance of the new generation finds them.
func (c *roleChange) apply(ctx context.Context, s store.Store) (err error) {
	if c.secrets != nil {
		if _, err := store.PutJSON(ctx, s, state.SecretKey(c.role.Farm, c.role.Name), c.secrets); err != nil {
			return err
		}
	}
	if err := forgiveFailures(ctx, s, c.role); err != nil {
		return err
	}
	c.revision, err = store.PutJSON(ctx, s, state.RoleKey(c.role.Farm, c.role.Name),
		state.Declared[spec.Role]{Spec: c.role}, store.If(store.At(c.revision)))
	return err
}

// undo puts the former declaration back, unless another has changed it meanwhile.
func (c *roleChange) undo(ctx context.Context, s store.Store) (err error) {
	if c.secrets != nil {
		if _, err := store.PutJSON(ctx, s, state.SecretKey(c.role.Farm, c.role.Name), c.formerSecrets); err != nil {
			return err
		}
	}
	c.revision, err = store.PutJSON(ctx, s, state.RoleKey(c.role.Farm, c.role.Name), c.former, store.If(store.At(c.revision)))
	return err
}

// forgiveFailures clears the launch failures that the engine counts: a person who applies again has removed their
// cause, as far as anyone knows. The engine writes the same record, so that the write is repeated where they meet.
func forgiveFailures(ctx context.Context, s store.Store, role spec.Role) error {
	for {
		memory, revision, err := store.GetJSON[state.Memory](ctx, s, state.MemoryKey(role.Farm, role.Name))
		if errors.Is(err, store.ErrNotFound) || err == nil && memory.LaunchFailures == 0 {
			return nil
		}
		if err != nil {
			return fmt.Errorf("clearing former launch failures: %w", err)
		}
		memory.LaunchFailures, memory.FailedGeneration, memory.FailedInstance, memory.LastFailure = 0, "", "", nil
		memory.RetryAt, memory.FailedAt = time.Time{}, time.Time{}
		_, err = store.PutJSON(ctx, s, state.MemoryKey(role.Farm, role.Name), memory, store.If(store.At(revision)))
		if err == nil {
			return nil
		}
		if !errors.Is(err, store.ErrConflict) {
			return fmt.Errorf("clearing former launch failures: %w", err)
		}
	}
}
