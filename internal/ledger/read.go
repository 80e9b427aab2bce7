package ledger

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/farmhand/terraform-provider-farmhand/internal/state"
	"github.com/farmhand/terraform-provider-farmhand/internal/store"
)

// Get reads the record of that id. store.ErrNotFound if there is none.
func Get(ctx context.Context, s store.Store, farm, role, id string) (Record, error) {
	e, err := s.Get(ctx, state.LedgerKey(farm, role, id))
	if err != nil {
		return Record{}, err
	}
	return decodeEntry(e)
}

// Latest is a role's newest record. store.ErrNotFound if there is none.
func Latest(ctx context.Context, s store.Store, farm, role string) (Record, error) {
	all, err := Last(ctx, s, farm, role, 1)
	if err != nil {
		return Record{}, err
	}
	if len(all) == 0 {
		return Record{}, fmt.Errorf("ledger of %s/%s: %w", farm, role, store.ErrNotFound)
	}
	return all[0], nil
}

// Last are a role's newest n records, oldest first.
func Last(ctx context.Context, s store.Store, farm, role string, n int) ([]Record, error) {
	entries, err := s.List(ctx, state.LedgerKey(farm, role, ""), store.Reverse(), store.Limit(n))
	if err != nil {
		return nil, err
	}
	slices.Reverse(entries)
	all := make([]Record, 0, len(entries))
	for _, e := range entries {
		r, err := decodeEntry(e)
		if err != nil {
			return nil, err
		}
		all = append(all, r)
	}
	return all, nil
}

// Since are a role's records from the one that was in force at from on, oldest first.
func Since(ctx context.Context, s store.Store, farm, role string, from time.Time) ([]Record, error) {
	prefix := state.LedgerKey(farm, role, "")
	opts := []store.ListOption{}
	if first, err := inForce(ctx, s, prefix, from); err != nil {
		return nil, err
	} else if first != nil {
		opts = append(opts, store.After(first.Key[:len(first.Key)-1])) // the greatest that is certainly before it
	}
	entries, err := s.List(ctx, prefix, opts...)
	if err != nil {
		return nil, err
	}
	all := make([]Record, 0, len(entries))
	for _, e := range entries {
		r, err := decodeEntry(e)
		if err != nil {
			return nil, err
		}
		all = append(all, r)
	}
	return all, nil
}

// InForce is the record that held at a time: the newest that began by then. next is when the one behind it began,
// zero if it is the newest. store.ErrNotFound, with when the ledger begins, if it does not reach back so far.
func InForce(ctx context.Context, s store.Store, farm, role string, at time.Time) (r Record, next time.Time, err error) {
	prefix := state.LedgerKey(farm, role, "")
	e, err := inForce(ctx, s, prefix, at)
	if err != nil {
		return r, next, err
	}
	if e == nil {
		first, err := s.List(ctx, prefix, store.Limit(1))
		if err != nil {
			return r, next, err
		}
		if len(first) == 0 {
			return r, next, fmt.Errorf("ledger of %s/%s: %w", farm, role, store.ErrNotFound)
		}
		since, err := TimeOf(first[0].Key[len(prefix):])
		if err != nil {
			return r, next, err
		}
		return r, next, fmt.Errorf("the ledger of %s/%s begins at %s: %w", farm, role, since.Format(time.RFC3339), store.ErrNotFound)
	}
	following, err := s.List(ctx, prefix, store.After(e.Key), store.Limit(1))
	if err != nil {
		return r, next, err
	}
	if len(following) > 0 {
		if next, err = TimeOf(following[0].Key[len(prefix):]); err != nil {
			return r, next, err
		}
	}
	r, err = decodeEntry(*e)
	return r, next, err
}

func inForce(ctx context.Context, s store.Store, prefix string, at time.Time) (*store.Entry, error) {
	found, err := s.List(ctx, prefix, store.Reverse(), store.After(prefix+ID(at.Add(1), 0)), store.Limit(1))
	if err != nil || len(found) == 0 {
		return nil, err
	}
	return &found[0], nil
}

func decodeEntry(e store.Entry) (Record, error) {
	r, err := Decode(e.Value)
	if err != nil {
		return r, fmt.Errorf("%s: %w", e.Key, err)
	}
	return r, nil
}
