package store

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// HeldError is returned by AcquireLease while another holds the lease; it is an ErrHeld.
type HeldError struct {
	Key     string
	Holder  string
	Expires time.Time // unless it is renewed
}

func (e *HeldError) Error() string {
	return fmt.Sprintf("%s is held by %s until %s, unless it renews", e.Key, e.Holder, e.Expires.UTC().Format(time.RFC3339))
}

// Is makes errors.Is(err, ErrHeld) true.
func (e *HeldError) Is(target error) bool { return target == ErrHeld }

// LeaseRecord is the value of the lease key, for whoever only looks: the lease may have run out, and the clock be another.
type LeaseRecord struct {
	Holder  string    `json:"holder"`
	Expires time.Time `json:"expires"`
}

// Lease is the right to act on a farm, for a time. Its fencing number is the revision of the fence key, which is
// written by acquisitions (and by a release) only: renewing does not move it. Every write that a holder makes with
// Guard fails with ErrFenced as soon as anybody else has acquired the lease, however late the write arrives; clocks
// that disagree can make a lease change hands early, never make two holders' writes mix.
//
// Safe for concurrent use.
type Lease struct {
	store    Store
	key      string
	fenceKey string
	holder   string
	ttl      time.Duration
	now      func() time.Time
	fence    Revision

	mu       sync.Mutex
	revision Revision // of the lease key, as we wrote it last
	expires  time.Time
	released bool
}

// AcquireLease takes the lease for ttl. It returns a HeldError while another holder's lease lasts. A holder that
// asks for its own lease again (a restarted sidecar) gets it at once, with a new fencing number that fences its
// former self off; so two processes that run at the same time must have different holder names.
func AcquireLease(ctx context.Context, s Store, leaseKey, fenceKey, holder string, ttl time.Duration, now func() time.Time) (*Lease, error) {
	if holder == "" || ttl <= 0 {
		return nil, fmt.Errorf("acquiring %s: %w holder %q or time %s", leaseKey, ErrInvalid, holder, ttl)
	}
	l := &Lease{store: s, key: leaseKey, fenceKey: fenceKey, holder: holder, ttl: ttl, now: now}
	condition := Absent()
	record, revision, err := GetJSON[LeaseRecord](ctx, s, leaseKey)
	switch {
	case errors.Is(err, ErrNotFound):
	case err != nil:
		return nil, fmt.Errorf("acquiring %s: %w", leaseKey, err)
	case record.Holder != holder && now().Before(record.Expires):
		return nil, &HeldError{Key: leaseKey, Holder: record.Holder, Expires: record.Expires}
	default:
		condition = At(revision)
	}
	expires := now().Add(ttl)
	l.revision, err = PutJSON(ctx, s, leaseKey, LeaseRecord{holder, expires}, If(condition))
	if errors.Is(err, ErrConflict) {
		return nil, l.lostTo(ctx)
	}
	if err != nil {
		return nil, fmt.Errorf("acquiring %s: %w", leaseKey, err)
	}
	// The lease may have run out and changed hands between these two writes, if this process was stopped in between.
	// The guard keeps it from then fencing off the one who holds it now.
	l.fence, err = PutJSON(ctx, s, fenceKey, holder, Guarded(&Guard{leaseKey, l.revision}))
	if errors.Is(err, ErrFenced) {
		return nil, l.lostTo(ctx)
	}
	if err != nil {
		return nil, fmt.Errorf("acquiring %s: %w", leaseKey, err)
	}
	l.expires = expires
	return l, nil
}

// Guard is the condition that makes a write of this holder safe: pass it to Guarded.
func (l *Lease) Guard() *Guard { return &Guard{Key: l.fenceKey, Revision: l.fence} }

// Fence is the fencing number: it grows with every acquisition.
func (l *Lease) Fence() Revision { return l.fence }

// Holder is the name under which the lease was acquired.
func (l *Lease) Holder() string { return l.holder }

// Expires is when the lease ends if it is not renewed.
func (l *Lease) Expires() time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.expires
}

// Held tells whether the lease still lasts by its own clock; without it no action.
func (l *Lease) Held() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return !l.released && l.now().Before(l.expires)
}

// Renew extends the lease to ttl from now. ErrFenced: another has acquired it, or it was released; stop acting.
// Any other error leaves it as it was: try again before it expires. A lease that ran out and that nobody took is
// renewed like any other.
func (l *Lease) Renew(ctx context.Context) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.released {
		return fmt.Errorf("renewing %s: %w: it was released", l.key, ErrFenced)
	}
	expires := l.now().Add(l.ttl)
	put := func() (Revision, error) {
		return PutJSON(ctx, l.store, l.key, LeaseRecord{l.holder, expires}, If(At(l.revision)), Guarded(l.Guard()))
	}
	revision, err := put()
	if errors.Is(err, ErrConflict) {
		// The fence is ours, yet the lease is not as we left it: an earlier Renew was written but its answer got lost.
		e, getErr := l.store.Get(ctx, l.key)
		if getErr != nil {
			return fmt.Errorf("renewing %s: %w", l.key, errors.Join(err, getErr))
		}
		l.revision = e.Revision
		revision, err = put()
	}
	if err != nil {
		return fmt.Errorf("renewing %s as %s: %w", l.key, l.holder, err)
	}
	l.revision, l.expires = revision, expires
	return nil
}

// Release gives the lease up, so that the next need not wait for its end; guarded writes get ErrFenced from then
// on. Releasing what was lost or released already is no error.
func (l *Lease) Release(ctx context.Context) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.released {
		return nil
	}
	// The fence moves first: a write of ours that is still on its way must not land after the next holder's.
	_, err := PutJSON(ctx, l.store, l.fenceKey, "", Guarded(l.Guard()))
	if err != nil && !errors.Is(err, ErrFenced) {
		return fmt.Errorf("releasing %s: %w", l.key, err)
	}
	l.released = true
	if err != nil {
		return nil
	}
	err = l.store.Delete(ctx, l.key, If(At(l.revision)))
	if err != nil && !errors.Is(err, ErrConflict) {
		return fmt.Errorf("releasing %s: %w", l.key, err)
	}
	return nil
}

// lostTo names the one who was faster.
func (l *Lease) lostTo(ctx context.Context) error {
	record, _, err := GetJSON[LeaseRecord](ctx, l.store, l.key)
	if err != nil {
		return fmt.Errorf("acquiring %s: %w: another was faster (%w)", l.key, ErrHeld, err)
	}
	return &HeldError{Key: l.key, Holder: record.Holder, Expires: record.Expires}
}
