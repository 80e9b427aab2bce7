// Package s3target keeps backups in an S3 bucket.
package s3target

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/feature/s3/transfermanager"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/farmhand/terraform-provider-farmhand/internal/backup"
)

const (
	// partSize times S3's limit of 10,000 parts is the largest backup, 156 GiB compressed; partsAtOnce of them are held in memory.
	partSize    = 16 << 20
	partsAtOnce = 2
	// partAttempts of a part, ever farther apart, are a minute or so: what is streamed cannot be sent anew when a part is given up.
	partAttempts = 10
	// tidyTime is how long the abort of a broken upload may take.
	tidyTime = 30 * time.Second
)

// Target is a bucket, or what lies under a prefix in it.
type Target struct {
	client *s3.Client
	up     *transfermanager.Client
	bucket string
	prefix string // "" or ending in a slash
}

var _ backup.Target = (*Target)(nil)

// New uses the bucket, which must exist; prefix may be "". What is stored is encrypted by S3 too, as the bucket says.
func New(client *s3.Client, bucket, prefix string) (*Target, error) {
	prefix = strings.Trim(prefix, "/")
	if prefix != "" {
		if err := backup.CheckName(prefix); err != nil {
			return nil, err
		}
		prefix += "/"
	}
	stubborn := s3.New(client.Options(), func(o *s3.Options) { o.RetryMaxAttempts = partAttempts })
	up := transfermanager.New(stubborn, func(o *transfermanager.Options) {
		o.PartSizeBytes, o.MultipartUploadThreshold, o.Concurrency, o.FailTimeout = partSize, partSize, partsAtOnce, tidyTime
	})
	return &Target{client: client, up: up, bucket: bucket, prefix: prefix}, nil
}

func (t *Target) key(name string) (*string, error) {
	if err := backup.CheckName(name); err != nil {
		return nil, err
	}
	return aws.String(t.prefix + name), nil
}

// Put implements backup.Target: a multipart upload appears when it is completed.
func (t *Target) Put(ctx context.Context, name string, r io.Reader) (int64, error) {
	key, err := t.key(name)
	if err != nil {
		return 0, err
	}
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	body := &reader{r: r}
	_, err = t.up.UploadObject(ctx, &transfermanager.UploadObjectInput{Bucket: &t.bucket, Key: key, Body: body})
	if body.err != nil {
		err = body.err
	}
	if err != nil {
		return 0, t.told("storing", name, err)
	}
	return body.n, nil
}

// reader counts, and remembers how it ended: what the uploader makes of a broken stream is an error of its own.
type reader struct {
	r   io.Reader
	n   int64
	err error
}

func (r *reader) Read(p []byte) (int, error) {
	n, err := r.r.Read(p)
	r.n += int64(n)
	if err != nil && err != io.EOF {
		r.err = err
	}
	return n, err
}

// PutNew implements backup.Target by a conditional write.
func (t *Target) PutNew(ctx context.Context, name string, b []byte) error {
	key, err := t.key(name)
	if err != nil {
		return err
	}
	_, err = t.client.PutObject(ctx, &s3.PutObjectInput{Bucket: &t.bucket, Key: key, Body: bytes.NewReader(b), IfNoneMatch: aws.String("*")})
	if err != nil {
		return t.told("storing", name, err)
	}
	return nil
}

// Get implements backup.Target.
func (t *Target) Get(ctx context.Context, name string) (io.ReadCloser, error) {
	return t.GetFrom(ctx, name, 0)
}

// GetFrom implements backup.Target by a range request.
func (t *Target) GetFrom(ctx context.Context, name string, from int64) (io.ReadCloser, error) {
	key, err := t.key(name)
	if err != nil {
		return nil, err
	}
	in := &s3.GetObjectInput{Bucket: &t.bucket, Key: key}
	if from > 0 {
		in.Range = aws.String(fmt.Sprintf("bytes=%d-", from))
	}
	out, err := t.client.GetObject(ctx, in)
	var api smithy.APIError
	if from > 0 && errors.As(err, &api) && api.ErrorCode() == "InvalidRange" {
		return io.NopCloser(strings.NewReader("")), nil
	}
	if err != nil {
		return nil, t.told("reading", name, err)
	}
	return &body{out.Body, t, name}, nil
}

// body is one whose end may not come.
type body struct {
	io.ReadCloser
	of   *Target
	name string
}

func (b *body) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		err = fmt.Errorf("reading s3://%s/%s%s: %w: %w", b.of.bucket, b.of.prefix, b.name, backup.ErrUnavailable, err)
	}
	return n, err
}

// List implements backup.Target.
func (t *Target) List(ctx context.Context, prefix string) ([]backup.Object, error) {
	pages := s3.NewListObjectsV2Paginator(t.client, &s3.ListObjectsV2Input{Bucket: &t.bucket, Prefix: aws.String(t.prefix + prefix)})
	var objects []backup.Object
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, t.told("listing", prefix, err)
		}
		for _, o := range page.Contents {
			objects = append(objects, backup.Object{Name: strings.TrimPrefix(aws.ToString(o.Key), t.prefix), Size: aws.ToInt64(o.Size), At: aws.ToTime(o.LastModified)})
		}
	}
	return objects, nil
}

// Delete implements backup.Target.
func (t *Target) Delete(ctx context.Context, name string) error {
	key, err := t.key(name)
	if err != nil {
		return err
	}
	if _, err := t.client.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: &t.bucket, Key: key}); err != nil {
		return t.told("deleting", name, err)
	}
	return nil
}

// told is S3's error as a backup.Target's. https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html
func (t *Target) told(doing, name string, err error) error {
	what := fmt.Sprintf("%s s3://%s/%s%s", doing, t.bucket, t.prefix, name)
	var api smithy.APIError
	if !errors.As(err, &api) {
		var op *smithy.OperationError
		if errors.As(err, &op) && !errors.Is(err, context.Canceled) {
			return fmt.Errorf("%s: %w: %w", what, backup.ErrUnavailable, err)
		}
		return fmt.Errorf("%s: %w", what, err)
	}
	switch api.ErrorCode() {
	case "NoSuchKey", "NotFound":
		return fmt.Errorf("%s: %w", what, backup.ErrNotFound)
	case "NoSuchBucket":
		return fmt.Errorf("%s: there is no bucket %s in this account and region; make it, or correct the role's backup target: %w", what, t.bucket, backup.ErrDenied)
	case "PreconditionFailed", "ConditionalRequestConflict":
		return fmt.Errorf("%s: %w", what, backup.ErrExists)
	case "AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken":
		return fmt.Errorf("%s: %w: %s; give the role that stores backups s3:GetObject, s3:PutObject, s3:DeleteObject and s3:ListBucket there", what, backup.ErrDenied, api.ErrorMessage())
	case "SlowDown", "InternalError", "ServiceUnavailable", "RequestTimeout", "Throttling", "ThrottlingException":
		return fmt.Errorf("%s: %w: %w", what, backup.ErrUnavailable, err)
	}
	var answer *smithyhttp.ResponseError
	if errors.As(err, &answer) && answer.HTTPStatusCode() >= http.StatusInternalServerError {
		return fmt.Errorf("%s: %w: %w", what, backup.ErrUnavailable, err) // of what stands before S3
	}
	return fmt.Errorf("%s: %w", what, err)
}
