// Package backuptest is the contract of backup.Target as tests.
package backuptest

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"testing/iotest"

	"github.com/farmhand/terraform-provider-farmhand/internal/backup"
)

// Run runs the contract against targets that open makes, each empty.
func Run(t *testing.T, open func(t *testing.T) backup.Target) {
	put := func(t *testing.T, target backup.Target, name, text string) {
		t.Helper()
		n, err := target.Put(t.Context(), name, strings.NewReader(text))
		if err != nil || n != int64(len(text)) {
			t.Fatalf("Put %s: %d, %v", name, n, err)
		}
	}
	get := func(t *testing.T, target backup.Target, name string) string {
		t.Helper()
		r, err := target.Get(t.Context(), name)
		if err != nil {
			t.Fatalf("Get %s: %v", name, err)
		}
		defer r.Close()
		b, err := io.ReadAll(r)
		if err != nil {
			t.Fatalf("reading %s: %v", name, err)
		}
		return string(b)
	}

	t.Run("what is put is got", func(t *testing.T) {
		target := open(t)
		for _, text := range []string{"", "a", strings.Repeat("long ", 1<<16)} {
			put(t, target, "shop/mysql/x", text)
			if got := get(t, target, "shop/mysql/x"); got != text {
				t.Errorf("%d bytes became %d", len(text), len(got))
			}
		}
	})
	t.Run("large, of unknown length", func(t *testing.T) {
		target := open(t)
		b := make([]byte, 18<<20) // more than three parts of an upload
		_, _ = rand.Read(b)
		if _, err := target.Put(t.Context(), "large", io.MultiReader(bytes.NewReader(b[:5]), bytes.NewReader(b[5:]))); err != nil {
			t.Fatal(err)
		}
		if got := get(t, target, "large"); got != string(b) {
			t.Error("other bytes came back")
		}
	})
	t.Run("from an offset", func(t *testing.T) {
		target := open(t)
		put(t, target, "x", "0123456789")
		for from, want := range map[int64]string{0: "0123456789", 4: "456789", 9: "9", 10: "", 11: ""} {
			r, err := target.GetFrom(t.Context(), "x", from)
			if err != nil {
				t.Errorf("from %d: %v", from, err)
				continue
			}
			got, err := io.ReadAll(r)
			r.Close()
			if err != nil || string(got) != want {
				t.Errorf("from %d: %q, %v", from, got, err)
			}
		}
		if _, err := target.GetFrom(t.Context(), "no/such", 4); !errors.Is(err, backup.ErrNotFound) {
			t.Errorf("of what there is not: %v", err)
		}
	})
	t.Run("nothing half-made", func(t *testing.T) {
		target := open(t)
		put(t, target, "kept", "before")
		broken := errors.New("the tool died")
		for _, size := range []int{0, 10, 12 << 20} {
			r := io.MultiReader(io.LimitReader(rand.Reader, int64(size)), iotest.ErrReader(broken))
			if _, err := target.Put(t.Context(), "kept", r); !errors.Is(err, broken) {
				t.Errorf("after %d bytes: %v", size, err)
			}
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := target.Put(ctx, "cancelled", strings.NewReader("x")); err == nil {
			t.Error("stored under a context that had ended")
		}
		if got := get(t, target, "kept"); got != "before" {
			t.Errorf("kept holds %.40q", got)
		}
		objects, err := target.List(t.Context(), "")
		if err != nil || len(objects) != 1 {
			t.Errorf("left: %v, %v", objects, err)
		}
	})
	t.Run("absent", func(t *testing.T) {
		target := open(t)
		if _, err := target.Get(t.Context(), "no/such"); !errors.Is(err, backup.ErrNotFound) {
			t.Errorf("Get: %v", err)
		}
		if err := target.Delete(t.Context(), "no/such"); err != nil {
			t.Errorf("Delete: %v", err)
		}
		if objects, err := target.List(t.Context(), "no"); err != nil || len(objects) != 0 {
			t.Errorf("List: %v, %v", objects, err)
		}
	})
	t.Run("new once", func(t *testing.T) {
		target := open(t)
		var won sync.Map
		var all sync.WaitGroup
		for i := range 8 {
			all.Go(func() {
				err := target.PutNew(t.Context(), "owner", fmt.Appendf(nil, "%d", i))
				if err == nil {
					won.Store(i, true)
				} else if !errors.Is(err, backup.ErrExists) {
					t.Errorf("PutNew: %v", err)
				}
			})
		}
		all.Wait()
		n := 0
		won.Range(func(k, _ any) bool {
			n++
			if got := get(t, target, "owner"); got != fmt.Sprint(k) {
				t.Errorf("%v won and %s is stored", k, got)
			}
			return true
		})
		if n != 1 {
			t.Errorf("%d of 8 were first", n)
		}
	})
	t.Run("list", func(t *testing.T) {
		target := open(t)
		names := []string{"a/1", "a/2/x", "a/2/y", "ab", "b"}
		for _, n := range names {
			put(t, target, n, n)
		}
		for prefix, want := range map[string]string{"": "a/1 a/2/x a/2/y ab b", "a/": "a/1 a/2/x a/2/y", "a": "a/1 a/2/x a/2/y ab", "a/2/": "a/2/x a/2/y", "c": ""} {
			objects, err := target.List(t.Context(), prefix)
			var got []string
			for _, o := range objects {
				got = append(got, o.Name)
				if o.Size != int64(len(o.Name)) || o.At.IsZero() {
					t.Errorf("%+v", o)
				}
			}
			if err != nil || strings.Join(got, " ") != want {
				t.Errorf("List %q: %v, %v", prefix, got, err)
			}
		}
		if err := target.Delete(t.Context(), "a/2/x"); err != nil {
			t.Fatal(err)
		}
		if objects, _ := target.List(t.Context(), "a/2/"); len(objects) != 1 {
			t.Errorf("after a delete: %v", objects)
		}
	})
	t.Run("bad names", func(t *testing.T) {
		target := open(t)
		for _, name := range []string{"", "/a", "a//b", "../a", "a/../b", "a b", "ä", ".hidden"} {
			if _, err := target.Put(t.Context(), name, strings.NewReader("x")); err == nil {
				t.Errorf("Put %q was taken", name)
			}
		}
	})
}
