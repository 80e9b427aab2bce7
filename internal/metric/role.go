package metric

import (
	"fmt"
	"slices"
	"time"

	"github.com/farmhand/terraform-provider-farmhand/internal/engine"
	"github.com/farmhand/terraform-provider-farmhand/internal/spec"
	"github.com/farmhand/terraform-provider-farmhand/internal/state"
)

// enough samples of a server within the window for it to count: with fewer, one noisy sample would be its whole say.
const enough = 2

// OfRole measures m over the instances that are running and warm at now (see engine.Warm for what warm should be).
// While none is warm, every running one is asked: when all are new there is no older load that they could distort.
// Those coming up, draining or ended have no part in it. Samples of a report that is not by the present holder of the
// index are the controller's to leave out.
func OfRole(now time.Time, m spec.Metric, instances []engine.Instance, warm func(engine.Instance) bool) engine.Measure {
	asked := members(instances, warm)
	if len(asked) == 0 {
		return engine.Measure{Problem: "no server is running"}
	}
	measure := engine.Measure{Expected: len(asked)}
	windows := make([][]point, 0, len(asked))
	for _, in := range asked {
		if w := window(now, m, in.Report); len(w) >= enough {
			windows = append(windows, w)
		}
	}
	if len(windows) == 0 {
		measure.Problem = silent(now, m.Key(), asked)
		return measure
	}
	measure.Servers = len(windows)
	measure.Samples = len(windows[0])
	for _, w := range windows {
		measure.Samples = min(measure.Samples, len(w))
		measure.Age = max(measure.Age, now.Sub(w[0].at))
		measure.Value += statistic(m.Statistic, w) / float64(len(windows))
	}
	if !averaged(m) {
		measure.Floor, measure.Peak = measure.Value, measure.Value
		return measure
	}
	// The k-th newest samples of all servers make the role's k-th newest mean: agents sample in the same rhythm, not at
	// the same instant.
	for k := range measure.Samples {
		sum := 0.0
		for _, w := range windows {
			sum += w[k].value / float64(len(windows))
		}
		if k == 0 || sum < measure.Floor {
			measure.Floor = sum
		}
		if k == 0 || sum > measure.Peak {
			measure.Peak = sum
		}
	}
	return measure
}

// members are who is asked.
func members(instances []engine.Instance, warm func(engine.Instance) bool) []*engine.Instance {
	running, warmed := make([]*engine.Instance, 0, len(instances)), make([]*engine.Instance, 0, len(instances))
	for i := range instances {
		in := &instances[i]
		if in.Phase != state.Running {
			continue
		}
		running = append(running, in)
		if warm == nil || warm(*in) {
			warmed = append(warmed, in)
		}
	}
	if len(warmed) > 0 {
		return warmed
	}
	return running
}

// silent says why there is no measurement: what a server says of its own, or by the one that was heard last.
func silent(now time.Time, key string, asked []*engine.Instance) string {
	var last time.Time
	for _, in := range asked {
		if in.Report != nil && in.Report.Unmeasured[key] != "" {
			return in.Name() + ": " + in.Report.Unmeasured[key]
		}
	}
	for _, in := range asked {
		if in.Report != nil && in.Report.At.After(last) {
			last = in.Report.At
		}
	}
	heard := fmt.Sprintf("%s old", now.Sub(last).Round(time.Second))
	switch {
	case len(asked) == 1 && last.IsZero():
		return asked[0].Name() + " has not reported yet"
	case len(asked) == 1:
		return fmt.Sprintf("%s has given no samples for the window; its last report is %s", asked[0].Name(), heard)
	case last.IsZero():
		return fmt.Sprintf("none of %d servers has reported yet", len(asked))
	}
	return fmt.Sprintf("none of %d servers has given samples for the window; the last report is %s", len(asked), heard)
}

func mean(w []point) float64 {
	sum := 0.0
	for _, p := range w {
		sum += p.value / float64(len(w))
	}
	return sum
}

// point is a sample that counts.
type point struct {
	at    time.Time
	value float64
}

// window is what counts of a report's samples, newest first.
func window(now time.Time, m spec.Metric, r *state.Report) []point {
	return windowOf(now, m.Window.Std(), r, func(s state.Sample) (float64, bool) { return value(m, s) })
}

func windowOf(now time.Time, long time.Duration, r *state.Report, value func(state.Sample) (float64, bool)) []point {
	if r == nil {
		return nil
	}
	from, to := now.Add(-long), now.Add(skew)
	w := make([]point, 0, min(len(r.Samples), usual))
	for _, s := range r.Samples {
		if s.At.Before(from) || s.At.After(to) {
			continue
		}
		if v, ok := value(s); ok {
			w = append(w, point{s.At, v})
		}
	}
	slices.SortStableFunc(w, func(a, b point) int { return b.at.Compare(a.at) })
	return slices.CompactFunc(w, func(a, b point) bool { return a.at.Equal(b.at) })
}

// usual number of samples in a window; more is allocated where it holds more.
const usual = 8

// skew is how far an agent's clock may be ahead: a report is on its way for less than that, and clocks kept by NTP
// differ by less. What is stamped later is from a clock that cannot be trusted, so neither can its order or age.
const skew = time.Second
