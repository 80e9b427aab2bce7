// Package platforms is the registry: one case per platform, and the only place that names them all.
package platforms

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/farmhand/terraform-provider-farmhand/internal/platform"
	"github.com/farmhand/terraform-provider-farmhand/internal/platform/docker"
	"github.com/farmhand/terraform-provider-farmhand/internal/platform/simulated"
	"github.com/farmhand/terraform-provider-farmhand/internal/spec"
	"github.com/farmhand/terraform-provider-farmhand/internal/state"
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

// Preflight tells at plan time what would stop a new farm from running on its platform. It changes nothing.
// s may be nil where there is no store yet. A farm of that name on the engine that s knows nothing of is a problem.
func Preflight(ctx context.Context, farm spec.Farm, s store.Store) []spec.Problem {
	if farm.Docker == nil {
		return nil // what a simulated farm needs, spec has checked
	}
	problems := docker.Preflight(ctx, farm)
	if s != nil {
		if _, err := s.Get(ctx, state.FarmIndexKey(farm.Name)); !errors.Is(err, store.ErrNotFound) {
			return problems
		}
	}
	return append(problems, docker.PreflightName(ctx, farm)...)
}
