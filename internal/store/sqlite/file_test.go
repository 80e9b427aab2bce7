package sqlite_test

import (
	"bytes"
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/farmhand/terraform-provider-farmhand/internal/store"
	"github.com/farmhand/terraform-provider-farmhand/internal/store/sqlite"
)

func TestOpenMakesAPrivateFileAndNothingElse(t *testing.T) {
	for _, name := range []string{"state", "with space", "100%", "a?b=c#d", "it's", "ä"} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), name, name+".db")
			s := open(t, path)
			for file, want := range map[string]os.FileMode{path: 0o600, filepath.Dir(path): os.ModeDir | 0o700} {
				info, err := os.Stat(file)
				if err != nil {
					t.Fatal(err)
				}
				if info.Mode() != want {
					t.Errorf("%s has mode %v, want %v", file, info.Mode(), want)
				}
			}
			if _, err := s.Put(t.Context(), "shop/a", []byte("x")); err != nil {
				t.Fatal(err)
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			if got := files(t, filepath.Dir(path)); len(got) != 1 {
				t.Errorf("the closed store is more than one file: %q", got)
			}
			if _, err := open(t, path).Get(t.Context(), "shop/a"); err != nil {
				t.Errorf("after opening again: %v", err)
			}
		})
	}
}

func TestOpenTogether(t *testing.T) {
	path := filepath.Join(t.TempDir(), "farmhand.db")
	stores := make([]*sqlite.Store, 8)
	var wg sync.WaitGroup
	for i := range stores {
		wg.Go(func() {
			s, err := sqlite.Open(t.Context(), path)
			if err != nil {
				t.Error(err)
				return
			}
			stores[i] = s
			if _, err := s.Put(t.Context(), fmt.Sprintf("shop/%d", i), nil); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	for _, s := range stores {
		if s == nil {
			continue
		}
		if entries, err := s.List(t.Context(), "shop/"); err != nil || len(entries) != len(stores) {
			t.Errorf("a store sees %d of %d entries, error %v: they are not one file", len(entries), len(stores), err)
		}
		s.Close()
	}
}

// What is not a store of this version is refused, and left as it is to the last byte.
func TestOpenRefuses(t *testing.T) {
	for _, test := range []struct {
		name, says string
		make       func(t *testing.T, path string)
	}{
		{"an empty file", "it is empty", func(t *testing.T, path string) { write(t, path, nil) }},
		{"a short file", "too short", func(t *testing.T, path string) { write(t, path, []byte("SQLite format 3\x00")) }},
		{"a text", "no SQLite file", func(t *testing.T, path string) { write(t, path, bytes.Repeat([]byte("hello\n"), 100)) }},
		{"a folder", "no regular file", func(t *testing.T, path string) { _ = os.Mkdir(path, 0o700) }},
		{"another program's SQLite file", "another program's", func(t *testing.T, path string) {
			execute(t, path, "PRAGMA journal_mode = WAL", "CREATE TABLE cookies (a)")
		}},
		{"a store of a newer version", "knows version 1", func(t *testing.T, path string) {
			sample(t, path)
			execute(t, path, "PRAGMA user_version = 2")
		}},
		{"a store of version 0", "damaged", func(t *testing.T, path string) {
			sample(t, path)
			change(t, path, func(b []byte) { binary.BigEndian.PutUint32(b[60:], 0) })
		}},
		{"a store with pages overwritten", "damaged", func(t *testing.T, path string) {
			sample(t, path)
			change(t, path, func(b []byte) {
				for i := 4096; i < len(b)/2; i++ {
					b[i] = byte(i * 7)
				}
			})
		}},
		{"a store cut off", "damaged", func(t *testing.T, path string) {
			sample(t, path)
			if err := os.Truncate(path, 3*4096+100); err != nil {
				t.Fatal(err)
			}
		}},
		{"a store whose first page is gone", "no SQLite file", func(t *testing.T, path string) {
			sample(t, path)
			change(t, path, func(b []byte) { clear(b[:4096]) })
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "farmhand.db")
			test.make(t, path)
			before := contents(t, filepath.Dir(path))
			_, err := sqlite.Open(t.Context(), path)
			if !errors.Is(err, store.ErrIncompatible) {
				t.Fatalf("got error %v, want ErrIncompatible", err)
			}
			for _, part := range []string{path, test.says, "left as it is", ": "} {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("the error does not say %q: %v", part, err)
				}
			}
			after := contents(t, filepath.Dir(path))
			for name, b := range before {
				if !bytes.Equal(b, after[name]) {
					t.Errorf("%s was altered", name)
				}
			}
			if len(before) == 0 {
				t.Error("there is no file to compare")
			}
		})
	}
}

// A store of more than a few megabytes is not searched when it is opened: what is damaged of it is said when it is read.
func TestDamageOfALargeStoreIsSaidWhenItIsRead(t *testing.T) {
	path := filepath.Join(t.TempDir(), "farmhand.db")
	s, err := sqlite.Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 20 {
		if _, err := s.Put(t.Context(), fmt.Sprintf("shop/%02d", i), bytes.Repeat([]byte{1}, 300<<10)); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	change(t, path, func(b []byte) {
		for i := 64 << 10; i < len(b); i++ {
			b[i] = byte(i * 7)
		}
	})
	s, err = sqlite.Open(t.Context(), path)
	if err == nil {
		_, err = s.List(t.Context(), "shop/")
		s.Close()
	}
	if !errors.Is(err, store.ErrIncompatible) || !strings.Contains(err.Error(), "damaged") {
		t.Errorf("got error %v, want ErrIncompatible", err)
	}
}

// A newer farmhand's version may stand in the write-ahead log alone, while that farmhand runs or after it was killed.
func TestOpenRefusesANewerVersionInTheLog(t *testing.T) {
	path := filepath.Join(t.TempDir(), "farmhand.db")
	sample(t, path)
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for _, statement := range []string{"PRAGMA wal_autocheckpoint = 0", "PRAGMA user_version = 2"} {
		if _, err := db.Exec(statement); err != nil {
			t.Fatal(err)
		}
	}
	before := contents(t, filepath.Dir(path))
	if _, err := sqlite.Open(t.Context(), path); !errors.Is(err, store.ErrIncompatible) {
		t.Fatalf("got error %v, want ErrIncompatible", err)
	}
	after := contents(t, filepath.Dir(path))
	for _, name := range []string{"farmhand.db", "farmhand.db-wal"} {
		if len(before[name]) == 0 || !bytes.Equal(before[name], after[name]) {
			t.Errorf("%s was altered", name)
		}
	}
}

func TestOpenSaysWhatIsWrongWithTheFolder(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	write(t, file, nil)
	_, err := sqlite.Open(t.Context(), filepath.Join(file, "farmhand.db"))
	if err == nil || !strings.Contains(err.Error(), file) {
		t.Fatalf("got error %v, want one that names %s", err, file)
	}
}

// sample makes a store of some hundred pages.
func sample(t *testing.T, path string) {
	t.Helper()
	s := open(t, path)
	for i := range 200 {
		if _, err := s.Put(t.Context(), fmt.Sprintf("shop/%d", i), bytes.Repeat([]byte("value"), 400)); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

func execute(t *testing.T, path string, statements ...string) {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for _, statement := range statements {
		if _, err := db.Exec(statement); err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
	}
}

func write(t *testing.T, path string, b []byte) {
	t.Helper()
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

func change(t *testing.T, path string, do func([]byte)) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	do(b)
	write(t, path, b)
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

// contents reads every file of dir; a folder counts as empty.
func contents(t *testing.T, dir string) map[string][]byte {
	t.Helper()
	all := map[string][]byte{}
	for _, name := range files(t, dir) {
		b, err := os.ReadFile(filepath.Join(dir, name))
		if info, statErr := os.Stat(filepath.Join(dir, name)); statErr == nil && info.IsDir() {
			b, err = nil, nil
		}
		if err != nil {
			t.Fatal(err)
		}
		all[name] = b
	}
	return all
}
