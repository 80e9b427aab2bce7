package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"sync"

	_ "modernc.org/sqlite" // the driver "sqlite"

	"github.com/farmhand/terraform-provider-farmhand/internal/store"
)

// maxReaders bounds the connections that read, each of which has a page cache of its own.
const maxReaders = 4

// pragmas of every connection. NORMAL: a commit waits for no fsync, a killed process loses nothing, a power cut
// may lose the last writes and nothing older. The page cache is half a megabyte: the kernel caches the file, and
// the sidecar is to stay small. The write-ahead log is cut back to 4 MB after a burst.
var pragmas = []string{"synchronous(NORMAL)", "cache_size(-512)", "journal_size_limit(4194304)", "temp_store(MEMORY)"}

// Store is a store.Store in one file. Safe for concurrent use, and any number of processes of this machine may have
// the file open, each with a Store of its own.
type Store struct {
	path   string
	id     int64 // tells this store's changes from those of others that have the file open
	writer *sql.DB
	reader *sql.DB
	get    *sql.Stmt
	hub    hub

	closing    chan struct{}
	close      func() error   // once
	background sync.WaitGroup // sweeper and poller
}

var _ store.Store = (*Store)(nil)

// Open opens the store at path and makes it, 0600 in a folder that is 0700 if it has to be made, if there is no file.
// It returns store.ErrIncompatible, and leaves the file exactly as it is, if that is damaged, written by a newer
// version, or something else altogether; store.ErrFull if there is no room to make one.
func Open(ctx context.Context, path string) (*Store, error) {
	s, err := open(ctx, path)
	if err != nil {
		return nil, fmt.Errorf("opening the store: %w", err)
	}
	return s, nil
}

func open(ctx context.Context, path string) (_ *Store, err error) {
	path, err = filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	path, err = prepare(ctx, path)
	if err != nil {
		return nil, err
	}
	s := &Store{path: path, id: rand.Int64(), closing: make(chan struct{})}
	s.hub.watchers = map[*watcher]struct{}{}
	s.close = sync.OnceValue(s.shut)
	defer func() {
		if err != nil {
			_ = s.close()
		}
	}()
	if s.writer, err = sql.Open("sqlite", dsn(path, "rw", pragmas...)); err != nil {
		return nil, err
	}
	s.writer.SetMaxOpenConns(1) // SQLite has one writer; queueing here is fair and needs no busy-waiting
	if s.reader, err = sql.Open("sqlite", dsn(path, "rw", append(pragmas, "query_only(1)")...)); err != nil {
		return nil, err
	}
	s.reader.SetMaxOpenConns(maxReaders)
	s.reader.SetMaxIdleConns(2)
	if s.get, err = s.reader.PrepareContext(ctx, "SELECT value, revision FROM entry WHERE key = ?"); err != nil {
		return nil, explain(ctx, path, err)
	}
	s.background.Go(s.sweep)
	return s, nil
}

// Path is the file's.
func (s *Store) Path() string { return s.path }

// Close closes every channel that Watch returned and waits for what is under way.
func (s *Store) Close() error { return s.close() }

func (s *Store) shut() error {
	close(s.closing)
	s.hub.closeAll()
	s.background.Wait()
	var errs []error
	for _, db := range []*sql.DB{s.reader, s.writer} {
		if db != nil {
			errs = append(errs, db.Close())
		}
	}
	release(s.path)
	return errors.Join(errs...)
}

func (s *Store) closed() bool {
	select {
	case <-s.closing:
		return true
	default:
		return false
	}
}

// fail says what was being done, and why it failed.
func (s *Store) fail(ctx context.Context, doing, key string, err error) error {
	if s.closed() {
		err = store.ErrClosed
	}
	return fmt.Errorf("%s %s: %w", doing, key, explain(ctx, s.path, err))
}

// Get reads one entry.
func (s *Store) Get(ctx context.Context, key string) (store.Entry, error) {
	if err := store.CheckKey(key); err != nil {
		return store.Entry{}, err
	}
	e := store.Entry{Key: key}
	err := s.get.QueryRowContext(ctx, key).Scan(&e.Value, &e.Revision)
	if errors.Is(err, sql.ErrNoRows) {
		err = store.ErrNotFound
	}
	if err != nil {
		return store.Entry{}, s.fail(ctx, "reading", key, err)
	}
	return e, nil
}

// List reads a range, all of it as of one moment.
func (s *Store) List(ctx context.Context, prefix string, opts ...store.ListOption) ([]store.Entry, error) {
	if err := store.CheckPrefix(prefix); err != nil {
		return nil, err
	}
	query, args := rangeQuery(prefix, store.NewRange(opts))
	entries, err := s.list(ctx, query, args)
	if err != nil {
		return nil, s.fail(ctx, "listing", prefix, err)
	}
	return entries, nil
}

func (s *Store) list(ctx context.Context, query string, args []any) ([]store.Entry, error) {
	rows, err := s.reader.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	entries := []store.Entry{}
	for rows.Next() {
		var e store.Entry
		if err := rows.Scan(&e.Key, &e.Value, &e.Revision); err != nil {
			return nil, err
		}
		entries = append(entries, e)
	}
	return entries, rows.Err()
}

// rangeQuery asks for a range and not with LIKE: that has wildcards, ignores case, and uses no index when bound.
func rangeQuery(prefix string, r store.Range) (string, []any) {
	query, args := "SELECT key, value, revision FROM entry WHERE key >= ?", []any{prefix}
	if end := store.PrefixEnd(prefix); end != "" {
		query, args = query+" AND key < ?", append(args, end)
	}
	after, order := " AND key > ?", " ORDER BY key"
	if r.Reverse {
		after, order = " AND key < ?", " ORDER BY key DESC"
	}
	if r.After != "" {
		query, args = query+after, append(args, r.After)
	}
	query += order
	if r.Limit > 0 {
		query, args = query+" LIMIT ?", append(args, r.Limit)
	}
	return query, args
}

// Put writes one entry.
func (s *Store) Put(ctx context.Context, key string, value []byte, opts ...store.Option) (store.Revision, error) {
	w := store.NewWrite(opts)
	if err := store.CheckWrite(key, value, w); err != nil {
		return 0, err
	}
	if value == nil {
		value = []byte{} // nil would be NULL
	}
	var expires sql.NullInt64
	if !w.Expires.IsZero() {
		expires = sql.NullInt64{Int64: w.Expires.UnixMilli(), Valid: true}
	}
	revision, err := s.write(ctx, key, w, func(tx *sql.Tx, r store.Revision, _ bool) error {
		_, err := tx.Exec(`INSERT INTO entry (key, value, revision, expires) VALUES (?1, ?2, ?3, ?4)
			ON CONFLICT (key) DO UPDATE SET value = ?2, revision = ?3, expires = ?4`, key, value, r, expires)
		return err
	})
	if err != nil {
		return 0, s.fail(ctx, "writing", key, err)
	}
	return revision, nil
}

// Delete removes one entry.
func (s *Store) Delete(ctx context.Context, key string, opts ...store.Option) error {
	w := store.NewWrite(opts)
	if err := store.CheckWrite(key, nil, w); err != nil {
		return err
	}
	_, err := s.write(ctx, key, w, func(tx *sql.Tx, _ store.Revision, exists bool) error {
		if !exists {
			return errNothing
		}
		_, err := tx.Exec("DELETE FROM entry WHERE key = ?", key)
		return err
	})
	if err != nil && !errors.Is(err, errNothing) {
		return s.fail(ctx, "deleting", key, err)
	}
	return nil
}

// errNothing rolls a write back that turned out to be none.
var errNothing = errors.New("nothing to write")

// write checks the conditions, takes a revision and calls do, all in one transaction.
func (s *Store) write(ctx context.Context, key string, w store.Write, do func(tx *sql.Tx, r store.Revision, exists bool) error) (store.Revision, error) {
	// ctx bounds the wait for our turn. After that the transaction is not interrupted: it takes a millisecond, and an
	// interrupted connection would have to be made anew.
	conn, err := s.writer.Conn(ctx)
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	tx, err := conn.BeginTx(context.WithoutCancel(ctx), nil)
	if err != nil {
		return 0, err
	}
	defer func() { _ = tx.Rollback() }() // after a commit it says that there is nothing to roll back
	if w.Guard != nil {
		revision, exists, err := revisionOf(tx, w.Guard.Key)
		if err != nil {
			return 0, err
		}
		if !exists || revision != w.Guard.Revision {
			return 0, store.ErrFenced
		}
	}
	revision, exists, err := revisionOf(tx, key)
	if err != nil {
		return 0, err
	}
	at, demanded := w.If.Revision()
	if w.If.IsAbsent() && exists || demanded && (!exists || revision != at) {
		return 0, store.ErrConflict
	}
	if err := tx.QueryRow("INSERT INTO change (writer, key) VALUES (?, ?) RETURNING revision", s.id, key).Scan(&revision); err != nil {
		return 0, err
	}
	if err := do(tx, revision, exists); err != nil {
		return 0, err
	}
	if revision%pruneEvery == 0 {
		if _, err := tx.Exec("DELETE FROM change WHERE revision <= ?", revision-changesKept); err != nil {
			return 0, err
		}
	}
	if err := tx.Commit(); err != nil {
		return 0, err
	}
	s.hub.notify(key)
	return revision, nil
}

func revisionOf(tx *sql.Tx, key string) (r store.Revision, exists bool, err error) {
	err = tx.QueryRow("SELECT revision FROM entry WHERE key = ?", key).Scan(&r)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, false, nil
	}
	return r, err == nil, err
}
