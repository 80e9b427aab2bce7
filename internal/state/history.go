package state

import "time"

// History is what a role's load has been at each quarter of an hour of the day and of the week, as a forecast policy
// has learnt it: some kilobytes, however long it learns. Key: HistoryKey(farm, role, policy). engine.Decide takes it in
// and gives it back; the controller keeps it, and writes it down when Closed has changed.
type History struct {
	// Of and Zone are what was learnt: another metric, or another zone's clock, begins anew.
	Of   string `json:"of"`
	Zone string `json:"zone"`

	Since  time.Time `json:"since,omitzero"`  // the first quarter
	Closed time.Time `json:"closed,omitzero"` // the end of the last one that was learnt
	Open   Quarter   `json:"open,omitzero"`   // the present one

	// Day and Week are mean loads by quarter, from midnight and from Sunday's; DaySeen and WeekSeen how many each is of.
	Day      []float32 `json:"day,omitempty"`
	Week     []float32 `json:"week,omitempty"`
	DaySeen  []byte    `json:"day_seen,omitempty"`
	WeekSeen []byte    `json:"week_seen,omitempty"`

	// Level is how much more there was lately than its time of the week has: 1.2 is a fifth more.
	Level float64 `json:"level"`
	// Tried forecasts have been compared with what came; Off is by how much they were wrong on average, and Mean what
	// came on average, both lately.
	Tried int     `json:"tried"`
	Off   float64 `json:"off"`
	Mean  float64 `json:"mean"`
}

// Quarter of an hour, while it is measured.
type Quarter struct {
	Start time.Time `json:"start"`
	Sum   float64   `json:"sum"`
	N     int       `json:"n"`
}
