package provider

import (
	"archive/tar"
	"compress/gzip"
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

	"github.com/farmhand/terraform-provider-farmhand/internal/store"
)

// errFolder wraps what is wrong with an application's folder, as opposed to with storing it.
var errFolder = errors.New("unusable folder")

// packRelease writes the folder to w as tar.gz. The same files give the same bytes, on whatever machine and whenever:
// names are sorted, and times, owners and all of the mode but "executable" are left out. Links lead inside the folder.
func packRelease(w io.Writer, folder string) error {
	if err := checkFolder(folder); err != nil {
		return err
	}
	compressed := gzip.NewWriter(w)
	archive := tar.NewWriter(compressed)
	// WalkDir goes by name, so that the order is the same everywhere.
	err := filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return fmt.Errorf("%w: %w", errFolder, err)
		}
		name, err := filepath.Rel(folder, path)
		if err != nil || name == "." {
			return err
		}
		return packEntry(archive, folder, path, filepath.ToSlash(name), entry)
	})
	if err != nil {
		return err
	}
	if err := archive.Close(); err != nil {
		return err
	}
	return compressed.Close()
}

func packEntry(archive *tar.Writer, folder, path, name string, entry fs.DirEntry) error {
	info, err := entry.Info()
	if err != nil {
		return fmt.Errorf("%w: %w", errFolder, err)
	}
	header := &tar.Header{Name: name, Format: tar.FormatPAX, Mode: 0o644}
	if info.Mode()&0o111 != 0 {
		header.Mode = 0o755
	}
	switch {
	case entry.IsDir():
		header.Typeflag, header.Name, header.Mode = tar.TypeDir, name+"/", 0o755
		return archive.WriteHeader(header)
	case entry.Type()&fs.ModeSymlink != 0:
		target, err := insideTarget(folder, path)
		if err != nil {
			return err
		}
		header.Typeflag, header.Linkname, header.Mode = tar.TypeSymlink, filepath.ToSlash(target), 0o777
		return archive.WriteHeader(header)
	case !entry.Type().IsRegular():
		return fmt.Errorf("%w: %s is neither a file, a folder nor a link", errFolder, name)
	}
	f, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("%w: %w", errFolder, err)
	}
	defer f.Close()
	header.Typeflag, header.Size = tar.TypeReg, info.Size()
	if err := archive.WriteHeader(header); err != nil {
		return err
	}
	n, err := io.Copy(archive, f)
	if errors.Is(err, tar.ErrWriteTooLong) || err == nil && n != info.Size() {
		return fmt.Errorf("%w: %s changed while it was read", errFolder, name)
	}
	return err
}

// insideTarget is where a link leads, if that is in the folder: elsewhere it would lead to another file, or none.
func insideTarget(folder, link string) (string, error) {
	target, err := os.Readlink(link)
	if err != nil {
		return "", fmt.Errorf("%w: %w", errFolder, err)
	}
	if !filepath.IsAbs(target) {
		name, err := filepath.Rel(folder, filepath.Join(filepath.Dir(link), target))
		if err == nil && name != ".." && !strings.HasPrefix(name, ".."+string(filepath.Separator)) {
			return target, nil
		}
	}
	name, _ := filepath.Rel(folder, link)
	return "", fmt.Errorf("%w: the link %s leads out of the folder, to %s", errFolder, name, target)
}

// checkFolder tells whether there is anything to pack.
func checkFolder(folder string) error {
	info, err := os.Stat(folder)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%w: there is no folder %s", errFolder, folder)
	case err != nil:
		return fmt.Errorf("%w: %w", errFolder, err)
	case !info.IsDir():
		return fmt.Errorf("%w: %s is not a folder", errFolder, folder)
	}
	entries, err := os.ReadDir(folder)
	if err != nil {
		return fmt.Errorf("%w: %w", errFolder, err)
	}
	if len(entries) == 0 {
		return fmt.Errorf("%w: %s is empty", errFolder, folder)
	}
	return nil
}

// hashRelease is the name that the packed folder will have among the blobs, and its size.
func hashRelease(folder string) (name string, size int64, err error) {
	sum := sha256.New()
	counter := &countingWriter{w: sum}
	if err := packRelease(counter, folder); err != nil {
		return "", 0, err
	}
	return hex.EncodeToString(sum.Sum(nil)), counter.n, nil
}

// storeRelease packs the folder into the blobs.
func storeRelease(ctx context.Context, blobs store.Blobs, folder string) (name string, size int64, err error) {
	r, w := io.Pipe()
	go func() { _ = w.CloseWithError(packRelease(w, folder)) }()
	name, size, err = blobs.PutBlob(ctx, r)
	_ = r.CloseWithError(errors.New("nobody reads on")) // ends the packing where storing failed
	return name, size, err
}

type countingWriter struct {
	w io.Writer
	n int64
}

func (c *countingWriter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.n += int64(n)
	return n, err
}
