package storetest

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/farmhand/terraform-provider-farmhand/internal/store"
)

func (s *suite) roundTrip(t *testing.T) {
	st := s.open(t)
	wantValue(t, st, "shop/a", "")
	r := mustPut(t, st, "shop/a", "one")
	if e := wantValue(t, st, "shop/a", "one"); e.Revision != r {
		t.Fatalf("got revision %d, put said %d", e.Revision, r)
	}
	if r2 := mustPut(t, st, "shop/a", "two"); r2 <= r {
		t.Fatalf("revision went from %d to %d", r, r2)
	}
	wantValue(t, st, "shop/a", "two")

	every := make([]byte, 256)
	for i := range every {
		every[i] = byte(i)
	}
	for name, value := range map[string][]byte{"empty": {}, "nil": nil, "every byte": every} {
		if _, err := st.Put(t.Context(), "shop/"+name, value); err != nil {
			t.Fatalf("put %s: %v", name, err)
		}
		e, err := st.Get(t.Context(), "shop/"+name)
		if err != nil || !bytes.Equal(e.Value, value) {
			t.Fatalf("get %s: got %q and error %v, want %q", name, e.Value, err, value)
		}
	}
}

func (s *suite) ownership(t *testing.T) {
	st := s.open(t)
	value := []byte("value")
	if _, err := st.Put(t.Context(), "shop/a", value); err != nil {
		t.Fatal(err)
	}
	value[0] = 'X'
	e := wantValue(t, st, "shop/a", "value")
	e.Value[0] = 'Y'
	wantValue(t, st, "shop/a", "value")
}

func (s *suite) compareAndSet(t *testing.T) {
	st, ctx := s.open(t), testContext(t)
	_, err := st.Put(ctx, "shop/a", []byte("x"), store.If(store.At(1)))
	wantError(t, "put at a revision what does not exist", err, store.ErrConflict)
	wantValue(t, st, "shop/a", "")

	r1 := mustPut(t, st, "shop/a", "one", store.If(store.Absent()))
	_, err = st.Put(ctx, "shop/a", []byte("x"), store.If(store.Absent()))
	wantError(t, "put as absent what exists", err, store.ErrConflict)

	r2 := mustPut(t, st, "shop/a", "two", store.If(store.At(r1)))
	_, err = st.Put(ctx, "shop/a", []byte("x"), store.If(store.At(r1)))
	wantError(t, "put at a former revision", err, store.ErrConflict)
	_, err = st.Put(ctx, "shop/a", []byte("x"), store.If(store.At(r2+1)))
	wantError(t, "put at a revision to come", err, store.ErrConflict)
	if !strings.Contains(err.Error(), "shop/a") {
		t.Fatalf("the error does not name the key: %v", err)
	}
	if e := wantValue(t, st, "shop/a", "two"); e.Revision != r2 {
		t.Fatalf("a refused write moved the revision from %d to %d", r2, e.Revision)
	}
	mustPut(t, st, "shop/a", "three", store.If(store.Always()))
}

func (s *suite) deletes(t *testing.T) {
	st, ctx := s.open(t), testContext(t)
	mustDelete(t, st, "shop/a")
	mustDelete(t, st, "shop/a", store.If(store.Absent()))
	wantError(t, "delete at a revision what does not exist", st.Delete(ctx, "shop/a", store.If(store.At(1))), store.ErrConflict)

	r1 := mustPut(t, st, "shop/a", "one")
	r2 := mustPut(t, st, "shop/a", "two")
	mustPut(t, st, "shop/b", "beside")
	wantError(t, "delete at a former revision", st.Delete(ctx, "shop/a", store.If(store.At(r1))), store.ErrConflict)
	wantError(t, "delete as absent what exists", st.Delete(ctx, "shop/a", store.If(store.Absent())), store.ErrConflict)
	wantValue(t, st, "shop/a", "two")
	mustDelete(t, st, "shop/a", store.If(store.At(r2)))
	wantValue(t, st, "shop/a", "")
	wantKeys(t, st, "shop/", []string{"shop/b"})
	mustDelete(t, st, "shop/b")
	wantKeys(t, st, "shop/", []string{})
}

func (s *suite) revisions(t *testing.T) {
	st, ctx := s.open(t), testContext(t)
	var last store.Revision
	for range 20 {
		r := mustPut(t, st, "shop/a", "x", store.If(store.Absent()))
		if r <= last {
			t.Fatalf("revision %d after %d: a delete made it fall back", r, last)
		}
		_, err := st.Put(ctx, "shop/a", []byte("x"), store.If(store.At(last)))
		wantError(t, "put at the revision of an entry that was deleted and made anew", err, store.ErrConflict)
		last = r
		mustDelete(t, st, "shop/a")
	}
}

func (s *suite) guards(t *testing.T) {
	st, ctx := s.open(t), testContext(t)
	fenced := func(doing string, err error) {
		t.Helper()
		wantError(t, doing, err, store.ErrFenced)
		if errors.Is(err, store.ErrConflict) {
			t.Fatalf("%s: %v is both fenced and in conflict", doing, err)
		}
	}
	_, err := st.Put(ctx, "shop/a", []byte("x"), store.Guarded(&store.Guard{Key: "shop/fence", Revision: 1}))
	fenced("put guarded by a key that does not exist", err)
	wantValue(t, st, "shop/a", "")

	r1 := mustPut(t, st, "shop/fence", "one")
	old := &store.Guard{Key: "shop/fence", Revision: r1}
	a := mustPut(t, st, "shop/a", "first", store.Guarded(old))
	mustPut(t, st, "shop/a", "second", store.Guarded(old), store.If(store.At(a)))
	mustPut(t, st, "shop/b", "first", store.Guarded(old), store.If(store.Absent()))
	mustDelete(t, st, "shop/b", store.Guarded(old))

	r2 := mustPut(t, st, "shop/fence", "two")
	_, err = st.Put(ctx, "shop/a", []byte("x"), store.Guarded(old))
	fenced("put guarded by a former revision", err)
	_, err = st.Put(ctx, "shop/a", []byte("x"), store.Guarded(old), store.If(store.At(a)))
	fenced("put whose guard and condition both fail", err)
	fenced("delete guarded by a former revision", st.Delete(ctx, "shop/a", store.Guarded(old)))
	fenced("delete of nothing, guarded by a former revision", st.Delete(ctx, "shop/none", store.Guarded(old)))
	wantValue(t, st, "shop/a", "second")

	young := &store.Guard{Key: "shop/fence", Revision: r2}
	_, err = st.Put(ctx, "shop/a", []byte("x"), store.Guarded(young), store.If(store.At(a)))
	wantError(t, "put whose guard holds and whose condition fails", err, store.ErrConflict)
	mustPut(t, st, "shop/a", "third", store.Guarded(young))
	mustPut(t, st, "shop/a", "fourth", store.Guarded(nil))
	mustPut(t, st, "shop/fence", "three", store.Guarded(young)) // a key may guard itself
	mustDelete(t, st, "shop/fence")
	_, err = st.Put(ctx, "shop/a", []byte("x"), store.Guarded(young))
	fenced("put guarded by a key that was deleted", err)
	wantValue(t, st, "shop/a", "fourth")

	elsewhere := mustPut(t, st, "other/fence", "one")
	_, err = st.Put(ctx, "shop/a", []byte("x"), store.Guarded(&store.Guard{Key: "other/fence", Revision: elsewhere}))
	wantError(t, "put guarded by another partition", err, store.ErrInvalid)
}

func (s *suite) maxValue(t *testing.T) {
	st, ctx := s.open(t), testContext(t)
	largest := bytes.Repeat([]byte{0xff}, store.MaxValue)
	for _, key := range numbered("shop/%d", 6) {
		if _, err := st.Put(ctx, key, largest); err != nil {
			t.Fatalf("put of the largest value: %v", err)
		}
	}
	_, err := st.Put(ctx, "shop/0", append(largest, 0))
	wantError(t, "put of more than the largest value", err, store.ErrInvalid)
	entries, err := st.List(ctx, "shop/")
	if err != nil || len(entries) != 6 {
		t.Fatalf("list of six largest values: got %d and error %v", len(entries), err)
	}
	for _, e := range entries {
		if !bytes.Equal(e.Value, largest) {
			t.Fatalf("%s came back with %d bytes, others than were put", e.Key, len(e.Value))
		}
	}
}

func (s *suite) expires(t *testing.T) {
	st := s.open(t)
	mustPut(t, st, "shop/later", "x", store.Expires(time.Now().Add(time.Hour)))
	wantValue(t, st, "shop/later", "x")
	mustPut(t, st, "shop/stays", "x", store.Expires(time.Now().Add(-time.Hour)))
	mustPut(t, st, "shop/stays", "y") // it may have gone by now; either way it is here to stay
	wantValue(t, st, "shop/stays", "y")
}

func (s *suite) badKeys(t *testing.T) {
	st, ctx := s.open(t), testContext(t)
	for _, key := range []string{"", "shop", "shop/", "/a", "/", "shop/\x00", "shop/a\nb", "shop/\xff", "shop/" + strings.Repeat("k", store.MaxKey)} {
		_, err := st.Get(ctx, key)
		wantError(t, "get of a bad key "+key, err, store.ErrInvalid)
		_, err = st.Put(ctx, key, nil)
		wantError(t, "put of a bad key "+key, err, store.ErrInvalid)
		wantError(t, "delete of a bad key "+key, st.Delete(ctx, key), store.ErrInvalid)
		_, err = st.Put(ctx, "shop/a", nil, store.Guarded(&store.Guard{Key: key}))
		wantError(t, "put with a bad guard "+key, err, store.ErrInvalid)
	}
	for _, prefix := range []string{"", "shop", "/", "/a", "shop/\x00"} {
		_, err := st.List(ctx, prefix)
		wantError(t, "list of a bad prefix "+prefix, err, store.ErrInvalid)
		_, err = st.Watch(ctx, prefix)
		wantError(t, "watch of a bad prefix "+prefix, err, store.ErrInvalid)
	}
	mustPut(t, st, "shop/"+strings.Repeat("k", store.MaxKey-len("shop/")), "the longest key")
}

func (s *suite) endedContext(t *testing.T) {
	st := s.open(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := st.Put(ctx, "shop/a", []byte("x"))
	wantError(t, "put", err, context.Canceled)
	wantError(t, "delete", st.Delete(ctx, "shop/a"), context.Canceled)
	_, err = st.Get(ctx, "shop/a")
	wantError(t, "get", err, context.Canceled)
	_, err = st.List(ctx, "shop/")
	wantError(t, "list", err, context.Canceled)
	wantValue(t, st, "shop/a", "")
}
