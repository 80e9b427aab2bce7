package backup

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
)

// Scoped is target as far as somebody may use it: names under write may be read and written, those under read only read. Each
// is a prefix that ends in a slash.
func Scoped(target Target, write string, read ...string) Target {
	return scoped{target, write, append(read, write)}
}

// Readable is target as far as somebody may read it: names under the prefixes given, each of which ends in a slash.
func Readable(target Target, read ...string) Target { return scoped{target: target, read: read} }

type scoped struct {
	target Target
	write  string // "": nothing
	read   []string
}

func (s scoped) mayRead(name string) error {
	if slices.ContainsFunc(s.read, func(p string) bool { return strings.HasPrefix(name, p) }) {
		return nil
	}
	return fmt.Errorf("reading %q: %w", name, ErrDenied)
}

func (s scoped) mayWrite(name string) error {
	if s.write != "" && strings.HasPrefix(name, s.write) {
		return CheckName(name)
	}
	return fmt.Errorf("writing %q: %w", name, ErrDenied)
}

func (s scoped) Put(ctx context.Context, name string, r io.Reader) (int64, error) {
	if err := s.mayWrite(name); err != nil {
		return 0, err
	}
	return s.target.Put(ctx, name, r)
}

func (s scoped) PutNew(ctx context.Context, name string, b []byte) error {
	if err := s.mayWrite(name); err != nil {
		return err
	}
	return s.target.PutNew(ctx, name, b)
}

func (s scoped) Get(ctx context.Context, name string) (io.ReadCloser, error) {
	if err := s.mayRead(name); err != nil {
		return nil, err
	}
	return s.target.Get(ctx, name)
}

func (s scoped) GetFrom(ctx context.Context, name string, from int64) (io.ReadCloser, error) {
	if err := s.mayRead(name); err != nil {
		return nil, err
	}
	return s.target.GetFrom(ctx, name, from)
}

func (s scoped) List(ctx context.Context, prefix string) ([]Object, error) {
	if err := s.mayRead(prefix); err != nil {
		return nil, err
	}
	return s.target.List(ctx, prefix)
}

func (s scoped) Delete(ctx context.Context, name string) error {
	if err := s.mayWrite(name); err != nil {
		return err
	}
	return s.target.Delete(ctx, name)
}
