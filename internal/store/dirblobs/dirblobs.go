// Package dirblobs keeps blobs as files of one folder, each named by its hash.
//
// Any number of processes may share the folder: a file appears whole, under its final name, or not at all.
package dirblobs

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/farmhand/terraform-provider-farmhand/internal/store"
)

// uploadPrefix marks files that are still being written.
const uploadPrefix = ".upload-"

// leftAfter is the age at which an unfinished upload counts as left over from a crash: none takes a day.
const leftAfter = 24 * time.Hour

// Blobs is a store.Blobs in a folder. Safe for concurrent use.
type Blobs struct{ dir string }

var _ store.Blobs = (*Blobs)(nil)

// Open makes the folder (0700) if need be, and removes what crashed uploads left there.
func Open(dir string) (*Blobs, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("opening blobs: %w", explain(err))
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("opening blobs: %w", explain(err))
	}
	for _, e := range entries {
		info, err := e.Info()
		if err == nil && strings.HasPrefix(e.Name(), uploadPrefix) && time.Since(info.ModTime()) > leftAfter {
			os.Remove(filepath.Join(dir, e.Name()))
		}
	}
	return &Blobs{dir: dir}, nil
}

// PutBlob stores r's bytes. On any error, ErrFull among them, nothing stays behind.
func (b *Blobs) PutBlob(ctx context.Context, r io.Reader) (name string, size int64, err error) {
	name, size, err = b.put(ctx, r)
	if err != nil {
		return "", 0, fmt.Errorf("storing a blob in %s: %w", b.dir, explain(err))
	}
	return name, size, nil
}

func (b *Blobs) put(ctx context.Context, r io.Reader) (name string, size int64, err error) {
	f, err := os.CreateTemp(b.dir, uploadPrefix) // made 0600
	if err != nil {
		return "", 0, err
	}
	defer func() {
		if err != nil {
			f.Close()
			os.Remove(f.Name())
		}
	}()
	hash := sha256.New()
	size, err = io.Copy(io.MultiWriter(f, hash), contextReader{ctx, r})
	if err != nil {
		return "", 0, err
	}
	// Synced before it gets its name: else a power cut can leave the name with no bytes behind it.
	if err = f.Sync(); err != nil {
		return "", 0, err
	}
	if err = f.Close(); err != nil {
		return "", 0, err
	}
	name = hex.EncodeToString(hash.Sum(nil))
	// Also over an older file of that name: it holds the same bytes, or it is damaged and this mends it.
	if err = os.Rename(f.Name(), filepath.Join(b.dir, name)); err != nil {
		return "", 0, err
	}
	syncFolder(b.dir)
	return name, size, nil
}

// syncFolder makes a new name outlast a power cut, where the file system can do so at all.
func syncFolder(dir string) {
	if d, err := os.Open(dir); err == nil {
		_ = d.Sync()
		d.Close()
	}
}

// OpenBlob opens a blob. The Read that reaches the end returns store.ErrDamaged if the bytes are not the blob's.
func (b *Blobs) OpenBlob(_ context.Context, name string) (io.ReadCloser, error) {
	if !store.IsBlobName(name) {
		return nil, fmt.Errorf("blob %.80q: %w", name, store.ErrNotFound)
	}
	f, err := os.Open(filepath.Join(b.dir, name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("blob %s: %w", name, store.ErrNotFound)
	}
	if err != nil {
		return nil, fmt.Errorf("opening a blob: %w", err)
	}
	return store.VerifyBlob(f, name), nil
}

// DeleteBlob removes a blob; who is reading it reads on.
func (b *Blobs) DeleteBlob(_ context.Context, name string) error {
	if !store.IsBlobName(name) {
		return nil
	}
	err := os.Remove(filepath.Join(b.dir, name))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("deleting a blob: %w", err)
	}
	return nil
}

// explain marks a full disk as store.ErrFull.
func explain(err error) error {
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return fmt.Errorf("%w (%w): make room and try again", store.ErrFull, err)
	}
	return err
}

// contextReader ends a copy when ctx does.
type contextReader struct {
	ctx context.Context
	r   io.Reader
}

func (c contextReader) Read(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	return c.r.Read(p)
}
