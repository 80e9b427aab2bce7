package s3blobs_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/farmhand/terraform-provider-farmhand/internal/awstest"
	"github.com/farmhand/terraform-provider-farmhand/internal/store"
	"github.com/farmhand/terraform-provider-farmhand/internal/store/s3blobs"
	"github.com/farmhand/terraform-provider-farmhand/internal/store/storetest"
)

func TestContract(t *testing.T) {
	storetest.RunBlobs(t, func(t *testing.T) (write, read store.Blobs) {
		srv := awstest.New(awstest.Options{PageSize: 3})
		t.Cleanup(srv.Close)
		b, err := s3blobs.Open(t.Context(), srv.Config(), s3blobs.Options{Bucket: "releases", Mode: s3blobs.Create})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if n := srv.S3.Uploads("releases"); n != 0 {
				t.Errorf("%d uploads were neither completed nor aborted", n)
			}
		})
		return b, b
	})
}

// TestBucket: one is made closed, encrypted and tagged; another account's is refused by name; what was made goes when it is empty.
func TestBucket(t *testing.T) {
	srv := awstest.New(awstest.Options{})
	defer srv.Close()
	open := func(bucket string, mode s3blobs.Mode, account string) error {
		_, err := s3blobs.Open(t.Context(), srv.Config(), s3blobs.Options{Bucket: bucket, Mode: mode, Account: account, Tags: map[string]string{"team": "shop"}})
		return err
	}
	if err := open("releases", s3blobs.Existing, ""); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("opened for reading only: %v", err)
	}
	for range 2 {
		if err := open("releases", s3blobs.Create, "123456789012"); err != nil {
			t.Fatal(err)
		}
	}
	for sub, want := range map[string]string{"tagging": "<Key>team</Key>", "publicAccessBlock": "<RestrictPublicBuckets>true", "encryption": "AES256", "lifecycle": "<DaysAfterInitiation>2"} {
		if got := srv.S3.Config("releases", sub); !strings.Contains(got, want) {
			t.Errorf("%s: %s", sub, got)
		}
	}
	srv.S3.AddForeign("theirs")
	if err := open("theirs", s3blobs.Create, ""); !errors.Is(err, store.ErrDenied) || !strings.Contains(err.Error(), "another account") {
		t.Errorf("another account's: %v", err)
	}
	if err := open("releases", s3blobs.Create, "999999999999"); !errors.Is(err, store.ErrDenied) {
		t.Errorf("with another owner expected: %v", err)
	}
	b, err := s3blobs.Open(t.Context(), srv.Config(), s3blobs.Options{Bucket: "releases", Mode: s3blobs.Create})
	if err != nil {
		t.Fatal(err)
	}
	name, _, err := b.PutBlob(t.Context(), strings.NewReader("a release"))
	if err != nil {
		t.Fatal(err)
	}
	srv.S3.Replace("releases", s3blobs.Key(name), []byte("something"))
	r, err := b.OpenBlob(t.Context(), name)
	if err == nil {
		buf := make([]byte, 100)
		for err == nil {
			_, err = r.Read(buf)
		}
		r.Close()
	}
	if !errors.Is(err, store.ErrDamaged) {
		t.Errorf("other bytes in its place: %v", err)
	}
	if left, err := s3blobs.Remove(t.Context(), srv.Config(), "releases"); err != nil || left != "" || len(srv.S3.Buckets()) != 0 {
		t.Errorf("left %q, %v, %v", left, srv.S3.Buckets(), err)
	}
}
