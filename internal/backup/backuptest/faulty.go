package backuptest

import (
	"context"
	"fmt"
	"io"
	"sync"

	"github.com/farmhand/terraform-provider-farmhand/internal/backup"
)

// Faulty is a target that cannot be reached now and then: Fails is asked before every call, and before every read of what was opened, with
// what is done ("List", "read", ...) and how many were asked before, and tells whether that fails. A Put fails after it read something.
// Safe for concurrent use.
type Faulty struct {
	backup.Target
	Fails func(what string, n int) bool

	mu sync.Mutex
	n  int
}

// Every fails each n-th call or read; n > 1.
func Every(n int) func(string, int) bool {
	return func(_ string, i int) bool { return i%n == n-1 }
}

// Asked counts the calls and reads so far.
func (f *Faulty) Asked() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.n
}

func (f *Faulty) fault(what string) error {
	f.mu.Lock()
	n := f.n
	f.n++
	f.mu.Unlock()
	if f.Fails(what, n) {
		return fmt.Errorf("%s: %w: the network is away", what, backup.ErrUnavailable)
	}
	return nil
}

// Put implements backup.Target.
func (f *Faulty) Put(ctx context.Context, name string, r io.Reader) (int64, error) {
	if err := f.fault("Put"); err != nil {
		_, _ = io.CopyN(io.Discard, r, 3)
		return 0, err
	}
	return f.Target.Put(ctx, name, r)
}

// PutNew implements backup.Target.
func (f *Faulty) PutNew(ctx context.Context, name string, b []byte) error {
	if err := f.fault("PutNew"); err != nil {
		return err
	}
	return f.Target.PutNew(ctx, name, b)
}

// Get implements backup.Target.
func (f *Faulty) Get(ctx context.Context, name string) (io.ReadCloser, error) {
	return f.GetFrom(ctx, name, 0)
}

// GetFrom implements backup.Target.
func (f *Faulty) GetFrom(ctx context.Context, name string, from int64) (io.ReadCloser, error) {
	if err := f.fault("Get"); err != nil {
		return nil, err
	}
	r, err := f.Target.GetFrom(ctx, name, from)
	if err != nil {
		return nil, err
	}
	return reading{r, f}, nil
}

// reading reads little at once, so that it may break off anywhere.
type reading struct {
	io.ReadCloser
	of *Faulty
}

func (r reading) Read(p []byte) (int, error) {
	if err := r.of.fault("read"); err != nil {
		return 0, err
	}
	const little = 1000
	return r.ReadCloser.Read(p[:min(len(p), little)])
}

// List implements backup.Target.
func (f *Faulty) List(ctx context.Context, prefix string) ([]backup.Object, error) {
	if err := f.fault("List"); err != nil {
		return nil, err
	}
	return f.Target.List(ctx, prefix)
}

// Delete implements backup.Target.
func (f *Faulty) Delete(ctx context.Context, name string) error {
	if err := f.fault("Delete"); err != nil {
		return err
	}
	return f.Target.Delete(ctx, name)
}
