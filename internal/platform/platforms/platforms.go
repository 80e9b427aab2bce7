// Package platforms is the registry: one case per platform, and the only place that names them all.
package platforms

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"

	"github.com/farmhand/terraform-provider-farmhand/internal/awsconfig"
	"github.com/farmhand/terraform-provider-farmhand/internal/platform"
	"github.com/farmhand/terraform-provider-farmhand/internal/platform/aws"
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
	// AWS gives the configuration that EC2 is called with; nil: awsconfig's for the farm's region, from environment and shared files.
	AWS func(ctx context.Context) (awssdk.Config, error)
}

// awsConfig is Deps.AWS with its default.
func awsConfig(farm spec.Farm, given func(context.Context) (awssdk.Config, error)) func(context.Context) (awssdk.Config, error) {
	if given != nil {
		return given
	}
	return func(ctx context.Context) (awssdk.Config, error) {
		return awsconfig.Load(ctx, awsconfig.Config{Region: farm.AWS.Region})
	}
}

// Open makes the platform that the farm declares. Nothing is contacted before the platform's own Open or Check.
func Open(farm spec.Farm, d Deps) (platform.Platform, error) {
	switch farm.Platform() {
	case "docker":
		return docker.New(docker.Options{Farm: farm, AgentBinary: d.AgentBinary, Log: d.Log})
	case "simulated":
		return simulated.New(simulated.Options{Farm: farm, Store: d.Store, Log: d.Log, Now: d.Now})
	case "aws":
		return aws.New(aws.Options{Farm: farm, Store: d.Store, Config: awsConfig(farm, d.AWS), Log: d.Log, Now: d.Now})
	}
	return nil, fmt.Errorf("farm %s names no platform: set docker, aws or simulated: %w", farm.Name, platform.ErrInvalid)
}

// Preflight tells at plan time what would stop a new farm from running on its platform. It changes nothing.
// s may be nil where there is no store yet. A farm of that name on the engine that s knows nothing of is a problem.
func Preflight(ctx context.Context, farm spec.Farm, s store.Store) []spec.Problem {
	if farm.AWS != nil {
		return PreflightAWS(ctx, farm, nil, nil)
	}
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

// PreflightAWS tells at plan time what would stop a farm's machines, or a role's where role is not nil, from being launched on EC2.
// cfg is nil for the default of Deps.AWS. It changes nothing.
func PreflightAWS(ctx context.Context, farm spec.Farm, role *spec.Role, cfg func(context.Context) (awssdk.Config, error)) []spec.Problem {
	if farm.AWS == nil {
		return nil
	}
	c, err := awsConfig(farm, cfg)(ctx)
	if err != nil {
		return []spec.Problem{{Attribute: "aws", Summary: err.Error()}}
	}
	if role != nil {
		return aws.PreflightRole(ctx, c, farm, *role)
	}
	return aws.Preflight(ctx, c, farm)
}
