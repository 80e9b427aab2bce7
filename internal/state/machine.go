package state

import "time"

// Machine says which instance a machine of the platform is. Key: MachineKey(farm, platform id).
type Machine struct {
	Instance string `json:"instance,omitempty"` // "web-2"; empty while it is kept in stock
	Token    string `json:"token,omitempty"`    // of the Instance record
	Warm     string `json:"warm,omitempty"`     // role that it is kept in stock for: set up what can be and report so; it is then stopped
	Volume   string `json:"volume,omitempty"`   // platform's id of the volume to mount
	Address  string `json:"address,omitempty"`  // elastic address to be associated

	At     time.Time `json:"at,omitzero"`      // when this was written
	Warmed bool      `json:"warmed,omitempty"` // it was in stock before
	Ended  time.Time `json:"ended,omitzero"`   // when the platform was told to end it
}
