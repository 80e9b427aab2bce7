//go:build unix

package daemon_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/farmhand/terraform-provider-farmhand/internal/daemon"
)

// TestMain makes the test binary stand in for the sidecar: Start copies it and runs the copy with "run --state-dir".
func TestMain(m *testing.M) {
	if len(os.Args) >= 4 && os.Args[1] == "run" {
		os.Exit(sidecar(os.Args[3], strings.Join(os.Args[4:], " ")))
	}
	os.Exit(m.Run())
}

func sidecar(stateDir, flags string) int {
	daemon.Isolate()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	metrics := strings.TrimPrefix(flags, "--metrics-listen ")
	opts := daemon.ServeOptions{StateDir: stateDir, Metrics: metrics, Version: os.Getenv("FARMHAND_TEST_VERSION"), Farms: func() []string { return []string{"shop"} }}
	err := daemon.Serve(ctx, opts, func(ctx context.Context, id string) (func() error, error) {
		if why := os.Getenv("FARMHAND_TEST_FAIL"); why != "" {
			return nil, fmt.Errorf("opening the store: %s", why)
		}
		return func() error {
			fmt.Printf("serving as %s with TF_LOG=%q\n", id, os.Getenv("TF_LOG"))
			<-ctx.Done()
			return nil
		}, nil
	})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

func options(t *testing.T, version string) daemon.Options {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "state")
	t.Cleanup(func() {
		if err := daemon.Stop(context.Background(), dir); err != nil {
			t.Errorf("stopping at the end: %v", err)
		}
	})
	return daemon.Options{StateDir: dir, Version: version, Env: []string{"FARMHAND_TEST_VERSION=" + version}}
}

func start(t *testing.T, opts daemon.Options) daemon.Status {
	t.Helper()
	s, err := daemon.Start(t.Context(), opts)
	if err != nil {
		t.Fatalf("starting: %v", err)
	}
	return s
}

func TestNothingRunsInAnEmptyPlace(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "none")
	if _, err := daemon.Find(t.Context(), dir); !errors.Is(err, daemon.ErrNotRunning) {
		t.Errorf("Find: %v, want ErrNotRunning", err)
	}
	if err := daemon.Stop(t.Context(), dir); err != nil {
		t.Errorf("Stop of nothing: %v", err)
	}
	if _, err := os.Stat(dir); !os.IsNotExist(err) {
		t.Errorf("looking made the state directory")
	}
}

func TestStartFindStop(t *testing.T) {
	t.Setenv("TF_LOG", "trace")
	opts := options(t, "1.0.0")
	s := start(t, opts)
	if s.Version != "1.0.0" || s.ID == "" || len(s.Farms) != 1 {
		t.Errorf("status %+v", s)
	}
	if !strings.HasPrefix(filepath.Base(s.Executable), "farmhand-1.0.0-") || !strings.HasPrefix(s.Executable, opts.StateDir) {
		t.Errorf("runs from %s, want a copy in the state directory", s.Executable)
	}
	if sid, err := syscall.Getpgid(s.PID); err != nil || sid != s.PID {
		t.Errorf("process group %d (%v), want its own: %d", sid, err, s.PID)
	}

	again := start(t, opts)
	if again.PID != s.PID {
		t.Errorf("a second start made pid %d beside %d", again.PID, s.PID)
	}
	found, err := daemon.Find(t.Context(), opts.StateDir)
	if err != nil || found.PID != s.PID {
		t.Errorf("Find: %+v, %v", found, err)
	}

	if err := daemon.Stop(t.Context(), opts.StateDir); err != nil {
		t.Fatal(err)
	}
	if _, err := daemon.Find(t.Context(), opts.StateDir); !errors.Is(err, daemon.ErrNotRunning) {
		t.Errorf("after stop: %v, want ErrNotRunning", err)
	}
	log, _ := os.ReadFile(daemon.LogPath(opts.StateDir))
	if !strings.Contains(string(log), `TF_LOG=""`) {
		t.Errorf("Terraform's environment reached the sidecar; log: %s", log)
	}
}

func TestAnUpgradeStopsTheOldOneAndKeepsTheID(t *testing.T) {
	opts := options(t, "1.0.0")
	old := start(t, opts)
	opts.Version, opts.Env = "1.1.0", []string{"FARMHAND_TEST_VERSION=1.1.0"}
	now := start(t, opts)
	if now.Version != "1.1.0" || now.PID == old.PID {
		t.Errorf("after the upgrade: %+v", now)
	}
	if now.ID != old.ID {
		t.Errorf("id went from %s to %s; it belongs to the state directory", old.ID, now.ID)
	}
}

func TestAKilledOneIsNotRunningAndIsReplaced(t *testing.T) {
	opts := options(t, "1.0.0")
	s := start(t, opts)
	if err := syscall.Kill(s.PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	deadline := time.Now().Add(10 * time.Second)
	for {
		_, err := daemon.Find(t.Context(), opts.StateDir)
		if errors.Is(err, daemon.ErrNotRunning) {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("a killed sidecar still shows as: %v", err)
		}
		time.Sleep(10 * time.Millisecond)
	}
	if now := start(t, opts); now.PID == s.PID {
		t.Errorf("the killed one answered")
	}
}

func TestAStartThatFailsTellsWhy(t *testing.T) {
	opts := options(t, "1.0.0")
	opts.Env = append(opts.Env, "FARMHAND_TEST_FAIL=the file was written by version 9")
	_, err := daemon.Start(t.Context(), opts)
	if err == nil || !strings.Contains(err.Error(), "opening the store: the file was written by version 9") {
		t.Errorf("error %v, want the log's last lines in it", err)
	}
	if _, err := daemon.Find(t.Context(), opts.StateDir); !errors.Is(err, daemon.ErrNotRunning) {
		t.Errorf("something stayed behind: %v", err)
	}
}

func TestASecondSidecarInTheSamePlaceIsRefused(t *testing.T) {
	opts := options(t, "1.0.0")
	start(t, opts)
	err := daemon.Serve(t.Context(), daemon.ServeOptions{StateDir: opts.StateDir}, func(context.Context, string) (func() error, error) {
		t.Error("it was about to work")
		return nil, nil
	})
	if err == nil || !strings.Contains(err.Error(), "already runs") {
		t.Errorf("error %v, want a refusal", err)
	}
}

func TestADeepStateDirectoryGetsAShortSocket(t *testing.T) {
	opts := options(t, "1.0.0")
	opts.StateDir = filepath.Join(opts.StateDir, strings.Repeat("deep/", 30))
	s := start(t, opts)
	defer func() {
		if err := daemon.Stop(t.Context(), opts.StateDir); err != nil {
			t.Error(err)
		}
	}()
	t.Setenv("TMPDIR", t.TempDir())
	if found, err := daemon.Find(t.Context(), opts.StateDir); err != nil || found.PID != s.PID {
		t.Errorf("Find with another TMPDIR: %+v, %v", found, err)
	}
}

func TestInheritedFilesAreLetGo(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	// As a shell leaves it: without the close-on-exec mark.
	if _, _, errno := syscall.Syscall(syscall.SYS_FCNTL, w.Fd(), syscall.F_SETFD, 0); errno != 0 {
		t.Fatal(errno)
	}
	start(t, options(t, "1.0.0"))
	w.Close()
	if err := r.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Skip("pipes have no deadline here")
	}
	if n, err := r.Read(make([]byte, 1)); n != 0 || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("read %d bytes, %v: the sidecar holds the pipe open", n, err)
	}
}

func TestRemoveLeavesNothingOfTheDaemon(t *testing.T) {
	opts := options(t, "1.0.0")
	start(t, opts)
	if err := os.WriteFile(daemon.DatabasePath(opts.StateDir), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for range 2 { // again is no error
		if err := daemon.Remove(t.Context(), opts.StateDir); err != nil {
			t.Fatal(err)
		}
	}
	entries, err := os.ReadDir(opts.StateDir)
	if err != nil || len(entries) != 1 || entries[0].Name() != "farmhand.db" {
		t.Errorf("left: %v (%v), want the store only", entries, err)
	}
}

func TestStateDir(t *testing.T) {
	t.Setenv("FARMHAND_STATE_DIR", "")
	t.Setenv("XDG_STATE_HOME", "/var/lib/me")
	if d, err := daemon.StateDir(); err != nil || d != "/var/lib/me/farmhand" {
		t.Errorf("%q, %v", d, err)
	}
	t.Setenv("FARMHAND_STATE_DIR", "/srv/farmhand")
	if d, err := daemon.StateDir(); err != nil || d != "/srv/farmhand" {
		t.Errorf("%q, %v", d, err)
	}
}

func TestAnotherAddressForMetricsStartsItAnew(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	opts := options(t, "1.0.0")
	old := start(t, opts)

	opts.Metrics = taken.Addr().String()
	if _, err := daemon.Start(t.Context(), opts); err == nil || !strings.Contains(err.Error(), "another process listens there") || !strings.Contains(err.Error(), "goes on as it is") {
		t.Errorf("an address that is taken: %v", err)
	}
	if s, err := daemon.Find(t.Context(), opts.StateDir); err != nil || s.PID != old.PID {
		t.Errorf("after that there is %+v, %v; want the one of before", s, err)
	}
	taken.Close()
	now := start(t, opts)
	if now.PID == old.PID || now.Metrics != opts.Metrics {
		t.Errorf("with metrics it is %+v", now)
	}
	if again := start(t, opts); again.PID != now.PID {
		t.Errorf("the same again started pid %d beside %d", again.PID, now.PID)
	}
	// Its own port, at another address: the one that runs lets go of it.
	_, port, _ := net.SplitHostPort(opts.Metrics)
	opts.Metrics = "127.0.0.2:" + port
	if other := start(t, opts); other.PID == now.PID || other.Metrics != opts.Metrics {
		t.Errorf("at another address it is %+v", other)
	}
}
