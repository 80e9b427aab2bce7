package mysql

import (
	"context"
	"errors"
	"fmt"
	"syscall"
	"time"

	"github.com/farmhand/terraform-provider-farmhand/internal/state"
)

const (
	// watchEvery is how often the lease is looked at. A machine that was stopped as a whole looks at once when it goes on.
	watchEvery = 50 * time.Millisecond
	// fenceTime is how long a server may take to become read-only before it is killed, which no client survives either.
	fenceTime = 1500 * time.Millisecond
)

// office is what this server was last told to be, and by when the farm was heard. Guarded by runner.mu.
type office struct {
	database *state.Database // of the newest term seen, nil for none yet
	asked    time.Time       // when it was asked for
	heard    time.Time       // when the last report was sent that the store took
	expired  time.Time       // when the lease was last found to have run out
	shared   bool            // somebody else took this server's data: another one could be promoted
}

// order is the one for the holder of this record; the zero value for none.
func (o office) order(name, token string) state.DatabaseOrder {
	if o.database == nil {
		return state.DatabaseOrder{}
	}
	order := o.database.Orders[name]
	if order.Token != "" && order.Token != token {
		return state.DatabaseOrder{}
	}
	return order
}

// mayWrite is nil while the server may take writes: it is the primary of the newest term, and the lease is in force.
func (o office) mayWrite(name, token string, now time.Time) error {
	d, order := o.database, o.order(name, token)
	switch {
	case d == nil || order.Seq == 0:
		return errors.New("there is no order for this server")
	case order.Office != state.OfficePrimary || d.Primary != name || order.Term != d.Term:
		return fmt.Errorf("it is not the primary of term %d", d.Term)
	case d.PrimaryToken != "" && d.PrimaryToken != token:
		return errors.New("the primary is a former holder of its index")
	case !o.leased():
		return nil
	case elapsed(o.heard, now) >= d.Lease:
		return fmt.Errorf("it has not been heard by the farm for %s", elapsed(o.heard, now).Round(100*time.Millisecond))
	case !o.expired.IsZero() && !o.asked.After(o.expired):
		return errors.New("its lease ran out, and what holds now is not known yet")
	}
	return nil
}

// leased tells whether the lease counts. It does not for the only server there is, as long as nobody else has its data:
// no other one could be promoted, and being read-only while the sidecar is away would help nobody.
func (o office) leased() bool {
	return o.database.Lease > 0 && (len(o.database.Orders) > 1 || o.shared)
}

// elapsed is the longer of what the two clocks say: the monotonic one stands still while a machine is suspended, the
// other one may be set back.
func elapsed(since, now time.Time) time.Duration {
	if since.IsZero() {
		return 1<<63 - 1
	}
	return max(now.Sub(since), now.Round(0).Sub(since.Round(0)))
}

// Heard implements behavior.DatabaseReporter.
func (r *runner) Heard(sent time.Time) {
	r.mu.Lock()
	again := r.office.database != nil && elapsed(r.office.heard, time.Now()) >= r.office.database.Lease
	if sent.After(r.office.heard) {
		r.office.heard = sent
	}
	r.mu.Unlock()
	if again {
		poke(r.wake)
	}
}

// Ordered implements behavior.DatabaseReporter.
func (r *runner) Ordered(d *state.Database, asked time.Time) {
	if d == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	// One of the same term that was asked for earlier may be older, too.
	if o := r.office; o.database != nil && (d.Term < o.database.Term || asked.Before(o.asked)) {
		return
	}
	before := r.office.order(r.name, r.Assignment.Token)
	waiting := !r.office.expired.IsZero() && !r.office.asked.After(r.office.expired)
	r.office.database, r.office.asked = d, asked
	after := r.office.order(r.name, r.Assignment.Token)
	if !before.Equal(after) {
		r.orderedAt = time.Now()
		if r.cancelOrder != nil {
			r.cancelOrder(errReplaced)
		}
		poke(r.wake)
	} else if waiting {
		poke(r.wake)
	}
}

var errReplaced = errors.New("another order came")

// mayWrite asks the office now.
func (r *runner) mayWrite() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.office.mayWrite(r.name, r.Assignment.Token, time.Now())
}

// watchLease makes the server read-only as soon as it may not write, until ctx ends.
func (r *runner) watchLease(ctx context.Context) {
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if !r.writable.Load() {
			continue
		}
		r.mu.Lock()
		now := time.Now()
		why := r.office.mayWrite(r.name, r.Assignment.Token, now)
		if why != nil && r.freezing(now) {
			why = nil
		}
		if why != nil {
			r.office.expired = now
			if r.cancelOrder != nil {
				r.cancelOrder(why) // one that is just being promoted
			}
		}
		r.mu.Unlock()
		if why == nil {
			continue
		}
		r.say("the server becomes read-only: %v", why)
		r.forget()
		r.fence(ctx)
		poke(r.wake)
		poke(r.look)
	}
}

// freezing tells that the order to become read-only gently is being carried out. Guarded by mu.
func (r *runner) freezing(now time.Time) bool {
	return r.office.order(r.name, r.Assignment.Token).Office == state.OfficeFrozen && elapsed(r.orderedAt, now) < freezeTime+fenceTime &&
		(!r.office.leased() || elapsed(r.office.heard, now) < r.office.database.Lease)
}

// fence makes the server read-only and cuts its clients off; one that does not within fenceTime is killed. It leaves
// semi-synchronous replication alone: to switch it off would answer commits that nobody else has.
func (r *runner) fence(ctx context.Context) {
	s := r.db()
	if s == nil {
		r.writable.Store(false)
		return
	}
	ctx, cancel := context.WithTimeoutCause(ctx, fenceTime, errors.New("it did not become read-only within "+fenceTime.String()))
	defer cancel()
	if err := s.Fence(ctx); err != nil && r.service.Alive() == nil && !errors.Is(context.Cause(ctx), errStopped) {
		r.say("killing the server: %v", err)
		_ = r.service.Signal(int(syscall.SIGKILL))
		_ = r.service.Signal(int(syscall.SIGCONT))
	}
	r.writable.Store(false)
}

func poke(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
