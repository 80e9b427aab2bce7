package spec

import (
	"fmt"
	"strings"
	"sync"
	"time"
)

// DayNames are the values of Schedule.Days, Monday first.
var DayNames = []string{"mon", "tue", "wed", "thu", "fri", "sat", "sun"}

// weekly tells that windows are said by days and times of the day.
func (s Schedule) weekly() bool { return s.From != "" || s.To != "" || len(s.Days) > 0 }

// week is such a Schedule ready for use. Its ends are what the clocks on the wall show: from 22:00 to 06:00 is an hour
// shorter in the night of spring and an hour longer in that of autumn, unlike a cron schedule's duration.
type week struct {
	days     [7]bool // by time.Weekday
	from, to int     // minutes since midnight; to may lie on the next day
	zone     *time.Location
}

// weeks keeps what was parsed; see calendars.
var weeks sync.Map // [4]string{days, from, to, zone} → week

func (s Schedule) week() (week, error) {
	key := [4]string{strings.Join(s.Days, ","), s.From, s.To, s.Zone}
	known, _ := weeks.Load(key)
	if w, ok := known.(week); ok {
		return w, nil
	}
	w, err := s.parseWeek()
	if err == nil {
		weeks.Store(key, w)
	}
	return w, err
}

func (s Schedule) parseWeek() (w week, err error) {
	if w.zone, err = loadZone(s.Zone); err != nil {
		return w, err
	}
	if w.from, err = timeOfDay(s.From); err != nil {
		return w, err
	}
	if w.to, err = timeOfDay(s.To); err != nil {
		return w, err
	}
	if w.to <= w.from {
		w.to += minutesOfDay
	}
	if len(s.Days) == 0 {
		w.days = [7]bool{true, true, true, true, true, true, true}
	}
	for _, name := range s.Days {
		day, ok := dayOf(name)
		if !ok {
			return w, fmt.Errorf("%q is no day of the week", name)
		}
		w.days[day] = true
	}
	return w, nil
}

const minutesOfDay = 24 * 60

func dayOf(name string) (time.Weekday, bool) {
	for i, n := range DayNames {
		if n == name {
			return time.Weekday((i + 1) % 7), true
		}
	}
	return 0, false
}

// timeOfDay reads "08:30" as minutes since midnight; "24:00" is the end of the day.
func timeOfDay(s string) (int, error) {
	if s == "24:00" {
		return minutesOfDay, nil
	}
	t, err := time.Parse("15:04", s)
	if err != nil || len(s) != len("15:04") {
		return 0, fmt.Errorf("%q is no time of the day", s)
	}
	return t.Hour()*60 + t.Minute(), nil
}

// beginning with day is the window that begins on it, if one does.
func (w week) beginning(day time.Time) (from, until time.Time, ok bool) {
	if !w.days[day.Weekday()] {
		return from, until, false
	}
	c := calendar{zone: w.zone}
	from = c.instant(day.Add(time.Duration(w.from) * time.Minute))
	until = c.instant(day.Add(time.Duration(w.to) * time.Minute))
	return from, until, until.After(from) // both in the hour that spring takes away: nothing is left of it
}

// today is the date in the zone at now, at midnight, written as if it were UTC.
func (w week) today(now time.Time) time.Time {
	t := now.In(w.zone)
	return time.Date(t.Year(), t.Month(), t.Day(), 0, 0, 0, 0, time.UTC)
}

// window is the one that holds now; those that begin before it ends prolong it.
func (w week) window(now time.Time) (from, until time.Time, active bool) {
	today := w.today(now)
	for day := -2; day <= 9; day++ {
		f, u, ok := w.beginning(today.AddDate(0, 0, day))
		switch {
		case !ok:
		case !active && !f.After(now) && u.After(now):
			from, until, active = f, u, true
		case active && !f.After(until) && u.After(until):
			until = u
		}
	}
	return from, until, active
}

// next is the first window's beginning after now.
func (w week) next(now time.Time) time.Time {
	today := w.today(now)
	for day := -1; day <= 15; day++ {
		if from, _, ok := w.beginning(today.AddDate(0, 0, day)); ok && from.After(now) {
			return from
		}
	}
	return time.Time{}
}
