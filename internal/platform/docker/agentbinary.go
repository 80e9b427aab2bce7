package docker

import (
	"errors"
	"fmt"
	"time"

	"github.com/farmhand/terraform-provider-farmhand/internal/deploy/executable"
	"github.com/farmhand/terraform-provider-farmhand/internal/platform"
)

// agentPath is where the agent stands in a container; its entrypoint is `farmhand agent`.
const agentPath = "/usr/local/bin/farmhand"

// agentBinary is the executable that machines run.
type agentBinary struct {
	path         string
	size         int64
	modified     time.Time
	hash         string // SHA-256, hex
	architecture string // GOARCH's word
}

// readAgent checks and hashes an agent's executable, once for as long as the file stays as it is.
func readAgent(path string) (agentBinary, error) {
	if path == "" {
		return agentBinary{}, fmt.Errorf("no agent binary is named; machines cannot be launched without: %w", platform.ErrInvalid)
	}
	f, err := executable.Read(path)
	switch {
	case errors.Is(err, executable.ErrUnsuitable):
		return agentBinary{}, fmt.Errorf("agent binary %s: %w: %w", path, err, platform.ErrInvalid)
	case err != nil:
		return agentBinary{}, fmt.Errorf("agent binary %s: %w", path, err)
	}
	return agentBinary{path: f.Path, size: f.Size, modified: f.Modified, hash: f.SHA256, architecture: f.Architecture}, nil
}

// suits tells whether the agent runs in the image.
func (a agentBinary) suits(ref string, base baseImage) error {
	if base.architecture == "" || base.architecture == a.architecture {
		return nil
	}
	return fmt.Errorf("image %q is made for %s and the agent for %s: %s: %w", ref, base.architecture, a.architecture, imageAdvice, platform.ErrInvalid)
}
