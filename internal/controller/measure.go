package controller

import (
	"time"

	"github.com/farmhand/terraform-provider-farmhand/internal/engine"
	"github.com/farmhand/terraform-provider-farmhand/internal/spec"
)

func measure(p spec.Policy, of []engine.Instance, now time.Time) engine.Measure {
	return engine.Measure{}
}
