package storetest

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"testing/iotest"

	"github.com/farmhand/terraform-provider-farmhand/internal/store"
)

// RunBlobs runs the contract of store.Blobs. open returns two ways to the same empty blobs, which close with the test:
// one to write and one to read, for implementations that only read.
func RunBlobs(t *testing.T, open func(t *testing.T) (write, read store.Blobs)) {
	for _, test := range []struct {
		name string
		run  func(t *testing.T, write, read store.Blobs)
	}{
		{"what is put is read", blobRoundTrip},
		{"the same bytes twice are one blob", blobTwice},
		{"an unknown blob is not found", blobUnknown},
		{"a source that fails leaves nothing", blobBrokenSource},
		{"a reader may stop early", blobStopEarly},
		{"many read at once", blobConcurrent},
	} {
		t.Run(test.name, func(t *testing.T) {
			write, read := open(t)
			test.run(t, write, read)
		})
	}
}

func putBlob(t *testing.T, b store.Blobs, content []byte) string {
	t.Helper()
	name, size, err := b.PutBlob(testContext(t), bytes.NewReader(content))
	if err != nil {
		t.Fatalf("put: %v", err)
	}
	sum := sha256.Sum256(content)
	if want := hex.EncodeToString(sum[:]); name != want || size != int64(len(content)) {
		t.Fatalf("put says %s of %d bytes, want %s of %d", name, size, want, len(content))
	}
	return name
}

func readBlob(t *testing.T, b store.Blobs, name string) ([]byte, error) {
	r, err := b.OpenBlob(testContext(t), name)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return io.ReadAll(r)
}

// content is the same for the same size, and does not repeat itself.
func content(size int) []byte {
	b := make([]byte, size)
	_, _ = rand.NewChaCha8([32]byte{1}).Read(b)
	return b
}

func blobRoundTrip(t *testing.T, write, read store.Blobs) {
	for _, size := range []int{0, 1, 1000, 64 << 10, 3<<20 + 1} {
		want := content(size)
		got, err := readBlob(t, read, putBlob(t, write, want))
		if err != nil || !bytes.Equal(got, want) {
			t.Fatalf("blob of %d bytes: got %d bytes, the same: %v, error %v", size, len(got), bytes.Equal(got, want), err)
		}
	}
}

func blobTwice(t *testing.T, write, read store.Blobs) {
	name := putBlob(t, write, content(1000))
	putBlob(t, write, content(1000))
	if err := write.DeleteBlob(t.Context(), name); err != nil {
		t.Fatalf("delete: %v", err)
	}
	_, err := readBlob(t, read, name)
	wantError(t, "read of a deleted blob", err, store.ErrNotFound)
	if err := write.DeleteBlob(t.Context(), name); err != nil {
		t.Fatalf("delete of what is deleted: %v", err)
	}
}

func blobUnknown(t *testing.T, write, read store.Blobs) {
	known := putBlob(t, write, content(10))
	for _, name := range []string{strings.Repeat("0", 64), strings.ToUpper(known), known[:63], known + "0", "", "..", "../" + known, "/etc/passwd"} {
		_, err := readBlob(t, read, name)
		wantError(t, "read of "+name, err, store.ErrNotFound)
		if err := write.DeleteBlob(t.Context(), name); err != nil {
			t.Fatalf("delete of %q: %v", name, err)
		}
	}
	if _, err := readBlob(t, read, known); err != nil {
		t.Fatalf("read of the blob that is there: %v", err)
	}
}

func blobBrokenSource(t *testing.T, write, read store.Blobs) {
	broken := errors.New("the source broke")
	half := content(100 << 10)
	_, _, err := write.PutBlob(t.Context(), io.MultiReader(bytes.NewReader(half), iotest.ErrReader(broken)))
	wantError(t, "put", err, broken)
	sum := sha256.Sum256(half)
	_, err = readBlob(t, read, hex.EncodeToString(sum[:]))
	wantError(t, "read of the half that came", err, store.ErrNotFound)
}

func blobStopEarly(t *testing.T, write, read store.Blobs) {
	name := putBlob(t, write, content(3<<20))
	r, err := read.OpenBlob(testContext(t), name)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(r, make([]byte, 10)); err != nil {
		t.Fatalf("reading the first bytes: %v", err)
	}
	if err := r.Close(); err != nil {
		t.Fatalf("close: %v", err)
	}
}

func blobConcurrent(t *testing.T, write, read store.Blobs) {
	want := content(300 << 10)
	name := putBlob(t, write, want)
	var wg sync.WaitGroup
	for range 6 {
		wg.Go(func() {
			got, err := readBlob(t, read, name)
			if err != nil || !bytes.Equal(got, want) {
				t.Errorf("got %d of %d bytes, error %v", len(got), len(want), err)
			}
		})
		wg.Go(func() {
			if _, _, err := write.PutBlob(t.Context(), bytes.NewReader(want)); err != nil {
				t.Errorf("put: %v", err)
			}
		})
	}
	wg.Wait()
}
