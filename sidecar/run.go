package sidecar

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"runtime/debug"
	"sync/atomic"

	"github.com/spf13/cobra"

	"github.com/farmhand/terraform-provider-farmhand/internal/backup/targets"
	"github.com/farmhand/terraform-provider-farmhand/internal/controller"
	"github.com/farmhand/terraform-provider-farmhand/internal/daemon"
	"github.com/farmhand/terraform-provider-farmhand/internal/deploy/executable"
	"github.com/farmhand/terraform-provider-farmhand/internal/dns"
	"github.com/farmhand/terraform-provider-farmhand/internal/dns/publishers"
	"github.com/farmhand/terraform-provider-farmhand/internal/exporter"
	metrics "github.com/farmhand/terraform-provider-farmhand/internal/metric/source/aws"
	"github.com/farmhand/terraform-provider-farmhand/internal/platform/platforms"
	"github.com/farmhand/terraform-provider-farmhand/internal/spec"
	"github.com/farmhand/terraform-provider-farmhand/internal/state"
	"github.com/farmhand/terraform-provider-farmhand/internal/store"
	"github.com/farmhand/terraform-provider-farmhand/internal/store/dirblobs"
	"github.com/farmhand/terraform-provider-farmhand/internal/store/sqlite"
	"github.com/farmhand/terraform-provider-farmhand/internal/store/stores"
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
  farmhand run --state-dir /srv/farmhand --log-level debug
  farmhand run --metrics-listen 127.0.0.1:9641
  farmhand run --store 'dynamodb://farmhand?region=eu-west-1&bucket=my-bucket'`,
		Args: cobra.NoArgs,
	}
	id := cmd.Flags().String("sidecar", "", "id of the farmhand_sidecar that this is, for whoever looks into the store")
	group := cmd.Flags().String("log-group", "", "log group of CloudWatch Logs that the log goes to as well; it must be there")
	listen := cmd.Flags().String("metrics-listen", "", "serve Prometheus' GET /metrics, and GET /healthz, at this address, as 127.0.0.1:9641; who reaches it needs no password")
	level := cmd.Flags().String("log-level", "info", "debug, info, warn or error")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		daemon.Isolate()
		var l slog.Level
		if err := l.UnmarshalText([]byte(*level)); err != nil {
			return usage("--log-level %q: write debug, info, warn or error", *level)
		}
		out, closeLog := logTo(cmd.ErrOrStderr(), *group, *id)
		defer closeLog()
		log := slog.New(slog.NewTextHandler(out, &slog.HandlerOptions{Level: l}))
		dir, err := stateDir(cmd)
		if err != nil {
			return err
		}
		if err := spec.CheckMetricsListen(*listen); *listen != "" && err != nil {
			return usage("--metrics-listen: %v", err)
		}
		debug.SetGCPercent(gcPercent)
		debug.SetMemoryLimit(heapTarget)
		return run(cmd.Context(), dir, place{store: storeAddress(cmd), sidecar: *id, metrics: *listen}, version, log)
	}
	return cmd
}

// place is which store a sidecar keeps, and as whom.
type place struct {
	store   string // address; "" for the file in the state directory
	sidecar string // id of its farmhand_sidecar
	metrics string // address to serve them at; "" for none
}

// open opens what the sidecar works with.
func (p place) open(ctx context.Context, dir string) (store.Store, store.Blobs, error) {
	if p.store != "" {
		return stores.Open(ctx, p.store, stores.Options{AWS: cloudConfig})
	}
	s, err := sqlite.Open(ctx, daemon.DatabasePath(dir))
	if err != nil {
		return nil, nil, fmt.Errorf("opening the store: %w", err)
	}
	blobs, err := dirblobs.Open(daemon.BlobsPath(dir))
	if err != nil {
		_ = s.Close()
		return nil, nil, fmt.Errorf("opening the releases: %w", err)
	}
	return s, blobs, nil
}

func run(ctx context.Context, dir string, at place, version string, log *slog.Logger) error {
	own, err := os.Executable()
	if err != nil {
		return fmt.Errorf("finding this executable, beside which the agents' lies: %w", err)
	}
	agent, err := executable.Agent(own)
	if err != nil {
		return err
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
		s, blobs, err := at.open(ctx, dir)
		if err != nil {
			return nil, err
		}
		c, err := controller.New(controller.Options{
			Store: s, Blobs: blobs, Holder: id, AgentBinary: agent, Log: log,
			OpenPlatform: openPlatform(platforms.Deps{AgentBinary: agent, Log: log}),
			OpenBackups:  (&targets.Targets{AWS: cloudConfig}).Open,
			Cloud:        &metrics.Clients{Load: cloudConfigIn},
			OpenPublisher: func(ctx context.Context, t publishers.Target, d publishers.Deps) (dns.Publisher, error) {
				d.AWS = cloudConfig
				return publishers.Open(ctx, t, d)
			},
		})
		if err != nil {
			_ = s.Close()
			return nil, err
		}
		var listener net.Listener
		if at.metrics != "" {
			if listener, err = daemon.ListenMetrics(ctx, at.metrics); err != nil {
				_ = s.Close()
				return nil, fmt.Errorf("--metrics-listen: %w", err)
			}
		}
		running.Store(c)
		return func() error {
			defer s.Close()
			log.Info("sidecar started", "id", id, "version", version, "pid", os.Getpid(), "state_dir", dir)
			if at.store != "" {
				said := make(chan struct{})
				go func() {
					defer close(said)
					sayAlive(ctx, s, state.Alive{Holder: id, Sidecar: at.sidecar, Version: version}, farms, log)
				}()
				defer func() { <-said }()
			}
			if listener != nil {
				defer serveMetrics(ctx, listener, exporter.Options{Store: s, Version: version, Log: log}, c.Healthy)()
			}
			err := c.Run(ctx)
			log.Info("sidecar stopped; instances live on", "id", id)
			return err
		}, nil
	}
	return daemon.Serve(ctx, daemon.ServeOptions{StateDir: dir, Store: at.store, Metrics: at.metrics, Version: version, Farms: farms, Log: log}, prepare)
}

// serveMetrics serves them in the background until ctx ends or stop, which waits, is called. That they cannot be served any
// more is told of and ends nothing else: farms are kept.
func serveMetrics(ctx context.Context, l net.Listener, o exporter.Options, healthy func() error) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		o.Log.Info("metrics are served", "address", l.Addr().String())
		if err := exporter.Serve(ctx, l, exporter.New(o), healthy, o.Log); err != nil {
			o.Log.Error("metrics are served no more; the sidecar goes on", "error", err)
		}
	}()
	return func() {
		cancel()
		<-done
	}
}
