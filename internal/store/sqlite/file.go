package sqlite

import (
	"context"
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

// busyTimeout is how long a call waits for another process's write. Writes take less than a millisecond; five
// seconds are for a machine on its knees.
const busyTimeout = 5 * time.Second

// opened counts this process's stores by path. POSIX locks belong to the process, and closing any descriptor of a
// file drops all of them (sqlite.org/howtocorrupt.html, 2.2): the header may be read by hand only while no store
// of this process has the file open.
var opened = struct {
	sync.Mutex
	count map[string]int
}{count: map[string]int{}}

// prepare makes the file if there is none, and refuses what is not a store of this version, by reading alone.
// It returns the path that the store is counted under; release gives it back.
func prepare(ctx context.Context, path string) (string, error) {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", err
	}
	opened.Lock()
	defer opened.Unlock()
	_, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		err = create(ctx, path)
	}
	if err != nil {
		return "", err
	}
	// Only what exists can be resolved; two paths to one file must be counted as one.
	if path, err = filepath.EvalSymlinks(path); err != nil {
		return "", err
	}
	if path, err = filepath.Abs(path); err != nil {
		return "", err
	}
	if opened.count[path] == 0 {
		if err := checkHeader(path); err != nil {
			return "", err
		}
	}
	if err := checkContent(ctx, path); err != nil {
		return "", err
	}
	opened.count[path]++
	return path, nil
}

func release(path string) {
	opened.Lock()
	defer opened.Unlock()
	if opened.count[path]--; opened.count[path] == 0 {
		delete(opened.count, path)
	}
}

// create makes a complete store beside path and then gives it its name, in one step that fails if the name was
// taken meanwhile: two processes that start together end with one store, and a crash leaves no half of one.
func create(ctx context.Context, path string) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".new-*") // made 0600
	if err != nil {
		return explainOS(path, err)
	}
	fresh := f.Name()
	f.Close()
	defer func() {
		for _, suffix := range []string{"", "-journal", "-wal", "-shm"} {
			os.Remove(fresh + suffix)
		}
	}()
	db, err := sql.Open("sqlite", dsn(fresh, "rw"))
	if err != nil {
		return err
	}
	// The version is set before the file goes over to WAL, so that it stands in the header from the first byte on.
	for _, statement := range []string{
		fmt.Sprintf("PRAGMA application_id = %d", applicationID),
		fmt.Sprintf("PRAGMA user_version = %d", schemaVersion),
		schema,
		"PRAGMA journal_mode = WAL",
	} {
		if _, err := db.ExecContext(ctx, statement); err != nil {
			db.Close()
			return explain(ctx, path, err)
		}
	}
	if err := db.Close(); err != nil {
		return explain(ctx, path, err)
	}
	if err := os.Link(fresh, path); err != nil && !errors.Is(err, fs.ErrExist) {
		return explainOS(path, err)
	}
	return nil
}

// checkHeader looks at the first 100 bytes (sqlite.org/fileformat2.html, 1.3), so that a file that is not ours is
// not even opened by SQLite.
func checkHeader(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil {
		return err
	} else if !info.Mode().IsRegular() {
		return foreign(path, "it is no regular file")
	}
	header := make([]byte, 100)
	switch _, err := io.ReadFull(f, header); {
	case err == io.EOF:
		return foreign(path, "it is empty")
	case err == io.ErrUnexpectedEOF:
		return foreign(path, "it is too short for one")
	case err != nil:
		return err
	}
	if !strings.HasPrefix(string(header), "SQLite format 3\x00") {
		return foreign(path, "it is no SQLite file")
	}
	version := int64(binary.BigEndian.Uint32(header[60:]))
	if id := binary.BigEndian.Uint32(header[68:]); id != applicationID {
		return foreign(path, fmt.Sprintf("it is another program's SQLite file, application id %#x", id))
	}
	return checkVersion(path, version)
}

// checkedWhole is up to which size a file is searched for damage when it is opened, a few milliseconds per megabyte.
// The ledger of a month makes a store of gigabytes, and each command opens it anew.
const checkedWhole = 4 << 20

// checkContent reads the file through a connection that cannot write: the version again, since a newer farmhand's may
// still stand in the write-ahead log, and SQLite's own check for damage, of a file up to checkedWhole.
func checkContent(ctx context.Context, path string) error {
	db, err := sql.Open("sqlite", dsn(path, "ro"))
	if err != nil {
		return err
	}
	defer db.Close()
	var version int64
	if err := db.QueryRowContext(ctx, "PRAGMA user_version").Scan(&version); err != nil {
		return explain(ctx, path, err)
	}
	if err := checkVersion(path, version); err != nil {
		return err
	}
	if info, err := os.Stat(path); err != nil {
		return err
	} else if info.Size() > checkedWhole {
		// What is read of it is checked as it is read: SQLite reports a page that makes no sense.
		var first sql.NullString
		if err := db.QueryRowContext(ctx, "SELECT min(key) FROM entry").Scan(&first); err != nil {
			return explain(ctx, path, err)
		}
		return nil
	}
	var verdict string
	if err := db.QueryRowContext(ctx, "PRAGMA quick_check(1)").Scan(&verdict); err != nil {
		return explain(ctx, path, err)
	}
	if verdict != "ok" {
		return damaged(path, errors.New(verdict))
	}
	return nil
}

func checkVersion(path string, version int64) error {
	if version > schemaVersion {
		return newer(path, version)
	}
	if version < 1 {
		return damaged(path, fmt.Errorf("it has version %d", version))
	}
	return nil
}

// dsn names a file for the driver; mode is "rw" or "ro". No mode here ever creates a file.
func dsn(path, mode string, pragmas ...string) string {
	q := url.Values{
		"mode":    {mode},
		"_txlock": {"immediate"}, // a write transaction that begins as a reader can fail half-way, busy or not
		"_pragma": append([]string{fmt.Sprintf("busy_timeout(%d)", busyTimeout.Milliseconds())}, pragmas...),
	}
	return "file:" + (&url.URL{Path: path}).EscapedPath() + "?" + q.Encode()
}

// explainOS marks a full disk as store.ErrFull, as explain does for SQLite's errors.
func explainOS(path string, err error) error {
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return full(path, err)
	}
	return err
}
