package mysql

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
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

// install makes the data of the role's first primary.
func (r *runner) install(ctx context.Context, order state.DatabaseOrder) error {
	partial := r.volume.path(partialDir)
	if err := os.RemoveAll(partial); err != nil {
		return fmt.Errorf("removing an installation that was cut short: %w", err)
	}
	if err := os.MkdirAll(partial, 0o750); err != nil {
		return fmt.Errorf("making the data directory: %w", err)
	}
	if err := os.Chown(partial, r.volume.owner.uid, r.volume.owner.gid); err != nil {
		return fmt.Errorf("making the data directory: %w", err)
	}
	if err := r.flavor.install(ctx, r, partial); err != nil {
		return err
	}
	if err := writeMark(partial, mark{Instance: r.name, ServerID: r.newServerID(order.Seq)}); err != nil {
		return err
	}
	if err := os.Rename(partial, r.DataDir); err != nil {
		return fmt.Errorf("putting the data in place: %w", err)
	}
	return nil
}

// newServerID is one for new data. It goes with the data and not with the index: what an index's former data wrote is,
// for its clone, another server's, which it has to replicate.
func (r *runner) newServerID(seq int64) uint32 {
	h := fnv.New32a()
	_, _ = fmt.Fprintf(h, "%s\x00%s\x00%s\x00%d", r.Assignment.Farm, r.name, r.Assignment.Token, seq)
	return h.Sum32()&0x7fffffff | 1
}

// start starts the server on the data that is there, unless it runs, and opens it. One that was cut short, by a newer order, goes on
// where it was: the server may run and not be open yet.
func (r *runner) start(ctx context.Context, d *state.Database) error {
	r.mu.Lock()
	began := r.began
	r.mu.Unlock()
	if !began {
		if err := r.startProcess(ctx, d); err != nil {
			return err
		}
	}
	if r.db() != nil {
		return r.service.Alive()
	}
	return r.openServer(ctx)
}

func (r *runner) startProcess(ctx context.Context, d *state.Database) error {
	if err := r.remember(func(m *mark) {
		if m.ServerID == 0 {
			m.ServerID = r.newServerID(0)
		}
		if m.Instance == "" {
			m.Instance = r.name
		}
	}); err != nil {
		return err
	}
	m := r.mark()
	program := r.flavor.program(r.config.Path, m.ServerID, d != nil && d.Term > m.Term)
	if err := r.service.Start(ctx, r.Run, program[0], program[1:]...); err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.began = true
	r.former, r.variables = dbserver.Accounts{}, nil
	return nil
}

// openServer waits until the server that was started takes connections. Recovery after a crash takes as long as it takes; the role's
// launch timeout bounds it.
func (r *runner) openServer(ctx context.Context) error {
	var s dbserver.Server
	err := r.service.Await(ctx, func(ctx context.Context) (err error) {
		s, err = r.open(ctx, r.Socket)
		return err
	})
	if err != nil {
		return err
	}
	if r.mark().Seed {
		if err := r.seed(ctx, s); err != nil {
			s.Close()
			return err
		}
		if err := r.remember(func(m *mark) { m.Seed = false }); err != nil {
			s.Close()
			return err
		}
	}
	r.server.Store(&s)
	poke(r.look)
	return nil
}

// seed tells a server that was cloned its position. One that the data tells is noted first: the server forgets it on the way.
func (r *runner) seed(ctx context.Context, s dbserver.Server) error {
	if r.mark().Position == "" {
		st, err := s.Status(ctx)
		if err != nil {
			return err
		}
		if err := r.remember(func(m *mark) { m.Position = st.Position }); err != nil {
			return err
		}
	}
	return s.Seed(ctx, r.mark().Position)
}

// halt stops the server, so that its data can be replaced.
func (r *runner) halt(ctx context.Context) error {
	r.mu.Lock()
	r.replacing = true
	r.mu.Unlock()
	if s := r.server.Swap(nil); s != nil {
		(*s).Close()
	}
	err := r.service.Stop(ctx, int(syscall.SIGTERM))
	r.writable.Store(false)
	if r.service.Alive() == nil {
		return err
	}
	r.mu.Lock()
	r.began = false
	r.mu.Unlock()
	return nil // killed is as good: the data goes
}

// db is the running server, nil for none.
func (r *runner) db() dbserver.Server {
	if s := r.server.Load(); s != nil {
		return *s
	}
	return nil
}

func (r *runner) started() (dbserver.Server, error) {
	if s := r.db(); s != nil {
		return s, nil
	}
	if r.isEmpty() {
		return nil, errors.New("it holds no data")
	}
	return nil, errors.New("the server is not started")
}

// dead says how the server ended that should run, nil if none should or it does.
func (r *runner) dead() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.began || r.replacing {
		return nil
	}
	return r.service.Alive()
}

// applyVariables tells the server those of the declared variables that it takes over while it runs, and resets those
// that are not declared any more.
func (r *runner) applyVariables(ctx context.Context) error {
	r.mu.Lock()
	settings := r.Assignment.Role.Settings
	if own, ok := r.input.Topology.Roles[r.Assignment.Role.Name]; ok {
		settings = own.Settings
	}
	told := r.variables
	r.mu.Unlock()
	now := map[string]string{}
	for _, v := range declared(settings) {
		if v.dynamic {
			now[v.name] = v.value
		}
	}
	var errs []error
	for name, value := range now {
		if before, ok := told[name]; ok && before == value {
			continue
		}
		if err := r.db().Set(ctx, name, value); err != nil {
			errs = append(errs, err)
		}
	}
	for name := range told {
		if _, still := now[name]; !still {
			errs = append(errs, r.db().SetDefault(ctx, name))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	r.mu.Lock()
	r.variables = now
	r.mu.Unlock()
	return nil
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
