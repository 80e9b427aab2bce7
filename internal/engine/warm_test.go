package engine_test

import (
	"slices"
	"testing"
	"time"

	"github.com/farmhand/terraform-provider-farmhand/internal/engine"
	"github.com/farmhand/terraform-provider-farmhand/internal/spec"
	"github.com/farmhand/terraform-provider-farmhand/internal/state"
)

// TestWarmUpFollowsTheBoots: what a boot leaves in the load average decides, and never less than the window.
func TestWarmUpFollowsTheBoots(t *testing.T) {
	const window = 7 * time.Second
	load := spec.Metric{Kind: spec.LoadAverage, Window: spec.Duration(window)}
	cpu := spec.Metric{Kind: spec.CPU, Window: spec.Duration(window)}
	of := func(n int, d time.Duration) []spec.Duration {
		return slices.Repeat([]spec.Duration{spec.Duration(d)}, n)
	}
	for name, c := range map[string]struct {
		metric spec.Metric
		boots  []spec.Duration
		want   time.Duration
	}{
		"none known":        {load, nil, 30 * time.Second},
		"few known":         {load, of(4, time.Second), 30 * time.Second},
		"short":             {load, of(5, 5*time.Second), 4 * time.Second},
		"none took time":    {load, of(20, 0), 4 * time.Second},
		"a minute and more": {load, of(20, 90*time.Second), 15 * time.Second}, // 30 s + 60 s * ln(1 - e^-1.5)
		"endless":           {load, of(20, 24*time.Hour), 30 * time.Second},
		"one accident":      {load, append(of(19, 5*time.Second), spec.Duration(time.Hour)), 4 * time.Second},
		"two accidents":     {load, append(of(18, 5*time.Second), of(2, time.Hour)...), 30 * time.Second},
		"of another kind":   {cpu, of(20, time.Hour), 4 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			var got time.Duration
			in := engine.Instance{Instance: state.Instance{Phase: state.Running, ServedAt: start}}
			for !engine.Warm(start.Add(got), c.metric, c.boots, in) {
				got += time.Second
			}
			if got != c.want+window {
				t.Errorf("warm after %s, want %s", got, c.want+window)
			}
		})
	}
}
