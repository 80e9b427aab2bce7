package embedded

import (
	"context"
	"errors"
	"net"
	"sync"
	"time"

	wire "github.com/miekg/dns"
)

const (
	// forwardsAtOnce bounds the questions under way to other resolvers; beyond it the answer is SERVFAIL at once,
	// which clients know how to handle, and not a queue that grows.
	forwardsAtOnce = 128
	// forwardPatience is for one resolver; clients give up after five seconds.
	forwardPatience = 2 * time.Second
	// reread is how often resolv.conf is read again: a laptop changes networks.
	reread = 10 * time.Second
)

var errNoResolver = errors.New("this machine has no other resolver")

// forwarder asks this machine's own resolvers about the rest of the world.
type forwarder struct {
	path  string            // resolv.conf
	self  func(string) bool // tells whether an address is our own: a loop
	slots chan struct{}

	mu      sync.Mutex
	servers []string
	read    time.Time
}

func newForwarder(path string, self func(string) bool) *forwarder {
	return &forwarder{path: path, self: self, slots: make(chan struct{}, forwardsAtOnce)}
}

// ask returns the first answer that a resolver gives, over the transport ("udp", "tcp") that we were asked by: a
// truncated answer is handed on as such, and the client comes back by TCP.
func (f *forwarder) ask(ctx context.Context, request *wire.Msg, network string) (*wire.Msg, error) {
	select {
	case f.slots <- struct{}{}:
		defer func() { <-f.slots }()
	default:
		return nil, errors.New("too many questions at once")
	}
	err := errNoResolver
	for _, server := range f.resolvers() {
		client := wire.Client{Net: network, Timeout: forwardPatience, UDPSize: udpSize}
		var reply *wire.Msg
		reply, _, err = client.ExchangeContext(ctx, request.Copy(), server)
		if err == nil && reply.Rcode != wire.RcodeServerFailure && reply.Rcode != wire.RcodeRefused {
			return reply, nil
		}
		if err == nil {
			err = errors.New(server + " answered " + wire.RcodeToString[reply.Rcode])
		}
	}
	return nil, err
}

func (f *forwarder) resolvers() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	if time.Since(f.read) < reread {
		return f.servers
	}
	f.read, f.servers = time.Now(), nil
	config, err := wire.ClientConfigFromFile(f.path)
	if err != nil {
		return nil
	}
	for _, s := range config.Servers {
		if server := net.JoinHostPort(s, config.Port); !f.self(server) {
			f.servers = append(f.servers, server)
		}
	}
	return f.servers
}
