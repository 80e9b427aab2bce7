package mysql

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"os"
	"syscall"

	"github.com/farmhand/terraform-provider-farmhand/internal/dbserver"
	"github.com/farmhand/terraform-provider-farmhand/internal/state"
)

// install makes the data of the role's first primary.
func (r *runner) install(ctx context.Context, order state.DatabaseOrder) error {
	partial := r.volume.path(partialDir)
	if err := os.RemoveAll(partial); err != nil {
		return fmt.Errorf("removing an installation that was cut short: %w", err)
	}
	if err := os.MkdirAll(partial, 0o750); err != nil {
		return fmt.Errorf("making the data directory: %w", err)
	}
	if err := os.Chown(partial, r.volume.owner.uid, r.volume.owner.gid); err != nil {
		return fmt.Errorf("making the data directory: %w", err)
	}
	if err := r.flavor.install(ctx, r, partial); err != nil {
		return err
	}
	if err := writeMark(partial, mark{Instance: r.name, ServerID: r.newServerID(order.Seq)}); err != nil {
		return err
	}
	if err := os.Rename(partial, r.DataDir); err != nil {
		return fmt.Errorf("putting the data in place: %w", err)
	}
	return nil
}

// newServerID is one for new data. It goes with the data and not with the index: what an index's former data wrote is,
// for its clone, another server's, which it has to replicate.
func (r *runner) newServerID(seq int64) uint32 {
	h := fnv.New32a()
	_, _ = fmt.Fprintf(h, "%s\x00%s\x00%s\x00%d", r.Assignment.Farm, r.name, r.Assignment.Token, seq)
	return h.Sum32()&0x7fffffff | 1
}

// start starts the server on the data that is there, unless it runs, and opens it. One that was cut short, by a newer order, goes on
// where it was: the server may run and not be open yet.
func (r *runner) start(ctx context.Context, d *state.Database) error {
	r.mu.Lock()
	began := r.began
	r.mu.Unlock()
	if !began {
		if err := r.startProcess(ctx, d); err != nil {
			return err
		}
	}
	if r.db() != nil {
		return r.service.Alive()
	}
	return r.openServer(ctx)
}

func (r *runner) startProcess(ctx context.Context, d *state.Database) error {
	if err := r.remember(func(m *mark) {
		if m.ServerID == 0 {
			m.ServerID = r.newServerID(0)
		}
		if m.Instance == "" {
			m.Instance = r.name
		}
	}); err != nil {
		return err
	}
	m := r.mark()
	program := r.flavor.program(r.config.Path, m.ServerID, d != nil && d.Term > m.Term)
	if err := r.service.Start(ctx, r.Run, program[0], program[1:]...); err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.began = true
	r.former, r.variables = dbserver.Accounts{}, nil
	return nil
}

// openServer waits until the server that was started takes connections. Recovery after a crash takes as long as it takes; the role's
// launch timeout bounds it.
func (r *runner) openServer(ctx context.Context) error {
	var s dbserver.Server
	err := r.service.Await(ctx, func(ctx context.Context) (err error) {
		s, err = r.open(ctx, r.Socket)
		return err
	})
	if err != nil {
		return err
	}
	if r.mark().Seed {
		if err := r.seed(ctx, s); err != nil {
			s.Close()
			return err
		}
		if err := r.remember(func(m *mark) { m.Seed = false }); err != nil {
			s.Close()
			return err
		}
	}
	r.server.Store(&s)
	poke(r.look)
	return nil
}

// seed tells a server that was cloned its position. One that the data tells is noted first: the server forgets it on the way.
func (r *runner) seed(ctx context.Context, s dbserver.Server) error {
	if r.mark().Position == "" {
		st, err := s.Status(ctx)
		if err != nil {
			return err
		}
		if err := r.remember(func(m *mark) { m.Position = st.Position }); err != nil {
			return err
		}
	}
	return s.Seed(ctx, r.mark().Position)
}

// halt stops the server, so that its data can be replaced.
func (r *runner) halt(ctx context.Context) error {
	r.mu.Lock()
	r.replacing = true
	r.mu.Unlock()
	if s := r.server.Swap(nil); s != nil {
		(*s).Close()
	}
	err := r.service.Stop(ctx, int(syscall.SIGTERM))
	r.writable.Store(false)
	if r.service.Alive() == nil {
		return err
	}
	r.mu.Lock()
	r.began = false
	r.mu.Unlock()
	return nil // killed is as good: the data goes
}

// db is the running server, nil for none.
func (r *runner) db() dbserver.Server {
	if s := r.server.Load(); s != nil {
		return *s
	}
	return nil
}

func (r *runner) started() (dbserver.Server, error) {
	if s := r.db(); s != nil {
		return s, nil
	}
	if r.isEmpty() {
		return nil, errors.New("it holds no data")
	}
	return nil, errors.New("the server is not started")
}

// dead says how the server ended that should run, nil if none should or it does.
func (r *runner) dead() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.began || r.replacing {
		return nil
	}
	return r.service.Alive()
}

// applyVariables tells the server those of the declared variables that it takes over while it runs, and resets those
// that are not declared any more.
func (r *runner) applyVariables(ctx context.Context) error {
	r.mu.Lock()
	settings := r.Assignment.Role.Settings
	if own, ok := r.input.Topology.Roles[r.Assignment.Role.Name]; ok {
		settings = own.Settings
	}
	told := r.variables
	r.mu.Unlock()
	now := map[string]string{}
	for _, v := range declared(settings) {
		if v.dynamic {
			now[v.name] = v.value
		}
	}
	var errs []error
	for name, value := range now {
		if before, ok := told[name]; ok && before == value {
			continue
		}
		if err := r.db().Set(ctx, name, value); err != nil {
			errs = append(errs, err)
		}
	}
	for name := range told {
		if _, still := now[name]; !still {
			errs = append(errs, r.db().SetDefault(ctx, name))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	r.mu.Lock()
	r.variables = now
	r.mu.Unlock()
	return nil
}
