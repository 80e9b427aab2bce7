// Package stores finds a store by its address, which is one string: what a sidecar is started with and what an instance's
// user data says. A kind of store is added by a case in Parse, in String and in Open.
package stores

import (
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"strings"

	"github.com/farmhand/terraform-provider-farmhand/internal/awsconfig"
	"github.com/farmhand/terraform-provider-farmhand/internal/store"
	"github.com/farmhand/terraform-provider-farmhand/internal/store/dynamodb"
	"github.com/farmhand/terraform-provider-farmhand/internal/store/s3blobs"
)

// Kind is what keeps a store.
type Kind string

const (
	SQLite   Kind = "sqlite"
	DynamoDB Kind = "dynamodb"
)

// Address is where a store is. Written: "sqlite:///var/lib/farmhand" (the state directory), or
// "dynamodb://TABLE?region=R&bucket=B", with "&endpoint=URL" where AWS is not AWS' own, and "&s3_endpoint=URL" where S3
// is elsewhere still.
type Address struct {
	Kind Kind
	Dir  string // of SQLite: the state directory, absolute

	// Of DynamoDB.
	Table, Region, Bucket string
	Endpoint, S3Endpoint  string
}

// Parse reads an address; its error says what is wrong and how one is written.
func Parse(s string) (Address, error) {
	a, err := parse(s)
	if err != nil {
		return Address{}, fmt.Errorf("store address %q: %w", s, err)
	}
	return a, nil
}

func parse(s string) (Address, error) {
	u, err := url.Parse(s)
	if err != nil {
		return Address{}, errors.New("it is no address: sqlite:///DIR or dynamodb://TABLE?region=R&bucket=B")
	}
	a := Address{Kind: Kind(u.Scheme)}
	allowed := map[string]*string{}
	switch {
	case u.User != nil || u.Fragment != "":
		return a, fmt.Errorf("%w: an address has neither user nor password nor fragment; credentials are found as by any AWS tool", store.ErrInvalid)
	case a.Kind == SQLite && u.Host == "":
		a.Dir = u.Path
	case a.Kind == DynamoDB && (u.Path == "" || u.Path == "/"):
		a.Table = u.Host
		allowed = map[string]*string{"region": &a.Region, "bucket": &a.Bucket, "endpoint": &a.Endpoint, "s3_endpoint": &a.S3Endpoint}
	default:
		return a, fmt.Errorf("%w: it is sqlite:///DIR or dynamodb://TABLE?region=R&bucket=B", store.ErrInvalid)
	}
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return a, fmt.Errorf("%w: %w", store.ErrInvalid, err)
	}
	for name, values := range query {
		to, ok := allowed[name]
		if !ok || len(values) != 1 {
			return a, fmt.Errorf("%w: %q is not known of such a store, or said twice", store.ErrInvalid, name)
		}
		*to = values[0]
	}
	return a, a.Check()
}

// Check tells what is wrong with an address that was put together.
func (a Address) Check() error {
	switch a.Kind {
	case SQLite:
		if !filepath.IsAbs(a.Dir) {
			return fmt.Errorf("%w: folder %q: it is an absolute path", store.ErrInvalid, a.Dir)
		}
		return nil
	case DynamoDB:
	default:
		return fmt.Errorf("%w: no kind of store %q: there are sqlite and dynamodb", store.ErrInvalid, a.Kind)
	}
	if a.Region == "" || a.Bucket == "" {
		return fmt.Errorf("%w: a store on DynamoDB is of a region and has a bucket: dynamodb://TABLE?region=R&bucket=B", store.ErrInvalid)
	}
	for _, endpoint := range []string{a.Endpoint, a.S3Endpoint} {
		if endpoint == "" {
			continue
		}
		if err := awsconfig.CheckEndpoint(endpoint); err != nil {
			return err
		}
	}
	if err := dynamodb.CheckTable(a.Table); err != nil {
		return err
	}
	return s3blobs.CheckBucket(a.Bucket)
}

// String is the address as Parse reads it.
func (a Address) String() string {
	if a.Kind == SQLite {
		return (&url.URL{Scheme: string(SQLite), Path: a.Dir}).String()
	}
	var q []string
	for _, part := range [][2]string{{"region", a.Region}, {"bucket", a.Bucket}, {"endpoint", a.Endpoint}, {"s3_endpoint", a.S3Endpoint}} {
		if part[1] != "" {
			q = append(q, part[0]+"="+url.QueryEscape(part[1]))
		}
	}
	return string(a.Kind) + "://" + a.Table + "?" + strings.Join(q, "&")
}
