package metric

import (
	"time"

	"github.com/farmhand/terraform-provider-farmhand/internal/engine"
	"github.com/farmhand/terraform-provider-farmhand/internal/spec"
	"github.com/farmhand/terraform-provider-farmhand/internal/state"
)

// Input is what a policy's metric can be measured from.
type Input struct {
	Now time.Time
	// Policy is as engine sees it: see spec.Policy.AsLoad.
	Policy spec.Policy
	// Instances are the role's, Balancers those of the roles that balance over it. Reports that are not by the present
	// holder of an index are left out.
	Instances, Balancers []engine.Instance
	// Boots are those that the role remembers; see engine.Warm.
	Boots []spec.Duration
	// Series is what the sidecar got when it asked for the metric.
	Series state.Series
}

// Of measures the policy's metric at Now, whoever measures it; nothing for a policy without a metric.
func Of(in Input) engine.Measure {
	if in.Policy.Metric == nil {
		return engine.Measure{}
	}
	m := *in.Policy.Metric
	warm := func(i engine.Instance) bool { return engine.Warm(in.Now, m, in.Boots, i) }
	switch m.Origin() {
	case spec.OnBalancer:
		return ofBalancers(in.Now, in.Policy.Role, m, in.Instances, in.Balancers, warm)
	case spec.AskedElsewhere:
		return ofSeries(in.Now, m, in.Instances, in.Series, warm)
	}
	return OfRole(in.Now, m, in.Instances, warm)
}

// ofWhole is the measurement of what is one number for the whole role, by its points in the window, newest first. It
// is borne by the servers that are warm: those that are coming up or have just come were not there when most of it was
// measured. With PerServer the number is a total and divided by them; with PerRole it is a level that is taken to fall
// in proportion as servers are added, which is what Kubernetes takes of every metric.
//
// While no server runs, the number is that of the role, and Servers is 0.
func ofWhole(now time.Time, m spec.Metric, points []point, instances []engine.Instance, warm func(engine.Instance) bool) engine.Measure {
	bearing := len(members(instances, warm))
	share := 1.0
	if m.Per == spec.PerServer && bearing > 0 {
		share = 1 / float64(bearing)
	}
	measure := engine.Measure{Servers: bearing, Expected: bearing, Samples: len(points), Age: now.Sub(points[0].at)}
	measure.Age = max(0, measure.Age)
	measure.Value = statistic(m.Statistic, points) * share
	measure.Floor, measure.Peak = measure.Value, measure.Value
	if averaged(m) {
		measure.Floor, measure.Peak = points[0].value*share, points[0].value*share
		for _, p := range points {
			measure.Floor, measure.Peak = min(measure.Floor, p.value*share), max(measure.Peak, p.value*share)
		}
	}
	return measure
}

// averaged tells whether single samples are to be looked at beside the window's value. Who declares another statistic
// has said how much one sample is to say.
func averaged(m spec.Metric) bool {
	return m.Statistic == "" || m.Statistic == "avg" || m.Kind == spec.ResponseTime
}
