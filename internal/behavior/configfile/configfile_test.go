package configfile

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// program reads its file when it is told to, and refuses what it does not understand.
type program struct {
	path    string
	inForce string
	reloads int
	refuse  string // content that passes its checker and fails at the reload
}

func (p *program) test(_ context.Context, path string) error {
	b, err := os.ReadFile(path)
	if err == nil && strings.Contains(string(b), "syntax error") {
		err = errors.New("line 1: syntax error")
	}
	return err
}

func (p *program) reload(context.Context) error {
	p.reloads++
	b, err := os.ReadFile(p.path)
	if err != nil {
		return err
	}
	if string(b) == p.refuse {
		return errors.New("port taken")
	}
	p.inForce = string(b)
	return nil
}

func TestReplace(t *testing.T) {
	p := &program{path: filepath.Join(t.TempDir(), "etc/program.conf"), refuse: "port 80"}
	f := File{Path: p.path, Mode: 0o600, Test: p.test}
	if err := f.Write(t.Context(), []byte("one")); err != nil {
		t.Fatal(err)
	}
	p.inForce = "one"
	for _, step := range []struct {
		content, wantErr, inForce string
		reloads                   int
	}{
		{"one", "", "one", 0},                      // in force already
		{"two", "", "two", 1},                      // taken over
		{"syntax error", "syntax error", "two", 1}, // kept out by the test
		{"port 80", "is back in force", "two", 3},  // kept out by the reload, which is undone by another
		{"three", "", "three", 4},                  // nothing is left of the failures
	} {
		err := f.Replace(t.Context(), []byte(step.content), p.reload)
		if (err == nil) != (step.wantErr == "") || err != nil && !strings.Contains(err.Error(), step.wantErr) {
			t.Errorf("%q: error %v, want %q", step.content, err, step.wantErr)
		}
		on, _ := os.ReadFile(p.path)
		if p.inForce != step.inForce || string(on) != step.inForce || p.reloads != step.reloads {
			t.Errorf("%q: in force is %q, in the file %q, after %d reloads; want %q after %d",
				step.content, p.inForce, on, p.reloads, step.inForce, step.reloads)
		}
	}
	if info, err := os.Stat(p.path); err != nil || info.Mode() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if _, err := os.Stat(p.path + ".new"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a scratch file is left: %v", err)
	}
}
