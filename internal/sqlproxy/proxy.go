package sqlproxy

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// writeDrain is how long a statement may go on at a server that was the primary: one that hangs answers nobody, and who
// waits there could go on elsewhere.
const writeDrain = 500 * time.Millisecond

// Proxy serves clients. Make it with New, tell it of its servers with Update, start it with Serve. Safe for concurrent use.
type Proxy struct {
	settings  atomic.Pointer[Config]
	log       *slog.Logger
	topology  atomic.Pointer[topology]
	positions *positions
	classes   classes
	counts    proxyCounts
	version   atomic.Pointer[string] // of the servers, for greetings
	turn      atomic.Uint64          // of replicas
	number    atomic.Uint32          // of clients

	ctx  context.Context // of its life
	stop context.CancelFunc
	wg   sync.WaitGroup

	mu          sync.Mutex
	backends    map[string]*backend
	sessions    map[*session]struct{}
	closing     bool
	dbs         map[string]bool // that servers have opened
	lastPrimary string
	lastTerm    int64
}

// New makes a proxy; log may be nil.
func New(c Config, log *slog.Logger) (*Proxy, error) {
	if err := c.check(); err != nil {
		return nil, fmt.Errorf("making the proxy: %w", err)
	}
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	c = c.withDefaults()
	p := &Proxy{log: log, positions: newPositions(), backends: map[string]*backend{}, sessions: map[*session]struct{}{}}
	p.settings.Store(&c)
	p.topology.Store(&topology{changed: make(chan struct{})})
	version := "5.5.5-10.11.0-MariaDB" // until a server has said its own
	p.version.Store(&version)
	p.ctx, p.stop = context.WithCancel(context.Background())
	if err := p.Update(c.Backends); err != nil {
		p.stop()
		return nil, fmt.Errorf("making the proxy: %w", err)
	}
	return p, nil
}

func (p *Proxy) config() *Config { return p.settings.Load() }

// Configure takes over a changed configuration, its backends included. Clients stay.
func (p *Proxy) Configure(c Config) error {
	if err := c.check(); err != nil {
		return err
	}
	c = c.withDefaults()
	p.settings.Store(&c)
	return p.Update(c.Backends)
}

// after runs f when d is over, or the proxy's life is.
func (p *Proxy) after(d time.Duration, f func()) {
	p.wg.Go(func() {
		select {
		case <-p.ctx.Done():
		case <-time.After(d):
		}
		f()
	})
}

// Serve accepts clients on l until Close; l is closed then. Its error is nil after Close.
func (p *Proxy) Serve(l net.Listener) error {
	unhook := context.AfterFunc(p.ctx, func() { l.Close() })
	defer unhook()
	p.wg.Go(p.maintain)
	for {
		c, err := l.Accept()
		if err != nil {
			if p.isClosing() {
				return nil
			}
			var short net.Error
			if errors.As(err, &short) && !errors.Is(err, net.ErrClosed) {
				p.log.Warn("accepting a client", "error", err) // out of file descriptors: some will be given back
				if !p.pause(100*time.Millisecond, nil) {
					return nil
				}
				continue
			}
			return fmt.Errorf("accepting clients: %w", err)
		}
		if t, ok := c.(*net.TCPConn); ok {
			_ = t.SetNoDelay(true)
		}
		s := &session{p: p, client: newStream(c), number: p.number.Add(1)}
		p.mu.Lock()
		full := len(p.sessions) >= p.config().MaxConnections
		closing := p.closing
		if !full && !closing {
			p.sessions[s] = struct{}{}
			p.wg.Add(1)
		}
		p.mu.Unlock()
		switch {
		case closing:
			c.Close()
		case full:
			p.counts.tooMany.Add(1)
			_ = c.SetDeadline(time.Now().Add(time.Second))
			_, _ = c.Write(frame(0, (&Refusal{1040, "08004", "Too many connections (to the proxy on this server)"}).append(nil)))
			c.Close()
		default:
			go func() {
				defer p.wg.Done()
				s.run()
				p.mu.Lock()
				delete(p.sessions, s)
				p.mu.Unlock()
			}()
		}
	}
}

func (p *Proxy) isClosing() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.closing
}

// pause waits for d, or c, and is false when the proxy ends.
func (p *Proxy) pause(d time.Duration, c <-chan struct{}) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-p.ctx.Done():
		return false
	case <-c:
	case <-t.C:
	}
	return true
}

// maintain closes old connections, and learns of a new primary what reads need before the first client asks.
func (p *Proxy) maintain() {
	for p.pause(200*time.Millisecond, p.topology.Load().changed) {
		now := time.Now()
		p.mu.Lock()
		for _, b := range p.backends {
			b.prune(now)
		}
		p.mu.Unlock()
		t := p.topology.Load()
		if t.primary == nil || p.positions.get().known {
			continue
		}
		s, err := t.primary.get(p.ctx, link{collation: 45, caps: capMultiResults | capPSMultiResults | capMultiStatements})
		if err != nil {
			continue
		}
		if err := p.learn(t, s); err != nil {
			t.primary.drop(s)
			continue
		}
		t.primary.put(s)
	}
}

// learn asks the primary of t what there is, if that is not known.
func (p *Proxy) learn(t *topology, s *server) error {
	v := s.version
	p.version.Store(&v)
	if p.positions.get().known {
		return nil
	}
	whole, err := s.ask(s.everything())
	if err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.topology.Load().Term == t.Term && p.lastPrimary == s.of.address {
		p.positions.add(whole, true)
	}
	return nil
}

// everything asks for the position of all that the server has.
func (s *server) everything() string {
	if s.isMySQL() {
		return "SELECT @@global.gtid_executed"
	}
	return "SELECT @@global.gtid_current_pos"
}

// Close ends the proxy: new clients are refused, statements and transactions under way may end until ctx does.
func (p *Proxy) Close(ctx context.Context) {
	p.mu.Lock()
	p.closing = true
	for s := range p.sessions {
		s.endIdle()
	}
	p.mu.Unlock()
	for {
		p.mu.Lock()
		left := len(p.sessions)
		p.mu.Unlock()
		if left == 0 || ctx.Err() != nil {
			break
		}
		select {
		case <-ctx.Done():
		case <-time.After(10 * time.Millisecond):
		}
	}
	p.stop()
	p.mu.Lock()
	for s := range p.sessions {
		s.client.Close()
	}
	for _, b := range p.backends {
		b.end()
	}
	p.mu.Unlock()
	p.wg.Wait()
	p.mu.Lock()
	for _, b := range p.backends {
		b.end()
	}
	p.mu.Unlock()
}

// end closes every connection.
func (b *backend) end() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.retired = true
	for _, stack := range b.idle {
		for _, s := range stack {
			s.Close()
		}
	}
	clear(b.idle)
	for s := range b.busy {
		_ = s.Close()
	}
}
