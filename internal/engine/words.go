package engine

import (
	"fmt"
	"slices"
	"time"

	"github.com/farmhand/terraform-provider-farmhand/internal/spec"
)

// Helpers for sentences that a tired person understands.

// brief is a duration as one would say it: "3.2s", "45s", "12m", "3h20m".
func brief(d time.Duration) string {
	switch {
	case d < 0:
		return "0s"
	case d < 10*time.Second:
		return spec.Duration(d.Round(100 * time.Millisecond)).String()
	case d < 2*time.Minute:
		return spec.Duration(d.Round(time.Second)).String()
	}
	return spec.Duration(d.Round(time.Minute)).String()
}

// servers is "1 server" or "3 servers".
func servers(n int) string { return plural(n, "server") }

func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// called is what a metric is called in a sentence.
func called(m spec.Metric) string { return m.Words() }

// amount is a value of a metric: "2.31", "87 %".
func amount(m spec.Metric, v float64) string { return m.Amount(v) }

func orElse(s, fallback string) string {
	if s == "" {
		return fallback
	}
	return s
}

// with is a new slice that holds s too: what a View points to is never written to.
func with(list []string, s string) []string {
	if slices.Contains(list, s) {
		return list
	}
	return append(slices.Clone(list), s)
}
