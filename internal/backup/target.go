package backup

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
)

// Errors that callers tell apart; implementations wrap them with the object's name.
var (
	// ErrNotFound: there is no such object.
	ErrNotFound = errors.New("no such object")
	// ErrExists: PutNew found an object of that name.
	ErrExists = errors.New("it exists already")
	// ErrDenied: the target refuses us.
	ErrDenied = errors.New("not permitted")
	// ErrFull: the target has no room.
	ErrFull = errors.New("no room")
	// ErrUnavailable: the target could not be reached. Try later.
	ErrUnavailable = errors.New("target unavailable")
)

// Target holds objects by name. Names are slash-separated and made of letters, digits, '.', '_' and '-'. Safe for concurrent use.
// Implementations pass backuptest.
type Target interface {
	// Put stores r's bytes under name and returns how many they were. The object appears whole or not at all: when r or ctx
	// ends with an error, nothing of it stays. What was there before is replaced.
	Put(ctx context.Context, name string, r io.Reader) (int64, error)
	// PutNew stores a small object if there is none of that name, else ErrExists.
	PutNew(ctx context.Context, name string, b []byte) error
	// Get opens an object for reading to its end; ErrNotFound. A Read whose rest could not be reached is ErrUnavailable.
	Get(ctx context.Context, name string) (io.ReadCloser, error)
	// GetFrom opens what of an object begins at an offset, in bytes; beyond its end there is nothing, which is no error.
	GetFrom(ctx context.Context, name string, from int64) (io.ReadCloser, error)
	// List returns the objects whose name starts with prefix, by name.
	List(ctx context.Context, prefix string) ([]Object, error)
	// Delete removes; what does not exist is no error.
	Delete(ctx context.Context, name string) error
}

// Object is what a target holds.
type Object struct {
	Name string    `json:"name"`
	Size int64     `json:"size"`
	At   time.Time `json:"at"` // of its last change, by the target's clock
}

// CheckName refuses names that not every target takes, or that lead elsewhere.
func CheckName(name string) error {
	for part := range strings.SplitSeq(name, "/") {
		if part == "" || strings.HasPrefix(part, ".") {
			return fmt.Errorf("object name %q: a part is empty or begins with a dot", name)
		}
		for _, c := range []byte(part) {
			if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '.' || c == '_' || c == '-' {
				continue
			}
			return fmt.Errorf("object name %q: %q is not taken everywhere", name, c)
		}
	}
	return nil
}

// maxSmall bounds objects that are read whole: manifests and markers.
const maxSmall = 1 << 20

// readSmall reads a small object whole.
func readSmall(ctx context.Context, t Target, name string) ([]byte, error) {
	r, err := t.Get(ctx, name)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	b, err := io.ReadAll(io.LimitReader(r, maxSmall+1))
	if err == nil && len(b) > maxSmall {
		err = fmt.Errorf("it is larger than %d bytes", maxSmall)
	}
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", name, err)
	}
	return b, nil
}
