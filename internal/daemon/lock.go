package daemon

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
)

// errLocked: another process holds the lock.
var errLocked = errors.New("locked by another process")

// holder is written into the lock file by who holds it. It tells where to ask; it proves nothing.
type holder struct {
	PID    int    `json:"pid"`
	Socket string `json:"socket"`
}

// acquire takes the lock at path without waiting. The lock ends with the returned file, or with the process.
func acquire(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("opening the lock: %w", err)
	}
	if err := flock(f); err != nil {
		_ = f.Close()
		return nil, err
	}
	return f, nil
}

// locked tells whether some process holds the lock of stateDir. A missing file is a free lock.
func locked(stateDir string) (bool, error) {
	f, err := os.OpenFile(lockPath(stateDir), os.O_RDWR, 0)
	if errors.Is(err, os.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("opening the lock: %w", err)
	}
	defer f.Close()
	err = flock(f)
	if errors.Is(err, errLocked) {
		return true, nil
	}
	return false, err
}

func writeHolder(f *os.File, h holder) error {
	b, err := json.Marshal(h)
	if err != nil {
		return err
	}
	if err := f.Truncate(0); err != nil {
		return err
	}
	_, err = f.WriteAt(append(b, '\n'), 0)
	return err
}

// readHolder returns what the last holder wrote; zero if there is nothing readable.
func readHolder(stateDir string) holder {
	var h holder
	b, err := os.ReadFile(lockPath(stateDir))
	if err == nil {
		_ = json.Unmarshal(b, &h)
	}
	return h
}
