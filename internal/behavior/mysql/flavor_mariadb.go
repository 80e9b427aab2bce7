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

	"github.com/farmhand/terraform-provider-farmhand/internal/dbbackup"
	"github.com/farmhand/terraform-provider-farmhand/internal/dbserver"
	"github.com/farmhand/terraform-provider-farmhand/internal/fifo"
)

// mariaDB is Debian's MariaDB, whose data mariabackup copies.
type mariaDB struct{}

var _ flavor = mariaDB{}

//go:embed my.cnf.tmpl
var mariaDBConfiguration string

var mariaDBTemplate = template.Must(template.New("my.cnf").Parse(mariaDBConfiguration))

func (mariaDB) name() string                      { return dbserver.FlavorMariaDB }
func (mariaDB) packages() []string                { return Behavior{}.Traits().Packages }
func (mariaDB) configuration() *template.Template { return mariaDBTemplate }
func (mariaDB) backsUp() error                    { return nil }
func (mariaDB) mayGive(*runner) error             { return nil }

// bufferPoolMB is all but 80 MB (an idle server takes 50, its clients' buffers the rest), and at most three quarters, for many clients
// come with much memory. 16 is the least that was seen to work well; below 8 the server does not start.
func (mariaDB) bufferPoolMB(memoryMB int) int {
	return max(16, min(memoryMB-80, memoryMB*3/4))
}

// checker makes MariaDB say whether it would take the file $1. It has no checker of its own; to print all its options
// with their values it reads the file. It refuses an option that it does not know, and of a value that it cannot read
// it only complains, with status 0.
const checker = `said=$(mariadbd --defaults-file="$1" --verbose --help 2>&1 >/dev/null); status=$?
case $said in *"[ERROR]"*) status=1;; esac
[ $status -eq 0 ] || printf '%s\n' "$said"
exit $status`

func (mariaDB) check(ctx context.Context, r *runner, path string) error {
	return r.Run.Run(ctx, "sh", "-c", checker, "sh", path)
}

func (mariaDB) install(ctx context.Context, r *runner, dir string) error {
	return r.Run.Run(ctx, "sh", "-c", quietly, "mariadb-install-db", "--defaults-file="+r.config.Path, "--datadir="+dir, "--user=mysql",
		"--auth-root-authentication-method=socket", "--skip-test-db", "--skip-name-resolve", "--skip-log-bin")
}

// program: a server that another one took over from drops what its log holds and its tables do not: it was never acknowledged, or the
// new primary has it. The last primary keeps it: nobody else may have it.
func (mariaDB) program(config string, serverID uint32, takenOver bool) []string {
	role := "MASTER"
	if takenOver {
		role = "SLAVE"
	}
	return []string{"mariadbd", "--defaults-file=" + config, "--server-id=" + strconv.FormatUint(uint64(serverID), 10), "--init-rpl-role=" + role}
}

// streamed runs its arguments with standard output to the file $1, and prints the last lines of what they say, which
// are hundreds, if they fail.
const streamed = `out=$1; said=$2; shift 2; "$@" >"$out" 2>"$said" && exit 0; status=$?; tail -n 4 "$said"; exit $status`

// give writes mariabackup's stream.
func (mariaDB) give(ctx context.Context, r *runner, w io.Writer) error {
	scratch := filepath.Join(r.RunDir, "backup")
	if err := errors.Join(os.RemoveAll(scratch), os.MkdirAll(scratch, 0o700)); err != nil {
		return fmt.Errorf("making room for the backup's notes: %w", err)
	}
	defer os.RemoveAll(scratch)
	pipe, err := fifo.New(filepath.Join(scratch, "stream"))
	if err != nil {
		return err
	}
	defer pipe.Close()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	done := make(chan error, 1)
	go func() {
		done <- r.Run.Run(ctx, "sh", "-c", streamed, "sh", pipe.Path, filepath.Join(scratch, "said"), "mariabackup", "--defaults-file="+r.config.Path,
			"--backup", "--stream=mbstream", "--slave-info", "--parallel=2", "--user=root", "--socket="+r.Socket,
			"--target-dir="+filepath.Join(scratch, "target"))
		pipe.W.Close()
	}()
	_, err = io.CopyBuffer(struct{ io.Writer }{w}, struct{ io.Reader }{pipe.R}, make([]byte, chunk))
	if err != nil {
		cancel(fmt.Errorf("sending it: %w", err))
	}
	if ran := <-done; ran != nil {
		return ran
	}
	return err
}

// take feeds mbstream.
func (mariaDB) take(ctx context.Context, r *runner, dir string, from io.Reader) error {
	pipe, err := fifo.New(filepath.Join(r.RunDir, "clone"))
	if err != nil {
		return err
	}
	defer pipe.Close()
	done := make(chan error, 1)
	go func() {
		done <- r.Run.Run(ctx, "sh", "-c", `cd "$1" && exec mbstream -x <"$2"`, "sh", dir, pipe.Path)
		pipe.R.Close() // who still writes is to know
	}()
	_, err = io.CopyBuffer(struct{ io.Writer }{pipe.W}, struct{ io.Reader }{from}, make([]byte, chunk))
	pipe.W.Close()
	// A program that ended early says why; that the pipe broke is what came of it.
	if ran := <-done; ran != nil {
		return ran
	}
	return err
}

func (mariaDB) finish(ctx context.Context, r *runner, dir string) (position string, err error) {
	if err := r.Run.Run(ctx, "sh", "-c", quietly, "mariabackup", "--prepare", "--use-memory=64M", "--target-dir="+dir); err != nil {
		return "", err
	}
	return dbbackup.Position(dir)
}
