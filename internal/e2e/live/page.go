package live

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"
)

// Page is one answer of the farm.
type Page struct {
	Status int
	Body   string
	Server string // the instance that answered
}

// browser opens a connection for each request, so that the balancer chooses anew, and follows no redirect.
var browser = &http.Client{
	Timeout:       10 * time.Second,
	Transport:     &http.Transport{DisableKeepAlives: true},
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
}

// Get fetches a page.
func Get(ctx context.Context, address string) (Page, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return Page{}, err
	}
	return answer(req)
}

// Post sends a form.
func Post(ctx context.Context, address string, form url.Values) (Page, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, address, strings.NewReader(form.Encode()))
	if err != nil {
		return Page{}, err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return answer(req)
}

func answer(req *http.Request) (Page, error) {
	resp, err := browser.Do(req)
	if err != nil {
		return Page{}, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil {
		return Page{}, fmt.Errorf("reading %s: %w", req.URL, err)
	}
	return Page{Status: resp.StatusCode, Body: string(body), Server: resp.Header.Get("X-Served-By")}, nil
}

// Load keeps n requests for /work under way until stop is called; it burns the servers' processors, not this one's.
func Load(ctx context.Context, address string, n int) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	var workers sync.WaitGroup
	for range n {
		workers.Go(func() {
			for ctx.Err() == nil {
				if _, err := Get(ctx, address+"work?ms=20"); err != nil {
					// A farm that is being broken on purpose answers some requests with nothing.
					select {
					case <-ctx.Done():
					case <-time.After(100 * time.Millisecond):
					}
				}
			}
		})
	}
	return func() {
		cancel()
		workers.Wait()
	}
}

// Until asks every pause whether something has come about and returns nil when it has; otherwise, when ctx ends, an
// error with the last answer.
func Until(ctx context.Context, pause time.Duration, ask func(context.Context) (done bool, status string)) error {
	tick := time.NewTicker(pause)
	defer tick.Stop()
	for {
		done, status := ask(ctx)
		if done {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w; at last: %s", context.Cause(ctx), status)
		case <-tick.C:
		}
	}
}
