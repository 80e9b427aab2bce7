// Package targets opens the places that backups lie in by their address: one case per kind, and the only place that names them all.
package targets

import (
	"context"
	"fmt"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/farmhand/terraform-provider-farmhand/internal/awsconfig"
	"github.com/farmhand/terraform-provider-farmhand/internal/backup"
	"github.com/farmhand/terraform-provider-farmhand/internal/backup/s3target"
	"github.com/farmhand/terraform-provider-farmhand/internal/spec"
)

// Targets opens targets and keeps the open ones. The zero value is ready; safe for concurrent use.
type Targets struct {
	// AWS gives the configuration for S3; nil: the SDK's own chain.
	AWS func(ctx context.Context) (aws.Config, error)

	mu   sync.Mutex
	open map[string]backup.Target
}

// Open returns the target at the address, see spec.Backup.To. Nothing is asked of it yet but whether a folder is there.
func (t *Targets) Open(ctx context.Context, to string) (backup.Target, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if target := t.open[to]; target != nil {
		return target, nil
	}
	target, err := t.make(ctx, to)
	if err != nil {
		return nil, fmt.Errorf("opening the place of backups %s: %w", to, err)
	}
	if t.open == nil {
		t.open = map[string]backup.Target{}
	}
	t.open[to] = target
	return target, nil
}

func (t *Targets) make(ctx context.Context, to string) (backup.Target, error) {
	place, err := spec.ParseBackupTarget(to)
	if err != nil {
		return nil, err
	}
	if place.Bucket == "" {
		return backup.OpenDir(place.Path)
	}
	load := t.AWS
	if load == nil {
		load = func(ctx context.Context) (aws.Config, error) { return awsconfig.Load(ctx, awsconfig.Config{}) }
	}
	cfg, err := load(ctx)
	if err != nil {
		return nil, err
	}
	return s3target.New(s3.NewFromConfig(cfg, func(o *s3.Options) { o.UsePathStyle = cfg.BaseEndpoint != nil }), place.Bucket, place.Path)
}
