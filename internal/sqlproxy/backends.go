package sqlproxy

import (
	"context"
	"errors"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Backends are the servers that there are now.
type Backends struct {
	// Term grows with every change of the primary.
	Term int64 `json:"term"`
	// Primary is where writes go (host:port), "" while no server may take any: they wait.
	Primary string `json:"primary"`
	// Replicas are those that may be read from (host:port).
	Replicas []string `json:"replicas,omitempty"`
}

func (b Backends) equal(o Backends) bool {
	return b.Term == o.Term && b.Primary == o.Primary && slices.Equal(b.Replicas, o.Replicas)
}

const (
	// maxIdle bounds the connections kept for the next client, per server and kind.
	maxIdle = 64
	// maxIdleTime is after how long an unused connection is closed: well below any server's wait_timeout.
	maxIdleTime = time.Minute
	// restTime is for how long a server that could not be reached is not tried for reads.
	restTime = time.Second
	// behindTime is for how long a replica that did not catch up in time is read from only if it is known to have.
	behindTime = 50 * time.Millisecond
)

// backend is one server. Safe for concurrent use.
type backend struct {
	proxy   *Proxy
	address string
	counts  counts

	// reached is the version of the position that it is known to have.
	reached atomic.Int64
	// restUntil and behindUntil are in nanoseconds of the clock.
	restUntil, behindUntil atomic.Int64
	// readOnly: it refused a write; others are not sent until it is asked again.
	readOnly atomic.Bool

	mu      sync.Mutex
	retired bool // it is none of the backends any more
	idle    map[link][]*server
	busy    map[*server]struct{}
}

// get takes an idle connection or makes one.
func (b *backend) get(ctx context.Context, l link) (*server, error) {
	for {
		b.mu.Lock()
		stack := b.idle[l]
		if len(stack) == 0 {
			b.mu.Unlock()
			break
		}
		s := stack[len(stack)-1]
		b.idle[l] = stack[:len(stack)-1]
		b.busy[s] = struct{}{}
		b.mu.Unlock()
		if time.Since(s.idle) < maxIdleTime && s.alive() {
			return s, nil
		}
		b.drop(s)
	}
	s, err := b.dial(ctx, l)
	if err != nil {
		b.counts.refused.Add(1)
		if ctx.Err() == nil {
			b.reached.Store(0)
		}
		return nil, err
	}
	b.mu.Lock()
	b.busy[s] = struct{}{}
	b.mu.Unlock()
	b.counts.connects.Add(1)
	return s, nil
}

// put gives a connection back, as new. It may be used by another session at once.
func (b *backend) put(s *server) {
	if s.spoiled {
		b.drop(s)
		return
	}
	if !s.fresh || s.status&statusInTransaction != 0 {
		if err := s.reset(); err != nil {
			b.drop(s)
			return
		}
	}
	s.idle = time.Now()
	s.link.named = s.db != ""
	b.mu.Lock()
	delete(b.busy, s)
	keep := !b.retired && len(b.idle[s.link]) < maxIdle
	if keep {
		b.idle[s.link] = append(b.idle[s.link], s)
	}
	b.mu.Unlock()
	if !keep {
		s.Close()
	}
}

// drop closes a connection.
func (b *backend) drop(s *server) {
	b.mu.Lock()
	delete(b.busy, s)
	b.mu.Unlock()
	s.Close()
}

// failed notes that a connection was lost: what was known of the server may hold no more.
func (b *backend) failed() {
	b.counts.lost.Add(1)
	b.reached.Store(0)
}

// rest keeps reads away for a moment.
func (b *backend) rest() { b.restUntil.Store(time.Now().Add(restTime).UnixNano()) }

// retire ends the idle connections, and after a while those in use: a server that hangs would hold its sessions for ever.
func (b *backend) retire(after time.Duration) {
	b.mu.Lock()
	b.retired = true
	idle := b.idle
	b.idle = map[link][]*server{}
	b.mu.Unlock()
	for _, stack := range idle {
		for _, s := range stack {
			s.Close()
		}
	}
	b.proxy.after(after, func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		if b.retired {
			for s := range b.busy {
				_ = s.Close() // its session notices
			}
		}
	})
}

// prune closes what has been idle for too long.
func (b *backend) prune(now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for l, stack := range b.idle {
		b.idle[l] = slices.DeleteFunc(stack, func(s *server) bool {
			old := now.Sub(s.idle) >= maxIdleTime
			if old {
				s.Close()
			}
			return old
		})
	}
}

// topology is what is known of the servers at one moment. It is never changed.
type topology struct {
	Backends
	epoch    int64
	primary  *backend // nil for none
	replicas []*backend
	changed  chan struct{} // closed when there is a newer one
}

// Update takes over other servers. Sessions go on with them at their next statement. An older term is refused.
func (p *Proxy) Update(next Backends) error {
	for _, a := range append(slices.Clone(next.Replicas), next.Primary) {
		if _, _, err := net.SplitHostPort(a); a != "" && err != nil {
			return errors.New("backend " + a + " is no host:port")
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.topology.Load()
	if next.Term < now.Term {
		return errors.New("the backends are of an older term than those in use")
	}
	if now.equal(next) && now.epoch > 0 {
		return nil
	}
	t := &topology{Backends: next, epoch: now.epoch + 1, changed: make(chan struct{})}
	used := map[string]bool{}
	backendOf := func(address string) *backend {
		used[address] = true
		b, ok := p.backends[address]
		if !ok {
			b = &backend{proxy: p, address: address, idle: map[link][]*server{}, busy: map[*server]struct{}{}}
			p.backends[address] = b
		}
		return b
	}
	if next.Primary != "" {
		t.primary = backendOf(next.Primary)
	}
	for _, a := range next.Replicas {
		if a != next.Primary {
			t.replicas = append(t.replicas, backendOf(a))
		}
	}
	if next.Primary != "" && (next.Primary != p.lastPrimary || next.Term != p.lastTerm) {
		p.positions.forget()
		t.primary.readOnly.Store(false)
		if p.lastPrimary != "" && p.lastPrimary != next.Primary {
			p.counts.moves.Add(1)
		}
		p.lastPrimary, p.lastTerm = next.Primary, next.Term
	}
	p.topology.Store(t)
	close(now.changed)
	for address, b := range p.backends {
		if !used[address] {
			delete(p.backends, address)
			grace := p.config().DrainTime.Std()
			if b == now.primary {
				grace = min(grace, writeDrain)
			}
			b.retire(grace)
		}
	}
	if was := now.primary; was != nil && was != t.primary && used[was.address] {
		was.endWrites(min(p.config().DrainTime.Std(), writeDrain))
	}
	return nil
}

// endWrites ends, after a while, what still runs at a server that is the primary no more and hangs perhaps.
func (b *backend) endWrites(after time.Duration) {
	b.mu.Lock()
	old := make([]*server, 0, len(b.busy))
	for s := range b.busy {
		old = append(old, s)
	}
	b.mu.Unlock()
	b.proxy.after(after, func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		for _, s := range old {
			if _, busy := b.busy[s]; busy && b.proxy.topology.Load().primary != b {
				_ = s.Close()
			}
		}
	})
}

// splitsIn tells whether a server's own sql_mode lets its statements be read by the proxy.
func splitsIn(mode string) bool { return pinning("sql_mode", strings.ToLower(mode)) == "" }
