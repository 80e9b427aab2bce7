package spec

import (
	"fmt"
	"math"
	"time"
)

const (
	// MinWindow holds two samples of an agent that samples every two seconds; MaxWindow is what its report carries.
	MinWindow = Duration(4 * time.Second)
	MaxWindow = Duration(time.Minute)
	// maxTolerance: beyond it a target says nothing.
	maxTolerance = 0.5
	// MaxSteps is Auto Scaling's limit of adjustments in a policy.
	MaxSteps = 20
)

// Validate checks everything that the policy's own declaration can show, after SetDefaults. What it does together with
// others of its role is ValidatePolicies' concern.
func (p Policy) Validate() []Problem {
	var c checker
	c.label("farm", p.Farm, maxLabel)
	c.label("role", p.Role, maxRoleName)
	c.policyName("name", p.Name)
	p.validateKind(&c)
	p.ScaleOut.validate(&c, "scale_out")
	p.ScaleIn.validate(&c, "scale_in")
	if p.Metric == nil && (p.ScaleOut != nil || p.ScaleIn != nil) {
		c.wrong(p.Kind(), "a policy that measures nothing casts no votes for scale_out and scale_in to bound", "Remove them")
	}
	c.wait("cooldown", p.Cooldown)
	return c.problems
}

// policyName takes a name that stands in no host name.
func (c *checker) policyName(attribute, s string) {
	switch {
	case s == "":
		c.wrong(attribute, "is empty", "Leave it out for the default, or write a name")
	case len(s) > maxLabel || !recordLabel.MatchString(s):
		c.wrong(attribute, fmt.Sprintf("%q is not a name", s), "Use up to 63 lower-case letters, digits, hyphens and underscores, with a letter or digit at the end")
	}
}

func (p Policy) validateTarget(c *checker) {
	t := *p.Target
	top := p.Metric.highest()
	switch {
	case math.IsNaN(t) || math.IsInf(t, 0):
		c.wrong("target", fmt.Sprintf("%v is no number", t), "Write one, as in target = 1.5")
		return
	case t <= 0:
		c.wrong("target", fmt.Sprintf("target %v can never be met: a %s is never below zero, and at zero servers nothing is measured", t, p.Metric.words()), "Write a number above zero")
		return
	}
	if !(p.Tolerance >= 0 && p.Tolerance <= maxTolerance) {
		c.wrong("tolerance", fmt.Sprintf("%v is not between 0 and %v", p.Tolerance, maxTolerance), "Write 0.1 for ten per cent")
		return
	}
	if line := p.OutLine(); line >= top {
		advice := "Lower the target"
		if t > 1 && t < 100 {
			advice = fmt.Sprintf("It is a share of 1: write %v for %v %%", t/100, t)
		}
		c.wrong("target", fmt.Sprintf("target %v can never be exceeded: with tolerance %v the role grows above %.3g, and the %s is at most 1", t, p.Tolerance, line, p.Metric.Words()), advice)
	}
}
