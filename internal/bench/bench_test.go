package main

import (
	"testing"
	"time"
)

func TestBenchmarkRow(t *testing.T) {
	got, ok := benchmarkRow("BenchmarkDecide/roles=1000-2   	      80	  14412345 ns/op	 7712345 B/op	   51234 allocs/op")
	want := row{what: "Engine, one pass: Decide/roles=1000", measured: "14.4 ms, 7.7 MB allocated", how: "the package's Go benchmark"}
	if !ok || got != want {
		t.Errorf("got %+v, %v; want %+v", got, ok, want)
	}
	for _, line := range []string{"", "goos: linux", "PASS", "ok  	example/engine	3.2s", "BenchmarkDecide/roles=1000"} {
		if r, ok := benchmarkRow(line); ok {
			t.Errorf("%q was read as %+v", line, r)
		}
	}
}

func TestSpread(t *testing.T) {
	for want, all := range map[string][]time.Duration{
		"not measured":         nil,
		"2.0 s (2.0 to 2.0)":   {2 * time.Second},
		"3.0 s (1.5 to 9.0)":   {9 * time.Second, 1500 * time.Millisecond, 3 * time.Second},
		"2.5 s (1.0 to 100.0)": {100 * time.Second, time.Second, 2 * time.Second, 3 * time.Second},
	} {
		if got := spread(all); got != want {
			t.Errorf("spread of %v is %q, want %q", all, got, want)
		}
	}
}
