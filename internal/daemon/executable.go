package daemon

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// keepCopies is how many executables stay in the state directory: the running one, and former ones that agents of
// older instances may still have been started from.
const keepCopies = 4

var unsafeInName = regexp.MustCompile(`[^A-Za-z0-9.+-]+`)

// Install copies executable into the state directory and returns the copy's path, bin/farmhand-<version>-<hash>.
// A sidecar never runs from the provider's own file, which Terraform replaces or removes under it. The copy is
// renamed into place, so that what has the name is whole. The same bytes are copied once.
func Install(stateDir, executable, version string) (string, error) {
	src, err := os.Open(executable)
	if err != nil {
		return "", fmt.Errorf("copying the sidecar's executable: %w", err)
	}
	defer src.Close()
	if err := os.MkdirAll(binDir(stateDir), 0o700); err != nil {
		return "", fmt.Errorf("copying the sidecar's executable: %w", err)
	}
	tmp, err := os.CreateTemp(binDir(stateDir), ".incoming-*")
	if err != nil {
		return "", fmt.Errorf("copying the sidecar's executable: %w", err)
	}
	defer os.Remove(tmp.Name())
	hash := sha256.New()
	_, err = io.Copy(io.MultiWriter(tmp, hash), src)
	if err == nil {
		err = tmp.Chmod(0o755) // machines of other users run it as their agent
	}
	if closeErr := tmp.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return "", fmt.Errorf("copying the sidecar's executable to %s: %w", binDir(stateDir), err)
	}
	name := fmt.Sprintf("farmhand-%s-%s", unsafeInName.ReplaceAllString(version, "-"), hex.EncodeToString(hash.Sum(nil)[:4]))
	path := filepath.Join(binDir(stateDir), name)
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	if err := os.Rename(tmp.Name(), path); err != nil {
		return "", fmt.Errorf("copying the sidecar's executable: %w", err)
	}
	prune(stateDir, path)
	return path, nil
}

// prune removes the oldest copies. A failure costs room on the disk and nothing else.
func prune(stateDir, current string) {
	entries, err := os.ReadDir(binDir(stateDir))
	if err != nil {
		return
	}
	type copied struct {
		path string
		at   int64
	}
	var copies []copied
	for _, e := range entries {
		info, err := e.Info()
		if err != nil || !strings.HasPrefix(e.Name(), "farmhand-") {
			continue
		}
		if p := filepath.Join(binDir(stateDir), e.Name()); p != current {
			copies = append(copies, copied{p, info.ModTime().UnixNano()})
		}
	}
	slices.SortFunc(copies, func(a, b copied) int { return int(min(1, max(-1, b.at-a.at))) })
	for i, c := range copies {
		if i >= keepCopies-1 {
			_ = os.Remove(c.path)
		}
	}
}
