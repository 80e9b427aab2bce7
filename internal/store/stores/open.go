package stores

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/farmhand/terraform-provider-farmhand/internal/awsconfig"
	"github.com/farmhand/terraform-provider-farmhand/internal/daemon"
	"github.com/farmhand/terraform-provider-farmhand/internal/store"
	"github.com/farmhand/terraform-provider-farmhand/internal/store/dirblobs"
	"github.com/farmhand/terraform-provider-farmhand/internal/store/dynamodb"
	"github.com/farmhand/terraform-provider-farmhand/internal/store/s3blobs"
	"github.com/farmhand/terraform-provider-farmhand/internal/store/sqlite"
)

// Options of Open. The zero value opens for writing, and makes what is not there.
type Options struct {
	// AWS makes the configuration, whose region is the address' afterwards; nil for the SDK's own. It is called for stores
	// on AWS only.
	AWS func(context.Context) (aws.Config, error)
	// ReadOnly makes nothing: store.ErrNotFound where there is no store.
	ReadOnly bool
	// Agent opens without a look, as an instance may not take any: what is wrong shows at the first use.
	Agent bool
	// Account is what the bucket must be of; empty: any that lets these credentials in.
	Account string
	Tags    map[string]string // of what is made
	Log     *slog.Logger      // nil: slog.Default
}

// Open opens the store at an address and its blobs. The caller closes the store.
func Open(ctx context.Context, address string, o Options) (store.Store, store.Blobs, error) {
	a, err := Parse(address)
	if err != nil {
		return nil, nil, err
	}
	if a.Kind == SQLite {
		return openSQLite(ctx, a, o)
	}
	cfg, err := a.config(ctx, o.AWS)
	if err != nil {
		return nil, nil, err
	}
	table, bucket := dynamodb.Options{Table: a.Table, Tags: o.Tags, Log: o.Log}, s3blobs.Options{Bucket: a.Bucket, Tags: o.Tags, Account: o.Account}
	switch {
	case o.Agent:
		table.Mode, bucket.Mode = dynamodb.Trusting, s3blobs.Trusting
	case o.ReadOnly:
		table.Mode, bucket.Mode = dynamodb.Existing, s3blobs.Trusting // who only looks need not see the bucket
	}
	// The bucket first: its name may be taken, and then no table is made.
	blobs, err := s3blobs.Open(ctx, cfg, bucket)
	if err != nil {
		return nil, nil, err
	}
	s, err := dynamodb.Open(ctx, cfg, table)
	if err != nil {
		return nil, nil, err
	}
	return s, blobs, nil
}

func openSQLite(ctx context.Context, a Address, o Options) (store.Store, store.Blobs, error) {
	path := daemon.DatabasePath(a.Dir)
	if o.ReadOnly || o.Agent {
		if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
			return nil, nil, fmt.Errorf("%w: there is no store in %s: nothing was applied yet, or with another state directory", store.ErrNotFound, a.Dir)
		}
	} else if err := daemon.EnsureStateDir(a.Dir); err != nil {
		return nil, nil, err
	}
	s, err := sqlite.Open(ctx, path)
	if err != nil {
		return nil, nil, err
	}
	blobs, err := dirblobs.Open(daemon.BlobsPath(a.Dir))
	if err != nil {
		_ = s.Close()
		return nil, nil, err
	}
	return s, blobs, nil
}

// AWSConfig is the AWS configuration that the store at an address is reached with, for what else lies beside it: region and endpoints
// of the address, credentials of the machine.
func AWSConfig(ctx context.Context, address string) (aws.Config, error) {
	a, err := Parse(address)
	if err != nil {
		return aws.Config{}, err
	}
	return a.config(ctx, nil)
}

// config is the AWS configuration for the address: its region and endpoints, whoever's credentials.
func (a Address) config(ctx context.Context, load func(context.Context) (aws.Config, error)) (aws.Config, error) {
	if load == nil {
		load = func(ctx context.Context) (aws.Config, error) {
			return awsconfig.Load(ctx, awsconfig.Config{Region: a.Region})
		}
	}
	cfg, err := load(ctx)
	if err != nil {
		return aws.Config{}, err
	}
	cfg = cfg.Copy()
	cfg.Region = a.Region
	endpoints := map[string]string{}
	if a.Endpoint != "" {
		endpoints["dynamodb"], endpoints["s3"] = a.Endpoint, a.Endpoint
	}
	if a.S3Endpoint != "" {
		endpoints["s3"] = a.S3Endpoint
	}
	return awsconfig.WithEndpoints(cfg, endpoints), nil
}

// Remove deletes a store on AWS: table and bucket, each only if it was made here and holds nothing that lives. What was
// left is said, "" when nothing is. A store in a file is its owner's to remove.
func Remove(ctx context.Context, address string, o Options) (left []string, err error) {
	a, err := Parse(address)
	if err != nil {
		return nil, err
	}
	if a.Kind != DynamoDB {
		return nil, fmt.Errorf("%w: %s is a file's address: remove the file", store.ErrInvalid, address)
	}
	cfg, err := a.config(ctx, o.AWS)
	if err != nil {
		return nil, err
	}
	table, err := dynamodb.Remove(ctx, cfg, dynamodb.Options{Table: a.Table, Log: o.Log})
	if err != nil {
		return nil, err
	}
	if table != "" {
		// Something lives in the table: it may need its blobs.
		return []string{table, "bucket " + a.Bucket}, nil
	}
	bucket, err := s3blobs.Remove(ctx, cfg, a.Bucket)
	if err != nil {
		return nil, err
	}
	if bucket != "" {
		left = append(left, bucket)
	}
	return left, nil
}
