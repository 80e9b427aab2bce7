package mysql

import (
	"archive/tar"
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

func TestTar(t *testing.T) {
	from, to := t.TempDir(), t.TempDir()
	big := bytes.Repeat([]byte("page"), 100_000)
	for name, text := range map[string][]byte{"ibdata1": big, "#clone/#view_status": []byte("1"), "app/t.ibd": {}} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(from, name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(from, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var stream bytes.Buffer
	w := newTarWriter(&stream)
	for range 2 {
		before := stream.Len()
		if err := w.alive(); err != nil || stream.Len() == before {
			t.Fatalf("nothing was sent: %v", err)
		}
	}
	if err := w.folder(t.Context(), from); err != nil {
		t.Fatal(err)
	}
	if err := unpackTar(to, bytes.NewReader(stream.Bytes())); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string][]byte{"ibdata1": big, "#clone/#view_status": []byte("1"), "app/t.ibd": {}} {
		if got, err := os.ReadFile(filepath.Join(to, name)); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s: %d bytes, %v; want %d", name, len(got), err, len(want))
		}
	}
	if err := unpackTar(t.TempDir(), bytes.NewReader(stream.Bytes()[:stream.Len()/2])); err == nil {
		t.Error("half a stream was taken for all of it")
	}
}

// Nothing of a stream comes to lie outside its folder.
func TestTarThatLeadsElsewhere(t *testing.T) {
	for name, header := range map[string]tar.Header{
		"above":  {Typeflag: tar.TypeReg, Name: "../x"},
		"at /":   {Typeflag: tar.TypeReg, Name: "/tmp/farmhand-x"},
		"a link": {Typeflag: tar.TypeSymlink, Name: "x", Linkname: "/etc"},
	} {
		var stream bytes.Buffer
		w := tar.NewWriter(&stream)
		if err := w.WriteHeader(&header); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		if err := unpackTar(t.TempDir(), &stream); err == nil {
			t.Errorf("%s was unpacked", name)
		}
	}
}
