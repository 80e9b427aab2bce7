package rival

import (
	"math"
	"slices"
	"time"

	"github.com/farmhand/terraform-provider-farmhand/internal/simulate/world"
)

const kubernetesSource = "Kubernetes documentation, \"Horizontal Pod Autoscaling\", algorithm details and default behavior: tolerance 10 %, 15 s sync, 300 s down-stabilization, up by 4 or 100 % per 15 s"

// kubernetes is the Horizontal Pod Autoscaler with its defaults.
//
// desired = ceil(ready x current/target), unless the ratio is within the tolerance. Pods that are not ready yet count
// as idle when that scales up, and if the ratio then crosses 1 or the tolerance, nothing is done. Down goes to the
// highest recommendation of the last five minutes; up to the larger of 4 more and twice as many in 15 seconds.
type kubernetes struct {
	sync    every
	advised []advice
	grown   []advice // what was added, and when
}

type advice struct {
	at time.Time
	n  int
}

const (
	hpaTolerance  = 0.1
	hpaSync       = 15 * time.Second
	hpaStabilise  = 300 * time.Second
	hpaUpPeriod   = 15 * time.Second
	hpaUpPods     = 4
	hpaUpMultiple = 2
)

func (k *kubernetes) Desired(s world.Sight) int {
	k.sync.period = hpaSync
	if !k.sync.due(s.Now) || s.Desired == 0 {
		return s.Desired
	}
	n := k.stabilised(s, min(max(recommend(s), s.Min), s.Max))
	if n > s.Desired {
		n = min(n, k.mayGrowTo(s))
		if n > s.Desired {
			k.grown = append(k.grown, advice{s.Now, n - s.Desired})
		}
	}
	return n
}

// recommend is the replica calculator.
func recommend(s world.Sight) int {
	if !s.Known {
		return s.Desired
	}
	ratio := s.Latest / s.Target
	if s.Coming == 0 || ratio < 1 {
		if math.Abs(1-ratio) <= hpaTolerance {
			return s.Desired
		}
		return int(math.Ceil(ratio*float64(s.Serving) - 1e-9))
	}
	// Scaling up while some are not ready: they count, as idle.
	all := s.Serving + s.Coming
	again := s.Latest * float64(s.Serving) / float64(all) / s.Target
	if math.Abs(1-again) <= hpaTolerance || again < 1 {
		return s.Desired
	}
	n := int(math.Ceil(again*float64(all) - 1e-9))
	if n < s.Desired {
		return s.Desired
	}
	return n
}

// stabilised is the highest advice of the window, where it is below what there is.
func (k *kubernetes) stabilised(s world.Sight, n int) int {
	k.advised = slices.DeleteFunc(k.advised, func(a advice) bool { return s.Now.Sub(a.at) >= hpaStabilise })
	k.advised = append(k.advised, advice{s.Now, n})
	if n >= s.Desired {
		return n
	}
	highest := n
	for _, a := range k.advised {
		highest = max(highest, a.n)
	}
	return min(highest, s.Desired)
}

// mayGrowTo is the rate limit on scaling up.
func (k *kubernetes) mayGrowTo(s world.Sight) int {
	k.grown = slices.DeleteFunc(k.grown, func(a advice) bool { return s.Now.Sub(a.at) >= hpaUpPeriod })
	start := s.Desired
	for _, a := range k.grown {
		start -= a.n
	}
	return max(start+hpaUpPods, start*hpaUpMultiple)
}
