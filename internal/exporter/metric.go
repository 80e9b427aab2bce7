package exporter

import (
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Metric is one that a Collector exports. All are gauges: nothing is counted here, and what the store counts may be reset.
type Metric struct {
	Name   string
	Help   string // a sentence; docs/guides/monitoring.md has the same
	Labels []string
	desc   *prometheus.Desc
}

// all are the metrics of this package, in the order of the files' names.
var all []*Metric

// Metrics lists what is exported, by name.
func Metrics() []Metric {
	list := make([]Metric, 0, len(all))
	for _, m := range all {
		list = append(list, *m)
	}
	slices.SortFunc(list, func(a, b Metric) int { return strings.Compare(a.Name, b.Name) })
	return list
}

func gauge(name, help string, labels ...string) *Metric {
	m := &Metric{Name: "farmhand_" + name, Help: help, Labels: labels}
	m.desc = prometheus.NewDesc(m.Name, m.Help, m.Labels, nil)
	all = append(all, m)
	return m
}

// samples are the values of one reading.
type samples struct {
	now  time.Time
	list []prometheus.Metric
}

func (s *samples) put(m *Metric, value float64, labels ...string) {
	sample, err := prometheus.NewConstMetric(m.desc, prometheus.GaugeValue, value, labels...)
	if err != nil {
		sample = prometheus.NewInvalidMetric(m.desc, err)
	}
	s.list = append(s.list, sample)
}

// flag is 1 or 0.
func (s *samples) flag(m *Metric, is bool, labels ...string) {
	value := 0.0
	if is {
		value = 1
	}
	s.put(m, value, labels...)
}

// at is a moment in seconds since 1970; the zero time is none.
func (s *samples) at(m *Metric, t time.Time, labels ...string) {
	if !t.IsZero() {
		s.put(m, float64(t.UnixMilli())/1e3, labels...)
	}
}
