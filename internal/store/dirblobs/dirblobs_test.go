package dirblobs_test

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/farmhand/terraform-provider-farmhand/internal/store"
	"github.com/farmhand/terraform-provider-farmhand/internal/store/dirblobs"
	"github.com/farmhand/terraform-provider-farmhand/internal/store/storetest"
)

func TestContract(t *testing.T) {
	storetest.RunBlobs(t, func(t *testing.T) (write, read store.Blobs) {
		dir := filepath.Join(t.TempDir(), "blobs")
		t.Cleanup(func() {
			for _, name := range files(t, dir) {
				if !store.IsBlobName(name) {
					t.Errorf("%s was left behind", name)
				}
			}
		})
		return open(t, dir), open(t, dir)
	})
}

func open(t *testing.T, dir string) *dirblobs.Blobs {
	t.Helper()
	b, err := dirblobs.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func put(t *testing.T, b *dirblobs.Blobs, content string) string {
	t.Helper()
	name, _, err := b.PutBlob(t.Context(), strings.NewReader(content))
	if err != nil {
		t.Fatal(err)
	}
	return name
}

func read(t *testing.T, b *dirblobs.Blobs, name string) (string, error) {
	t.Helper()
	r, err := b.OpenBlob(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	content, err := io.ReadAll(r)
	return string(content), err
}

func files(t *testing.T, dir string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

func TestDamageIsNoticedAndMended(t *testing.T) {
	dir := t.TempDir()
	b := open(t, dir)
	name := put(t, b, "content")
	for damage, content := range map[string]string{"changed": "CONTENT", "cut off": "cont", "longer": "content and more", "empty": ""} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := read(t, b, name); !errors.Is(err, store.ErrDamaged) || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: got error %v, want ErrDamaged with the blob's name", damage, err)
		}
	}
	put(t, b, "content")
	if got, err := read(t, b, name); err != nil || got != "content" {
		t.Errorf("after storing it again: got %q and error %v", got, err)
	}
}

func TestFilesArePrivate(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "blobs")
	name := put(t, open(t, dir), "content")
	for file, want := range map[string]os.FileMode{dir: os.ModeDir | 0o700, filepath.Join(dir, name): 0o600} {
		info, err := os.Stat(file)
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode() != want {
			t.Errorf("%s has mode %v, want %v", file, info.Mode(), want)
		}
	}
}

func TestOpenRemovesWhatCrashedUploadsLeft(t *testing.T) {
	dir := t.TempDir()
	name := put(t, open(t, dir), "content")
	old := time.Now().Add(-25 * time.Hour)
	for file, at := range map[string]time.Time{".upload-old": old, ".upload-now": time.Now(), "README": old, name: old} {
		path := filepath.Join(dir, file)
		if file != name {
			if err := os.WriteFile(path, nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.Chtimes(path, at, at); err != nil {
			t.Fatal(err)
		}
	}
	open(t, dir)
	got := strings.Join(files(t, dir), " ")
	if want := ".upload-now " + name + " README"; got != want && got != ".upload-now README "+name {
		t.Errorf("there is %s, want %s", got, want)
	}
}

func TestPutEndsWithItsContext(t *testing.T) {
	dir := t.TempDir()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := open(t, dir).PutBlob(ctx, strings.NewReader("content")); !errors.Is(err, context.Canceled) {
		t.Errorf("got error %v, want context.Canceled", err)
	}
	if got := files(t, dir); len(got) != 0 {
		t.Errorf("there is %q left", got)
	}
}

func TestFolderGone(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "blobs")
	b := open(t, dir)
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	_, _, err := b.PutBlob(t.Context(), strings.NewReader("content"))
	if err == nil || !strings.Contains(err.Error(), dir) {
		t.Errorf("got error %v, want one that names %s", err, dir)
	}
}
