package measure

import (
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"time"
)

// proxy reads haproxy's statistics, once for all who ask in the same round.
type proxy struct {
	socket string

	mu   sync.Mutex
	at   time.Time
	last statistics
	err  error
}

// statistics are of the backend that serves the farm's roles.
type statistics struct {
	process string // of the worker that counts; another one begins at nought
	// Of the backend as a whole.
	queued, requests float64
	roles            map[string]roleStatistics
}

type roleStatistics struct {
	queued, answers float64
	limited         bool // connections to its servers are limited, so that requests can wait for one
}

// backend is the name that the haproxy behavior gives the one that serves.
const backend = "servers"

func (p *proxy) read(ctx context.Context, now time.Time) (statistics, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !now.Equal(p.at) {
		p.at = now
		p.last, p.err = p.ask(ctx)
	}
	return p.last, p.err
}

func (p *proxy) ask(ctx context.Context) (statistics, error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "unix", p.socket)
	if err != nil {
		return statistics{}, fmt.Errorf("asking haproxy for its statistics: %w", err)
	}
	defer conn.Close()
	if deadline, ok := ctx.Deadline(); ok {
		conn.SetDeadline(deadline)
	}
	if _, err := io.WriteString(conn, "show info; show stat\n"); err != nil {
		return statistics{}, fmt.Errorf("asking haproxy for its statistics: %w", err)
	}
	answer, err := io.ReadAll(io.LimitReader(conn, 4<<20))
	if err != nil {
		return statistics{}, fmt.Errorf("asking haproxy for its statistics: %w", err)
	}
	s, err := parseStatistics(string(answer))
	if err != nil {
		return statistics{}, fmt.Errorf("asking haproxy for its statistics: %w", err)
	}
	return s, nil
}

// parseStatistics reads the answer to "show info; show stat": lines of "name: value", and a table.
func parseStatistics(answer string) (statistics, error) {
	info, table, ok := strings.Cut(answer, "# pxname,")
	if !ok {
		return statistics{}, errors.New("it shows no statistics")
	}
	s := statistics{roles: map[string]roleStatistics{}}
	for line := range strings.Lines(info) {
		if pid, ok := strings.CutPrefix(line, "Pid: "); ok {
			s.process = strings.TrimSpace(pid)
		}
	}
	rows := csv.NewReader(strings.NewReader("pxname," + table))
	rows.FieldsPerRecord = -1
	head, err := rows.Read()
	if err != nil {
		return statistics{}, err
	}
	column := map[string]int{}
	for i, name := range head {
		column[name] = i
	}
	for {
		row, err := rows.Read()
		if errors.Is(err, io.EOF) {
			return s, nil
		}
		if err != nil {
			return statistics{}, err
		}
		text := func(name string) string {
			if i, ok := column[name]; ok && i < len(row) {
				return row[i]
			}
			return ""
		}
		value := func(name string) float64 { v, _ := strconv.ParseFloat(text(name), 64); return v }
		if text("pxname") != backend {
			continue
		}
		if text("svname") == "BACKEND" {
			s.queued, s.requests = value("qcur"), value("req_tot")
			continue
		}
		role := roleOf(text("svname"))
		of := s.roles[role]
		of.queued += value("qcur")
		for _, class := range []string{"1xx", "2xx", "3xx", "4xx", "5xx", "other"} {
			of.answers += value("hrsp_" + class)
		}
		of.limited = of.limited || value("slim") > 0
		s.roles[role] = of
	}
}

// roleOf is the role of an instance's name.
func roleOf(server string) string {
	if i := strings.LastIndexByte(server, '-'); i > 0 {
		return server[:i]
	}
	return server
}

// alone tells whether the role is the only one that the backend serves: then what the backend counts is its own, also
// what no server was there for.
func (s statistics) alone(role string) bool {
	_, there := s.roles[role]
	return len(s.roles) == 0 || there && len(s.roles) == 1
}

// count is the number of the role's requests that this worker of haproxy has seen.
func (s statistics) count(role string) float64 {
	if s.alone(role) {
		return s.requests
	}
	return s.roles[role].answers
}

// balancerRequests measures the role's requests per second at this balancer.
type balancerRequests struct {
	of   *proxy
	role string
	counter
}

func (b *balancerRequests) measure(ctx context.Context, now time.Time) (float64, error) {
	s, err := b.of.read(ctx, now)
	if err != nil {
		return 0, err
	}
	epoch := s.process
	if !s.alone(b.role) {
		epoch += "/" + strconv.Itoa(len(s.roles)) // counted in another way than before
	}
	return b.rate(s.count(b.role), now, epoch)
}

// queueDepth measures the requests that wait at this balancer for one of the role's servers.
type queueDepth struct {
	of   *proxy
	role string
}

func (q *queueDepth) measure(ctx context.Context, now time.Time) (float64, error) {
	s, err := q.of.read(ctx, now)
	if err != nil {
		return 0, err
	}
	of, there := s.roles[q.role]
	if there && !of.limited {
		return 0, errors.New("requests never wait at the balancer, for it sends any number to each server at once. Set settings.server_connections of its role")
	}
	if s.alone(q.role) {
		return of.queued + s.queued, nil
	}
	return of.queued, nil
}
