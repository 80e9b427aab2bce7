package load

import (
	"math"
	"time"
)

// average is the kernel's load average: a count of tasks decayed over 1, 5 and 15 minutes.
//
// The kernel looks every 5 s and keeps exp(-5s/1min) of the former value (kernel/sched/loadavg.c); this one is told
// how much time went by, so that a late look counts for as long as it stands for.
type average struct {
	one, five, fifteen float64
}

func (a *average) add(tasks float64, elapsed time.Duration) {
	decay := func(former float64, over time.Duration) float64 {
		keep := math.Exp(-elapsed.Seconds() / over.Seconds())
		return former*keep + tasks*(1-keep)
	}
	a.one = decay(a.one, time.Minute)
	a.five = decay(a.five, 5*time.Minute)
	a.fifteen = decay(a.fifteen, 15*time.Minute)
}
