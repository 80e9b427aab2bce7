package dbserver

import (
	"context"
	"fmt"
	"net"
	"regexp"
	"strconv"
	"strings"
)

// mariaDB is MariaDB 10.11 (10.10 brought MASTER_DEMOTE_TO_SLAVE).
type mariaDB struct{ base }

var _ Server = (*mariaDB)(nil)

func (*mariaDB) Flavor() string { return FlavorMariaDB }

// Status implements Server.
func (m *mariaDB) Status(ctx context.Context) (Status, error) {
	const what = "asking the server how it stands"
	v, err := m.one(ctx, what, `SELECT @@global.read_only AS read_only, @@global.server_id AS server_id,
		@@global.gtid_binlog_pos AS binlog_pos, @@global.gtid_slave_pos AS slave_pos, @@global.gtid_current_pos AS current_pos,
		@@global.rpl_semi_sync_master_enabled AS semi_sync`)
	if err != nil {
		return Status{}, err
	}
	r, err := m.one(ctx, what, "SHOW ALL SLAVES STATUS")
	if err != nil {
		return Status{}, err
	}
	semi, err := m.names(ctx, what, "SHOW GLOBAL STATUS LIKE 'Rpl_semi_sync%'")
	if err != nil {
		return Status{}, err
	}
	s := Status{Writable: !on(v["read_only"]), Position: farthest(v["slave_pos"], v["binlog_pos"], v["current_pos"]), Behind: -1, CaughtUp: true}
	if last := lastOf(v["binlog_pos"]); last.server == v["server_id"] && beyond(v["binlog_pos"], v["slave_pos"]) {
		s.Own = v["binlog_pos"]
	}
	s.SemiSync, s.Acks = on(v["semi_sync"]), on(semi["rpl_semi_sync_slave_status"])
	s.Clients, _ = strconv.Atoi(semi["rpl_semi_sync_master_clients"])
	s.Waiting, _ = strconv.Atoi(semi["rpl_semi_sync_master_wait_sessions"])
	s.Received = s.Position
	if r["master_host"] == "" {
		return s, nil
	}
	s.Source = net.JoinHostPort(r["master_host"], r["master_port"])
	s.Receiving, s.Connecting = r["slave_io_running"] == "Yes", r["slave_io_running"] == "Connecting" || r["slave_io_running"] == "Preparing"
	s.Applying, s.Encrypted = r["slave_sql_running"] == "Yes", r["master_ssl_allowed"] == "Yes"
	s.ReceiveError, s.ApplyError = r["last_io_error"], r["last_sql_error"]
	s.Received = farthest(s.Position, r["gtid_io_pos"])
	s.CaughtUp = !beyond(r["gtid_io_pos"], s.Position)
	// 1236: the source cannot give what comes next; 1950: what comes next is out of order. Both for good.
	s.Broken = r["last_io_errno"] == "1236" || r["last_sql_errno"] == "1950"
	if n, err := strconv.ParseFloat(r["seconds_behind_master"], 64); err == nil {
		s.Behind = n
	}
	s.Traffic = r["slave_received_heartbeats"] + " " + r["read_master_log_pos"] + " " + r["gtid_io_pos"]
	return s, nil
}

var mariaDBDialect = dialect{readOnly: "SET GLOBAL read_only = 1", kill: "KILL HARD CONNECTION "}

func (m *mariaDB) MakeReadOnly(ctx context.Context) error {
	return m.becomeReadOnly(ctx, mariaDBDialect)
}

func (m *mariaDB) MakeWritable(ctx context.Context) error {
	return m.run(ctx, "making the server writable", "SET GLOBAL read_only = 0")
}

func (m *mariaDB) EndSessions(ctx context.Context) (int, error) { return m.end(ctx, mariaDBDialect) }

// Fence implements Server. Here whoever waits for an acknowledgement waits no longer when cut off.
func (m *mariaDB) Fence(ctx context.Context) error { return m.fence(ctx, mariaDBDialect, nil) }

// Follow implements Server.
func (m *mariaDB) Follow(ctx context.Context, s Source) error {
	st, err := m.Status(ctx)
	if err != nil {
		return err
	}
	if st.Source == net.JoinHostPort(s.Host, strconv.Itoa(s.Port)) && st.Encrypted == (s.TLS != nil) && st.Own == "" {
		if (st.Receiving || st.Connecting) && st.Applying {
			return nil
		}
		// Stopped threads may have stopped by a password that is another now.
	}
	// The heartbeat's period is reset by every change. A relay log that is thrown away here is fetched again, since what
	// was applied is known by GTID; only a source that is gone could not give it again, and then Drain came before.
	change := `CHANGE MASTER TO MASTER_HOST = ?, MASTER_PORT = ?, MASTER_USER = ?, MASTER_PASSWORD = ?, MASTER_USE_GTID = slave_pos,
		MASTER_CONNECT_RETRY = 1, MASTER_HEARTBEAT_PERIOD = 1,
		MASTER_SSL = ?, MASTER_SSL_VERIFY_SERVER_CERT = ?, MASTER_SSL_CA = ?, MASTER_SSL_CERT = ?, MASTER_SSL_KEY = ?`
	if st.Own != "" {
		change += ", MASTER_DEMOTE_TO_SLAVE = 1"
	}
	if err := m.run(ctx, "stopping replication", "STOP SLAVE"); err != nil {
		return err
	}
	if err := m.exec(ctx, "naming the source "+s.Host, change, append([]any{s.Host, s.Port, s.User, s.Password}, s.tls()...)...); err != nil {
		return err
	}
	return m.run(ctx, "starting replication", "START SLAVE")
}

func (m *mariaDB) StopReceiving(ctx context.Context) error {
	return m.run(ctx, "ending the receiving", "STOP SLAVE IO_THREAD")
}

// WaitApplied polls: MASTER_GTID_WAIT would go on in the server after ctx's end.
func (m *mariaDB) WaitApplied(ctx context.Context, position string) error {
	return wait(ctx, func() (bool, error) {
		st, err := m.Status(ctx)
		if err != nil {
			return false, err
		}
		if !beyond(position, st.Position) {
			return true, nil
		}
		if st.Source != "" && !st.Applying && st.ApplyError != "" {
			return false, fmt.Errorf("applying stopped short of %s: %s", position, st.ApplyError)
		}
		return false, nil
	})
}

func (m *mariaDB) Detach(ctx context.Context) error {
	return m.run(ctx, "ending replication", "STOP SLAVE", "RESET SLAVE ALL")
}

func (m *mariaDB) Restart(ctx context.Context) error {
	return m.run(ctx, "restarting replication", "STOP SLAVE", "START SLAVE")
}

func (m *mariaDB) SemiSync(ctx context.Context, on bool) error {
	return m.run(ctx, "switching semi-synchronous replication", "SET GLOBAL rpl_semi_sync_master_enabled = "+onOff(on))
}

// Seed implements Server. What the data itself says that it has applied counts where that is farther: a replica writes it in the very
// transaction, to mysql.gtid_slave_pos, and counts it up in memory after the commit; mariabackup notes the latter.
func (m *mariaDB) Seed(ctx context.Context, position string) error {
	var applied string
	if err := m.db.QueryRowContext(ctx, "SELECT @@global.gtid_slave_pos").Scan(&applied); err != nil {
		return fmt.Errorf("asking a clone what it has applied: %w", err)
	}
	position = farthest(position, applied)
	if err := m.run(ctx, "forgetting the binary log of a clone", "STOP SLAVE", "RESET SLAVE ALL", "RESET MASTER"); err != nil {
		return err
	}
	return m.exec(ctx, "telling a clone its position", "SET GLOBAL gtid_slave_pos = ?", position)
}

func (m *mariaDB) Beyond(_ context.Context, mine, than string) (bool, error) {
	return beyond(mine, than), nil
}

// Ensure implements Server.
func (m *mariaDB) Ensure(ctx context.Context, a Accounts) error {
	made := func(user, password, requires string) (bool, error) {
		var n int
		// How a user must come is a number there: 0 as it likes, 2 with a certificate.
		err := m.db.QueryRowContext(ctx, `SELECT COUNT(*) FROM mysql.global_priv WHERE User = ? AND Host = '%'
			AND JSON_VALUE(Priv, '$.authentication_string') = PASSWORD(?)
			AND (? = '' OR IFNULL(JSON_VALUE(Priv, '$.ssl_type'), 0) = IF(? = 'X509', 2, 0))`, user, password, requires, requires).Scan(&n)
		if err != nil {
			return false, fmt.Errorf("looking for the user %s: %w", user, err)
		}
		return n > 0, nil
	}
	return m.ensure(ctx, a, made)
}

// ReloadTLS implements Server. Without LOCAL it would be a transaction of the server's own.
func (m *mariaDB) ReloadTLS(ctx context.Context) error {
	return m.run(ctx, "taking a new certificate over", "FLUSH LOCAL SSL")
}

// ensure makes what is missing. made tells whether a user has a password and must come as requires says, "" for in any way. What is there is not written again: each such statement would go to every replica, and
// wait for one.
func (b base) ensure(ctx context.Context, a Accounts, made func(user, password, requires string) (bool, error)) error {
	database := quoteName(a.Database)
	// In a grant an underscore stands for any character: app_1 would open appx1 too.
	granted := strings.ReplaceAll(database, "_", `\_`)
	ok, err := made(a.User, a.Password, "")
	if err != nil {
		return err
	}
	var there int
	if err := b.db.QueryRowContext(ctx, "SELECT COUNT(*) FROM information_schema.schemata WHERE schema_name = ?", a.Database).Scan(&there); err != nil {
		return fmt.Errorf("looking for the database %s: %w", a.Database, err)
	}
	type statement struct {
		what, query string
		args        []any
	}
	var todo []statement
	if there == 0 {
		todo = append(todo, statement{"making the database " + a.Database, "CREATE DATABASE IF NOT EXISTS " + database, nil})
	}
	if !ok || there == 0 {
		todo = append(todo,
			statement{"making the user " + a.User, "CREATE USER IF NOT EXISTS ?@'%' IDENTIFIED BY ?", []any{a.User, a.Password}},
			statement{"setting the password of " + a.User, "ALTER USER ?@'%' IDENTIFIED BY ?", []any{a.User, a.Password}},
			// Its database and nothing global: who may write to a read-only server could write to the wrong one.
			statement{"granting the database to " + a.User, "GRANT ALL PRIVILEGES ON " + granted + ".* TO ?@'%'", []any{a.User}},
			// Debian's may have nameless users, and one for a host goes before ours for any host.
			statement{"removing nameless users", "DROP USER IF EXISTS ''@'localhost', ''@'%'", nil})
	}
	if a.ReplicaUser != "" && a.ReplicaPassword != "" {
		requires := "NONE"
		if a.ReplicaTLS != (TLS{}) {
			requires = "X509"
		}
		ok, err := made(a.ReplicaUser, a.ReplicaPassword, requires)
		if err != nil {
			return err
		}
		if !ok {
			todo = append(todo,
				statement{"making the user of replicas", "CREATE USER IF NOT EXISTS ?@'%' IDENTIFIED BY ?", []any{a.ReplicaUser, a.ReplicaPassword}},
				statement{"setting the password of replicas", "ALTER USER ?@'%' IDENTIFIED BY ? REQUIRE " + requires, []any{a.ReplicaUser, a.ReplicaPassword}},
				statement{"granting replication", "GRANT REPLICATION SLAVE ON *.* TO ?@'%'", []any{a.ReplicaUser}})
		}
	}
	for _, s := range todo {
		if err := b.exec(ctx, s.what, s.query, s.args...); err != nil {
			return err
		}
	}
	return nil
}

// variableName keeps what comes from a declaration from being anything but a name.
var variableName = regexp.MustCompile(`^[a-z][a-z0-9_]*$`)

func (b base) Set(ctx context.Context, variable, value string) error {
	if !variableName.MatchString(variable) {
		return fmt.Errorf("setting %q: that is no variable's name", variable)
	}
	var v any = value
	if n, err := strconv.ParseInt(value, 10, 64); err == nil {
		v = n // numbers are not taken in quotes
	} else if f, err := strconv.ParseFloat(value, 64); err == nil {
		v = f
	}
	return b.exec(ctx, "setting "+variable, "SET GLOBAL "+variable+" = ?", v)
}

func (b base) SetDefault(ctx context.Context, variable string) error {
	if !variableName.MatchString(variable) {
		return fmt.Errorf("setting %q: that is no variable's name", variable)
	}
	return b.exec(ctx, "resetting "+variable, "SET GLOBAL "+variable+" = DEFAULT")
}

func onOff(on bool) string {
	if on {
		return "ON"
	}
	return "OFF"
}

// gtid is one of MariaDB's: domain-server-sequence.
type gtid struct {
	domain, server string
	seq            uint64
}

// parse reads a position: one gtid a domain. What is none is left out.
func parse(position string) map[string]gtid {
	m := map[string]gtid{}
	for part := range strings.SplitSeq(position, ",") {
		f := strings.Split(strings.TrimSpace(part), "-")
		if len(f) != 3 {
			continue
		}
		if seq, err := strconv.ParseUint(f[2], 10, 64); err == nil {
			m[f[0]] = gtid{f[0], f[1], seq}
		}
	}
	return m
}

// beyond tells whether in any domain mine is farther than than.
func beyond(mine, than string) bool {
	other := parse(than)
	for domain, g := range parse(mine) {
		if g.seq > other[domain].seq {
			return true
		}
	}
	return false
}

// farthest is, of positions of one history with one domain, the one that holds all others; the first of equals.
func farthest(positions ...string) string {
	far := ""
	for _, p := range positions {
		if beyond(p, far) {
			far = p
		}
	}
	return far
}

// lastOf is the only gtid of a position with one domain, the zero value otherwise.
func lastOf(position string) gtid {
	m := parse(position)
	if len(m) == 1 {
		for _, g := range m {
			return g
		}
	}
	return gtid{}
}
