package sqlproxy

import (
	"database/sql"
	"errors"
	"fmt"
	"net"
	"strconv"
	"testing"

	"github.com/farmhand/terraform-provider-farmhand/internal/dbserver"
	"github.com/farmhand/terraform-provider-farmhand/internal/dbserver/mysqltest"
)

// Over MySQL servers, too, plain reads go to a replica, and see what was written before.
func TestMySQLServers(t *testing.T) {
	w := &world{t: t, dir: mysqltest.Folder(t)}
	accounts := dbserver.Accounts{Database: "app", User: "app", Password: "secret", ReplicaUser: "repl", ReplicaPassword: "repl"}
	var servers []dbserver.Server
	for i := range 2 {
		m := mysqltest.Start(t, w.dir, 20+i, "character-set-server=utf8mb4", "local-infile=ON")
		root, err := sql.Open("mysql", "root@unix("+m.Socket+")/")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = root.Close() })
		s, err := dbserver.Open(t.Context(), m.Socket)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = s.Close() })
		w.servers, servers = append(w.servers, &mariadb{address: m.Address, root: root}), append(servers, s)
	}
	do := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	do(servers[0].MakeWritable(t.Context()))
	do(servers[0].Ensure(t.Context(), accounts))
	host, port, _ := net.SplitHostPort(w.servers[0].address)
	number, _ := strconv.Atoi(port)
	do(servers[1].Follow(t.Context(), dbserver.Source{Host: host, Port: number, User: "repl", Password: "repl"}))
	eventually(t, "the database is replicated", func() error { _, err := w.servers[1].root.Exec("USE app"); return err })
	do(servers[1].MakeWritable(t.Context()))
	for i, m := range w.servers {
		c, err := m.root.Conn(t.Context())
		do(err)
		for _, q := range []string{"SET sql_log_bin = 0", fmt.Sprintf("CREATE TABLE app.whoami AS SELECT %d AS id", i+1), "SET sql_log_bin = 1"} {
			_, err := c.ExecContext(t.Context(), q)
			do(err)
		}
		do(c.Close())
	}
	do(servers[1].MakeReadOnly(t.Context()))

	p, address := w.proxy(nil)
	eventually(t, "the position is known", func() error {
		if !p.positions.get().known {
			return errors.New("unknown")
		}
		return nil
	})
	db := open(t, address, "")
	eventually(t, "the replica answers", func() error {
		if id := servedBy(t, db); id != 2 {
			return fmt.Errorf("server %d does", id)
		}
		return nil
	})
	_, err := db.ExecContext(t.Context(), "CREATE TABLE t (id INT PRIMARY KEY)")
	do(err)
	for i := range 200 {
		_, err := db.ExecContext(t.Context(), "INSERT INTO t VALUES (?)", i)
		do(err)
		var n int
		do(db.QueryRowContext(t.Context(), "SELECT COUNT(*) FROM t").Scan(&n))
		if n != i+1 {
			t.Fatalf("after %d rows a read sees %d", i+1, n)
		}
	}
	if id := servedBy(t, db); id != 2 {
		t.Errorf("after them server %d answers", id)
	}
}
