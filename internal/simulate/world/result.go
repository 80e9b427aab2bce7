package world

import (
	"slices"
	"time"
)

// Result is what came of a run.
type Result struct {
	Pilot  string `json:"pilot"`  // whose decisions: "farmhand", or the algorithm's name
	Source string `json:"source"` // where its rule is published
	Trace  string `json:"trace"`

	Start time.Time `json:"start"`
	End   time.Time `json:"end"`
	Ticks int       `json:"ticks"`

	// InstanceHours are paid: from the platform's call to the end of the drain.
	InstanceHours float64 `json:"instance_hours"`
	// MinutesAboveTarget is the time in which the servers in service had more to bear than the target each, however
	// little more; MinutesFarAboveTarget that with more than a tenth above it, which is beyond the usual tolerance.
	MinutesAboveTarget    float64 `json:"minutes_above_target"`
	MinutesFarAboveTarget float64 `json:"minutes_far_above_target"`
	// RequestsOverCapacity is the demand beyond what the servers in service can take at all, times seconds: requests,
	// where demand is in requests a second. OverCapacity is its share of all demand, 0 to 1.
	RequestsOverCapacity float64 `json:"requests_over_capacity"`
	OverCapacity         float64 `json:"over_capacity"`
	// MostBacklog is the most work that waited at once, if all that found no server waits: a queue's, in demand times
	// seconds.
	MostBacklog float64 `json:"most_backlog"`
	// Actions are changes of the number wanted, and Reversals those in the other direction than the one before.
	Actions   int `json:"actions"`
	Reversals int `json:"reversals"`
	// ReversalsPerHour is the most of them within any one hour.
	ReversalsPerHour int `json:"reversals_per_hour"`
	Peak             int `json:"peak"` // most servers in service at once
	Crashes          int `json:"crashes"`
	FailedLaunches   int `json:"failed_launches"`

	// Series is the run in a thousand or two thousand stretches.
	Series []Stretch `json:"series,omitempty"`
}

// Stretch is a part of the run.
type Stretch struct {
	At      time.Time `json:"at"`
	Needed  float64   `json:"needed"`  // servers that the demand's highest would have filled to the target
	Serving float64   `json:"serving"` // mean
}

// meter adds a run up.
type meter struct {
	Result
	demand    float64 // times seconds
	paid      time.Duration
	above     time.Duration
	farAbove  time.Duration
	wanted    int
	direction int
	reversals []time.Time // within the last hour
	per       int         // ticks in a stretch
	open      int         // ticks in the last one
}

const longestSeries = 2000

// tick adds one tick's length.
func (m *meter) tick(w *World, demand float64, desired int, dt time.Duration) {
	seconds := dt.Seconds()
	serving := w.Serving()
	m.Ticks++
	m.paid += time.Duration(len(w.Servers)) * dt
	m.demand += demand * seconds
	if demand > float64(serving)*w.Line*(1+1e-9) {
		m.above += dt
	}
	if demand > float64(serving)*w.Line*1.1 {
		m.farAbove += dt
	}
	m.RequestsOverCapacity += max(0, demand-float64(serving)*w.Capacity) * seconds
	m.Peak = max(m.Peak, serving)
	m.act(w.Now, desired)
	m.draw(w.Now, demand/w.Line, float64(serving))
}

func (m *meter) act(now time.Time, desired int) {
	direction := 0
	switch {
	case desired > m.wanted:
		direction = 1
	case desired < m.wanted:
		direction = -1
	default:
		return
	}
	m.wanted = desired
	m.Actions++
	if m.direction == -direction {
		m.Reversals++
		m.reversals = slices.DeleteFunc(m.reversals, func(t time.Time) bool { return now.Sub(t) >= time.Hour })
		m.reversals = append(m.reversals, now)
		m.ReversalsPerHour = max(m.ReversalsPerHour, len(m.reversals))
	}
	m.direction = direction
}

// draw adds to the series, whose stretches double in length whenever there are too many.
func (m *meter) draw(now time.Time, needed, serving float64) {
	if m.open == m.per || len(m.Series) == 0 {
		if len(m.Series) == longestSeries {
			for i := range longestSeries / 2 {
				a, b := m.Series[2*i], m.Series[2*i+1]
				m.Series[i] = Stretch{a.At, max(a.Needed, b.Needed), (a.Serving + b.Serving) / 2}
			}
			m.Series = m.Series[:longestSeries/2]
			m.per *= 2
		}
		m.per = max(m.per, 1)
		m.Series = append(m.Series, Stretch{At: now, Needed: needed, Serving: serving})
		m.open = 1
		return
	}
	s := &m.Series[len(m.Series)-1]
	s.Needed = max(s.Needed, needed)
	s.Serving += (serving - s.Serving) / float64(m.open+1)
	m.open++
}

func (m *meter) result(end time.Time) Result {
	m.End = end
	m.InstanceHours, m.MinutesAboveTarget, m.MinutesFarAboveTarget = m.paid.Hours(), m.above.Minutes(), m.farAbove.Minutes()
	if m.demand > 0 {
		m.OverCapacity = m.RequestsOverCapacity / m.demand
	}
	return m.Result
}
