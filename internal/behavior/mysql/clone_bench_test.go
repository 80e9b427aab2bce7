package mysql

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/farmhand/terraform-provider-farmhand/internal/authority"
	"github.com/farmhand/terraform-provider-farmhand/internal/state"
)

// TestCloneNumbers prints how long clones of 260 MB take. With FARMHAND_BENCH only: it is a measurement.
func TestCloneNumbers(t *testing.T) {
	if os.Getenv("FARMHAND_BENCH") == "" {
		t.Skip("a measurement: set FARMHAND_BENCH=1")
	}
	r := newRig(t, 2)
	r.start(1)
	n := r.nodes[1]
	db := n.app()
	n.exec(db, "CREATE TABLE rows_ (id INT PRIMARY KEY AUTO_INCREMENT, b LONGTEXT)")
	for range 26 {
		n.exec(db, "INSERT INTO rows_ (b) SELECT CONCAT(REPEAT('x', 5000), HEX(RANDOM_BYTES(1024)), HEX(RANDOM_BYTES(1024)), HEX(RANDOM_BYTES(500))) FROM seq_1_to_1000")
	}
	r.nodes[2].launch()
	r.primary(1, "", true, 2)
	r.nodes[2].awaitSetup()
	r.nodes[2].until("following", following)
	for range 4 {
		r.order(func(d *state.Database) {
			o := d.Orders["db-2"]
			o.Seq, o.Office = o.Seq+1, state.OfficeClone
			d.Orders["db-2"] = o
		})
		seq := r.decided().Orders["db-2"].Seq
		r.nodes[2].until("a clone", func(d state.DatabaseReport) bool { return d.Done == seq && following(d) })
		r.order(func(d *state.Database) {
			o := d.Orders["db-2"]
			o.Office = state.OfficeReplica
			d.Orders["db-2"] = o
		})
		seq = r.decided().Orders["db-2"].Seq
		r.nodes[2].until("a replica", func(d state.DatabaseReport) bool { return d.Done == seq })
	}
	for line := range strings.Lines(r.nodes[2].out.String()) {
		if strings.HasPrefix(line, "farmhand: cloned") {
			t.Log(strings.TrimSpace(line))
		}
	}
}

// TestReplicationNumbers prints how many rows a second eight writers have acknowledged by a replica, which follows by TLS and in plain
// text by turns. With FARMHAND_BENCH only: it is a measurement.
func TestReplicationNumbers(t *testing.T) {
	if os.Getenv("FARMHAND_BENCH") == "" {
		t.Skip("a measurement: set FARMHAND_BENCH=1")
	}
	r := newRig(t, 2)
	r.start(1, 2)
	p, replica := r.nodes[1], r.nodes[2]
	db := p.app()
	db.SetMaxIdleConns(8)
	var id atomic.Int64
	for turn := range 8 {
		var plain []string
		if turn%2 == 1 {
			plain = []string{p.address}
		}
		r.order(func(d *state.Database) { d.Plain = append([]string{"192.0.2.1"}, plain...) }) // the primary lets in either
		replica.until("the other way", func(d state.DatabaseReport) bool {
			st, err := replica.runner.db().Status(t.Context())
			return err == nil && st.Receiving && st.Encrypted == (plain == nil) && following(d)
		})
		ctx, cancel := context.WithTimeout(t.Context(), 6*time.Second)
		var done atomic.Int64
		var writers sync.WaitGroup
		for range 8 {
			writers.Go(func() {
				for ctx.Err() == nil {
					if _, err := db.ExecContext(ctx, "INSERT INTO acked (id, filler) VALUES (?, REPEAT('x', 100))", id.Add(1)); err == nil {
						done.Add(1)
					}
				}
			})
		}
		writers.Wait()
		cancel()
		t.Logf("encrypted %v: %d rows/s", plain == nil, done.Load()/6)
	}
}

// BenchmarkCloneTransport is the way of a clone without the programs at its ends: 256 MB are sent, hashed on both sides.
func BenchmarkCloneTransport(b *testing.B) {
	const size = 256 << 20
	a, err := authority.Parse(authority.New("bench", time.Now()))
	if err != nil {
		b.Fatal(err)
	}
	i, err := a.Issue(netip.MustParseAddr("127.0.0.1"), []string{"db-1"}, time.Now())
	if err != nil {
		b.Fatal(err)
	}
	for name, encrypted := range map[string]bool{"plain": false, "TLS": true} {
		b.Run(name, func(b *testing.B) {
			server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				to := io.MultiWriter(flushing{w}, sha256.New())
				for piece, n := make([]byte, chunk), 0; n < size; n += chunk {
					if _, err := to.Write(piece); err != nil {
						return
					}
				}
			}))
			transport := &http.Transport{}
			if encrypted {
				server.Listener, transport.TLSClientConfig = tls.NewListener(server.Listener, i.Server()), i.Client("127.0.0.1")
			}
			server.Start()
			defer server.Close()
			defer transport.CloseIdleConnections()
			url := server.URL
			if encrypted {
				url = strings.Replace(url, "http:", "https:", 1)
			}
			b.SetBytes(size)
			for b.Loop() {
				response, err := (&http.Client{Transport: transport}).Post(url, "", nil)
				if err != nil {
					b.Fatal(err)
				}
				n, err := io.CopyBuffer(struct{ io.Writer }{sha256.New()}, struct{ io.Reader }{response.Body}, make([]byte, chunk))
				if err != nil || n != size {
					b.Fatal(n, err)
				}
				_ = response.Body.Close()
			}
		})
	}
}
