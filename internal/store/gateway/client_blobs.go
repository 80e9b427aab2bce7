package gateway

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/cenkalti/backoff/v5"

	"github.com/farmhand/terraform-provider-farmhand/internal/store"
)

// stalled is how long a transfer may bring no byte before it is broken off and resumed.
const stalled = 20 * time.Second

// PutBlob is refused: instances read releases.
func (c *Client) PutBlob(context.Context, io.Reader) (string, int64, error) {
	return "", 0, fmt.Errorf("storing a blob through the gateway: %w", store.ErrDenied)
}

// DeleteBlob is refused: instances read releases.
func (c *Client) DeleteBlob(_ context.Context, name string) error {
	return fmt.Errorf("deleting blob %s through the gateway: %w", name, store.ErrDenied)
}

// OpenBlob opens a blob for reading, from one goroutine, until ctx ends. A transfer that breaks goes on where it was
// as soon as the sidecar is there again. The Read that reaches the end checks the hash.
func (c *Client) OpenBlob(ctx context.Context, name string) (io.ReadCloser, error) {
	if !store.IsBlobName(name) {
		return nil, fmt.Errorf("blob %.80q: %w", name, store.ErrNotFound)
	}
	b := &blob{client: c, name: name, pause: newBackOff()}
	b.ctx, b.cancel = c.bind(ctx)
	if err := b.open(); err != nil {
		b.cancel()
		return nil, err
	}
	return store.VerifyBlob(b, name), nil
}

// blob is one read of a blob over as many transfers as it takes.
type blob struct {
	client *Client
	name   string
	ctx    context.Context
	cancel context.CancelFunc
	offset int64 // bytes read so far

	body  io.ReadCloser // of the present transfer; nil: none
	stop  func()        // ends the present transfer
	timer *time.Timer   // does so when it stalls
	pause *backoff.ExponentialBackOff
	away  error // why the last transfer ended early
}

func (b *blob) Read(p []byte) (int, error) {
	for {
		if b.body == nil {
			if err := b.open(); err != nil {
				return 0, err
			}
		}
		b.timer.Reset(stalled)
		n, err := b.body.Read(p)
		b.timer.Stop()
		b.offset += int64(n)
		if n > 0 {
			b.pause.Reset()
		}
		if err == nil || err == io.EOF {
			return n, err
		}
		b.away = b.client.unavailable(err)
		b.end()
		if n > 0 {
			return n, nil
		}
		sleep(b.ctx, b.pause.NextBackOff())
	}
}

// open starts a transfer at the offset, waiting for the sidecar as long as the context lasts.
func (b *blob) open() error {
	for {
		if b.ctx.Err() != nil {
			return b.client.ended(b.ctx, b.away)
		}
		err := b.transfer()
		if !errors.Is(err, store.ErrUnavailable) {
			return err
		}
		b.away = err
		sleep(b.ctx, b.pause.NextBackOff())
	}
}

func (b *blob) transfer() error {
	ctx, cancel := context.WithCancel(b.ctx)
	timer := time.AfterFunc(stalled, cancel)
	fail := func(err error) error {
		timer.Stop()
		cancel()
		return err
	}
	r, err := b.client.request(ctx, http.MethodGet, "/v1/blob/"+b.name, nil)
	if err != nil {
		return fail(err)
	}
	want := http.StatusOK
	if b.offset > 0 {
		want = http.StatusPartialContent
		r.Header.Set("Range", fmt.Sprintf("bytes=%d-", b.offset))
	}
	response, err := b.client.do(r)
	if err != nil {
		return fail(err)
	}
	timer.Stop()
	if response.StatusCode != want {
		response.Body.Close()
		return fail(b.client.unavailable(fmt.Errorf("it answers %s to a request for the bytes from %d", response.Status, b.offset)))
	}
	b.body, b.stop, b.timer = response.Body, cancel, timer
	return nil
}

// end ends the present transfer.
func (b *blob) end() {
	if b.body != nil {
		b.timer.Stop()
		b.stop()
		b.body.Close()
		b.body = nil
	}
}

// Close ends the transfer.
func (b *blob) Close() error {
	b.end()
	b.cancel()
	return nil
}
