package controller

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/farmhand/terraform-provider-farmhand/internal/store"
)

// guarded is the store as a lease's holder writes to it: every write fails with ErrFenced once another has the lease.
// Reads are not guarded; what follows from them is.
type guarded struct {
	store.Store
	guard *store.Guard
}

func (g guarded) Put(ctx context.Context, key string, value []byte, opts ...store.Option) (store.Revision, error) {
	return g.Store.Put(ctx, key, value, append(opts, store.Guarded(g.guard))...)
}

func (g guarded) Delete(ctx context.Context, key string, opts ...store.Option) error {
	return g.Store.Delete(ctx, key, append(opts, store.Guarded(g.guard))...)
}

// Close is the owner's to call.
func (g guarded) Close() error { return nil }

// renew keeps the lease until ctx ends. It returns why the lease is lost: the caller stops acting at once.
// A store that is away for a moment does not lose it; that the lease has run out does.
func renew(ctx context.Context, lease *store.Lease, every time.Duration) error {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		err := lease.Renew(ctx)
		switch {
		case err == nil || ctx.Err() != nil:
		case errors.Is(err, store.ErrFenced):
			return fmt.Errorf("the farm's lease was lost: %w", err)
		case !lease.Held():
			return fmt.Errorf("the farm's lease ran out: %w", err)
		}
	}
}
