package store

import (
	"context"
	"io"
)

// Blobs hold what is too large for a value: application releases. A blob's name is the SHA-256 of its bytes, in hex,
// so that it never changes and a broken transfer is noticed.
type Blobs interface {
	// PutBlob stores r's bytes and returns their name and size. Storing the same bytes twice is cheap and harmless.
	PutBlob(ctx context.Context, r io.Reader) (name string, size int64, err error)
	// OpenBlob returns ErrNotFound for an unknown name; reading to the end checks the hash.
	OpenBlob(ctx context.Context, name string) (io.ReadCloser, error)
	// DeleteBlob removes; an unknown name is no error.
	DeleteBlob(ctx context.Context, name string) error
}
