// Package mysqltest starts MySQL servers for tests: the mysqld that scripts/mysql-root.sh unpacked, with its data in a folder of the
// test's. It is of Debian's unstable suite, the LTS behind 8.4, which speaks as 8.4 does.
package mysqltest

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

	_ "github.com/go-sql-driver/mysql" // for database/sql
)

// root is where scripts/lib.sh has it.
const root = "/var/cache/farmhand/mysql"

// Programs is the folder of mysqld, mysql and mysqlbinlog. Where it is not, the test is skipped.
func Programs(t testing.TB) string {
	t.Helper()
	if _, err := os.Stat(filepath.Join(root, "data")); err != nil { // made last
		t.Skipf("no MySQL for tests: scripts/mysql-root.sh unpacks it, as root and where Debian's unstable suite can be had (%v)", err)
	}
	return filepath.Join(root, "bin")
}

// Server is a server that runs until the end of its test. It starts read-only, with GTIDs and without semi-synchronous replication, and
// lets root in by its socket.
type Server struct {
	Address string // host:port
	Socket  string
}

// Folder is one for servers' data, removed with the test. A socket's path must be short, and the server's own user must get there:
// t.TempDir suits neither.
func Folder(t testing.TB) string {
	t.Helper()
	Programs(t)
	dir, err := os.MkdirTemp("/tmp", "mysql") //nolint:usetesting // as said
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

// Start starts a server of that id, from 1, in a folder of Folder's. It listens at an address of its own in 127.79.0.0/24; more are further
// lines of its configuration.
func Start(t testing.TB, folder string, id int, more ...string) *Server {
	t.Helper()
	mysqld := filepath.Join(Programs(t), "mysqld")
	l, err := net.Listen("tcp", fmt.Sprintf("127.79.0.%d:0", 10+id))
	if err != nil {
		t.Fatal(err)
	}
	s := &Server{Address: l.Addr().String()}
	_ = l.Close() // the server listens there
	host, port, _ := net.SplitHostPort(s.Address)
	d := filepath.Join(folder, strconv.Itoa(id))
	s.Socket = d + "/s"
	if err := os.Mkdir(d, 0o755); err != nil {
		t.Fatal(err)
	}
	lines := append([]string{"[mysqld]", "datadir=" + d + "/data", "socket=" + s.Socket, "pid-file=" + d + "/data/pid", "log-error=" + d + "/data/err",
		"bind-address=" + host, "port=" + port, "mysqlx=OFF", "secure-file-priv=NULL", "server-id=" + strconv.Itoa(id), "skip-name-resolve",
		"log-bin=bin", "relay-log=relay", "gtid-mode=ON", "enforce-gtid-consistency=ON", "skip-replica-start=ON", "super-read-only=ON",
		"plugin-load-add=semisync_source.so", "plugin-load-add=semisync_replica.so",
		"performance-schema=OFF", "innodb-buffer-pool-size=32M", "innodb-redo-log-capacity=16M", "innodb-use-native-aio=OFF",
		"innodb-flush-log-at-trx-commit=2", "sync-binlog=0"}, more...)
	conf := d + "/my.cnf"
	if err := os.WriteFile(conf, []byte(strings.Join(lines, "\n")+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	// A new one takes two seconds to make.
	if out, err := exec.Command("cp", "-r", root+"/data", d+"/data").CombinedOutput(); err != nil {
		t.Fatalf("copying a fresh data directory: %v\n%s", err, out)
	}
	attr := asMySQL(t, d)
	cmd := exec.Command(mysqld, "--defaults-file="+conf)
	cmd.SysProcAttr = attr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	await(t, s.Socket, d+"/data/err")
	return s
}

// asMySQL lets the server run as its own user where the test is root: mysqld does not run as root.
func asMySQL(t testing.TB, folder string) *syscall.SysProcAttr {
	t.Helper()
	if os.Getuid() != 0 {
		return &syscall.SysProcAttr{}
	}
	u, err := user.Lookup("mysql")
	if err != nil {
		t.Skip("no user mysql: apt-get install mariadb-server")
	}
	uid, _ := strconv.Atoi(u.Uid)
	gid, _ := strconv.Atoi(u.Gid)
	err = filepath.WalkDir(folder, func(path string, _ os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Lchown(path, uid, gid)
	})
	if err != nil {
		t.Fatal(err)
	}
	return &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}
}

func await(t testing.TB, socket, log string) {
	t.Helper()
	db, err := sql.Open("mysql", "root@unix("+socket+")/")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for end := time.Now().Add(60 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if err = db.Ping(); err == nil {
			return
		}
	}
	said, _ := os.ReadFile(log)
	t.Fatalf("the server does not answer: %v\n%s", err, said)
}
