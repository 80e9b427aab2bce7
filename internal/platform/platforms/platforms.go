// Package platforms is the registry: one case per platform, and the only place that names them all.
package platforms

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/farmhand/terraform-provider-farmhand/internal/platform"
	"github.com/farmhand/terraform-provider-farmhand/internal/platform/docker"
	"github.com/farmhand/terraform-provider-farmhand/internal/platform/simulated"
	"github.com/farmhand/terraform-provider-farmhand/internal/spec"
	"github.com/farmhand/terraform-provider-farmhand/internal/store"
)

// Deps is what platforms need besides the farm's declaration.
type Deps struct {
	Store       store.Store      // where the simulated platform keeps its machines
	AgentBinary string           // static Linux executable that runs as the agent in containers
	Log         *slog.Logger     // nil: slog.Default
	Now         func() time.Time // nil: time.Now
}

// Open makes the platform that the farm declares. Nothing is contacted before the platform's own Open or Check.
func Open(farm spec.Farm, d Deps) (platform.Platform, error) {
	switch farm.Platform() {
	case "docker":
		return docker.New(docker.Options{Farm: farm, AgentBinary: d.AgentBinary, Log: d.Log})
	case "simulated":
		return simulated.New(simulated.Options{Farm: farm, Store: d.Store, Log: d.Log, Now: d.Now})
	}
	return nil, fmt.Errorf("farm %s names no platform: set docker or simulated: %w", farm.Name, platform.ErrInvalid)
}

// Preflight tells at plan time what would stop the farm from running on its platform. It changes nothing.
// The store may be nil; with one, a farm of the same name that another store keeps on the same engine is found too.
func Preflight(ctx context.Context, farm spec.Farm, s store.Store) []spec.Problem {
	if farm.Docker != nil {
		return docker.Preflight(ctx, farm)
	}
	return nil
}
