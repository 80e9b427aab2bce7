package sqlproxy

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// BenchmarkPointSelects measures point selects of 32 connections: direct, through the proxy, and through HAProxy, one
// after the other: on a busy machine they do not compare. It logs the table's lines; -benchtime is each one's share.
func BenchmarkPointSelects(b *testing.B) {
	w := newWorld(b, 1)
	w.servers[0].exec(b, "CREATE TABLE app.t (id INT PRIMARY KEY, v VARCHAR(64))")
	for i := range 1000 {
		w.servers[0].exec(b, fmt.Sprintf("INSERT INTO app.t VALUES (%d, REPEAT('x', 64))", i))
	}
	p, proxied := w.proxy(nil)
	eventually(b, "the replica may be read from", func() error {
		if !p.positions.get().known {
			return errors.New("the position is unknown")
		}
		var n int
		if err := w.servers[1].root.QueryRow("SELECT COUNT(*) FROM app.t").Scan(&n); err != nil || n < 1000 {
			return fmt.Errorf("%d rows, %w", n, err)
		}
		return nil
	})
	targets := []struct{ name, address string }{{"direct", w.servers[1].address}, {"proxy", proxied}}
	if a := haproxy(b, w, w.servers[1].address); a != "" {
		targets = append(targets, struct{ name, address string }{"haproxy", a})
	}
	for _, t := range targets {
		b.Run(t.name, func(b *testing.B) {
			db := open(b, t.address, "interpolateParams=true")
			db.SetMaxOpenConns(32)
			db.SetMaxIdleConns(32)
			var next atomic.Int64
			all := make([][]time.Duration, 32)
			var wg sync.WaitGroup
			start := time.Now()
			for g := range all {
				wg.Go(func() {
					for {
						i := next.Add(1)
						if i > int64(b.N) {
							return
						}
						began := time.Now()
						var v string
						if err := db.QueryRow("SELECT v FROM t WHERE id = ?", i%1000).Scan(&v); err != nil {
							b.Error(err)
							return
						}
						all[g] = append(all[g], time.Since(began))
					}
				})
			}
			wg.Wait()
			b.ReportMetric(float64(b.N)/time.Since(start).Seconds(), "queries/s")
			times := slices.Concat(all...)
			slices.Sort(times)
			if len(times) > 0 {
				b.ReportMetric(float64(times[len(times)/2].Microseconds()), "µs-median")
				b.ReportMetric(float64(times[len(times)*99/100].Microseconds()), "µs-p99")
			}
		})
		// One connection alone: what the way through costs when nobody waits for a processor.
		b.Run(t.name+"-alone", func(b *testing.B) {
			db := open(b, t.address, "interpolateParams=true")
			db.SetMaxOpenConns(1)
			times := make([]time.Duration, 0, b.N)
			for i := range b.N {
				began := time.Now()
				var v string
				if err := db.QueryRow("SELECT v FROM t WHERE id = ?", i%1000).Scan(&v); err != nil {
					b.Fatal(err)
				}
				times = append(times, time.Since(began))
			}
			slices.Sort(times)
			b.ReportMetric(float64(times[len(times)/2].Microseconds()), "µs-median")
			b.ReportMetric(float64(times[len(times)*99/100].Microseconds()), "µs-p99")
		})
	}
}

// haproxy starts one in front of a server, "" where there is none.
func haproxy(b *testing.B, w *world, address string) string {
	if _, err := exec.LookPath("haproxy"); err != nil {
		return ""
	}
	l, err := net.Listen("tcp", "127.78.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	at := l.Addr().String()
	l.Close()
	conf := filepath.Join(w.dir, "haproxy.cfg")
	text := "global\n nbthread 2\ndefaults\n mode tcp\n timeout connect 1s\n timeout client 1m\n timeout server 1m\nlisten x\n bind " + at + "\n server s " + address + "\n"
	if err := os.WriteFile(conf, []byte(text), 0o644); err != nil {
		b.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	c := exec.CommandContext(ctx, "haproxy", "-db", "-f", conf)
	if err := c.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { stop(); c.Wait() })
	eventually(b, "haproxy answers", func() error {
		c, err := net.Dial("tcp", at)
		if err == nil {
			c.Close()
		}
		return err
	})
	return at
}
