package gateway

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/farmhand/terraform-provider-farmhand/internal/store"
	"github.com/farmhand/terraform-provider-farmhand/internal/store/dirblobs"
	"github.com/farmhand/terraform-provider-farmhand/internal/store/storetest"
)

func TestBlobContract(t *testing.T) {
	storetest.RunBlobs(t, func(t *testing.T) (write, read store.Blobs) {
		f := newFarm(t, Options{Policy: Unrestricted})
		f.start(t)
		return f.blobs, f.client(t, "web-1")
	})
}

// breaking breaks each transfer after some bytes, as often as told.
type breaking struct {
	http.Handler
	transfers atomic.Int32 // to break
	ranges    []string     // that were asked for
}

func (b *breaking) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	b.ranges = append(b.ranges, r.Header.Get("Range"))
	if b.transfers.Add(-1) >= 0 {
		w = &cut{ResponseWriter: w, left: 100_000}
	}
	b.Handler.ServeHTTP(w, r)
}

type cut struct {
	http.ResponseWriter
	left int
}

func (c *cut) Write(p []byte) (int, error) {
	if len(p) <= c.left {
		c.left -= len(p)
		return c.ResponseWriter.Write(p)
	}
	_, _ = c.ResponseWriter.Write(p[:c.left])
	_ = http.NewResponseController(c.ResponseWriter).Flush()
	panic(http.ErrAbortHandler)
}

func TestBlobGoesOnWhereItBroke(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, n := newFarm(t, Options{Policy: Unrestricted}), new(network)
		want := make([]byte, 350_000)
		_, _ = rand.NewChaCha8([32]byte{}).Read(want)
		name, _, err := f.blobs.PutBlob(t.Context(), bytes.NewReader(want))
		if err != nil {
			t.Fatal(err)
		}
		b := &breaking{Handler: f.server}
		b.transfers.Store(2)
		n.Store(newPipes())
		h := &http.Server{Handler: b}
		go func() { _ = h.Serve(n.Load()) }()
		defer h.Close()
		r, err := n.client(t).OpenBlob(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		got, err := io.ReadAll(r)
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("got %d of %d bytes, error %v", len(got), len(want), err)
		}
		if wantRanges := []string{"", "bytes=100000-", "bytes=200000-"}; len(b.ranges) != 3 || b.ranges[1] != wantRanges[1] || b.ranges[2] != wantRanges[2] {
			t.Errorf("it asked for %q, want %q", b.ranges, wantRanges)
		}
	})
}

func TestBlobGivesUpWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, n := newFarm(t, Options{Policy: Unrestricted}), new(network)
		name, _, err := f.blobs.PutBlob(t.Context(), bytes.NewReader(make([]byte, 350_000)))
		if err != nil {
			t.Fatal(err)
		}
		b := &breaking{Handler: f.server}
		b.transfers.Store(1)
		n.Store(newPipes())
		h := &http.Server{Handler: b}
		go func() { _ = h.Serve(n.Load()) }()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		r, err := n.client(t).OpenBlob(ctx, name)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		if _, err := io.ReadFull(r, make([]byte, 100_000)); err != nil {
			t.Fatalf("the part that came: %v", err)
		}
		h.Close()
		_, err = io.ReadAll(r)
		if !errors.Is(err, store.ErrUnavailable) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got error %v, want ErrUnavailable and DeadlineExceeded", err)
		}
	})
}

// flaky is a disk that fails in the middle of a blob, once.
type flaky struct {
	store.Blobs
	failed atomic.Bool
}

func (f *flaky) OpenBlob(ctx context.Context, name string) (io.ReadCloser, error) {
	r, err := f.Blobs.OpenBlob(ctx, name)
	if err != nil || f.failed.Swap(true) {
		return r, err
	}
	half := io.MultiReader(io.LimitReader(r, 3*blobPiece+10), iotest.ErrReader(errors.New("input/output error")))
	return struct {
		io.Reader
		io.Closer
	}{half, r}, nil
}

// The server cannot take its "200 OK" back; the client is to see that this was not all, and not to call it damage.
func TestBlobWhoseSourceFails(t *testing.T) {
	f := newFarm(t, Options{Policy: Unrestricted})
	f.server = NewServer(f.store, &flaky{Blobs: f.blobs}, "lamp", f.server.opts)
	f.start(t)
	want := make([]byte, 6*blobPiece)
	_, _ = rand.NewChaCha8([32]byte{}).Read(want)
	name, _, err := f.blobs.PutBlob(t.Context(), bytes.NewReader(want))
	if err != nil {
		t.Fatal(err)
	}
	r, err := f.client(t, "web-1").OpenBlob(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if got, err := io.ReadAll(r); err != nil || !bytes.Equal(got, want) {
		t.Errorf("got %d of %d bytes, error %v", len(got), len(want), err)
	}
}

// Bytes that changed on their way are noticed at their end.
func TestBlobIsCheckedByTheClient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := new(network)
		n.Store(newPipes())
		h := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = w.Write([]byte("other bytes")) })}
		go func() { _ = h.Serve(n.Load()) }()
		defer h.Close()
		r, err := n.client(t).OpenBlob(t.Context(), HashToken("bytes")) // a SHA-256 like any other
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		if _, err := io.ReadAll(r); !errors.Is(err, store.ErrDamaged) {
			t.Errorf("got error %v, want ErrDamaged", err)
		}
	})
}

// Whether the damage is met before the first byte is sent or long after, the reader learns that it is damage.
func TestDamagedBlob(t *testing.T) {
	for name, size := range map[string]int{"small": 1000, "large": 5 * blobPiece} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			blobs, err := dirblobs.Open(dir)
			if err != nil {
				t.Fatal(err)
			}
			f := newFarm(t, Options{Policy: Unrestricted})
			f.server = NewServer(f.store, blobs, "lamp", f.server.opts)
			f.start(t)
			name, _, err := blobs.PutBlob(t.Context(), bytes.NewReader(make([]byte, size)))
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(dir, name), make([]byte, size-1), 0o600); err != nil {
				t.Fatal(err)
			}
			r, err := f.client(t, "web-1").OpenBlob(t.Context(), name)
			if err == nil {
				_, err = io.ReadAll(r)
				r.Close()
			}
			if !errors.Is(err, store.ErrDamaged) {
				t.Errorf("got error %v, want ErrDamaged", err)
			}
		})
	}
}
