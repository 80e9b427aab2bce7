// Package configfile changes a program's configuration file without ever leaving a broken one in force.
//
// A change is written beside the file, tested by the program itself, swapped in by a rename, and taken over by a
// reload; whatever fails, the former file stands and is in force.
package configfile

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// File is one configuration file. Not for concurrent use.
type File struct {
	Path string
	Mode fs.FileMode
	// Test asks the program whether it would take the file at path; nil for a program that cannot tell.
	Test func(ctx context.Context, path string) error
}

// Write tests content and puts it in place, for a program that does not run yet.
func (f File) Write(ctx context.Context, content []byte) error {
	return f.Replace(ctx, content, nil)
}

// Replace tests content, puts it in place and calls reload; content that is in place already is left alone.
// If reload fails, the former content is put back and reload is called again for it.
func (f File) Replace(ctx context.Context, content []byte, reload func(context.Context) error) error {
	former, err := os.ReadFile(f.Path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("reading the configuration in force: %w", err)
	}
	existed := err == nil
	if existed && reload != nil && bytes.Equal(former, content) {
		return nil
	}
	scratch := f.Path + ".new"
	defer os.Remove(scratch) // gone already if all went well
	if err := f.writeScratch(scratch, content); err != nil {
		return fmt.Errorf("writing a configuration: %w", err)
	}
	if f.Test != nil {
		if err := f.Test(ctx, scratch); err != nil {
			return fmt.Errorf("testing a configuration; the former one stays in force: %w", err)
		}
	}
	if err := os.Rename(scratch, f.Path); err != nil {
		return fmt.Errorf("putting a configuration in place: %w", err)
	}
	if reload == nil {
		return nil
	}
	reloadErr := reload(ctx)
	if reloadErr == nil || !existed {
		return reloadErr
	}
	if err := f.writeScratch(scratch, former); err != nil {
		return errors.Join(reloadErr, fmt.Errorf("putting the former configuration back: %w", err))
	}
	if err := os.Rename(scratch, f.Path); err != nil {
		return errors.Join(reloadErr, fmt.Errorf("putting the former configuration back: %w", err))
	}
	if err := reload(context.WithoutCancel(ctx)); err != nil {
		return errors.Join(reloadErr, fmt.Errorf("reloading the former configuration: %w", err))
	}
	return fmt.Errorf("reloading; the former configuration is back in force: %w", reloadErr)
}

// writeScratch gives the file its mode before it has content, since that may be secret.
func (f File) writeScratch(path string, content []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, f.Mode)
	if err != nil {
		return err
	}
	_, err = file.Write(content)
	return errors.Join(err, file.Chmod(f.Mode), file.Close())
}
