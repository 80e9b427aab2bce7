package backup

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

// Dir is a Target in a folder: a disk of its own, or a share that is mounted.
type Dir struct{ root string }

var _ Target = (*Dir)(nil)

// OpenDir opens a folder, making it if its parent is there. Backups on a share that is not mounted would fill the disk below it,
// and a parent that is missing is how that shows.
func OpenDir(root string) (*Dir, error) {
	if !filepath.IsAbs(root) {
		return nil, fmt.Errorf("backup folder %q: write an absolute path", root)
	}
	if err := os.Mkdir(root, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, fmt.Errorf("backup folder: %w; make %s, or mount what it is on", err, filepath.Dir(root))
	}
	if info, err := os.Stat(root); err != nil || !info.IsDir() {
		return nil, fmt.Errorf("backup folder %s is not a folder", root)
	}
	return &Dir{root: root}, nil
}

func (d *Dir) path(name string) (string, error) {
	if err := CheckName(name); err != nil {
		return "", err
	}
	return filepath.Join(d.root, filepath.FromSlash(name)), nil
}

// partial marks files that are still being written; List does not show them and Put of the same name replaces them.
const partial = ".partial-"

// Put implements Target: into a file beside it, which is synced and then renamed.
func (d *Dir) Put(ctx context.Context, name string, r io.Reader) (n int64, err error) {
	err = d.write(ctx, name, func(f *os.File) error { n, err = io.Copy(f, r); return err }, os.Rename)
	return n, err
}

// PutNew implements Target: a hard link is refused where a name is taken.
func (d *Dir) PutNew(ctx context.Context, name string, b []byte) error {
	return d.write(ctx, name, func(f *os.File) error { _, err := io.Copy(f, bytes.NewReader(b)); return err }, func(from, to string) error {
		err := os.Link(from, to)
		_ = os.Remove(from)
		if errors.Is(err, fs.ErrExist) {
			return ErrExists
		}
		return err
	})
}

func (d *Dir) write(ctx context.Context, name string, fill func(*os.File) error, place func(from, to string) error) error {
	path, err := d.path(name)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return fmt.Errorf("storing %s: %w", name, told(err))
	}
	f, err := os.CreateTemp(filepath.Dir(path), partial+"*")
	if err != nil {
		return fmt.Errorf("storing %s: %w", name, told(err))
	}
	err = fill(f)
	if err == nil {
		err = ctx.Err()
	}
	if err == nil {
		err = f.Sync()
	}
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err == nil {
		err = place(f.Name(), path)
	}
	if err != nil {
		_ = os.Remove(f.Name())
		return fmt.Errorf("storing %s: %w", name, told(err))
	}
	return nil
}

// Get implements Target.
func (d *Dir) Get(ctx context.Context, name string) (io.ReadCloser, error) {
	return d.GetFrom(ctx, name, 0)
}

// GetFrom implements Target.
func (d *Dir) GetFrom(_ context.Context, name string, from int64) (io.ReadCloser, error) {
	path, err := d.path(name)
	if err != nil {
		return nil, err
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", name, told(err))
	}
	if _, err := f.Seek(from, io.SeekStart); err != nil {
		f.Close()
		return nil, fmt.Errorf("reading %s: %w", name, told(err))
	}
	return file{f}, nil
}

// file is one whose reads say when its disk or share has gone.
type file struct{ *os.File }

func (f file) Read(p []byte) (int, error) {
	n, err := f.File.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		err = told(err)
	}
	return n, err
}

// List implements Target.
func (d *Dir) List(ctx context.Context, prefix string) ([]Object, error) {
	var objects []Object
	err := filepath.WalkDir(d.root, func(path string, e fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil // deleted meanwhile
		}
		if err == nil {
			err = ctx.Err()
		}
		if err != nil || e.IsDir() || strings.HasPrefix(e.Name(), partial) {
			return err
		}
		rel, err := filepath.Rel(d.root, path)
		if err != nil {
			return err
		}
		name := filepath.ToSlash(rel)
		if !strings.HasPrefix(name, prefix) {
			return nil
		}
		info, err := e.Info()
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		objects = append(objects, Object{Name: name, Size: info.Size(), At: info.ModTime()})
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("listing %s: %w", d.root, told(err))
	}
	slices.SortFunc(objects, func(a, b Object) int { return strings.Compare(a.Name, b.Name) })
	return objects, nil
}

// Delete implements Target. Folders that it leaves empty go too.
func (d *Dir) Delete(_ context.Context, name string) error {
	path, err := d.path(name)
	if err != nil {
		return err
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("deleting %s: %w", name, told(err))
	}
	for dir := filepath.Dir(path); len(dir) > len(d.root); dir = filepath.Dir(dir) {
		if os.Remove(dir) != nil {
			break // others are in it
		}
	}
	return nil //nolint:nilerr // what did not exist is deleted
}

// told is a file system's error as a Target's.
func told(err error) error {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%w: %w", ErrNotFound, err)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("%w: %w", ErrDenied, err)
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return fmt.Errorf("%w: %w", ErrFull, err)
	case errors.Is(err, syscall.EIO), errors.Is(err, syscall.ESTALE):
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	return err
}
