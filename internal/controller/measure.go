package controller

import (
	"time"

	"github.com/farmhand/terraform-provider-farmhand/internal/engine"
	"github.com/farmhand/terraform-provider-farmhand/internal/metric"
	"github.com/farmhand/terraform-provider-farmhand/internal/spec"
)

// measure is the policy's metric over the role's instances now; nothing for a policy without a metric.
func measure(p spec.Policy, of []engine.Instance, now time.Time) engine.Measure {
	if p.Metric == nil {
		return engine.Measure{}
	}
	m := *p.Metric
	return metric.OfRole(now, m, of, func(i engine.Instance) bool { return engine.Warm(now, m, i) })
}
