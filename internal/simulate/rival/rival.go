package rival

import (
	"time"

	"github.com/farmhand/terraform-provider-farmhand/internal/simulate/trace"
	"github.com/farmhand/terraform-provider-farmhand/internal/simulate/world"
)

// Rival is an algorithm with its name and source.
type Rival struct {
	Name   string
	Source string
	// New makes one for a run. Each run has its own: they remember.
	New func(world.Envelope, world.Options, trace.Source) (world.Algorithm, error)
}

// All are the algorithms of the field, in the order in which they are shown; the lower bound is the last.
func All() []Rival {
	simple := func(a func() world.Algorithm) func(world.Envelope, world.Options, trace.Source) (world.Algorithm, error) {
		return func(world.Envelope, world.Options, trace.Source) (world.Algorithm, error) { return a(), nil }
	}
	return []Rival{
		{"aws-target", awsTargetSource, simple(func() world.Algorithm { return &awsTarget{} })},
		{"aws-step", awsStepSource, simple(func() world.Algorithm { return &awsStep{} })},
		{"kubernetes-hpa", kubernetesSource, simple(func() world.Algorithm { return &kubernetes{} })},
		{"nomad-target", nomadSource, simple(func() world.Algorithm { return &nomad{} })},
		{"scalr-2012", scalrSource, simple(func() world.Algorithm { return &scalr{} })},
		{"foresight", foresightSource, newForesight},
	}
}

// every tells when a period has gone by; it keeps the period's rhythm whatever the tick.
type every struct {
	period time.Duration
	next   time.Time
}

func (e *every) due(now time.Time) bool {
	if now.Before(e.next) {
		return false
	}
	if e.next.IsZero() {
		e.next = now
	}
	for !e.next.After(now) {
		e.next = e.next.Add(e.period)
	}
	return true
}
