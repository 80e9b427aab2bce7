package exporter

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/prometheus/common/expfmt"
)

const (
	// scrapesAtOnce bounds them: each holds a whole answer in memory.
	scrapesAtOnce = 4
	// writePatience holds a reading and the sending of its answer over a slow line.
	writePatience = 30 * time.Second
	readTimeout   = 5 * time.Second
	idleTimeout   = 3 * time.Minute // a scrape each minute keeps its connection
	// maxHeader is what a scraper's request may have before its body, which is not read.
	maxHeader = 16 << 10
)

// Write prints the collector's metrics once, in Prometheus' text format; nothing of a store that cannot be read.
func Write(w io.Writer, c *Collector) error {
	registry := prometheus.NewRegistry()
	if err := registry.Register(c); err != nil {
		return err
	}
	families, err := registry.Gather()
	if err = errors.Join(err, c.failed()); err != nil {
		return err
	}
	e := expfmt.NewEncoder(w, expfmt.NewFormat(expfmt.TypeTextPlain))
	for _, f := range families {
		if err := e.Encode(f); err != nil {
			return err
		}
	}
	return nil
}

// Serve answers GET /metrics and GET /healthz on l until ctx ends. healthy says why the sidecar does not do its work, nil if it
// does, and is asked for each /healthz.
func Serve(ctx context.Context, l net.Listener, c *Collector, healthy func() error, log *slog.Logger) error {
	handler, err := Handler(c, healthy, log)
	if err != nil {
		return err
	}
	server := &http.Server{Handler: handler, ReadHeaderTimeout: readTimeout, ReadTimeout: readTimeout, WriteTimeout: writePatience,
		IdleTimeout: idleTimeout, MaxHeaderBytes: maxHeader, ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug)}
	stop := context.AfterFunc(ctx, func() { _ = server.Close() })
	defer stop()
	if err := server.Serve(l); ctx.Err() == nil {
		return fmt.Errorf("serving metrics on %s: %w", l.Addr(), err)
	}
	return nil
}

// Handler is what Serve serves.
func Handler(c *Collector, healthy func() error, log *slog.Logger) (http.Handler, error) {
	registry := prometheus.NewRegistry()
	if err := registry.Register(c); err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelWarn), MaxRequestsInFlight: scrapesAtOnce,
	}))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		if err := healthy(); err != nil {
			w.WriteHeader(http.StatusServiceUnavailable)
			fmt.Fprintln(w, err)
			return
		}
		fmt.Fprintln(w, "ok")
	})
	return mux, nil
}
