package spec

import (
	"archive/zip"
	"go/build"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func at(t *testing.T, zone, wall string) time.Time {
	t.Helper()
	loc, err := time.LoadLocation(zone)
	if err != nil {
		t.Fatal(err)
	}
	v, err := time.ParseInLocation("2006-01-02 15:04:05", wall, loc)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func utc(t *testing.T, s string) time.Time {
	t.Helper()
	v, err := time.Parse(time.RFC3339, s)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// TestScheduleNext follows schedules over the days on which clocks change, and over none.
func TestScheduleNext(t *testing.T) {
	for _, c := range []struct {
		name, cron, zone, from string
		want                   []string // UTC
	}{
		{"working days", "0 8 * * 1-5", "Europe/Paris", "2026-03-06T12:00:00Z",
			[]string{"2026-03-09T07:00:00Z", "2026-03-10T07:00:00Z"}},
		{"spring takes the hour away: once, at the jump", "30 2 * * *", "Europe/Paris", "2026-03-28T00:00:00Z",
			[]string{"2026-03-28T01:30:00Z", "2026-03-29T01:00:00Z", "2026-03-30T00:30:00Z"}},
		{"several times of a skipped hour are one firing", "0,15,30,45 2 * * *", "Europe/Paris", "2026-03-28T12:00:00Z",
			[]string{"2026-03-29T01:00:00Z", "2026-03-30T00:00:00Z"}},
		{"the first time after the skipped hour falls on the jump itself", "0 2,3 * * *", "Europe/Paris", "2026-03-28T12:00:00Z",
			[]string{"2026-03-29T01:00:00Z", "2026-03-30T00:00:00Z"}},
		{"autumn repeats the hour: the first of the two", "30 2 * * *", "Europe/Paris", "2026-10-24T12:00:00Z",
			[]string{"2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"}},
		{"every half hour: the repeated hour fires once", "*/30 * * * *", "America/New_York", "2026-11-01T05:00:00Z",
			[]string{"2026-11-01T05:30:00Z", "2026-11-01T07:00:00Z", "2026-11-01T07:30:00Z"}},
		{"a jump of half an hour", "15 2 * * *", "Australia/Lord_Howe", "2026-10-03T00:00:00Z",
			[]string{"2026-10-03T15:30:00Z", "2026-10-04T15:15:00Z"}},
		{"midnight that does not exist", "0 0 * * *", "Africa/Cairo", "2026-04-23T00:00:00Z",
			[]string{"2026-04-23T22:00:00Z", "2026-04-24T21:00:00Z"}},
		{"a day that does not exist", "0 12 * * *", "Pacific/Apia", "2011-12-28T23:00:00Z",
			[]string{"2011-12-29T22:00:00Z", "2011-12-30T10:00:00Z", "2011-12-30T22:00:00Z"}},
		{"leap day", "0 0 29 2 *", "UTC", "2026-01-01T00:00:00Z", []string{"2028-02-29T00:00:00Z", "2032-02-29T00:00:00Z"}},
		{"never", "0 0 30 2 *", "UTC", "2026-01-01T00:00:00Z", []string{"0001-01-01T00:00:00Z"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := Schedule{Cron: c.cron, Zone: c.zone, Duration: Duration(time.Hour)}
			now := utc(t, c.from)
			for _, want := range c.want {
				got := s.Next(now)
				if !got.Equal(utc(t, want)) {
					t.Fatalf("after %s: fires at %s, want %s", now.UTC().Format(time.RFC3339), got.UTC().Format(time.RFC3339), want)
				}
				now = got
			}
		})
	}
}

// TestScheduleActive looks at both ends of a window, over midnight and over a change of clocks.
func TestScheduleActive(t *testing.T) {
	night := Schedule{Cron: "0 22 * * *", Zone: "Europe/Paris", Duration: Duration(8 * time.Hour)}
	for _, c := range []struct {
		wall string
		want bool
	}{
		{"2026-03-10 21:59:59", false},
		{"2026-03-10 22:00:00", true},
		{"2026-03-11 00:00:00", true},
		{"2026-03-11 05:59:59", true},
		{"2026-03-11 06:00:00", false},
		// Eight hours are eight hours also in the night that has only seven on the clock before six.
		{"2026-03-29 06:59:59", true},
		{"2026-03-29 07:00:00", false},
	} {
		if got := night.Active(at(t, night.Zone, c.wall)); got != c.want {
			t.Errorf("at %s active is %t, want %t", c.wall, got, c.want)
		}
	}
	from, until, active := night.Window(at(t, night.Zone, "2026-03-11 00:00:00"))
	if !active || !from.Equal(at(t, night.Zone, "2026-03-10 22:00:00")) || !until.Equal(at(t, night.Zone, "2026-03-11 06:00:00")) {
		t.Errorf("the window around midnight is %s to %s, active %t", from, until, active)
	}
	broken := Schedule{Cron: "x", Zone: "UTC", Duration: Duration(time.Hour)}
	if broken.Active(time.Now()) || !broken.Next(time.Now()).IsZero() {
		t.Error("a schedule that cannot be read is active")
	}
	overlapping := Schedule{Cron: "*/10 9 * * *", Zone: "UTC", Duration: Duration(15 * time.Minute)}
	if _, until, _ := overlapping.Window(utc(t, "2026-03-10T09:12:00Z")); !until.Equal(utc(t, "2026-03-10T10:05:00Z")) {
		t.Errorf("windows that overlap end at %s, want 10:05", until)
	}
}

// TestEveryZoneForAYear fires a daily schedule through a year in every zone: once for each day of the local
// calendar, on the wall time that was declared, or on the jump that took it away. make test looks at the hours in
// which clocks change; FARMHAND_TEST_LONG=1 at all of them.
func TestEveryZoneForAYear(t *testing.T) {
	hours := []string{"0", "2", "23"}
	if os.Getenv("FARMHAND_TEST_LONG") != "" {
		hours = strings.Fields("0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23")
	}
	begin := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	firings := 0
	zones := zoneNames(t)
	for _, name := range zones {
		loc, err := time.LoadLocation(name)
		if err != nil {
			t.Fatal(err)
		}
		if changes(loc, begin) == 0 && len(hours) < 24 {
			continue
		}
		for _, hour := range hours {
			s := Schedule{Cron: "30 " + hour + " * * *", Zone: name, Duration: Duration(time.Hour)}
			var last time.Time
			for now := s.Next(begin.AddDate(0, 0, -2)); now.Before(begin.AddDate(1, 0, 2)); now = s.Next(now) {
				firings++
				if !last.IsZero() {
					checkFiring(t, s, last, now)
				}
				last = now
			}
		}
	}
	t.Logf("%d zones, %d firings", len(zones), firings)
	if firings < 100_000 {
		t.Errorf("only %d firings were looked at", firings)
	}
}

// checkFiring: the next one is on the next day of the local calendar, at its time or at a jump over it. A jump over
// midnight belongs to the day before or after, as declared.
func checkFiring(t *testing.T, s Schedule, last, now time.Time) {
	t.Helper()
	nextDay := false
	for _, from := range days(s, last) {
		for _, to := range days(s, now) {
			nextDay = nextDay || to.Equal(from.AddDate(0, 0, 1))
		}
	}
	if !nextDay {
		t.Errorf("%s in %s: fires at %s and next at %s", s.Cron, s.Zone, last, now)
	}
	if !onTime(s, now) && !jumped(now) {
		t.Errorf("%s in %s: fires at %s, which is neither its time nor a jump forward", s.Cron, s.Zone, now)
	}
}

func onTime(s Schedule, at time.Time) bool { return at.Format("4 15") == s.wall() }

func jumped(at time.Time) bool {
	_, before := at.Add(-time.Second).Zone()
	_, after := at.Zone()
	return after > before
}

// days are the days of the calendar that a firing can stand for.
func days(s Schedule, at time.Time) []time.Time {
	day := func(t time.Time) time.Time {
		y, m, d := t.Date()
		return time.Date(y, m, d, 0, 0, 0, 0, time.UTC)
	}
	if !onTime(s, at) && jumped(at) {
		return []time.Time{day(at), day(at.Add(-time.Second))}
	}
	return []time.Time{day(at)}
}

func (s Schedule) wall() string {
	f := strings.Fields(s.Cron)
	if len(f[1]) == 1 {
		f[1] = "0" + f[1]
	}
	return f[0] + " " + f[1]
}

// changes counts the changes of clocks in the year.
func changes(loc *time.Location, begin time.Time) int {
	n := 0
	for t := begin.In(loc); ; {
		_, end := t.ZoneBounds()
		if end.IsZero() || end.After(begin.AddDate(1, 0, 0)) {
			return n
		}
		n++
		t = end
	}
}

// zoneNames are all that Go's own copy of the database knows.
func zoneNames(t *testing.T) []string {
	t.Helper()
	r, err := zip.OpenReader(filepath.Join(build.Default.GOROOT, "lib", "time", "zoneinfo.zip"))
	if err != nil {
		t.Skipf("no list of zones: %v", err)
	}
	defer r.Close()
	var names []string
	for _, f := range r.File {
		if !strings.HasSuffix(f.Name, "/") {
			names = append(names, f.Name)
		}
	}
	return names
}
