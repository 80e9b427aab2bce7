package s3blobs

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/farmhand/terraform-provider-farmhand/internal/store"
)

// TagStore is the tag that a bucket made here carries, with the bucket's name; a bucket without it is never deleted.
const TagStore = "farmhand:store"

// Mode is what Open may do.
type Mode int

const (
	// Create makes the bucket if there is none. The zero value.
	Create Mode = iota
	// Existing checks that it is there and makes none.
	Existing
	// Trusting opens without a call: for instances, which may read blobs and nothing else.
	Trusting
)

// Options of Open.
type Options struct {
	Bucket  string
	Mode    Mode
	Account string            // that the bucket must be of; empty: any that lets these credentials in
	Tags    map[string]string // of a bucket that is made, beside TagStore
}

// DefaultBucket is the bucket of who names none: names are taken worldwide, and an account's number is nobody else's.
func DefaultBucket(account, region string) string { return "farmhand-" + account + "-" + region }

// CheckBucket tells what is wrong with a bucket's name.
func CheckBucket(name string) error {
	// Dots are allowed by S3, and break the certificate of the bucket's host name.
	if ok, err := regexp.MatchString(`^[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$`, name); err != nil || !ok {
		return fmt.Errorf("%w bucket %q: its name has 3 to 63 lower-case letters, digits and hyphens", store.ErrInvalid, name)
	}
	return nil
}

// Open opens the blobs in a bucket. It returns store.ErrDenied if the bucket is another account's or an action is not
// allowed, store.ErrIncompatible if it is in another region, store.ErrNotFound if there is none and Mode is not Create.
func Open(ctx context.Context, cfg aws.Config, o Options) (*Blobs, error) {
	if err := CheckBucket(o.Bucket); err != nil {
		return nil, err
	}
	client := s3.NewFromConfig(cfg, func(o *s3.Options) {
		// A bucket as a host name needs a nameserver that knows it, which only AWS has.
		o.UsePathStyle = o.UsePathStyle || o.BaseEndpoint != nil
	})
	b := &Blobs{client: client, bucket: o.Bucket, region: cfg.Region, part: partSize}
	if o.Account != "" {
		b.owner = &o.Account
	}
	if o.Mode == Trusting {
		return b, nil
	}
	if err := b.prepare(ctx, o); err != nil {
		return nil, fmt.Errorf("opening bucket %s: %w", o.Bucket, err)
	}
	return b, nil
}

func (b *Blobs) prepare(ctx context.Context, o Options) error {
	out, err := b.client.HeadBucket(ctx, &s3.HeadBucketInput{Bucket: &b.bucket, ExpectedBucketOwner: b.owner})
	switch status := statusOf(err); {
	case err == nil:
		if r := aws.ToString(out.BucketRegion); r != "" && r != b.region {
			return fmt.Errorf("%w: it is in %s, not in %s: say that region, or name another bucket", store.ErrIncompatible, r, b.region)
		}
		return nil
	case status == http.StatusForbidden:
		return fmt.Errorf("%w: it is another account's, or s3:ListBucket on it is not allowed to these credentials: name another bucket, or allow it", store.ErrDenied)
	case status != http.StatusNotFound:
		return b.explain(ctx, err)
	case o.Mode != Create:
		return fmt.Errorf("%w: there is none in %s: the first apply with this store makes it", store.ErrNotFound, b.region)
	}
	in := &s3.CreateBucketInput{Bucket: &b.bucket}
	if b.region != "us-east-1" { // which is said by saying nothing
		in.CreateBucketConfiguration = &types.CreateBucketConfiguration{LocationConstraint: types.BucketLocationConstraint(b.region)}
	}
	_, err = b.client.CreateBucket(ctx, in)
	var taken *types.BucketAlreadyExists
	var ours *types.BucketAlreadyOwnedByYou
	switch {
	case errors.As(err, &ours):
		return nil // another process was faster, and sets it up
	case errors.As(err, &taken):
		return fmt.Errorf("%w: the name is taken by another account: name another bucket", store.ErrDenied)
	case err != nil:
		return b.explain(ctx, err)
	}
	if err := b.setUp(ctx, o.Tags); err != nil {
		// Nothing half-made stays: it is empty.
		if _, deleteErr := b.client.DeleteBucket(context.WithoutCancel(ctx), &s3.DeleteBucketInput{Bucket: &b.bucket, ExpectedBucketOwner: b.owner}); deleteErr != nil {
			return fmt.Errorf("%w (and it could not be removed again: %w)", b.explain(ctx, err), deleteErr)
		}
		return b.explain(ctx, err)
	}
	return nil
}

// setUp makes a new bucket what a store's is: tagged, closed to the public, encrypted, without remains of uploads.
func (b *Blobs) setUp(ctx context.Context, tags map[string]string) error {
	waiter := s3.NewBucketExistsWaiter(b.client, func(o *s3.BucketExistsWaiterOptions) { o.MinDelay = time.Second })
	if err := waiter.Wait(ctx, &s3.HeadBucketInput{Bucket: &b.bucket}, time.Minute); err != nil {
		return err
	}
	all := map[string]string{}
	maps.Copy(all, tags)
	all[TagStore] = b.bucket
	set := &types.Tagging{}
	for _, key := range slices.Sorted(maps.Keys(all)) {
		set.TagSet = append(set.TagSet, types.Tag{Key: aws.String(key), Value: aws.String(all[key])})
	}
	if _, err := b.client.PutBucketTagging(ctx, &s3.PutBucketTaggingInput{Bucket: &b.bucket, ExpectedBucketOwner: b.owner, Tagging: set}); err != nil {
		return err
	}
	yes := aws.Bool(true)
	_, err := b.client.PutPublicAccessBlock(ctx, &s3.PutPublicAccessBlockInput{Bucket: &b.bucket, ExpectedBucketOwner: b.owner,
		PublicAccessBlockConfiguration: &types.PublicAccessBlockConfiguration{BlockPublicAcls: yes, BlockPublicPolicy: yes, IgnorePublicAcls: yes, RestrictPublicBuckets: yes}})
	if err != nil {
		return err
	}
	_, err = b.client.PutBucketEncryption(ctx, &s3.PutBucketEncryptionInput{Bucket: &b.bucket, ExpectedBucketOwner: b.owner,
		ServerSideEncryptionConfiguration: &types.ServerSideEncryptionConfiguration{Rules: []types.ServerSideEncryptionRule{{
			ApplyServerSideEncryptionByDefault: &types.ServerSideEncryptionByDefault{SSEAlgorithm: types.ServerSideEncryptionAes256},
		}}}})
	if err != nil {
		return err
	}
	_, err = b.client.PutBucketLifecycleConfiguration(ctx, &s3.PutBucketLifecycleConfigurationInput{Bucket: &b.bucket, ExpectedBucketOwner: b.owner,
		LifecycleConfiguration: &types.BucketLifecycleConfiguration{Rules: []types.LifecycleRule{{
			ID: aws.String("unfinished-uploads"), Status: types.ExpirationStatusEnabled, Filter: &types.LifecycleRuleFilter{Prefix: aws.String(Prefix)},
			AbortIncompleteMultipartUpload: &types.AbortIncompleteMultipartUpload{DaysAfterInitiation: aws.Int32(2)},
		}}}})
	return err
}

// Remove deletes every blob, and the bucket if it was made here and holds nothing else. What was left is said.
func Remove(ctx context.Context, cfg aws.Config, bucket string) (left string, err error) {
	b, err := Open(ctx, cfg, Options{Bucket: bucket, Mode: Trusting})
	if err != nil {
		return "", err
	}
	if left, err = b.remove(ctx); err != nil {
		if err = b.explain(ctx, err); errors.Is(err, errNoBucket) {
			return "", nil
		}
		return "", fmt.Errorf("removing bucket %s: %w", bucket, err)
	}
	return left, nil
}

func (b *Blobs) remove(ctx context.Context) (left string, err error) {
	pages := s3.NewListObjectsV2Paginator(b.client, &s3.ListObjectsV2Input{Bucket: &b.bucket, Prefix: aws.String(Prefix)})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return "", err
		}
		var ids []types.ObjectIdentifier
		for _, o := range page.Contents {
			ids = append(ids, types.ObjectIdentifier{Key: o.Key})
		}
		if len(ids) == 0 {
			continue
		}
		out, err := b.client.DeleteObjects(ctx, &s3.DeleteObjectsInput{Bucket: &b.bucket, Delete: &types.Delete{Objects: ids, Quiet: aws.Bool(true)}})
		if err != nil {
			return "", err
		}
		for _, e := range out.Errors {
			return "", fmt.Errorf("%w: deleting %s: %s", store.ErrDenied, aws.ToString(e.Key), aws.ToString(e.Message))
		}
	}
	tags, err := b.client.GetBucketTagging(ctx, &s3.GetBucketTaggingInput{Bucket: &b.bucket})
	if statusOf(err) == http.StatusNotFound { // no tags, or no bucket: the next call tells
		tags, err = &s3.GetBucketTaggingOutput{}, nil
	}
	if err != nil {
		return "", err
	}
	made := slices.ContainsFunc(tags.TagSet, func(t types.Tag) bool { return aws.ToString(t.Key) == TagStore && aws.ToString(t.Value) == b.bucket })
	rest, err := b.client.ListObjectsV2(ctx, &s3.ListObjectsV2Input{Bucket: &b.bucket, MaxKeys: aws.Int32(1)})
	if err != nil {
		return "", err
	}
	switch {
	case !made:
		return "bucket " + b.bucket + ", which was not made by farmhand", nil
	case len(rest.Contents) > 0:
		return "bucket " + b.bucket + ", which holds more than blobs", nil
	}
	_, err = b.client.DeleteBucket(ctx, &s3.DeleteBucketInput{Bucket: &b.bucket})
	return "", err
}
