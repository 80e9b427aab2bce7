package release

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// pack makes a release of entries and returns it with its name.
func pack(t *testing.T, entries ...tar.Header) (blob []byte, name string) {
	t.Helper()
	var b bytes.Buffer
	zip := gzip.NewWriter(&b)
	w := tar.NewWriter(zip)
	for _, h := range entries {
		content := ""
		if h.Typeflag == tar.TypeReg {
			content = "content of " + h.Name
		}
		h.Size = int64(len(content))
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, content); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(w.Close(), zip.Close()); err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(b.Bytes())
	return b.Bytes(), hex.EncodeToString(sum[:])
}

func aFile(name string, mode int64) tar.Header {
	return tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: mode}
}
func aLink(name, to string) tar.Header {
	return tar.Header{Typeflag: tar.TypeSymlink, Name: name, Linkname: to}
}

func opened(blob []byte) func() (io.ReadCloser, error) {
	return func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(blob)), nil }
}

func TestUnpack(t *testing.T) {
	dir := t.TempDir()
	blob, name := pack(t, aFile("./public/index.php", 0o600), aFile("bin/task", 0o4711),
		tar.Header{Typeflag: tar.TypeDir, Name: "empty/"}, aLink("public/logo", "../bin/task"), aLink("dangling", "nothing/here"))
	current, err := Unpack(dir, name, opened(blob))
	if err != nil {
		t.Fatal(err)
	}
	for path, mode := range map[string]os.FileMode{"public/index.php": 0o644, "bin/task": 0o755, "public/logo": 0o755} {
		info, err := os.Stat(filepath.Join(current, path))
		if err != nil || info.Mode() != mode {
			t.Errorf("%s: %v, %v; want mode %v", path, info, err, mode)
		}
	}
	if b, _ := os.ReadFile(filepath.Join(current, "public/index.php")); string(b) != "content of ./public/index.php" {
		t.Errorf("the file holds %q", b)
	}
	if info, err := os.Stat(filepath.Join(current, "empty")); err != nil || !info.IsDir() {
		t.Errorf("the empty folder: %v, %v", info, err)
	}
	// It is there now, and not read again.
	again, err := Unpack(dir, name, func() (io.ReadCloser, error) { return nil, errors.New("read again") })
	if err != nil || again != current {
		t.Errorf("again: %q, %v", again, err)
	}
	// Another one takes its place.
	blob, next := pack(t, aFile("other", 0o644))
	if _, err := Unpack(dir, next, opened(blob)); err != nil {
		t.Fatal(err)
	}
	if to, _ := os.Readlink(current); to != next {
		t.Errorf("current leads to %q, want %q", to, next)
	}
}

func TestWhatLeadsOutIsRefused(t *testing.T) {
	for name, entries := range map[string][]tar.Header{
		"a parent":                        {aFile("../evil", 0o644)},
		"a parent within":                 {aFile("a/../../evil", 0o644)},
		"an absolute path":                {aFile("/evil", 0o644)},
		"a link to a parent":              {aLink("a", "../..")},
		"an absolute link":                {aLink("a", "/etc")},
		"a file through a link":           {aLink("a", ".."), aFile("a/evil", 0o644)},
		"a link whose text looks inside":  {aLink("x/y", ".."), aLink("l", "x/y/..")},
		"a link made through a link":      {tar.Header{Typeflag: tar.TypeDir, Name: "d/e"}, aLink("s", "d/e"), aLink("s/l", "../../..")},
		"a hard link":                     {{Typeflag: tar.TypeLink, Name: "a", Linkname: "/etc/passwd"}},
		"a device":                        {{Typeflag: tar.TypeChar, Name: "a"}},
		"the same name twice":             {aFile("a", 0o644), aFile("a", 0o644)},
		"links that lead to each other":   {aLink("a", "b"), aLink("b", "a")},
		"a file where a folder should be": {aFile("a", 0o644), aFile("a/b", 0o644)},
	} {
		t.Run(name, func(t *testing.T) {
			top := t.TempDir()
			dir := filepath.Join(top, "releases")
			blob, hash := pack(t, entries...)
			if _, err := Unpack(dir, hash, opened(blob)); !errors.Is(err, ErrUnfit) {
				t.Errorf("got %v, want it refused as unfit", err)
			}
			nothingIn(t, dir)
			if _, err := os.Lstat(filepath.Join(top, "evil")); err == nil {
				t.Error("a file was written outside")
			}
		})
	}
}

func TestWhatIsDamagedIsRefused(t *testing.T) {
	blob, name := pack(t, aFile("a", 0o644))
	text := []byte("no archive at all")
	sum := sha256.Sum256(text)
	broken := errors.New("connection lost")
	for what, c := range map[string]struct {
		name  string
		open  func() (io.ReadCloser, error)
		want  string
		unfit bool
	}{
		"other bytes":   {strings.Repeat("0", 64), opened(blob), "damaged", false},
		"half of it":    {name, opened(blob[:len(blob)/2]), "damaged", false},
		"no connection": {name, func() (io.ReadCloser, error) { return nil, broken }, "connection lost", false},
		"broke off": {name, func() (io.ReadCloser, error) {
			return io.NopCloser(io.MultiReader(bytes.NewReader(blob[:10]), failing{broken})), nil
		}, "connection lost", false},
		"no archive": {hex.EncodeToString(sum[:]), opened(text), "no gzipped archive", true},
		"no hash":    {"../../etc", opened(blob), "no SHA-256", false},
	} {
		dir := filepath.Join(t.TempDir(), "releases")
		_, err := Unpack(dir, c.name, c.open)
		if err == nil || !strings.Contains(err.Error(), c.want) || errors.Is(err, ErrUnfit) != c.unfit {
			t.Errorf("%s: %v; want %q, unfit %v", what, err, c.want, c.unfit)
		}
		nothingIn(t, dir)
	}
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

// nothingIn fails if something half-made is left.
func nothingIn(t *testing.T, dir string) {
	t.Helper()
	entries, _ := os.ReadDir(dir)
	for _, e := range entries {
		t.Errorf("%s is left behind", e.Name())
	}
}
