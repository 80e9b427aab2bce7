// Package s3 answers for S3, path style: buckets of this account and names that others have taken, objects whole or in parts.
package s3

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/farmhand/terraform-provider-farmhand/internal/awstest/wire"
)

const namespace = "http://s3.amazonaws.com/doc/2006-03-01/"

// Service is S3.
type Service struct {
	world   *wire.World
	buckets map[string]*bucket
	foreign map[string]bool
}

type bucket struct {
	objects map[string]object
	uploads map[string]*upload
	config  map[string][]byte // by sub-resource: tagging, publicAccessBlock, encryption, lifecycle, versioning
}

type object struct {
	body     []byte
	etag     string
	kind     string // Content-Type
	modified time.Time
	checksum map[string]string // headers, as they were sent
}

type upload struct {
	key   string
	kind  string
	parts map[int]object
}

// New returns S3 without buckets.
func New(w *wire.World) *Service {
	return &Service{world: w, buckets: map[string]*bucket{}, foreign: map[string]bool{}}
}

// AddForeign takes a bucket's name in another account: to this one it is forbidden.
func (s *Service) AddForeign(name string) {
	s.world.Lock()
	defer s.world.Unlock()
	s.foreign[name] = true
}

// Buckets are the names of this account's buckets, sorted.
func (s *Service) Buckets() []string {
	s.world.Lock()
	defer s.world.Unlock()
	var names []string
	for name := range s.buckets {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// Keys are those of a bucket's objects, sorted.
func (s *Service) Keys(bucket string) []string {
	s.world.Lock()
	defer s.world.Unlock()
	b := s.buckets[bucket]
	if b == nil {
		return nil
	}
	return slices.Sorted(maps.Keys(b.objects))
}

// Object is an object's bytes; ok is false where there is none.
func (s *Service) Object(bucket, key string) (body []byte, ok bool) {
	s.world.Lock()
	defer s.world.Unlock()
	if b := s.buckets[bucket]; b != nil {
		o, ok := b.objects[key]
		return o.body, ok
	}
	return nil, false
}

// Replace puts other bytes in an object's place behind everybody's back, as a damaged disk would.
func (s *Service) Replace(bucket, key string, body []byte) {
	s.world.Lock()
	defer s.world.Unlock()
	o := s.buckets[bucket].objects[key]
	o.body, o.etag, o.checksum = body, etag(body), nil
	s.buckets[bucket].objects[key] = o
}

// Config is what was put as a bucket's sub-resource ("tagging", "publicAccessBlock", "encryption", "lifecycle"), "" for nothing.
func (s *Service) Config(bucket, sub string) string {
	s.world.Lock()
	defer s.world.Unlock()
	if b := s.buckets[bucket]; b != nil {
		return string(b.config[sub])
	}
	return ""
}

// Uploads counts the multipart uploads that were begun and neither completed nor aborted.
func (s *Service) Uploads(bucket string) int {
	s.world.Lock()
	defer s.world.Unlock()
	if b := s.buckets[bucket]; b != nil {
		return len(b.uploads)
	}
	return 0
}

// target splits a path into bucket and key.
func target(r *http.Request) (bucket, key string) {
	bucket, key, _ = strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	return bucket, key
}

// subs are the sub-resources that a bucket's configuration is made of.
var subs = map[string]string{"tagging": "BucketTagging", "publicAccessBlock": "PublicAccessBlock", "encryption": "BucketEncryption", "lifecycle": "BucketLifecycleConfiguration", "versioning": "BucketVersioning"}

// Action implements wire.Service.
func (s *Service) Action(r *http.Request) (string, *wire.Error) {
	bucket, key := target(r)
	q := r.URL.Query()
	if a := action(r.Method, bucket, key, q); a != "" {
		return a, nil
	}
	return "", wire.Errorf("NotImplemented", "%s %s is no action of this stand-in", r.Method, r.URL).With(http.StatusNotImplemented)
}

func action(method, bucket, key string, q url.Values) string {
	verb := map[string]string{http.MethodPut: "Put", http.MethodGet: "Get", http.MethodDelete: "Delete", http.MethodHead: "Head"}[method]
	switch {
	case bucket == "" && method == http.MethodGet:
		return "ListBuckets"
	case bucket == "":
		return ""
	case key == "":
		for sub, name := range subs {
			if q.Has(sub) && verb != "" && verb != "Head" {
				return verb + name
			}
		}
		switch {
		case method == http.MethodPost && q.Has("delete"):
			return "DeleteObjects"
		case method == http.MethodGet && q.Has("location"):
			return "GetBucketLocation"
		case method == http.MethodGet && q.Get("list-type") == "2":
			return "ListObjectsV2"
		case method == http.MethodGet && q.Has("uploads"):
			return "ListMultipartUploads"
		}
		return map[string]string{http.MethodPut: "CreateBucket", http.MethodHead: "HeadBucket", http.MethodDelete: "DeleteBucket"}[method]
	case q.Has("uploads") && method == http.MethodPost:
		return "CreateMultipartUpload"
	case q.Has("uploadId"):
		return map[string]string{http.MethodPut: "UploadPart", http.MethodPost: "CompleteMultipartUpload", http.MethodDelete: "AbortMultipartUpload", http.MethodGet: "ListParts"}[method]
	case verb != "":
		return verb + "Object"
	}
	return ""
}

// Refuse implements wire.Service. An answer to HEAD has no body: its status is all that a client learns.
func (s *Service) Refuse(w http.ResponseWriter, r *http.Request, e *wire.Error) {
	w.Header().Set("Content-Type", "application/xml")
	if region := e.Detail["BucketRegion"]; region != "" {
		w.Header().Set("x-amz-bucket-region", region)
	}
	w.WriteHeader(e.Status)
	if r.Method == http.MethodHead {
		return
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, `<?xml version="1.0" encoding="UTF-8"?><Error><Code>%s</Code><Message>`, e.Code)
	xml.EscapeText(&b, []byte(e.Message)) //nolint:errcheck // a buffer does not fail
	b.WriteString("</Message>")
	for k, v := range e.Detail {
		fmt.Fprintf(&b, "<%s>%s</%s>", k, v, k)
	}
	b.WriteString("<RequestId>s3</RequestId><HostId>s3</HostId></Error>")
	w.Write(b.Bytes()) //nolint:errcheck // the client is gone
}

func answer(w http.ResponseWriter, v any) {
	text, err := xml.Marshal(v)
	if err != nil {
		panic(err)
	}
	w.Header().Set("Content-Type", "application/xml")
	w.Write([]byte(xml.Header)) //nolint:errcheck // the client is gone
	w.Write(text)               //nolint:errcheck // the client is gone
}

// Errors as documented: https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html
func noBucket(name string) *wire.Error {
	e := wire.Errorf("NoSuchBucket", "The specified bucket does not exist").With(http.StatusNotFound)
	e.Detail = map[string]string{"BucketName": name}
	return e
}

func noKey(key string) *wire.Error {
	e := wire.Errorf("NoSuchKey", "The specified key does not exist.").With(http.StatusNotFound)
	e.Detail = map[string]string{"Key": key}
	return e
}

func denied() *wire.Error {
	return wire.Errorf("AccessDenied", "Access Denied").With(http.StatusForbidden)
}
