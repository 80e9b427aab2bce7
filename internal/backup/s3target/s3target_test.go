package s3target_test

import (
	"bytes"
	"crypto/rand"
	"errors"
	"io"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"testing/iotest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/farmhand/terraform-provider-farmhand/internal/awstest"
	"github.com/farmhand/terraform-provider-farmhand/internal/backup"
	"github.com/farmhand/terraform-provider-farmhand/internal/backup/backuptest"
	"github.com/farmhand/terraform-provider-farmhand/internal/backup/s3target"
)

func stand(t *testing.T, o awstest.Options) (*awstest.Server, *s3.Client) {
	srv := awstest.New(o)
	t.Cleanup(srv.Close)
	client := s3.NewFromConfig(srv.Config(), func(o *s3.Options) { o.UsePathStyle = true })
	_, err := client.CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: aws.String("backups"),
		CreateBucketConfiguration: &types.CreateBucketConfiguration{LocationConstraint: "eu-west-1"}})
	if err != nil {
		t.Fatal(err)
	}
	return srv, client
}

func TestS3(t *testing.T) {
	for _, prefix := range []string{"", "a/b"} {
		backuptest.Run(t, func(t *testing.T) backup.Target {
			srv, client := stand(t, awstest.Options{PageSize: 2})
			target, err := s3target.New(client, "backups", prefix)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() {
				if n := srv.S3.Uploads("backups"); n != 0 {
					t.Errorf("%d uploads were neither completed nor aborted", n)
				}
			})
			return target
		})
	}
}

// cutting breaks off what is received after so many bytes, as a network does.
type cutting struct {
	s3.HTTPClient
	after int64
	cuts  int
}

func (c *cutting) Do(r *http.Request) (*http.Response, error) {
	answer, err := c.HTTPClient.Do(r)
	if err == nil && answer.ContentLength > c.after && answer.StatusCode < 300 {
		c.cuts++
		answer.Body = struct {
			io.Reader
			io.Closer
		}{io.MultiReader(io.LimitReader(answer.Body, c.after), iotest.ErrReader(syscall.ECONNRESET)), answer.Body}
	}
	return answer, err
}

// TestFaults: S3 asks for patience, and the network breaks off.
func TestFaults(t *testing.T) {
	srv, client := stand(t, awstest.Options{})
	network := &cutting{HTTPClient: client.Options().HTTPClient, after: 3 << 20}
	client = s3.New(client.Options(), func(o *s3.Options) {
		o.HTTPClient = network
		// The SDK's own, at once: nobody is in the way here.
		o.Retryer = retry.NewStandard(func(o *retry.StandardOptions) {
			o.MaxAttempts = 2
			o.Backoff = retry.BackoffDelayerFunc(func(int, error) (time.Duration, error) { return time.Millisecond, nil })
		})
	})
	raw, err := s3target.New(client, "backups", "")
	if err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 20<<20)
	_, _ = rand.Read(b)
	srv.Fail("UploadPart", "SlowDown", 5)
	srv.Fail("CompleteMultipartUpload", "InternalError", 2)
	if _, err := raw.Put(t.Context(), "x", io.MultiReader(bytes.NewReader(b))); err != nil {
		t.Fatalf("a stream, of which S3 refuses parts for a while: %v", err)
	}
	target := backup.Patient{Target: raw}
	srv.Fail("GetObject", "SlowDown", 5)
	r, err := target.Get(t.Context(), "x")
	if err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(r)
	r.Close()
	if err != nil || !bytes.Equal(got, b) || network.cuts < 6 {
		t.Errorf("%d bytes of %d in %d pieces, %v", len(got), len(b), network.cuts+1, err)
	}
	srv.Fail("ListObjectsV2", "ServiceUnavailable", 3)
	if objects, err := target.List(t.Context(), ""); err != nil || len(objects) != 1 {
		t.Errorf("%v, %v", objects, err)
	}
	srv.Fail("PutObject", "SlowDown", 3)
	if _, err := target.Put(t.Context(), "y", strings.NewReader("small")); err != nil {
		t.Error(err)
	}
	srv.Fail("ListObjectsV2", "SlowDown", -1)
	if _, err := raw.List(t.Context(), ""); !errors.Is(err, backup.ErrUnavailable) {
		t.Errorf("%v", err)
	}
	if n := srv.S3.Uploads("backups"); n != 0 {
		t.Errorf("%d uploads were neither completed nor aborted", n)
	}
}

func TestErrors(t *testing.T) {
	srv, client := stand(t, awstest.Options{})
	srv.S3.AddForeign("theirs")
	for bucket, want := range map[string]string{"theirs": "s3:PutObject", "nowhere": "no bucket nowhere in this account"} {
		target, err := s3target.New(client, bucket, "")
		if err != nil {
			t.Fatal(err)
		}
		_, err = target.Put(t.Context(), "x", strings.NewReader("x"))
		if !errors.Is(err, backup.ErrDenied) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", bucket, err)
		}
	}
	if _, err := s3target.New(client, "backups", "a b"); err == nil {
		t.Error("a prefix that is no name was taken")
	}
}
