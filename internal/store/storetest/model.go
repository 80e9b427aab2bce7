package storetest

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/farmhand/terraform-provider-farmhand/internal/store"
)

// model checks random sequences of calls against a map. Each sequence has a partition of its own in one store.
func (s *suite) model(t *testing.T) {
	st, sequence := s.open(t), 0
	rapid.Check(t, func(rt *rapid.T) {
		sequence++
		m := &mapStore{store: st, partition: fmt.Sprintf("p%d/", sequence), entries: map[string]store.Entry{}}
		rt.Repeat(map[string]func(*rapid.T){
			"put":    m.put,
			"delete": m.delete,
			"get":    m.get,
			"list":   m.list,
		})
	})
}

// mapStore is what the store should be.
type mapStore struct {
	store     store.Store
	partition string
	entries   map[string]store.Entry
	last      store.Revision // greatest given so far
}

// key draws from few keys, so that calls meet, and from an alphabet in which prefixes, wildcards and case matter.
func (m *mapStore) key(t *rapid.T) string {
	return m.partition + rapid.StringOfN(rapid.RuneFrom([]rune("aA%_/é")), 1, 2, -1).Draw(t, "key")
}

// write draws the conditions of a write and tells what is to come of them.
func (m *mapStore) write(t *rapid.T, key string) (opts []store.Option, want error) {
	old, exists := m.entries[key]
	switch rapid.SampledFrom([]string{"always", "absent", "at", "at another"}).Draw(t, "if") {
	case "absent":
		opts = append(opts, store.If(store.Absent()))
		if exists {
			want = store.ErrConflict
		}
	case "at":
		opts = append(opts, store.If(store.At(old.Revision)))
		if !exists {
			want = store.ErrConflict
		}
	case "at another":
		opts = append(opts, store.If(store.At(old.Revision+1)))
		want = store.ErrConflict
	}
	if rapid.Bool().Draw(t, "guarded") {
		guard := m.entries[m.key(t)]
		if guard.Key == "" || rapid.Bool().Draw(t, "by another revision") {
			guard = store.Entry{Key: m.key(t), Revision: m.last + 1}
			want = store.ErrFenced
		}
		opts = append(opts, store.Guarded(&store.Guard{Key: guard.Key, Revision: guard.Revision}))
	}
	return opts, want
}

func (m *mapStore) put(t *rapid.T) {
	key := m.key(t)
	value := rapid.SliceOfN(rapid.Byte(), 0, 8).Draw(t, "value")
	opts, want := m.write(t, key)
	revision, err := m.store.Put(t.Context(), key, value, opts...)
	if !errors.Is(err, want) {
		t.Fatalf("put %s: got error %v, want %v", key, err, want)
	}
	if err != nil {
		return
	}
	if revision <= m.entries[key].Revision {
		t.Fatalf("put %s: revision %d after %d", key, revision, m.entries[key].Revision)
	}
	m.entries[key] = store.Entry{Key: key, Value: value, Revision: revision}
	m.last = max(m.last, revision)
}

func (m *mapStore) delete(t *rapid.T) {
	key := m.key(t)
	opts, want := m.write(t, key)
	if err := m.store.Delete(t.Context(), key, opts...); !errors.Is(err, want) {
		t.Fatalf("delete %s: got error %v, want %v", key, err, want)
	}
	if want == nil {
		delete(m.entries, key)
	}
}

func (m *mapStore) get(t *rapid.T) {
	key := m.key(t)
	want, exists := m.entries[key]
	got, err := m.store.Get(t.Context(), key)
	if !exists {
		if !errors.Is(err, store.ErrNotFound) {
			t.Fatalf("get %s: got %v and error %v, want ErrNotFound", key, got, err)
		}
		return
	}
	if err != nil || !same(got, want) {
		t.Fatalf("get %s: got %v and error %v, want %v", key, got, err, want)
	}
}

func (m *mapStore) list(t *rapid.T) {
	prefix := m.partition
	if rapid.Bool().Draw(t, "below the partition") {
		prefix = m.key(t)
	}
	var opts []store.ListOption
	var want []store.Entry
	for _, key := range slices.Sorted(maps.Keys(m.entries)) {
		if strings.HasPrefix(key, prefix) {
			want = append(want, m.entries[key])
		}
	}
	reverse := rapid.Bool().Draw(t, "reverse")
	if reverse {
		opts = append(opts, store.Reverse())
		slices.Reverse(want)
	}
	if rapid.Bool().Draw(t, "after") {
		after := m.key(t)
		opts = append(opts, store.After(after))
		want = slices.DeleteFunc(want, func(e store.Entry) bool { return e.Key == after || e.Key < after != reverse })
	}
	if limit := rapid.IntRange(0, 4).Draw(t, "limit"); limit > 0 {
		opts = append(opts, store.Limit(limit))
		want = want[:min(limit, len(want))]
	}
	got, err := m.store.List(t.Context(), prefix, opts...)
	if err != nil || !slices.EqualFunc(got, want, same) {
		t.Fatalf("list %s:\n got %v and error %v\nwant %v", prefix, got, err, want)
	}
}

func same(a, b store.Entry) bool {
	return a.Key == b.Key && a.Revision == b.Revision && bytes.Equal(a.Value, b.Value)
}
