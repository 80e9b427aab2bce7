package docker

import (
	"log/slog"

	"github.com/farmhand/terraform-provider-farmhand/internal/platform"
	"github.com/farmhand/terraform-provider-farmhand/internal/spec"
)

// Options says what one farm's Docker platform works with.
type Options struct {
	Farm spec.Farm // Farm.Docker must be set
	// AgentBinary is a static Linux executable that runs as `farmhand agent` in every container.
	AgentBinary string
	Log         *slog.Logger // nil: slog.Default
}

// Docker is the platform of one farm. Safe for concurrent use.
type Docker struct {
	platform.Platform
	opts Options
}

// New prepares the platform; the engine is first asked by Open or Check.
func New(o Options) (*Docker, error) {
	return &Docker{opts: o}, nil
}
