package s3

import (
	"bufio"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"hash/crc32"
	"io"
	"net/http"
	"strconv"
	"strings"

	"github.com/farmhand/terraform-provider-farmhand/internal/awstest/wire"
)

func etag(b []byte) string {
	sum := md5.Sum(b)
	return `"` + hex.EncodeToString(sum[:]) + `"`
}

// body reads what was sent, out of the chunks of aws-chunked where it came in such, and holds it against every hash that came
// with it. https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming-trailers.html
func body(r *http.Request) ([]byte, map[string]string, *wire.Error) {
	claimed := r.Header.Get("X-Amz-Content-Sha256")
	var b []byte
	var err error
	trailer := http.Header{}
	if strings.HasPrefix(claimed, "STREAMING-") {
		b, trailer, err = chunks(r.Body)
		if want, sent := r.Header.Get("X-Amz-Decoded-Content-Length"), strconv.Itoa(len(b)); err == nil && want != sent {
			return nil, nil, wire.Errorf("IncompleteBody", "You did not provide the number of bytes specified by the x-amz-decoded-content-length header: %s of %s", sent, want)
		}
	} else {
		b, err = io.ReadAll(r.Body)
	}
	if err != nil {
		return nil, nil, wire.Errorf("IncompleteBody", "The request body terminated unexpectedly: %v", err)
	}
	if len(claimed) == 64 {
		if sum := sha256.Sum256(b); hex.EncodeToString(sum[:]) != claimed {
			return nil, nil, wire.Errorf("XAmzContentSHA256Mismatch", "The provided 'x-amz-content-sha256' header does not match what was computed.")
		}
	} else if claimed == "" {
		return nil, nil, wire.Errorf("MissingSecurityHeader", "Your request was missing a required header: x-amz-content-sha256")
	}
	if want := r.Header.Get("Content-Md5"); want != "" {
		if sum := md5.Sum(b); base64.StdEncoding.EncodeToString(sum[:]) != want {
			return nil, nil, wire.Errorf("BadDigest", "The Content-MD5 you specified did not match what we received.")
		}
	}
	sums := map[string]string{}
	for name, of := range checksums {
		for _, h := range []http.Header{r.Header, trailer} {
			want := h.Get(name)
			if want == "" {
				continue
			}
			if of(b) != want {
				return nil, nil, wire.Errorf("BadDigest", "The %s you specified did not match the calculated checksum.", name)
			}
			sums[name] = want
		}
	}
	return b, sums, nil
}

var checksums = map[string]func([]byte) string{
	"X-Amz-Checksum-Crc32":  func(b []byte) string { return big(crc32.ChecksumIEEE(b)) },
	"X-Amz-Checksum-Crc32c": func(b []byte) string { return big(crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli))) },
	"X-Amz-Checksum-Sha256": func(b []byte) string { s := sha256.Sum256(b); return base64.StdEncoding.EncodeToString(s[:]) },
	"X-Amz-Checksum-Sha1":   func(b []byte) string { s := sha1.Sum(b); return base64.StdEncoding.EncodeToString(s[:]) },
}

func big(n uint32) string {
	return base64.StdEncoding.EncodeToString(binary.BigEndian.AppendUint32(nil, n))
}

// chunks undoes aws-chunked: size in hexadecimal and perhaps a signature on a line, bytes, an empty line; a chunk of no bytes
// ends it, and trailing headers follow.
func chunks(from io.Reader) ([]byte, http.Header, error) {
	in := bufio.NewReader(from)
	var all []byte
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return nil, nil, io.ErrUnexpectedEOF
		}
		size, _, _ := strings.Cut(strings.TrimSpace(line), ";")
		n, err := strconv.ParseInt(size, 16, 64)
		if err != nil {
			return nil, nil, err
		}
		if n == 0 {
			break
		}
		piece := make([]byte, n+2)
		if _, err := io.ReadFull(in, piece); err != nil {
			return nil, nil, err
		}
		all = append(all, piece[:n]...)
	}
	trailer := http.Header{}
	for {
		line, err := in.ReadString('\n')
		if line = strings.TrimSpace(line); line != "" {
			name, value, _ := strings.Cut(line, ":")
			trailer.Set(name, strings.TrimSpace(value))
		}
		if err != nil || line == "" {
			return all, trailer, nil //nolint:nilerr // the end of the trailer is the end of the body
		}
	}
}
