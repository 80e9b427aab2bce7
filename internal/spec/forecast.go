package spec

// Forecast learns what the role's load is at each time of the day and of the week, and raises the floor ahead of it by
// the time that servers take to boot. It never lowers anything and never votes to remove.
type Forecast struct {
	Target float64 `json:"target"` // value of the metric that one server is to have
	Zone   string  `json:"zone"`   // IANA name: people's days follow their clocks
}

// DefaultForecastZone where none is said.
const DefaultForecastZone = "UTC"
