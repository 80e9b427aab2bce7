package daemon

import (
	"context"
	"fmt"
	"os"
)

// Remove stops the daemon of stateDir and removes what is the daemon's own there: its copies, lock, socket, id and
// log. The store is not; nor is the directory. What is not there is no error.
func Remove(ctx context.Context, stateDir string) error {
	if _, err := os.Stat(stateDir); os.IsNotExist(err) {
		return nil
	}
	turn, err := takeTurn(ctx, stateDir)
	if err != nil {
		return err
	}
	defer turn.Close()
	if err := Stop(ctx, stateDir); err != nil {
		return err
	}
	for _, path := range []string{
		binDir(stateDir), readHolder(stateDir).Socket, idPath(stateDir), LogPath(stateDir), formerLogPath(stateDir),
		lockPath(stateDir), startPath(stateDir), // last: whoever starts one meanwhile makes new ones
	} {
		if path == "" {
			continue
		}
		if err := os.RemoveAll(path); err != nil {
			return fmt.Errorf("removing the sidecar: %w", err)
		}
	}
	return nil
}
