package sqlite

import (
	"context"
	"errors"
	"fmt"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/farmhand/terraform-provider-farmhand/internal/store"
)

// explain turns SQLite's result codes into the errors that callers tell apart, each with a way out.
func explain(ctx context.Context, path string, err error) error {
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		return ctx.Err() // the driver says "interrupted", or nothing of it
	}
	var e *sqlite.Error
	if !errors.As(err, &e) {
		return err
	}
	switch e.Code() & 0xff { // the rest of the code says more, and is in the message
	case sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB:
		return damaged(path, err)
	case sqlite3.SQLITE_FULL:
		return full(path, err)
	case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED:
		return fmt.Errorf("%w: another process has kept %s locked for %s; end it if it hangs (%w)", store.ErrUnavailable, path, busyTimeout, err)
	case sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_AUTH:
		return fmt.Errorf("%s: %w: this user must be able to write the file and its folder; it belongs to who made it", path, err)
	case sqlite3.SQLITE_IOERR:
		if e.Code() == sqlite3.SQLITE_IOERR_SHMSIZE { // no room for the file that the processes share
			return full(path, err)
		}
		return fmt.Errorf("%s: %w: look at the file system (full, read-only, or on a network: the store needs a local one)", path, err)
	}
	return err
}

func full(path string, cause error) error {
	return fmt.Errorf("%w, nothing was written to %s: make room on its file system (%w)", store.ErrFull, path, cause)
}

func damaged(path string, cause error) error {
	return fmt.Errorf("%w: %s is damaged (%w). It was left as it is: stop the sidecar, then put a backup in its place, or move it away and apply again", store.ErrIncompatible, path, cause)
}

func foreign(path, why string) error {
	return fmt.Errorf("%w: %s is not a farmhand store (%s). It was left as it is: move it away, or use another state directory (FARMHAND_STATE_DIR)", store.ErrIncompatible, path, why)
}

func newer(path string, version int64) error {
	return fmt.Errorf("%w: %s has version %d and this farmhand knows version %d. It was left as it is: use the farmhand that wrote it, or a later one", store.ErrIncompatible, path, version, schemaVersion)
}
