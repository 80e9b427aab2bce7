package s3

import (
	"bytes"
	"crypto/md5"
	"encoding/base64"
	"encoding/hex"
	"encoding/xml"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/farmhand/terraform-provider-farmhand/internal/awstest/wire"
)

// bucketName is what S3 takes: https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html
var bucketName = regexp.MustCompile(`^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$`)

// minPart is the smallest part but the last.
const minPart = 5 << 20

// Serve implements wire.Service.
func (s *Service) Serve(w http.ResponseWriter, r *http.Request, _ wire.Caller) {
	name, key := target(r)
	q := r.URL.Query()
	var in []byte
	var sums map[string]string
	if r.Method == http.MethodPut || r.Method == http.MethodPost {
		var err *wire.Error
		if in, sums, err = body(r); err != nil {
			s.Refuse(w, r, err)
			return
		}
	}
	s.world.Lock()
	defer s.world.Unlock()
	if err := s.serve(w, r, action(r.Method, name, key, q), name, key, in, sums); err != nil {
		s.Refuse(w, r, err)
	}
}

func (s *Service) serve(w http.ResponseWriter, r *http.Request, what, name, key string, in []byte, sums map[string]string) *wire.Error {
	if what == "CreateBucket" {
		return s.create(w, r, name, in)
	}
	if what == "ListBuckets" {
		return s.listBuckets(w)
	}
	if s.foreign[name] {
		return denied()
	}
	b := s.buckets[name]
	if b == nil {
		return noBucket(name)
	}
	if owner := r.Header.Get("X-Amz-Expected-Bucket-Owner"); owner != "" && owner != s.world.Account {
		return denied()
	}
	w.Header().Set("x-amz-bucket-region", s.world.Region)
	for sub, of := range subs {
		if strings.HasSuffix(what, of) {
			return b.configure(w, r.Method, sub, in)
		}
	}
	switch what {
	case "HeadBucket":
		return nil
	case "DeleteBucket":
		if len(b.objects) > 0 {
			return wire.Errorf("BucketNotEmpty", "The bucket you tried to delete is not empty").With(http.StatusConflict)
		}
		delete(s.buckets, name)
		w.WriteHeader(http.StatusNoContent)
	case "GetBucketLocation":
		answer(w, struct {
			XMLName xml.Name `xml:"LocationConstraint"`
			Region  string   `xml:",chardata"`
		}{Region: s.world.Region})
	case "ListObjectsV2":
		return s.list(w, r, name, b)
	case "DeleteObjects":
		return b.deleteMany(w, r, in)
	case "PutObject":
		return s.put(w, r, b, key, in, sums)
	case "GetObject", "HeadObject":
		return get(w, r, b, key)
	case "DeleteObject":
		delete(b.objects, key)
		w.WriteHeader(http.StatusNoContent)
	default:
		return s.multipart(w, r, what, name, key, b, in)
	}
	return nil
}

func (s *Service) create(w http.ResponseWriter, _ *http.Request, name string, in []byte) *wire.Error {
	if !bucketName.MatchString(name) || strings.Contains(name, "..") {
		return wire.Errorf("InvalidBucketName", "The specified bucket is not valid.")
	}
	var c struct{ LocationConstraint string }
	if len(in) > 0 {
		if err := xml.Unmarshal(in, &c); err != nil {
			return wire.Errorf("MalformedXML", "The XML you provided was not well-formed: %v", err)
		}
	}
	if c.LocationConstraint == "" {
		c.LocationConstraint = "us-east-1"
	}
	switch {
	case c.LocationConstraint != s.world.Region:
		return wire.Errorf("IllegalLocationConstraintException", "The %s location constraint is incompatible for the region specific endpoint this request was sent to.", c.LocationConstraint)
	case s.foreign[name]:
		return wire.Errorf("BucketAlreadyExists", "The requested bucket name is not available.").With(http.StatusConflict)
	case s.buckets[name] != nil:
		return wire.Errorf("BucketAlreadyOwnedByYou", "Your previous request to create the named bucket succeeded and you already own it.").With(http.StatusConflict)
	}
	s.buckets[name] = &bucket{objects: map[string]object{}, uploads: map[string]*upload{}, config: map[string][]byte{}}
	w.Header().Set("Location", "/"+name)
	return nil
}

func (s *Service) listBuckets(w http.ResponseWriter) *wire.Error {
	type entry struct{ Name string }
	out := struct {
		XMLName xml.Name `xml:"ListAllMyBucketsResult"`
		Buckets []entry  `xml:"Buckets>Bucket"`
	}{}
	for name := range s.buckets {
		out.Buckets = append(out.Buckets, entry{name})
	}
	slices.SortFunc(out.Buckets, func(a, b entry) int { return strings.Compare(a.Name, b.Name) })
	answer(w, out)
	return nil
}

// missing are the errors for what was never put: https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetBucketTagging.html and its siblings.
var missing = map[string]string{"tagging": "NoSuchTagSet", "publicAccessBlock": "NoSuchPublicAccessBlockConfiguration", "encryption": "ServerSideEncryptionConfigurationNotFoundError", "lifecycle": "NoSuchLifecycleConfiguration", "versioning": ""}

func (b *bucket) configure(w http.ResponseWriter, method, sub string, in []byte) *wire.Error {
	switch method {
	case http.MethodPut:
		if err := xml.Unmarshal(in, new(struct{ XMLName xml.Name })); err != nil {
			return wire.Errorf("MalformedXML", "The XML you provided was not well-formed: %v", err)
		}
		b.config[sub] = in
	case http.MethodDelete:
		delete(b.config, sub)
		w.WriteHeader(http.StatusNoContent)
	default:
		if b.config[sub] == nil && missing[sub] != "" {
			return wire.Errorf(missing[sub], "There is no such configuration").With(http.StatusNotFound)
		}
		w.Header().Set("Content-Type", "application/xml")
		w.Write(b.config[sub]) //nolint:errcheck // the client is gone
	}
	return nil
}

func (s *Service) list(w http.ResponseWriter, r *http.Request, name string, b *bucket) *wire.Error {
	q := r.URL.Query()
	most := 1000
	if v := q.Get("max-keys"); v != "" {
		n, err := strconv.Atoi(v)
		if err != nil || n < 0 {
			return wire.Errorf("InvalidArgument", "Provided max-keys not an integer or within integer range")
		}
		most = min(n, most)
	}
	if s.world.PageSize > 0 {
		most = min(most, s.world.PageSize)
	}
	after := q.Get("start-after")
	if token := q.Get("continuation-token"); token != "" {
		t, err := base64.StdEncoding.DecodeString(token)
		if err != nil {
			return wire.Errorf("InvalidArgument", "The continuation token provided is incorrect")
		}
		after = string(t)
	}
	if q.Get("delimiter") != "" {
		return wire.Errorf("NotImplemented", "delimiter is not in this stand-in").With(http.StatusNotImplemented)
	}
	var keys []string
	for k := range b.objects {
		if strings.HasPrefix(k, q.Get("prefix")) && k > after {
			keys = append(keys, k)
		}
	}
	slices.Sort(keys)
	type entry struct {
		Key          string
		LastModified string
		ETag         string
		Size         int
		StorageClass string
	}
	out := struct {
		XMLName               xml.Name `xml:"ListBucketResult"`
		Xmlns                 string   `xml:"xmlns,attr"`
		Name                  string
		Prefix                string
		KeyCount              int
		MaxKeys               int
		IsTruncated           bool
		NextContinuationToken string `xml:",omitempty"`
		Contents              []entry
	}{Xmlns: namespace, Name: name, Prefix: q.Get("prefix"), MaxKeys: most, IsTruncated: len(keys) > most}
	if out.IsTruncated {
		keys = keys[:most]
		if most > 0 {
			out.NextContinuationToken = base64.StdEncoding.EncodeToString([]byte(keys[most-1]))
		}
	}
	for _, k := range keys {
		o := b.objects[k]
		out.Contents = append(out.Contents, entry{k, o.modified.UTC().Format("2006-01-02T15:04:05.000Z"), o.etag, len(o.body), "STANDARD"})
	}
	out.KeyCount = len(keys)
	answer(w, out)
	return nil
}

func (b *bucket) deleteMany(w http.ResponseWriter, r *http.Request, in []byte) *wire.Error {
	if r.Header.Get("Content-Md5") == "" && !slices.ContainsFunc(slices.Collect(keysOf(r.Header)), func(h string) bool { return strings.HasPrefix(h, "X-Amz-Checksum-") }) &&
		!strings.HasPrefix(r.Header.Get("X-Amz-Content-Sha256"), "STREAMING-") {
		return wire.Errorf("InvalidRequest", "Missing required header for this request: Content-MD5 OR x-amz-checksum-*")
	}
	var q struct {
		Quiet  bool
		Object []struct{ Key string }
	}
	if err := xml.Unmarshal(in, &q); err != nil || len(q.Object) == 0 || len(q.Object) > 1000 {
		return wire.Errorf("MalformedXML", "The XML you provided was not well-formed or did not validate against our published schema")
	}
	type deleted struct{ Key string }
	out := struct {
		XMLName xml.Name `xml:"DeleteResult"`
		Deleted []deleted
	}{}
	for _, o := range q.Object {
		delete(b.objects, o.Key)
		if !q.Quiet {
			out.Deleted = append(out.Deleted, deleted{o.Key})
		}
	}
	answer(w, out)
	return nil
}

func keysOf(h http.Header) func(func(string) bool) {
	return func(yield func(string) bool) {
		for k := range h {
			if !yield(k) {
				return
			}
		}
	}
}

// allowed holds a write against its conditions.
func allowed(r *http.Request, b *bucket, key string) *wire.Error {
	o, there := b.objects[key]
	failed := wire.Errorf("PreconditionFailed", "At least one of the pre-conditions you specified did not hold").With(http.StatusPreconditionFailed)
	if want := r.Header.Get("If-None-Match"); want != "" {
		if want != "*" {
			return wire.Errorf("NotImplemented", "A header you provided implies functionality that is not implemented").With(http.StatusNotImplemented)
		}
		if there {
			return failed
		}
	}
	if want := r.Header.Get("If-Match"); want != "" && (!there || o.etag != want) {
		return failed
	}
	return nil
}

func (s *Service) put(w http.ResponseWriter, r *http.Request, b *bucket, key string, in []byte, sums map[string]string) *wire.Error {
	if len(key) > 1024 {
		return wire.Errorf("KeyTooLongError", "Your key is too long")
	}
	if r.Header.Get("X-Amz-Copy-Source") != "" {
		return wire.Errorf("NotImplemented", "copies are not in this stand-in").With(http.StatusNotImplemented)
	}
	if err := allowed(r, b, key); err != nil {
		return err
	}
	o := object{body: in, etag: etag(in), kind: r.Header.Get("Content-Type"), modified: s.world.Now(), checksum: sums}
	b.objects[key] = o
	w.Header().Set("ETag", o.etag)
	for k, v := range sums {
		w.Header().Set(k, v)
	}
	return nil
}

func get(w http.ResponseWriter, r *http.Request, b *bucket, key string) *wire.Error {
	o, ok := b.objects[key]
	if !ok {
		return noKey(key)
	}
	if want := r.Header.Get("If-Match"); want != "" && want != o.etag {
		return wire.Errorf("PreconditionFailed", "At least one of the pre-conditions you specified did not hold").With(http.StatusPreconditionFailed)
	}
	w.Header().Set("ETag", o.etag)
	if o.kind != "" {
		w.Header().Set("Content-Type", o.kind)
	}
	if from, ok := strings.CutPrefix(r.Header.Get("Range"), "bytes="); ok {
		first, _, _ := strings.Cut(from, "-")
		if n, err := strconv.Atoi(first); err == nil && n >= len(o.body) {
			return wire.Errorf("InvalidRange", "The requested range is not satisfiable").With(http.StatusRequestedRangeNotSatisfiable)
		}
	}
	if r.Header.Get("X-Amz-Checksum-Mode") == "ENABLED" && r.Header.Get("Range") == "" {
		for k, v := range o.checksum {
			w.Header().Set(k, v)
		}
	}
	http.ServeContent(w, r, "", o.modified, bytes.NewReader(o.body))
	return nil
}

func (s *Service) multipart(w http.ResponseWriter, r *http.Request, what, name, key string, b *bucket, in []byte) *wire.Error {
	q := r.URL.Query()
	if what == "CreateMultipartUpload" {
		id := s.world.Letters(32)
		b.uploads[id] = &upload{key: key, kind: r.Header.Get("Content-Type"), parts: map[int]object{}}
		answer(w, struct {
			XMLName               xml.Name `xml:"InitiateMultipartUploadResult"`
			Bucket, Key, UploadId string
		}{Bucket: name, Key: key, UploadId: id})
		return nil
	}
	if what == "ListMultipartUploads" {
		type entry struct{ Key, UploadId string }
		out := struct {
			XMLName xml.Name `xml:"ListMultipartUploadsResult"`
			Bucket  string
			Upload  []entry
		}{Bucket: name}
		for id, u := range b.uploads {
			out.Upload = append(out.Upload, entry{u.key, id})
		}
		answer(w, out)
		return nil
	}
	id := q.Get("uploadId")
	u := b.uploads[id]
	if u == nil || u.key != key {
		return wire.Errorf("NoSuchUpload", "The specified multipart upload does not exist. The upload ID may be invalid, or the upload may have been aborted or completed.").With(http.StatusNotFound)
	}
	switch what {
	case "UploadPart":
		n, err := strconv.Atoi(q.Get("partNumber"))
		if err != nil || n < 1 || n > 10000 {
			return wire.Errorf("InvalidArgument", "Part number must be an integer between 1 and 10000, inclusive")
		}
		u.parts[n] = object{body: in, etag: etag(in)}
		w.Header().Set("ETag", u.parts[n].etag)
	case "AbortMultipartUpload":
		delete(b.uploads, id)
		w.WriteHeader(http.StatusNoContent)
	case "CompleteMultipartUpload":
		return s.complete(w, r, name, key, id, b, in)
	default:
		return wire.Errorf("NotImplemented", "%s is not in this stand-in", what).With(http.StatusNotImplemented)
	}
	return nil
}

func (s *Service) complete(w http.ResponseWriter, r *http.Request, name, key, id string, b *bucket, in []byte) *wire.Error {
	if err := allowed(r, b, key); err != nil {
		return err
	}
	u := b.uploads[id]
	var q struct {
		Part []struct {
			PartNumber int
			ETag       string
		}
	}
	if err := xml.Unmarshal(in, &q); err != nil || len(q.Part) == 0 {
		return wire.Errorf("MalformedXML", "The XML you provided was not well-formed or did not validate against our published schema")
	}
	var whole []byte
	all := md5.New()
	for i, p := range q.Part {
		part, ok := u.parts[p.PartNumber]
		switch {
		case !ok || part.etag != `"`+strings.Trim(p.ETag, `"`)+`"`:
			return wire.Errorf("InvalidPart", "One or more of the specified parts could not be found.")
		case i > 0 && q.Part[i-1].PartNumber >= p.PartNumber:
			return wire.Errorf("InvalidPartOrder", "The list of parts was not in ascending order.")
		case i < len(q.Part)-1 && len(part.body) < minPart:
			return wire.Errorf("EntityTooSmall", "Your proposed upload is smaller than the minimum allowed size")
		}
		sum := md5.Sum(part.body)
		all.Write(sum[:])
		whole = append(whole, part.body...)
	}
	o := object{body: whole, etag: fmt.Sprintf(`"%s-%d"`, hex.EncodeToString(all.Sum(nil)), len(q.Part)), kind: u.kind, modified: s.world.Now()}
	b.objects[key] = o
	delete(b.uploads, id)
	answer(w, struct {
		XMLName           xml.Name `xml:"CompleteMultipartUploadResult"`
		Bucket, Key, ETag string
	}{Bucket: name, Key: key, ETag: o.etag})
	return nil
}
