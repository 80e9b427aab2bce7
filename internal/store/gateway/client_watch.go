package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/farmhand/terraform-provider-farmhand/internal/store"
)

// pollWait is how long the server lets a watch wait. Under the half minute after which some networks forget an idle
// connection.
const pollWait = 25 * time.Second

// firstTimeout bounds the first request of a watch, which Watch waits for.
const firstTimeout = 2 * time.Second

// Watch hints by long poll: some milliseconds after the server hears of a change. It returns store.ErrDenied if the
// prefix is not the instance's to see. While the sidecar is away there are no hints; once it is back there is one if
// anything changed meanwhile.
func (c *Client) Watch(ctx context.Context, prefix string) (<-chan struct{}, error) {
	if err := store.CheckPrefix(prefix); err != nil {
		return nil, err
	}
	ctx, cancel := c.bind(ctx)
	w := &watch{client: c, prefix: prefix, hints: make(chan struct{}, 1)}
	// The state that changes are told against must be older than the caller's first list.
	err := w.poll(ctx, firstTimeout)
	if err != nil && (!errors.Is(err, store.ErrUnavailable) || ctx.Err() != nil || c.ctx.Err() != nil) {
		defer cancel()
		if ctx.Err() != nil || c.ctx.Err() != nil {
			return nil, c.ended(ctx, err)
		}
		return nil, err
	}
	w.hint()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ctx.Err() != nil {
		defer cancel()
		return nil, c.ended(ctx, nil)
	}
	c.watches.Go(func() {
		defer cancel()
		w.follow(ctx)
	})
	return w.hints, nil
}

type watch struct {
	client *Client
	prefix string
	cursor string // empty: not known yet
	hints  chan struct{}
}

func (w *watch) hint() {
	select {
	case w.hints <- struct{}{}:
	default:
	}
}

// follow polls until ctx ends.
func (w *watch) follow(ctx context.Context) {
	defer close(w.hints)
	pause := newBackOff()
	for ctx.Err() == nil {
		before := w.cursor
		err := w.poll(ctx, pollWait+attemptTimeout)
		if err == nil {
			pause.Reset()
			if w.cursor != before {
				w.hint()
			}
			continue
		}
		if !errors.Is(err, store.ErrUnavailable) {
			w.hint() // the caller will list, and learn what is wrong
		}
		sleep(ctx, pause.NextBackOff())
	}
}

func (w *watch) poll(ctx context.Context, timeout time.Duration) error {
	q := watchRequest{Prefix: w.prefix, Cursor: w.cursor, Wait: pollWait}
	body, err := json.Marshal(q)
	if err != nil {
		return err
	}
	var a watchAnswer
	if err := w.client.call(ctx, "watch", body, &a, timeout); err != nil {
		return err
	}
	w.cursor = a.Cursor
	return nil
}
