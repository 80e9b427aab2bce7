package controller

import (
	"context"
	"errors"

	"github.com/farmhand/terraform-provider-farmhand/internal/state"
	"github.com/farmhand/terraform-provider-farmhand/internal/store"
)

// SetRestoreKey puts the key of the backups that a restore is from into the role's secret, or takes it out again for "". It stands there
// for as long as the restore does, and nowhere else.
func SetRestoreKey(ctx context.Context, s store.Store, farm, role, key string) error {
	for {
		secret, revision, err := store.GetJSON[map[string]string](ctx, s, state.SecretKey(farm, role))
		condition := store.At(revision)
		if errors.Is(err, store.ErrNotFound) {
			secret, condition, err = map[string]string{}, store.Absent(), nil
		}
		if err != nil || secret[state.RestoreKey] == key {
			return err
		}
		if key == "" {
			delete(secret, state.RestoreKey)
		} else {
			secret[state.RestoreKey] = key
		}
		_, err = store.PutJSON(ctx, s, state.SecretKey(farm, role), secret, store.If(condition))
		if !errors.Is(err, store.ErrConflict) {
			return err
		}
	}
}

// restores tells whether a restore stands that needs a key of its own.
func (r *roleSight) restores() bool {
	return r.backupWish.HoldsKey() || r.backups != nil && (r.backups.Task.HoldsKey() || r.backups.Again.HoldsKey())
}
