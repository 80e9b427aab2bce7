package store_test

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/farmhand/terraform-provider-farmhand/internal/store"
	"github.com/farmhand/terraform-provider-farmhand/internal/store/sqlite"
)

const ttl = 10 * time.Second

// world is a store and a clock that moves when told.
type world struct {
	store.Store
	time time.Time
	// before runs once, ahead of the next Put of a key that ends in the given word: what another holder does just then.
	beforePut string
	before    func()
	// loses makes the next Put happen and its answer get lost.
	loses bool
}

func newWorld(t *testing.T) *world {
	s, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "farmhand.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return &world{Store: s, time: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}
}

func (w *world) now() time.Time { return w.time }

func (w *world) Put(ctx context.Context, key string, value []byte, opts ...store.Option) (store.Revision, error) {
	if w.before != nil && strings.HasSuffix(key, w.beforePut) {
		do := w.before
		w.before = nil
		do()
	}
	r, err := w.Store.Put(ctx, key, value, opts...)
	if w.loses && err == nil {
		w.loses = false
		return 0, store.ErrUnavailable
	}
	return r, err
}

func (w *world) acquire(holder string) (*store.Lease, error) {
	return store.AcquireLease(context.Background(), w, "shop/lease", "shop/fence", holder, ttl, w.now)
}

func (w *world) mustAcquire(t *testing.T, holder string) *store.Lease {
	t.Helper()
	l, err := w.acquire(holder)
	if err != nil {
		t.Fatalf("%s acquires: %v", holder, err)
	}
	if !l.Held() || l.Holder() != holder || !l.Expires().Equal(w.time.Add(ttl)) {
		t.Fatalf("%s acquired what is held: %v, by %s, until %v", holder, l.Held(), l.Holder(), l.Expires())
	}
	return l
}

// act writes as the holder of l.
func (w *world) act(l *store.Lease) error {
	_, err := w.Store.Put(context.Background(), "shop/instance", []byte(l.Holder()), store.Guarded(l.Guard()))
	return err
}

func wantError(t *testing.T, doing string, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Fatalf("%s: got error %v, want %v", doing, err, want)
	}
}

func TestLeaseIsOneHolders(t *testing.T) {
	w := newWorld(t)
	a := w.mustAcquire(t, "a")
	wantError(t, "a acts", w.act(a), nil)

	_, err := w.acquire("b")
	wantError(t, "b acquires", err, store.ErrHeld)
	var held *store.HeldError
	if !errors.As(err, &held) || held.Holder != "a" || !held.Expires.Equal(w.time.Add(ttl)) {
		t.Fatalf("the error does not tell holder and expiry: %#v", err)
	}
	for _, part := range []string{"shop/lease", "held by a", "2026-03-01T12:00:10Z"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("the error does not say %q: %v", part, err)
		}
	}
	wantError(t, "a acts after b was refused", w.act(a), nil)
}

func TestLeaseRunsOut(t *testing.T) {
	w := newWorld(t)
	a := w.mustAcquire(t, "a")
	w.time = w.time.Add(ttl - 1)
	if _, err := w.acquire("b"); !errors.Is(err, store.ErrHeld) || !a.Held() {
		t.Fatalf("just before its end: b got error %v, a holds: %v", err, a.Held())
	}
	w.time = w.time.Add(1)
	if a.Held() {
		t.Fatal("a holds a lease that is over")
	}
	wantError(t, "a acts, as nobody has taken over", w.act(a), nil)
	b := w.mustAcquire(t, "b")
	if b.Fence() <= a.Fence() {
		t.Fatalf("the fencing number went from %d to %d", a.Fence(), b.Fence())
	}
	wantError(t, "a acts too late", w.act(a), store.ErrFenced)
	wantError(t, "a renews too late", a.Renew(t.Context()), store.ErrFenced)
	wantError(t, "a releases too late", a.Release(t.Context()), nil)
	wantError(t, "b acts", w.act(b), nil)
	wantError(t, "b renews", b.Renew(t.Context()), nil)
}

func TestLeaseRenewed(t *testing.T) {
	w := newWorld(t)
	a := w.mustAcquire(t, "a")
	guard := a.Guard()
	for range 5 {
		w.time = w.time.Add(ttl - time.Second)
		wantError(t, "renew", a.Renew(t.Context()), nil)
		if !a.Expires().Equal(w.time.Add(ttl)) {
			t.Fatalf("renewed until %v, want %v", a.Expires(), w.time.Add(ttl))
		}
		_, err := w.acquire("b")
		wantError(t, "b acquires", err, store.ErrHeld)
	}
	if *a.Guard() != *guard {
		t.Fatalf("renewing moved the fencing number from %d to %d", guard.Revision, a.Fence())
	}
	w.time = w.time.Add(2 * ttl)
	wantError(t, "renew of what ran out and nobody took", a.Renew(t.Context()), nil)
	if !a.Held() {
		t.Fatal("the renewed lease is not held")
	}
}

func TestLeaseReleased(t *testing.T) {
	w := newWorld(t)
	a := w.mustAcquire(t, "a")
	wantError(t, "renew", a.Renew(t.Context()), nil)
	for range 2 {
		wantError(t, "release", a.Release(t.Context()), nil)
	}
	if a.Held() {
		t.Fatal("the released lease is held")
	}
	wantError(t, "a acts after its release", w.act(a), store.ErrFenced)
	wantError(t, "a renews after its release", a.Renew(t.Context()), store.ErrFenced)
	b := w.mustAcquire(t, "b") // at once
	wantError(t, "a acts after b acquired", w.act(a), store.ErrFenced)
	wantError(t, "b acts", w.act(b), nil)
}

// A sidecar that was killed and started again does not wait for its own lease.
func TestLeaseOfARestartedHolder(t *testing.T) {
	w := newWorld(t)
	former := w.mustAcquire(t, "a")
	again := w.mustAcquire(t, "a")
	wantError(t, "its former self acts", w.act(former), store.ErrFenced)
	wantError(t, "its former self renews", former.Renew(t.Context()), store.ErrFenced)
	wantError(t, "it acts", w.act(again), nil)
	wantError(t, "it renews", again.Renew(t.Context()), nil)
}

// The process is stopped between writing the lease and writing the fence, for longer than the lease lasts.
func TestLeaseLostWhileAcquiring(t *testing.T) {
	w := newWorld(t)
	var b *store.Lease
	w.beforePut, w.before = "/fence", func() {
		w.time = w.time.Add(ttl + 1)
		b = w.mustAcquire(t, "b")
	}
	_, err := w.acquire("a")
	wantError(t, "a acquires", err, store.ErrHeld)
	if !strings.Contains(err.Error(), "held by b") {
		t.Errorf("the error does not name b: %v", err)
	}
	wantError(t, "b acts", w.act(b), nil)
}

// Another writes the lease between our read and our write.
func TestLeaseTakenJustBefore(t *testing.T) {
	w := newWorld(t)
	var b *store.Lease
	w.beforePut, w.before = "/lease", func() { b = w.mustAcquire(t, "b") }
	_, err := w.acquire("a")
	wantError(t, "a acquires", err, store.ErrHeld)
	wantError(t, "b acts", w.act(b), nil)
}

func TestLeaseRenewalWhoseAnswerIsLost(t *testing.T) {
	w := newWorld(t)
	a := w.mustAcquire(t, "a")
	w.loses = true
	wantError(t, "renew whose answer is lost", a.Renew(t.Context()), store.ErrUnavailable)
	wantError(t, "the next renew", a.Renew(t.Context()), nil)
	wantError(t, "a acts", w.act(a), nil)
	wantError(t, "release", a.Release(t.Context()), nil)
	w.mustAcquire(t, "b")
}

func TestLeaseRace(t *testing.T) {
	w := newWorld(t)
	var winners atomic.Int32
	var wg sync.WaitGroup
	for _, holder := range []string{"a", "b", "c", "d", "e", "f"} {
		wg.Go(func() {
			l, err := store.AcquireLease(t.Context(), w.Store, "shop/lease", "shop/fence", holder, ttl, w.now)
			switch {
			case err == nil:
				winners.Add(1)
				if err := w.act(l); err != nil {
					t.Errorf("the winner acts: %v", err)
				}
			case !errors.Is(err, store.ErrHeld):
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if winners.Load() != 1 {
		t.Errorf("%d of 6 acquired the lease", winners.Load())
	}
}

func TestLeaseNeedsAHolderAndATime(t *testing.T) {
	w := newWorld(t)
	_, err := w.acquire("")
	wantError(t, "no holder", err, store.ErrInvalid)
	_, err = store.AcquireLease(t.Context(), w, "shop/lease", "shop/fence", "a", 0, w.now)
	wantError(t, "no time", err, store.ErrInvalid)
}
