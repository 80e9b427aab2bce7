package exporter

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/farmhand/terraform-provider-farmhand/internal/store"
)

const (
	// readPatience bounds one reading: a scrape of Prometheus waits ten seconds unless told otherwise.
	readPatience = 9 * time.Second
	// keepAnswer is for how long an answer is given again: who scrapes more often, or from several places, costs the store no more.
	keepAnswer = 5 * time.Second
	// readers bound the farms that are read at once.
	readers = 4
)

// Options are what a Collector works with. Store is needed.
type Options struct {
	Store   store.Store
	Farm    string           // "" for all
	Version string           // of this executable
	Now     func() time.Time // nil: time.Now
	Log     *slog.Logger     // nil: silent
}

// Collector is a prometheus.Collector. One collection reads, of each farm, seven ranges and one record for each role,
// and two ranges that farms share. Safe for concurrent use.
type Collector struct {
	opts Options

	mu    sync.Mutex
	last  []prometheus.Metric
	until time.Time // last is good before
	err   error     // why last says that the store cannot be read
}

var _ prometheus.Collector = (*Collector)(nil)

// New makes a Collector; it reads nothing yet.
func New(opts Options) *Collector {
	if opts.Now == nil {
		opts.Now = time.Now
	}
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	return &Collector{opts: opts}
}

// Describe implements prometheus.Collector.
func (c *Collector) Describe(descs chan<- *prometheus.Desc) {
	for _, m := range all {
		descs <- m.desc
	}
}

// Collect implements prometheus.Collector. A store that cannot be read is farmhand_store_up 0 and nothing else; a farm that cannot
// be read leaves the others as they are.
func (c *Collector) Collect(to chan<- prometheus.Metric) {
	c.mu.Lock()
	if now := c.opts.Now(); !now.Before(c.until) {
		c.last, c.err = c.collect(now)
		c.until = c.opts.Now().Add(keepAnswer)
	}
	last := c.last
	c.mu.Unlock()
	for _, m := range last {
		to <- m
	}
}

// failed is why the last collection could not read the store, nil if it could.
func (c *Collector) failed() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

func (c *Collector) collect(now time.Time) ([]prometheus.Metric, error) {
	ctx, cancel := context.WithTimeout(context.Background(), readPatience)
	defer cancel()
	s := &samples{now: now}
	s.put(buildInfo, 1, c.opts.Version)
	farms, alive, err := c.shared(ctx)
	if err == nil {
		var read []farm
		read, err = c.farms(ctx, farms)
		for i := range read {
			s.farm(&read[i])
		}
	}
	if err != nil {
		c.opts.Log.Warn("metrics: the store cannot be read; only farmhand_store_up is exported", "error", err)
		s.list = s.list[:1]
		s.flag(storeUp, false)
		return s.list, err
	}
	s.sidecars(alive)
	s.flag(storeUp, true)
	return s.list, nil
}

// farms reads them, some at a time. An error is of the store, and of the first farm that met one.
func (c *Collector) farms(ctx context.Context, names []string) ([]farm, error) {
	read, errs := make([]farm, len(names)), make([]error, len(names))
	turn := make(chan struct{}, readers)
	var work sync.WaitGroup
	for i, name := range names {
		turn <- struct{}{}
		work.Go(func() {
			defer func() { <-turn }()
			read[i], errs[i] = c.read(ctx, name)
		})
	}
	work.Wait()
	for _, err := range errs {
		if err != nil {
			return nil, err
		}
	}
	return read, nil
}
