package sidecar

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"runtime/debug"
	"sync/atomic"

	"github.com/spf13/cobra"

	"github.com/farmhand/terraform-provider-farmhand/internal/controller"
	"github.com/farmhand/terraform-provider-farmhand/internal/daemon"
	"github.com/farmhand/terraform-provider-farmhand/internal/store/dirblobs"
	"github.com/farmhand/terraform-provider-farmhand/internal/store/sqlite"
)

const (
	// heapTarget is what the sidecar's heap is kept under as long as that costs no more than collecting more often:
	// it shares a machine with what it keeps.
	heapTarget = 32 << 20
	// gcPercent collects at half of Go's usual growth: there is little to collect, and much to leave to the farm.
	gcPercent = 50
)

func newRun(version string) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "run",
		Short: "Keep the farms of a store, in the foreground",
		Long: `Keeps every farm of the state directory's store until it is told to stop (SIGTERM, Ctrl-C, or a newer version
that takes its place). Servers live on when it ends, and the next one adopts them. terraform apply starts it
in the background; by hand it is for a supervisor such as systemd, or for looking on.`,
		Example: `  farmhand run
  farmhand run --state-dir /srv/farmhand --log-level debug`,
		Args: cobra.NoArgs,
	}
	level := cmd.Flags().String("log-level", "info", "debug, info, warn or error")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		daemon.Isolate()
		var l slog.Level
		if err := l.UnmarshalText([]byte(*level)); err != nil {
			return usage("--log-level %q: write debug, info, warn or error", *level)
		}
		log := slog.New(slog.NewTextHandler(cmd.ErrOrStderr(), &slog.HandlerOptions{Level: l}))
		dir, err := stateDir(cmd)
		if err != nil {
			return err
		}
		debug.SetGCPercent(gcPercent)
		debug.SetMemoryLimit(heapTarget)
		return run(cmd.Context(), dir, version, log)
	}
	return cmd
}

func run(ctx context.Context, dir, version string, log *slog.Logger) error {
	executable, err := os.Executable()
	if err != nil {
		return fmt.Errorf("finding this executable, which agents run too: %w", err)
	}
	var running atomic.Pointer[controller.Controller]
	farms := func() []string {
		if c := running.Load(); c != nil {
			return c.Farms()
		}
		return nil
	}
	// The store is opened before the socket answers: whoever starts a sidecar learns of a store that cannot be used.
	prepare := func(ctx context.Context, id string) (func() error, error) {
		s, err := sqlite.Open(ctx, daemon.DatabasePath(dir))
		if err != nil {
			return nil, fmt.Errorf("opening the store: %w", err)
		}
		blobs, err := dirblobs.Open(daemon.BlobsPath(dir))
		if err != nil {
			_ = s.Close()
			return nil, fmt.Errorf("opening the releases: %w", err)
		}
		c, err := controller.New(controller.Options{Store: s, Blobs: blobs, Holder: id, AgentBinary: executable, Log: log})
		if err != nil {
			_ = s.Close()
			return nil, err
		}
		running.Store(c)
		return func() error {
			defer s.Close()
			log.Info("sidecar started", "id", id, "version", version, "pid", os.Getpid(), "state_dir", dir)
			err := c.Run(ctx)
			log.Info("sidecar stopped; instances live on", "id", id)
			return err
		}, nil
	}
	return daemon.Serve(ctx, daemon.ServeOptions{StateDir: dir, Version: version, Farms: farms, Log: log}, prepare)
}
