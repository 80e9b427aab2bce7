package sqlproxy

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"
)

const (
	// lookTime is between two looks at the configuration's file: a change of the primary waits for it.
	lookTime = 100 * time.Millisecond
	// stopTime is what statements and transactions under way get at the end.
	stopTime = 5 * time.Second
)

// Run serves as the file at path says until ctx ends. The file is read again when it changes and on SIGHUP; one that cannot
// be read or is refused changes nothing, and is told to log.
func Run(ctx context.Context, path string, log *slog.Logger) error {
	c, err := ReadConfig(path)
	if err != nil {
		return err
	}
	p, err := New(c, log)
	if err != nil {
		return err
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTime)
		defer cancel()
		p.Close(ctx)
	}()
	listen := p.config().Listen
	l, err := net.Listen("tcp", listen)
	if err != nil {
		return fmt.Errorf("serving the database at %s: %w. Is a database or another proxy there?", listen, err)
	}
	if c.Status != "" {
		status, err := listenStatus(c.Status)
		if err != nil {
			l.Close()
			return err
		}
		defer status.Close()
		go p.ServeStatus(status)
	}
	log.Info("serving", "listen", listen, "primary", c.Backends.Primary, "replicas", c.Backends.Replicas)
	served := make(chan error, 1)
	go func() { served <- p.Serve(l) }()
	hup := make(chan os.Signal, 1)
	signal.Notify(hup, syscall.SIGHUP)
	defer signal.Stop(hup)
	look := time.NewTicker(lookTime)
	defer look.Stop()
	seen := stamp(path)
	for {
		select {
		case <-ctx.Done():
			return nil
		case err := <-served:
			return err
		case <-hup:
		case <-look.C:
			now := stamp(path)
			if now == seen {
				continue
			}
			seen = now
		}
		next, err := ReadConfig(path)
		if err == nil {
			err = p.Configure(next)
		}
		if err != nil {
			log.Error("the configuration in force stays", "error", err)
			continue
		}
		log.Info("configured", "term", next.Backends.Term, "primary", next.Backends.Primary, "replicas", next.Backends.Replicas)
	}
}

// stamp tells one version of a file from another: it is replaced, never written in place.
func stamp(path string) (s struct {
	at    time.Time
	size  int64
	inode uint64
}) {
	info, err := os.Stat(path)
	if err != nil {
		return s
	}
	s.at, s.size = info.ModTime(), info.Size()
	if sys, ok := info.Sys().(*syscall.Stat_t); ok {
		s.inode = sys.Ino
	}
	return s
}

func listenStatus(path string) (net.Listener, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, fmt.Errorf("making a place for the proxy's status: %w", err)
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) { // of one that was killed
		return nil, fmt.Errorf("making a place for the proxy's status: %w", err)
	}
	l, err := net.Listen("unix", path)
	if err != nil {
		return nil, fmt.Errorf("telling the proxy's status at %s: %w", path, err)
	}
	return l, nil
}
