package sqlproxy

import (
	"context"
	"database/sql"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/farmhand/terraform-provider-farmhand/internal/authority"
	"github.com/farmhand/terraform-provider-farmhand/internal/dbserver/mariadbtest"
)

// world is a primary and replicas of it on loopback.
type world struct {
	t       testing.TB
	dir     string
	servers []*mariadb
}

type mariadb struct {
	*mariadbtest.Server
	address string
	root    *sql.DB
}

// newWorld starts 1 primary and n replicas with semi-durable settings.
func newWorld(t testing.TB, n int) *world {
	w := &world{t: t, dir: mariadbtest.Folder(t)}
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

// server offers TLS, as a farm's do.
func (w *world) server(i int) *mariadb {
	w.t.Helper()
	a, err := authority.Parse(authority.New("proxied", time.Now()))
	if err != nil {
		w.t.Fatal(err)
	}
	of, err := a.Issue(netip.Addr{}, []string{"db-1"}, time.Now())
	if err != nil {
		w.t.Fatal(err)
	}
	trusted, own := filepath.Join(w.dir, fmt.Sprintf("authority-%d.pem", i)), filepath.Join(w.dir, fmt.Sprintf("server-%d.pem", i))
	for path, content := range map[string][]byte{trusted: a.PEM, own: of.PEM} {
		if err := os.WriteFile(path, content, 0o644); err != nil {
			w.t.Fatal(err)
		}
	}
	m := mariadbtest.Start(w.t, w.dir, i+1, "ssl-ca="+trusted, "ssl-cert="+own, "ssl-key="+own, "max-allowed-packet=64M", "slave-max-allowed-packet=64M", "query-cache-type=OFF", "max-connections=200",
		"character-set-server=utf8mb4", "local-infile=ON")
	return &mariadb{m, m.Address, m.Root}
}

func (m *mariadb) kill()  { m.Kill() }
func (m *mariadb) start() { m.Run() }

func (m *mariadb) exec(_ testing.TB, statements ...string) { m.Exec(statements...) }

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
