package engine

import (
	"math"
	"time"

	"github.com/farmhand/terraform-provider-farmhand/internal/spec"
	"github.com/farmhand/terraform-provider-farmhand/internal/state"
)

// Warm-up: how long after a server first served its measurements say nothing of the role's load.
const (
	// warmLoad: the one-minute load average still holds the work of booting; after half a minute three fifths of that
	// remain, on one server among several. It is what a boot that never ended would need to have no more left.
	warmLoad = 30 * time.Second
	// warmOther: balancers notice a new server within this.
	warmOther = 4 * time.Second
	// warmBoots: fewer boots say little of the next.
	warmBoots = 5
)

// Warm tells whether the instance's samples of the metric count at now: it is running, and has served for its
// warm-up and the whole window. boots are those that its role remembers (Memory.Boots), nil for none.
func Warm(now time.Time, m spec.Metric, boots []spec.Duration, in Instance) bool {
	if in.Phase != state.Running || in.ServedAt.IsZero() {
		return false
	}
	warmUp := warmOther
	if m.Kind == spec.LoadAverage {
		warmUp = warmUpAfter(boots)
	}
	return now.Sub(in.ServedAt) >= warmUp+m.Window.Std()
}

// warmUpAfter is how long the load average needs to forget the boot. A boot of length B at a load L leaves
// L·(1−e^(−B/1m)) in it, and after a warm-up w that times e^(−w/1m). The warm-up is as long as it takes until no more is
// left than warmLoad leaves of a boot without end: w = warmLoad + 1m·ln(1−e^(−B/1m)), from warmOther to warmLoad. B is the
// 95th percentile of the role's own boots; warmLoad while too few are known.
func warmUpAfter(boots []spec.Duration) time.Duration {
	if len(boots) < warmBoots {
		return warmLoad
	}
	left := 1 - math.Exp(-float64(percentile(boots))/float64(time.Minute))
	if left <= 0 {
		return warmOther
	}
	return max(warmOther, warmLoad+time.Duration(float64(time.Minute)*math.Log(left)))
}
