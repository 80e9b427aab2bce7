package engine

import (
	"fmt"
	"slices"
	"strconv"
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
func called(m spec.Metric) string {
	if m.Kind == spec.CPU {
		return "CPU use"
	}
	if m.Minutes > 1 {
		return fmt.Sprintf("load average (%d min)", m.Minutes)
	}
	return "load average"
}

// amount is a value of a metric: "2.31", "87 %".
func amount(m spec.Metric, v float64) string {
	if m.Kind == spec.CPU {
		return number(v*100) + " %"
	}
	return number(v)
}

// number has two decimals and no empty ones.
func number(v float64) string {
	s := strconv.FormatFloat(v, 'f', 2, 64)
	for s[len(s)-1] == '0' {
		s = s[:len(s)-1]
	}
	if s[len(s)-1] == '.' {
		s = s[:len(s)-1]
	}
	return s
}

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
