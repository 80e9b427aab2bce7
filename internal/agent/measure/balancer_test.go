package measure

import (
	"context"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/farmhand/terraform-provider-farmhand/internal/spec"
	"github.com/farmhand/terraform-provider-farmhand/internal/state"
)

// haproxy answers on a socket what it was told to.
type haproxy struct {
	mu     sync.Mutex
	answer string
}

func (h *haproxy) says(pid int, rows ...string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.answer = fmt.Sprintf("Name: HAProxy\nPid: %d\nUptime_sec: 1\n\n# pxname,svname,qcur,slim,req_tot,hrsp_1xx,hrsp_2xx,hrsp_3xx,hrsp_4xx,hrsp_5xx,hrsp_other,\n%s\n\n", pid, strings.Join(rows, "\n"))
}

func startHAProxy(t *testing.T) (*haproxy, *proxy) {
	socket := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	h := &haproxy{}
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			buffer := make([]byte, 100)
			n, _ := conn.Read(buffer)
			if string(buffer[:n]) == "show info; show stat\n" {
				h.mu.Lock()
				fmt.Fprint(conn, h.answer)
				h.mu.Unlock()
			}
			conn.Close()
		}
	}()
	return h, &proxy{socket: socket}
}

func TestRequestsAtTheBalancer(t *testing.T) {
	h, p := startHAProxy(t)
	web, api := &balancerRequests{of: p, role: "web"}, &balancerRequests{of: p, role: "web-api"}
	for i, c := range []struct {
		pid      int
		rows     []string
		web, api any // errNotYet or a rate
	}{
		{1, []string{"http,FRONTEND,,,9,,,,,,,", "servers,web-1,0,,,0,50,0,0,0,0,", "servers,BACKEND,0,200,100,0,50,0,0,0,0,"}, errNotYet, nil},
		{1, []string{"servers,web-1,0,,,0,60,0,0,0,0,", "servers,BACKEND,0,200,140,0,60,0,0,9,0,"}, 20.0, nil},        // no server was there for some
		{1, []string{"servers,BACKEND,0,200,144,,,,,,,"}, 2.0, nil},                                                   // nor for any
		{2, []string{"servers,web-1,0,,,0,150,0,0,0,0,", "servers,BACKEND,0,200,150,0,150,0,0,9,0,"}, errNotYet, nil}, // reloaded
		{2, []string{"servers,web-1,0,,,0,160,1,1,1,1,", "servers,web-2,0,,,0,0,0,0,0,0,", "servers,web-api-1,0,,,0,7,0,0,0,0,", "servers,BACKEND,0,200,200,,,,,,,"}, errNotYet, errNotYet},
		{2, []string{"servers,web-1,0,,,0,180,1,1,1,1,", "servers,web-2,0,,,0,4,0,0,0,0,", "servers,web-api-1,0,,,0,17,0,0,0,0,", "servers,BACKEND,0,200,300,,,,,,,"}, 12.0, 5.0},
	} {
		h.says(c.pid, c.rows...)
		for _, m := range []struct {
			meter *balancerRequests
			want  any
		}{{web, c.web}, {api, c.api}} {
			if m.want == nil {
				continue
			}
			v, err := m.meter.measure(t.Context(), at(2*i))
			if rate, ok := m.want.(float64); ok && (err != nil || !near(v, rate)) || !ok && !errors.Is(err, errNotYet) {
				t.Errorf("round %d, %s: %v, %v; want %v", i, m.meter.role, v, err, m.want)
			}
		}
	}
	h.says(2, "no such table")
	p.socket += "-not"
	if _, err := web.measure(t.Context(), at(60)); err == nil || errors.Is(err, errNotYet) {
		t.Errorf("of a balancer that does not answer: %v", err)
	}
}

func TestQueueAtTheBalancer(t *testing.T) {
	h, p := startHAProxy(t)
	q := &queueDepth{of: p, role: "web"}
	h.says(1, "servers,web-1,2,10,,,,,,,,", "servers,web-2,1,10,,,,,,,,", "servers,BACKEND,4,200,9,,,,,,,")
	if v, err := q.measure(t.Context(), at(0)); err != nil || v != 7 {
		t.Errorf("%v wait, %v; want those of both servers and of neither", v, err)
	}
	h.says(1, "servers,web-1,0,,,,,,,,,", "servers,BACKEND,0,200,9,,,,,,,")
	if _, err := q.measure(t.Context(), at(2)); err == nil || !strings.Contains(err.Error(), "server_connections") {
		t.Errorf("without a limit nothing ever waits, and nobody says so: %v", err)
	}
	h.says(1, "servers,BACKEND,3,200,9,,,,,,,")
	if v, err := q.measure(t.Context(), at(4)); err != nil || v != 3 {
		t.Errorf("without servers %v wait, %v; want 3", v, err)
	}
}

func TestParseRequest(t *testing.T) {
	for line, want := range map[string]struct {
		server string
		ms     int64
		ok     bool
	}{
		"<134>farmhand web-1 -- 0 1 20 500":   {"web-1", 21, true}, // the client's reading is its own affair
		"farmhand web-1 -- 30 0 70 +100":      {"web-1", 100, true},
		"farmhand <NOSRV> sQ 5000 -1 -1 5000": {"<NOSRV>", 5000, true}, // waited in vain
		"farmhand <NOSRV> SC 0 -1 -1 0":       {"<NOSRV>", 0, true},
		"farmhand web-2 sH 0 0 -1 30000":      {"web-2", 30000, true}, // no answer in time
		"farmhand web-2 CH 0 0 -1 12000":      {"web-2", 12000, true}, // the client gave up on an answer
		"farmhand <NOSRV> CR -1 -1 -1 3":      {"", 0, false},         // or did not ask at all
		"farmhand <NOSRV> PR -1 -1 -1 0":      {"", 0, false},
		"farmhand web-1 -- 0 1 20":            {"", 0, false},
		"farmhand web-1 -- a b c d":           {"", 0, false},
		"Proxy servers started.":              {"", 0, false},
		"":                                    {"", 0, false},
	} {
		server, ms, ok := parseRequest(line)
		if server != want.server || ms != want.ms || ok != want.ok {
			t.Errorf("%q is %q, %d, %t; want %+v", line, server, ms, ok, want)
		}
	}
}

// TestResponseTime: percentiles over a window of rounds, by what comes over the socket.
func TestResponseTime(t *testing.T) {
	h, p := startHAProxy(t)
	s := New(Options{Log: "127.0.0.1:0"})
	s.proxy = p
	ask := func(role, statistic string) state.Asked {
		m := spec.Metric{Kind: spec.ResponseTime, Statistic: statistic, Window: spec.Duration(6 * time.Second)}
		return state.Asked{Key: state.SampleKey(role, m), Role: role, Metric: m}
	}
	s.Follow([]state.Asked{ask("web", "p50"), ask("web", "p95"), ask("web", "max"), ask("web", "avg"), ask("api", "p95")})
	var log requestLog
	defer log.close()
	s.listen(&log)
	of := func(role, statistic string) *responseTime {
		return s.meters[ask(role, statistic).Key].meter.(*responseTime)
	}
	conn, err := net.Dial("udp", log.conn.LocalAddr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	total := 0
	requests := func(server string, times ...int) {
		for _, ms := range times {
			fmt.Fprintf(conn, "<134>farmhand %s -- 0 0 %d %d\n", server, ms, ms)
			total++
		}
	}
	received := func(r *responseTime, n int64) {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		for ctx.Err() == nil {
			r.mu.Lock()
			got := r.logged[len(r.logged)-1]
			r.mu.Unlock()
			if got == n {
				return
			}
		}
		t.Fatalf("%d requests did not arrive", n)
	}
	round := 0
	all := func() map[string]float64 {
		h.says(1, "servers,web-1,0,,,,,,,,,", fmt.Sprintf("servers,BACKEND,0,200,%d,,,,,,,", total))
		v := map[string]float64{}
		for key, e := range s.meters {
			if value, err := e.meter.measure(t.Context(), at(2*round)); err == nil {
				v[strings.TrimSuffix(strings.Replace(key, "/6s", "", 1), "@web")] = value
			} else if !errors.Is(err, errNotYet) {
				t.Errorf("round %d, %s: %v", round, key, err)
			}
		}
		round++
		return v
	}
	if v := all(); len(v) != 0 {
		t.Errorf("at the first look %v", v)
	}
	if v := all(); v["rtp95"] != 0 || len(v) != 5 {
		t.Errorf("without a request %v; nobody waited", v)
	}
	hundred := make([]int, 100)
	for i := range hundred {
		hundred[i] = 10 * (i + 1)
	}
	requests("web-1", hundred...)
	received(of("web", "p50"), 100)
	within := func(got, want float64) bool { return got > want*0.985 && got < want*1.015 }
	if v := all(); !within(v["rtp50"], 0.5) || !within(v["rtp95"], 0.95) || !within(v["rtmax"], 1) || !within(v["rtavg"], 0.505) {
		t.Errorf("of 10 ms to 1 s: %v", v)
	}
	requests("web-2", 5000, 5000, 5000)
	received(of("web", "p50"), 3)
	if v := all(); !within(v["rtmax"], 5) || !within(v["rtp50"], 0.52) {
		t.Errorf("with three slow ones: %v", v)
	}
	all()
	if v := all(); !within(v["rtp50"], 5) { // the hundred have left the window
		t.Errorf("after the hundred: %v", v)
	}
	if v := all(); v["rtmax"] != 0 {
		t.Errorf("after all: %v", v)
	}
	// haproxy counts requests that nobody told us of: an empty window is no quiet one.
	total += 50
	h.says(1, "servers,web-1,0,,,,,,,,,", fmt.Sprintf("servers,BACKEND,0,200,%d,,,,,,,", total))
	if v, err := of("web", "p95").measure(t.Context(), at(2*round)); err == nil || !strings.Contains(err.Error(), "logs none") {
		t.Errorf("with requests that were not logged: %v, %v", v, err)
	}
	s.Follow(nil)
	s.listen(&log)
	if log.conn != nil {
		t.Error("it listens though nobody asks")
	}
}
