package spec

import (
	"fmt"
	"slices"
	"time"
)

func (s Schedule) validate(c *checker) {
	const at = "schedule."
	zone, err := loadZone(s.Zone)
	if err != nil {
		c.wrong(at+"zone", fmt.Sprintf("%q is not a time zone: %v", s.Zone, err), `Write an IANA name, as in "Europe/Paris" or "UTC"`)
	}
	switch {
	case !s.weekly():
		s.validateCron(c, zone)
	case s.Cron != "" || s.Duration != 0:
		c.wrong(at+"cron", "is set beside days, from and to: both say when it is active", "Keep cron and duration, or days, from and to")
	default:
		s.validateWeek(c)
	}
	s.validateBounds(c)
}

func (s Schedule) validateCron(c *checker, zone *time.Location) {
	const at = "schedule."
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
}

func (s Schedule) validateWeek(c *checker) {
	const at = "schedule."
	for i, day := range s.Days {
		if _, ok := dayOf(day); !ok {
			c.wrong(fmt.Sprintf("%sdays[%d]", at, i), fmt.Sprintf("%q is no day of the week", day), "Write mon, tue, wed, thu, fri, sat or sun")
		}
		if slices.Contains(s.Days[:i], day) {
			c.wrong(fmt.Sprintf("%sdays[%d]", at, i), fmt.Sprintf("%q is named twice", day), "Name it once")
		}
	}
	for _, end := range []struct{ attribute, value string }{{"from", s.From}, {"to", s.To}} {
		if _, err := timeOfDay(end.value); err != nil {
			c.wrong(at+end.attribute, fmt.Sprintf("%q is no time of the day", end.value), `Write hours and minutes, as in "08:00" or "22:30"`)
		}
	}
}

func (s Schedule) validateBounds(c *checker) {
	const at = "schedule."
	if s.Min == nil && s.Max == nil && s.Exact == nil {
		c.wrong(at+"min", "neither min nor max nor exact is set: it would change nothing", "Set one of them")
	}
	if s.Exact != nil && (s.Min != nil || s.Max != nil) {
		c.wrong(at+"exact", "is set beside min or max: it is both at once", "Keep exact, or min and max")
	}
	for _, bound := range []struct {
		attribute string
		n         *int
	}{{"min", s.Min}, {"max", s.Max}, {"exact", s.Exact}} {
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
