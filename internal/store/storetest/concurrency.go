package storetest

import (
	"errors"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/farmhand/terraform-provider-farmhand/internal/store"
)

// handles are two ways to the same data where there are two, else the same one twice.
func (s *suite) handles(t *testing.T) []store.Store {
	st := s.open(t)
	if s.peer == nil {
		return []store.Store{st, st}
	}
	return []store.Store{st, s.peer(t, st)}
}

func (s *suite) increments(t *testing.T) {
	const workers, each = 8, 12
	handles, ctx := s.handles(t), testContext(t)
	mustPut(t, handles[0], "shop/n", "0")
	increment := func(st store.Store) error {
		for {
			e, err := st.Get(ctx, "shop/n")
			if err != nil {
				return err
			}
			n, err := strconv.Atoi(string(e.Value))
			if err != nil {
				return err
			}
			_, err = st.Put(ctx, "shop/n", []byte(strconv.Itoa(n+1)), store.If(store.At(e.Revision)))
			if !errors.Is(err, store.ErrConflict) {
				return err
			}
		}
	}
	var wg sync.WaitGroup
	for i := range workers {
		wg.Go(func() {
			for range each {
				if err := increment(handles[i%2]); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	wantValue(t, handles[0], "shop/n", strconv.Itoa(workers*each))
}

func (s *suite) createRace(t *testing.T) {
	handles, ctx := s.handles(t), testContext(t)
	for _, key := range numbered("shop/race/%d", 10) {
		var wins atomic.Int32
		var wg sync.WaitGroup
		for i := range 4 {
			wg.Go(func() {
				switch _, err := handles[i%2].Put(ctx, key, nil, store.If(store.Absent())); {
				case err == nil:
					wins.Add(1)
				case !errors.Is(err, store.ErrConflict):
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if wins.Load() != 1 {
			t.Fatalf("%d of 4 created %s", wins.Load(), key)
		}
	}
}
