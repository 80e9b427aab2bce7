// Package storetest is the contract of store.Store and store.Blobs as tests. Every implementation runs it.
//
// The tests say nothing of speed: where something comes by itself (a hint), they wait for it as long as patience lasts.
package storetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/farmhand/terraform-provider-farmhand/internal/store"
)

// patience bounds the wait for a hint. It is long because a test machine may be busy, and costs nothing when all is well.
const patience = 30 * time.Second

// Option refines Run.
type Option func(*suite)

type suite struct {
	open func(t *testing.T) store.Store
	peer func(t *testing.T, s store.Store) store.Store
}

// Peer lets the suite test what another process would see: it returns a second handle on s's data, which closes with
// the test. Without it these tests are left out.
func Peer(open func(t *testing.T, s store.Store) store.Store) Option {
	return func(s *suite) { s.peer = open }
}

// Run runs the whole contract. open returns an empty store, and closes it when the test ends.
func Run(t *testing.T, open func(t *testing.T) store.Store, opts ...Option) {
	s := &suite{open: open}
	for _, o := range opts {
		o(s)
	}
	for _, test := range []struct {
		name string
		run  func(*suite, *testing.T)
	}{
		{"what is put is got", (*suite).roundTrip},
		{"values belong to their callers", (*suite).ownership},
		{"put compares and sets", (*suite).compareAndSet},
		{"delete and its conditions", (*suite).deletes},
		{"a revision is never used again", (*suite).revisions},
		{"a guard that does not hold fences off", (*suite).guards},
		{"a value has a largest size", (*suite).maxValue},
		{"an entry may expire, and stays until then", (*suite).expires},
		{"bad keys are refused", (*suite).badKeys},
		{"list is ordered by byte", (*suite).listOrder},
		{"list takes the prefix literally", (*suite).listPrefix},
		{"list pages both ways", (*suite).listPages},
		{"a context that ended stops a write", (*suite).endedContext},
		{"concurrent increments lose nothing", (*suite).increments},
		{"one of many creates", (*suite).createRace},
		{"it behaves like a map", (*suite).model},
		{"watch hints at once and after each change", (*suite).watch},
		{"watch coalesces", (*suite).watchCoalesces},
		{"watch never misses the last change", (*suite).watchLast},
		{"watch sees another handle's changes", (*suite).watchPeer},
		{"watch ends with its context", (*suite).watchContext},
		{"watch ends with the store", (*suite).watchClose},
		{"a closed store says so", (*suite).closed},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(s, t) })
	}
}

// ctx ends with the test, and before a hang would fail the whole run without a word.
func testContext(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	t.Cleanup(cancel)
	return ctx
}

func mustPut(t testing.TB, s store.Store, key, value string, opts ...store.Option) store.Revision {
	t.Helper()
	r, err := s.Put(t.Context(), key, []byte(value), opts...)
	if err != nil {
		t.Fatalf("put %s: %v", key, err)
	}
	return r
}

func mustDelete(t testing.TB, s store.Store, key string, opts ...store.Option) {
	t.Helper()
	if err := s.Delete(t.Context(), key, opts...); err != nil {
		t.Fatalf("delete %s: %v", key, err)
	}
}

func mustWatch(t testing.TB, ctx context.Context, s store.Store, prefix string) <-chan struct{} {
	t.Helper()
	hints, err := s.Watch(ctx, prefix)
	if err != nil {
		t.Fatalf("watch %s: %v", prefix, err)
	}
	return hints
}

// wantValue reads a key; want "" stands for a key that does not exist.
func wantValue(t testing.TB, s store.Store, key, want string) store.Entry {
	t.Helper()
	e, err := s.Get(t.Context(), key)
	switch {
	case want == "" && errors.Is(err, store.ErrNotFound):
	case want == "":
		t.Fatalf("get %s: got %q and error %v, want ErrNotFound", key, e.Value, err)
	case err != nil:
		t.Fatalf("get %s: %v, want %q", key, err, want)
	case string(e.Value) != want || e.Key != key:
		t.Fatalf("get %s: got %q under %q, want %q", key, e.Value, e.Key, want)
	}
	return e
}

func wantError(t testing.TB, doing string, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Fatalf("%s: got error %v, want %q", doing, err, want)
	}
}

func wantKeys(t testing.TB, s store.Store, prefix string, want []string, opts ...store.ListOption) {
	t.Helper()
	entries, err := s.List(t.Context(), prefix, opts...)
	if err != nil {
		t.Fatalf("list %q: %v", prefix, err)
	}
	if got := keys(entries); !slices.Equal(got, want) {
		t.Fatalf("list %q:\n got %q\nwant %q", prefix, got, want)
	}
}

func keys(entries []store.Entry) []string {
	keys := []string{}
	for _, e := range entries {
		keys = append(keys, e.Key)
	}
	return keys
}

// wantHint waits for a hint.
func wantHint(t testing.TB, hints <-chan struct{}, of string) {
	t.Helper()
	select {
	case _, open := <-hints:
		if !open {
			t.Fatalf("watch ended, want a hint of %s", of)
		}
	case <-time.After(patience):
		t.Fatalf("no hint of %s", of)
	}
}

// wantEnd takes hints until the channel is closed.
func wantEnd(t testing.TB, hints <-chan struct{}, after string) {
	t.Helper()
	deadline := time.After(patience)
	for {
		select {
		case _, open := <-hints:
			if !open {
				return
			}
		case <-deadline:
			t.Fatalf("watch is still open after %s", after)
		}
	}
}

func numbered(format string, n int) []string {
	var s []string
	for i := range n {
		s = append(s, fmt.Sprintf(format, i))
	}
	return s
}
