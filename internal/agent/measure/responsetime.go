package measure

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/farmhand/terraform-provider-farmhand/internal/spec"
	"github.com/farmhand/terraform-provider-farmhand/internal/state"
)

const (
	// longest response time told apart, in milliseconds: no server is waited for as long.
	longest = 10 * 60 * 1000
	// figures that count: one per cent.
	figures = 2
)

// responseTime measures a statistic of the response times that haproxy logged for a role within a window.
type responseTime struct {
	of        *proxy
	role      string
	statistic string

	mu      sync.Mutex
	times   *hdrhistogram.WindowedHistogram
	logged  []int64 // per round of the window, the latest last
	trouble error

	counted []float64 // per round, by haproxy's own count
	counter counter
}

func newResponseTime(of *proxy, a state.Asked) *responseTime {
	rounds := max(2, int((a.Metric.Window.Std()+every-1)/every))
	return &responseTime{of: of, role: a.Role, statistic: a.Metric.Statistic,
		times: hdrhistogram.NewWindowed(rounds, 1, longest, figures), logged: make([]int64, rounds), counted: make([]float64, rounds)}
}

// add takes a request's time in milliseconds.
func (r *responseTime) add(ms int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	// Nothing beyond its range is recorded; a time beyond is as good as the longest, none as good as a millisecond.
	_ = r.times.Current.RecordValue(min(max(ms, 1), longest))
	r.logged[len(r.logged)-1]++
}

// deaf tells that nothing can be heard.
func (r *responseTime) deaf(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.trouble = fmt.Errorf("listening for what haproxy logs: %w", err)
}

// measure closes a round. The statistic is that of the whole window, so each sample speaks for many requests. In a
// window without requests nobody waited, which is a response time of nought, but only if haproxy counted none either.
func (r *responseTime) measure(ctx context.Context, now time.Time) (float64, error) {
	s, err := r.of.read(ctx, now)
	if err != nil {
		return 0, err
	}
	rate, rateErr := r.counter.rate(s.count(r.role), now, s.process)
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.trouble != nil {
		err, r.trouble = r.trouble, nil
		return 0, err
	}
	whole := r.times.Merge()
	logged, counted := int64(0), 0.0
	r.counted = append(r.counted[1:], rate)
	for i := range r.logged {
		logged, counted = logged+r.logged[i], counted+r.counted[i]
	}
	r.times.Rotate()
	r.logged = append(r.logged[1:], 0)
	switch {
	case logged > 0:
		return seconds(whole, r.statistic)
	case rateErr != nil:
		return 0, errNotYet
	case counted > 0:
		return 0, errors.New("haproxy answers requests and logs none of them here")
	}
	return 0, nil
}

func seconds(h *hdrhistogram.Histogram, statistic string) (float64, error) {
	const ms = 1000.0
	switch statistic {
	case "", "avg":
		return h.Mean() / ms, nil
	case "min":
		return float64(h.Min()) / ms, nil
	case "max":
		return float64(h.Max()) / ms, nil
	}
	percent, ok := spec.Percentile(statistic)
	if !ok {
		return 0, fmt.Errorf("there is no %s of response times", statistic)
	}
	return float64(h.ValueAtQuantile(percent)) / ms, nil
}
