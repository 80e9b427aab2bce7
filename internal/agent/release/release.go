// Package release unpacks an application's release on an instance.
package release

import (
	"archive/tar"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// Unpack reads a release (a gzipped tar) whose SHA-256 is name, in hex, into dir/name and points the link
// dir/current to it. It returns that link. A release that is there already is not read again.
//
// Nothing is visible before all of it is there and its hash is right, and no entry, by name or by link, leads out of
// the folder: that is an error, not something to skip.
func Unpack(dir, name string, open func() (io.ReadCloser, error)) (current string, err error) {
	if sum, err := hex.DecodeString(name); err != nil || len(sum) != sha256.Size {
		return "", fmt.Errorf("unpacking the release: %q is no SHA-256", name)
	}
	target := filepath.Join(dir, name)
	if _, err := os.Stat(target); errors.Is(err, fs.ErrNotExist) {
		if err := fetch(target, name, open); err != nil {
			return "", fmt.Errorf("unpacking release %.12s: %w", name, err)
		}
	}
	current = filepath.Join(dir, "current")
	next := current + ".new"
	os.Remove(next)
	if err := os.Symlink(name, next); err != nil {
		return "", fmt.Errorf("putting release %.12s in place: %w", name, err)
	}
	if err := os.Rename(next, current); err != nil {
		return "", fmt.Errorf("putting release %.12s in place: %w", name, err)
	}
	return current, nil
}

func fetch(target, name string, open func() (io.ReadCloser, error)) error {
	scratch := target + ".part"
	if err := os.RemoveAll(scratch); err != nil {
		return err
	}
	if err := os.MkdirAll(scratch, 0o755); err != nil {
		return err
	}
	defer os.RemoveAll(scratch)
	blob, err := open()
	if err != nil {
		return err
	}
	defer blob.Close()
	hash := sha256.New()
	r := io.TeeReader(blob, hash)
	extractErr := extract(scratch, r)
	// To the end also if the archive ended before or was refused: a transfer that broke explains a broken archive.
	if _, err := io.Copy(io.Discard, r); err != nil {
		return fmt.Errorf("reading it: %w", err)
	}
	if got := hex.EncodeToString(hash.Sum(nil)); got != name {
		return fmt.Errorf("its bytes have the hash %.12s: damaged on the way or in the store", got)
	}
	if extractErr != nil {
		return fmt.Errorf("%w: %w", ErrUnfit, extractErr)
	}
	return os.Rename(scratch, target)
}

func extract(dir string, r io.Reader) error {
	// All writing goes through root, which follows no link out of the folder.
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	zip, err := gzip.NewReader(r)
	if err != nil {
		return fmt.Errorf("it is no gzipped archive: %w", err)
	}
	archive := tar.NewReader(zip)
	var links []string
	for {
		h, err := archive.Next()
		if err == io.EOF {
			return checkLinks(root, links)
		}
		if err != nil {
			return fmt.Errorf("reading the archive: %w", err)
		}
		if err := entry(root, h, archive); err != nil {
			return fmt.Errorf("entry %q: %w", h.Name, err)
		}
		if h.Typeflag == tar.TypeSymlink {
			links = append(links, h.Name)
		}
	}
}

// checkLinks has root follow each link, now that all they pass through is there: where a link leads cannot be told
// from its text alone. One that leads to nothing is harmless.
func checkLinks(root *os.Root, links []string) error {
	for _, name := range links {
		if _, err := root.Stat(path.Clean(name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("entry %q: %w: %w", name, errLeadsOut, err)
		}
	}
	return nil
}

// ErrUnfit is a release that arrived whole and cannot be unpacked: trying again is of no use.
var ErrUnfit = errors.New("the release is not fit to be unpacked")

var errLeadsOut = errors.New("leads out of the release")

// entry unpacks one. Owner and special bits are dropped: everything is root's, and readable by the web server.
func entry(root *os.Root, h *tar.Header, content io.Reader) error {
	name := path.Clean(strings.TrimSuffix(h.Name, "/"))
	if name == "." {
		return nil
	}
	if !filepath.IsLocal(name) {
		return errLeadsOut
	}
	if err := root.MkdirAll(path.Dir(name), 0o755); err != nil {
		return err
	}
	switch h.Typeflag {
	case tar.TypeDir:
		return root.MkdirAll(name, 0o755)
	case tar.TypeReg:
		return file(root, name, fs.FileMode(h.Mode), content)
	case tar.TypeSymlink:
		return root.Symlink(h.Linkname, name)
	case tar.TypeXGlobalHeader:
		return nil
	}
	return fmt.Errorf("is neither file, folder nor symbolic link (type %q)", h.Typeflag)
}

func file(root *os.Root, name string, mode fs.FileMode, content io.Reader) error {
	perm := fs.FileMode(0o644)
	if mode&0o111 != 0 {
		perm = 0o755
	}
	f, err := root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, perm)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, content)
	return errors.Join(err, f.Chmod(perm), f.Close())
}
