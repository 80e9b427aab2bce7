package dbproxy

import (
	"context"
	"database/sql"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	vitess "github.com/dolthub/vitess/go/mysql"
	"github.com/dolthub/vitess/go/sqltypes"
	"github.com/dolthub/vitess/go/vt/proto/query"
	"github.com/dolthub/vitess/go/vt/sqlparser"
	_ "modernc.org/sqlite" // ProxySQL's tables are SQLite's

	"github.com/farmhand/terraform-provider-farmhand/internal/spec"
)

// admin stands in for ProxySQL's admin interface, which cannot be had here: SQLite tables as its documentation has them, spoken to by MySQL's
// protocol without prepared statements, and the two commands that move them to the runtime and to the disk.
// https://proxysql.com/documentation/main-runtime/
type admin struct {
	t        *testing.T
	listener *vitess.Listener
	port     int

	mu    sync.Mutex
	db    *sql.DB
	asked []string // statements that changed something
	looks int      // at what is served
}

const serversTable = `(hostgroup_id INT CHECK (hostgroup_id>=0) NOT NULL DEFAULT 0, hostname VARCHAR NOT NULL, port INT CHECK (port >= 0 AND port <= 65535) NOT NULL DEFAULT 3306,
	gtid_port INT NOT NULL DEFAULT 0, status VARCHAR CHECK (UPPER(status) IN ('ONLINE','SHUNNED','OFFLINE_SOFT', 'OFFLINE_HARD')) NOT NULL DEFAULT 'ONLINE',
	weight INT NOT NULL DEFAULT 1, max_connections INT NOT NULL DEFAULT 1000, comment VARCHAR NOT NULL DEFAULT '', PRIMARY KEY (hostgroup_id, hostname, port))`

func startAdmin(t *testing.T, port int, user, password string) *admin {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+filepath.Join(t.TempDir(), "proxysql.db"))
	if err != nil {
		t.Fatal(err)
	}
	db.SetMaxOpenConns(1)
	for _, s := range []string{"CREATE TABLE mysql_servers " + serversTable, "CREATE TABLE runtime_mysql_servers " + serversTable, "CREATE TABLE disk_mysql_servers " + serversTable,
		"CREATE TABLE mysql_replication_hostgroups (writer_hostgroup INT PRIMARY KEY, reader_hostgroup INT, check_type VARCHAR, comment VARCHAR)"} {
		if _, err := db.Exec(s); err != nil {
			t.Fatal(err)
		}
	}
	l, err := net.Listen("tcp", net.JoinHostPort(Host, strconv.Itoa(port)))
	if err != nil {
		t.Fatal(err)
	}
	a := &admin{t: t, db: db, port: l.Addr().(*net.TCPAddr).Port}
	auth := vitess.NewAuthServerStatic("", fmt.Sprintf(`{%q: [{"Password": %q}]}`, user, password), 0)
	if a.listener, err = vitess.NewFromListener(l, auth, a, 0, 0); err != nil {
		t.Fatal(err)
	}
	go a.listener.Accept()
	t.Cleanup(func() { a.listener.Close(); _ = db.Close() })
	return a
}

// ComQuery implements vitess.Handler.
func (a *admin) ComQuery(_ context.Context, _ *vitess.Conn, q string, answer vitess.ResultSpoolFn) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	move := func(from, to string) error {
		a.asked = append(a.asked, q)
		for _, s := range []string{"DELETE FROM " + to, "INSERT INTO " + to + " SELECT * FROM " + from} {
			if _, err := a.db.Exec(s); err != nil {
				return err
			}
		}
		return answer(&sqltypes.Result{}, false)
	}
	switch upper := strings.ToUpper(strings.TrimSpace(q)); {
	case upper == "LOAD MYSQL SERVERS TO RUNTIME":
		return move("mysql_servers", "runtime_mysql_servers")
	case upper == "SAVE MYSQL SERVERS TO DISK":
		return move("mysql_servers", "disk_mysql_servers")
	case strings.HasPrefix(upper, "SELECT"):
		if strings.Contains(upper, "RUNTIME_MYSQL_SERVERS") {
			a.looks++
		}
		r, err := a.rows(q)
		if err != nil {
			return err
		}
		return answer(r, false)
	case strings.Contains(upper, "INTO RUNTIME_"), strings.Contains(upper, "FROM RUNTIME_"):
		return fmt.Errorf("runtime tables are read only: %s", q)
	}
	a.asked = append(a.asked, q)
	if _, err := a.db.Exec(q); err != nil {
		return err
	}
	return answer(&sqltypes.Result{}, false)
}

func (a *admin) rows(q string) (*sqltypes.Result, error) {
	rows, err := a.db.Query(q)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	names, err := rows.Columns()
	if err != nil {
		return nil, err
	}
	r := &sqltypes.Result{}
	for _, n := range names {
		r.Fields = append(r.Fields, &query.Field{Name: n, Type: sqltypes.VarChar})
	}
	for rows.Next() {
		values, into := make([]sql.NullString, len(names)), make([]any, len(names))
		for i := range values {
			into[i] = &values[i]
		}
		if err := rows.Scan(into...); err != nil {
			return nil, err
		}
		var row []sqltypes.Value
		for _, v := range values {
			row = append(row, sqltypes.NewVarChar(v.String))
		}
		r.Rows = append(r.Rows, row)
	}
	return r, rows.Err()
}

func (a *admin) NewConnection(*vitess.Conn)                   {}
func (a *admin) ConnectionClosed(*vitess.Conn)                {}
func (a *admin) ConnectionAborted(*vitess.Conn, string) error { return nil }
func (a *admin) ComInitDB(*vitess.Conn, string) error         { return nil }
func (a *admin) WarningCount(*vitess.Conn) uint16             { return 0 }
func (a *admin) ComResetConnection(*vitess.Conn) error        { return nil }
func (a *admin) ComMultiQuery(context.Context, *vitess.Conn, string, vitess.ResultSpoolFn) (string, error) {
	return "", fmt.Errorf("one statement at a time")
}
func (a *admin) ComPrepare(context.Context, *vitess.Conn, string, *vitess.PrepareData) ([]*query.Field, error) {
	return nil, fmt.Errorf("Command not supported") //nolint:staticcheck // as ProxySQL writes it
}
func (a *admin) ComStmtExecute(context.Context, *vitess.Conn, *vitess.PrepareData, func(*sqltypes.Result) error) error {
	return fmt.Errorf("Command not supported") //nolint:staticcheck // as ProxySQL writes it
}
func (a *admin) ParserOptionsForConnection(*vitess.Conn) (sqlparser.ParserOptions, error) {
	return sqlparser.ParserOptions{}, nil
}

// has are the servers of a table, as "10 10.0.0.1:3306 w1" with the weight.
func (a *admin) has(table string) string {
	a.t.Helper()
	a.mu.Lock()
	defer a.mu.Unlock()
	r, err := a.rows("SELECT hostgroup_id, hostname, port, weight FROM " + table + " ORDER BY hostgroup_id, hostname, port")
	if err != nil {
		a.t.Fatal(err)
	}
	var all []string
	for _, row := range r.Rows {
		all = append(all, fmt.Sprintf("%s %s:%s w%s", row[0].ToString(), row[1].ToString(), row[2].ToString(), row[3].ToString()))
	}
	return strings.Join(all, ", ")
}

func (a *admin) exec(statement string) {
	a.t.Helper()
	a.mu.Lock()
	defer a.mu.Unlock()
	if _, err := a.db.Exec(statement); err != nil {
		a.t.Fatal(err)
	}
}

func (a *admin) until(want string) {
	a.t.Helper()
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if a.has("runtime_mysql_servers") == want && a.has("disk_mysql_servers") == want {
			return
		}
	}
	a.t.Fatalf("ProxySQL serves %q, and has %q on disk; want %q", a.has("runtime_mysql_servers"), a.has("disk_mysql_servers"), want)
}

func proxySQLWant(port int, primary string, replicas ...string) *Want {
	return &Want{Mode: spec.ProxySQL, Port: 6033, Primary: primary, Replicas: replicas, Admin: Admin{Port: port, Writers: 10, Readers: 20}}
}

// TestProxySQLFollowsTheTopology: rows of the two hostgroups and no others, kept where somebody tuned them, in memory, at work and on disk.
func TestProxySQLFollowsTheTopology(t *testing.T) {
	a := startAdmin(t, 0, "admin", "admin")
	a.exec("INSERT INTO mysql_servers (hostgroup_id, hostname, port) VALUES (10, '10.9.9.9', 3306), (30, '10.9.9.9', 3306)")
	a.exec("INSERT INTO mysql_servers (hostgroup_id, hostname, port, weight) VALUES (20, '10.0.0.2', 3306, 7)")
	k := &Keeper{Root: t.TempDir(), Out: io.Discard}
	apply := func(w *Want) {
		t.Helper()
		if err := k.Apply(t.Context(), w); err != nil {
			t.Fatal(err)
		}
	}
	apply(proxySQLWant(a.port, "10.0.0.1:3306", "10.0.0.2:3306", "10.0.0.3:3306"))
	a.until("10 10.0.0.1:3306 w1, 20 10.0.0.2:3306 w7, 20 10.0.0.3:3306 w1, 30 10.9.9.9:3306 w1")
	if err := k.Check(); err != nil {
		t.Error(err)
	}
	apply(proxySQLWant(a.port, "", "10.0.0.2:3306", "10.0.0.3:3306")) // nobody takes writes
	a.until("20 10.0.0.2:3306 w7, 20 10.0.0.3:3306 w1, 30 10.9.9.9:3306 w1")
	apply(proxySQLWant(a.port, "10.0.0.2:3306")) // and nobody is read from but the primary
	a.until("10 10.0.0.2:3306 w1, 20 10.0.0.2:3306 w7, 30 10.9.9.9:3306 w1")

	looked := func() (n int) { a.mu.Lock(); defer a.mu.Unlock(); return a.looks }
	k.sql.set(*k.want)
	k.sql.set(*k.want)
	for before, end := looked(), time.Now().Add(20*time.Second); looked() < before+1 && time.Now().Before(end); {
		time.Sleep(10 * time.Millisecond)
	}
	a.mu.Lock()
	told := len(a.asked)
	a.asked = nil
	a.mu.Unlock()
	k.sql.set(*k.want) // it looks again, and there is nothing to do
	for before, end := looked(), time.Now().Add(20*time.Second); looked() < before+1 && time.Now().Before(end); {
		time.Sleep(10 * time.Millisecond)
	}
	k.sql.end() // after which nothing is under way
	a.mu.Lock()
	if len(a.asked) > 0 || told == 0 {
		t.Errorf("where nothing changed it was told %q, after %d statements before", a.asked, told)
	}
	a.mu.Unlock()

	apply(nil)
	if k.Check() != nil || k.sql != nil {
		t.Errorf("it goes on: %v", k.Check())
	}
}

// TestProxySQLThatIsNotThereYet: the instance waits for nobody, its check tells, and what comes later is told its servers.
func TestProxySQLThatIsNotThereYet(t *testing.T) {
	l, err := net.Listen("tcp", Host+":0")
	if err != nil {
		t.Fatal(err)
	}
	port := l.Addr().(*net.TCPAddr).Port
	l.Close()
	root := t.TempDir()
	if err := os.WriteFile(filepath.Join(root, "proxysql.cnf"), []byte("[mysql]\nuser=nobody\n[client]\nuser = farmhand\npassword = \"a secret\"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	k := &Keeper{Root: root, Out: io.Discard}
	defer k.Stop(context.Background())
	w := proxySQLWant(port, "10.0.0.1:3306")
	w.Admin.File = "/proxysql.cnf"
	if err := k.Apply(t.Context(), w); err != nil {
		t.Fatalf("a ProxySQL that is not there is no error of the instance's: %v", err)
	}
	check := func(part string) {
		t.Helper()
		var err error
		for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
			if err = k.Check(); part == "" && err == nil || part != "" && err != nil && strings.Contains(err.Error(), part) {
				return
			}
		}
		t.Fatalf("the check says %v, want %q", err, part)
	}
	check("telling ProxySQL at 127.0.0.1:")
	a := startAdmin(t, port, "farmhand", "a secret")
	a.exec("INSERT INTO mysql_replication_hostgroups VALUES (10, 20, 'read_only', '')")
	check("mysql_replication_hostgroups has hostgroup 10 or 20")
	a.exec("DELETE FROM mysql_replication_hostgroups")
	a.until("10 10.0.0.1:3306 w1, 20 10.0.0.1:3306 w1")
	check("")
	other := *w
	other.Admin.File = ""
	if err := k.Apply(t.Context(), &other); err != nil {
		t.Fatal(err)
	}
	check("Access denied")
}
