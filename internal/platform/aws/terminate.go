package aws

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ec2"

	"github.com/farmhand/terraform-provider-farmhand/internal/platform"
)

const (
	// together is how long an ending waits for others to share its call.
	together = 50 * time.Millisecond
	// endsAtOnce is how many machines are ended by one call: one bad id makes the whole call fail.
	endsAtOnce = 100
)

// Terminate ends a machine of the farm's. It returns once EC2 has accepted that; the machine is listed as Ending until it is gone.
// EC2 tells the machine's system to shut down, by which its agent is told, and waits for it for some minutes at most, so that grace
// is EC2's own. Calls made at the same time are one call to EC2.
func (p *AWS) Terminate(ctx context.Context, id string, _ time.Duration) error {
	if !strings.HasPrefix(id, "i-") {
		return nil
	}
	s, err := p.look(ctx, oneTick)
	if err != nil {
		return err
	}
	h, ok := s.host(id)
	if !ok {
		if s, err = p.look(ctx, 0); err != nil {
			return err
		}
		if h, ok = s.host(id); !ok {
			return nil
		}
	}
	if !h.gone() {
		if err := p.endOne(ctx, h); err != nil {
			return fmt.Errorf("ending machine %s: %w", id, err)
		}
	}
	key, known := s.keys[id]
	if h.gone() {
		return p.dropKey(ctx, id)
	}
	if !known {
		key.Instance = "" // of nobody; the key is what says that it was ended
	}
	key.Ended = p.now().UTC()
	return p.setKey(ctx, id, key)
}

// A machine that EC2 does not know though it was just launched is asked for again, knownTries times; then it is left to the caller.
const (
	knownTries = 20
	knownEvery = 500 * time.Millisecond
)

// endOne ends a machine together with others.
func (p *AWS) endOne(ctx context.Context, h host) error {
	for range knownTries {
		unknown, err := p.ending.add(ctx, h.id) // its own refusal is its error
		if err != nil || !unknown || p.now().Sub(h.launched) > unlisted {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w: %w", ctx.Err(), platform.ErrUnavailable)
		case <-time.After(knownEvery):
		}
	}
	return fmt.Errorf("it was just launched, and EC2 does not know it yet: %w", platform.ErrUnavailable)
}

// terminateTogether ends machines by one call, and returns those that EC2 does not know and those that it does not let go of (they are
// protected), with the reason. Where there is one of either it ends none: those are left out, and the call is made again.
func (p *AWS) terminateTogether(ctx context.Context, ids []string) (unknown []string, kept map[string]error, err error) {
	c, err := p.compute(ctx)
	if err != nil {
		return nil, nil, err
	}
	kept = map[string]error{}
	for len(ids) > 0 {
		_, err := c.TerminateInstances(ctx, &ec2.TerminateInstancesInput{InstanceIds: ids})
		if err == nil {
			return unknown, kept, nil
		}
		isProtected := code(err) == "OperationNotPermitted"
		if !isUnknown(err) && !isProtected {
			return unknown, kept, explain(err, "ending machines")
		}
		// "The instance IDs 'i-1, i-2' do not exist"
		left := slices.DeleteFunc(slices.Clone(ids), func(id string) bool { return strings.Contains(err.Error(), id) })
		if len(left) == len(ids) {
			return unknown, kept, explain(err, "ending machines")
		}
		for _, id := range ids {
			switch {
			case slices.Contains(left, id):
			case isProtected:
				kept[id] = explain(err, "EC2 keeps it")
			default:
				unknown = append(unknown, id)
			}
		}
		ids = left
	}
	return unknown, kept, nil
}

// ending gathers machines that are to be ended. Safe for concurrent use.
type ending struct {
	end  func(ctx context.Context, ids []string) (unknown []string, kept map[string]error, err error)
	mu   sync.Mutex
	next *lot
}

// lot is one call's machines.
type lot struct {
	ids     []string
	done    chan struct{}
	unknown []string
	kept    map[string]error
	err     error
}

func (e *ending) add(ctx context.Context, id string) (unknown bool, err error) {
	e.mu.Lock()
	l := e.next
	if l == nil {
		l = &lot{done: make(chan struct{})}
		e.next = l
		time.AfterFunc(together, func() { e.send(l) })
	}
	l.ids = append(l.ids, id)
	if len(l.ids) == endsAtOnce {
		e.next = nil
	}
	e.mu.Unlock()
	select {
	case <-l.done:
		if err := l.kept[id]; err != nil {
			return false, err
		}
		return slices.Contains(l.unknown, id), l.err
	case <-ctx.Done():
		return false, fmt.Errorf("%w: %w", ctx.Err(), platform.ErrUnavailable)
	}
}

// send makes a lot's call. It is nobody's alone, so that it has a time limit of its own.
func (e *ending) send(l *lot) {
	e.mu.Lock()
	if e.next == l {
		e.next = nil
	}
	ids := slices.Clone(l.ids)
	e.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	l.unknown, l.kept, l.err = e.end(ctx, ids)
	close(l.done)
}
