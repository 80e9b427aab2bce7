package sqlproxy

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	driver "github.com/go-sql-driver/mysql"
)

// servedBy is the server_id of who answers a plain read, from a table that is not replicated.
func servedBy(t testing.TB, q interface {
	QueryRowContext(context.Context, string, ...any) *sql.Row
}) int {
	t.Helper()
	var id int
	if err := q.QueryRowContext(t.Context(), "SELECT id FROM whoami").Scan(&id); err != nil {
		t.Fatal(err)
	}
	return id
}

func prepareWorld(t testing.TB, w *world) {
	w.servers[0].exec(t, "CREATE TABLE app.t (id INT AUTO_INCREMENT PRIMARY KEY, v INT, b LONGBLOB)")
	for i, m := range w.servers {
		eventually(t, "the database is replicated", func() error { _, err := m.root.Exec("DO (SELECT COUNT(*) FROM app.t)"); return err })
		m.exec(t, fmt.Sprintf("SET STATEMENT sql_log_bin=0 FOR CREATE TABLE app.whoami AS SELECT %d AS id", i+1))
	}
}

func TestRealServers(t *testing.T) {
	w := newWorld(t, 2)
	prepareWorld(t, w)
	p, address := w.proxy(func(c *Config) { c.MaxPacket = 40 << 20 })
	eventually(t, "the position is known", func() error {
		if !p.positions.get().known {
			return errors.New("unknown")
		}
		return nil
	})

	t.Run("splits", func(t *testing.T) {
		db := open(t, address, "")
		c, err := db.Conn(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		eventually(t, "a replica answers", func() error {
			if id := servedBy(t, c); id == 1 {
				return errors.New("the primary does")
			}
			return nil
		})
		if _, err := c.ExecContext(t.Context(), "BEGIN"); err != nil {
			t.Fatal(err)
		}
		if id := servedBy(t, c); id != 1 {
			t.Errorf("in a transaction server %d answers", id)
		}
		if _, err := c.ExecContext(t.Context(), "COMMIT"); err != nil {
			t.Fatal(err)
		}
		if id := servedBy(t, c); id == 1 {
			t.Error("after the transaction the primary answers")
		}
		var zone string
		if _, err := c.ExecContext(t.Context(), "SET time_zone = '+03:00'"); err != nil {
			t.Fatal(err)
		}
		if err := c.QueryRowContext(t.Context(), "SELECT TIMEDIFF(NOW(), UTC_TIMESTAMP())").Scan(&zone); err != nil || zone != "03:00:00" {
			t.Errorf("on a replica the time zone is %q, %v", zone, err)
		}
		if _, err := c.ExecContext(t.Context(), "CREATE TEMPORARY TABLE tmp (a INT)"); err != nil {
			t.Fatal(err)
		}
		if id := servedBy(t, c); id != 1 {
			t.Errorf("with a temporary table server %d answers", id)
		}
	})

	t.Run("large and strange", func(t *testing.T) {
		db := open(t, address, "maxAllowedPacket=0&multiStatements=true&interpolateParams=true")
		big := bytes.Repeat([]byte("0123456789abcdef"), 17<<16) // 17 MB: two packets
		if _, err := db.Exec("INSERT INTO t (v, b) VALUES (1, ?)", big); err != nil {
			t.Fatal(err)
		}
		var got []byte
		if err := db.QueryRow("SELECT b FROM t WHERE v = 1").Scan(&got); err != nil || !bytes.Equal(got, big) {
			t.Fatalf("%d bytes came back of %d: %v", len(got), len(big), err)
		}
		var null sql.NullString
		if err := db.QueryRow("SELECT NULL").Scan(&null); err != nil || null.Valid {
			t.Errorf("NULL is %v, %v", null, err)
		}
		rows, err := db.Query("SELECT 1; SELECT 2; SELECT 'ü'")
		if err != nil {
			t.Fatal(err)
		}
		results := ""
		for more := true; more; more = rows.NextResultSet() {
			for rows.Next() {
				var s string
				rows.Scan(&s)
				results += s
			}
		}
		if rows.Close(); results != "12ü" {
			t.Errorf("several results are %q", results)
		}
		st, err := db.Prepare("SELECT ? + v FROM t WHERE id = ?")
		if err != nil {
			t.Fatal(err)
		}
		defer st.Close()
		var n int
		if err := st.QueryRow(41, 1).Scan(&n); err != nil || n != 42 {
			t.Errorf("a prepared statement says %d, %v", n, err)
		}
		var refused *driver.MySQLError
		if _, err := db.Exec("SELECT * FROM nowhere"); !errors.As(err, &refused) || refused.Number != 1146 {
			t.Errorf("an unknown table: %v", err)
		}
	})

	t.Run("wrong password", func(t *testing.T) {
		db, _ := sql.Open("mysql", "app:wrong@tcp("+address+")/app")
		defer db.Close()
		var refused *driver.MySQLError
		if err := db.Ping(); !errors.As(err, &refused) || refused.Number != 1045 {
			t.Errorf("a wrong password: %v", err)
		}
	})

	t.Run("own writes while replicas lag", func(t *testing.T) {
		db := open(t, address, "interpolateParams=true")
		ctx, stop := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				r := w.servers[1+i%2].root
				r.Exec("STOP SLAVE SQL_THREAD")
				time.Sleep(100 * time.Millisecond) // the lag that is wanted
				r.Exec("START SLAVE SQL_THREAD")
				time.Sleep(50 * time.Millisecond)
			}
		})
		var stale, done atomic.Int64
		var writers sync.WaitGroup
		until := time.Now().Add(checkTime())
		for g := range 8 {
			writers.Go(func() {
				for i := 1; time.Now().Before(until); i++ {
					id := 1000 + g
					if _, err := db.Exec("INSERT INTO t (id, v) VALUES (?, ?) ON DUPLICATE KEY UPDATE v = VALUES(v)", id, i); err != nil {
						t.Error(err)
						return
					}
					var v int
					if err := db.QueryRow("SELECT v FROM t WHERE id = ?", id).Scan(&v); err != nil || v != i {
						stale.Add(1)
					}
					done.Add(1)
				}
			})
		}
		writers.Wait()
		stop()
		wg.Wait()
		st := p.Status()
		t.Logf("%d pairs, %d stale; %+v", done.Load(), stale.Load(), st.Backends)
		if stale.Load() != 0 || done.Load() == 0 {
			t.Errorf("%d stale reads of %d", stale.Load(), done.Load())
		}
	})

	t.Run("a replica is killed", func(t *testing.T) {
		db := open(t, address, "")
		load(t, db, "SELECT id FROM whoami", func() {
			w.servers[2].kill()
			time.Sleep(500 * time.Millisecond) // under load
		})
		w.servers[2].start()
	})

	t.Run("a planned switch", func(t *testing.T) {
		old, next := w.servers[0], w.servers[1]
		db := open(t, address, "interpolateParams=true")
		load(t, db, "INSERT INTO t (v) VALUES (7)", func() {
			b := w.backends()
			old.exec(t, "SET GLOBAL read_only=1")
			time.Sleep(20 * time.Millisecond)
			old.root.Exec("KILL USER app")
			var pos string
			if err := old.root.QueryRow("SELECT @@gtid_binlog_pos").Scan(&pos); err != nil {
				t.Error(err)
			}
			var reached int
			if err := next.root.QueryRow("SELECT MASTER_GTID_WAIT(?, 10)", pos).Scan(&reached); err != nil || reached != 0 {
				t.Errorf("the next primary did not catch up: %d, %v", reached, err)
			}
			next.exec(t, "STOP SLAVE", "RESET SLAVE ALL", "SET GLOBAL read_only=0")
			b.Term, b.Primary, b.Replicas = 2, next.address, nil
			if err := p.Update(b); err != nil {
				t.Error(err)
			}
			time.Sleep(500 * time.Millisecond) // under load
		})
		if st := p.Status(); st.Unknown != 0 || st.Primary != next.address {
			t.Errorf("after the switch: %+v", st)
		}
	})
}

// load runs a statement from 8 connections while f runs: none may fail.
func load(t *testing.T, db *sql.DB, statement string, f func()) {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	var failed, done atomic.Int64
	var first atomic.Pointer[string]
	for range 8 {
		wg.Go(func() {
			for ctx.Err() == nil {
				rows, err := db.Query(statement)
				if err == nil {
					for rows.Next() {
					}
					err = rows.Err()
					rows.Close()
				}
				if err != nil {
					s := err.Error()
					first.CompareAndSwap(nil, &s)
					failed.Add(1)
				}
				done.Add(1)
			}
		})
	}
	time.Sleep(200 * time.Millisecond) // load before the event
	f()
	stop()
	wg.Wait()
	t.Logf("%d statements, %d failed", done.Load(), failed.Load())
	if failed.Load() != 0 {
		t.Errorf("%d of %d statements failed, the first: %s", failed.Load(), done.Load(), *first.Load())
	}
}

// checkTime is how long the checker of own writes runs: SQLPROXY_CHECK=5m for the long one.
func checkTime() time.Duration {
	d, err := time.ParseDuration(os.Getenv("SQLPROXY_CHECK"))
	if err != nil {
		return 3 * time.Second
	}
	return d
}
