package daemon

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	locate "github.com/farmhand/terraform-provider-farmhand/internal/deploy/executable"
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
	if err := installAgents(executable, path); err != nil {
		return "", err
	}
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	if err := os.Rename(tmp.Name(), path); err != nil {
		return "", fmt.Errorf("copying the sidecar's executable: %w", err)
	}
	prune(stateDir, path)
	return path, nil
}

// installAgents copies the agents' executables that lie beside the original to beside the copy, where the sidecar looks for them.
func installAgents(original, path string) error {
	found, err := locate.Agents(original)
	if err != nil {
		return fmt.Errorf("copying the agent's executable: %w", err)
	}
	for _, architecture := range locate.Architectures() {
		to := locate.InstalledAgent(path, architecture)
		f, there := found[architecture]
		if !there || f.Path == original {
			_ = os.Remove(to) // of a former installation
			continue
		}
		if have, err := locate.Read(to); err == nil && have.SHA256 == f.SHA256 {
			continue
		}
		if err := copyFile(f.Path, to); err != nil {
			return fmt.Errorf("copying the agent's executable: %w", err)
		}
	}
	return nil
}

// copyFile makes an executable copy; what has the name is whole.
func copyFile(from, to string) error {
	src, err := os.Open(from)
	if err != nil {
		return err
	}
	defer src.Close()
	tmp, err := os.CreateTemp(filepath.Dir(to), ".incoming-*")
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name())
	_, err = io.Copy(tmp, src)
	if err == nil {
		err = tmp.Chmod(0o755)
	}
	if err := errors.Join(err, tmp.Close()); err != nil {
		return err
	}
	return os.Rename(tmp.Name(), to)
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
		if err != nil || !strings.HasPrefix(e.Name(), "farmhand-") || isAgent(e.Name()) {
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
			for _, a := range locate.Architectures() {
				_ = os.Remove(locate.InstalledAgent(c.path, a))
			}
		}
	}
}

// isAgent tells whether a file of the folder belongs to a copy and is none.
func isAgent(name string) bool {
	return slices.ContainsFunc(locate.Architectures(), func(a string) bool { return strings.HasSuffix(name, locate.InstalledAgent("", a)) })
}
