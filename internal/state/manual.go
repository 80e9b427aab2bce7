package state

import "time"

// Manual is a number of servers that somebody set by hand for a while: it stands above the role's policies, within its
// envelope, until Until. Key: ManualKey(farm, role). Deleting the key takes it back.
type Manual struct {
	N       int       `json:"n"`
	Until   time.Time `json:"until"`
	Because string    `json:"because"`
	By      string    `json:"by"` // user@host
	At      time.Time `json:"at"` // set
}

// Active tells whether it holds at now.
func (m *Manual) Active(now time.Time) bool { return m != nil && now.Before(m.Until) }
