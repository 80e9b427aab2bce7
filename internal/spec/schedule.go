package spec

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"
	_ "time/tzdata" // schedules mean the same on a machine without zone files

	"github.com/robfig/cron/v3"
)

// Schedule moves the envelope while it is active. When that is, is said in one of two ways: from each firing of Cron
// for Duration, or on Days from one time of the day to another; both in Zone's wall time.
type Schedule struct {
	Cron     string   `json:"cron,omitempty"` // five fields
	Zone     string   `json:"zone"`           // IANA name
	Duration Duration `json:"duration,omitempty"`

	Days []string `json:"days,omitempty"` // on which it begins: "mon", "tue", ...; empty: on all, if From is set
	From string   `json:"from,omitempty"` // "22:00"
	To   string   `json:"to,omitempty"`   // "06:00"; not later than From: on the next day

	Min *int `json:"min,omitempty"`
	Max *int `json:"max,omitempty"`
	// Exact is both at once.
	Exact *int `json:"exact,omitempty"`
}

// Bounds are what it moves the envelope to; nil: it leaves that one.
func (s Schedule) Bounds() (lowest, highest *int) {
	if s.Exact != nil {
		return s.Exact, s.Exact
	}
	return s.Min, s.Max
}

// Active tells whether now lies within a window. Duration is time as it elapses: a window of eight hours
// lasts eight hours also in the night when clocks change. A schedule that Validate refuses is never active.
func (s Schedule) Active(now time.Time) bool {
	_, _, active := s.Window(now)
	return active
}

// Next is the first firing after now, in the schedule's zone; the zero time if there is none.
func (s Schedule) Next(now time.Time) time.Time {
	if s.weekly() {
		w, err := s.week()
		if err != nil {
			return time.Time{}
		}
		return w.next(now)
	}
	c, err := s.compiled()
	if err != nil {
		return time.Time{}
	}
	return c.next(now)
}

// Window is the stretch of activity that now lies in. Firings that come while the schedule is active prolong it.
func (s Schedule) Window(now time.Time) (from, until time.Time, active bool) {
	if s.weekly() {
		w, err := s.week()
		if err != nil {
			return from, until, false
		}
		return w.window(now)
	}
	c, err := s.compiled()
	if err != nil || s.Duration <= 0 {
		return from, until, false
	}
	length := s.Duration.Std()
	// A firing later than now-length and not later than now is one whose window holds now.
	from = c.next(now.Add(-length))
	if from.IsZero() || from.After(now) {
		return time.Time{}, time.Time{}, false
	}
	until = from.Add(length)
	// Bounded: a schedule that fires more often than it lasts is always active, and its end is not worth the search.
	for range maxProlongations {
		next := c.next(until.Add(-length))
		if next.IsZero() || next.After(until) {
			break
		}
		until = next.Add(length)
	}
	return from, until, true
}

const maxProlongations = 100

// calendar is a Schedule ready for use.
type calendar struct {
	times cron.Schedule // over the wall clock, written as if it were UTC
	zone  *time.Location
}

// calendars keeps what was parsed: zones come from files, and a decision is made every few seconds.
var calendars sync.Map // [2]string{cron, zone} → calendar

func (s Schedule) compiled() (calendar, error) {
	key := [2]string{s.Cron, s.Zone}
	known, _ := calendars.Load(key)
	if c, ok := known.(calendar); ok {
		return c, nil
	}
	zone, err := loadZone(s.Zone)
	if err != nil {
		return calendar{}, err
	}
	times, err := parseCron(s.Cron)
	if err != nil {
		return calendar{}, err
	}
	c := calendar{times: times, zone: zone}
	calendars.Store(key, c)
	return c, nil
}

var fiveFields = cron.NewParser(cron.Minute | cron.Hour | cron.Dom | cron.Month | cron.Dow)

func parseCron(expression string) (cron.Schedule, error) {
	// The library takes a zone in front of the fields, and panics on one without a blank behind it. The zone has an attribute of its own.
	if strings.Contains(expression, "=") {
		return nil, errors.New("the zone does not belong into the cron expression, it has an attribute of its own")
	}
	if n := len(strings.Fields(expression)); n != 5 {
		return nil, fmt.Errorf("%d fields, not the five of minute, hour, day of the month, month and day of the week", n)
	}
	return fiveFields.Parse(expression)
}

func loadZone(name string) (*time.Location, error) {
	if name == "" {
		return nil, errors.New("is empty")
	}
	if name == "Local" { // would mean another zone on each machine
		return nil, errors.New("depends on the machine")
	}
	return time.LoadLocation(name)
}

// next is the first firing after now, or zero. The library finds the wall times (it skips the hour that spring takes
// away and fires twice in the one that autumn repeats); which instant each of them is, is decided here:
// a wall time that does not exist is the instant of the jump, and one that exists twice is the first of the two.
// Instants never go back while wall times go forward, so the first one after now is the right one; several wall
// times of a skipped hour fall on the same instant and are one firing.
func (c calendar) next(now time.Time) time.Time {
	wall := asWall(now.In(c.zone))
	for {
		wall = c.times.Next(wall)
		if wall.IsZero() {
			return time.Time{}
		}
		if at := c.instant(wall); at.After(now) {
			return at
		}
	}
}

// asWall writes the wall clock of t as if it were UTC, where no clock ever changes.
func asWall(t time.Time) time.Time {
	return time.Date(t.Year(), t.Month(), t.Day(), t.Hour(), t.Minute(), t.Second(), t.Nanosecond(), time.UTC)
}

// instant is when the zone's clocks show wall: the first time if twice, the jump over it if never.
func (c calendar) instant(wall time.Time) time.Time {
	near := time.Date(wall.Year(), wall.Month(), wall.Day(), wall.Hour(), wall.Minute(), wall.Second(), wall.Nanosecond(), c.zone)
	start, end := near.ZoneBounds()
	// Between two changes of its offset a zone's clock is UTC plus that offset. Those of the stretch that near is in
	// and of its neighbours are all that can show wall.
	var first time.Time
	for _, in := range []time.Time{start.Add(-1), near, end} {
		if in.IsZero() || in.Equal(time.Time{}.Add(-1)) { // no such stretch
			continue
		}
		_, offset := in.In(c.zone).Zone()
		at := wall.Add(-time.Duration(offset) * time.Second).In(c.zone)
		if asWall(at).Equal(wall) && (first.IsZero() || at.Before(first)) {
			first = at
		}
	}
	if !first.IsZero() {
		return first
	}
	for _, jump := range []time.Time{start, end} {
		if jump.IsZero() {
			continue
		}
		before := asWall(jump.Add(-1).In(c.zone)).Add(1) // what the clocks would have shown at the jump
		after := asWall(jump.In(c.zone))
		if !wall.Before(before) && wall.Before(after) {
			return jump.In(c.zone)
		}
	}
	return near // unreachable while zones change as zones do; never nothing
}
