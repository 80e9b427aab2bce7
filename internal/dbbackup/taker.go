package dbbackup

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/farmhand/terraform-provider-farmhand/internal/backup"
	"github.com/farmhand/terraform-provider-farmhand/internal/behavior"
	"github.com/farmhand/terraform-provider-farmhand/internal/fifo"
)

// Taker takes backups of a running server. One full backup at a time; the binary logs are stored beside it.
type Taker struct {
	Run      behavior.Commander
	DB       *sql.DB // as the server's administrator, over its socket
	Config   string  // its defaults file
	Socket   string
	Scratch  string // a folder that may be made and removed
	Instance string
	Now      func() time.Time
}

// said is how mariabackup tells the position of what it copied.
var said = regexp.MustCompile(`GTID of the last change '([^']*)'`)

// Full takes a full backup into m and c. tell is called now and then with the bytes taken.
func (t Taker) Full(ctx context.Context, c backup.Catalog, key backup.Key, m *backup.Manifest, tell func(bytes int64)) error {
	if err := errors.Join(os.RemoveAll(t.Scratch), os.MkdirAll(t.Scratch, 0o700)); err != nil {
		return fmt.Errorf("making room for the backup's notes: %w", err)
	}
	defer os.RemoveAll(t.Scratch)
	if err := c.Claim(ctx, t.Now()); err != nil {
		return err
	}
	if err := t.DB.QueryRowContext(ctx, "SELECT VERSION()").Scan(&m.Version); err != nil {
		return fmt.Errorf("asking the server's version: %w", err)
	}
	m.Flavor, m.Instance = "mariadb", t.Instance
	return c.StoreFull(ctx, m, key, func(w io.Writer) error {
		notes := filepath.Join(t.Scratch, "said")
		err := intoPipe(ctx, t.Run, filepath.Join(t.Scratch, "stream"), io.MultiWriter(w, &ticker{tell: tell}), notes,
			"mariabackup", "--defaults-file="+t.Config, "--backup", "--stream=mbstream", "--slave-info", "--user=root", "--socket="+t.Socket,
			"--target-dir="+filepath.Join(t.Scratch, "target"))
		if err != nil {
			return err
		}
		m.Ended = t.Now().UTC()
		b, err := os.ReadFile(notes)
		if err != nil {
			return err
		}
		if all := said.FindAllSubmatch(b, -1); len(all) > 0 {
			m.Position = string(all[len(all)-1][1])
		}
		return nil
	})
}

// ticker counts what goes by.
type ticker struct {
	n, told int64
	tell    func(int64)
}

func (t *ticker) Write(p []byte) (int, error) {
	t.n += int64(len(p))
	if t.tell != nil && t.n-t.told >= 4<<20 {
		t.told = t.n
		t.tell(t.n)
	}
	return len(p), nil
}

// Logs stores the server's binary logs that are closed and not stored yet, and first closes the present one if it holds
// anything. Everything that was committed here before until is stored when it returns. tidy removes from the server nothing:
// how long it keeps its logs is its own setting.
func (t Taker) Logs(ctx context.Context, c backup.Catalog, key backup.Key) (until time.Time, err error) {
	if err := c.Claim(ctx, t.Now()); err != nil {
		return until, err
	}
	until = t.Now().UTC()
	files, err := t.logFiles(ctx)
	if err != nil || len(files) == 0 {
		return until, err
	}
	present := files[len(files)-1]
	if span, err := scanOpen(present); err == nil && span.Events > 0 {
		if _, err := t.DB.ExecContext(ctx, "FLUSH LOCAL BINARY LOGS"); err != nil {
			return time.Time{}, fmt.Errorf("closing the binary log: %w", err)
		}
	} else {
		files = files[:len(files)-1]
	}
	stored, err := t.stored(ctx, c)
	if err != nil {
		return time.Time{}, err
	}
	for _, file := range files {
		if stored[filepath.Base(file)] {
			continue
		}
		if err := t.storeLog(ctx, c, key, file); err != nil {
			return time.Time{}, err
		}
	}
	return until, nil
}

// stored are the logs of this server's present data that the catalog has. A server that was cloned anew begins to count its logs
// anew, so that a name alone says little: the server is named with what its data was made as.
func (t Taker) stored(ctx context.Context, c backup.Catalog) (map[string]bool, error) {
	id, err := t.serverName(ctx)
	if err != nil {
		return nil, err
	}
	logs, err := c.Logs(ctx, time.Time{})
	if err != nil {
		return nil, err
	}
	stored := map[string]bool{}
	for _, l := range logs {
		if l.Server == id {
			stored[l.File] = true
		}
	}
	return stored, nil
}

// serverName is the instance with the number that its data was given.
func (t Taker) serverName(ctx context.Context) (string, error) {
	var id string
	if err := t.DB.QueryRowContext(ctx, "SELECT @@server_id").Scan(&id); err != nil {
		return "", fmt.Errorf("asking the server's id: %w", err)
	}
	return t.Instance + "." + id, nil
}

func (t Taker) storeLog(ctx context.Context, c backup.Catalog, key backup.Key, file string) error {
	f, err := os.Open(file)
	if err != nil {
		return fmt.Errorf("reading a binary log: %w", err)
	}
	defer f.Close()
	span, err := Scan(f, time.Time{})
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	id, err := t.serverName(ctx)
	if err != nil {
		return err
	}
	if span.Events == 0 {
		return nil
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return err
	}
	l := backup.Log{First: span.First, Last: span.Last, Server: id, File: filepath.Base(file)}
	if !span.Broken {
		l.Begin, l.End, l.Position = span.Begin, span.End, span.Position
	}
	return c.StoreLog(ctx, l, key, func(w io.Writer) error { _, err := io.Copy(w, f); return err })
}

// logFiles are the paths of the server's binary logs, oldest first; the last one is open.
func (t Taker) logFiles(ctx context.Context) ([]string, error) {
	var base sql.NullString
	if err := t.DB.QueryRowContext(ctx, "SELECT @@log_bin_basename").Scan(&base); err != nil {
		return nil, fmt.Errorf("asking where the binary logs are: %w", err)
	}
	if !base.Valid || base.String == "" {
		return nil, errors.New("the server writes no binary log: point-in-time restores are not to be had from it")
	}
	rows, err := t.DB.QueryContext(ctx, "SHOW BINARY LOGS")
	if err != nil {
		return nil, fmt.Errorf("listing the binary logs: %w", err)
	}
	defer rows.Close()
	var files []string
	for rows.Next() {
		var name string
		var size int64
		if err := rows.Scan(&name, &size); err != nil {
			return nil, fmt.Errorf("listing the binary logs: %w", err)
		}
		files = append(files, filepath.Join(filepath.Dir(base.String), name))
	}
	slices.Sort(files)
	return files, rows.Err()
}

// scanOpen is Scan of a log that the server still writes: its end may be half an event.
func scanOpen(file string) (Span, error) {
	f, err := os.Open(file)
	if err != nil {
		return Span{}, err
	}
	defer f.Close()
	s, err := Scan(f, time.Time{})
	if s.Events > 0 {
		return s, nil
	}
	return s, err
}

// quiet runs its arguments with standard output to the file $1 and what they say to $2, and prints the last of that if they fail.
const quiet = `out=$1; said=$2; shift 2; "$@" >"$out" 2>"$said" && exit 0; status=$?; tail -n 4 "$said"; exit $status`

// intoPipe runs a program whose output goes to w.
func intoPipe(ctx context.Context, run behavior.Commander, path string, w io.Writer, notes string, program ...string) error {
	pipe, err := fifo.New(path)
	if err != nil {
		return err
	}
	defer pipe.Close()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	done := make(chan error, 1)
	go func() {
		done <- run.Run(ctx, "sh", append([]string{"-c", quiet, "sh", path, notes}, program...)...)
		pipe.W.Close()
	}()
	_, err = io.CopyBuffer(struct{ io.Writer }{w}, struct{ io.Reader }{pipe.R}, make([]byte, 64<<10))
	if err != nil {
		cancel(err)
	}
	if ran := <-done; ran != nil && err == nil {
		return fmt.Errorf("%s: %w", strings.Join(program[:1], " "), ran)
	}
	return err
}
