package dbbackup_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	_ "github.com/go-sql-driver/mysql"

	"github.com/farmhand/terraform-provider-farmhand/internal/agent/process"
	"github.com/farmhand/terraform-provider-farmhand/internal/backup"
	"github.com/farmhand/terraform-provider-farmhand/internal/dbbackup"
)

// rig is one MariaDB server with a binary log, and a place for its backups.
type rig struct {
	*testing.T
	dir     string
	run     *process.Table
	db      *sql.DB
	taker   dbbackup.Taker
	catalog backup.Catalog
	key     backup.Key
	own     func(string) error
}

func newRig(t *testing.T) *rig {
	if testing.Short() {
		t.Skip("no database servers are started with -short")
	}
	for _, program := range []string{"mariadbd", "mariabackup", "mbstream", "mariadb-binlog"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("no MariaDB here: %v (scripts/setup.sh installs it)", err)
		}
	}
	dir, err := os.MkdirTemp("", "farmhand-backup-") //nolint:usetesting // short: a socket's path has 108 bytes
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	r := &rig{T: t, dir: dir, run: process.NewTable(io.Discard), own: func(string) error { return nil }}
	if os.Getuid() == 0 {
		u, err := user.Lookup("mysql")
		if err != nil {
			t.Skipf("no user that MariaDB could run as: %v", err)
		}
		uid, _ := strconv.Atoi(u.Uid)
		gid, _ := strconv.Atoi(u.Gid)
		r.own = func(top string) error {
			return filepath.WalkDir(top, func(path string, _ os.DirEntry, err error) error {
				return errors.Join(err, os.Lchown(path, uid, gid))
			})
		}
	}
	r.must(os.Chmod(dir, 0o755))
	data := filepath.Join(dir, "data")
	r.must(os.Mkdir(data, 0o750))
	r.must(os.Mkdir(filepath.Join(dir, "run"), 0o755))
	config := filepath.Join(dir, "my.cnf")
	socket := filepath.Join(dir, "run/sock")
	u, err := user.Current()
	r.must(err)
	as := u.Username
	if os.Getuid() == 0 {
		as = "mysql"
	}
	r.must(os.WriteFile(config, fmt.Appendf(nil, `[mariadbd]
user=%s
datadir=%s
socket=%s
pid-file=%s
skip-networking
log-bin=bin
log-bin-index=bin.index
log-slave-updates=ON
binlog-format=ROW
gtid-strict-mode=ON
server-id=7
sync-binlog=1
performance-schema=OFF
innodb-buffer-pool-size=16M
innodb-log-file-size=16M
innodb-use-native-aio=OFF
`, as, data, socket, filepath.Join(dir, "run/pid")), 0o644))
	r.must(r.own(data))
	r.must(r.own(filepath.Join(dir, "run")))
	r.must(r.run.Run(t.Context(), "mariadb-install-db", "--defaults-file="+config, "--user="+as, "--auth-root-authentication-method=normal", "--skip-test-db"))
	p, err := r.run.Start(t.Context(), "mariadbd", "--defaults-file="+config)
	r.must(err)
	t.Cleanup(func() { _ = p.Signal(9); <-p.Done() })
	r.db, err = sql.Open("mysql", "root@unix("+socket+")/")
	r.must(err)
	t.Cleanup(func() { r.db.Close() })
	deadline := time.Now().Add(30 * time.Second)
	for r.db.PingContext(t.Context()) != nil {
		if time.Now().After(deadline) {
			t.Fatal("MariaDB does not come up")
		}
		time.Sleep(20 * time.Millisecond)
	}
	target, err := backup.OpenDir(filepath.Join(dir, "backups"))
	r.must(err)
	r.catalog = backup.Catalog{Target: target, Farm: "shop", Role: "mysql", UID: "1"}
	r.key, err = backup.NewKey()
	r.must(err)
	r.taker = dbbackup.Taker{Run: r.run, DB: r.db, Config: config, Socket: socket, Scratch: filepath.Join(dir, "scratch"), Instance: "mysql-1", Now: time.Now}
	return r
}

func (r *rig) must(err error) {
	r.Helper()
	if err != nil {
		r.Fatal(err)
	}
}

func (r *rig) exec(q string, args ...any) {
	r.Helper()
	_, err := r.db.ExecContext(r.Context(), q, args...)
	r.must(err)
}

func (r *rig) position() string {
	var p string
	r.must(r.db.QueryRowContext(r.Context(), "SELECT @@gtid_binlog_pos").Scan(&p))
	return p
}

func (r *rig) full() backup.Manifest {
	r.Helper()
	now := time.Now()
	m := backup.Manifest{ID: backup.NewID(now), Began: now.UTC()}
	r.must(r.taker.Full(r.Context(), r.catalog, r.key, &m, nil))
	return m
}

func (r *rig) logs() {
	r.Helper()
	_, err := r.taker.Logs(r.Context(), r.catalog, r.key)
	r.must(err)
}

func (r *rig) restorer(name string) dbbackup.Restorer {
	return dbbackup.Restorer{Run: r.run, Config: r.taker.Config, Dir: filepath.Join(r.dir, name), Scratch: filepath.Join(r.dir, name+"-scratch"), Own: r.own}
}

// restored restores and returns the numbers in the table.
func (r *rig) restored(name string, m backup.Manifest, to dbbackup.Point) ([]int, dbbackup.Restored) {
	r.Helper()
	restorer := r.restorer(name)
	done, err := restorer.Restore(r.Context(), r.catalog, m, r.key, to)
	r.must(err)
	server, err := restorer.Start(r.Context())
	r.must(err)
	defer func() { r.must(server.Stop(context.Background())) }()
	var says, logged string // what a clone of it would take for its position, and a backup
	r.must(server.DB().QueryRowContext(r.Context(), "SELECT @@gtid_current_pos, @@gtid_binlog_pos").Scan(&says, &logged))
	if n, err := backup.Sequence(says); err != nil || n == 0 || n%backup.Era != 0 || says != logged {
		r.Errorf("%s: restored to %s, and says that it is at %s (%s in its log): not at the beginning of a history of its own", name, done.Position, says, logged)
	}
	rows, err := server.DB().QueryContext(r.Context(), "SELECT n FROM app.t ORDER BY n")
	r.must(err)
	defer rows.Close()
	var all []int
	for rows.Next() {
		var n int
		r.must(rows.Scan(&n))
		all = append(all, n)
	}
	return all, done
}

func (r *rig) insert(from, to int) {
	r.Helper()
	for n := from; n <= to; n++ {
		r.exec("INSERT INTO app.t VALUES (?)", n)
	}
}

func last(all []int) int {
	for i, n := range all {
		if n != i+1 {
			return -1
		}
	}
	return len(all)
}

// TestPointInTime: what was committed when a full backup was taken, and each transaction behind it, can be had.
func TestPointInTime(t *testing.T) {
	r := newRig(t)
	r.exec("CREATE DATABASE app")
	r.exec("CREATE TABLE app.t (n INT PRIMARY KEY)")
	r.insert(1, 100)
	m := r.full()
	if !strings.HasPrefix(m.Position, "0-7-") || m.Stored == 0 || m.Version == "" {
		t.Errorf("%+v", m)
	}
	r.insert(101, 150)
	r.logs()
	r.insert(151, 160)
	middle := r.position()
	r.insert(161, 200)
	r.logs()
	r.logs() // nothing new: nothing stored
	stored, err := r.catalog.Logs(t.Context(), time.Time{})
	if err != nil || len(stored) != 2 {
		t.Fatalf("%v, %v", stored, err)
	}

	all, done := r.restored("whole", m, dbbackup.Point{})
	if last(all) != 200 || done.Position != r.position() || done.Logs == 0 {
		t.Errorf("whole: up to %d, %+v, the server is at %s", last(all), done, r.position())
	}
	all, done = r.restored("exact", m, dbbackup.Point{Position: middle})
	if last(all) != 160 || done.Position != middle {
		t.Errorf("to %s: up to %d, %+v", middle, last(all), done)
	}
	all, _ = r.restored("moment", m, dbbackup.Point{Time: m.Began.Add(-time.Minute)})
	if last(all) != 100 {
		t.Errorf("to a moment before every log: up to %d", last(all))
	}
	all, _ = r.restored("later", m, dbbackup.Point{Time: time.Now().Add(time.Minute)})
	if last(all) != 200 {
		t.Errorf("to a moment after every log: up to %d", last(all))
	}
	if _, err := r.restorer("beyond").Restore(t.Context(), r.catalog, m, r.key, dbbackup.Point{Position: "0-7-999999"}); err == nil || !strings.Contains(err.Error(), "end at "+r.position()) {
		t.Errorf("beyond the end: %v", err)
	}
	if _, err := os.Lstat(filepath.Join(r.dir, "beyond")); err == nil {
		t.Error("a failed restore left its data")
	}
}

// TestMoment: transactions from before a second, and none from it or later. Their times are the server's to say, and so are set.
func TestMoment(t *testing.T) {
	r := newRig(t)
	r.exec("CREATE DATABASE app")
	r.exec("CREATE TABLE app.t (n INT PRIMARY KEY)")
	m := r.full()
	r.db.SetMaxOpenConns(1)
	moment := time.Now().Truncate(time.Second).Add(time.Hour)
	for n := 1; n <= 30; n++ {
		r.exec("SET timestamp = ?", moment.Add(time.Duration(n-20)*time.Second).Unix())
		r.exec("INSERT INTO app.t VALUES (?)", n)
		if n == 10 || n == 20 {
			r.logs()
		}
	}
	r.logs()
	all, _ := r.restored("moment", m, dbbackup.Point{Time: moment})
	if last(all) != 19 {
		t.Errorf("up to %d, want 19", last(all))
	}
	all, _ = r.restored("second", m, dbbackup.Point{Time: moment.Add(time.Second)})
	if last(all) != 20 {
		t.Errorf("up to %d, want 20", last(all))
	}
}

// TestGap: a binary log that is missing is found before anything is fetched, and of logs whose names do not tell when it is come to; what is
// before it can be had.
func TestGap(t *testing.T) {
	r := newRig(t)
	r.exec("CREATE DATABASE app")
	r.exec("CREATE TABLE app.t (n INT PRIMARY KEY)")
	m := r.full()
	var ends []string
	for i := range 3 {
		r.insert(10*i+1, 10*i+10)
		ends = append(ends, r.position())
		r.logs()
	}
	logs, err := r.catalog.Logs(t.Context(), time.Time{})
	r.must(err)
	if len(logs) != 3 || !logs[1].Numbered() || logs[1].Position != ends[1] || logs[1].End-logs[1].Begin != 9 || logs[2].Begin != logs[1].End+1 {
		t.Fatalf("%+v, positions %v", logs, ends)
	}
	objects, err := r.catalog.Target.List(t.Context(), "shop/mysql/log/")
	r.must(err)
	r.must(r.catalog.Target.Delete(t.Context(), objects[1].Name))
	missing := fmt.Sprintf("transactions %d to %d, from between", logs[1].Begin, logs[1].End)
	restorer := r.restorer("gap")
	restorer.Doing = func(what string) { t.Errorf("it began: %s", what) }
	if _, err = restorer.Restore(t.Context(), r.catalog, m, r.key, dbbackup.Point{}); err == nil || !strings.Contains(err.Error(), missing) || !strings.Contains(err.Error(), m.ID) {
		t.Errorf("%v", err)
	}
	if all, done := r.restored("before", m, dbbackup.Point{Position: ends[0]}); last(all) != 10 || done.Position != ends[0] {
		t.Errorf("up to %d, %+v", last(all), done)
	}

	// As an earlier version named them.
	for _, o := range []backup.Object{objects[0], objects[2]} {
		from, err := r.catalog.Target.Get(t.Context(), o.Name)
		r.must(err)
		_, err = r.catalog.Target.Put(t.Context(), o.Name[:strings.LastIndex(o.Name, "_")], from)
		r.must(err)
		from.Close()
		r.must(r.catalog.Target.Delete(t.Context(), o.Name))
	}
	_, err = r.restorer("old").Restore(t.Context(), r.catalog, m, r.key, dbbackup.Point{})
	if err == nil || !strings.Contains(err.Error(), missing) {
		t.Errorf("%v", err)
	}
}

// TestHistories: what a restored server writes is told from what it was restored over, though that went farther.
func TestHistories(t *testing.T) {
	r := newRig(t)
	r.exec("CREATE DATABASE app")
	r.exec("CREATE TABLE app.t (n INT PRIMARY KEY)")
	first := r.full()
	r.insert(1, 10)
	wanted := r.position()
	r.insert(11, 30) // what should not have been
	r.logs()
	restorer := r.restorer("second")
	done, err := restorer.Restore(t.Context(), r.catalog, first, r.key, dbbackup.Point{Position: wanted})
	r.must(err)
	if done.Position != wanted {
		t.Fatalf("%+v, want %s", done, wanted)
	}
	server, err := restorer.Start(t.Context())
	r.must(err)
	defer func() { r.must(server.Stop(context.Background())) }()
	config, err := os.ReadFile(r.taker.Config)
	r.must(err)
	r.taker.Config = filepath.Join(r.dir, "second.cnf")
	r.must(os.WriteFile(r.taker.Config, []byte(strings.Replace(string(config), filepath.Join(r.dir, "data"), restorer.Dir, 1)), 0o644))
	r.db, r.taker.DB, r.taker.Socket, r.taker.Instance = server.DB(), server.DB(), server.Socket(), "mysql-2"
	second := r.full()
	for n := 11; n <= 15; n++ {
		r.exec("INSERT INTO app.t VALUES (?)", n)
		r.exec("UPDATE app.t SET n = n WHERE n = 1")
	}
	r.logs()
	fulls, err := r.catalog.Fulls(t.Context())
	r.must(err)
	logs, err := r.catalog.Logs(t.Context(), time.Time{})
	r.must(err)
	h := backup.NewHistory(fulls, logs)
	if len(h.Spans) != 2 || len(h.Gaps) != 1 || !h.Gaps[0].Restored || h.NewestGap() != nil {
		t.Errorf("%+v", h)
	}
	if all, _ := r.restored("newest", second, dbbackup.Point{}); last(all) != 15 {
		t.Errorf("of the second history: up to %d", last(all))
	}
	if all, _ := r.restored("undone", first, dbbackup.Point{Position: logs[0].Position}); last(all) != 30 {
		t.Errorf("of the first history: up to %d", last(all))
	}
	if _, err := r.restorer("across").Restore(t.Context(), r.catalog, first, r.key, dbbackup.Point{}); err == nil || !strings.Contains(err.Error(), "the database was restored") {
		t.Errorf("from one history into the other: %v", err)
	}
}

// TestDrill: a good backup is found good, a truncated one and one whose query finds nothing are not, and nothing stays of either.
func TestDrill(t *testing.T) {
	r := newRig(t)
	r.exec("CREATE DATABASE app")
	r.exec("CREATE TABLE app.t (n INT PRIMARY KEY)")
	r.exec("CREATE TABLE app.`o-dd t` (n INT PRIMARY KEY) ENGINE=Aria")
	r.insert(1, 20)
	m := r.full()
	r.insert(21, 30)
	r.logs()
	d, err := r.restorer("drill").Drill(t.Context(), r.catalog, m, r.key, "SELECT MAX(n) AS newest FROM app.t", time.Now)
	if err != nil || !d.OK || d.Tables != 2 || d.Checked != 2 || d.Rows != 30 || d.Answer != "newest = 30" || d.Position != r.position() || len(d.Steps) < 4 {
		t.Errorf("%+v, %v", d, err)
	}
	d, err = r.restorer("drill").Drill(t.Context(), r.catalog, m, r.key, "SELECT n FROM app.t WHERE n > 1000", time.Now)
	if err != nil || d.OK || !strings.Contains(d.Error, "no row") {
		t.Errorf("%+v, %v", d, err)
	}
	data := "shop/mysql/full/" + m.ID + "/data"
	from, err := r.catalog.Target.Get(t.Context(), data)
	r.must(err)
	b, err := io.ReadAll(from)
	from.Close()
	r.must(err)
	_, err = r.catalog.Target.Put(t.Context(), data, strings.NewReader(string(b[:len(b)*3/4])))
	r.must(err)
	d, err = r.restorer("drill").Drill(t.Context(), r.catalog, m, r.key, "", time.Now)
	if err != nil || d.OK || !strings.Contains(d.Error, "damaged") {
		t.Errorf("truncated: %+v, %v", d, err)
	}
	other, err := backup.NewKey()
	r.must(err)
	d, err = r.restorer("drill").Drill(t.Context(), r.catalog, m, other, "", time.Now)
	if err != nil || d.OK || !strings.Contains(d.Error, "wrong key") {
		t.Errorf("another key: %+v, %v", d, err)
	}
	for _, left := range []string{"drill", "drill-scratch"} {
		if _, err := os.Lstat(filepath.Join(r.dir, left)); err == nil {
			t.Errorf("%s stayed", left)
		}
	}
}

func TestScan(t *testing.T) {
	for name, b := range map[string]string{"empty": "", "text": "hello", "cut header": "\xfebin\x00\x00", "cut event": "\xfebin" + strings.Repeat("\x00", 9) + "\xff\x00\x00\x00" + strings.Repeat("\x00", 6), "short event": "\xfebin" + strings.Repeat("\x00", 19)} {
		if _, err := dbbackup.Scan(strings.NewReader(b), time.Time{}); !errors.Is(err, dbbackup.ErrLog) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if s, err := dbbackup.Scan(strings.NewReader("\xfebin"), time.Time{}); err != nil || s.Events != 0 {
		t.Errorf("%+v, %v", s, err)
	}
}
