package sqlite

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/farmhand/terraform-provider-farmhand/internal/store"
)

func newStore(t testing.TB, path string) *Store {
	t.Helper()
	if path == "" {
		path = filepath.Join(t.TempDir(), "farmhand.db")
	}
	s, err := Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func put(t testing.TB, s *Store, key string, opts ...store.Option) {
	t.Helper()
	if _, err := s.Put(t.Context(), key, []byte("x"), opts...); err != nil {
		t.Fatal(err)
	}
}

// quiet is a watcher without a poller, whose first hint is taken.
func quiet(t *testing.T, s *Store, prefix string) *watcher {
	t.Helper()
	w, err := s.hub.add(prefix, func() (func(), error) { return func() {}, nil })
	if err != nil {
		t.Fatal(err)
	}
	<-w.hints
	return w
}

func wantHints(t *testing.T, when string, of map[*watcher]bool) {
	t.Helper()
	for w, want := range of {
		if got := len(w.hints) > 0; got != want {
			t.Errorf("%s: hint for %s: got %v, want %v", when, w.prefix, got, want)
		}
		for len(w.hints) > 0 {
			<-w.hints
		}
	}
}

// The contract allows a hint too many; here there is none, since each wakes a long poll of every agent.
func TestHintsGoToThoseConcerned(t *testing.T) {
	s := newStore(t, "")
	peer := newStore(t, s.Path())
	a, b := quiet(t, s, "shop/a/"), quiet(t, s, "shop/b/")
	p, err := s.newPoller(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer p.conn.Close()

	put(t, s, "shop/a/1")
	wantHints(t, "own write", map[*watcher]bool{a: true, b: false})
	p.poll(t.Context())
	wantHints(t, "poll after an own write", map[*watcher]bool{a: false, b: false})
	if err := s.Delete(t.Context(), "shop/none"); err != nil {
		t.Fatal(err)
	}
	p.poll(t.Context())
	wantHints(t, "delete of nothing", map[*watcher]bool{a: false, b: false})

	put(t, peer, "shop/b/1")
	wantHints(t, "before the poll", map[*watcher]bool{a: false, b: false})
	p.poll(t.Context())
	wantHints(t, "poll after another's write", map[*watcher]bool{a: false, b: true})
	p.poll(t.Context())
	wantHints(t, "poll after nothing", map[*watcher]bool{a: false, b: false})
}

// A process that was stopped for long finds the changes pruned that it would have read.
func TestHintsAfterALongStop(t *testing.T) {
	s := newStore(t, "")
	peer := newStore(t, s.Path())
	a := quiet(t, s, "shop/a/")
	p, err := s.newPoller(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer p.conn.Close()
	put(t, peer, "shop/a/1")
	for range changesKept + 2*pruneEvery {
		put(t, peer, "shop/b/1")
	}
	var rows int
	if err := s.reader.QueryRow("SELECT count(*) FROM change").Scan(&rows); err != nil {
		t.Fatal(err)
	}
	if most := changesKept + pruneEvery; rows > most {
		t.Errorf("%d changes are kept, want at most %d", rows, most)
	}
	p.poll(t.Context())
	wantHints(t, "poll after the change was pruned", map[*watcher]bool{a: true})
}

func TestPollerRunsOnlyWhileSomebodyWatches(t *testing.T) {
	s := newStore(t, "")
	polling := func() bool {
		s.hub.mu.Lock()
		defer s.hub.mu.Unlock()
		return s.hub.stop != nil
	}
	if polling() {
		t.Fatal("it polls before anybody watches")
	}
	ctx, cancel := context.WithCancel(t.Context())
	var watches []<-chan struct{}
	for range 2 {
		hints, err := s.Watch(ctx, "shop/")
		if err != nil {
			t.Fatal(err)
		}
		watches = append(watches, hints)
	}
	if !polling() {
		t.Fatal("it does not poll while somebody watches")
	}
	cancel()
	for _, hints := range watches {
		for range hints {
		}
	}
	if polling() {
		t.Fatal("it polls on when nobody watches any more")
	}
}

func TestExpiredEntriesGoByThemselves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore(t, "")
		start := time.Now()
		for i := range 3 * sweepBatch / 2 { // more than one batch
			put(t, s, fmt.Sprintf("shop/old/%d", i), store.Expires(start.Add(10*time.Second)))
		}
		put(t, s, "shop/young", store.Expires(start.Add(time.Hour)))
		put(t, s, "shop/kept")
		put(t, s, "shop/renewed", store.Expires(start.Add(10*time.Second)))
		put(t, s, "shop/renewed", store.Expires(start.Add(time.Hour)))
		old := quiet(t, s, "shop/old/")
		kept := quiet(t, s, "shop/kept")

		time.Sleep(sweepEvery + time.Second)
		synctest.Wait()
		entries, err := s.List(t.Context(), "shop/")
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, e := range entries {
			got = append(got, e.Key)
		}
		if want := []string{"shop/kept", "shop/renewed", "shop/young"}; fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("after a minute there are %q, want %q", got, want)
		}
		wantHints(t, "sweep", map[*watcher]bool{old: true, kept: false})
		s.Close()
	})
}

func TestSweepSparesWhatWasWrittenAgain(t *testing.T) {
	s := newStore(t, "")
	put(t, s, "shop/a")
	put(t, s, "shop/b")
	listed, err := s.List(t.Context(), "shop/")
	if err != nil {
		t.Fatal(err)
	}
	put(t, s, "shop/a")
	if err := s.remove(t.Context(), listed); err != nil {
		t.Fatal(err)
	}
	if left, err := s.List(t.Context(), "shop/"); err != nil || len(left) != 1 || left[0].Key != "shop/a" {
		t.Errorf("there is %v, error %v, want shop/a alone", left, err)
	}
}

// Of two processes that find no file, the later one takes the earlier one's.
func TestCreateReplacesNothing(t *testing.T) {
	s := newStore(t, "")
	put(t, s, "shop/a")
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := create(t.Context(), s.Path()); err != nil {
		t.Fatal(err)
	}
	if _, err := newStore(t, s.Path()).Get(t.Context(), "shop/a"); err != nil {
		t.Error(err)
	}
}

func TestSweepLeavesTheFileAloneWhenNothingExpired(t *testing.T) {
	s := newStore(t, "")
	put(t, s, "shop/young", store.Expires(time.Now().Add(time.Hour)))
	p, err := s.newPoller(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer p.conn.Close()
	if n, err := s.Sweep(t.Context(), time.Now()); n != 0 || err != nil {
		t.Fatalf("swept %d, error %v", n, err)
	}
	if version, err := p.dataVersion(t.Context()); err != nil || version != p.version {
		t.Errorf("the sweep wrote to the file (error %v)", err)
	}
}

func TestFull(t *testing.T) {
	s := newStore(t, "")
	put(t, s, "shop/before")
	limit := func(pages int) {
		t.Helper()
		if _, err := s.writer.Exec(fmt.Sprintf("PRAGMA max_page_count = %d", pages)); err != nil {
			t.Fatal(err)
		}
	}
	limit(20)
	_, err := s.Put(t.Context(), "shop/large", bytes.Repeat([]byte("x"), store.MaxValue))
	if !errors.Is(err, store.ErrFull) {
		t.Fatalf("got error %v, want ErrFull", err)
	}
	for _, part := range []string{s.Path(), "shop/large", "make room"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("the error does not say %q: %v", part, err)
		}
	}
	if _, err := s.Get(t.Context(), "shop/large"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("of the write that failed there is something left: error %v", err)
	}
	if _, err := s.Get(t.Context(), "shop/before"); err != nil {
		t.Errorf("reading while full: %v", err)
	}
	limit(100000)
	put(t, s, "shop/large")
}

// A caller that gives up waiting for its turn has written nothing.
func TestWaitingForTheWriterEndsWithTheContext(t *testing.T) {
	s := newStore(t, "")
	conn, err := s.writer.Conn(t.Context()) // the one there is
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	result := make(chan error)
	go func() {
		_, err := s.Put(ctx, "shop/a", nil)
		result <- err
	}()
	cancel()
	if err := <-result; !errors.Is(err, context.Canceled) {
		t.Errorf("got error %v, want context.Canceled", err)
	}
	conn.Close()
	if _, err := s.Get(t.Context(), "shop/a"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("got error %v, want ErrNotFound", err)
	}
}
