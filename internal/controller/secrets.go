package controller

import (
	"context"
	"errors"
	"fmt"

	"github.com/farmhand/terraform-provider-farmhand/internal/state"
	"github.com/farmhand/terraform-provider-farmhand/internal/store"
)

// ensureSecrets makes the credentials that a role's behavior needs, once: what is there is never changed, since a
// database somewhere was made with it. They share a key with the role's secret environment. Values are never logged.
func (k *keeper) ensureSecrets(ctx context.Context, s *sight) error {
	for name, r := range s.roles {
		seen := fmt.Sprintf("%s@%d", name, r.revision)
		if r.behavior == nil || r.Deleting || s.farm.Deleting || k.secrets[seen] {
			continue
		}
		if err := k.ensureSecret(ctx, name, r.behavior.NewSecret(r.Spec)); err != nil {
			return fmt.Errorf("making the credentials of %s: %w", name, err)
		}
		if !r.restores() { // what asked for one was killed before it could
			if err := SetRestoreKey(ctx, k.store, k.farm, name, ""); err != nil {
				return fmt.Errorf("removing a key that nothing is restored with: %w", err)
			}
		}
		k.secrets[seen] = true
	}
	return nil
}

func (k *keeper) ensureSecret(ctx context.Context, role string, fresh map[string]string) error {
	key := state.SecretKey(k.farm, role)
	for {
		secret, revision, err := store.GetJSON[map[string]string](ctx, k.store, key)
		condition := store.At(revision)
		if errors.Is(err, store.ErrNotFound) {
			secret, condition, err = map[string]string{}, store.Absent(), nil
		}
		if err != nil {
			return err
		}
		missing := false
		for name, value := range fresh {
			if _, ok := secret[name]; !ok {
				secret[name], missing = value, true
			}
		}
		if !missing {
			return nil
		}
		_, err = store.PutJSON(ctx, k.store, key, secret, store.If(condition))
		if !errors.Is(err, store.ErrConflict) { // conflict: the provider wrote the secret environment meanwhile
			return err
		}
	}
}
