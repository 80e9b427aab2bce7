package dbserver

import (
	"context"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"
)

// mySQL is MySQL from 8.4 on, which knows SHOW REPLICA STATUS and no more of what it replaced. The plugins semisync_source and
// semisync_replica are to be loaded.
type mySQL struct{ base }

var _ Server = (*mySQL)(nil)

func (*mySQL) Flavor() string { return FlavorMySQL }

// Status implements Server.
func (m *mySQL) Status(ctx context.Context) (Status, error) {
	const what = "asking the server how it stands"
	v, err := m.one(ctx, what, `SELECT @@global.super_read_only AS super_read_only, @@global.read_only AS read_only,
		@@global.gtid_executed AS executed, @@global.server_uuid AS server_uuid, @@global.rpl_semi_sync_source_enabled AS semi_sync`)
	if err != nil {
		return Status{}, err
	}
	v["executed"] = oneLine(v["executed"])
	r, err := m.one(ctx, what, "SHOW REPLICA STATUS")
	if err != nil {
		return Status{}, err
	}
	semi, err := m.names(ctx, what, "SHOW GLOBAL STATUS LIKE 'Rpl_semi_sync%'")
	if err != nil {
		return Status{}, err
	}
	s := Status{Writable: !on(v["read_only"]), Position: v["executed"], Received: v["executed"], Behind: -1, CaughtUp: true}
	if s.Own, err = m.written(ctx, v["executed"], v["server_uuid"]); err != nil {
		return Status{}, err
	}
	s.SemiSync, s.Acks = on(v["semi_sync"]), on(semi["rpl_semi_sync_replica_status"])
	s.Clients, _ = strconv.Atoi(semi["rpl_semi_sync_source_clients"])
	s.Waiting, _ = strconv.Atoi(semi["rpl_semi_sync_source_wait_sessions"])
	if r["source_host"] == "" {
		return s, nil
	}
	if id := r["source_uuid"]; id != "" {
		err := m.db.QueryRowContext(ctx, "SELECT GTID_SUBTRACT(?, CONCAT(?, ',', ?))", v["executed"], allOf(v["server_uuid"]), allOf(id)).Scan(&s.Others)
		if err != nil {
			return Status{}, fmt.Errorf("asking the server what it has of others: %w", err)
		}
		s.Others = oneLine(s.Others)
	}
	s.Source = net.JoinHostPort(r["source_host"], r["source_port"])
	s.Receiving, s.Connecting = r["replica_io_running"] == "Yes", r["replica_io_running"] == "Connecting"
	s.Applying, s.Encrypted = r["replica_sql_running"] == "Yes", r["source_ssl_allowed"] == "Yes"
	s.ReceiveError, s.ApplyError = r["last_io_error"], r["last_sql_error"]
	s.Broken = r["last_io_errno"] == "1236" || r["last_io_errno"] == "13114"
	if n, err := strconv.ParseFloat(r["seconds_behind_source"], 64); err == nil {
		s.Behind = n
	}
	// Sets are added and compared by the server, which alone knows them all in one notation.
	if r["retrieved_gtid_set"] != "" {
		var received, missing string
		err := m.db.QueryRowContext(ctx, "SELECT GTID_SUBTRACT(CONCAT(?, ',', ?), ''), GTID_SUBTRACT(?, ?)",
			v["executed"], r["retrieved_gtid_set"], r["retrieved_gtid_set"], v["executed"]).Scan(&received, &missing)
		if err != nil {
			return Status{}, err
		}
		s.Received, s.CaughtUp = oneLine(received), missing == ""
	}
	// The heartbeats of the default channel are counted in the performance schema alone.
	h, err := m.one(ctx, what, `SELECT COUNT_RECEIVED_HEARTBEATS AS heartbeats FROM performance_schema.replication_connection_status WHERE CHANNEL_NAME = ''`)
	if err != nil {
		return Status{}, err
	}
	s.Traffic = h["heartbeats"] + " " + r["read_source_log_pos"] + " " + r["retrieved_gtid_set"]
	return s, nil
}

// written is the part of the executed set that the server of that uuid wrote itself. No two servers' data have one uuid: it is
// neither cloned nor copied.
func (m *mySQL) written(ctx context.Context, executed, uuid string) (string, error) {
	if uuid == "" || !strings.Contains(executed, uuid) {
		return "", nil
	}
	var own string
	// All of a server's numbers, less those that were executed, are those that were not.
	err := m.db.QueryRowContext(ctx, "SELECT GTID_SUBTRACT(?, GTID_SUBTRACT(?, ?))", allOf(uuid), allOf(uuid), executed).Scan(&own)
	if err != nil {
		return "", fmt.Errorf("asking the server what it wrote itself: %w", err)
	}
	return oneLine(own), nil
}

// allOf is whatever the server of that uuid may write.
func allOf(uuid string) string { return uuid + ":1-9223372036854775806" }

// oneLine is a set without the line breaks that the server writes between the parts of one.
func oneLine(set string) string { return strings.ReplaceAll(set, "\n", "") }

var mySQLDialect = dialect{readOnly: "SET GLOBAL super_read_only = ON", kill: "KILL CONNECTION "}

func (m *mySQL) MakeReadOnly(ctx context.Context) error { return m.becomeReadOnly(ctx, mySQLDialect) }

func (m *mySQL) MakeWritable(ctx context.Context) error {
	return m.run(ctx, "making the server writable", "SET GLOBAL super_read_only = OFF", "SET GLOBAL read_only = OFF")
}

func (m *mySQL) EndSessions(ctx context.Context) (int, error) { return m.end(ctx, mySQLDialect) }

// Fence implements Server. Here whoever waits for an acknowledgement goes on waiting when cut off, and holds the change up, until
// semi-synchronous replication is off for a moment.
func (m *mySQL) Fence(ctx context.Context) error { return m.fence(ctx, mySQLDialect, m.release) }

func (m *mySQL) release(ctx context.Context) error {
	all, err := m.connections(ctx)
	if err != nil {
		return err
	}
	cut := 0
	for _, c := range all {
		if c.awaitsAcknowledgement() {
			if c.command != "Killed" {
				return nil // an administrator's own, who is there to be told that it succeeded
			}
			cut++
		}
	}
	if cut == 0 {
		return nil
	}
	if err := m.SemiSync(ctx, false); err != nil {
		return err
	}
	again, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancel()
	return m.SemiSync(again, true)
}

// Follow implements Server. Auto position asks the source for all that gtid_executed lacks: nothing is to be done about
// a former primary's own transactions.
func (m *mySQL) Follow(ctx context.Context, s Source) error {
	st, err := m.Status(ctx)
	if err != nil {
		return err
	}
	if st.Source == net.JoinHostPort(s.Host, strconv.Itoa(s.Port)) && st.Encrypted == (s.TLS != nil) && (st.Receiving || st.Connecting) && st.Applying {
		return nil
	}
	if err := m.run(ctx, "stopping replication", "STOP REPLICA"); err != nil {
		return err
	}
	err = m.exec(ctx, "naming the source "+s.Host, `CHANGE REPLICATION SOURCE TO SOURCE_HOST = ?, SOURCE_PORT = ?, SOURCE_USER = ?,
		SOURCE_PASSWORD = ?, SOURCE_AUTO_POSITION = 1, SOURCE_CONNECT_RETRY = 1, SOURCE_RETRY_COUNT = 86400,
		SOURCE_HEARTBEAT_PERIOD = 1, GET_SOURCE_PUBLIC_KEY = 1,
		SOURCE_SSL = ?, SOURCE_SSL_VERIFY_SERVER_CERT = ?, SOURCE_SSL_CA = ?, SOURCE_SSL_CERT = ?, SOURCE_SSL_KEY = ?`,
		append([]any{s.Host, s.Port, s.User, s.Password}, s.tls()...)...)
	if err != nil {
		return err
	}
	return m.run(ctx, "starting replication", "START REPLICA")
}

func (m *mySQL) StopReceiving(ctx context.Context) error {
	return m.run(ctx, "ending the receiving", "STOP REPLICA IO_THREAD")
}

func (m *mySQL) WaitApplied(ctx context.Context, position string) error {
	return wait(ctx, func() (bool, error) {
		var held bool
		err := m.db.QueryRowContext(ctx, "SELECT GTID_SUBSET(?, @@global.gtid_executed)", position).Scan(&held)
		if held || err != nil {
			return held, err
		}
		r, err := m.one(ctx, "asking how far the server has applied", "SHOW REPLICA STATUS")
		if err == nil && r["replica_sql_running"] == "No" && r["last_sql_error"] != "" {
			err = fmt.Errorf("applying stopped short of %s: %s", position, r["last_sql_error"])
		}
		return false, err
	})
}

func (m *mySQL) Detach(ctx context.Context) error {
	return m.run(ctx, "ending replication", "STOP REPLICA", "RESET REPLICA ALL")
}

func (m *mySQL) Restart(ctx context.Context) error {
	return m.run(ctx, "restarting replication", "STOP REPLICA", "START REPLICA")
}

func (m *mySQL) SemiSync(ctx context.Context, on bool) error {
	return m.run(ctx, "switching semi-synchronous replication", "SET GLOBAL rpl_semi_sync_source_enabled = "+onOff(on))
}

// Seed implements Server. What the data itself has executed counts where that holds position.
func (m *mySQL) Seed(ctx context.Context, position string) error {
	err := m.db.QueryRowContext(ctx, "SELECT IF(GTID_SUBSET(?, @@global.gtid_executed), @@global.gtid_executed, ?)", position, position).Scan(&position)
	if err != nil {
		return fmt.Errorf("asking a clone what it has applied: %w", err)
	}
	if err := m.run(ctx, "forgetting the binary log of a clone", "STOP REPLICA", "RESET REPLICA ALL", "RESET BINARY LOGS AND GTIDS"); err != nil {
		return err
	}
	return m.exec(ctx, "telling a clone its position", "SET GLOBAL gtid_purged = ?", position)
}

func (m *mySQL) Beyond(ctx context.Context, mine, than string) (bool, error) {
	var within bool
	err := m.db.QueryRowContext(ctx, "SELECT GTID_SUBSET(?, ?)", mine, than).Scan(&within)
	return !within, err
}

// ReloadTLS implements Server. MySQL does not write it to the binary log.
func (m *mySQL) ReloadTLS(ctx context.Context) error {
	return m.run(ctx, "taking a new certificate over", "ALTER INSTANCE RELOAD TLS")
}
