package measure

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"
)

// apache reads mod_status, once for all who ask in the same round.
type apache struct {
	url string

	mu    sync.Mutex
	at    time.Time
	last  workers
	err   error
	asked float64 // requests made here, which Apache counts too
}

// workers is what mod_status tells.
type workers struct {
	busy, most int
	total      float64 // requests answered since epoch, without ours
	epoch      string  // when Apache was last started or reloaded
}

var errAllBusy = errors.New("Apache takes connections and answers none: all workers are busy")

func (a *apache) read(ctx context.Context, now time.Time) (workers, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !now.Equal(a.at) {
		a.at = now
		a.last, a.err = a.ask(ctx)
	}
	return a.last, a.err
}

func (a *apache) ask(ctx context.Context) (workers, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, a.url, nil)
	if err != nil {
		return workers{}, err
	}
	req.Close = true // a kept connection would hold a worker
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		if ctx.Err() != nil && a.takesConnections() {
			return workers{}, errAllBusy
		}
		var of *url.Error
		if errors.As(err, &of) {
			err = of.Err
		}
		return workers{}, fmt.Errorf("asking Apache for its status: %w", err)
	}
	defer resp.Body.Close()
	w, err := parseStatus(io.LimitReader(resp.Body, 256<<10))
	if err != nil {
		return workers{}, fmt.Errorf("asking Apache for its status: %w (HTTP status %d)", err, resp.StatusCode)
	}
	w.busy = max(0, w.busy-1) // the worker that told us
	w.total -= a.asked
	a.asked++
	return w, nil
}

// takesConnections tells whether the kernel still takes them for Apache. What it was asked before has no answer, so
// no worker was free all that time.
func (a *apache) takesConnections() bool {
	u, err := url.Parse(a.url)
	if err != nil {
		return false
	}
	conn, err := net.DialTimeout("tcp", u.Host, time.Second/4)
	if err != nil {
		return false
	}
	conn.Close()
	return true
}

// parseStatus reads the machine-readable form.
func parseStatus(r io.Reader) (workers, error) {
	var w workers
	found := 0
	for lines := bufio.NewScanner(r); lines.Scan(); {
		name, value, ok := strings.Cut(lines.Text(), ": ")
		if !ok {
			continue
		}
		var err error
		switch name {
		case "BusyWorkers":
			w.busy, err = strconv.Atoi(value)
			found++
		case "Scoreboard":
			w.most = len(value) // a letter for each worker that there may be
			found++
		case "Total Accesses":
			w.total, err = strconv.ParseFloat(value, 64)
			found++
		case "RestartTime":
			w.epoch = value
		}
		if err != nil {
			return workers{}, fmt.Errorf("its %s is %q", name, value)
		}
	}
	if found < 3 || w.most == 0 {
		return workers{}, errors.New("the answer is not that of mod_status with ExtendedStatus")
	}
	return w, nil
}

// busyWorkers measures the share of the workers that Apache may have at most.
type busyWorkers struct{ of *apache }

func (b *busyWorkers) measure(ctx context.Context, now time.Time) (float64, error) {
	w, err := b.of.read(ctx, now)
	if errors.Is(err, errAllBusy) {
		return 1, nil
	}
	if err != nil {
		return 0, err
	}
	return min(1, float64(w.busy)/float64(w.most)), nil
}

// serverRequests measures requests answered per second.
type serverRequests struct {
	of *apache
	counter
}

func (s *serverRequests) measure(ctx context.Context, now time.Time) (float64, error) {
	w, err := s.of.read(ctx, now)
	if err != nil {
		return 0, err
	}
	return s.rate(w.total, now, w.epoch)
}
