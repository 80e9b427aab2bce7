package docker

import (
	"context"
	"time"

	"github.com/moby/moby/client"
)

// Pauses between attempts to listen again after the engine hung up: short at first, since an engine that was
// restarted is back in seconds and deaths meanwhile show only at the next tick.
const (
	listenAgainAfter = 500 * time.Millisecond
	listenAgainMost  = 10 * time.Second
)

// Events hints whenever one of the farm's containers started, died or went, and each time that the connection
// came back, since what happened meanwhile was not told.
func (d *Docker) Events(ctx context.Context) <-chan struct{} {
	hints := make(chan struct{}, 1)
	go func() {
		defer close(hints)
		pause := listenAgainAfter
		for ctx.Err() == nil {
			if d.listen(ctx, hints) {
				pause = listenAgainAfter
			}
			select {
			case <-ctx.Done():
			case <-time.After(pause):
			}
			pause = min(2*pause, listenAgainMost)
		}
	}()
	return hints
}

// listen passes hints on until the connection ends; heard tells whether there was any.
func (d *Docker) listen(ctx context.Context, hints chan<- struct{}) (heard bool) {
	c, err := d.client(ctx)
	if err != nil {
		return false
	}
	filter := d.mine().Add("type", "container")
	// Podman says "died" and "remove" where Docker says "die" and "destroy".
	filter.Add("event", "start", "die", "died", "oom", "destroy", "remove")
	stream := c.Events(ctx, client.EventsListOptions{Filters: filter})
	hint := func() {
		select {
		case hints <- struct{}{}:
		default:
		}
	}
	hint()
	for {
		select {
		case m := <-stream.Messages:
			heard = true
			if m.Actor.Attributes[labelCopies] == "" {
				hint()
			}
		case err := <-stream.Err:
			if ctx.Err() == nil {
				d.log.Debug("the engine's event stream ended", "error", err)
			}
			return heard
		}
	}
}
