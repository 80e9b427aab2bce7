package dbbackup

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/farmhand/terraform-provider-farmhand/internal/backup"
	"github.com/farmhand/terraform-provider-farmhand/internal/behavior"
	"github.com/farmhand/terraform-provider-farmhand/internal/dbserver"
	"github.com/farmhand/terraform-provider-farmhand/internal/fifo"
)

// Restorer makes a data directory of a backup and the binary logs behind it.
type Restorer struct {
	Run     behavior.Commander
	Config  string                 // defaults file of the server that the data is for
	Dir     string                 // that is made; there must be nothing
	Scratch string                 // a folder that may be made and removed, on a disk with room for one binary log
	Own     func(dir string) error // gives the data to the server's user; nil: it is ours
	// Fill fills Dir with the stream of mariabackup that the restore begins from, where that is not in the catalog.
	Fill func(ctx context.Context) error
	// Beyond is the greatest number of a transaction that the data to be replaced has; see backup.Era.
	Beyond uint64
	// Doing is told what it does now.
	Doing func(what string)
}

// Point is how far to restore: to a moment, to a transaction, or, the zero value, as far as the stored binary logs go.
type Point struct {
	Time     time.Time // transactions from before it, to the second
	Position string    // GTID position, its transaction included
}

// Restored is what came of it.
type Restored struct {
	Position string    // GTID position reached
	Until    time.Time // of the last binary log that was replayed; the backup's own moment for none
	Logs     int       // replayed
	// Databases and Users are those in it that are not the server's own, sorted; of the users those who may log in from elsewhere.
	Databases, Users []string
}

// Restore makes Dir, or takes the data that is in it on (Manifest.InPlace). On an error nothing of it stays.
func (r Restorer) Restore(ctx context.Context, c backup.Catalog, m backup.Manifest, key backup.Key, to Point) (done Restored, err error) {
	if _, err := os.Lstat(r.Dir); err == nil && !m.InPlace {
		return done, fmt.Errorf("restoring into %s: there is something already", r.Dir)
	}
	if !m.InPlace && r.Fill == nil { // else the data itself tells what it holds
		if _, _, err := within(ctx, c, m, to); err != nil {
			return done, err
		}
	}
	defer func() {
		_ = os.RemoveAll(r.Scratch)
		if err != nil {
			_ = os.RemoveAll(r.Dir)
		}
	}()
	if err := errors.Join(os.RemoveAll(r.Scratch), os.MkdirAll(r.Scratch, 0o700), os.MkdirAll(r.Dir, 0o750)); err != nil {
		return done, fmt.Errorf("making room for the restore: %w", err)
	}
	if !m.InPlace {
		if done.Position, err = r.begin(ctx, c, m, key); err != nil {
			return done, err
		}
	}
	if r.Own != nil {
		if err := r.Own(r.Dir); err != nil {
			return done, err
		}
	}
	done.Until = m.Ended
	r.doing("starting the restored data")
	server, err := r.Start(ctx)
	if err != nil {
		return done, err
	}
	defer func() {
		if stop := server.Stop(context.WithoutCancel(ctx)); err == nil {
			err = stop
		}
	}()
	if m.InPlace {
		if done.Position, err = server.position(ctx); err != nil {
			return done, err
		}
	}
	if done.Position, err = server.farther(ctx, done.Position); err != nil {
		return done, err
	}
	if err := server.seed(ctx, done.Position); err != nil {
		return done, err
	}
	if err := r.replay(ctx, c, m, key, to, server, &done); err != nil {
		return done, err
	}
	if err := server.look(ctx, &done); err != nil {
		return done, err
	}
	return done, r.settle(ctx, c, server, done.Position)
}

// settle begins the restored data's own history behind every number that is known to be used: were one used twice, a later restore
// could not tell whose transaction it is.
func (r Restorer) settle(ctx context.Context, c backup.Catalog, server *Temporary, position string) error {
	highest, err := c.Highest(ctx)
	if err != nil {
		return err
	}
	at, err := backup.Sequence(position)
	if err != nil {
		return err
	}
	return server.settle(ctx, position, (max(highest, at, r.Beyond)/backup.Era+1)*backup.Era)
}

// begin fetches and prepares what the restore begins from, and tells its position.
func (r Restorer) begin(ctx context.Context, c backup.Catalog, m backup.Manifest, key backup.Key) (string, error) {
	r.doing("fetching backup " + m.ID)
	fetch := r.Fill
	if fetch == nil {
		fetch = func(ctx context.Context) error { return r.fetch(ctx, c, m, key) }
	}
	if err := fetch(ctx); err != nil {
		return "", fmt.Errorf("fetching backup %s: %w", m.ID, err)
	}
	r.doing("preparing backup " + m.ID)
	if err := r.Run.Run(ctx, "sh", "-c", quiet, "sh", os.DevNull, filepath.Join(r.Scratch, "said"), "mariabackup", "--prepare", "--use-memory=64M", "--target-dir="+r.Dir); err != nil {
		return "", fmt.Errorf("preparing backup %s: %w", m.ID, err)
	}
	return Position(r.Dir)
}

// Remove removes the restored data.
func (r Restorer) Remove() { _ = os.RemoveAll(r.Dir) }

func (r Restorer) doing(what string) {
	if r.Doing != nil {
		r.Doing(what)
	}
}

// fetch unpacks the backup's stream. Its hash is checked at its end: a stream that was cut short is none.
func (r Restorer) fetch(ctx context.Context, c backup.Catalog, m backup.Manifest, key backup.Key) error {
	from, err := c.OpenFull(ctx, m, key)
	if err != nil {
		return err
	}
	defer from.Close()
	return outOfPipe(ctx, r.Run, filepath.Join(r.Scratch, "stream"), from, `cd "$1" && exec mbstream -x <"$0"`, r.Dir)
}

// outOfPipe feeds a shell script, whose $0 is the pipe, from a stream.
func outOfPipe(ctx context.Context, run behavior.Commander, path string, from io.Reader, script string, args ...string) error {
	pipe, err := fifo.New(path)
	if err != nil {
		return err
	}
	defer pipe.Close()
	done := make(chan error, 1)
	go func() {
		done <- run.Run(ctx, "sh", append([]string{"-c", script, path}, args...)...)
		pipe.R.Close() // who still writes is to know
	}()
	_, err = io.CopyBuffer(struct{ io.Writer }{pipe.W}, struct{ io.Reader }{from}, make([]byte, 64<<10))
	pipe.W.Close()
	ran := <-done
	if err != nil && (errors.Is(err, backup.ErrUnavailable) || errors.Is(err, backup.ErrDamaged) || errors.Is(err, backup.ErrKey) || ran == nil) {
		return err // of the stream; what the program made of half of it says less
	}
	return ran
}

var slavePosition = regexp.MustCompile(`gtid_slave_pos\s*=\s*'([^']*)'`)

// Position reads the GTID position that a backup is of, from what mariabackup noted in it: of a primary what it had written, of a replica
// what it had applied. A replica counts that up after the commit, and mariabackup, which holds up commits and nothing else, may note it
// before that: the data may have a transaction more than is said here. The data itself tells: see dbserver.Server's Seed.
func Position(dir string) (string, error) {
	position := ""
	for _, name := range []string{"xtrabackup_binlog_info", "mariadb_backup_binlog_info"} {
		if b, err := os.ReadFile(filepath.Join(dir, name)); err == nil {
			if f := strings.Fields(string(b)); len(f) >= 3 {
				position = f[2]
			}
		}
	}
	for _, name := range []string{"xtrabackup_slave_info", "mariadb_backup_slave_info"} {
		if b, err := os.ReadFile(filepath.Join(dir, name)); err == nil {
			if m := slavePosition.FindSubmatch(b); m != nil && len(m[1]) > 0 {
				if applied := string(m[1]); position == "" || !dbserver.Holds(position, applied) {
					position = applied
				}
			}
		}
	}
	if position == "" {
		return "", errors.New("the backup does not tell its position: its source writes no binary log")
	}
	return position, nil
}
