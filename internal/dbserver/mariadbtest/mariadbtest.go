// Package mariadbtest starts MariaDB servers for tests: the machine's own mariadbd, with its data in a folder of the test's.
package mariadbtest

import (
	"database/sql"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	_ "github.com/go-sql-driver/mysql" // Root's driver
)

// Server is a server that runs until the end of its test. It starts read-only, with GTIDs in strict mode, and lets root in by its socket.
type Server struct {
	Address string // host:port
	Socket  string
	Root    *sql.DB

	t    testing.TB
	conf string
	attr *syscall.SysProcAttr
	cmd  *exec.Cmd
}

// Folder is one for servers' data, removed with the test. A socket's path must be short, and the server's own user must get there:
// t.TempDir suits neither.
func Folder(t testing.TB) string {
	t.Helper()
	if _, err := exec.LookPath("mariadbd"); err != nil {
		t.Skip("no mariadbd: apt-get install mariadb-server")
	}
	dir, err := os.MkdirTemp("/tmp", "mariadb") //nolint:usetesting // as said
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

// Start starts a server of that id, from 1, in a folder of Folder's. It listens at an address of its own in 127.78.0.0/24; more are further
// lines of its configuration.
func Start(t testing.TB, folder string, id int, more ...string) *Server {
	t.Helper()
	return StartAt(t, folder, fmt.Sprintf("127.78.0.%d:0", 10+id), id, more...)
}

// StartAt is Start at a host:port that others than this machine may reach; port 0 for any.
func StartAt(t testing.TB, folder, address string, id int, more ...string) *Server {
	t.Helper()
	l, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	s := &Server{t: t, Address: l.Addr().String(), attr: &syscall.SysProcAttr{}}
	_ = l.Close() // the server listens there
	host, port, _ := net.SplitHostPort(s.Address)
	d := filepath.Join(folder, strconv.Itoa(id))
	s.Socket, s.conf = d+"/s", d+"/my.cnf"
	if err := os.MkdirAll(d, 0o755); err != nil {
		t.Fatal(err)
	}
	lines := append([]string{"[mariadbd]", "datadir=" + d + "/data", "socket=" + s.Socket, "pid-file=" + d + "/pid", "log-error=" + d + "/err",
		"tmpdir=" + d, "bind-address=" + host, "port=" + port, "server-id=" + strconv.Itoa(id), "skip-name-resolve", "log-bin=" + d + "/data/bin",
		"log-slave-updates=ON", "binlog-format=ROW", "gtid-strict-mode=ON", "relay-log=" + d + "/data/relay", "read-only=ON", "performance-schema=OFF",
		"innodb-buffer-pool-size=32M", "innodb-log-file-size=48M", "innodb-use-native-aio=OFF", "innodb-flush-log-at-trx-commit=2", "sync-binlog=0"}, more...)
	if err := os.WriteFile(s.conf, []byte(strings.Join(lines, "\n")+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	s.asMySQL(d)
	install := exec.Command("mariadb-install-db", "--defaults-file="+s.conf, "--auth-root-authentication-method=normal", "--skip-test-db")
	install.SysProcAttr = s.attr
	if out, err := install.CombinedOutput(); err != nil {
		t.Fatalf("mariadb-install-db: %v\n%s", err, out)
	}
	if s.Root, err = sql.Open("mysql", "root@unix("+s.Socket+")/"); err != nil {
		t.Fatal(err)
	}
	s.Root.SetMaxOpenConns(2)
	s.Run()
	t.Cleanup(func() { _ = s.Root.Close(); s.Kill() })
	return s
}

// asMySQL lets the server run as its own user where the test is root: mariadbd does not run as root.
func (s *Server) asMySQL(folder string) {
	s.t.Helper()
	if os.Getuid() != 0 {
		return
	}
	u, err := user.Lookup("mysql")
	if err != nil {
		s.t.Skip("no user mysql: apt-get install mariadb-server")
	}
	uid, _ := strconv.Atoi(u.Uid)
	gid, _ := strconv.Atoi(u.Gid)
	if err := os.Chown(folder, uid, gid); err != nil {
		s.t.Fatal(err)
	}
	s.attr.Credential = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
}

// Run starts the server, again after Kill, and returns when it answers.
func (s *Server) Run() {
	s.t.Helper()
	s.cmd = exec.Command("mariadbd", "--defaults-file="+s.conf)
	s.cmd.SysProcAttr = s.attr
	if err := s.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	var err error
	for end := time.Now().Add(60 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if err = s.Root.Ping(); err == nil {
			return
		}
	}
	log, _ := os.ReadFile(filepath.Join(filepath.Dir(s.conf), "err"))
	s.t.Fatalf("the server does not answer: %v\n%s", err, log)
}

// Kill ends it at once, also one that is paused.
func (s *Server) Kill() {
	_ = s.cmd.Process.Signal(syscall.SIGCONT)
	_ = s.cmd.Process.Kill()
	_ = s.cmd.Wait()
}

// Pause stops its process where it is, until Kill or Resume.
func (s *Server) Pause() { _ = s.cmd.Process.Signal(syscall.SIGSTOP) }

// Resume lets it go on.
func (s *Server) Resume() { _ = s.cmd.Process.Signal(syscall.SIGCONT) }

// Exec executes statements as root.
func (s *Server) Exec(statements ...string) {
	s.t.Helper()
	for _, q := range statements {
		if _, err := s.Root.Exec(q); err != nil {
			s.t.Fatalf("%s: %s: %v", s.Address, q, err)
		}
	}
}
