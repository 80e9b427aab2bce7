package daemon

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"
)

const (
	// stopPatience is how long a daemon may take to finish what it is doing, before it is signalled:
	// a launch that is under way is not interrupted.
	stopPatience = 20 * time.Second
	// pollEvery is how often a lock or a socket is looked at while waiting for it.
	pollEvery = 25 * time.Millisecond
)

// Stop ends the daemon of stateDir and waits until its lock is free. The farms' instances live on.
// A daemon that is not running is no error. It is asked over its socket; only if it then does not go is it
// signalled, and only the pid that its own answer named.
func Stop(ctx context.Context, stateDir string) error {
	s, err := Find(ctx, stateDir)
	if errors.Is(err, ErrNotRunning) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("stopping the sidecar: %w; end that process by hand", err)
	}
	if err := ask(ctx, stateDir, http.MethodPost, "/stop", nil); err != nil {
		// It may have gone in this very moment: the lock tells.
		if held, lockErr := locked(stateDir); lockErr == nil && !held {
			return nil
		}
	}
	for _, escalate := range []func(int) error{nil, terminate, kill} {
		if escalate != nil {
			_ = escalate(s.PID)
		}
		gone, err := waitFree(ctx, stateDir, stopPatience)
		if err != nil {
			return fmt.Errorf("stopping the sidecar (pid %d): %w", s.PID, err)
		}
		if gone {
			return nil
		}
	}
	return fmt.Errorf("stopping the sidecar: pid %d does not end; its log is %s", s.PID, LogPath(stateDir))
}

// waitFree waits until nobody holds the lock, at most for patience.
func waitFree(ctx context.Context, stateDir string, patience time.Duration) (bool, error) {
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for {
		held, err := locked(stateDir)
		if err != nil {
			return false, err
		}
		if !held {
			return true, nil
		}
		select {
		case <-ctx.Done():
			return false, ctx.Err()
		case <-deadline.C:
			return false, nil
		case <-tick.C:
		}
	}
}
