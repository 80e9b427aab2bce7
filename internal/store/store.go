// Package store is where provider, sidecar, agents and people meet: one small interface over keys and values.
//
// It holds no logic. Keys are slash-separated; the part before the first slash is the partition, and every
// operation stays in one partition. Implementations (sqlite, gateway, later dynamodb) pass storetest.
package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// Revision orders the writes of one key: it grows with every write and is never used again, also after a delete.
type Revision int64

// Entry is a stored value.
type Entry struct {
	Key      string
	Value    []byte
	Revision Revision
}

// Errors that callers tell apart; implementations wrap them with the key.
var (
	ErrNotFound = errors.New("not found")
	// ErrConflict: the condition of a write did not hold; read again and decide anew.
	ErrConflict = errors.New("changed meanwhile")
	// ErrFenced: the guard of a write did not hold; another sidecar has taken the farm over.
	ErrFenced = errors.New("fenced off: the lease was taken over")
	// ErrDenied: the token reaches neither this key nor this operation.
	ErrDenied = errors.New("not permitted")
	// ErrIncompatible: the store was written by a newer version or is not a store at all; it is left untouched.
	ErrIncompatible = errors.New("incompatible store")
	// ErrInvalid: the key, prefix or value can never be taken as it stands.
	ErrInvalid = errors.New("invalid")
	// ErrUnavailable: the store could not be reached, or is locked; whether a write happened is not known. Try later.
	ErrUnavailable = errors.New("store unavailable")
	// ErrFull: there is no room for the write; nothing was written.
	ErrFull = errors.New("disk full")
	// ErrDamaged: a blob's bytes are not those that its name stands for.
	ErrDamaged = errors.New("damaged")
	// ErrClosed: the store was closed by its owner.
	ErrClosed = errors.New("store is closed")
	// ErrHeld: the lease is another's; see HeldError.
	ErrHeld = errors.New("lease is held")
)

// Condition is what must hold of the key for a write to happen.
type Condition struct {
	kind     byte // 0 any, 1 absent, 2 revision
	revision Revision
}

// Always, Absent and At are the conditions: none, the key must not exist, its revision must be r.
func Always() Condition            { return Condition{} }
func Absent() Condition            { return Condition{kind: 1} }
func At(r Revision) Condition      { return Condition{kind: 2, revision: r} }
func (c Condition) IsAlways() bool { return c.kind == 0 }
func (c Condition) IsAbsent() bool { return c.kind == 1 }

// Revision is the revision demanded by At; ok is false for the other conditions.
func (c Condition) Revision() (r Revision, ok bool) { return c.revision, c.kind == 2 }

// Guard is a second condition of a write, on another key of the partition: a fencing number is the revision of
// a key that only an acquisition of the lease writes.
type Guard struct {
	Key      string
	Revision Revision
}

// Option refines a write.
type Option func(*Write)

// Write is the resolved form of the options; implementations build it with NewWrite.
type Write struct {
	If      Condition
	Guard   *Guard
	Expires time.Time // zero: never. After it the entry may vanish at any time
}

// NewWrite resolves options.
func NewWrite(opts []Option) Write {
	var w Write
	for _, o := range opts {
		o(&w)
	}
	return w
}

// If makes the write conditional; without it the write always happens.
func If(c Condition) Option { return func(w *Write) { w.If = c } }

// Guarded makes the write happen only if key is still at revision r; else ErrFenced.
func Guarded(g *Guard) Option { return func(w *Write) { w.Guard = g } }

// Expires lets the store forget the entry after t.
func Expires(t time.Time) Option { return func(w *Write) { w.Expires = t } }

// Store is safe for concurrent use. Values are at most MaxValue bytes.
type Store interface {
	// Get returns ErrNotFound when the key does not exist.
	Get(ctx context.Context, key string) (Entry, error)
	// List returns the entries whose key starts with prefix, by key. The prefix holds at least one whole partition.
	List(ctx context.Context, prefix string, opts ...ListOption) ([]Entry, error)
	// Put writes and returns the new revision; ErrConflict or ErrFenced if a condition does not hold.
	Put(ctx context.Context, key string, value []byte, opts ...Option) (Revision, error)
	// Delete removes; deleting what does not exist is no error unless the condition demands a revision.
	Delete(ctx context.Context, key string, opts ...Option) error
	// Watch returns a channel of hints: one at once, then one whenever something under prefix may have changed
	// since the last hint was taken, in whatever process. Hints are coalesced; the reader lists again.
	// The channel is closed when ctx ends or the store is closed.
	Watch(ctx context.Context, prefix string) (<-chan struct{}, error)
	Close() error
}

// MaxValue is the largest value: DynamoDB's item limit is 400 KB, and this leaves room for the key.
const MaxValue = 350 << 10

// ListOption refines a List.
type ListOption func(*Range)

// Range is the resolved form of list options.
type Range struct {
	After   string // only keys greater than this
	Limit   int    // 0: all
	Reverse bool   // greatest first; After then means smaller than
}

// NewRange resolves list options.
func NewRange(opts []ListOption) Range {
	var r Range
	for _, o := range opts {
		o(&r)
	}
	return r
}

// After lists only what comes behind key, Limit at most n entries, Reverse from the greatest key down.
func After(key string) ListOption { return func(r *Range) { r.After = key } }
func Limit(n int) ListOption      { return func(r *Range) { r.Limit = n } }
func Reverse() ListOption         { return func(r *Range) { r.Reverse = true } }

// GetJSON reads key into v and returns its revision.
func GetJSON[T any](ctx context.Context, s Store, key string) (T, Revision, error) {
	var v T
	e, err := s.Get(ctx, key)
	if err != nil {
		return v, 0, err
	}
	if err := json.Unmarshal(e.Value, &v); err != nil {
		return v, e.Revision, fmt.Errorf("reading %s: %w", key, err)
	}
	return v, e.Revision, nil
}

// PutJSON writes v under key.
func PutJSON(ctx context.Context, s Store, key string, v any, opts ...Option) (Revision, error) {
	b, err := json.Marshal(v)
	if err != nil {
		return 0, fmt.Errorf("writing %s: %w", key, err)
	}
	return s.Put(ctx, key, b, opts...)
}

// Item is an entry with its value decoded.
type Item[T any] struct {
	Key      string
	Value    T
	Revision Revision
}

// ListJSON lists and decodes. An entry that does not decode is an error that names its key.
func ListJSON[T any](ctx context.Context, s Store, prefix string, opts ...ListOption) ([]Item[T], error) {
	entries, err := s.List(ctx, prefix, opts...)
	if err != nil {
		return nil, err
	}
	items := make([]Item[T], 0, len(entries))
	for _, e := range entries {
		it := Item[T]{Key: e.Key, Revision: e.Revision}
		if err := json.Unmarshal(e.Value, &it.Value); err != nil {
			return nil, fmt.Errorf("reading %s: %w", e.Key, err)
		}
		items = append(items, it)
	}
	return items, nil
}
