package engine

import (
	"slices"
	"time"

	"github.com/farmhand/terraform-provider-farmhand/internal/spec"
	"github.com/farmhand/terraform-provider-farmhand/internal/state"
)

// What a forecast learns: for each quarter of an hour of the day and of the week the mean of what was, of which newer
// days say more than older ones; and how much higher today is than that. Two days make a shape of the day; a weekday
// speaks for itself once it has been seen twice.

const (
	quarter      = 15 * time.Minute
	quartersADay = 24 * 4
	// dayMemory and weekMemory are over how many days and weeks a mean goes: a shape changes within a month.
	dayMemory  = 5
	weekMemory = 4
	// wholeWeek is how often a weekday's quarter has to have been seen to speak for itself, and wholeDay a day's to speak at all.
	wholeWeek = 2
	wholeDay  = 2
	// levelMemory is over how many quarters the level goes, and levelMost how far it may be from 1: a flash crowd is
	// the other policies' concern.
	levelMemory = 8
	levelMost   = 2.0
	// leastInQuarter: a quarter that was measured less often than this was hardly seen.
	leastInQuarter = 3
)

// learn adds a measurement of the role's load at a time. h is not changed. A time that is not after what was learnt is
// left out.
func learn(h state.History, p spec.Policy, at time.Time, load float64) state.History {
	of, f := p.Metric.Key(), *p.Forecast
	if h.Of != of || h.Zone != f.Zone || len(h.Day) != quartersADay || len(h.DaySeen) != quartersADay || len(h.Week) != 7*quartersADay || len(h.WeekSeen) != 7*quartersADay {
		h = state.History{Of: of, Zone: f.Zone, Level: 1,
			Day: make([]float32, quartersADay), DaySeen: make([]byte, quartersADay),
			Week: make([]float32, 7*quartersADay), WeekSeen: make([]byte, 7*quartersADay)}
	}
	start := at.UTC().Truncate(quarter)
	switch {
	case h.Open.Start.IsZero():
		h.Open.Start = start
	case start.Before(h.Open.Start): // a clock that went back: nothing is learnt twice
		return h
	case start.After(h.Open.Start):
		h = closeQuarter(h, f.Location())
		h.Open = state.Quarter{Start: start}
	}
	h.Open.Sum += load
	h.Open.N++
	return h
}

// closeQuarter takes the open quarter into the means, after it has been compared with what was foreseen of it.
func closeQuarter(h state.History, zone *time.Location) state.History {
	at := h.Open.Start
	h.Closed = at.Add(quarter)
	if h.Open.N < leastInQuarter {
		return h
	}
	v := h.Open.Sum / float64(h.Open.N)
	if h.Since.IsZero() {
		h.Since = at
	}
	if shape, ok := shapeAt(&h, zone, at); ok {
		h.Tried++
		weight := 1 / float64(min(h.Tried, quartersADay))
		off := shape*h.Level - v
		h.Off += (max(off, -off) - h.Off) * weight
		h.Mean += (v - h.Mean) * weight
		if shape > 0 {
			h.Level += (min(max(v/shape, 1/levelMost), levelMost) - h.Level) / levelMemory
		}
	}
	day, week := quarterOf(zone, at)
	h.Day, h.DaySeen = meanWith(h.Day, h.DaySeen, day, v, dayMemory)
	h.Week, h.WeekSeen = meanWith(h.Week, h.WeekSeen, week, v, weekMemory)
	return h
}

// meanWith is means and how many each is of, in new slices, with v in it.
func meanWith(means []float32, seen []byte, i int, v float64, memory int) ([]float32, []byte) {
	means, seen = slices.Clone(means), slices.Clone(seen)
	if seen[i] < 255 {
		seen[i]++
	}
	means[i] += (float32(v) - means[i]) / float32(min(int(seen[i]), memory))
	return means, seen
}

// quarterOf is which quarter of the day and of the week it is on the zone's clocks.
func quarterOf(zone *time.Location, at time.Time) (day, week int) {
	t := at.In(zone)
	day = t.Hour()*4 + t.Minute()/15
	return day, int(t.Weekday())*quartersADay + day
}

// shapeAt is the load that such a time has had; ok is false while it is not known.
func shapeAt(h *state.History, zone *time.Location, at time.Time) (load float64, ok bool) {
	day, week := quarterOf(zone, at)
	if h.DaySeen[day] < wholeDay {
		return 0, false
	}
	own := float64(min(h.WeekSeen[week], wholeWeek)) / wholeWeek
	return own*float64(h.Week[week]) + (1-own)*float64(h.Day[day]), true
}
