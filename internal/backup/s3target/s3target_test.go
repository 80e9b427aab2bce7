package s3target_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
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
