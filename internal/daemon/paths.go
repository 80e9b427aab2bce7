package daemon

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
)

// StateDir is where a sidecar keeps everything: $FARMHAND_STATE_DIR, else $XDG_STATE_HOME/farmhand,
// else ~/.local/state/farmhand. It is not created here.
func StateDir() (string, error) {
	dir := os.Getenv("FARMHAND_STATE_DIR")
	if dir == "" {
		if base := os.Getenv("XDG_STATE_HOME"); base != "" {
			dir = filepath.Join(base, "farmhand")
		}
	}
	if dir == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			return "", fmt.Errorf("finding the state directory: %w; set FARMHAND_STATE_DIR", err)
		}
		dir = filepath.Join(home, ".local", "state", "farmhand")
	}
	abs, err := filepath.Abs(dir)
	if err != nil {
		return "", fmt.Errorf("finding the state directory: %w", err)
	}
	return abs, nil
}

// DatabasePath is the store of a state directory.
func DatabasePath(stateDir string) string { return filepath.Join(stateDir, "farmhand.db") }

// BlobsPath is the folder of application releases.
func BlobsPath(stateDir string) string { return filepath.Join(stateDir, "blobs") }

// LogPath is where a detached sidecar writes what it has to say.
func LogPath(stateDir string) string { return filepath.Join(stateDir, "sidecar.log") }

func formerLogPath(stateDir string) string { return LogPath(stateDir) + ".1" }

func lockPath(stateDir string) string  { return filepath.Join(stateDir, "sidecar.lock") }
func startPath(stateDir string) string { return filepath.Join(stateDir, "start.lock") }
func idPath(stateDir string) string    { return filepath.Join(stateDir, "sidecar.id") }
func binDir(stateDir string) string    { return filepath.Join(stateDir, "bin") }

// maxSocketPath: sun_path holds 108 bytes with the closing zero on Linux, and 104 on macOS and the BSDs.
const maxSocketPath = 103

// socketPath is where the daemon of stateDir listens. The daemon records it in its lock file, so that a caller
// with another TMPDIR finds it as well.
func socketPath(stateDir string) string {
	p := filepath.Join(stateDir, "socket")
	if len(p) <= maxSocketPath {
		return p
	}
	sum := sha256.Sum256([]byte(stateDir))
	return filepath.Join(os.TempDir(), fmt.Sprintf("farmhand-%d-%s.sock", os.Getuid(), hex.EncodeToString(sum[:6])))
}

// EnsureStateDir makes the directory, readable by its owner only: it holds credentials.
func EnsureStateDir(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("creating the state directory: %w; set FARMHAND_STATE_DIR to a place that can be written to", err)
	}
	return nil
}
