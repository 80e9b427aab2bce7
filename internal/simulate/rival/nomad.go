package rival

import (
	"math"
	"time"

	"github.com/farmhand/terraform-provider-farmhand/internal/simulate/world"
)

const nomadSource = "hashicorp/nomad-autoscaler, plugins/builtin/strategy/target-value: last sample, threshold 1 %, ceil; policy defaults: evaluated every 10 s, cooldown 5m"

// nomad is nomad-autoscaler's target-value strategy with its defaults: count x value/target of the last sample, rounded
// up, unless that is within one per cent; nothing during the cooldown after an action.
type nomad struct {
	evaluate every
	acted    time.Time
}

const (
	nomadInterval  = 10 * time.Second
	nomadThreshold = 0.01
	nomadCooldown  = 5 * time.Minute
)

func (n *nomad) Desired(s world.Sight) int {
	n.evaluate.period = nomadInterval
	if !n.evaluate.due(s.Now) || !s.Known || !n.acted.IsZero() && s.Now.Sub(n.acted) < nomadCooldown {
		return s.Desired
	}
	factor := s.Latest / s.Target
	if math.Abs(factor-1) <= nomadThreshold {
		return s.Desired
	}
	want := int(math.Ceil(float64(s.Desired)*factor - 1e-9))
	if s.Desired == 0 {
		want = int(math.Ceil(factor))
	}
	want = min(max(want, s.Min), s.Max)
	if want != s.Desired {
		n.acted = s.Now
	}
	return want
}
