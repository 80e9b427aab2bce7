package live

import (
	"context"
	"database/sql"
	"fmt"
	"io"
	"log"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-sql-driver/mysql"

	"github.com/farmhand/terraform-provider-farmhand/internal/state"
)

// Writers insert rows into a role's database, each as fast as it is answered, wherever the topology says that the primary is, and
// remember every row that was acknowledged and when. A row whose outcome is not known is never written again.
type Writers struct {
	rec              *Record
	farm, role       string
	user, pass, name string

	primary atomic.Pointer[address]
	next    atomic.Int64
	stop    context.CancelFunc
	done    sync.WaitGroup

	mu     sync.Mutex
	acked  map[int64]bool
	times  []time.Time // of acknowledgements, by time
	errors int
}

// address is where the primary of a term is, for as long as ctx lasts. A server that was lost and is the primary again has the same
// address, and answers nothing that was asked of it before.
type address struct {
	host string
	term int64
	ctx  context.Context
}

func silence() { _ = mysql.SetLogger(log.New(io.Discard, "", 0)) }

// Write begins to write with n connections, rate rows a second in all; 0: as fast as they are answered. The table app.acked is made
// if it is not there.
func Write(ctx context.Context, rec *Record, farm, role string, n, rate int) (*Writers, error) {
	silence()
	secret, err := rec.Secret(ctx, farm, role)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	w := &Writers{rec: rec, farm: farm, role: role, user: "app", pass: secret["db_password"], name: "app", stop: cancel, acked: map[int64]bool{}}
	w.done.Go(func() { w.follow(ctx) })
	err = Until(ctx, 50*time.Millisecond, func(ctx context.Context) (bool, string) {
		a := w.primary.Load()
		if a == nil {
			return false, "there is no primary"
		}
		db := w.open(a.host)
		defer db.Close()
		_, err := db.ExecContext(ctx, "CREATE TABLE IF NOT EXISTS acked (id BIGINT PRIMARY KEY, at DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6))")
		return err == nil, fmt.Sprint(err)
	})
	if err != nil {
		cancel()
		return nil, err
	}
	pace := time.Nanosecond
	if rate > 0 {
		pace = time.Duration(n) * time.Second / time.Duration(rate)
	}
	for range n {
		w.done.Go(func() { w.write(ctx, pace) })
	}
	return w, nil
}

// follow keeps up with who is the primary. A write to the former one is given up: its outcome is not known.
func (w *Writers) follow(ctx context.Context) {
	over := func() {}
	for ctx.Err() == nil {
		host, term := "", int64(0)
		if t, err := w.rec.Topology(ctx, w.farm); err == nil {
			i := slices.IndexFunc(t.Roles[w.role].Instances, func(m state.Member) bool { return m.Primary })
			if i >= 0 {
				host, term = t.Roles[w.role].Instances[i].Address, t.Roles[w.role].Term
			}
		}
		if a := w.primary.Load(); host != "" && (a == nil || a.host != host || a.term != term) {
			over()
			life, cancel := context.WithCancel(ctx)
			over = cancel
			w.primary.Store(&address{host, term, life})
		}
		select {
		case <-ctx.Done():
		case <-time.After(25 * time.Millisecond):
		}
	}
	over()
}

func (w *Writers) open(host string) *sql.DB {
	c := mysql.NewConfig()
	c.User, c.Passwd, c.Net, c.Addr, c.DBName = w.user, w.pass, "tcp", host+":3306", w.name
	c.Timeout, c.ReadTimeout, c.WriteTimeout, c.RejectReadOnly, c.InterpolateParams = time.Second, 20*time.Second, time.Second, true, true
	connector, err := mysql.NewConnector(c)
	if err != nil {
		panic(err) // of a configuration made here
	}
	db := sql.OpenDB(connector)
	db.SetMaxOpenConns(1)
	return db
}

func (w *Writers) write(ctx context.Context, pace time.Duration) {
	tick := time.NewTicker(pace)
	defer tick.Stop()
	for ctx.Err() == nil {
		a := w.primary.Load()
		db := w.open(a.host)
		for a.ctx.Err() == nil {
			<-tick.C
			id := w.next.Add(1)
			_, err := db.ExecContext(a.ctx, "INSERT INTO acked (id) VALUES (?)", id)
			at := time.Now()
			w.mu.Lock()
			if err == nil {
				w.acked[id] = true
				w.times = append(w.times, at)
			} else if ctx.Err() == nil {
				w.errors++
			}
			w.mu.Unlock()
			if err != nil {
				select {
				case <-ctx.Done():
				case <-time.After(10 * time.Millisecond):
				}
			}
		}
		db.Close()
	}
}

// Stop ends the writers.
func (w *Writers) Stop() {
	w.stop()
	w.done.Wait()
}

// Acked counts the rows acknowledged so far, and Errors the statements that failed.
func (w *Writers) Acked() (acked, errors int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.acked), w.errors
}

// Since counts the rows acknowledged since t.
func (w *Writers) Since(t time.Time) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := 0
	for i := len(w.times) - 1; i >= 0 && w.times[i].After(t); i-- {
		n++
	}
	return n
}

// Gap is the longest time without an acknowledgement since from.
func (w *Writers) Gap(from time.Time) time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	return longestGap(slices.Clone(w.times), from)
}

// longestGap is the longest time from a moment to now in which none of times lies; it sorts them.
func longestGap(times []time.Time, from time.Time) time.Duration {
	slices.SortFunc(times, time.Time.Compare)
	longest, last := time.Duration(0), from
	for _, t := range times {
		if t.Before(from) {
			continue
		}
		longest, last = max(longest, t.Sub(last)), t
	}
	return max(longest, time.Since(last))
}

// Lost counts the acknowledged rows that the present primary does not have.
func (w *Writers) Lost(ctx context.Context) (lost int, err error) {
	db := w.open(w.primary.Load().host)
	defer db.Close()
	w.mu.Lock()
	acked := maps.Clone(w.acked) // what is acknowledged while the rows are read may not be among them
	w.mu.Unlock()
	rows, err := db.QueryContext(ctx, "SELECT id FROM acked")
	if err != nil {
		return 0, err
	}
	defer rows.Close()
	there := map[int64]bool{}
	for rows.Next() {
		var id int64
		if err := rows.Scan(&id); err != nil {
			return 0, err
		}
		there[id] = true
	}
	for id := range acked {
		if !there[id] {
			lost++
		}
	}
	return lost, rows.Err()
}

// Accepts tries to write to the server at host for a while, as the application would, and counts what it accepts.
func (w *Writers) Accepts(ctx context.Context, host string, during time.Duration) int {
	ctx, cancel := context.WithTimeout(ctx, during)
	defer cancel()
	db := w.open(host)
	defer db.Close()
	n := 0
	for ctx.Err() == nil {
		if _, err := db.ExecContext(ctx, "INSERT INTO acked (id) VALUES (?)", -w.next.Add(1)); err == nil {
			n++
		}
		select {
		case <-ctx.Done():
		case <-time.After(5 * time.Millisecond):
		}
	}
	return n
}
