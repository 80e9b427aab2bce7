package mysql

import (
	"bytes"
	"context"
	"database/sql"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	driver "github.com/go-sql-driver/mysql"

	"github.com/farmhand/terraform-provider-farmhand/internal/agent/process"
	"github.com/farmhand/terraform-provider-farmhand/internal/behavior"
	"github.com/farmhand/terraform-provider-farmhand/internal/dbserver"
	"github.com/farmhand/terraform-provider-farmhand/internal/dbserver/mysqltest"
	"github.com/farmhand/terraform-provider-farmhand/internal/spec"
	"github.com/farmhand/terraform-provider-farmhand/internal/state"
)

// rig is a role of real servers on the loopback network, each with its runner, and who decides in the sidecar's stead.
type rig struct {
	*testing.T
	flavor flavor
	subnet string
	role   spec.Role
	secret map[string]string
	nodes  map[int]*node

	mu sync.Mutex
	db state.Database
	// cut are nodes that the store does not hear and that do not hear it.
	cut map[int]bool
}

// node is one instance's life after another on one volume.
type node struct {
	*rig
	index   int
	address string
	root    string
	life    int
	runner  *runner
	table   *process.Table
	out     *lockedBuffer
	stop    context.CancelFunc
	setup   chan error
	task    *state.BackupTask // of the assignment
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

var subnets atomic.Int32

func newRig(t *testing.T, nodes int) *rig {
	t.Helper()
	if testing.Short() {
		t.Skip("no database servers are started with -short")
	}
	for _, program := range []string{"mariadbd", "mariabackup", "mbstream"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("no MariaDB here: %v (scripts/setup.sh installs it)", err)
		}
	}
	return newRigOf(t, mariaDB{}, nodes)
}

// newMySQLRig is newRig with MySQL's servers, which are started by name.
func newMySQLRig(t *testing.T, nodes int) *rig {
	t.Helper()
	if testing.Short() {
		t.Skip("no database servers are started with -short")
	}
	t.Setenv("PATH", mysqltest.Programs(t)+":"+os.Getenv("PATH"))
	return newRigOf(t, mySQL{}, nodes)
}

func newRigOf(t *testing.T, f flavor, nodes int) *rig {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("servers run as their own system user, which takes root to start")
	}
	r := &rig{T: t, flavor: f, subnet: fmt.Sprintf("127.77.%d", 10+subnets.Add(1)), nodes: map[int]*node{}, cut: map[int]bool{},
		role:   spec.Role{Farm: "shop", Name: "db", Behavior: "mysql", Min: 1, Max: nodes, Settings: map[string]string{"memory_mb": "96"}},
		secret: Behavior{}.NewSecret(spec.Role{}),
		db:     state.Database{Lease: 2 * time.Second, Orders: map[string]state.DatabaseOrder{}},
	}
	for i := 1; i <= nodes; i++ {
		root, err := os.MkdirTemp("", "farmhand-mysql-") //nolint:usetesting // short: a socket's path has 108 bytes
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { os.RemoveAll(root) })
		if err := os.Chmod(root, 0o755); err != nil {
			t.Fatal(err)
		}
		r.nodes[i] = &node{rig: r, index: i, root: root, address: fmt.Sprintf("%s.%d", r.subnet, i)}
	}
	t.Cleanup(func() {
		for _, n := range r.nodes {
			n.kill()
		}
	})
	return r
}

func (n *node) name() string { return state.InstanceName("db", n.index) }

// launch begins a new life on the node's volume; it does not wait.
func (n *node) launch() {
	n.Helper()
	n.life++
	n.out = &lockedBuffer{}
	var out io.Writer = n.out
	n.table = process.NewTable(out)
	n.runner = newRunner(behavior.Instance{
		Assignment: state.Assignment{Farm: "shop", Role: n.role, Index: n.index, Address: n.address, Token: fmt.Sprintf("%s-%d", n.name(), n.life), Backup: n.task},
		Output:     out, Run: n.table, Root: n.root,
	})
	n.runner.flavor = n.flavor
	ctx, cancel := context.WithCancel(context.Background())
	n.stop = cancel
	n.setup = make(chan error, 1)
	in := behavior.Input{Secret: n.secret, Database: n.decided()}
	go n.talk(ctx, n.runner)
	go func(r *runner) { n.setup <- r.Setup(ctx, in, func(string) {}) }(n.runner)
}

func (r *rig) decided() *state.Database {
	r.mu.Lock()
	defer r.mu.Unlock()
	d := r.db
	d.Orders = map[string]state.DatabaseOrder{}
	for k, v := range r.db.Orders {
		d.Orders[k] = v
	}
	return &d
}

// talk is the agent's part: it reads what is decided and has its reports taken.
func (n *node) talk(ctx context.Context, r *runner) {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		n.mu.Lock()
		cut := n.cut[n.index]
		n.mu.Unlock()
		if cut {
			continue
		}
		now := time.Now()
		d := n.decided()
		r.Ordered(d, now)
		r.Heard(now)
	}
}

// kill ends the machine: nothing of it runs afterwards.
func (n *node) kill() {
	if n.runner == nil {
		return
	}
	n.stop()
	n.runner.mu.Lock()
	stop := n.runner.stop
	n.runner.mu.Unlock()
	if stop != nil {
		stop(errStopped)
	}
	n.signal(syscall.SIGKILL)
	n.runner.workers.Wait()
	if s := n.runner.db(); s != nil {
		s.Close()
	}
	n.runner = nil
}

func (n *node) pid() int {
	b, _ := os.ReadFile(filepath.Join(n.root, "run/mysqld", map[string]string{dbserver.FlavorMariaDB: "mariadbd.pid", dbserver.FlavorMySQL: "mysqld.pid"}[n.flavor.name()]))
	pid, _ := strconv.Atoi(string(bytes.TrimSpace(b)))
	return pid
}

func (n *node) signal(sig syscall.Signal) {
	if pid := n.pid(); pid > 0 && n.runner != nil && n.runner.service.Alive() == nil {
		_ = n.runner.service.Signal(int(sig))
	}
	if sig == syscall.SIGKILL {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		n.runner.service.Wait(ctx)
	}
}

// order gives orders: a change of the whole decision at once.
func (r *rig) order(change func(d *state.Database)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	before := map[string]state.DatabaseOrder{}
	for k, v := range r.db.Orders {
		before[k] = v
	}
	change(&r.db)
	for name, o := range r.db.Orders {
		o.Term = r.db.Term
		o.Seq = before[name].Seq
		if o != before[name] {
			o.Seq++
		}
		r.db.Orders[name] = o
	}
}

// primary appoints a node; the others are its replicas, cloned from it or from another replica.
func (r *rig) primary(index int, position string, alone bool, others ...int) {
	r.order(func(d *state.Database) {
		n := r.nodes[index]
		if d.Primary != n.name() || d.PrimaryToken != n.token() {
			d.Term++
			d.Promotions = append(d.Promotions, state.DatabasePromotion{Term: d.Term, Primary: n.name(), Position: position})
			d.PromotedPosition = position
		}
		d.Primary, d.PrimaryToken, d.PrimaryAddress = n.name(), n.token(), n.address
		d.Orders[n.name()] = state.DatabaseOrder{Office: state.OfficePrimary, First: d.Term == 1, Alone: alone}
		for _, i := range others {
			d.Orders[r.nodes[i].name()] = state.DatabaseOrder{Office: state.OfficeReplica, Source: n.address, CloneFrom: n.address}
		}
	})
}

func (n *node) token() string { return fmt.Sprintf("%s-%d", n.name(), n.life) }

func (n *node) report() state.DatabaseReport { return n.runner.DatabaseReport(context.Background()) }

// until polls until ok, and returns how long that took.
func (n *node) until(what string, ok func(state.DatabaseReport) bool) time.Duration {
	n.Helper()
	began := time.Now()
	for {
		d := n.report()
		if ok(d) {
			return time.Since(began)
		}
		if time.Since(began) > 25*time.Second {
			n.Fatalf("%s: %s did not come about; it reports %+v and printed\n%s", n.name(), what, d, tail(n.out.String()))
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func tail(s string) string { return s[max(0, len(s)-4000):] }

func (n *node) awaitSetup() {
	n.Helper()
	select {
	case err := <-n.setup:
		if err != nil {
			n.Fatalf("%s: setting up: %v\n%s", n.name(), err, tail(n.out.String()))
		}
	case <-time.After(40 * time.Second):
		n.Fatalf("%s is not set up; it reports %+v and printed\n%s", n.name(), n.report(), tail(n.out.String()))
	}
}

func writable(d state.DatabaseReport) bool { return d.Writable }
func following(d state.DatabaseReport) bool {
	return d.Receiving && d.Applying && d.LagKnown && d.Lag == 0
}

// app is the application's connections to a node.
func (n *node) app() *sql.DB {
	connector, err := driver.NewConnector(n.appConfig())
	if err != nil {
		n.Fatal(err)
	}
	db := sql.OpenDB(connector)
	n.Cleanup(func() { db.Close() })
	return db
}

func (n *node) appConfig() *driver.Config {
	c := driver.NewConfig()
	c.User, c.Passwd, c.Net, c.Addr, c.DBName = "app", n.secret[passwordKey], "tcp", n.address+":3306", "app"
	c.Timeout, c.ReadTimeout = time.Second, 5*time.Second
	c.InterpolateParams = true
	c.Logger = &driver.NopLogger{}
	return c
}

// root is the administrator's connection to a node.
func (n *node) root_() *sql.DB {
	c := driver.NewConfig()
	c.User, c.Net, c.Addr = "root", "unix", filepath.Join(n.root, "run/mysqld/mysqld.sock")
	c.Logger = &driver.NopLogger{}
	connector, err := driver.NewConnector(c)
	if err != nil {
		n.Fatal(err)
	}
	db := sql.OpenDB(connector)
	n.Cleanup(func() { db.Close() })
	return db
}

func (n *node) exec(db *sql.DB, query string, args ...any) {
	n.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	defer cancel()
	if _, err := db.ExecContext(ctx, query, args...); err != nil {
		n.Fatalf("%s: %s: %v", n.name(), query[:min(len(query), 200)], err)
	}
}

// loader inserts from several writers at whichever node is the primary, and keeps what was acknowledged.
type loader struct {
	*rig
	at    atomic.Int32
	next  atomic.Int64
	stop  chan struct{}
	done  sync.WaitGroup
	mu    sync.Mutex
	acked []int64
	last  time.Time
	gap   time.Duration
}

func (r *rig) load(at, writers int) *loader {
	l := &loader{rig: r, stop: make(chan struct{}), last: time.Now()}
	l.at.Store(int32(at))
	dbs := map[int]*sql.DB{}
	for i, n := range r.nodes {
		dbs[i] = n.app()
	}
	for range writers {
		l.done.Go(func() {
			for {
				select {
				case <-l.stop:
					return
				default:
				}
				id := l.next.Add(1)
				ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
				_, err := dbs[int(l.at.Load())].ExecContext(ctx, "INSERT INTO acked (id, filler) VALUES (?, REPEAT('x', 100))", id)
				cancel()
				if err != nil {
					time.Sleep(5 * time.Millisecond)
					continue
				}
				l.mu.Lock()
				l.acked = append(l.acked, id)
				l.gap = max(l.gap, time.Since(l.last))
				l.last = time.Now()
				l.mu.Unlock()
				time.Sleep(20 * time.Millisecond) // some 300 a second: no replica is to fall behind for the load's own sake
			}
		})
	}
	return l
}

func (l *loader) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.acked)
}

func (l *loader) more(n int) {
	l.Helper()
	for want, began := l.count()+n, time.Now(); l.count() < want; time.Sleep(5 * time.Millisecond) {
		if time.Since(began) > 30*time.Second {
			l.Fatalf("writes do not go on: %d acknowledged", l.count())
		}
	}
}

// verify ends the load and counts what was acknowledged and is not there.
func (l *loader) verify(n *node) {
	l.Helper()
	close(l.stop)
	l.done.Wait()
	there := map[int64]bool{}
	rows, err := n.root_().Query("SELECT id FROM app.acked")
	if err != nil {
		l.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var id int64
		if err := rows.Scan(&id); err != nil {
			l.Fatal(err)
		}
		there[id] = true
	}
	lost := 0
	for _, id := range l.acked {
		if !there[id] {
			lost++
		}
	}
	l.Logf("%d acknowledged, %d lost, longest gap %s", len(l.acked), lost, l.gap.Round(time.Millisecond))
	if lost > 0 {
		l.Errorf("%d of %d acknowledged writes are lost", lost, len(l.acked))
	}
}
