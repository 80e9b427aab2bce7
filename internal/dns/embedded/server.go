// Package embedded is the sidecar's own nameserver: authoritative for the farm's zone, by UDP and TCP, on a port
// that needs no root. It forwards other names to this machine's resolvers, so that instances need one only.
package embedded

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	wire "github.com/miekg/dns"

	"github.com/farmhand/terraform-provider-farmhand/internal/dns"
	"github.com/farmhand/terraform-provider-farmhand/internal/dns/answer"
)

// udpSize is the largest UDP answer: what DNS Flag Day 2020 found to pass everywhere without fragments.
const udpSize = 1232

// Options of a Server.
type Options struct {
	Zone       string       // that it is authoritative for, also before anything is published
	ResolvConf string       // "": /etc/resolv.conf
	Log        *slog.Logger // nil: silent
	// Now gives the serial its start, so that it grows over restarts. nil: time.Now.
	Now func() time.Time
}

// Server answers for one zone. Publish may be called at any time, from any goroutine.
type Server struct {
	opts    Options
	tcp     net.Listener
	udp     net.PacketConn
	own     netip.AddrPort
	forward *forwarder
	turn    atomic.Uint32

	publish sync.Mutex
	zone    atomic.Pointer[answer.Zone]
}

// Listen opens the server on host, on the same port for UDP and TCP: port if it is free, else any. Serve answers.
func Listen(host string, port int, opts Options) (*Server, error) {
	if opts.ResolvConf == "" {
		opts.ResolvConf = "/etc/resolv.conf"
	}
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	if opts.Now == nil {
		opts.Now = time.Now
	}
	s := &Server{opts: opts}
	if err := s.listen(host, port); err != nil {
		return nil, err
	}
	s.forward = newForwarder(opts.ResolvConf, func(server string) bool { return server == s.own.String() })
	s.zone.Store(answer.New(dns.Zone{Name: opts.Zone}, uint32(opts.Now().Unix())))
	return s, nil
}

// listen finds a port that is free for both.
func (s *Server) listen(host string, port int) error {
	ports := []int{port}
	for range 20 {
		ports = append(ports, 0)
	}
	var err error
	for _, p := range ports {
		if s.tcp, err = net.Listen("tcp", net.JoinHostPort(host, strconv.Itoa(p))); err != nil {
			continue
		}
		if a, ok := s.tcp.Addr().(*net.TCPAddr); ok {
			s.own = a.AddrPort()
		}
		if s.udp, err = net.ListenPacket("udp", s.own.String()); err == nil {
			return nil
		}
		_ = s.tcp.Close()
	}
	return fmt.Errorf("finding a port for the nameserver on %s: %w", host, err)
}

// Port is where it listens.
func (s *Server) Port() int { return int(s.own.Port()) }

// Serial is that of the zone now.
func (s *Server) Serial() uint32 { return s.zone.Load().Serial() }

// Publish answers from plan from now on. The serial moves if plan says anything new.
func (s *Server) Publish(plan dns.Zone) {
	s.publish.Lock()
	defer s.publish.Unlock()
	former := s.zone.Load()
	if former.Plan().Equal(plan) {
		return
	}
	s.zone.Store(answer.New(plan, max(former.Serial()+1, uint32(s.opts.Now().Unix()))))
}

// Serve answers until ctx ends, then closes. nil after that.
func (s *Server) Serve(ctx context.Context) error {
	servers := []*wire.Server{
		{PacketConn: s.udp, Handler: wire.HandlerFunc(func(w wire.ResponseWriter, r *wire.Msg) { s.handle(ctx, w, r, "udp") }), UDPSize: udpSize},
		{Listener: s.tcp, Handler: wire.HandlerFunc(func(w wire.ResponseWriter, r *wire.Msg) { s.handle(ctx, w, r, "tcp") })},
	}
	ended := make(chan error, len(servers))
	for _, server := range servers {
		go func() { ended <- server.ActivateAndServe() }()
	}
	var err error
	left := len(servers)
	select {
	case <-ctx.Done():
	case err = <-ended:
		left--
	}
	// Closed rather than shut down: a question under way is asked again by its client.
	_ = s.udp.Close()
	_ = s.tcp.Close()
	for range left {
		if e := <-ended; err == nil {
			err = e
		}
	}
	if ctx.Err() != nil {
		return nil //nolint:nilerr // told to end
	}
	return err
}

// Close closes what Listen opened, for a server that is never served.
func (s *Server) Close() error { return errors.Join(s.udp.Close(), s.tcp.Close()) }

func (s *Server) handle(ctx context.Context, w wire.ResponseWriter, request *wire.Msg, network string) {
	reply := s.reply(ctx, request, network)
	size := wire.MaxMsgSize
	if network == "udp" {
		size = wire.MinMsgSize
		if opt := request.IsEdns0(); opt != nil {
			size = min(max(int(opt.UDPSize()), wire.MinMsgSize), udpSize)
		}
	}
	reply.Truncate(size)
	if err := w.WriteMsg(reply); err != nil {
		s.opts.Log.Debug("answering a question", "error", err)
	}
}

func (s *Server) reply(ctx context.Context, request *wire.Msg, network string) *wire.Msg {
	reply := new(wire.Msg)
	reply.SetReply(request)
	reply.RecursionAvailable = true
	if opt := request.IsEdns0(); opt != nil {
		reply.SetEdns0(udpSize, false)
		if opt.Version() != 0 {
			reply.Rcode = wire.RcodeBadVers
			return reply
		}
	}
	if request.Opcode != wire.OpcodeQuery {
		reply.Rcode = wire.RcodeNotImplemented
		return reply
	}
	if len(request.Question) != 1 {
		reply.Rcode = wire.RcodeFormatError
		return reply
	}
	q := request.Question[0]
	zone := s.zone.Load()
	switch {
	case q.Qclass != wire.ClassINET && q.Qclass != wire.ClassANY, q.Qtype == wire.TypeAXFR, q.Qtype == wire.TypeIXFR:
		reply.Rcode = wire.RcodeRefused
	case zone.Holds(q.Name):
		zone.Answer(reply, q, s.own.Addr(), int(s.turn.Add(1)&0xffff))
	case !request.RecursionDesired:
		reply.Rcode = wire.RcodeRefused
	default:
		a, err := s.forward.ask(ctx, request, network)
		if err != nil {
			s.opts.Log.Debug("forwarding a question", "name", q.Name, "error", err)
			reply.Rcode = wire.RcodeServerFailure
			return reply
		}
		a.Id = request.Id
		return a
	}
	return reply
}
