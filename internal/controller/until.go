package controller

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/farmhand/terraform-provider-farmhand/internal/spec"
	"github.com/farmhand/terraform-provider-farmhand/internal/state"
	"github.com/farmhand/terraform-provider-farmhand/internal/store"
)

// FarmEnded tells whether everything of a farm that is being deleted is gone: instances, volumes that are not kept,
// and its network. A farm that is not declared has ended too. The caller may then Erase it.
func FarmEnded(ctx context.Context, s store.Store, farm string) (bool, error) {
	d, _, err := store.GetJSON[state.Declared[spec.Farm]](ctx, s, state.FarmKey(farm))
	if errors.Is(err, store.ErrNotFound) {
		return true, nil
	}
	return err == nil && d.Deleting && d.Ended, err
}

// RoleEnded tells the same of a role; the caller may then delete its RoleKey.
func RoleEnded(ctx context.Context, s store.Store, farm, role string) (bool, error) {
	d, _, err := store.GetJSON[state.Declared[spec.Role]](ctx, s, state.RoleKey(farm, role))
	if errors.Is(err, store.ErrNotFound) {
		return true, nil
	}
	return err == nil && d.Deleting && d.Ended, err
}

// Erase removes every key of a farm that has ended, its history included, and gives its name back last.
func Erase(ctx context.Context, s store.Store, farm string) error {
	entries, err := s.List(ctx, farm+"/")
	if err != nil {
		return fmt.Errorf("erasing farm %s: %w", farm, err)
	}
	for _, e := range entries {
		if err := s.Delete(ctx, e.Key); err != nil {
			return fmt.Errorf("erasing farm %s: %w", farm, err)
		}
	}
	if err := s.Delete(ctx, state.FarmIndexKey(farm)); err != nil {
		return fmt.Errorf("erasing farm %s: %w", farm, err)
	}
	return nil
}

// RunFarmUntilGone carries the deletion of a farm out in this process, for a destroy when no sidecar lives to do it.
// Deleting must be set. It waits for the lease of a sidecar that died, and returns an error wrapping ErrHeld (of
// store) if a live one goes on renewing it. nil: the farm has ended. The caller bounds it with ctx.
func RunFarmUntilGone(ctx context.Context, opts Options, farm string) error {
	return runUntil(ctx, opts, farm, "", func(ctx context.Context, s store.Store) (bool, error) { return FarmEnded(ctx, s, farm) })
}

// RunRoleUntilGone does the same for one role. The farm's other roles are not touched meanwhile.
func RunRoleUntilGone(ctx context.Context, opts Options, farm, role string) error {
	return runUntil(ctx, opts, farm, role, func(ctx context.Context, s store.Store) (bool, error) { return RoleEnded(ctx, s, farm, role) })
}

func runUntil(ctx context.Context, opts Options, farm, role string, ended func(context.Context, store.Store) (bool, error)) error {
	opts, err := opts.complete()
	if err != nil {
		return err
	}
	k := newKeeper(opts, farm)
	k.onlyRole, k.quiet, k.ended = role, true, ended
	giveUp := time.Now().Add(2 * opts.LeaseTTL) // a dead sidecar's lease has ended by then
	for {
		if done, err := ended(ctx, opts.Store); err != nil || done {
			return err
		}
		err := k.run(ctx)
		switch {
		case ctx.Err() != nil:
			return fmt.Errorf("ending farm %s: %w", farm, context.Cause(ctx))
		case errors.Is(err, store.ErrHeld) && time.Now().Before(giveUp):
		case err != nil:
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("ending farm %s: %w", farm, context.Cause(ctx))
		case <-time.After(250 * time.Millisecond):
		}
	}
}
