package storetest

import (
	"context"
	"strconv"
	"testing"
	"time"

	"github.com/farmhand/terraform-provider-farmhand/internal/store"
)

func (s *suite) watch(t *testing.T) {
	st, ctx := s.open(t), testContext(t)
	hints := mustWatch(t, ctx, st, "shop/a/")
	one := mustWatch(t, ctx, st, "shop/a/1") // a whole key is a prefix, too
	wantHint(t, hints, "the start")
	wantHint(t, one, "the start")
	r := mustPut(t, st, "shop/a/1", "x")
	wantHint(t, hints, "a new key")
	wantHint(t, one, "a new key")
	mustPut(t, st, "shop/a/1", "y", store.If(store.At(r)))
	wantHint(t, hints, "a changed key")
	mustDelete(t, st, "shop/a/1")
	wantHint(t, hints, "a deleted key")
	wantHint(t, one, "a deleted key")
}

func (s *suite) watchCoalesces(t *testing.T) {
	st, ctx := s.open(t), testContext(t)
	hints := mustWatch(t, ctx, st, "shop/")
	for _, key := range numbered("shop/%d", 50) {
		mustPut(t, st, key, "x") // nobody takes a hint, and nobody waits for that
	}
	if len(hints) > 1 {
		t.Fatalf("%d hints wait where one says as much", len(hints))
	}
	wantHint(t, hints, "fifty changes")
	for len(hints) > 0 {
		<-hints
	}
	mustPut(t, st, "shop/more", "x")
	wantHint(t, hints, "a change after hints were taken")
}

// watchLast is about the race between a hint that is being taken and the next change.
func (s *suite) watchLast(t *testing.T) {
	st := s.open(t)
	followTo(t, st, st, 150)
}

func (s *suite) watchPeer(t *testing.T) {
	if s.peer == nil {
		t.Skip("this store has no second handle")
	}
	st := s.open(t)
	peer := s.peer(t, st)
	followTo(t, st, peer, 30)

	hints := mustWatch(t, testContext(t), st, "shop/other/")
	wantHint(t, hints, "the start")
	mustPut(t, peer, "shop/other/1", "x")
	wantHint(t, hints, "another handle's write")
	wantValue(t, st, "shop/other/1", "x")
	mustDelete(t, peer, "shop/other/1")
	wantHint(t, hints, "another handle's delete")
}

// followTo lets writer count to n, and reader list at each hint until it sees n.
func followTo(t *testing.T, reader, writer store.Store, n int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(testContext(t), patience)
	defer cancel()
	hints := mustWatch(t, ctx, reader, "shop/count")
	written := make(chan error, 1)
	go func() {
		for i := range n + 1 {
			if _, err := writer.Put(ctx, "shop/count", []byte(strconv.Itoa(i))); err != nil {
				written <- err
				return
			}
		}
		written <- nil
	}()
	seen := "nothing"
	for range hints {
		entries, err := reader.List(ctx, "shop/count")
		if err != nil {
			t.Fatal(err)
		}
		if len(entries) > 0 {
			seen = string(entries[0].Value)
		}
		if seen == strconv.Itoa(n) {
			break
		}
	}
	if seen != strconv.Itoa(n) {
		t.Fatalf("the hints ended with %s seen, want %d", seen, n)
	}
	if err := <-written; err != nil {
		t.Fatal(err)
	}
}

func (s *suite) watchContext(t *testing.T) {
	st := s.open(t)
	ctx, cancel := context.WithCancel(t.Context())
	ends, stays := mustWatch(t, ctx, st, "shop/"), mustWatch(t, testContext(t), st, "shop/")
	cancel()
	wantEnd(t, ends, "its context ended")
	wantHint(t, stays, "the start")
	mustPut(t, st, "shop/a", "x")
	wantHint(t, stays, "a change after another watch ended")

	again, cancel := context.WithTimeout(t.Context(), time.Hour)
	defer cancel()
	wantHint(t, mustWatch(t, again, st, "shop/"), "the start")
}

func (s *suite) watchClose(t *testing.T) {
	st := s.open(t)
	a, b := mustWatch(t, testContext(t), st, "shop/"), mustWatch(t, testContext(t), st, "shop/x/")
	if err := st.Close(); err != nil {
		t.Fatalf("close: %v", err)
	}
	wantEnd(t, a, "the store was closed")
	wantEnd(t, b, "the store was closed")
}

func (s *suite) closed(t *testing.T) {
	st, ctx := s.open(t), testContext(t)
	mustPut(t, st, "shop/a", "x")
	for range 2 { // twice does no harm
		if err := st.Close(); err != nil {
			t.Fatalf("close: %v", err)
		}
	}
	_, err := st.Get(ctx, "shop/a")
	wantError(t, "get", err, store.ErrClosed)
	_, err = st.Put(ctx, "shop/a", nil)
	wantError(t, "put", err, store.ErrClosed)
	wantError(t, "delete", st.Delete(ctx, "shop/a"), store.ErrClosed)
	_, err = st.List(ctx, "shop/")
	wantError(t, "list", err, store.ErrClosed)
	_, err = st.Watch(ctx, "shop/")
	wantError(t, "watch", err, store.ErrClosed)
}
