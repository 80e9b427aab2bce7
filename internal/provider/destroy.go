package provider

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/resource"

	"github.com/farmhand/terraform-provider-farmhand/internal/controller"
	"github.com/farmhand/terraform-provider-farmhand/internal/deploy/executable"
	"github.com/farmhand/terraform-provider-farmhand/internal/platform/platforms"
	"github.com/farmhand/terraform-provider-farmhand/internal/spec"
	"github.com/farmhand/terraform-provider-farmhand/internal/state"
	"github.com/farmhand/terraform-provider-farmhand/internal/store"
)

// destroyIn is the Delete of what takes time to end; no store, nothing to end.
func (b *backend) destroyIn(ctx context.Context, timeout time.Duration, what string, diags *diag.Diagnostics, destroy func(context.Context, store.Store) error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	s, err := b.openExisting(ctx)
	if errors.Is(err, errNoStore) {
		return
	}
	if err == nil {
		err = destroy(ctx, s)
	}
	if err != nil {
		diags.AddError(what+" cannot be destroyed",
			sentence(err.Error())+"\n\nWhat was done is done; another destroy goes on from there.")
	}
}

// failedCreateCleanup bounds the removal of what a failed create made. The request's own time may be used up by then.
const failedCreateCleanup = 5 * time.Minute

// undoCreate removes what a failed create made, so that the next apply starts afresh. After an interruption it stays in
// the state as tainted, and the next apply replaces it.
func undoCreate(ctx context.Context, resp *resource.CreateResponse, destroy func(context.Context) error) {
	if ctx.Err() != nil {
		return
	}
	cleanup, cancel := context.WithTimeout(context.WithoutCancel(ctx), failedCreateCleanup)
	defer cancel()
	if err := destroy(cleanup); err != nil {
		resp.Diagnostics.AddError("What was made of it cannot be removed again",
			sentence(err.Error())+"\n\nIt stays in the state as tainted; `terraform destroy` or the next apply removes it.")
		return
	}
	resp.State.RemoveResource(ctx)
}

// destroyRole ends a role and removes what the store holds of it. It may be interrupted anywhere and called again;
// a role that does not exist is no error. Credentials are the sidecar's to remove: data that is kept was made with them.
func (b *backend) destroyRole(ctx context.Context, s store.Store, farm, role string) error {
	err := markDeleting[spec.Role](ctx, s, state.RoleKey(farm, role))
	if err == nil {
		err = b.waitEnded(ctx, s, farm, "role "+farm+"/"+role,
			func(ctx context.Context) (bool, error) { return controller.RoleEnded(ctx, s, farm, role) },
			func(ctx context.Context, o controller.Options) error {
				return controller.RunRoleUntilGone(ctx, o, farm, role)
			})
	}
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	// The declaration goes before what the sidecar still writes about a declared role, and after what is found by it.
	if err := deleteAll(ctx, s, state.PolicyKey(farm, role, "")); err != nil {
		return err
	}
	for _, key := range []string{state.DemandKey(farm, role), state.RoleKey(farm, role), state.MemoryKey(farm, role), state.ManualKey(farm, role)} {
		if err := s.Delete(ctx, key); err != nil {
			return fmt.Errorf("removing role %s/%s from the store: %w", farm, role, err)
		}
	}
	return deleteAll(ctx, s, state.LedgerKey(farm, role, ""))
}

// destroyFarm ends a farm with everything in it and gives its name back. It may be interrupted anywhere and called again.
func (b *backend) destroyFarm(ctx context.Context, s store.Store, farm string) error {
	declared, _, err := store.GetJSON[state.Declared[spec.Farm]](ctx, s, state.FarmKey(farm))
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	err = markDeleting[spec.Farm](ctx, s, state.FarmKey(farm))
	if err == nil {
		err = b.waitEnded(ctx, s, farm, "farm "+farm,
			func(ctx context.Context) (bool, error) { return controller.FarmEnded(ctx, s, farm) },
			func(ctx context.Context, o controller.Options) error {
				return controller.RunFarmUntilGone(ctx, o, farm)
			})
	}
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	// After its last instance, and before what tells that it was on EC2.
	if err := b.undeployFarm(ctx, s, declared.Spec); err != nil {
		return err
	}
	return controller.Erase(ctx, s, farm)
}

// markDeleting tells the sidecar to end what is declared under key. ErrNotFound if nothing is.
func markDeleting[T any](ctx context.Context, s store.Store, key string) error {
	for {
		declared, revision, err := store.GetJSON[state.Declared[T]](ctx, s, key)
		if err != nil || declared.Deleting {
			return err
		}
		declared.Deleting = true
		_, err = store.PutJSON(ctx, s, key, declared, store.If(store.At(revision)))
		if !errors.Is(err, store.ErrConflict) {
			return err
		}
	}
}

// waitEnded waits until the sidecar has ended something, or ends it in this process where no sidecar lives.
func (b *backend) waitEnded(ctx context.Context, s store.Store, farm, what string,
	ended func(context.Context) (bool, error), run func(context.Context, controller.Options) error) error {
	began := time.Now()
	tick := time.NewTicker(lookAgain / 4)
	defer tick.Stop()
	for {
		done, err := ended(ctx)
		if err != nil || done {
			return err
		}
		if b.sidecarIsDead(ctx) {
			options, err := b.ownController(ctx, s)
			if err != nil {
				return err
			}
			acting.Lock()
			err = run(ctx, options)
			acting.Unlock()
			if err == nil || !errors.Is(err, store.ErrHeld) {
				return err
			}
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s has not ended yet: %w%s", what, ctx.Err(), troubleText(context.WithoutCancel(ctx), s, farm, began))
		case <-tick.C:
		}
	}
}

// acting keeps this process to one controller at a time: Terraform destroys roles side by side, and two controllers of
// the same holder would take the lease from each other.
var acting sync.Mutex

// ownController is what this process works with where it has to act in the sidecar's place.
func (b *backend) ownController(ctx context.Context, s store.Store) (controller.Options, error) {
	blobs, err := b.openBlobs(ctx)
	if err != nil {
		return controller.Options{}, err
	}
	own, err := os.Executable()
	if err != nil {
		return controller.Options{}, err
	}
	agent, err := executable.Agent(own)
	if err != nil {
		return controller.Options{}, err
	}
	return controller.Options{Store: s, Blobs: blobs, Holder: fmt.Sprintf("terraform-%d", os.Getpid()), AgentBinary: agent, OpenPlatform: b.openPlatform(platforms.Deps{AgentBinary: agent})}, nil
}

func deleteAll(ctx context.Context, s store.Store, prefix string) error {
	entries, err := s.List(ctx, prefix)
	if err != nil {
		return fmt.Errorf("removing %s from the store: %w", prefix, err)
	}
	for _, e := range entries {
		if err := s.Delete(ctx, e.Key); err != nil {
			return fmt.Errorf("removing %s from the store: %w", e.Key, err)
		}
	}
	return nil
}
