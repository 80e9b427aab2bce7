package agent

import (
	"context"
	"errors"
	"time"

	"github.com/farmhand/terraform-provider-farmhand/internal/behavior"
	"github.com/farmhand/terraform-provider-farmhand/internal/state"
	"github.com/farmhand/terraform-provider-farmhand/internal/store"
)

// databaseEvery is how often what was decided of the role's servers is read where nothing hints at a change: a hint may
// be missed, and a primary whose lease ran out waits for an answer that is newer.
const databaseEvery = 2 * time.Second

// attachDatabase begins to bring the runner its orders, and the farm its reports, if it is a database's. The runner gets
// them while it is being set up, too: what it is to be is decided by what it says.
func (a *agent) attachDatabase(ctx context.Context, as state.Assignment) {
	d, ok := a.runner.(behavior.DatabaseReporter)
	if !ok || !a.traits.Replicated {
		return
	}
	a.database.Store(&d)
	go a.followDatabase(ctx, d, state.DatabaseKey(as.Farm, as.Role.Name))
	go func() {
		for {
			select {
			case <-ctx.Done():
				return
			case <-d.DatabaseChanged():
				poke(a.wake)
			}
		}
	}()
}

// followDatabase hands over what was decided: at once when it changes, beside keepUp, which reads much else before.
func (a *agent) followDatabase(ctx context.Context, d behavior.DatabaseReporter, key string) {
	hints := make(chan struct{}, 1)
	go a.watch(ctx, key, hints)
	tick := time.NewTicker(databaseEvery)
	defer tick.Stop()
	for {
		asked := time.Now()
		decided, err := readJSON[state.Database](ctx, a.farm, key)
		switch {
		case err == nil:
			d.Ordered(&decided, asked)
		case errors.Is(err, store.ErrNotFound), ctx.Err() != nil:
		default:
			a.Log.Debug("reading what was decided of the database", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-hints:
		case <-a.reached:
		case <-tick.C:
		}
	}
}

// databaseReport is how the server stands, nil if the instance is no database's.
func (a *agent) databaseReport() *state.DatabaseReport {
	d := a.database.Load()
	if d == nil {
		return nil
	}
	r := (*d).DatabaseReport(context.Background())
	return &r
}

// heard tells a database's runner that the store took a report that was sent then.
func (a *agent) heard(sent time.Time) {
	if d := a.database.Load(); d != nil {
		(*d).Heard(sent)
	}
}
