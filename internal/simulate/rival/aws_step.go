package rival

import (
	"math"

	"github.com/farmhand/terraform-provider-farmhand/internal/simulate/world"
)

const awsStepSource = "Amazon EC2 Auto Scaling user guide, \"Step and simple scaling policies\": its example's bands (threshold 50; +10 % from 60, +30 % from 70, -10 % below 40, -30 % below 30), alarms of 2 minutes"

// awsStep is EC2 Auto Scaling's step scaling with the user guide's own example, whose threshold of 50 is the target.
//
// With a warm-up, a step is applied to the capacity that is warm, and the group never wants less than it has for it: as
// long as the former step's servers warm up, the same band asks for nothing more and a higher one for the difference.
// Scaling in waits until nothing warms up.
type awsStep struct{ minute int }

// awsBand begins at a share of the target and changes the capacity by a share.
type awsBand struct{ from, change float64 }

var (
	awsOut = []awsBand{{1.0, 0}, {1.2, 0.1}, {1.4, 0.3}}   // from each inclusive, up to the next
	awsIn  = []awsBand{{1.0, 0}, {0.8, -0.1}, {0.6, -0.3}} // down from each inclusive
)

const awsStepMinutes = 2

func (a *awsStep) Desired(s world.Sight) int {
	if s.Minute == a.minute {
		return s.Desired
	}
	a.minute = s.Minute
	if len(s.Minutes) == 0 || s.Whole == 0 {
		return s.Desired
	}
	x := s.Minutes[len(s.Minutes)-1] / s.Target
	switch {
	case all(s.Minutes, awsStepMinutes, func(v float64) bool { return v >= s.Target }):
		change := 0.0
		for _, b := range awsOut {
			if x >= b.from {
				change = b.change
			}
		}
		return max(s.Desired, s.Whole+percentChange(float64(s.Whole)*change))
	case all(s.Minutes, awsStepMinutes, func(v float64) bool { return v <= s.Target }) && s.Coming == 0 && s.Whole == s.Serving:
		change := 0.0
		for _, b := range awsIn {
			if x <= b.from {
				change = b.change
			}
		}
		return s.Desired + percentChange(float64(s.Desired)*change)
	}
	return s.Desired
}

// percentChange rounds as PercentChangeInCapacity does: above 1 down, between 0 and 1 to 1, between -1 and 0 to -1,
// below -1 towards 0.
func percentChange(x float64) int {
	switch {
	case x > 0 && x < 1:
		return 1
	case x < 0 && x > -1:
		return -1
	}
	return int(math.Trunc(x + math.Copysign(1e-9, x)))
}
