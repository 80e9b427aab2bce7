package mysql

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"text/template"
	"time"

	"github.com/farmhand/terraform-provider-farmhand/internal/dbserver"
)

// mySQL is Oracle's MySQL, from 8.4 on, which copies its data by itself.
type mySQL struct{}

var _ flavor = mySQL{}

//go:embed mysqld.cnf.tmpl
var mySQLConfiguration string

var mySQLTemplate = template.Must(template.New("mysqld.cnf").Parse(mySQLConfiguration))

func (mySQL) name() string                      { return dbserver.FlavorMySQL }
func (mySQL) packages() []string                { return nil } // Debian's releases have none
func (mySQL) configuration() *template.Template { return mySQLTemplate }

// bufferPoolMB is all but 220 MB, which an idle server of 9.7 takes beside it, and at most three quarters.
func (mySQL) bufferPoolMB(memoryMB int) int {
	return max(16, min(memoryMB-220, memoryMB*3/4))
}

func (mySQL) backsUp() error {
	return errors.New("backups are MariaDB's so far, and this image's server is MySQL: they are neither taken nor restored here")
}

func (mySQL) check(ctx context.Context, r *runner, path string) error {
	return r.Run.Run(ctx, "mysqld", "--defaults-file="+path, "--validate-config")
}

// rootBySocket lets the system's root in as the server's by its socket, and nobody else. The plugin stays installed.
const rootBySocket = `INSTALL PLUGIN auth_socket SONAME 'auth_socket.so';
ALTER USER root@localhost IDENTIFIED WITH auth_socket;
`

// install writes no transaction: replicas would lack it.
func (mySQL) install(ctx context.Context, r *runner, dir string) error {
	first := filepath.Join(r.RunDir, "first.sql")
	if err := os.WriteFile(first, []byte(rootBySocket), 0o644); err != nil {
		return fmt.Errorf("writing what the server is to do first: %w", err)
	}
	defer os.Remove(first)
	return r.Run.Run(ctx, "sh", "-c", quietly, "mysqld", "--defaults-file="+r.config.Path, "--initialize-insecure", "--datadir="+dir, "--init-file="+first,
		"--super-read-only=OFF", "--disable-log-bin", "--gtid-mode=OFF", "--enforce-gtid-consistency=OFF")
}

// program: MySQL keeps what its log holds also when another server took over; what nobody acknowledged is then found to be too much, and
// the data is cloned anew.
func (mySQL) program(config string, serverID uint32, _ bool) []string {
	return []string{"mysqld", "--defaults-file=" + config, "--server-id=" + strconv.FormatUint(uint64(serverID), 10)}
}

// givenDir is the copy of the data on the volume while it is given away: worth nothing.
const givenDir = "given"

func (mySQL) mayGive(r *runner) error {
	need := r.volume.tables() + spare
	if free := r.volume.free(); free < need {
		return fmt.Errorf("its volume has %d MB free, and MySQL needs %d MB for a copy before it can be sent: give it a larger volume, or free some", free>>20, need>>20)
	}
	return nil
}

// give copies the data on the volume, by the server itself, and sends the copy as tar.
func (mySQL) give(ctx context.Context, r *runner, w io.Writer) (err error) {
	scratch := r.volume.path(givenDir)
	if err := errors.Join(os.RemoveAll(scratch), os.Mkdir(scratch, 0o700), os.Chown(scratch, r.volume.owner.uid, r.volume.owner.gid)); err != nil {
		return fmt.Errorf("making room for a copy of the data: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(scratch)) }()
	to := newTarWriter(w)
	copied := filepath.Join(scratch, dataDir)
	if err := cloneLocal(ctx, r, copied, to.alive); err != nil {
		return err
	}
	return to.folder(ctx, copied)
}

// cloneLocal makes the server copy its data into dir, and calls alive now and then. When it returns, nothing writes there any more.
func cloneLocal(ctx context.Context, r *runner, dir string, alive func() error) error {
	db, err := r.administrator()
	if err != nil {
		return err
	}
	defer db.Close()
	conn, err := db.Conn(ctx)
	if err != nil {
		return fmt.Errorf("asking the server for a copy of its data: %w", err)
	}
	defer conn.Close()
	var id string
	if err := conn.QueryRowContext(ctx, "SELECT CONNECTION_ID()").Scan(&id); err != nil {
		return fmt.Errorf("asking the server for a copy of its data: %w", err)
	}
	done := make(chan error, 1)
	go func() {
		// Not ctx's: the server would go on when the connection is closed.
		_, err := conn.ExecContext(context.WithoutCancel(ctx), "CLONE LOCAL DATA DIRECTORY = ?", dir)
		done <- err
	}()
	tick := time.NewTicker(stallTime / 6)
	defer tick.Stop()
	cut := func(why error) error {
		stop, cancel := bounded(context.WithoutCancel(ctx))
		defer cancel()
		_, err := db.ExecContext(stop, "KILL QUERY "+id)
		<-done //nolint:errcheck // it says that it was cut short
		return errors.Join(why, err)
	}
	for {
		select {
		case err := <-done:
			if err != nil {
				return fmt.Errorf("the server's copy of its data: %w", err)
			}
			return nil
		case <-ctx.Done():
			return cut(context.Cause(ctx))
		case <-tick.C:
			if err := alive(); err != nil {
				return cut(fmt.Errorf("sending it: %w", err))
			}
		}
	}
}

func (mySQL) take(_ context.Context, _ *runner, dir string, from io.Reader) error {
	return unpackTar(dir, from)
}

// finish leaves all to the server: it completes the copy as it starts on it, and knows its position.
func (mySQL) finish(context.Context, *runner, string) (position string, err error) { return "", nil }
