package mysql

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"time"

	"github.com/farmhand/terraform-provider-farmhand/internal/dbserver"
	"github.com/farmhand/terraform-provider-farmhand/internal/state"
)

// Time limits of an order's steps. What waits for others (a clone, a candidate catching up) has none: another order
// ends it.
const (
	stepTime   = 10 * time.Second
	freezeTime = time.Second     // for commits under way to end by themselves, before they are cut off
	upkeep     = time.Second     // between two looks at what was carried out
	mendAgain  = 2 * time.Minute // a replica that broke within this after it was restarted is not restarted again
	longWait   = 10 * time.Second
)

// replicaUser is who replicas replicate as.
const replicaUser = "farmhand_replica"

// serve carries out orders, one after the other, until ctx ends. One that failed is tried again, ever less often.
func (r *runner) serve(ctx context.Context) {
	wait := time.Duration(0)
	for {
		pause := upkeep
		if wait > 0 {
			pause = wait
		}
		select {
		case <-ctx.Done():
			return
		case <-r.wake:
			wait = 0
		case <-time.After(pause):
		}
		d, order, octx, cancel := r.next(ctx)
		if order.Seq == 0 {
			cancel(nil)
			continue
		}
		var err error
		if r.isDone(order) {
			err = r.maintain(octx, d, order)
		} else {
			err = r.carryOut(octx, d, order)
			if err == nil && octx.Err() == nil {
				r.done(order)
			}
		}
		replaced := octx.Err() != nil
		cancel(nil)
		if replaced {
			wait = 0
			poke(r.wake)
			if ctx.Err() == nil {
				time.Sleep(5 * time.Millisecond) // a lease that stays lost cancels again and again
			}
			continue
		}
		r.failed(err)
		if err != nil {
			wait = min(max(250*time.Millisecond, 2*wait), longWait)
		} else {
			wait = 0
		}
	}
}

// next is the present order, with a context that ends when another one comes.
func (r *runner) next(ctx context.Context) (*state.Database, state.DatabaseOrder, context.Context, context.CancelCauseFunc) {
	octx, cancel := context.WithCancelCause(ctx)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.cancelOrder = cancel
	return r.office.database, r.office.order(r.name, r.Assignment.Token), octx, cancel
}

func (r *runner) carryOut(ctx context.Context, d *state.Database, order state.DatabaseOrder) error {
	r.doing("becoming " + string(order.Office))
	defer r.doing("")
	switch order.Office {
	case state.OfficePrimary:
		return r.promote(ctx, d, order)
	case state.OfficeReplica:
		return r.replicate(ctx, d, order)
	case state.OfficeClone:
		if m := r.mark(); m.Cloned < order.Seq {
			if err := r.clone(ctx, order, true); err != nil {
				return err
			}
		}
		return r.replicate(ctx, d, order)
	case state.OfficeDrain:
		return r.drain(ctx, order)
	case state.OfficeFrozen:
		return r.freeze(ctx)
	}
	return fmt.Errorf("this agent does not know what %q means", order.Office)
}

// promote makes the server the primary. It becomes writable last, and not for one moment without the lease.
func (r *runner) promote(ctx context.Context, d *state.Database, order state.DatabaseOrder) error {
	if err := r.restoreFirst(ctx, order); err != nil {
		return err
	}
	if r.isEmpty() {
		if !order.First {
			return errors.New("it holds no data that it could be the primary of")
		}
		r.doing("making the database")
		if err := r.install(ctx, order); err != nil {
			return err
		}
	}
	if err := r.start(ctx, d); err != nil {
		return err
	}
	ctx, cancel := bounded(ctx)
	if order.Until != "" {
		cancel()
	}
	defer cancel()
	s := r.db()
	st, err := s.Status(ctx)
	if err != nil {
		return err
	}
	if st.Source != "" {
		if order.Until != "" {
			if err := s.WaitApplied(ctx, order.Until); err != nil {
				return err
			}
		}
		if err := s.Detach(ctx); err != nil {
			return err
		}
	}
	if !r.hasAccounts() && order.Alone {
		if err := r.ensureAccounts(ctx); err != nil {
			return err
		}
	}
	if err := s.SemiSync(ctx, !order.Alone); err != nil {
		return err
	}
	if err := r.mayWrite(); err != nil {
		return fmt.Errorf("it may not take writes yet: %w", err)
	}
	if err := r.remember(func(m *mark) { m.Term = max(m.Term, d.Term) }); err != nil {
		return err
	}
	// Before it is: the watchdog is to find it while the statement is under way, and whatever comes of it.
	r.writable.Store(true)
	if err := s.MakeWritable(ctx); err != nil {
		r.fence(context.WithoutCancel(ctx))
		return err
	}
	return nil
}

func (r *runner) replicate(ctx context.Context, d *state.Database, order state.DatabaseOrder) error {
	if r.isEmpty() {
		if err := r.clone(ctx, order, false); err != nil {
			return err
		}
	}
	if err := r.start(ctx, d); err != nil {
		return err
	}
	ctx, cancel := bounded(ctx)
	defer cancel()
	if err := r.standDown(ctx); err != nil {
		return err
	}
	s := r.db()
	st, err := s.Status(ctx)
	if err != nil {
		return err
	}
	if why, err := r.diverged(ctx, d, st); err != nil || why != "" {
		r.setDiverged(why)
		if err == nil {
			err = errors.New("it has diverged: " + why)
		}
		return err
	}
	r.setDiverged("")
	if err := s.SemiSync(ctx, false); err != nil {
		return err
	}
	source, err := r.source(d, order.Source)
	if err != nil {
		return err
	}
	r.mu.Lock()
	r.former = dbserver.Accounts{} // from now on they are the primary's to change
	r.mu.Unlock()
	return s.Follow(ctx, source)
}

// drain ends the receiving and waits for the rest to be applied.
func (r *runner) drain(ctx context.Context, order state.DatabaseOrder) error {
	s, err := r.started()
	if err != nil {
		return err
	}
	if err := r.standDown(ctx); err != nil {
		return err
	}
	st, err := s.Status(ctx)
	if err != nil {
		return err
	}
	if st.Receiving || st.Connecting {
		stop, cancel := context.WithTimeoutCause(ctx, 5*time.Second, errors.New("the receiver did not stop within 5s"))
		defer cancel()
		if err := s.StopReceiving(stop); err != nil {
			return err
		}
		if st, err = s.Status(ctx); err != nil {
			return err
		}
	}
	if st.Source != "" && !st.Applying && !st.CaughtUp {
		if err := s.Restart(ctx); err != nil { // its applier had stopped: what it received is to be had all the same
			return err
		}
		if err := s.StopReceiving(ctx); err != nil {
			return err
		}
	}
	position := st.Received
	if order.Until != "" {
		position = order.Until
	}
	return s.WaitApplied(ctx, position)
}

// freeze makes a primary read-only: commits under way may end, then its clients are cut off.
func (r *runner) freeze(ctx context.Context) error {
	s, err := r.started()
	if err != nil {
		return err
	}
	gentle, cancel := context.WithTimeout(ctx, freezeTime)
	defer cancel()
	if s.MakeReadOnly(gentle) != nil && ctx.Err() == nil {
		r.fence(ctx)
	}
	_, err = s.EndSessions(ctx)
	r.writable.Store(false)
	return err
}

// standDown makes a server read-only that is not to be the primary.
func (r *runner) standDown(ctx context.Context) error {
	st, err := r.db().Status(ctx)
	if err != nil {
		return err
	}
	if st.Writable || r.writable.Load() {
		r.fence(ctx)
		return r.service.Alive()
	}
	return nil
}

// maintain looks after what was carried out.
func (r *runner) maintain(ctx context.Context, d *state.Database, order state.DatabaseOrder) error {
	ctx, cancel := bounded(ctx)
	defer cancel()
	s, err := r.started()
	if err != nil {
		return err
	}
	if order.Office == state.OfficePrimary {
		// Accounts first: a variable that this server does not know is no reason for nobody to come in.
		if !r.hasAccounts() {
			if err := r.ensureAccounts(ctx); err != nil {
				return err
			}
		}
		return r.applyVariables(ctx)
	}
	if order.Office != state.OfficeReplica && order.Office != state.OfficeClone {
		return nil
	}
	if err := r.applyVariables(ctx); err != nil {
		return err
	}
	st, err := s.Status(ctx)
	if err != nil {
		return err
	}
	why, err := r.diverged(ctx, d, st)
	if err != nil {
		return err
	}
	r.setDiverged(why)
	if why != "" {
		return nil
	}
	source, err := r.source(d, order.Source)
	if err != nil {
		return err
	}
	if st.Source != "" && st.Encrypted != (source.TLS != nil) {
		r.say("replication from %s goes on %s", order.Source, map[bool]string{true: "by TLS", false: "in plain text: that server knows no TLS"}[source.TLS != nil])
		return s.Follow(ctx, source)
	}
	if st.Applying && (st.Receiving || st.Connecting) || time.Since(r.mended) < mendAgain {
		return nil
	}
	r.mended = time.Now()
	r.say("replication stopped and is started again: %s%s", st.ReceiveError, st.ApplyError)
	if st.Source == "" {
		return s.Follow(ctx, source)
	}
	return s.Restart(ctx)
}

// diverged says why the server cannot follow the primary any more, "" if it can: it wrote what the primary of the next
// term never had, or replication itself found that.
func (r *runner) diverged(ctx context.Context, d *state.Database, st dbserver.Status) (string, error) {
	if st.Broken {
		return st.ReceiveError + st.ApplyError, nil
	}
	if why, err := r.strays(ctx, d, st); err != nil || why != "" {
		return why, err
	}
	if st.Own == "" {
		return "", nil
	}
	limit, was := r.until(d)
	if !was {
		return fmt.Sprintf("it wrote %s itself and never was the primary", st.Own), nil
	}
	if limit == "" {
		return "", nil // not known: replication will find out
	}
	over, err := r.db().Beyond(ctx, st.Own, limit)
	if err != nil || !over {
		return "", err
	}
	return fmt.Sprintf("it wrote %s, and the next primary took over at %s", st.Own, limit), nil
}

// strays says what the server has of others that the primary never had: a replica that was away when one took over that had received
// less. What came with a clone is its source's.
func (r *runner) strays(ctx context.Context, d *state.Database, st dbserver.Status) (string, error) {
	if st.Others == "" || d.PromotedPosition == "" || hostOf(st.Source) != hostOf(d.PrimaryAddress) {
		return "", nil
	}
	for _, known := range []string{d.PromotedPosition, r.mark().Position} {
		if over, err := r.db().Beyond(ctx, st.Others, known); err != nil || !over {
			return "", err
		}
	}
	return fmt.Sprintf("it has %s, and the primary took over at %s", st.Others, d.PromotedPosition), nil
}

// until is the position at which the primary after this server's own time took over; was tells whether it had one.
func (r *runner) until(d *state.Database) (limit string, was bool) {
	m := r.mark()
	if m.Term == 0 {
		return "", false
	}
	for _, p := range d.Promotions {
		if p.Term > m.Term {
			return p.Position, true
		}
	}
	if d.Term > m.Term {
		return d.PromotedPosition, true
	}
	return "", true
}

// source is the address with the credentials of replicas.
func (r *runner) source(d *state.Database, address string) (dbserver.Source, error) {
	if address == "" {
		return dbserver.Source{}, errors.New("the order names no source")
	}
	s := dbserver.Source{Host: address, Port: Behavior{}.Traits().Port, User: replicaUser, Password: r.secret(replicaKey)}
	if host, port, err := net.SplitHostPort(address); err == nil {
		s.Host = host
		if s.Port, err = strconv.Atoi(port); err != nil {
			return s, fmt.Errorf("the order's source %q has no port: %w", address, err)
		}
	}
	if s.Password == "" {
		return s, errors.New("the role's secret holds no password for replicas yet")
	}
	if !slices.Contains(d.Plain, s.Host) {
		s.TLS = new(r.tls())
	}
	return s, nil
}

func bounded(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(ctx, stepTime, errors.New("the server did not answer within "+stepTime.String()))
}
