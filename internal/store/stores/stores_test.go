package stores_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/farmhand/terraform-provider-farmhand/internal/store"
	"github.com/farmhand/terraform-provider-farmhand/internal/store/dynamodb/dynalitetest"
	"github.com/farmhand/terraform-provider-farmhand/internal/store/stores"
)

func TestAddress(t *testing.T) {
	for _, a := range []stores.Address{
		{Kind: stores.SQLite, Dir: "/var/lib/farm hand"},
		{Kind: stores.DynamoDB, Table: "Farm_hand.1", Region: "eu-west-1", Bucket: "b-1"},
		{Kind: stores.DynamoDB, Table: "farmhand", Region: "eu-west-1", Bucket: "b-1", Endpoint: "http://127.0.0.1:80/x", S3Endpoint: "https://s3:1"},
	} {
		got, err := stores.Parse(a.String())
		if err != nil || got != a {
			t.Errorf("%s: got %+v and error %v, want %+v", a, got, err, a)
		}
	}
	want := "dynamodb://farmhand?region=eu-west-1&bucket=my-bucket"
	if a, err := stores.Parse(want); err != nil || a.String() != want {
		t.Errorf("got %s and error %v, want %s", a, err, want)
	}
	for _, bad := range []string{
		"", "farmhand", "sqlite://host/dir", "sqlite://", "sqlite:///d?x=y", "redis://x", "dynamodb://t", "dynamodb://tab?region=r",
		"dynamodb://tab/le?region=r&bucket=bbb", "dynamodb://tab?region=r&bucket=bbb&bucket=ccc", "dynamodb://tab?region=r&bucket=UPPER",
		"dynamodb://tab?region=r&bucket=bbb&secret=x", "dynamodb://me:pw@tab?region=r&bucket=bbb", "dynamodb://tab?region=r&bucket=bbb&endpoint=localhost:1",
		"dynamodb://t%20b?region=r&bucket=bbb", "dynamodb://ta?region=r&bucket=bbb",
	} {
		if a, err := stores.Parse(bad); err == nil {
			t.Errorf("%s was taken as %+v", bad, a)
		}
	}
}

func TestSQLite(t *testing.T) {
	address := stores.Address{Kind: stores.SQLite, Dir: t.TempDir() + "/state"}.String()
	_, _, err := stores.Open(t.Context(), address, stores.Options{ReadOnly: true})
	if !errors.Is(err, store.ErrNotFound) {
		t.Fatalf("reading where there is no store: %v", err)
	}
	s, blobs, err := stores.Open(t.Context(), address, stores.Options{})
	if err != nil {
		t.Fatal(err)
	}
	use(t, s)
	if _, _, err := blobs.PutBlob(t.Context(), strings.NewReader("x")); err != nil {
		t.Fatal(err)
	}
	again, _, err := stores.Open(t.Context(), address, stores.Options{ReadOnly: true})
	if err != nil {
		t.Fatalf("reading where there is one: %v", err)
	}
	if err := again.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestDynamoDBAgent(t *testing.T) {
	server := dynalitetest.Start(t)
	a := stores.Address{Kind: stores.DynamoDB, Table: "farmhand", Region: "eu-central-1", Bucket: "not-asked-for", Endpoint: server.URL}
	o := stores.Options{ReadOnly: true, AWS: func(context.Context) (aws.Config, error) {
		cfg := dynalitetest.Config(t, "http://wrong.invalid") // the address' endpoint wins
		return cfg, nil
	}}
	if _, _, err := stores.Open(t.Context(), a.String(), o); !errors.Is(err, store.ErrNotFound) {
		t.Fatalf("reading where there is no table: %v", err)
	}
	o.ReadOnly, o.Agent = false, true
	server.Forget()
	s, _, err := stores.Open(t.Context(), a.String(), o)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if n := len(server.Calls("DescribeTable")); n != 0 {
		t.Fatalf("an agent described the table %d times", n)
	}
	_, err = s.Get(t.Context(), "shop/topology")
	if !errors.Is(err, store.ErrUnavailable) || !strings.Contains(err.Error(), "eu-central-1") {
		t.Fatalf("reading from no table: %v", err)
	}
}

func use(t *testing.T, s store.Store) {
	t.Helper()
	if _, err := s.Put(t.Context(), "shop/a", []byte("x")); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}
