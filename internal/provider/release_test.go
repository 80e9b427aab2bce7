package provider

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

var longAgo = time.Date(2001, 2, 3, 4, 5, 6, 0, time.UTC)

// The same files give the same bytes, wherever they are and whenever they were made.
func TestReleaseIsTheSameForTheSameFiles(t *testing.T) {
	files := map[string]string{"index.php": "one", "lib/a.php": "a", "lib/b.php": "b"}
	first, size, err := hashRelease(site(t, files))
	if err != nil || size == 0 {
		t.Fatal(size, err)
	}
	copied := site(t, files)
	for _, name := range []string{"index.php", "lib"} {
		if err := os.Chtimes(filepath.Join(copied, name), longAgo, longAgo); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(filepath.Join(copied, "index.php"), 0o600); err != nil {
		t.Fatal(err)
	}
	if again, _, err := hashRelease(copied); err != nil || again != first {
		t.Errorf("a copy is release %s (%v), the first %s", again, err, first)
	}
	for what, change := range map[string]func(dir string) error{
		"a changed file":  func(dir string) error { return os.WriteFile(filepath.Join(dir, "index.php"), []byte("two"), 0o644) },
		"another file":    func(dir string) error { return os.WriteFile(filepath.Join(dir, "new.php"), nil, 0o644) },
		"another name":    func(dir string) error { return os.Rename(filepath.Join(dir, "lib"), filepath.Join(dir, "inc")) },
		"one executable":  func(dir string) error { return os.Chmod(filepath.Join(dir, "lib/a.php"), 0o755) },
		"an empty folder": func(dir string) error { return os.Mkdir(filepath.Join(dir, "cache"), 0o755) },
		"a link":          func(dir string) error { return os.Symlink("index.php", filepath.Join(dir, "home.php")) },
	} {
		dir := site(t, files)
		if err := change(dir); err != nil {
			t.Fatal(err)
		}
		if changed, _, err := hashRelease(dir); err != nil || changed == first {
			t.Errorf("with %s it is still release %s (%v)", what, changed, err)
		}
	}
}

func TestReleaseHoldsWhatTheFolderHolds(t *testing.T) {
	dir := site(t, map[string]string{"b/c.php": "c", "a.php": "a"})
	if err := os.Symlink("../a.php", filepath.Join(dir, "b", "link.php")); err != nil {
		t.Fatal(err)
	}
	var packed bytes.Buffer
	if err := packRelease(&packed, dir); err != nil {
		t.Fatal(err)
	}
	unzipped, err := gzip.NewReader(&packed)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for archive := tar.NewReader(unzipped); ; {
		h, err := archive.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if h.ModTime.Unix() != 0 || h.Uid != 0 || h.Uname != "" {
			t.Errorf("%s carries a time or an owner: %+v", h.Name, h)
		}
		names = append(names, h.Name+h.Linkname)
	}
	if want := []string{"a.php", "b/", "b/c.php", "b/link.php../a.php"}; !slices.Equal(names, want) {
		t.Errorf("it holds %q, want %q", names, want)
	}
}

func TestLinksLeadInsideTheFolder(t *testing.T) {
	for target, inside := range map[string]bool{
		"a.php": true, "../a.php": true, "../missing.php": true, "..": true,
		"../../a.php": false, "/etc/passwd": false, "../..": false,
	} {
		dir := site(t, map[string]string{"b/c.php": "c", "a.php": "a"})
		if err := os.Symlink(target, filepath.Join(dir, "b", "link")); err != nil {
			t.Fatal(err)
		}
		_, _, err := hashRelease(dir)
		if inside != (err == nil) {
			t.Errorf("a link to %s: %v, want inside %v", target, err, inside)
		}
		if err != nil && !errors.Is(err, errFolder) {
			t.Errorf("a link to %s: %v is not the folder's fault", target, err)
		}
	}
}
