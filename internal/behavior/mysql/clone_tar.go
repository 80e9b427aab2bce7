package mysql

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// tarWriter writes a folder that does not change as tar.
type tarWriter struct{ *tar.Writer }

func newTarWriter(w io.Writer) tarWriter { return tarWriter{tar.NewWriter(w)} }

// alive sends an entry that means nothing: who waits for the first file is to see that it will come.
func (t tarWriter) alive() error {
	return t.WriteHeader(&tar.Header{Typeflag: tar.TypeXGlobalHeader, Name: "farmhand", PAXRecords: map[string]string{"comment": "copying"}})
}

// folder writes what is in dir, and the end.
func (t tarWriter) folder(ctx context.Context, dir string) error {
	buffer := make([]byte, chunk)
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || path == dir {
			return err
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		if e.IsDir() {
			return t.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: name + "/", Mode: 0o750})
		}
		if !e.Type().IsRegular() {
			return fmt.Errorf("%s is no file", path)
		}
		if err := t.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o640, Size: info.Size(), Format: tar.FormatPAX}); err != nil {
			return err
		}
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		defer f.Close()
		_, err = io.CopyBuffer(struct{ io.Writer }{t}, struct{ io.Reader }{f}, buffer)
		return err
	})
	if err != nil {
		return fmt.Errorf("sending a copy of the data: %w", err)
	}
	return t.Close()
}

// unpackTar makes files and folders of what a tarWriter wrote, in dir and on the disk when it returns.
func unpackTar(dir string, from io.Reader) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	buffer := make([]byte, chunk)
	for t := tar.NewReader(from); ; {
		h, err := t.Next()
		if err == io.EOF {
			_, err := io.Copy(io.Discard, from) // what fills the last block
			return err
		}
		if err != nil {
			return err
		}
		switch h.Typeflag {
		case tar.TypeXGlobalHeader:
		case tar.TypeDir:
			if err := root.Mkdir(filepath.Clean(h.Name), 0o750); err != nil {
				return err
			}
		case tar.TypeReg:
			if err := unpackFile(root, h.Name, t, buffer); err != nil {
				return err
			}
		default:
			return fmt.Errorf("%q is neither a file nor a folder", h.Name)
		}
	}
}

func unpackFile(root *os.Root, name string, from io.Reader, buffer []byte) error {
	f, err := root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o640)
	if err != nil {
		return err
	}
	_, err = io.CopyBuffer(struct{ io.Writer }{f}, struct{ io.Reader }{from}, buffer)
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}
