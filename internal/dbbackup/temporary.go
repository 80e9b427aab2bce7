package dbbackup

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/go-sql-driver/mysql"

	"github.com/farmhand/terraform-provider-farmhand/internal/behavior"
	"github.com/farmhand/terraform-provider-farmhand/internal/dbserver"
)

// Temporary is a server on restored data, that nobody but us can reach.
type Temporary struct {
	service behavior.Service
	db      *sql.DB
	socket  string
	run     string
}

// stopTime bounds the stop of a temporary server.
const stopTime = time.Minute

// Start starts a server on Dir, with the configuration of the one that the data is for and next to no memory.
func (r Restorer) Start(ctx context.Context) (*Temporary, error) {
	run, err := os.MkdirTemp("", "farmhand-restore-") // a socket's path may have 107 bytes
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(run, 0o755); err != nil {
		return nil, err
	}
	if r.Own != nil {
		if err := r.Own(run); err != nil {
			return nil, err
		}
	}
	t := &Temporary{socket: filepath.Join(run, "sock"), run: run}
	err = t.service.Start(ctx, r.Run, "mariadbd", "--defaults-file="+r.Config, "--datadir="+r.Dir, "--socket="+t.socket, "--pid-file="+filepath.Join(run, "pid"),
		"--skip-networking", "--skip-slave-start", "--read-only=OFF", "--server-id=2147483647", "--innodb-buffer-pool-size=32M",
		"--sync-binlog=0", "--innodb-flush-log-at-trx-commit=0", "--rpl-semi-sync-slave-enabled=OFF", "--max-connections=10", "--init-rpl-role=MASTER")
	if err != nil {
		_ = os.RemoveAll(run)
		return nil, fmt.Errorf("starting the restored data: %w", err)
	}
	c := mysql.NewConfig()
	c.User, c.Net, c.Addr, c.InterpolateParams = "root", "unix", t.socket, true
	c.Logger = mysql.Logger(&mysql.NopLogger{}) // while it comes up, every refused connection would be a line
	connector, err := mysql.NewConnector(c)
	if err != nil {
		return nil, err
	}
	t.db = sql.OpenDB(connector)
	t.db.SetMaxOpenConns(2)
	if err := t.service.Await(ctx, t.db.PingContext); err != nil {
		return nil, errors.Join(fmt.Errorf("starting the restored data: %w", err), t.Stop(context.WithoutCancel(ctx)))
	}
	return t, nil
}

// DB is its administrator's connection.
func (t *Temporary) DB() *sql.DB { return t.db }

// Socket is the path of its socket, the only way to it.
func (t *Temporary) Socket() string { return t.socket }

// Stop ends it cleanly, so that nothing is to be recovered.
func (t *Temporary) Stop(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, stopTime)
	defer cancel()
	if t.db != nil {
		_ = t.db.Close()
	}
	const terminate = 15
	err := t.service.Stop(ctx, terminate)
	return errors.Join(err, os.RemoveAll(t.run))
}

// farther is the position, or what the data itself says that it has applied, if that is farther: see Position.
func (t *Temporary) farther(ctx context.Context, position string) (string, error) {
	var applied string
	if err := t.db.QueryRowContext(ctx, "SELECT @@global.gtid_slave_pos").Scan(&applied); err != nil {
		return "", fmt.Errorf("asking the restored server what it has applied: %w", err)
	}
	if !dbserver.Holds(position, applied) {
		return applied, nil
	}
	return position, nil
}

// seed makes the data's position known to the server, whose own log begins there.
func (t *Temporary) seed(ctx context.Context, position string) error {
	for _, q := range []string{"STOP ALL SLAVES", "RESET SLAVE ALL", "RESET MASTER", "SET GLOBAL gtid_slave_pos = '" + strings.ReplaceAll(position, "'", "") + "'"} {
		if _, err := t.db.ExecContext(ctx, q); err != nil {
			return fmt.Errorf("telling the restored server its position: %w", err)
		}
	}
	return nil
}

// settle ends the restore at a position: what the server writes from now on is a history of its own, whose first transaction has the
// number next. The data says that it is of that one: what was replayed bears other servers' ids, and gtid_current_pos, by which
// mariabackup tells where a clone of it stands, leaves such transactions of the binary log out.
func (t *Temporary) settle(ctx context.Context, position string, next uint64) error {
	domain, _, _ := strings.Cut(position, "-")
	if _, err := strconv.ParseUint(domain, 10, 32); err != nil {
		return fmt.Errorf("noting the restored server's position: it is %q", position)
	}
	c, err := t.db.Conn(ctx) // one session: the numbers are its own
	if err != nil {
		return fmt.Errorf("noting the restored server's position: %w", err)
	}
	defer c.Close()
	for _, q := range []string{
		"RESET MASTER", // a log that held both histories would tell of numbers in between
		"SET GLOBAL gtid_slave_pos = '" + strings.ReplaceAll(position, "'", "") + "'",
		"SET SESSION gtid_domain_id = " + domain,
		fmt.Sprintf("SET SESSION gtid_seq_no = %d", next),
		"FLUSH PRIVILEGES", // goes into the log, and harms nothing: a server whose log is empty cannot tell where it stands
		"SET GLOBAL gtid_slave_pos = @@gtid_binlog_pos",
	} {
		if _, err := c.ExecContext(ctx, q); err != nil {
			return fmt.Errorf("noting the restored server's position: %w", err)
		}
	}
	return nil
}

// look notes what the data holds.
func (t *Temporary) look(ctx context.Context, done *Restored) error {
	for query, into := range map[string]*[]string{
		"SELECT SCHEMA_NAME FROM information_schema.SCHEMATA WHERE SCHEMA_NAME NOT IN ('mysql', 'sys', 'information_schema', 'performance_schema') ORDER BY 1": &done.Databases,
		"SELECT DISTINCT User FROM mysql.user WHERE Host <> 'localhost' AND User <> '' ORDER BY 1":                                                             &done.Users,
	} {
		rows, err := t.db.QueryContext(ctx, query)
		if err != nil {
			return fmt.Errorf("looking what the restored data holds: %w", err)
		}
		defer rows.Close()
		for rows.Next() {
			var name string
			if err := rows.Scan(&name); err != nil {
				return fmt.Errorf("looking what the restored data holds: %w", err)
			}
			*into = append(*into, name)
		}
		if err := rows.Err(); err != nil {
			return fmt.Errorf("looking what the restored data holds: %w", err)
		}
	}
	return nil
}

func (t *Temporary) position(ctx context.Context) (string, error) {
	var p string
	// Not gtid_current_pos, which leaves out what other servers wrote: all that is replayed.
	if err := t.db.QueryRowContext(ctx, "SELECT COALESCE(NULLIF(@@gtid_binlog_pos, ''), @@gtid_slave_pos)").Scan(&p); err != nil {
		return "", fmt.Errorf("asking the restored server's position: %w", err)
	}
	if p == "" {
		return "", errors.New("the restored server has no position")
	}
	return p, nil
}
