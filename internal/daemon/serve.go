package daemon

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"time"
)

// ServeOptions describe a daemon to itself.
type ServeOptions struct {
	StateDir string
	Store    string // address of a store that is elsewhere; "" for the one in StateDir
	Metrics  string // address that it serves metrics at; "" for none
	Version  string
	// Farms names the farms kept now; called for every status, nil for none.
	Farms func() []string
	Log   *slog.Logger
}

// Prepare opens what the daemon needs and returns its work. It is called under the lock and before the socket
// answers, so that whoever starts a daemon learns what kept it from working. ctx ends when the daemon is to stop; id
// is its own.
type Prepare func(ctx context.Context, id string) (work func() error, err error)

// Serve holds the state directory's lock, answers on its socket, and works until the work returns, ctx ends, or
// somebody asks it to stop; it returns when the work has. It fails at once if another daemon holds the lock.
func Serve(ctx context.Context, opts ServeOptions, prepare Prepare) error {
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	if err := EnsureStateDir(opts.StateDir); err != nil {
		return err
	}
	lock, err := acquireSoon(ctx, opts.StateDir)
	if err != nil {
		return err
	}
	defer lock.Close()
	id, err := identity(opts.StateDir)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	work, err := prepare(ctx, id)
	if err != nil {
		return err
	}

	socket := socketPath(opts.StateDir)
	// The lock is ours, so that whoever left this socket is dead.
	if err := os.Remove(socket); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("removing a dead sidecar's socket: %w", err)
	}
	listener, err := net.Listen("unix", socket)
	if err != nil {
		return fmt.Errorf("listening on the sidecar's socket: %w", err)
	}
	if err := os.Chmod(socket, 0o600); err != nil {
		return fmt.Errorf("closing the sidecar's socket to others: %w", err)
	}

	executable, _ := os.Executable()
	started := time.Now().UTC()
	mux := http.NewServeMux()
	mux.HandleFunc("GET /status", func(w http.ResponseWriter, _ *http.Request) {
		s := Status{ID: id, Version: opts.Version, PID: os.Getpid(), Started: started, Executable: executable, StateDir: opts.StateDir, Store: opts.Store, AWS: os.Getenv(AWSVariable), Metrics: opts.Metrics}
		if opts.Farms != nil {
			s.Farms = opts.Farms()
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(s)
	})
	mux.HandleFunc("POST /stop", func(w http.ResponseWriter, _ *http.Request) {
		opts.Log.Info("stopping: asked to on the socket")
		w.WriteHeader(http.StatusOK)
		cancel()
	})
	server := &http.Server{Handler: mux, ReadHeaderTimeout: askTimeout}
	go func() { _ = server.Serve(listener) }()
	defer server.Close()
	if err := writeHolder(lock, holder{PID: os.Getpid(), Socket: socket}); err != nil {
		return fmt.Errorf("recording the sidecar's socket: %w", err)
	}
	return work()
}

// acquireSoon takes the daemon's lock. Whoever looks whether it is held holds it for a moment, so that one refusal
// is not yet another daemon.
func acquireSoon(ctx context.Context, stateDir string) (*os.File, error) {
	deadline := time.Now().Add(time.Second)
	for {
		f, err := acquire(lockPath(stateDir))
		if !errors.Is(err, errLocked) {
			return f, err
		}
		if time.Now().After(deadline) {
			return nil, fmt.Errorf("another sidecar (pid %d) already runs in %s; stop it, or give this one its own --state-dir",
				readHolder(stateDir).PID, stateDir)
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(pollEvery):
		}
	}
}

// identity reads the state directory's sidecar id, or makes one. The caller holds the lock.
func identity(stateDir string) (string, error) {
	b, err := os.ReadFile(idPath(stateDir))
	if id := strings.TrimSpace(string(b)); err == nil && id != "" {
		return id, nil
	}
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return "", fmt.Errorf("reading the sidecar's id: %w", err)
	}
	raw := make([]byte, 4)
	if _, err := rand.Read(raw); err != nil {
		return "", fmt.Errorf("making the sidecar's id: %w", err)
	}
	id := "sidecar-" + hex.EncodeToString(raw)
	if err := os.WriteFile(idPath(stateDir), []byte(id+"\n"), 0o600); err != nil {
		return "", fmt.Errorf("writing the sidecar's id: %w", err)
	}
	return id, nil
}
