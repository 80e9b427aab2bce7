package rival

import (
	"math"

	"github.com/farmhand/terraform-provider-farmhand/internal/simulate/world"
)

const awsTargetSource = "Amazon EC2 Auto Scaling user guide, \"Target tracking scaling policies\"; alarms as it creates them: 3 of 3 minutes high, 15 of 15 low at 90 %"

// awsTarget is EC2 Auto Scaling's target tracking on one-minute data, as documented until it began to tune itself in
// November 2024 (that rule is not published).
//
// Two alarms: high when three minutes in a row are above the target, low when fifteen are below nine tenths of it. Out:
// the capacity that brings the metric to the target, rounded up; servers that warm up count as asked for already and
// not as capacity. Warm is who has served for the whole of the newest minute. In: rounded so that rather too few are removed, and not while a scale-out is under way.
type awsTarget struct{ minute int }

const (
	awsHighMinutes = 3
	awsLowMinutes  = 15
	awsLowShare    = 0.9
)

func (a *awsTarget) Desired(s world.Sight) int {
	if s.Minute == a.minute {
		return s.Desired
	}
	a.minute = s.Minute
	if len(s.Minutes) == 0 || s.Whole == 0 {
		return s.Desired // no data: never scales in, and nothing to multiply
	}
	newest := s.Minutes[len(s.Minutes)-1]
	want := int(math.Ceil(float64(s.Whole)*newest/s.Target - 1e-9))
	switch {
	case all(s.Minutes, awsHighMinutes, func(v float64) bool { return v > s.Target }):
		return max(s.Desired, want)
	case all(s.Minutes, awsLowMinutes, func(v float64) bool { return v < awsLowShare*s.Target }) && s.Coming == 0 && s.Whole == s.Serving:
		return min(s.Desired, want)
	}
	return s.Desired
}

// all tells whether there are n minutes and the newest n are as wanted.
func all(minutes []float64, n int, wanted func(float64) bool) bool {
	if len(minutes) < n {
		return false
	}
	for _, v := range minutes[len(minutes)-n:] {
		if !wanted(v) {
			return false
		}
	}
	return true
}
