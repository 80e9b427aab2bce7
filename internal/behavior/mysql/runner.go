package mysql

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/farmhand/terraform-provider-farmhand/internal/behavior"
	"github.com/farmhand/terraform-provider-farmhand/internal/behavior/configfile"
	"github.com/farmhand/terraform-provider-farmhand/internal/behavior/packages"
	"github.com/farmhand/terraform-provider-farmhand/internal/dbserver"
	"github.com/farmhand/terraform-provider-farmhand/internal/state"
)

// quietly runs its name with its arguments and passes on what that printed if it failed: of forty lines in the boot
// log, forty would be how to get in touch with the makers.
const quietly = `said=$("$0" "$@" 2>&1) && exit 0; status=$?; printf '%s\n' "$said"; exit $status`

var errStopped = errors.New("the instance stops")

// New implements behavior.Behavior.
func (Behavior) New(in behavior.Instance) behavior.Runner { return newRunner(in) }

var _ behavior.DatabaseReporter = (*runner)(nil)

// runner keeps one server. Five goroutines work beside who calls it, from Setup to Stop: one carries out orders (serve),
// one watches the lease (watchLease), one looks at the server (poll), one gives clones away (giveClones) and one
// renews its certificate (keepCertificates).
type runner struct {
	behavior.Instance
	paths
	name    string
	volume  volume
	flavor  flavor
	config  configfile.File
	service behavior.Service
	server  atomic.Pointer[dbserver.Server]
	// writable is true from before the server is made writable until after it is read-only.
	writable atomic.Bool

	certificates certificates

	busy    sync.Mutex    // one backup, clone or drill at a time
	wake    chan struct{} // there may be something to carry out
	look    chan struct{} // there may be something to report
	changed chan struct{} // there is
	stop    context.CancelCauseFunc
	workers sync.WaitGroup
	mended  time.Time // of the goroutine of serve

	mu          sync.Mutex
	office      office
	orderedAt   time.Time
	cancelOrder context.CancelCauseFunc
	input       behavior.Input
	carried     carried
	former      dbserver.Accounts // that the server has now
	variables   map[string]string // that the server was told
	view        view
	// restoreFailed is the restore that failed last.
	restoreFailed restoreFailure
	restoreNote   restoreNote // of the last one that went well
	began         bool        // a server was started
	replacing     bool        // the server is stopped for a clone to take the data's place

	// Tests without a server replace these.
	lookup func() (owner, error)
	open   func(ctx context.Context, socket string) (dbserver.Server, error)
	memory func() int // MB of the machine that the server may have where nothing is declared
}

func newRunner(in behavior.Instance) *runner {
	data := Behavior{}.Traits().VolumePath
	if v := in.Assignment.Role.Volume; v != nil && v.Path != "" {
		data = v.Path
	}
	run := filepath.Join(in.Root, "run/mysqld")
	top := filepath.Join(in.Root, data)
	r := &runner{
		Instance: in,
		name:     state.InstanceName(in.Assignment.Role.Name, in.Assignment.Index),
		paths: paths{DataDir: filepath.Join(top, dataDir), RunDir: run, Socket: filepath.Join(run, "mysqld.sock"),
			Authority: filepath.Join(run, "tls/authority.pem"), Certificate: filepath.Join(run, "tls/server.pem")},
		volume:       volume{dir: top},
		certificates: certificates{wake: make(chan struct{}, 1)},
		flavor:       detect(),
		wake:         make(chan struct{}, 1), look: make(chan struct{}, 1), changed: make(chan struct{}, 1),
		lookup: mysqlUser,
		open:   dbserver.Open,
		memory: machineMemoryMB,
	}
	r.config = configfile.File{
		Path: filepath.Join(in.Root, "etc/farmhand/my.cnf"),
		Mode: 0o644, // read by the server's user, and holds no secret
		Test: func(ctx context.Context, path string) error { return r.flavor.check(ctx, r, path) },
	}
	return r
}

// Setup implements behavior.Runner. It returns when the server serves: as the primary, or with its data cloned and
// following. Until there is an order it waits.
func (r *runner) Setup(ctx context.Context, in behavior.Input, step func(string)) error {
	step("data")
	who, err := r.lookupAfterPackages(ctx, step)
	if err != nil {
		return err
	}
	r.volume.owner = who
	step("configure")
	if err := os.MkdirAll(r.RunDir, 0o755); err != nil {
		return fmt.Errorf("making a place for the server's socket: %w", err)
	}
	if err := os.Chown(r.RunDir, who.uid, who.gid); err != nil {
		return fmt.Errorf("making a place for the server's socket: %w", err)
	}
	if err := r.takeOver(in); err != nil {
		return err
	}
	if err := r.certify(ctx, time.Now()); err != nil {
		return err
	}
	config, err := render(r.flavor, r.Instance, r.paths, r.memory())
	if err != nil {
		return err
	}
	if err := r.config.Write(ctx, config); err != nil {
		return err
	}
	step("data")
	if err := r.volume.settle(); err != nil {
		return err
	}
	if err := checkFlavor(r.DataDir, r.flavor); err != nil {
		return err
	}
	if r.Assignment.Temporary() {
		return r.setUpTemporary(ctx, step)
	}
	if err := r.takeCopyOver(); err != nil {
		return err
	}
	if !r.isEmpty() {
		step("start")
		if err := r.start(ctx, in.Database); err != nil {
			return err
		}
	}
	live, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	r.mu.Lock()
	r.stop = cancel
	r.mu.Unlock()
	for _, work := range []func(context.Context){r.serve, r.watchLease, r.poll, r.giveClones, r.keepCertificates} {
		r.workers.Go(func() { r.persist(live, work) })
	}
	poke(r.wake)
	return r.awaitOrder(ctx, step)
}

// persist does work until ctx ends. One that fails in itself says where and is begun again: it must not take the agent with it, which
// is the machine's first process, and the server with that.
func (r *runner) persist(ctx context.Context, work func(context.Context)) {
	for ctx.Err() == nil {
		func() {
			defer func() {
				if p := recover(); p != nil {
					r.say("a worker of the database failed in itself and is begun again: %v\n%s", p, debug.Stack())
				}
			}()
			work(ctx)
		}()
		select {
		case <-ctx.Done():
		case <-time.After(time.Second):
		}
	}
}

// lookupAfterPackages installs what the image lacks and finds the server's user. Data that the package makes by itself
// is told from data that was there by settle.
func (r *runner) lookupAfterPackages(ctx context.Context, step func(string)) (owner, error) {
	step("packages")
	if err := packages.Ensure(ctx, r.Run, r.Root, r.flavor.packages()...); err != nil {
		return owner{}, err
	}
	return r.lookup()
}

// awaitOrder returns when the first order is carried out.
func (r *runner) awaitOrder(ctx context.Context, step func(string)) error {
	said := ""
	for {
		err := r.serving()
		if err == nil {
			return nil
		}
		if dead := r.dead(); dead != nil {
			return dead
		}
		v := r.DatabaseReport(ctx)
		s := "waiting for the farm's order"
		switch {
		case v.Doing != "":
			s = v.Doing
		case v.Error != "":
			s = v.Error
		}
		if s != said {
			step(s)
			said = s
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w: %w", context.Cause(ctx), err)
		case <-time.After(25 * time.Millisecond):
		}
	}
}

// Apply implements behavior.Runner: passwords, what the server takes over of the settings, and orders, if Ordered did
// not bring them before. Other settings are part of what an instance is made from and change with the instance.
func (r *runner) Apply(_ context.Context, in behavior.Input) error { return r.takeOver(in) }

func (r *runner) takeOver(in behavior.Input) error {
	if in.Secret[passwordKey] == "" {
		return errors.New("the role's secret holds no password for the application's user")
	}
	r.mu.Lock()
	r.input = in
	known := r.office.database != nil
	r.mu.Unlock()
	if !known && in.Database != nil {
		r.Ordered(in.Database, time.Time{}.Add(1))
	}
	poke(r.wake)
	poke(r.certificates.wake)
	return nil
}

// accounts are those that the server should have.
func (r *runner) accounts() dbserver.Accounts {
	r.mu.Lock()
	defer r.mu.Unlock()
	t, role, secret := Behavior{}.Traits(), r.Assignment.Role, r.input.Secret
	a := dbserver.Accounts{Database: t.Value(role, "database"), User: t.Value(role, "user"), Password: secret[passwordKey]}
	if secret[replicaKey] != "" {
		a.ReplicaUser, a.ReplicaPassword = replicaUser, secret[replicaKey]
		if d := r.office.database; d == nil || len(d.Plain) == 0 {
			a.ReplicaTLS = r.tls()
		}
	}
	return a
}

func (r *runner) hasAccounts() bool {
	a := r.accounts()
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.former == a
}

func (r *runner) ensureAccounts(ctx context.Context) error {
	a := r.accounts()
	if err := r.db().Ensure(ctx, a); err != nil {
		return err
	}
	r.mu.Lock()
	r.former = a
	r.mu.Unlock()
	return nil
}

func (r *runner) secret(key string) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.input.Secret[key]
}

// isEmpty tells that there is no data yet.
func (r *runner) isEmpty() bool { return !exists(r.DataDir) }

func (r *runner) mark() mark { return readMark(r.DataDir) }

func (r *runner) remember(change func(*mark)) error {
	m := r.mark()
	before := m
	change(&m)
	if m == before {
		return nil
	}
	return writeMark(r.DataDir, m)
}

// serving is nil when the server is what its order says.
func (r *runner) serving() error {
	if err := r.dead(); err != nil {
		return err
	}
	if _, err := r.started(); err != nil {
		r.mu.Lock()
		defer r.mu.Unlock()
		if r.view.doing != "" {
			return errors.New(r.view.doing)
		}
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.view.diverged != "":
		return errors.New("it has diverged and waits to be cloned anew: " + r.view.diverged)
	case r.carried.ever:
		return nil
	case r.view.err != "":
		return errors.New(r.view.err)
	}
	return errors.New("it waits for the farm's order")
}

// Check implements behavior.Runner.
func (r *runner) Check(ctx context.Context) error {
	if r.Assignment.Temporary() {
		return r.dead()
	}
	if err := r.serving(); err != nil {
		return err
	}
	s, err := r.started()
	if err != nil {
		return err
	}
	return s.Ping(ctx)
}

// Stop implements behavior.Runner: a clean stop, after which nothing is to be recovered.
func (r *runner) Stop(ctx context.Context) error {
	r.mu.Lock()
	stop := r.stop
	r.mu.Unlock()
	if stop != nil {
		stop(errStopped)
	}
	done := make(chan struct{})
	go func() { r.workers.Wait(); close(done) }()
	err := r.service.Stop(ctx, int(syscall.SIGTERM))
	select {
	case <-done:
	case <-ctx.Done():
	}
	if s := r.server.Swap(nil); s != nil {
		(*s).Close()
	}
	return err
}

// say prints a line where the programs print.
func (r *runner) say(format string, args ...any) {
	if r.Output != nil {
		_, _ = io.WriteString(r.Output, "farmhand: "+fmt.Sprintf(format, args...)+"\n")
	}
}
