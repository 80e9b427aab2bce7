// Package s3blobs keeps blobs as objects of one S3 bucket: blobs/ and their hash.
//
// An object appears whole or not at all, S3 checks on the way in that it has the bytes that its name stands for, and who
// reads it to its end checks again. Instances need s3:GetObject on blobs/* and nothing else. Start at Open (bucket.go).
package s3blobs

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go"

	"github.com/farmhand/terraform-provider-farmhand/internal/store"
)

// Prefix is where blobs stand in the bucket.
const Prefix = "blobs/"

// Key is a blob's key in the bucket.
func Key(name string) string { return Prefix + name }

// partSize is that of the parts of a large upload, and the size up to which an upload is one call. S3 takes 10,000 parts
// of 5 MB and more: 160 GB are enough.
const partSize = 16 << 20

// Blobs is a store.Blobs in a bucket. Safe for concurrent use.
type Blobs struct {
	client *s3.Client
	bucket string
	region string
	owner  *string // account that the bucket must be of; nil: any
	part   int64
}

var _ store.Blobs = (*Blobs)(nil)

// Bucket is the bucket's name.
func (b *Blobs) Bucket() string { return b.bucket }

// PutBlob stores r's bytes. They go through a file of this machine: their name is known only when all have been read, and
// what is in the bucket already is not sent again.
func (b *Blobs) PutBlob(ctx context.Context, r io.Reader) (name string, size int64, err error) {
	name, size, err = b.put(ctx, r)
	if err != nil {
		return "", 0, fmt.Errorf("storing a blob in bucket %s: %w", b.bucket, err)
	}
	return name, size, nil
}

func (b *Blobs) put(ctx context.Context, r io.Reader) (name string, size int64, err error) {
	f, err := os.CreateTemp("", "farmhand-upload-")
	if err != nil {
		return "", 0, err
	}
	defer func() { f.Close(); os.Remove(f.Name()) }()
	hash := sha256.New()
	if size, err = io.Copy(io.MultiWriter(f, hash), r); err != nil {
		return "", 0, err
	}
	sum := hash.Sum(nil)
	name = hex.EncodeToString(sum)
	there, err := b.there(ctx, name, size)
	if err != nil || there {
		return name, size, b.explain(ctx, err)
	}
	if size <= b.part {
		_, err = b.client.PutObject(ctx, &s3.PutObjectInput{
			Bucket: &b.bucket, Key: aws.String(Key(name)), ExpectedBucketOwner: b.owner,
			Body: io.NewSectionReader(f, 0, size), ContentLength: &size, ChecksumSHA256: aws.String(base64.StdEncoding.EncodeToString(sum)),
		})
	} else {
		err = b.putParts(ctx, name, f, size)
	}
	return name, size, b.explain(ctx, err)
}

// there tells whether the bucket has the blob, as far as its size says.
func (b *Blobs) there(ctx context.Context, name string, size int64) (bool, error) {
	out, err := b.client.HeadObject(ctx, &s3.HeadObjectInput{Bucket: &b.bucket, Key: aws.String(Key(name)), ExpectedBucketOwner: b.owner})
	// Without the right to list, S3 says of what is not there that it may not be seen; the upload will tell.
	if status := statusOf(err); status == http.StatusNotFound || status == http.StatusForbidden {
		return false, nil
	}
	return err == nil && aws.ToInt64(out.ContentLength) == size, err
}

// putParts uploads part by part. What was uploaded of an upload that fails is removed; where even that fails, by the
// bucket's lifecycle.
func (b *Blobs) putParts(ctx context.Context, name string, f io.ReaderAt, size int64) error {
	key := aws.String(Key(name))
	begun, err := b.client.CreateMultipartUpload(ctx, &s3.CreateMultipartUploadInput{
		Bucket: &b.bucket, Key: key, ExpectedBucketOwner: b.owner, ChecksumAlgorithm: types.ChecksumAlgorithmSha256,
	})
	if err != nil {
		return err
	}
	var parts []types.CompletedPart
	for at, number := int64(0), int32(1); at < size && err == nil; at, number = at+b.part, number+1 {
		length := min(b.part, size-at)
		hash := sha256.New()
		if _, err = io.Copy(hash, io.NewSectionReader(f, at, length)); err != nil {
			break
		}
		sum := aws.String(base64.StdEncoding.EncodeToString(hash.Sum(nil)))
		var out *s3.UploadPartOutput
		out, err = b.client.UploadPart(ctx, &s3.UploadPartInput{
			Bucket: &b.bucket, Key: key, ExpectedBucketOwner: b.owner, UploadId: begun.UploadId, PartNumber: &number,
			Body: io.NewSectionReader(f, at, length), ContentLength: &length, ChecksumSHA256: sum,
		})
		if err == nil {
			parts = append(parts, types.CompletedPart{PartNumber: &number, ETag: out.ETag, ChecksumSHA256: sum})
		}
	}
	if err == nil {
		_, err = b.client.CompleteMultipartUpload(ctx, &s3.CompleteMultipartUploadInput{
			Bucket: &b.bucket, Key: key, ExpectedBucketOwner: b.owner, UploadId: begun.UploadId,
			MultipartUpload: &types.CompletedMultipartUpload{Parts: parts},
		})
	}
	if err != nil {
		_, abortErr := b.client.AbortMultipartUpload(context.WithoutCancel(ctx), &s3.AbortMultipartUploadInput{
			Bucket: &b.bucket, Key: key, ExpectedBucketOwner: b.owner, UploadId: begun.UploadId,
		})
		if abortErr != nil {
			return fmt.Errorf("%w (and what was uploaded of it stays until its lifecycle ends: %w)", err, abortErr)
		}
	}
	return err
}

// OpenBlob opens a blob. The Read that reaches the end returns store.ErrDamaged if the bytes are not the blob's.
func (b *Blobs) OpenBlob(ctx context.Context, name string) (io.ReadCloser, error) {
	if !store.IsBlobName(name) {
		return nil, fmt.Errorf("blob %.80q: %w", name, store.ErrNotFound)
	}
	out, err := b.client.GetObject(ctx, &s3.GetObjectInput{Bucket: &b.bucket, Key: aws.String(Key(name)), ExpectedBucketOwner: b.owner})
	if err != nil {
		return nil, fmt.Errorf("opening blob %s in bucket %s: %w", name, b.bucket, b.explain(ctx, err))
	}
	return store.VerifyBlob(out.Body, name), nil
}

// DeleteBlob removes a blob.
func (b *Blobs) DeleteBlob(ctx context.Context, name string) error {
	if !store.IsBlobName(name) {
		return nil
	}
	_, err := b.client.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: &b.bucket, Key: aws.String(Key(name)), ExpectedBucketOwner: b.owner})
	if err != nil && statusOf(err) != http.StatusNotFound {
		return fmt.Errorf("deleting blob %s in bucket %s: %w", name, b.bucket, b.explain(ctx, err))
	}
	return nil
}

var errNoBucket = errors.New("there is no bucket")

// statusOf is the HTTP status of an error of S3's; 0 for none.
func statusOf(err error) int {
	var response *awshttp.ResponseError
	if errors.As(err, &response) {
		return response.HTTPStatusCode()
	}
	return 0
}

// explain makes one of the store's errors of AWS', with the way out.
func (b *Blobs) explain(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	var refused smithy.APIError
	code, message := "", ""
	if errors.As(err, &refused) {
		code, message = refused.ErrorCode(), refused.ErrorMessage()
	}
	switch status := statusOf(err); {
	case code == "NoSuchBucket":
		return fmt.Errorf("%w: %w %s: was it deleted?", store.ErrUnavailable, errNoBucket, b.bucket)
	case code == "NoSuchKey" || status == http.StatusNotFound:
		return store.ErrNotFound
	case status == http.StatusMovedPermanently, code == "PermanentRedirect", code == "AuthorizationHeaderMalformed", code == "IllegalLocationConstraintException":
		return fmt.Errorf("%w: bucket %s is in another region than %s%s: say that one, or name another bucket", store.ErrIncompatible, b.bucket, b.region, regionOf(err))
	case code == "BadDigest", code == "InvalidDigest", code == "XAmzContentChecksumMismatch":
		return fmt.Errorf("%w: it changed on the way to S3: %s", store.ErrDamaged, message)
	case code == "InvalidAccessKeyId", code == "ExpiredToken", code == "SignatureDoesNotMatch", code == "InvalidToken", code == "RequestTimeTooSkewed":
		return fmt.Errorf("%w: AWS refuses the credentials (%s: %s): renew the session, or see which profile and clock this machine has", store.ErrDenied, code, message)
	case status == http.StatusForbidden:
		action := "s3"
		var operation *smithy.OperationError
		if errors.As(err, &operation) {
			action = action + ":" + permission(operation.OperationName)
		}
		return fmt.Errorf("%w: %s on bucket %s: allow it to these credentials; or the bucket is another account's (AWS says: %s)", store.ErrDenied, action, b.bucket, message)
	}
	return fmt.Errorf("%w: %w", store.ErrUnavailable, err)
}

// permission is the action that a policy names, where it is not the operation's name.
func permission(operation string) string {
	switch operation {
	case "HeadObject":
		return "GetObject"
	case "HeadBucket", "ListObjectsV2":
		return "ListBucket"
	case "CreateMultipartUpload", "UploadPart", "CompleteMultipartUpload":
		return "PutObject"
	case "DeleteObjects":
		return "DeleteObject"
	case "PutPublicAccessBlock":
		return "PutBucketPublicAccessBlock"
	case "PutBucketEncryption":
		return "PutEncryptionConfiguration"
	case "PutBucketLifecycleConfiguration":
		return "PutLifecycleConfiguration"
	}
	return operation
}

// regionOf is " (it is in R)" where S3 says so.
func regionOf(err error) string {
	var response *awshttp.ResponseError
	if errors.As(err, &response) && response.Response != nil {
		if r := response.Response.Header.Get("X-Amz-Bucket-Region"); r != "" {
			return " (it is in " + r + ")"
		}
	}
	return ""
}
