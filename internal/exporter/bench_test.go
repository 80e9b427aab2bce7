package exporter_test

import (
	"io"
	"testing"
	"time"

	"github.com/farmhand/terraform-provider-farmhand/internal/exporter"
	"github.com/farmhand/terraform-provider-farmhand/internal/state"
)

// BenchmarkScrape reads a farm of a thousand servers, each with a minute of samples in its report, and writes the answer.
func BenchmarkScrape(b *testing.B) {
	w := newWorld(b)
	fill(w)
	var samples []state.Sample
	for i := range 30 {
		samples = append(samples, state.Sample{At: now.Add(time.Duration(i-30) * 2 * time.Second), Load1: 0.52, Load5: 0.48, Load15: 0.41, CPU: 0.2317})
	}
	for i := 4; i <= 1000; i++ {
		w.server("web", i, state.Running, state.Report{Samples: samples, VolumeUsed: 0.3})
	}
	c := w.collector()
	b.ReportAllocs()
	for b.Loop() {
		w.now = w.now.Add(time.Minute) // its last answer is too old
		var n counter
		if err := exporter.Write(&n, c); err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(float64(n)/1e3, "KB/answer")
	}
	b.ReportMetric(float64(w.reads.Load())/float64(b.N), "reads/op")
}

type counter int

func (c *counter) Write(p []byte) (int, error) {
	*c += counter(len(p))
	return len(p), nil
}

var _ io.Writer = (*counter)(nil)
