package rival

import (
	"time"

	"github.com/farmhand/terraform-provider-farmhand/internal/simulate/world"
)

const scalrSource = "Scalr 3.5-5.x (2012), Scalr_Scaling_Manager and its sensors' defaults: load average in < 2, out > 5, one pass a minute"

// scalr is Scalr as it was: once a minute the mean over the running servers of one sample. Above the upper threshold it
// launches, and repeats that up to ten times in the pass while the number allows (the sample stays the same); below
// the lower one it ends one server.
//
// It had no CPU metric: whatever the policy's metric, this looks at the load average. Its thresholds, 2 and 5, are taken
// in relation to the target, which is put half way between them. Left out is its
// rule for EC2's paid hours, of which there are none any more.
type scalr struct{ pass every }

const (
	scalrLow     = 2.0 / 3.5
	scalrHigh    = 5.0 / 3.5
	scalrEvery   = time.Minute
	scalrRepeats = 10
)

func (c *scalr) Desired(s world.Sight) int {
	c.pass.period = scalrEvery
	if !c.pass.due(s.Now) || !s.Known {
		return s.Desired
	}
	switch {
	case s.Load > scalrHigh*s.TargetLoad:
		return max(s.Desired, min(s.Serving+s.Coming+scalrRepeats, s.Max))
	case s.Load < scalrLow*s.TargetLoad && s.Serving > s.Min:
		return max(s.Desired-1, s.Min)
	}
	return s.Desired
}
