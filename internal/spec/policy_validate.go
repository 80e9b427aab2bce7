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
	kinds := 0
	for _, set := range []bool{p.Target != nil, len(p.Steps) > 0, p.Schedule != nil} {
		if set {
			kinds++
		}
	}
	switch {
	case kinds == 0:
		c.wrong("target", "the policy has neither a target, nor steps, nor a schedule", "Set exactly one of target, step and schedule")
	case kinds > 1:
		at := "step"
		if p.Schedule != nil {
			at = "schedule"
		}
		c.wrong(at, "the policy is of several kinds at once", "Set exactly one of target, step and schedule, and write a second policy for the other")
	case p.Schedule != nil:
		p.Schedule.validate(&c)
		if p.Metric != nil {
			c.wrong("metric", "a schedule goes by the clock and measures nothing", "Remove it, or write a second policy with it")
		}
	case p.Metric == nil:
		c.wrong("metric", "there is nothing to measure", "Write metric = { load_average = { minutes = 1 } } or metric = { cpu = {} }")
	default:
		p.Metric.validate(&c)
		before, load := len(c.problems), p.AsLoad()
		if p.Target != nil {
			load.validateTarget(&c)
		} else {
			load.validateSteps(&c)
		}
		p.sayMirrored(c.problems[before:])
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
	if line := t * (1 + p.Tolerance); line >= top {
		advice := "Lower the target"
		if t > 1 && t < 100 {
			advice = fmt.Sprintf("It is a share of 1: write %v for %v %%", t/100, t)
		}
		c.wrong("target", fmt.Sprintf("target %v can never be exceeded: with tolerance %v the role grows above %.3g, and the %s is at most 1", t, p.Tolerance, line, p.Metric.Words()), advice)
	}
}

func (s Schedule) validate(c *checker) {
	const at = "schedule."
	zone, err := loadZone(s.Zone)
	if err != nil {
		c.wrong(at+"zone", fmt.Sprintf("%q is not a time zone: %v", s.Zone, err), `Write an IANA name, as in "Europe/Paris" or "UTC"`)
	}
	times, err := parseCron(s.Cron)
	switch {
	case err != nil:
		c.wrong(at+"cron", fmt.Sprintf("%q is not a schedule: %v", s.Cron, err), `Write minute, hour, day of the month, month and day of the week, as in "0 8 * * 1-5" for eight o'clock on working days`)
	case zone != nil && (calendar{times, zone}).next(referenceYear).IsZero():
		c.wrong(at+"cron", fmt.Sprintf("%q never fires: there is no such day", s.Cron), "Correct the day of the month or the month")
	}
	switch {
	case s.Duration <= 0:
		c.wrong(at+"duration", "is zero: it would never be active", `Write how long it lasts from each firing, as in "10h"`)
	case s.Duration > maxScheduled:
		c.wrong(at+"duration", fmt.Sprintf("%s is more than a year", s.Duration), "What always holds belongs into the role's min and max")
	case s.Duration < Duration(time.Minute):
		c.warn(at+"duration", fmt.Sprintf("%s is over before a server has come up", s.Duration), `Check the unit: "10h" is ten hours`)
	}
	if s.Min == nil && s.Max == nil {
		c.wrong(at+"min", "neither min nor max is set: it would change nothing", "Set one of them or both")
	}
	for _, bound := range []struct {
		attribute string
		n         *int
	}{{"min", s.Min}, {"max", s.Max}} {
		if bound.n != nil && *bound.n < 0 {
			c.wrong(at+bound.attribute, fmt.Sprintf("%d is negative", *bound.n), "The least is 0: no server at all")
		}
	}
	if s.Min != nil && s.Max != nil && *s.Min > *s.Max {
		c.wrong(at+"min", fmt.Sprintf("min %d is greater than max %d", *s.Min, *s.Max), "Lower min or raise max")
	}
}

const maxScheduled = Duration(366 * 24 * time.Hour)

// referenceYear is where schedules are tried out: a leap year, and any year will do for the rest.
var referenceYear = time.Date(2023, 12, 31, 23, 59, 59, 0, time.UTC)
