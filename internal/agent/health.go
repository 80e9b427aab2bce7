package agent

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"time"

	"github.com/farmhand/terraform-provider-farmhand/internal/spec"
	"github.com/farmhand/terraform-provider-farmhand/internal/state"
)

const (
	// eagerTime is between two rounds until every check has passed once: so long a ready instance goes unnoticed.
	eagerTime = 200 * time.Millisecond
	// checkEvery, checkTime and checkFailures stand in where an assignment says none.
	checkEvery    = 2 * time.Second
	checkTime     = 2 * time.Second
	checkFailures = 2
)

// watchHealth asks all checks in rounds until ctx ends. What is checked and how often follows the assignment.
func (a *agent) watchHealth(ctx context.Context) {
	checks := map[string]state.Check{}
	passed := map[string]bool{}
	for {
		as := a.assigned()
		h := withDefaults(as.Role.HealthCheck)
		probes := a.probes(as)
		results := make([]error, len(probes))
		var round sync.WaitGroup
		for i, p := range probes {
			round.Go(func() {
				ctx, cancel := context.WithTimeoutCause(ctx, h.Timeout.Std(), fmt.Errorf("no answer within %s", h.Timeout))
				defer cancel()
				results[i] = guarded("checking", func() error { return p.ask(ctx) })
				if results[i] != nil && ctx.Err() != nil {
					results[i] = context.Cause(ctx)
				}
			})
		}
		round.Wait()
		if ctx.Err() != nil {
			return
		}
		wait := h.Interval.Std()
		now := make([]state.Check, len(probes))
		for i, p := range probes {
			c, known := checks[p.name]
			if !known {
				c = state.Check{Name: p.name, Since: time.Now()}
			}
			now[i] = judge(c, results[i], h.UnhealthyAfter, time.Now())
			passed[p.name] = passed[p.name] || now[i].OK
			if !passed[p.name] {
				wait = min(wait, eagerTime)
			}
			checks[p.name] = now[i]
		}
		a.tellChecks(now)
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
	}
}

// tellChecks hands the round on; only a change of OK is worth a report of its own.
func (a *agent) tellChecks(now []state.Check) {
	a.mu.Lock()
	before := a.told.checks
	a.told.checks = now
	a.mu.Unlock()
	same := len(before) == len(now)
	for i := range now {
		same = same && before[i].Name == now[i].Name && before[i].OK == now[i].OK
	}
	if !same {
		poke(a.wake)
	}
}

// judge is a check after one more result. It passes from its first success on, and until so many failures in a row.
func judge(c state.Check, err error, unhealthyAfter int, now time.Time) state.Check {
	ok := true
	if err == nil {
		c.Failures, c.Message = 0, ""
	} else {
		c.Failures++
		c.Message = err.Error()
		ok = c.OK && c.Failures < unhealthyAfter
	}
	if ok != c.OK {
		c.OK, c.Since = ok, now
	}
	return c
}

func withDefaults(h spec.HealthCheck) spec.HealthCheck {
	if h.Interval <= 0 {
		h.Interval = spec.Duration(checkEvery)
	}
	if h.Timeout <= 0 {
		h.Timeout = spec.Duration(checkTime)
	}
	if h.UnhealthyAfter <= 0 {
		h.UnhealthyAfter = checkFailures
	}
	return h
}

type probe struct {
	name string
	ask  func(context.Context) error
}

// probes are the behavior's own check and the role's.
func (a *agent) probes(as state.Assignment) []probe {
	all := []probe{{"behavior", a.runner.Check}}
	if as.Role.MySQLProxy != nil {
		all = append(all, probe{"mysql proxy", func(context.Context) error { return a.proxy.Check() }})
	}
	host := as.Address
	if host == "" {
		host = "127.0.0.1"
	}
	address := func(port int) string {
		if port == 0 {
			port = a.traits.Port
		}
		return net.JoinHostPort(host, strconv.Itoa(port))
	}
	if c := as.Role.HealthCheck.HTTP; c != nil {
		all = append(all, probe{"http", func(ctx context.Context) error { return askHTTP(ctx, address(c.Port), c.Path) }})
	}
	if c := as.Role.HealthCheck.TCP; c != nil {
		all = append(all, probe{"tcp", func(ctx context.Context) error { return askTCP(ctx, address(c.Port)) }})
	}
	return all
}

// asker keeps no connection (it would hold a worker of the server) and follows no redirect: a redirect is an answer.
var asker = &http.Client{
	Transport:     &http.Transport{DisableKeepAlives: true},
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
}

// askHTTP passes on a status of 200 to 399.
func askHTTP(ctx context.Context, address, path string) error {
	if path == "" {
		path = "/"
	}
	u, err := url.Parse(path)
	if err != nil {
		return fmt.Errorf("asking for %s: %w", path, err)
	}
	u.Scheme, u.Host = "http", address
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return fmt.Errorf("asking for %s: %w", path, err)
	}
	req.Header.Set("User-Agent", "farmhand-agent")
	resp, err := asker.Do(req)
	if err != nil {
		return err // says what was asked
	}
	defer resp.Body.Close()
	_, _ = io.CopyN(io.Discard, resp.Body, 64<<10) // so that a small page is not cut off in the server's log
	if resp.StatusCode < 200 || resp.StatusCode > 399 {
		return fmt.Errorf("GET %s: status %s", path, resp.Status)
	}
	return nil
}

func askTCP(ctx context.Context, address string) error {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", address)
	if err != nil {
		return err
	}
	return conn.Close()
}
