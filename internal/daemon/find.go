package daemon

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"
)

// askTimeout bounds one question to a daemon: it answers from memory.
const askTimeout = 3 * time.Second

// Find asks the daemon of stateDir for its status. It starts nothing and changes nothing.
// ErrNotRunning if nobody holds the lock, ErrNotAnswering if its holder is mute.
func Find(ctx context.Context, stateDir string) (Status, error) {
	var s Status
	askErr := ask(ctx, stateDir, http.MethodGet, "/status", &s)
	if askErr == nil {
		return s, nil
	}
	if err := ctx.Err(); err != nil {
		return Status{}, err
	}
	held, err := locked(stateDir)
	if err != nil {
		return Status{}, err
	}
	if !held {
		return Status{}, ErrNotRunning
	}
	return Status{}, fmt.Errorf("%w: a process holds %s (pid %d says the file) but gives no answer: %w; its log is %s",
		ErrNotAnswering, lockPath(stateDir), readHolder(stateDir).PID, askErr, LogPath(stateDir))
}

// ask sends one request over the daemon's socket and decodes the answer into v, if any.
func ask(ctx context.Context, stateDir, method, path string, v any) error {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	socket := readHolder(stateDir).Socket
	if socket == "" {
		return fmt.Errorf("no socket is recorded in %s", lockPath(stateDir))
	}
	transport := &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", socket)
		},
	}
	defer transport.CloseIdleConnections()
	req, err := http.NewRequestWithContext(ctx, method, "http://sidecar"+path, nil)
	if err != nil {
		return err
	}
	resp, err := (&http.Client{Transport: transport}).Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		b, _ := io.ReadAll(io.LimitReader(resp.Body, 1<<10))
		return fmt.Errorf("%s %s: %s %s", method, path, resp.Status, b)
	}
	if v == nil {
		return nil
	}
	return json.NewDecoder(resp.Body).Decode(v)
}
