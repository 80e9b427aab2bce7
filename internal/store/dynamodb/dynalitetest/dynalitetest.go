// Package dynalitetest starts DynamoDB for tests: the npm package dynalite, and in front of it what that lacks.
//
// Dynalite has no transactions, no setting of time to live and no point-in-time recovery. Server.URL has: it carries
// TransactWriteItems out by conditional writes with all other calls held up, and undoes them if one fails; it refuses what
// DynamoDB refuses of the shape of a transaction. It also counts calls and makes them fail on request. Server.Plain is
// dynalite as it is.
package dynalitetest

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
)

// version is the dynalite that scripts/setup.sh installs, too.
const version = "4.0.0"

// Server is a DynamoDB of a test's own, empty.
type Server struct {
	URL   string // with transactions
	Plain string // without

	proxy  *httputil.ReverseProxy
	client *http.Client

	moves sync.RWMutex // held by a transaction
	mu    sync.Mutex
	calls map[string][]string
	fails map[string][]failure
	done  map[string]string // transactions by token: the body that it came with
}

type failure struct{ code, message string }

// Start starts it, and ends it with the test. Where there is no node or npm the test is skipped, except in CI.
func Start(t testing.TB) *Server {
	t.Helper()
	return StartAt(t, "")
}

// StartAt is Start, listening at a host's address that others than this machine reach; "" for 127.0.0.1.
func StartAt(t testing.TB, host string) *Server {
	t.Helper()
	s := &Server{Plain: startDynalite(t), calls: map[string][]string{}, fails: map[string][]failure{}, done: map[string]string{}}
	target, err := url.Parse(s.Plain)
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{}
	s.client = &http.Client{Transport: transport}
	s.proxy = &httputil.ReverseProxy{
		Transport: transport,
		Rewrite:   func(r *httputil.ProxyRequest) { r.SetURL(target) },
		ErrorHandler: func(w http.ResponseWriter, r *http.Request, err error) {
			if !errors.Is(err, context.Canceled) {
				http.Error(w, err.Error(), http.StatusBadGateway)
			}
		},
	}
	front := httptest.NewUnstartedServer(s)
	if host != "" {
		l, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
		if err != nil {
			t.Fatal(err)
		}
		_ = front.Listener.Close() // never used
		front.Listener = l
	}
	front.Start()
	s.URL = front.URL
	t.Cleanup(func() { front.Close(); transport.CloseIdleConnections() })
	return s
}

// Config is an AWS configuration for the endpoint, s.URL or s.Plain. Its idle connections are closed with the test.
func Config(t testing.TB, endpoint string) aws.Config {
	transport := &http.Transport{MaxIdleConnsPerHost: 16}
	t.Cleanup(transport.CloseIdleConnections)
	return aws.Config{
		Region: "eu-west-1", BaseEndpoint: &endpoint, HTTPClient: &http.Client{Transport: transport},
		Credentials: credentials.NewStaticCredentialsProvider("test", "test", ""),
	}
}

// Config is that of s.URL.
func (s *Server) Config(t testing.TB) aws.Config { return Config(t, s.URL) }

// Fail makes the next times calls of an operation ("PutItem") fail as DynamoDB fails.
func (s *Server) Fail(operation, code, message string, times int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for range times {
		s.fails[operation] = append(s.fails[operation], failure{code, message})
	}
}

// Calls are the bodies of an operation's calls so far. Forget forgets all calls.
func (s *Server) Calls(operation string) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.calls[operation]...)
}

// Forget forgets the calls made and the failures to come.
func (s *Server) Forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.calls)
	clear(s.fails)
}

// script serves dynalite on a free port, prints it, and ends with its standard input: also when the test is killed.
const script = `
const server = require(process.argv[1])({ createTableMs: 30, deleteTableMs: 30, updateTableMs: 30 });
server.listen(0, '127.0.0.1', () => console.log(server.address().port));
process.stdin.on('end', () => process.exit(0)).resume();
`

func startDynalite(t testing.TB) string {
	t.Helper()
	folder := installed(t)
	cmd := exec.Command("node", "-e", script, folder)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatalf("starting dynalite: %v", err)
	}
	t.Cleanup(func() {
		in.Close()
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // it was killed
	})
	port, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatalf("starting dynalite: it printed no port: %v", err)
	}
	return "http://127.0.0.1:" + strings.TrimSpace(port)
}

// installed is the folder of the npm package, which is installed there if need be.
func installed(t testing.TB) string {
	t.Helper()
	missing := t.Skipf
	if os.Getenv("CI") != "" {
		missing = t.Fatalf
	}
	for _, program := range []string{"node", "npm"} {
		if _, err := exec.LookPath(program); err != nil {
			missing("no DynamoDB to test against: %s is not installed; scripts/setup.sh installs it", program)
		}
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	prefix := filepath.Join(cache, "farmhand", "dynalite-"+version)
	if err := os.MkdirAll(prefix, 0o755); err != nil {
		t.Fatal(err)
	}
	// Test programs run side by side: one installs.
	lock, err := os.OpenFile(filepath.Join(prefix, ".lock"), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Close()
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	folder, mark := filepath.Join(prefix, "node_modules", "dynalite"), filepath.Join(prefix, ".installed")
	if _, err := os.Stat(mark); err == nil {
		return folder
	}
	install := exec.Command("npm", "install", "--no-audit", "--no-fund", "--prefix", prefix, "dynalite@"+version)
	if out, err := install.CombinedOutput(); err != nil {
		missing("no DynamoDB to test against: npm could not install dynalite: %v\n%s", err, out)
	}
	if err := os.WriteFile(mark, nil, 0o644); err != nil {
		t.Fatal(fmt.Errorf("marking dynalite as installed: %w", err))
	}
	return folder
}
