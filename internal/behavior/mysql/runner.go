package mysql

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
	"syscall"

	"github.com/farmhand/terraform-provider-farmhand/internal/behavior"
	"github.com/farmhand/terraform-provider-farmhand/internal/behavior/configfile"
	"github.com/farmhand/terraform-provider-farmhand/internal/behavior/packages"
)

// checker makes MariaDB say whether it would take the file $1. It has no checker of its own; to print all its options
// with their values it reads the file. It refuses an option that it does not know, and of a value that it cannot read
// it only complains, with status 0.
const checker = `said=$(mariadbd --defaults-file="$1" --verbose --help 2>&1 >/dev/null); status=$?
case $said in *"[ERROR]"*) status=1;; esac
[ $status -eq 0 ] || printf '%s\n' "$said"
exit $status`

// quietly runs its name with its arguments and passes on what that printed if it failed: of forty lines in the boot
// log, forty would be how to get in touch with MariaDB.
const quietly = `said=$("$0" "$@" 2>&1) && exit 0; status=$?; printf '%s\n' "$said"; exit $status`

// New implements behavior.Behavior.
func (Behavior) New(in behavior.Instance) behavior.Runner { return newRunner(in) }

type runner struct {
	behavior.Instance
	paths
	config  configfile.File
	service behavior.Service
	db      atomic.Pointer[sql.DB]
	former  account // that the server has now

	// Tests without MariaDB replace these.
	lookup func() (owner, error)
	ensure func(context.Context, *sql.DB, account) error
	ping   func(context.Context, *sql.DB) error
}

func newRunner(in behavior.Instance) *runner {
	data := Behavior{}.Traits().VolumePath
	if v := in.Assignment.Role.Volume; v != nil && v.Path != "" {
		data = v.Path
	}
	run := filepath.Join(in.Root, "run/mysqld")
	r := &runner{
		Instance: in,
		paths:    paths{DataDir: filepath.Join(in.Root, data), RunDir: run, Socket: filepath.Join(run, "mysqld.sock")},
		lookup:   mysqlUser,
		ensure:   ensure,
		ping:     ping,
	}
	r.config = configfile.File{
		Path: filepath.Join(in.Root, "etc/farmhand/my.cnf"),
		Mode: 0o644, // read by the server's user, and holds no secret
		Test: func(ctx context.Context, path string) error {
			return in.Run.Run(ctx, "sh", "-c", checker, "sh", path)
		},
	}
	return r
}

// Setup implements behavior.Runner.
func (r *runner) Setup(ctx context.Context, in behavior.Input, step func(string)) error {
	step("packages")
	if err := packages.Ensure(ctx, r.Run, r.Root, Behavior{}.Traits().Packages...); err != nil {
		return err
	}
	step("configure")
	who, err := r.lookup()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(r.RunDir, 0o755); err != nil {
		return fmt.Errorf("making a place for the server's socket: %w", err)
	}
	if err := os.Chown(r.RunDir, who.uid, who.gid); err != nil {
		return fmt.Errorf("making a place for the server's socket: %w", err)
	}
	config, err := render(r.Instance, r.paths)
	if err != nil {
		return err
	}
	if err := r.config.Write(ctx, config); err != nil {
		return err
	}
	step("data")
	err = prepare(r.DataDir, who, func() error {
		return r.Run.Run(ctx, "sh", "-c", quietly, "mariadb-install-db", "--defaults-file="+r.config.Path, "--user=mysql",
			"--auth-root-authentication-method=socket", "--skip-test-db", "--skip-name-resolve")
	})
	if err != nil {
		return err
	}
	step("start")
	if err := r.service.Start(ctx, r.Run, "mariadbd", "--defaults-file="+r.config.Path); err != nil {
		return err
	}
	db, err := open(r.Socket)
	if err != nil {
		return err
	}
	r.db.Store(db)
	// Recovery after a crash takes as long as it takes; the role's launch timeout bounds it.
	if err := r.service.Await(ctx, func(ctx context.Context) error { return r.ping(ctx, db) }); err != nil {
		return err
	}
	step("accounts")
	return r.takeAccount(ctx, in)
}

// Apply implements behavior.Runner: the application's password may have changed. Settings are part of what an
// instance is made from and change with the instance.
func (r *runner) Apply(ctx context.Context, in behavior.Input) error { return r.takeAccount(ctx, in) }

func (r *runner) takeAccount(ctx context.Context, in behavior.Input) error {
	t, role := Behavior{}.Traits(), r.Assignment.Role
	a := account{database: t.Value(role, "database"), user: t.Value(role, "user"), password: in.Secret[passwordKey]}
	if a.password == "" {
		return errors.New("the role's secret holds no password for the application's user")
	}
	if a == r.former {
		return nil
	}
	if err := r.ensure(ctx, r.db.Load(), a); err != nil {
		return err
	}
	r.former = a
	return nil
}

// Check implements behavior.Runner.
func (r *runner) Check(ctx context.Context) error {
	if err := r.service.Alive(); err != nil {
		return err
	}
	db := r.db.Load()
	if db == nil {
		return errors.New("not started")
	}
	return r.ping(ctx, db)
}

// Stop implements behavior.Runner: a clean stop, after which nothing is to be recovered.
func (r *runner) Stop(ctx context.Context) error {
	if db := r.db.Load(); db != nil {
		db.Close()
	}
	return r.service.Stop(ctx, int(syscall.SIGTERM))
}
