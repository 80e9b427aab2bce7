package gateway

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v5"

	"github.com/farmhand/terraform-provider-farmhand/internal/store"
)

// attemptTimeout bounds one attempt: a little more than the server takes at the most, so that the server's own word
// comes first. It is how long a stopped sidecar is mistaken for a slow one.
const attemptTimeout = callTimeout + 5*time.Second

// Client is a store.Store, and a store.Blobs that reads, over HTTP. While the sidecar is away, a call waits and tries
// again until its context ends; its error is then store.ErrUnavailable beside the context's own. Give every call a
// context that ends. Safe for concurrent use.
type Client struct {
	addr, farm, instance, token string

	dial   func(ctx context.Context, network, addr string) (net.Conn, error)
	http   *http.Client
	ctx    context.Context // ends with Close
	cancel context.CancelFunc
	// watches are the goroutines behind Watch. The lock keeps one from being added while Close waits for them.
	mu      sync.Mutex
	watches sync.WaitGroup
}

var (
	_ store.Store = (*Client)(nil)
	_ store.Blobs = (*Client)(nil)
)

// NewClient makes the client of one instance; addr is host:port. Nothing is sent before the first call.
func NewClient(addr, farm, instance, token string) *Client {
	c := &Client{addr: addr, farm: farm, instance: instance, token: token}
	c.ctx, c.cancel = context.WithCancel(context.Background())
	c.dial = (&net.Dialer{Timeout: 3 * time.Second, KeepAlive: 15 * time.Second}).DialContext
	c.http = &http.Client{Transport: &http.Transport{
		// No proxy, whatever the environment says: the gateway is on the farm's own network.
		DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			return c.dial(ctx, network, addr)
		},
		MaxIdleConnsPerHost:   4,
		IdleConnTimeout:       time.Minute,
		ResponseHeaderTimeout: maxWait + attemptTimeout,
		DisableCompression:    true,
	}}
	return c
}

// Close ends all watches and makes every call fail with store.ErrClosed.
func (c *Client) Close() error {
	c.mu.Lock()
	c.cancel()
	c.mu.Unlock()
	c.watches.Wait()
	c.http.CloseIdleConnections()
	return nil
}

// Get reads one entry.
func (c *Client) Get(ctx context.Context, key string) (store.Entry, error) {
	if err := store.CheckKey(key); err != nil {
		return store.Entry{}, err
	}
	var e entry
	err := c.retry(ctx, "get", getRequest{key}, &e, true)
	return store.Entry(e), err
}

// List reads a range, page by page: unlike in a store of this machine, the pages are not of one moment.
func (c *Client) List(ctx context.Context, prefix string, opts ...store.ListOption) ([]store.Entry, error) {
	if err := store.CheckPrefix(prefix); err != nil {
		return nil, err
	}
	r := store.NewRange(opts)
	entries := []store.Entry{}
	for {
		q := listRequest{Prefix: prefix, After: r.After, Reverse: r.Reverse}
		if r.Limit > 0 {
			q.Limit = r.Limit - len(entries)
		}
		var a listAnswer
		if err := c.retry(ctx, "list", q, &a, true); err != nil {
			return nil, err
		}
		for _, e := range a.Entries {
			entries = append(entries, store.Entry(e))
		}
		if a.Next == "" || r.Limit > 0 && len(entries) >= r.Limit {
			return entries, nil
		}
		r.After = a.Next
	}
}

// Put writes one entry.
func (c *Client) Put(ctx context.Context, key string, value []byte, opts ...store.Option) (store.Revision, error) {
	w := store.NewWrite(opts)
	if err := store.CheckWrite(key, value, w); err != nil {
		return 0, err
	}
	var a writeAnswer
	err := c.retry(ctx, "put", newWriteRequest(key, value, w), &a, w.If.IsAlways())
	return a.Revision, err
}

// Delete removes one entry.
func (c *Client) Delete(ctx context.Context, key string, opts ...store.Option) error {
	w := store.NewWrite(opts)
	if err := store.CheckWrite(key, nil, w); err != nil {
		return err
	}
	var a writeAnswer
	return c.retry(ctx, "delete", newWriteRequest(key, nil, w), &a, w.If.IsAlways())
}

// newBackOff spaces attempts from a tenth of a second to two: a sidecar that was restarted is found again at once, and
// a hundred agents without one cost nobody anything.
func newBackOff() *backoff.ExponentialBackOff {
	b := backoff.NewExponentialBackOff()
	b.InitialInterval, b.Multiplier, b.MaxInterval = 100*time.Millisecond, 1.7, 2*time.Second
	return b
}

// retry calls until there is an answer or ctx ends. repeatable is false for a write with a condition: if the
// connection breaks after it was sent it may have happened, and a second one would find itself in conflict with the
// first. Such a write fails with ErrUnavailable, and its caller reads again.
func (c *Client) retry(ctx context.Context, method string, q, a any, repeatable bool) error {
	body, err := json.Marshal(q)
	if err != nil {
		return err
	}
	ctx, cancel := c.bind(ctx)
	defer cancel()
	var away error
	for pause := newBackOff(); ; {
		if ctx.Err() != nil {
			return c.ended(ctx, away)
		}
		away = c.call(ctx, method, body, a, attemptTimeout)
		if !errors.Is(away, store.ErrUnavailable) {
			return away
		}
		if !repeatable && mayHaveArrived(away) {
			if ctx.Err() != nil {
				return c.ended(ctx, away)
			}
			return away
		}
		sleep(ctx, pause.NextBackOff())
	}
}

// mayHaveArrived tells whether the server may have acted on a request whose answer never came.
func mayHaveArrived(err error) bool {
	var refused *remoteError
	var op *net.OpError
	return !errors.As(err, &refused) && !(errors.As(err, &op) && op.Op == "dial")
}

// bind makes a context that also ends with the client.
func (c *Client) bind(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	stop := context.AfterFunc(c.ctx, func() { cancel(store.ErrClosed) })
	return ctx, func() { stop(); cancel(nil) }
}

// ended is the error of a call whose context ended, with the reason for which it was still waiting then.
func (c *Client) ended(ctx context.Context, away error) error {
	cause := context.Cause(ctx)
	switch {
	case c.ctx.Err() != nil:
		return fmt.Errorf("asking the gateway at %s: %w", c.addr, store.ErrClosed)
	case away == nil:
		return fmt.Errorf("asking the gateway at %s: %w", c.addr, cause)
	case errors.Is(away, cause):
		return away
	}
	return fmt.Errorf("%w: %w", away, cause)
}

// call makes one attempt. Its error is a remoteError, or ErrUnavailable when there was no proper answer.
func (c *Client) call(ctx context.Context, method string, body []byte, a any, timeout time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	r, err := c.request(ctx, http.MethodPost, "/v1/"+method, bytes.NewReader(body))
	if err != nil {
		return err
	}
	response, err := c.do(r)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	if err == nil {
		err = json.Unmarshal(answer, a)
	}
	if err != nil {
		return c.unavailable(err)
	}
	return nil
}

func (c *Client) request(ctx context.Context, method, path string, body io.Reader) (*http.Request, error) {
	r, err := http.NewRequestWithContext(ctx, method, "http://"+c.addr+path, body)
	if err != nil {
		return nil, fmt.Errorf("asking the gateway at %s: %w", c.addr, err)
	}
	r.Header.Set("Authorization", "Bearer "+c.token)
	r.Header.Set(farmHeader, c.farm)
	r.Header.Set(instanceHeader, c.instance)
	return r, nil
}

// do sends a request, and makes an error of every answer but success.
func (c *Client) do(r *http.Request) (*http.Response, error) {
	response, err := c.http.Do(r)
	if err != nil {
		return nil, c.unavailable(err)
	}
	if response.StatusCode < 300 {
		return response, nil
	}
	defer response.Body.Close()
	var answer errorAnswer
	if err := json.NewDecoder(io.LimitReader(response.Body, maxAnswer)).Decode(&answer); err != nil || answer.Kind == "" {
		return nil, c.unavailable(fmt.Errorf("it answers %s, as no gateway does", response.Status))
	}
	return nil, answer.err()
}

func (c *Client) unavailable(err error) error {
	return fmt.Errorf("%w: the gateway at %s does not answer: %w", store.ErrUnavailable, c.addr, err)
}

// sleep pauses, or less if ctx ends.
func sleep(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
