package docker

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/client"
)

// copyWithin bounds a copy that nobody is paused for: past it something hangs.
const copyWithin = 2 * time.Hour

// copyingText is what is told of a snapshot that is pending.
const copyingText = "being copied"

// errEndless is why a copy ends that takes longer than any should.
var errEndless = fmt.Errorf("the copy was not made within %s", copyWithin)

// errClosed is why a copy ends that the process has no more time for.
var errClosed = errors.New("the process that copied ends")

// errGivenUp is the error of one that ended between two steps: the engine has done all that it was asked for.
var errGivenUp = errors.New("given up")

// copying is one copy under way in this process.
type copying struct {
	cancel context.CancelCauseFunc
	own    context.Context // ends when the copy is to be given up
	done   chan struct{}
	moment atomic.Pointer[time.Time] // of a snapshot, once it is there
	err    error                     // once done is closed
}

// begin notes a copy by the name of its container; nil where there is one already.
func (d *Docker) begin(ctx context.Context, name string) *copying {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.copies[name] != nil {
		return nil
	}
	w := &copying{done: make(chan struct{})}
	w.own, w.cancel = context.WithCancelCause(context.WithoutCancel(ctx)) // the caller waits for its beginning only
	d.copies[name] = w
	return w
}

// inSteps makes the first steps of a copy, and ends between two of them when the caller's ctx ends or the copy is to be given up. No step is
// cut off in the middle: what the engine has been asked for it does, whether or not somebody waits, and so must be waited for.
func (w *copying) inSteps(ctx context.Context, steps ...func(ctx context.Context) error) error {
	bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), launchWithin)
	defer cancel()
	for _, step := range steps {
		if ctx.Err() != nil {
			return fmt.Errorf("%w: %w", errGivenUp, ctx.Err())
		}
		if w.own.Err() != nil {
			return fmt.Errorf("%w: %w", errGivenUp, context.Cause(w.own))
		}
		if err := step(bounded); err != nil {
			return err
		}
	}
	return nil
}

// end forgets a copy: what it may have left is anybody's to tidy up from here.
func (d *Docker) end(name string, w *copying, err error) {
	d.mu.Lock()
	delete(d.copies, name)
	d.mu.Unlock()
	w.err = err
	w.cancel(nil)
	close(w.done)
}

func (d *Docker) underWay(name string) *copying {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.copies[name]
}

func (d *Docker) allUnderWay() map[string]bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	all := make(map[string]bool, len(d.copies))
	for name := range d.copies {
		all[name] = true
	}
	return all
}

// endCopies gives up what is being copied by this process, and waits until that is tidied up.
func (d *Docker) endCopies() {
	d.mu.Lock()
	var all []*copying
	for _, w := range d.copies {
		w.cancel(errClosed)
		all = append(all, w)
	}
	d.mu.Unlock()
	patience := time.After(cleanUpWithin + cleanUpWithin/2)
	for _, w := range all {
		select {
		case <-w.done:
		case <-patience:
			return
		}
	}
}

// removeCopier removes a container that copies. It does so although ctx has ended.
func (d *Docker) removeCopier(ctx context.Context, c *client.Client, id string) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanUpWithin)
	defer cancel()
	_, err := c.ContainerRemove(ctx, id, client.ContainerRemoveOptions{Force: true, RemoveVolumes: true})
	if errdefs.IsNotFound(err) || errdefs.IsConflict(err) { // gone, or going by another call
		return nil
	}
	return err
}

// removeVolumes removes volumes in their order, and ends at the first that cannot be. It does so although ctx has ended.
func (d *Docker) removeVolumes(ctx context.Context, c *client.Client, names ...string) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanUpWithin)
	defer cancel()
	for _, name := range names {
		if _, err := c.VolumeRemove(ctx, name, client.VolumeRemoveOptions{}); err != nil && !errdefs.IsNotFound(err) {
			return err
		}
	}
	return nil
}
