package controller

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/farmhand/terraform-provider-farmhand/internal/store"
	"github.com/farmhand/terraform-provider-farmhand/internal/store/storetest"
)

// memory is a store without a disk: the crash tests begin anew hundreds of times. It passes the contract.
type memory struct {
	mu       sync.Mutex
	entries  map[string]store.Entry
	last     store.Revision
	watchers map[chan struct{}]string
	closed   chan struct{}
}

func newMemory() *memory {
	return &memory{entries: map[string]store.Entry{}, watchers: map[chan struct{}]string{}, closed: make(chan struct{})}
}

func TestMemoryStore(t *testing.T) {
	storetest.Run(t, func(t *testing.T) store.Store {
		m := newMemory()
		t.Cleanup(func() { _ = m.Close() })
		return m
	})
}

func (m *memory) open(ctx context.Context) error {
	select {
	case <-m.closed:
		return store.ErrClosed
	default:
		return ctx.Err()
	}
}

func (m *memory) Get(ctx context.Context, key string) (store.Entry, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.open(ctx); err != nil {
		return store.Entry{}, err
	}
	if err := store.CheckKey(key); err != nil {
		return store.Entry{}, err
	}
	e, ok := m.entries[key]
	if !ok {
		return store.Entry{}, fmt.Errorf("%s: %w", key, store.ErrNotFound)
	}
	e.Value = bytes.Clone(e.Value)
	return e, nil
}

func (m *memory) List(ctx context.Context, prefix string, opts ...store.ListOption) ([]store.Entry, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.open(ctx); err != nil {
		return nil, err
	}
	if err := store.CheckPrefix(prefix); err != nil {
		return nil, err
	}
	r := store.NewRange(opts)
	var list []store.Entry
	for key, e := range m.entries {
		if !strings.HasPrefix(key, prefix) || r.After != "" && (!r.Reverse && key <= r.After || r.Reverse && key >= r.After) {
			continue
		}
		e.Value = bytes.Clone(e.Value)
		list = append(list, e)
	}
	slices.SortFunc(list, func(a, b store.Entry) int {
		if r.Reverse {
			a, b = b, a
		}
		return strings.Compare(a.Key, b.Key)
	})
	if r.Limit > 0 && len(list) > r.Limit {
		list = list[:r.Limit]
	}
	return list, nil
}

func (m *memory) check(ctx context.Context, key string, value []byte, w store.Write) error {
	if err := m.open(ctx); err != nil {
		return err
	}
	if err := store.CheckWrite(key, value, w); err != nil {
		return err
	}
	if w.Guard != nil && m.entries[w.Guard.Key].Revision != w.Guard.Revision {
		return fmt.Errorf("%s: %w", key, store.ErrFenced)
	}
	e, exists := m.entries[key]
	at, wantAt := w.If.Revision()
	if w.If.IsAbsent() && exists || wantAt && (!exists || e.Revision != at) {
		return fmt.Errorf("%s: %w", key, store.ErrConflict)
	}
	return nil
}

func (m *memory) Put(ctx context.Context, key string, value []byte, opts ...store.Option) (store.Revision, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.check(ctx, key, value, store.NewWrite(opts)); err != nil {
		return 0, err
	}
	m.last++
	m.entries[key] = store.Entry{Key: key, Value: bytes.Clone(value), Revision: m.last}
	m.hint(key)
	return m.last, nil
}

func (m *memory) Delete(ctx context.Context, key string, opts ...store.Option) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.check(ctx, key, nil, store.NewWrite(opts)); err != nil {
		return err
	}
	if _, exists := m.entries[key]; exists {
		delete(m.entries, key)
		m.hint(key)
	}
	return nil
}

func (m *memory) hint(key string) {
	for ch, prefix := range m.watchers {
		if strings.HasPrefix(key, prefix) {
			select {
			case ch <- struct{}{}:
			default:
			}
		}
	}
}

func (m *memory) Watch(ctx context.Context, prefix string) (<-chan struct{}, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.open(ctx); err != nil {
		return nil, err
	}
	if err := store.CheckPrefix(prefix); err != nil {
		return nil, err
	}
	ch := make(chan struct{}, 1)
	ch <- struct{}{}
	m.watchers[ch] = prefix
	go func() {
		select {
		case <-ctx.Done():
		case <-m.closed:
		}
		m.mu.Lock()
		defer m.mu.Unlock()
		delete(m.watchers, ch)
		close(ch)
	}()
	return ch, nil
}

func (m *memory) Close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	select {
	case <-m.closed:
	default:
		close(m.closed)
	}
	return nil
}
