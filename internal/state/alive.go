package state

import "time"

// AlivePrefix and AliveKey hold Alive, by holder: what a sidecar says of itself where no socket reaches it.
func AlivePrefix() string           { return Shared + "/alive/" }
func AliveKey(holder string) string { return AlivePrefix() + holder }

const (
	// AliveEvery is how often a sidecar says so, and AliveFor how long it counts: six missed ones are an end.
	AliveEvery = 10 * time.Second
	AliveFor   = time.Minute
)

// Alive is a sidecar that runs with a store that others reach as well.
type Alive struct {
	Holder  string    `json:"holder"`  // as in leases
	Sidecar string    `json:"sidecar"` // id of its farmhand_sidecar; "" for one that was started by hand
	Version string    `json:"version"`
	Host    string    `json:"host"`
	Started time.Time `json:"started"`
	Seen    time.Time `json:"seen"`
	Farms   []string  `json:"farms"` // that it keeps now
}

// Lives tells whether it still counts.
func (a Alive) Lives(now time.Time) bool { return now.Sub(a.Seen) < AliveFor }
