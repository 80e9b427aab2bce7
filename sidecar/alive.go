package sidecar

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"time"

	"github.com/farmhand/terraform-provider-farmhand/internal/daemon"
	"github.com/farmhand/terraform-provider-farmhand/internal/state"
	"github.com/farmhand/terraform-provider-farmhand/internal/store"
)

// sayAlive writes to a store that others reach that this sidecar runs, until ctx ends; then it takes that back. A write
// that fails is told of and made again at the next turn.
func sayAlive(ctx context.Context, s store.Store, a state.Alive, farms func() []string, log *slog.Logger) {
	a.Host, _ = os.Hostname()
	a.Started = time.Now().UTC()
	key := state.AliveKey(a.Holder)
	tick := time.NewTicker(state.AliveEvery)
	defer tick.Stop()
	for {
		a.Seen, a.Farms = time.Now().UTC(), farms()
		if _, err := store.PutJSON(ctx, s, key, a, store.Expires(a.Seen.Add(time.Hour))); err != nil && ctx.Err() == nil {
			log.Warn("the store does not take that this sidecar runs", "error", err)
		}
		select {
		case <-ctx.Done():
			const patience = 3 * time.Second
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
			defer cancel()
			_ = s.Delete(last, key) // else it expires
			return
		case <-tick.C:
		}
	}
}

// anyRuns tells whether a sidecar keeps the store's farms: this machine's, or one that says so in the store.
func anyRuns(ctx context.Context, s store.Store, dir string, now time.Time) (bool, error) {
	_, err := daemon.Find(ctx, dir)
	if err == nil || !errors.Is(err, daemon.ErrNotRunning) {
		return err == nil, nil
	}
	alive, err := store.ListJSON[state.Alive](ctx, s, state.AlivePrefix())
	if err != nil {
		return false, err
	}
	for _, a := range alive {
		if a.Value.Lives(now) {
			return true, nil
		}
	}
	return false, nil
}
