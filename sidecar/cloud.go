package sidecar

import (
	"context"
	"encoding/json"
	"fmt"
	"os"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/farmhand/terraform-provider-farmhand/internal/awsconfig"
	"github.com/farmhand/terraform-provider-farmhand/internal/daemon"
	"github.com/farmhand/terraform-provider-farmhand/internal/platform"
	"github.com/farmhand/terraform-provider-farmhand/internal/platform/platforms"
	"github.com/farmhand/terraform-provider-farmhand/internal/spec"
	"github.com/farmhand/terraform-provider-farmhand/internal/store"
)

// cloudConfig is how AWS is reached: what the provider's block says, where terraform apply started this process, over
// environment and shared files.
func cloudConfig(ctx context.Context) (aws.Config, error) { return cloudConfigIn(ctx, "") }

func cloudConfigIn(ctx context.Context, region string) (aws.Config, error) {
	var c awsconfig.Config
	if said := os.Getenv(daemon.AWSVariable); said != "" {
		if err := json.Unmarshal([]byte(said), &c); err != nil {
			return aws.Config{}, fmt.Errorf("reading $%s: %w", daemon.AWSVariable, err)
		}
	}
	if region != "" {
		c.Region = region
	}
	return awsconfig.Load(ctx, c)
}

// openPlatform makes a farm's platform with this process's way to AWS.
func openPlatform(deps platforms.Deps) func(context.Context, spec.Farm, store.Store) (platform.Platform, error) {
	return func(_ context.Context, farm spec.Farm, s store.Store) (platform.Platform, error) {
		deps := deps
		deps.Store = s
		if farm.AWS != nil {
			deps.AWS = func(ctx context.Context) (aws.Config, error) { return cloudConfigIn(ctx, farm.AWS.Region) }
		}
		return platforms.Open(farm, deps)
	}
}
