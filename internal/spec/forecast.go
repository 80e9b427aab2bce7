package spec

import (
	"sync"
	"time"
)

// Forecast learns what the role's load is at each time of the day and of the week, and raises the floor ahead of it by
// the time that servers take to boot. It never lowers anything and never votes to remove.
type Forecast struct {
	Target float64 `json:"target"` // value of the metric that one server is to have
	Zone   string  `json:"zone"`   // IANA name: people's days follow their clocks
}

// DefaultForecastZone where none is said.
const DefaultForecastZone = "UTC"

// locations keeps the zones that were looked up: they come from files, and a decision is made every few seconds.
var locations sync.Map // string → *time.Location

// Location is the zone; UTC for one that Validate refuses.
func (f Forecast) Location() *time.Location {
	known, _ := locations.Load(f.Zone)
	if l, ok := known.(*time.Location); ok {
		return l
	}
	l, err := loadZone(f.Zone)
	if err != nil {
		return time.UTC
	}
	locations.Store(f.Zone, l)
	return l
}
