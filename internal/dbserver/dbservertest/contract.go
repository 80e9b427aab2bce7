// Package dbservertest is the contract of dbserver.Server: what a kind of server must do so that a farm can make primaries and replicas of
// it. It runs against real servers.
package dbservertest

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	driver "github.com/go-sql-driver/mysql"

	"github.com/farmhand/terraform-provider-farmhand/internal/dbserver"
)

// Instance is a running server of the kind.
type Instance struct {
	dbserver.Server
	Address string // host:port, for the application's connections and for replicas
}

// Run runs the contract. start makes an empty server that lives as long as its test: read-only, with a binary log, semi-synchronous
// replication built in and off, and an id that no other server of the test has (ids count from 1). more are further
// lines of its configuration.
func Run(t *testing.T, start func(t *testing.T, id int, more ...string) *Instance) {
	for _, c := range []struct {
		name string
		test func(*world)
	}{
		{"a fresh server", fresh},
		{"read-only and writable", writable},
		{"accounts are made once", accounts},
		{"sessions are ended", sessions},
		{"variables", variables},
		{"a replica follows", follows},
		{"receiving, applying and waiting", receiving},
		{"commits wait for an acknowledgement", semiSync},
		{"fencing cuts off who waits", fences},
		{"a change that was given up", abandons},
		{"a former primary follows", demotes},
		{"a replica that wrote something", errs},
		{"a replica that has what its source never had", strays},
		{"a clone is told its position", seeds},
		{"a replica that lacks what is gone is broken", broken},
		{"replication by TLS", encrypts},
		{"who is of another authority", otherAuthority},
		{"a replica without TLS", withoutTLS},
		{"a certificate is renewed", renews},
	} {
		t.Run(c.name, func(t *testing.T) { c.test(&world{T: t, start: start}) })
	}
}

type world struct {
	*testing.T
	start func(t *testing.T, id int, more ...string) *Instance
	n     int
}

// patience bounds waiting for what takes a moment.
const patience = 30 * time.Second

func (w *world) must(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

func (w *world) server() *Instance {
	w.Helper()
	w.n++
	return w.start(w.T, w.n)
}

func (w *world) status(i *Instance) dbserver.Status {
	w.Helper()
	st, err := i.Status(w.Context())
	w.must(err)
	return st
}

func (w *world) until(what string, i *Instance, holds func(dbserver.Status) bool) dbserver.Status {
	w.Helper()
	var st dbserver.Status
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if st = w.status(i); holds(st) {
			return st
		}
	}
	w.Fatalf("it did not come to pass that %s: %+v", what, st)
	return st
}

var theAccounts = dbserver.Accounts{Database: "app_1", User: "app", Password: "it's \"secret\"", ReplicaUser: "repl", ReplicaPassword: "also secret"}

// primary is a server that takes writes, with accounts and a table.
func (w *world) primary() *Instance {
	w.Helper()
	i := w.server()
	w.must(i.MakeWritable(w.Context()))
	w.must(i.Ensure(w.Context(), theAccounts))
	w.exec(w.app(i), "CREATE TABLE t (id INT PRIMARY KEY)")
	return i
}

// app is the application's way in.
func (w *world) app(i *Instance) *sql.DB {
	w.Helper()
	c := driver.NewConfig()
	c.User, c.Passwd, c.Net, c.Addr, c.DBName = theAccounts.User, theAccounts.Password, "tcp", i.Address, theAccounts.Database
	c.Timeout, c.Logger = 2*time.Second, &driver.NopLogger{}
	connector, err := driver.NewConnector(c)
	w.must(err)
	db := sql.OpenDB(connector)
	w.Cleanup(func() { _ = db.Close() })
	return db
}

func (w *world) exec(db *sql.DB, statement string) {
	w.Helper()
	if _, err := db.ExecContext(w.Context(), statement); err != nil {
		w.Fatalf("%s: %v", statement, err)
	}
}

func (w *world) insert(i *Instance, id int) {
	w.Helper()
	w.exec(w.app(i), fmt.Sprintf("INSERT INTO t VALUES (%d)", id))
}

// rows counts the table's, -1 while there is none.
func (w *world) rows(i *Instance) int {
	n := -1
	_ = w.app(i).QueryRowContext(w.Context(), "SELECT COUNT(*) FROM t").Scan(&n)
	return n
}

func (w *world) source(i *Instance) dbserver.Source {
	w.Helper()
	host, port, err := net.SplitHostPort(i.Address)
	w.must(err)
	n, err := strconv.Atoi(port)
	w.must(err)
	return dbserver.Source{Host: host, Port: n, User: theAccounts.ReplicaUser, Password: theAccounts.ReplicaPassword}
}

// replica is a server that has caught up with one.
func (w *world) replica(of *Instance) *Instance {
	w.Helper()
	r := w.server()
	w.must(r.Follow(w.Context(), w.source(of)))
	w.caughtUp(r, of)
	return r
}

func (w *world) caughtUp(r, of *Instance) {
	w.Helper()
	at := w.status(of).Position
	w.until("the replica has caught up to "+at, r, func(st dbserver.Status) bool {
		missing, err := r.Beyond(w.Context(), at, st.Position)
		return err == nil && !missing && st.Receiving && st.Applying && st.CaughtUp
	})
}

func fresh(w *world) {
	i := w.server()
	w.must(i.Ping(w.Context()))
	if (i.Flavor() != dbserver.FlavorMariaDB && i.Flavor() != dbserver.FlavorMySQL) || i.Version() == "" {
		w.Errorf("it is of flavor %q, version %q", i.Flavor(), i.Version())
	}
	st := w.status(i)
	if st.Writable || st.Source != "" || st.Receiving || st.Applying || st.Broken || st.SemiSync || st.Clients != 0 || st.Own != "" || st.Behind != -1 {
		w.Errorf("a fresh server stands as %+v", st)
	}
	gone, cancel := context.WithCancel(w.Context())
	cancel()
	if err := i.Ping(gone); !errors.Is(err, context.Canceled) {
		w.Errorf("a ping under an ended context: %v", err)
	}
}

func writable(w *world) {
	i := w.primary()
	db := w.app(i)
	w.exec(db, "INSERT INTO t VALUES (1)")
	for range 2 { // either may be repeated
		w.must(i.MakeReadOnly(w.Context()))
		if _, err := db.ExecContext(w.Context(), "INSERT INTO t VALUES (2)"); err == nil {
			w.Error("a read-only server took a write")
		}
		if w.status(i).Writable {
			w.Error("a read-only server says that it is writable")
		}
	}
	before := w.status(i).Position
	for range 2 {
		w.must(i.MakeWritable(w.Context()))
	}
	if !w.status(i).Writable {
		w.Error("a writable server says that it is read-only")
	}
	w.exec(db, "INSERT INTO t VALUES (2)")
	st := w.status(i)
	for mine, than := range map[string]string{st.Position: before} {
		if farther, err := i.Beyond(w.Context(), mine, than); err != nil || !farther {
			w.Errorf("%s is not beyond %s, %v", mine, than, err)
		}
		if farther, err := i.Beyond(w.Context(), than, mine); err != nil || farther {
			w.Errorf("%s is beyond %s, %v", than, mine, err)
		}
	}
}

func accounts(w *world) {
	i := w.primary()
	before := w.status(i).Position
	w.must(i.Ensure(w.Context(), theAccounts))
	if after := w.status(i).Position; after != before {
		w.Errorf("making accounts that are there wrote from %s to %s", before, after)
	}
	if _, err := w.app(i).ExecContext(w.Context(), "CREATE DATABASE appx1"); err == nil {
		w.Error("the application may make databases, by the _ of its own one's name")
	}
	changed := theAccounts
	changed.Password = "another"
	w.must(i.Ensure(w.Context(), changed))
	if err := w.app(i).PingContext(w.Context()); err == nil {
		w.Error("the former password still opens")
	}
	w.must(i.MakeReadOnly(w.Context()))
	w.must(i.Ensure(w.Context(), theAccounts)) // before a primary takes writes
	w.must(w.app(i).PingContext(w.Context()))
	if w.status(i).Writable {
		w.Error("making accounts made the server writable")
	}
}

func sessions(w *world) {
	p := w.primary()
	r := w.replica(p)
	db := w.app(p)
	held, err := db.Conn(w.Context())
	w.must(err)
	defer held.Close()
	w.must(held.PingContext(w.Context()))
	n, err := p.EndSessions(w.Context())
	if err != nil || n < 1 {
		w.Errorf("%d sessions were ended, %v", n, err)
	}
	if _, err := held.ExecContext(w.Context(), "DO 1"); err == nil {
		w.Error("a connection that was ended lives")
	}
	w.insert(p, 1)
	w.caughtUp(r, p) // replication's connection is none of them
}

func variables(w *world) {
	i := w.server()
	read := func(name string) string {
		w.Helper()
		var v string
		// long_query_time and sql_mode are read as text of either kind of server.
		db := w.app(i)
		w.must(db.QueryRowContext(w.Context(), "SELECT @@global."+name).Scan(&v))
		return v
	}
	w.must(i.MakeWritable(w.Context()))
	w.must(i.Ensure(w.Context(), theAccounts))
	built := read("long_query_time")
	w.must(i.Set(w.Context(), "long_query_time", "2.5"))
	if v := read("long_query_time"); !strings.HasPrefix(v, "2.5") {
		w.Errorf("a fraction became %s", v)
	}
	w.must(i.SetDefault(w.Context(), "long_query_time"))
	if v := read("long_query_time"); v != built {
		w.Errorf("the default is %s, and was %s", v, built)
	}
	w.must(i.Set(w.Context(), "max_connections", "77"))
	if v := read("max_connections"); v != "77" {
		w.Errorf("a number became %s", v)
	}
	w.must(i.Set(w.Context(), "event_scheduler", "ON"))
	if v := read("event_scheduler"); v != "ON" && v != "1" {
		w.Errorf("a word became %s", v)
	}
	for _, bad := range []string{"max_connections = 1, long_query_time", "", "@@x", "nosuch_variable"} {
		if err := i.Set(w.Context(), bad, "1"); err == nil {
			w.Errorf("variable %q was set", bad)
		}
	}
}

func follows(w *world) {
	p := w.primary()
	w.insert(p, 1)
	r := w.replica(p)
	if n := w.rows(r); n != 1 {
		w.Errorf("the replica has %d rows", n)
	}
	st := w.status(r)
	if st.Source != p.Address || st.Writable || st.Own != "" || st.ReceiveError != "" || st.ApplyError != "" || st.Broken || st.Behind < 0 {
		w.Errorf("the replica stands as %+v", st)
	}
	former := st.Traffic
	w.until("traffic shows heartbeats", r, func(st dbserver.Status) bool { return st.Traffic != former })
	w.must(r.Follow(w.Context(), w.source(p))) // again
	w.insert(p, 2)
	w.caughtUp(r, p)
	wrong := w.source(p)
	wrong.Password = "wrong"
	w.must(r.Detach(w.Context()))
	if st := w.status(r); st.Source != "" || st.Receiving {
		w.Errorf("detached it stands as %+v", st)
	}
	w.must(r.Follow(w.Context(), wrong))
	w.until("a wrong password shows", r, func(st dbserver.Status) bool { return !st.Receiving && st.ReceiveError != "" && !st.Broken })
	w.must(r.Detach(w.Context()))
	w.must(r.Follow(w.Context(), w.source(p)))
	w.insert(p, 3)
	w.caughtUp(r, p)
	if n := w.rows(r); n != 3 {
		w.Errorf("the replica has %d rows", n)
	}
}

func receiving(w *world) {
	p := w.primary()
	r := w.replica(p)
	w.must(r.StopReceiving(w.Context()))
	w.until("it receives no more", r, func(st dbserver.Status) bool { return !st.Receiving && !st.Connecting && st.Applying })
	w.insert(p, 1)
	at := w.status(p).Position
	short, cancel := context.WithTimeout(w.Context(), 300*time.Millisecond)
	defer cancel()
	if err := r.WaitApplied(short, at); !errors.Is(err, context.DeadlineExceeded) {
		w.Errorf("waiting for what does not come: %v", err)
	}
	w.must(r.Restart(w.Context()))
	long, cancelLong := context.WithTimeout(w.Context(), patience)
	defer cancelLong()
	w.must(r.WaitApplied(long, at))
	if n := w.rows(r); n != 1 {
		w.Errorf("the replica has %d rows", n)
	}
}

// commits starts a write and returns what becomes of it.
func (w *world) commits(i *Instance, id int) <-chan error {
	db := w.app(i)
	w.must(db.PingContext(w.Context()))
	done := make(chan error, 1)
	go func() {
		_, err := db.ExecContext(w.Context(), fmt.Sprintf("INSERT INTO t VALUES (%d)", id))
		done <- err
	}()
	return done
}

func semiSync(w *world) {
	p := w.primary()
	w.must(p.SemiSync(w.Context(), true))
	if !w.status(p).SemiSync {
		w.Error("it does not say that commits wait")
	}
	done := w.commits(p, 1)
	w.until("a commit waits", p, func(st dbserver.Status) bool { return st.Waiting == 1 })
	w.must(p.SemiSync(w.Context(), false))
	w.must(<-done) // whoever waits when it ends is told that the commit succeeded
	w.must(p.SemiSync(w.Context(), true))
	done = w.commits(p, 2)
	w.until("a commit waits", p, func(st dbserver.Status) bool { return st.Waiting == 1 })
	r := w.server()
	w.must(r.Follow(w.Context(), w.source(p)))
	w.must(<-done) // a replica has it
	w.until("the replica's acknowledgements are counted", r, func(st dbserver.Status) bool { return st.Acks })
	if st := w.status(p); st.Clients != 1 || st.Waiting != 0 {
		w.Errorf("with a replica the primary stands as %+v", st)
	}
}

// fences: of many who write and come again, nobody is told that it succeeded, since nobody else has it.
func fences(w *world) {
	p := w.primary()
	w.must(p.SemiSync(w.Context(), true))
	db := w.app(p)
	db.SetMaxIdleConns(0)
	var next, acknowledged atomic.Int64
	writing, stop := context.WithCancel(w.Context())
	defer stop()
	var writers sync.WaitGroup
	for range 8 {
		writers.Go(func() {
			for writing.Err() == nil {
				if _, err := db.ExecContext(writing, fmt.Sprintf("INSERT INTO t VALUES (%d)", next.Add(1))); err == nil {
					acknowledged.Add(1)
				}
			}
		})
	}
	w.until("commits wait", p, func(st dbserver.Status) bool { return st.Waiting > 0 })
	bounded, cancel := context.WithTimeout(w.Context(), patience)
	defer cancel()
	w.must(p.Fence(bounded))
	stop()
	writers.Wait()
	if n := acknowledged.Load(); n > 0 {
		w.Errorf("%d writes were acknowledged", n)
	}
	if w.status(p).Writable {
		w.Error("a fenced server is writable")
	}
}

// abandons: a change that nobody waits for any more does not come later.
func abandons(w *world) {
	p := w.primary()
	w.must(p.SemiSync(w.Context(), true))
	done := w.commits(p, 1)
	w.until("a commit waits", p, func(st dbserver.Status) bool { return st.Waiting == 1 })
	short, cancel := context.WithTimeout(w.Context(), 300*time.Millisecond)
	defer cancel()
	if err := p.MakeReadOnly(short); err == nil {
		w.Fatal("the server became read-only while a commit waited")
	}
	w.must(p.SemiSync(w.Context(), false))
	w.must(<-done)
	w.insert(p, 2)
	if !w.status(p).Writable {
		w.Error("the server is read-only")
	}
}

func demotes(w *world) {
	former := w.primary()
	next := w.replica(former)
	w.insert(former, 1)
	w.must(former.MakeReadOnly(w.Context()))
	w.must(next.WaitApplied(w.Context(), w.status(former).Position))
	w.must(next.Detach(w.Context()))
	w.must(next.MakeWritable(w.Context()))
	w.insert(next, 2)
	if st := w.status(former); st.Own == "" {
		w.Errorf("a former primary does not tell its own transactions: %+v", st)
	}
	w.must(former.Follow(w.Context(), w.source(next)))
	w.caughtUp(former, next)
	if n := w.rows(former); n != 2 {
		w.Errorf("the former primary has %d rows", n)
	}
	st := w.status(former)
	if lacks, err := former.Beyond(w.Context(), st.Own, w.status(next).Position); err != nil || lacks || st.Source != next.Address {
		w.Errorf("the former primary stands as %+v, %v", st, err)
	}
}

// errs: a replica that wrote something itself says so.
func errs(w *world) {
	p := w.primary()
	r := w.replica(p)
	w.must(r.MakeWritable(w.Context()))
	w.insert(r, 7)
	w.must(r.MakeReadOnly(w.Context()))
	st := w.status(r)
	if lacks, err := r.Beyond(w.Context(), st.Own, w.status(p).Position); err != nil || !lacks {
		w.Errorf("the replica says that it wrote %q, and its primary is at %s, %v", st.Own, w.status(p).Position, err)
	}
}

// strays: of two replicas the one that received less became the primary.
func strays(w *world) {
	p := w.primary()
	less, more := w.replica(p), w.replica(p)
	w.must(less.StopReceiving(w.Context()))
	w.insert(p, 1)
	w.caughtUp(more, p)
	w.must(less.Detach(w.Context()))
	limit := w.status(less).Position
	w.must(less.MakeWritable(w.Context()))
	w.insert(less, 2)
	w.must(more.Detach(w.Context()))
	w.must(more.Follow(w.Context(), w.source(less)))
	w.until("it says so", more, func(st dbserver.Status) bool {
		lacks, err := more.Beyond(w.Context(), st.Others, limit)
		return st.Broken || err == nil && lacks
	})
	third := w.server()
	w.must(third.Follow(w.Context(), w.source(less)))
	w.caughtUp(third, less)
	st := w.status(third)
	if lacks, err := third.Beyond(w.Context(), st.Others, limit); err != nil || lacks || st.Broken {
		w.Errorf("another replica stands as %+v, %v", st, err)
	}
}

func seeds(w *world) {
	p := w.primary()
	w.insert(p, 1)
	at := w.status(p).Position
	// A clone: the same data, made by other means, and a binary log of its own.
	c := w.server()
	w.must(c.MakeWritable(w.Context()))
	w.must(c.Ensure(w.Context(), theAccounts))
	w.exec(w.app(c), "CREATE TABLE t (id INT PRIMARY KEY)")
	w.insert(c, 1)
	w.must(c.MakeReadOnly(w.Context()))
	w.must(c.Seed(w.Context(), at))
	st := w.status(c)
	for _, pair := range [][2]string{{st.Position, at}, {at, st.Position}} {
		if farther, err := c.Beyond(w.Context(), pair[0], pair[1]); err != nil || farther {
			w.Errorf("seeded with %s it is at %s, %v", at, st.Position, err)
		}
	}
	w.insert(p, 2)
	w.must(c.Follow(w.Context(), w.source(p)))
	w.caughtUp(c, p)
	if n := w.rows(c); n != 2 {
		w.Errorf("the clone has %d rows", n)
	}
	// The data knows that it is farther than whoever copied it noted.
	farther := w.status(c).Position
	w.must(c.Seed(w.Context(), at))
	if st := w.status(c); st.Position != farther {
		w.Errorf("seeded with %s, and its data is of %s, it is at %s", at, farther, st.Position)
	}
}

// broken: what the source has thrown away nobody can be given.
func broken(w *world) {
	p := w.primary()
	r := w.replica(p)
	w.must(r.StopReceiving(w.Context()))
	w.insert(p, 1)
	at := w.status(p).Position
	w.must(p.Seed(w.Context(), at)) // it forgets the binary log
	w.must(p.MakeWritable(w.Context()))
	w.insert(p, 2)
	w.must(r.Follow(w.Context(), w.source(p)))
	w.until("it is broken", r, func(st dbserver.Status) bool { return st.Broken && st.ReceiveError != "" })
}
