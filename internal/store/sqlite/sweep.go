package sqlite

import (
	"context"
	"time"

	"github.com/farmhand/terraform-provider-farmhand/internal/store"
)

// sweepEvery is how often expired entries are removed; sweepBatch how many in one transaction, so that no writer
// waits long behind a sweep.
const (
	sweepEvery = time.Minute
	sweepBatch = 500
)

// sweep removes expired entries until the store is closed. Every process that has the file open does so; an entry
// is removed once.
func (s *Store) sweep() {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	ticker := time.NewTicker(sweepEvery)
	defer ticker.Stop()
	for {
		select {
		case <-s.closing:
			return
		case <-ticker.C:
			_, _ = s.Sweep(ctx, time.Now()) // a failure is the next sweep's: nobody relies on the entries going
		}
	}
}

// Sweep removes the entries that expired before now and returns how many. The store does this by itself every minute.
func (s *Store) Sweep(ctx context.Context, now time.Time) (int, error) {
	removed := 0
	for {
		n, err := s.sweepSome(ctx, now)
		removed += n
		if err != nil {
			return removed, s.fail(ctx, "removing", "expired entries", err)
		}
		if n < sweepBatch {
			return removed, nil
		}
	}
}

func (s *Store) sweepSome(ctx context.Context, now time.Time) (int, error) {
	const expired = "SELECT key, value, revision FROM entry WHERE expires < ? ORDER BY expires LIMIT ?"
	entries, err := s.list(ctx, expired, []any{now.UnixMilli(), sweepBatch})
	if err != nil || len(entries) == 0 {
		return 0, err // mostly: nothing is written then
	}
	return len(entries), s.remove(ctx, entries)
}

// remove deletes those of the entries that are still at their revision: they may have been written again since.
func (s *Store) remove(ctx context.Context, entries []store.Entry) error {
	tx, err := s.writer.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // after a commit it says that there is nothing to roll back
	for _, e := range entries {
		result, err := tx.ExecContext(ctx, "DELETE FROM entry WHERE key = ? AND revision = ?", e.Key, e.Revision)
		if err != nil {
			return err
		}
		if n, err := result.RowsAffected(); err != nil {
			return err
		} else if n == 0 {
			continue
		}
		if _, err := tx.ExecContext(ctx, "INSERT INTO change (writer, key) VALUES (?, ?)", s.id, e.Key); err != nil {
			return err
		}
	}
	if err := tx.Commit(); err != nil {
		return err
	}
	for _, e := range entries {
		s.hub.notify(e.Key)
	}
	return nil
}
