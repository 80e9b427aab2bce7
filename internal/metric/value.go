package metric

import (
	"math"

	"github.com/farmhand/terraform-provider-farmhand/internal/spec"
	"github.com/farmhand/terraform-provider-farmhand/internal/state"
)

// value takes the metric's value out of a sample; ok is false if it cannot be true.
func value(m spec.Metric, s state.Sample) (v float64, ok bool) {
	switch m.Kind {
	case spec.CPU:
		if v = s.CPU; v > 1 && v <= cpuRounding {
			v = 1
		}
		return v, plausible(v) && v <= 1
	case spec.LoadAverage:
		switch m.Minutes {
		case 5:
			v = s.Load5
		case 15:
			v = s.Load15
		default:
			v = s.Load1
		}
		return v, plausible(v) && v <= mostTasks
	}
	return stored(m, m.Key(), s)
}

// stored takes what the agent was asked for out of a sample, by its key.
func stored(m spec.Metric, key string, s state.Sample) (v float64, ok bool) {
	if v, ok = s.Values[key]; !ok {
		return 0, false
	}
	switch m.Kind {
	case spec.MemoryUsed:
		return 1 - v, plausible(v) && v <= 1
	case spec.MemoryFree, spec.BusyWorkers:
		return v, plausible(v) && v <= 1
	}
	return v, plausible(v)
}

const (
	// cpuRounding: time used is counted in ticks and measured over two seconds; a share somewhat above all of it is
	// all of it, a larger one is garbage.
	cpuRounding = 1.5
	// mostTasks is what Linux numbers processes up to (2²²): no more can be waiting to run.
	mostTasks = 1 << 22
)

func plausible(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) && v >= 0 }
