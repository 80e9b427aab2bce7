package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/farmhand/terraform-provider-farmhand/internal/daemon"
	"github.com/farmhand/terraform-provider-farmhand/internal/e2e/live"
)

// farm is the measured farm: the demo's, under another name.
type farm struct {
	*live.Farm
	engine *live.Engine
	record *live.Record
	url    string
	dir    string        // everything of this run
	served time.Duration // from the start to the first page
}

// apply does what `make demo` does up to its first page, and takes the time.
func apply(ctx context.Context) (f *farm, err error) {
	project, err := live.Project()
	if err != nil {
		return nil, err
	}
	began := time.Now()
	setup := exec.CommandContext(ctx, filepath.Join(project, "scripts/setup.sh"))
	setup.Stdout, setup.Stderr = os.Stderr, os.Stderr
	if err := setup.Run(); err != nil {
		return nil, fmt.Errorf("setting up: %w", err)
	}
	dir, err := os.MkdirTemp("", "fh-bench-")
	if err != nil {
		return nil, err
	}
	f = &farm{dir: dir, Farm: &live.Farm{
		Name: "bench", Subnet: "10.202.99.0/27", Platform: "docker",
		StateDir: filepath.Join(dir, "state"), Dir: filepath.Join(dir, "tf"), Bin: filepath.Join(dir, "bin"),
	}}
	defer func() {
		if err != nil {
			err = errors.Join(err, f.close(context.WithoutCancel(ctx)))
		}
	}()
	if err := os.Mkdir(f.Dir, 0o700); err != nil {
		return nil, err
	}
	if f.engine, err = live.OpenEngine(ctx); err != nil {
		return nil, fmt.Errorf("no container engine: %w", err)
	}
	if f.CLI, err = live.FindCLI(); err != nil {
		return nil, err
	}
	if err := live.Build(ctx, f.Bin); err != nil {
		return nil, err
	}
	if err := f.UseExample(); err != nil {
		return nil, err
	}
	say("applying examples/lamp")
	if _, err := f.Apply(ctx); err != nil {
		return nil, err
	}
	outputs, err := f.Outputs(ctx)
	if err != nil {
		return nil, err
	}
	f.url = outputs["url"]
	err = within(ctx, time.Minute, "the first page", func(ctx context.Context) (bool, string) {
		page, err := live.Get(ctx, f.url)
		return err == nil && page.Status == 200, fmt.Sprint(page.Status, err)
	})
	if err != nil {
		return nil, err
	}
	f.served = time.Since(began)
	f.record, err = f.Open(ctx)
	return f, err
}

// close ends the farm and its sidecar.
func (f *farm) close(ctx context.Context) error {
	say("destroying it")
	var failures error
	if f.record != nil {
		failures = errors.Join(failures, f.record.Close())
	}
	if f.CLI != "" {
		_, err := f.Destroy(ctx)
		failures = errors.Join(failures, err)
	}
	if err := daemon.Stop(ctx, f.StateDir); err != nil && !errors.Is(err, daemon.ErrNotRunning) {
		failures = errors.Join(failures, err)
	}
	if f.engine != nil {
		failures = errors.Join(failures, f.engine.Clear(ctx, f.Name), f.engine.Close())
	}
	return errors.Join(failures, os.RemoveAll(f.dir))
}

func (f *farm) firstPage() row {
	return row{"From nothing to the first page", seconds(f.served), "≤ 60 s",
		"set-up found complete, build with a warm cache, `terraform apply`, first page through HAProxy"}
}

func within(ctx context.Context, patience time.Duration, what string, ask func(context.Context) (bool, string)) error {
	ctx, cancel := context.WithTimeoutCause(ctx, patience, fmt.Errorf("not within %s: %s", patience, what))
	defer cancel()
	return live.Until(ctx, 25*time.Millisecond, ask)
}

func say(format string, args ...any) { fmt.Fprintf(os.Stderr, "bench: "+format+"\n", args...) }
