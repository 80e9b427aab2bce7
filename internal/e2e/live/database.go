package live

import (
	"context"
	"fmt"

	"github.com/moby/moby/client"

	"github.com/farmhand/terraform-provider-farmhand/internal/state"
	"github.com/farmhand/terraform-provider-farmhand/internal/store"
)

// Database is what was decided of a role's database.
func (r *Record) Database(ctx context.Context, farm, role string) (state.Database, error) {
	d, _, err := store.GetJSON[state.Database](ctx, r.store, state.DatabaseKey(farm, role))
	return d, err
}

// Topology is who serves.
func (r *Record) Topology(ctx context.Context, farm string) (state.Topology, error) {
	t, _, err := store.GetJSON[state.Topology](ctx, r.store, state.TopologyKey(farm))
	return t, err
}

// Secret is what of a role is secret.
func (r *Record) Secret(ctx context.Context, farm, role string) (map[string]string, error) {
	s, _, err := store.GetJSON[map[string]string](ctx, r.store, state.SecretKey(farm, role))
	return s, err
}

// Replicated says what a role's database of n servers lacks to being whole: one primary, whose commits wait for replicas that all
// follow it. "" for nothing.
func (r *Record) Replicated(ctx context.Context, farm, role string, n int) (lacks string, err error) {
	d, err := r.Database(ctx, farm, role)
	if err != nil {
		return "", err
	}
	instances, err := r.Instances(ctx, farm, role)
	if err != nil {
		return "", err
	}
	running := 0
	for _, i := range instances {
		if i.Phase != state.Running {
			continue
		}
		running++
		report, _, err := store.GetJSON[state.Report](ctx, r.store, state.ReportKey(farm, i.Name()))
		db := report.Database
		if err != nil || db == nil || report.Token != i.Token {
			return i.Name() + " has not reported", nil //nolint:nilerr // it will
		}
		switch {
		case i.Name() == d.Primary && (!db.Writable || db.SemiSync < n-1 || d.Orders[i.Name()].Alone):
			return fmt.Sprintf("%s is the primary and has %d replicas that acknowledge", i.Name(), db.SemiSync), nil
		case i.Name() != d.Primary && (!db.Receiving || !db.Applying || !db.LagKnown || db.Lag > 1):
			return i.Name() + " does not keep up", nil
		}
	}
	switch {
	case running < n:
		return fmt.Sprintf("%d of %d serve", running, n), nil
	case d.Primary == "" || d.Failover != nil:
		return "the primary is being changed", nil
	}
	return "", nil
}

// Pause stops a container's processes as `docker pause` does, and Unpause lets them go on.
func (e *Engine) Pause(ctx context.Context, id string) error {
	_, err := e.c.ContainerPause(ctx, id, client.ContainerPauseOptions{})
	return err
}

// Unpause is Pause's opposite.
func (e *Engine) Unpause(ctx context.Context, id string) error {
	_, err := e.c.ContainerUnpause(ctx, id, client.ContainerUnpauseOptions{})
	return err
}

// Cut takes a container off its networks.
func (e *Engine) Cut(ctx context.Context, id string) error {
	c, err := e.c.ContainerInspect(ctx, id, client.ContainerInspectOptions{})
	if err != nil {
		return err
	}
	for name := range c.Container.NetworkSettings.Networks {
		if _, err := e.c.NetworkDisconnect(ctx, name, client.NetworkDisconnectOptions{Container: id, Force: true}); err != nil {
			return err
		}
	}
	return nil
}
