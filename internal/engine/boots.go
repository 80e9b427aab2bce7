package engine

import (
	"math"
	"slices"
	"time"

	"github.com/farmhand/terraform-provider-farmhand/internal/spec"
)

const (
	// keptBoots are enough for a 95th percentile that is not the maximum, and few enough to follow a new image.
	keptBoots = 20
	// bootPercentile: one boot in twenty may be an accident.
	bootPercentile = 0.95
)

// booted remembers how long a server took to serve.
func (p *pass) booted(took time.Duration) {
	boots := append(slices.Clone(p.memory.Boots), spec.Duration(max(0, took)))
	p.memory.Boots = boots[max(0, len(boots)-keptBoots):]
}

// bootTime is how long the role's servers take from launch to serving, by the 95th percentile of the latest; by those
// that serve where nothing is remembered; the launch timeout while none has.
func (p *pass) bootTime() time.Duration {
	boots := p.memory.Boots
	if len(boots) == 0 {
		for i := range p.members {
			if m := &p.members[i]; !m.ServedAt.IsZero() {
				boots = append(boots, spec.Duration(m.ServedAt.Sub(m.Created)))
			}
		}
	}
	if len(boots) == 0 {
		return p.role.Spec.LaunchTimeout.Std()
	}
	return percentile(boots)
}

// percentile is the bootPercentile of some boots, by nearest rank.
func percentile(boots []spec.Duration) time.Duration {
	sorted := slices.Sorted(slices.Values(boots))
	rank := int(math.Ceil(bootPercentile*float64(len(sorted)))) - 1
	return sorted[max(0, rank)].Std()
}
