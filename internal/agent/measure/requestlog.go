package measure

import (
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// LogAddress is where haproxy logs its requests to when response times are asked for: UDP, within the instance.
const LogAddress = "127.0.0.1:8514"

// requestLog receives what haproxy logs and hands the times on.
type requestLog struct {
	conn net.PacketConn

	mu    sync.Mutex
	times []*responseTime
}

// to says who the times are for.
func (l *requestLog) to(times []*responseTime) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.times = times
}

// open listens, unless it does already.
func (l *requestLog) open(address string) error {
	if l.conn != nil {
		return nil
	}
	conn, err := net.ListenPacket("udp", address)
	if err != nil {
		return err
	}
	l.conn = conn
	if udp, ok := conn.(*net.UDPConn); ok {
		_ = udp.SetReadBuffer(1 << 20) // as much of it as the kernel allows: a burst is some thousand requests
	}
	go l.receive(conn)
	return nil
}

func (l *requestLog) close() {
	if l.conn != nil {
		l.conn.Close()
		l.conn = nil
	}
}

func (l *requestLog) receive(conn net.PacketConn) {
	buffer := make([]byte, 2048)
	for {
		n, _, err := conn.ReadFrom(buffer)
		if err != nil {
			return // closed
		}
		server, ms, ok := parseRequest(string(buffer[:n]))
		if !ok {
			continue
		}
		l.mu.Lock()
		to := slices.Clone(l.times)
		l.mu.Unlock()
		role := roleOf(server)
		for _, r := range to {
			// One that no server was found for is everybody's: whoever it was for, it waited.
			if server == "<NOSRV>" || r.role == role {
				r.add(ms)
			}
		}
	}
}

// parseRequest reads a line in the format behavior.RequestLog. It gives the time from when the balancer had the request until the server's answer began: how long the
// client takes to read it is not the servers' doing. A request that got no answer counts with all the time that it
// took; one that its client gave up on does not count, unless it was waiting for an answer.
func parseRequest(line string) (server string, ms int64, ok bool) {
	_, rest, ok := strings.Cut(line, "farmhand ")
	fields := strings.Fields(rest)
	if !ok || len(fields) != 6 {
		return "", 0, false
	}
	var n [4]int64
	for i, f := range fields[2:] {
		v, err := strconv.ParseInt(strings.TrimPrefix(f, "+"), 10, 64)
		if err != nil {
			return "", 0, false
		}
		n[i] = v
	}
	wait, connect, answer, all := n[0], n[1], n[2], n[3]
	switch {
	case answer >= 0:
		return fields[0], max(0, wait) + max(0, connect) + answer, true
	case strings.HasPrefix(fields[1], "CR"), strings.HasPrefix(fields[1], "cR"), strings.HasPrefix(fields[1], "PR"):
		return "", 0, false // the request itself was never whole
	case all >= 0:
		return fields[0], all, true
	}
	return "", 0, false
}
