package backup

import (
	"fmt"
	"time"
)

// Retention says how many backups are kept: the newest of each of the last Daily days that have one, likewise weeks (ISO, from
// Monday) and months, in Zone. The zero value keeps the newest backup only.
type Retention struct {
	Daily   int
	Weekly  int
	Monthly int
	Zone    *time.Location // nil: UTC
}

// manualFor is how long a backup that a person asked for is kept whatever the numbers say.
const manualFor = 30 * 24 * time.Hour

// Keep tells which backups are kept, by id. Always the newest, and the newest whose drill went well: when later ones turn out
// damaged it is the one that is left. all is oldest first.
func (r Retention) Keep(all []Manifest, now time.Time) map[string]bool {
	zone := r.Zone
	if zone == nil {
		zone = time.UTC
	}
	kept := map[string]bool{}
	days, weeks, months := map[string]bool{}, map[string]bool{}, map[string]bool{}
	proven := false
	for i := len(all) - 1; i >= 0; i-- {
		m := all[i]
		t := m.Ended.In(zone)
		year, week := t.ISOWeek()
		keep := i == len(all)-1 || m.Manual && now.Sub(m.Ended) < manualFor
		if m.Drill != nil && m.Drill.OK && !proven {
			proven, keep = true, true
		}
		for _, of := range []struct {
			seen   map[string]bool
			period string
			n      int
		}{
			{days, t.Format(time.DateOnly), r.Daily},
			{weeks, fmt.Sprintf("%d-%02d", year, week), r.Weekly},
			{months, t.Format("2006-01"), r.Monthly},
		} {
			if !of.seen[of.period] && len(of.seen) < of.n {
				of.seen[of.period], keep = true, true
			}
		}
		if keep {
			kept[m.ID] = true
		}
	}
	return kept
}
