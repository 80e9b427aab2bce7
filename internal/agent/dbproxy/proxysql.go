package dbproxy

import (
	"context"
	"database/sql"
	"fmt"
	"io"
	"maps"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/go-sql-driver/mysql"
)

const (
	// adminEvery is how often ProxySQL's tables are compared with the topology while nothing changes: it may be restarted, or changed
	// by hand.
	adminEvery = 10 * time.Second
	// adminTime bounds one comparison.
	adminTime = 5 * time.Second
)

// Admin is where a ProxySQL is told its servers, and as what. https://proxysql.com/documentation/main-runtime/#mysql_servers
type Admin struct {
	Port             int    // of its admin interface, at Host
	File             string // option file with user and password under [client]; "": admin, admin, as ProxySQL comes
	Writers, Readers int    // hostgroups
}

// proxySQL keeps the admin tables of a ProxySQL on this instance in step with the topology. ProxySQL itself is somebody else's: it may come
// later than the application, and go.
type proxySQL struct {
	root string
	say  func(format string, args ...any)
	stop context.CancelFunc
	done chan struct{}
	kick chan struct{}

	mu   sync.Mutex
	want Want
	err  error
}

func newProxySQL(root string, w Want, say func(string, ...any)) *proxySQL {
	ctx, stop := context.WithCancel(context.Background())
	p := &proxySQL{root: root, say: say, stop: stop, done: make(chan struct{}), kick: make(chan struct{}, 1), want: w, err: fmt.Errorf("ProxySQL was not told its servers yet")}
	go p.run(ctx)
	return p
}

// set changes what ProxySQL is to be told.
func (p *proxySQL) set(w Want) {
	p.mu.Lock()
	p.want = w
	p.mu.Unlock()
	select {
	case p.kick <- struct{}{}:
	default:
	}
}

// check is nil while ProxySQL's servers are those of the topology.
func (p *proxySQL) check() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.err
}

func (p *proxySQL) end() {
	p.stop()
	<-p.done
}

func (p *proxySQL) run(ctx context.Context) {
	defer close(p.done)
	for said := ""; ; {
		p.mu.Lock()
		w := p.want
		p.mu.Unlock()
		changed, err := p.tell(ctx, w)
		if ctx.Err() != nil {
			return
		}
		p.mu.Lock()
		p.err = err
		p.mu.Unlock()
		switch {
		case err != nil && err.Error() != said:
			said = err.Error()
			p.say("%v; trying again", err)
		case err == nil:
			if said != "" || changed {
				p.say("ProxySQL has its servers: writes go to %s", orNobody(w.Primary))
			}
			said = ""
		}
		wait := adminEvery
		if err != nil {
			wait = time.Second
		}
		select {
		case <-ctx.Done():
			return
		case <-p.kick:
		case <-time.After(wait):
		}
	}
}

func orNobody(address string) string {
	if address == "" {
		return "nobody"
	}
	return address
}

// hosted is a row of mysql_servers as far as it is ours: weights and limits that somebody gave a server stay.
type hosted struct {
	group int
	host  string
	port  int
}

func (l hosted) where() string {
	return fmt.Sprintf("hostgroup_id = %d AND hostname = %s AND port = %d", l.group, quoted(l.host), l.port)
}

// quoted is a word in ProxySQL's notation, which is SQLite's.
func quoted(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }

// places are the rows that w asks for. Where no replica may be read from, the primary is.
func places(w Want) map[hosted]bool {
	all := map[hosted]bool{}
	add := func(group int, address string) {
		host, port, err := net.SplitHostPort(address)
		n, _ := strconv.Atoi(port)
		if err == nil {
			all[hosted{group, host, n}] = true
		}
	}
	if w.Primary != "" {
		add(w.Admin.Writers, w.Primary)
	}
	readers := w.Replicas
	if len(readers) == 0 && w.Primary != "" {
		readers = []string{w.Primary}
	}
	for _, r := range readers {
		add(w.Admin.Readers, r)
	}
	return all
}

// tell makes ProxySQL's tables say what w does, in memory, at work and on disk.
func (p *proxySQL) tell(ctx context.Context, w Want) (changed bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, adminTime)
	defer cancel()
	address := net.JoinHostPort(Host, strconv.Itoa(w.Admin.Port))
	defer func() {
		if err != nil {
			err = fmt.Errorf("telling ProxySQL at %s its servers: %w", address, err)
		}
	}()
	db, err := p.open(w.Admin, address)
	if err != nil {
		return false, err
	}
	defer db.Close()
	if err := unmanaged(ctx, db, w.Admin); err != nil {
		return false, err
	}
	want := places(w)
	table, err := served(ctx, db, "mysql_servers", w.Admin)
	if err != nil {
		return false, err
	}
	runtime, err := served(ctx, db, "runtime_mysql_servers", w.Admin)
	if err != nil {
		return false, err
	}
	if maps.Equal(table, want) && maps.Equal(runtime, want) {
		return false, nil
	}
	var statements []string
	for l := range table {
		if !want[l] {
			statements = append(statements, "DELETE FROM mysql_servers WHERE "+l.where())
		}
	}
	for l := range want {
		if !table[l] {
			statements = append(statements, fmt.Sprintf("INSERT INTO mysql_servers (hostgroup_id, hostname, port, comment) VALUES (%d, %s, %d, 'farmhand')", l.group, quoted(l.host), l.port))
		}
	}
	slices.Sort(statements) // DELETE before INSERT
	for _, s := range append(statements, "LOAD MYSQL SERVERS TO RUNTIME", "SAVE MYSQL SERVERS TO DISK") {
		if _, err := db.ExecContext(ctx, s); err != nil {
			return false, fmt.Errorf("%s: %w", s, err)
		}
	}
	return true, nil
}

// served are the rows of a table in our hostgroups. A server that was taken away is in the runtime's table until its last session ends.
func served(ctx context.Context, db *sql.DB, table string, a Admin) (map[hosted]bool, error) {
	rows, err := db.QueryContext(ctx, fmt.Sprintf("SELECT hostgroup_id, hostname, port FROM %s WHERE hostgroup_id IN (%d, %d) AND status <> 'OFFLINE_HARD'", table, a.Writers, a.Readers))
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	all := map[hosted]bool{}
	for rows.Next() {
		var l hosted
		if err := rows.Scan(&l.group, &l.host, &l.port); err != nil {
			return nil, err
		}
		all[l] = true
	}
	return all, rows.Err()
}

// unmanaged fails where ProxySQL moves servers between the hostgroups by itself, by their read_only: two who decide are none.
func unmanaged(ctx context.Context, db *sql.DB, a Admin) error {
	var n int
	err := db.QueryRowContext(ctx, fmt.Sprintf("SELECT COUNT(*) FROM mysql_replication_hostgroups WHERE writer_hostgroup IN (%[1]d, %[2]d) OR reader_hostgroup IN (%[1]d, %[2]d)", a.Writers, a.Readers)).Scan(&n)
	if err != nil {
		return err
	}
	if n > 0 {
		return fmt.Errorf("its mysql_replication_hostgroups has hostgroup %d or %d, so that it moves servers by itself: delete that row, or name other hostgroups", a.Writers, a.Readers)
	}
	return nil
}

func (p *proxySQL) open(a Admin, address string) (*sql.DB, error) {
	c := mysql.NewConfig()
	c.User, c.Passwd, c.Net, c.Addr = "admin", "admin", "tcp", address
	c.InterpolateParams = true // it prepares no statements
	c.Timeout, c.ReadTimeout, c.Logger = 2*time.Second, adminTime, &mysql.NopLogger{}
	if a.File != "" {
		var err error
		if c.User, c.Passwd, err = clientOptions(filepath.Join(p.root, a.File)); err != nil {
			return nil, err
		}
	}
	connector, err := mysql.NewConnector(c)
	if err != nil {
		return nil, err
	}
	return sql.OpenDB(connector), nil
}

// clientOptions reads user and password of an option file's [client] part, as mysql --defaults-file does.
func clientOptions(path string) (user, password string, err error) {
	f, err := os.Open(path)
	if err != nil {
		return "", "", err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, 64<<10))
	if err != nil {
		return "", "", err
	}
	section := ""
	for line := range strings.Lines(string(b)) {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "[") {
			section = line
			continue
		}
		name, value, _ := strings.Cut(line, "=")
		value = strings.Trim(strings.TrimSpace(value), `"'`)
		switch name = strings.TrimSpace(name); {
		case section != "[client]":
		case name == "user":
			user = value
		case name == "password":
			password = value
		}
	}
	if user == "" {
		return "", "", fmt.Errorf("%s names no user under [client]", path)
	}
	return user, password, nil
}
