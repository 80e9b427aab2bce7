package spec

import (
	"testing"
	"time"
)

// TestEveryZonesWindows holds windows by the clock over midnight against the clocks themselves, at every quarter of an
// hour of the days around each change of clocks of the year, in every zone that has one.
func TestEveryZonesWindows(t *testing.T) {
	begin := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	looked := 0
	for _, name := range zoneNames(t) {
		loc, err := time.LoadLocation(name)
		if err != nil {
			t.Fatal(err)
		}
		s := Schedule{From: "22:30", To: "02:30", Zone: name}
		for at := begin.In(loc); ; {
			_, change := at.ZoneBounds()
			if change.IsZero() || change.After(begin.AddDate(1, 0, 0)) {
				break
			}
			began := time.Time{}
			for now := change.Add(-36 * time.Hour); now.Before(change.Add(36 * time.Hour)); now = now.Add(15 * time.Minute) {
				if twice(now, loc) {
					continue // the first of the two counts
				}
				looked++
				minute := now.In(loc).Hour()*60 + now.In(loc).Minute()
				want := minute >= 22*60+30 || minute < 2*60+30
				from, until, active := s.Window(now)
				if active != want {
					t.Errorf("%s at %s: active is %t", name, now.In(loc), active)
				}
				if active && (from.After(now) || !until.After(now) || until.Sub(from) < 2*time.Hour || until.Sub(from) > 6*time.Hour) {
					t.Errorf("%s at %s: from %s until %s", name, now.In(loc), from, until)
				}
				if active && from.Before(began) {
					t.Errorf("%s at %s: a window that began at %s comes after one of %s", name, now.In(loc), from, began)
				}
				if active {
					began = from
				}
			}
			at = change
		}
	}
	if looked < 50_000 {
		t.Errorf("only %d times were looked at", looked)
	}
}

// twice tells whether the zone's clocks show the same at another time.
func twice(at time.Time, loc *time.Location) bool {
	wall := asWall(at.In(loc))
	for _, d := range []time.Duration{-3 * time.Hour, -2 * time.Hour, -time.Hour, -30 * time.Minute, 30 * time.Minute, time.Hour, 2 * time.Hour, 3 * time.Hour} {
		if asWall(at.Add(d).In(loc)).Equal(wall) {
			return true
		}
	}
	return false
}
