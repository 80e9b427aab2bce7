package backup

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/cenkalti/backoff/v5"
)

// patience is how long a place that does not answer is asked again before what is under way is given up: a gateway is restarted in
// seconds, and a network that was mended in a few minutes is as good as whole. Longer outages are the engine's, which tries anew.
const patience = 5 * time.Minute

// stalled is how long a transfer may bring no byte before it is broken off and resumed.
const stalled = 2 * time.Minute

// Patient is a target that tries again what failed with ErrUnavailable. What is read is resumed where it broke off, so that a hash over it
// tells of nothing. What is written is sent again if it can be: a stream that is no io.Seeker cannot. PutNew may find what its own
// first try left, ErrExists: what holds the object tells.
type Patient struct {
	Target Target
	// For is how long it is tried without a byte's progress; 0: five minutes.
	For time.Duration
	// Tell is told of trouble, with each try, and "" when it is over; nil: nobody is.
	Tell func(trouble string)
}

var _ Target = Patient{}

// again does something until it ends otherwise than with ErrUnavailable, or patience does.
func again[T any](ctx context.Context, p Patient, do func() (T, error)) (T, error) {
	limit := p.For
	if limit == 0 {
		limit = patience
	}
	slower := backoff.NewExponentialBackOff()
	slower.InitialInterval, slower.Multiplier, slower.MaxInterval = 200*time.Millisecond, 1.7, 10*time.Second
	began, told := time.Now(), false
	v, err := backoff.Retry(ctx, func() (T, error) {
		v, err := do()
		if err != nil && !errors.Is(err, ErrUnavailable) {
			err = backoff.Permanent(err)
		}
		return v, err
	}, backoff.WithBackOff(slower), backoff.WithMaxElapsedTime(limit), backoff.WithNotify(func(err error, _ time.Duration) {
		told = true
		p.tell(fmt.Sprintf("the place of the backups does not answer, trying again for %s: %v", time.Since(began).Round(time.Second), err))
	}))
	if told {
		p.tell("")
	}
	if tried := time.Since(began); errors.Is(err, ErrUnavailable) && tried >= time.Second {
		err = fmt.Errorf("tried for %s: %w", tried.Round(time.Second), err)
	}
	return v, err
}

func (p Patient) tell(trouble string) {
	if p.Tell != nil {
		p.Tell(trouble)
	}
}

// Put implements Target.
func (p Patient) Put(ctx context.Context, name string, r io.Reader) (int64, error) {
	s, ok := r.(io.Seeker)
	if !ok {
		n, err := p.Target.Put(ctx, name, r)
		if errors.Is(err, ErrUnavailable) {
			err = fmt.Errorf("%w (what is streamed cannot be sent twice: it has to begin anew)", err)
		}
		return n, err
	}
	start, err := s.Seek(0, io.SeekCurrent)
	if err != nil {
		return 0, err
	}
	return again(ctx, p, func() (int64, error) {
		if _, err := s.Seek(start, io.SeekStart); err != nil {
			return 0, err
		}
		return p.Target.Put(ctx, name, r)
	})
}

// PutNew implements Target.
func (p Patient) PutNew(ctx context.Context, name string, b []byte) error {
	_, err := again(ctx, p, func() (struct{}, error) { return struct{}{}, p.Target.PutNew(ctx, name, b) })
	return err
}

// List implements Target.
func (p Patient) List(ctx context.Context, prefix string) ([]Object, error) {
	return again(ctx, p, func() ([]Object, error) { return p.Target.List(ctx, prefix) })
}

// Delete implements Target.
func (p Patient) Delete(ctx context.Context, name string) error {
	_, err := again(ctx, p, func() (struct{}, error) { return struct{}{}, p.Target.Delete(ctx, name) })
	return err
}

// Get implements Target.
func (p Patient) Get(ctx context.Context, name string) (io.ReadCloser, error) {
	return p.GetFrom(ctx, name, 0)
}

// GetFrom implements Target.
func (p Patient) GetFrom(ctx context.Context, name string, from int64) (io.ReadCloser, error) {
	r := &resumed{Patient: p, ctx: ctx, name: name, offset: from}
	_, err := again(ctx, p, func() (struct{}, error) { return struct{}{}, r.open() })
	if err != nil {
		return nil, err
	}
	return r, nil
}

// resumed is one object read over as many transfers as it takes.
type resumed struct {
	Patient
	ctx    context.Context
	name   string
	offset int64 // of the next byte

	body io.ReadCloser      // of the present transfer; nil: none
	stop context.CancelFunc // ends it
	idle *time.Timer        // does so when it stalls
}

func (r *resumed) open() error {
	ctx, stop := context.WithCancel(r.ctx)
	idle := time.AfterFunc(stalled, stop)
	body, err := r.Target.GetFrom(ctx, r.name, r.offset)
	if stopped := !idle.Stop(); err != nil {
		stop()
		if stopped && r.ctx.Err() == nil {
			err = fmt.Errorf("%w: nothing came for %s", ErrUnavailable, stalled)
		}
		return err
	}
	r.body, r.stop, r.idle = body, stop, idle
	return nil
}

// end ends the present transfer.
func (r *resumed) end() error {
	if r.body == nil {
		return nil
	}
	r.idle.Stop()
	err := r.body.Close()
	r.stop()
	r.body = nil
	return err
}

// transfer reads from the present transfer, or from a new one. An error ends it.
func (r *resumed) transfer(p []byte) (int, error) {
	if r.body == nil {
		if err := r.open(); err != nil {
			return 0, err
		}
	}
	r.idle.Reset(stalled)
	n, err := r.body.Read(p)
	stopped := !r.idle.Stop()
	r.offset += int64(n)
	if err == nil || errors.Is(err, io.EOF) {
		return n, err
	}
	if stopped && r.ctx.Err() == nil {
		err = fmt.Errorf("%w: nothing came for %s", ErrUnavailable, stalled)
	}
	_ = r.end()
	return n, err
}

// Read implements io.Reader.
func (r *resumed) Read(p []byte) (int, error) {
	ended := false
	n, err := again(r.ctx, r.Patient, func() (int, error) {
		n, err := r.transfer(p)
		if errors.Is(err, io.EOF) {
			ended, err = true, nil
		}
		if n > 0 && errors.Is(err, ErrUnavailable) {
			err = nil // the next Read resumes
		}
		return n, err
	})
	if err == nil && ended {
		err = io.EOF
	}
	return n, err
}

// Close implements io.Closer.
func (r *resumed) Close() error { return r.end() }
