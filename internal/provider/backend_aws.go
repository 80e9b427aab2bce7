package provider

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/farmhand/terraform-provider-farmhand/internal/awsconfig"
	"github.com/farmhand/terraform-provider-farmhand/internal/platform"
	"github.com/farmhand/terraform-provider-farmhand/internal/platform/platforms"
	"github.com/farmhand/terraform-provider-farmhand/internal/spec"
	"github.com/farmhand/terraform-provider-farmhand/internal/store"
	"github.com/farmhand/terraform-provider-farmhand/internal/store/s3blobs"
	"github.com/farmhand/terraform-provider-farmhand/internal/store/stores"
)

// errNotKnownYet: where the store is, or how AWS is reached, is known only after apply. A plan goes on without; a refresh
// does not take anything for gone.
var errNotKnownYet = errors.New("the provider's configuration is known only after apply: " +
	"give region, store and what leads to credentials values that do not depend on resources of the same apply, or apply those first with -target")

// cloud is what the provider's block says of AWS.
type cloud struct {
	config  awsconfig.Config
	table   string // "" where the store is a file
	bucket  string // "" for the account's default
	unknown bool   // something of it is known only after apply

	mu      sync.Mutex // of what is found at first use
	loaded  *aws.Config
	account string
}

// remote tells whether the store is in AWS.
func (b *backend) remote() bool { return b.cloud.table != "" || b.cloud.unknown }

// noStoreYet tells whether a plan goes on without a store: there is none, or it is not known where.
func noStoreYet(err error) bool {
	return errors.Is(err, errNoStore) || errors.Is(err, errNotKnownYet) || errors.Is(err, store.ErrNotFound)
}

// awsConfig is the configuration that every client is made from. It contacts nothing.
func (b *backend) awsConfig(ctx context.Context) (aws.Config, error) {
	b.cloud.mu.Lock()
	defer b.cloud.mu.Unlock()
	if b.cloud.unknown {
		return aws.Config{}, errNotKnownYet
	}
	if b.cloud.loaded == nil {
		cfg, err := awsconfig.Load(context.WithoutCancel(ctx), b.cloud.config)
		if err != nil {
			return aws.Config{}, err
		}
		b.cloud.loaded = &cfg
	}
	return *b.cloud.loaded, nil
}

// region is the provider's; "" where none is said or it is not known yet.
func (b *backend) region(ctx context.Context) string {
	cfg, err := b.awsConfig(ctx)
	if err != nil {
		return b.cloud.config.Region
	}
	return cfg.Region
}

// accountID asks AWS who is calling, once.
func (b *backend) accountID(ctx context.Context) (string, error) {
	cfg, err := b.awsConfig(ctx)
	if err != nil {
		return "", err
	}
	b.cloud.mu.Lock()
	defer b.cloud.mu.Unlock()
	if b.cloud.account == "" {
		id, err := awsconfig.Identify(ctx, cfg)
		if err != nil {
			return "", err
		}
		b.cloud.account = id.Account
	}
	return b.cloud.account, nil
}

// address is where the store in AWS is, for sidecars and agents.
func (b *backend) address(ctx context.Context) (stores.Address, error) {
	cfg, err := b.awsConfig(ctx)
	if err != nil {
		return stores.Address{}, err
	}
	bucket := b.cloud.bucket
	if bucket == "" {
		account, err := b.accountID(ctx)
		if err != nil {
			return stores.Address{}, err
		}
		bucket = s3blobs.DefaultBucket(account, cfg.Region)
	}
	a := stores.Address{Kind: stores.DynamoDB, Table: b.cloud.table, Region: cfg.Region, Bucket: bucket}
	a.Endpoint = aws.ToString(dynamodb.NewFromConfig(cfg).Options().BaseEndpoint)
	if s := aws.ToString(s3.NewFromConfig(cfg).Options().BaseEndpoint); s != a.Endpoint {
		a.S3Endpoint = s
	}
	return a, a.Check()
}

// openRemote opens the store in AWS; readOnly makes nothing. The caller holds b.mu.
func (b *backend) openRemote(ctx context.Context, readOnly bool) (store.Store, store.Blobs, error) {
	a, err := b.address(ctx)
	if err != nil {
		return nil, nil, err
	}
	s, blobs, err := stores.Open(ctx, a.String(), stores.Options{AWS: b.awsConfig, ReadOnly: readOnly, Tags: b.cloud.config.DefaultTags})
	if errors.Is(err, store.ErrNotFound) && readOnly {
		return nil, nil, fmt.Errorf("%w: %w", errNoStore, err)
	}
	if err != nil {
		if cfg, broken := b.awsConfig(ctx); broken == nil {
			err = awsconfig.Reach(ctx, cfg, err)
		}
		return nil, nil, fmt.Errorf("opening the store in table %s: %w", a.Table, err)
	}
	return s, blobs, nil
}

// openPlatform makes a farm's platform with the provider's way to AWS.
func (b *backend) openPlatform(deps platforms.Deps) func(context.Context, spec.Farm, store.Store) (platform.Platform, error) {
	return func(_ context.Context, farm spec.Farm, s store.Store) (platform.Platform, error) {
		deps := deps
		deps.Store = s
		if farm.AWS != nil {
			deps.AWS = func(ctx context.Context) (aws.Config, error) { return b.awsIn(ctx, farm.AWS.Region) }
		}
		return platforms.Open(farm, deps)
	}
}
