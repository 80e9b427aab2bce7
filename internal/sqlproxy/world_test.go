package sqlproxy

import (
	"context"
	"database/sql"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	_ "github.com/go-sql-driver/mysql"
)

// world is a primary and replicas of it on loopback.
type world struct {
	t       testing.TB
	dir     string
	servers []*mariadb
}

type mariadb struct {
	address string
	root    *sql.DB
	cmd     *exec.Cmd
	start   func()
}

// newWorld starts 1 primary and n replicas with semi-durable settings.
func newWorld(t testing.TB, n int) *world {
	if _, err := exec.LookPath("mariadbd"); err != nil {
		t.Skip("no MariaDB: apt-get install mariadb-server")
	}
	// t.TempDir's parents are closed to the server's own user, and a socket's path must be short.
	dir, err := os.MkdirTemp("/tmp", "sqlproxy") //nolint:usetesting // short: a socket's path has 108 bytes
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	os.Chmod(dir, 0o755)
	w := &world{t: t, dir: dir}
	for i := range n + 1 {
		w.servers = append(w.servers, w.server(i))
	}
	p := w.servers[0]
	p.exec(t, "SET GLOBAL read_only=0", "CREATE USER repl@'%' IDENTIFIED BY 'repl'", "GRANT REPLICATION SLAVE ON *.* TO repl@'%'",
		"CREATE DATABASE app", "CREATE USER app@'%' IDENTIFIED BY 'secret'", "GRANT ALL ON app.* TO app@'%'")
	for _, r := range w.servers[1:] {
		w.follow(r, p)
	}
	return w
}

func (w *world) follow(r, p *mariadb) {
	host, port, _ := net.SplitHostPort(p.address)
	r.exec(w.t, fmt.Sprintf("CHANGE MASTER TO master_host='%s', master_port=%s, master_user='repl', master_password='repl', master_use_gtid=slave_pos, master_connect_retry=1", host, port), "START SLAVE")
}

func (w *world) server(i int) *mariadb {
	t := w.t
	l, err := net.Listen("tcp", fmt.Sprintf("127.78.0.%d:0", 11+i))
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	l.Close()
	host, port, _ := net.SplitHostPort(address)
	d := filepath.Join(w.dir, strconv.Itoa(i))
	os.MkdirAll(d, 0o755)
	conf := filepath.Join(d, "my.cnf")
	text := "[mariadbd]\n" + strings.Join([]string{"datadir=" + d + "/data", "socket=" + d + "/s", "pid-file=" + d + "/pid", "log-error=" + d + "/err",
		"tmpdir=" + d, "bind-address=" + host, "port=" + port, "server-id=" + strconv.Itoa(i+1), "skip-name-resolve", "log-bin=" + d + "/data/bin",
		"log-slave-updates=ON", "binlog-format=ROW", "gtid-strict-mode=ON", "relay-log=" + d + "/data/relay", "read-only=ON", "performance-schema=OFF",
		"innodb-buffer-pool-size=32M", "innodb-log-file-size=48M", "innodb-use-native-aio=OFF", "innodb-flush-log-at-trx-commit=2", "sync-binlog=0",
		"max-allowed-packet=64M", "slave-max-allowed-packet=64M", "query-cache-type=OFF", "max-connections=200", "character-set-server=utf8mb4", "local-infile=ON"}, "\n") + "\n"
	if err := os.WriteFile(conf, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	attr := &syscall.SysProcAttr{}
	if os.Getuid() == 0 {
		u, err := user.Lookup("mysql")
		if err != nil {
			t.Skip("no user mysql: apt-get install mariadb-server")
		}
		uid, _ := strconv.Atoi(u.Uid)
		gid, _ := strconv.Atoi(u.Gid)
		os.Chown(d, uid, gid)
		attr.Credential = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
	}
	install := exec.Command("mariadb-install-db", "--defaults-file="+conf, "--auth-root-authentication-method=normal", "--skip-test-db")
	install.SysProcAttr = attr
	if out, err := install.CombinedOutput(); err != nil {
		t.Fatalf("mariadb-install-db: %v\n%s", err, out)
	}
	m := &mariadb{address: address}
	m.start = func() {
		m.cmd = exec.Command("mariadbd", "--defaults-file="+conf)
		m.cmd.SysProcAttr = attr
		if err := m.cmd.Start(); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the server answers", func() error { return m.root.Ping() })
	}
	m.root, err = sql.Open("mysql", "root@unix("+d+"/s)/")
	if err != nil {
		t.Fatal(err)
	}
	m.root.SetMaxOpenConns(2)
	m.start()
	t.Cleanup(func() { m.root.Close(); m.kill() })
	return m
}

func (m *mariadb) kill() {
	m.cmd.Process.Signal(syscall.SIGCONT)
	m.cmd.Process.Kill()
	m.cmd.Wait()
}

func (m *mariadb) exec(t testing.TB, statements ...string) {
	t.Helper()
	for _, s := range statements {
		if _, err := m.root.Exec(s); err != nil {
			t.Fatalf("%s: %s: %v", m.address, s, err)
		}
	}
}

func (w *world) backends() Backends {
	b := Backends{Term: 1, Primary: w.servers[0].address}
	for _, r := range w.servers[1:] {
		b.Replicas = append(b.Replicas, r.address)
	}
	return b
}

// proxy starts one over the world's servers and returns it with its address.
func (w *world) proxy(change func(*Config)) (*Proxy, string) {
	t := w.t
	c := Config{User: "app", Password: "secret", Backends: w.backends()}
	if change != nil {
		change(&c)
	}
	p, err := New(c, nil)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.78.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go p.Serve(l)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		p.Close(ctx)
	})
	return p, l.Addr().String()
}

func open(t testing.TB, address, parameters string) *sql.DB {
	t.Helper()
	db, err := sql.Open("mysql", "app:secret@tcp("+address+")/app?"+parameters)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

func eventually(t testing.TB, what string, f func() error) {
	t.Helper()
	var err error
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if err = f(); err == nil {
			return
		}
	}
	t.Fatalf("%s: not within 30 s: %v", what, err)
}
