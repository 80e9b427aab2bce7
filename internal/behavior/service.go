package behavior

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"
)

// awaitPause is between two looks at a service that is coming up: short against its start, long against a look.
const awaitPause = 25 * time.Millisecond

// Service is the program that a behavior keeps running. The zero value was never started. Safe for concurrent use.
type Service struct {
	process atomic.Pointer[Process]
}

// Start starts the program; it is meant to stay.
func (s *Service) Start(ctx context.Context, run Commander, name string, args ...string) error {
	p, err := run.Start(ctx, name, args...)
	if err != nil {
		return err
	}
	s.process.Store(&p)
	return nil
}

// Alive is nil while the program runs, and says how it ended otherwise.
func (s *Service) Alive() error {
	p := s.process.Load()
	if p == nil {
		return errors.New("not started")
	}
	select {
	case <-(*p).Done():
		return exited(*p)
	default:
		return nil
	}
}

// Await asks ready until it returns nil. It gives up when ctx ends, with ready's last error beside the cause, or
// when the program has exited.
func (s *Service) Await(ctx context.Context, ready func(context.Context) error) error {
	if err := s.Alive(); err != nil {
		return err
	}
	p := *s.process.Load()
	for {
		err := ready(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-p.Done():
			return exited(p)
		case <-ctx.Done():
			return fmt.Errorf("%w: %w", context.Cause(ctx), err)
		case <-time.After(awaitPause):
		}
	}
}

// Signal sends sig to the program.
func (s *Service) Signal(sig int) error {
	if err := s.Alive(); err != nil {
		return err
	}
	return (*s.process.Load()).Signal(sig)
}

// Wait waits for the program's exit or the end of ctx, and tells whether it is gone.
func (s *Service) Wait(ctx context.Context) (gone bool) {
	p := s.process.Load()
	if p == nil {
		return true
	}
	select {
	case <-(*p).Done():
		return true
	case <-ctx.Done():
		return false
	}
}

// Stop sends sig and waits for the exit; when ctx ends first, the program is killed and that is the error.
func (s *Service) Stop(ctx context.Context, sig int) error {
	const kill = 9
	if s.Alive() != nil {
		return nil //nolint:nilerr // it has ended, which is what is asked for
	}
	if err := s.Signal(sig); err != nil && s.Alive() == nil {
		return fmt.Errorf("stopping: %w", err)
	}
	if s.Wait(ctx) {
		return nil
	}
	_ = s.Signal(kill)
	s.Wait(context.WithoutCancel(ctx))
	return fmt.Errorf("killed, it did not stop in time: %w", context.Cause(ctx))
}

func exited(p Process) error {
	if err := p.Err(); err != nil {
		return fmt.Errorf("the service ended: %w", err)
	}
	return errors.New("the service ended with exit status 0")
}
