package engine

import (
	"time"

	"github.com/farmhand/terraform-provider-farmhand/internal/spec"
	"github.com/farmhand/terraform-provider-farmhand/internal/state"
)

// Warm-up: how long after a server first served its measurements say nothing of the role's load.
const (
	// warmLoad: the one-minute load average still holds the work of booting; after half a minute three fifths of that
	// remain, on one server among several.
	warmLoad = 30 * time.Second
	// warmOther: balancers notice a new server within this.
	warmOther = 4 * time.Second
)

// Warm tells whether the instance's samples of the metric count at now: it is running, and has served for its
// warm-up and the whole window.
func Warm(now time.Time, m spec.Metric, in Instance) bool {
	if in.Phase != state.Running || in.ServedAt.IsZero() {
		return false
	}
	warmUp := warmOther
	if m.Kind == spec.LoadAverage {
		warmUp = warmLoad
	}
	return now.Sub(in.ServedAt) >= warmUp+m.Window.Std()
}
