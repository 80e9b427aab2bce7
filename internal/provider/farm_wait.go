package provider

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/farmhand/terraform-provider-farmhand/internal/spec"
	"github.com/farmhand/terraform-provider-farmhand/internal/state"
	"github.com/farmhand/terraform-provider-farmhand/internal/store"
)

// troublePatience is how long the sidecar may go on complaining before a farm's creation is given up: its second
// attempt comes within this time.
const troublePatience = 5 * time.Second

// waitOpen waits until the sidecar has opened a new farm's network and nameserver, and returns the nameserver.
func (b *backend) waitOpen(ctx context.Context, s store.Store, farm spec.Farm, timeout time.Duration) (nameserver string, err error) {
	waitCtx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	began := time.Now()
	hints, err := s.Watch(waitCtx, state.RuntimeKey(farm.Name))
	if err != nil {
		return "", fmt.Errorf("waiting for the farm to open: %w", err)
	}
	tick := time.NewTicker(lookAgain)
	defer tick.Stop()
	var complaining time.Time
	for {
		runtime, _, err := store.GetJSON[state.Runtime](waitCtx, s, state.RuntimeKey(farm.Name))
		switch {
		case err == nil && (runtime.Nameserver != "" || farm.AWS != nil && !runtime.OpenedAt.IsZero()): // on EC2 nobody listens
			return runtime.Nameserver, nil
		case err != nil && !errors.Is(err, store.ErrNotFound) && waitCtx.Err() == nil:
			return "", fmt.Errorf("waiting for the farm to open: %w", err)
		}
		if reason, bad := trouble(waitCtx, s, farm.Name, began); bad {
			if complaining.IsZero() {
				complaining = time.Now()
			}
			if time.Since(complaining) > troublePatience {
				return "", fmt.Errorf("the sidecar says: %s", reason)
			}
		}
		if b.sidecarIsDead(waitCtx) {
			return "", errors.New("the sidecar ended meanwhile; its log tells why")
		}
		select {
		case <-waitCtx.Done():
			if ctx.Err() != nil {
				return "", fmt.Errorf("interrupted: %w", ctx.Err())
			}
			return "", fmt.Errorf("the sidecar did not open it within %s%s", timeout, troubleText(ctx, s, farm.Name, began))
		case <-hints:
		case <-tick.C:
		}
	}
}
