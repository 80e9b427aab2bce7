package store

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"strings"
)

// IsBlobName tells whether name can be a blob's: the SHA-256 in lower-case hex. It keeps a name from being a path.
func IsBlobName(name string) bool {
	return len(name) == hex.EncodedLen(sha256.Size) && strings.Trim(name, "0123456789abcdef") == ""
}

// VerifyBlob makes a reader whose last Read returns ErrDamaged instead of io.EOF if the bytes are not those that
// name stands for. For implementations of Blobs.
func VerifyBlob(r io.ReadCloser, name string) io.ReadCloser {
	return &verifier{r: r, name: name, hash: sha256.New()}
}

type verifier struct {
	r    io.ReadCloser
	name string
	hash hash.Hash
}

func (v *verifier) Read(p []byte) (int, error) {
	n, err := v.r.Read(p)
	v.hash.Write(p[:n])
	if err == io.EOF {
		if got := hex.EncodeToString(v.hash.Sum(nil)); got != v.name {
			return n, fmt.Errorf("blob %s: %w: its bytes have the hash %s", v.name, ErrDamaged, got)
		}
	}
	return n, err
}

func (v *verifier) Close() error { return v.r.Close() }
