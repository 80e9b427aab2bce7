package state

import "time"

// Phase is a step in the life of an instance:
// planned → launching → booting → running → draining → terminating → gone, and failed from any of the first three.
type Phase string

const (
	Planned     Phase = "planned"     // the intent is written; the platform may or may not have been called
	Launching   Phase = "launching"   // the platform accepted the call
	Booting     Phase = "booting"     // the agent has reported
	Running     Phase = "running"     // it serves
	Draining    Phase = "draining"    // out of DNS and balancers, waiting
	Terminating Phase = "terminating" // the platform was told to end it
	Failed      Phase = "failed"      // it did not come up; its platform half is still to be ended
	Gone        Phase = "gone"        // confirmed absent; never stored, the record is deleted
)

// Instance is the sidecar's record of one server. Key: InstanceKey(farm, Name()).
type Instance struct {
	Role       string    `json:"role"`
	Index      int       `json:"index"` // from 1; 0: a temporary instance, see Temporary
	Token      string    `json:"token"` // deterministic client token of the launch: the same intent, the same machine
	Generation string    `json:"generation"`
	Phase      Phase     `json:"phase"`
	Since      time.Time `json:"since"`              // entered Phase
	Created    time.Time `json:"created"`            // intent written
	ServedAt   time.Time `json:"served_at,omitzero"` // first entered running
	PlatformID string    `json:"platform_id,omitempty"`
	Address    string    `json:"address,omitempty"`
	Zone       string    `json:"zone,omitempty"`
	Volume     string    `json:"volume,omitempty"`
	// Snapshot is the platform's id of the snapshot that its volume is made of, where its index has none yet.
	Snapshot string `json:"snapshot,omitempty"`
	Task     string `json:"task,omitempty"` // of a temporary instance: the task that it is for
	Primary  bool   `json:"primary,omitempty"`
	// Protected: it is not chosen to leave when the role shrinks. It is replaced all the same when it is sick, and ends with its role.
	Protected bool     `json:"protected,omitempty"`
	Reason    string   `json:"reason"` // why it was launched; while draining or later: why it ends
	Failure   *Failure `json:"failure,omitempty"`
}

// Temporary tells of an instance that is launched for one task (Backups.Task) and ends with it. It never serves.
func (i Instance) Temporary() bool { return i.Index == 0 }

// Name is "web-2".
func (i Instance) Name() string { return InstanceName(i.Role, i.Index) }

// Failure is why an instance did not come up or was given up.
type Failure struct {
	Step  string   `json:"step"`          // "launch", "packages", "configure", "boot script", "health check", ...
	Error string   `json:"error"`         // cause
	Log   []string `json:"log,omitempty"` // last lines that the step printed
}

// Address is the address of an index.
type Address struct {
	Address string `json:"address"`
}

// FarmEntry is the index entry of a farm.
type FarmEntry struct {
	Name    string    `json:"name"`
	Sidecar string    `json:"sidecar"`
	Created time.Time `json:"created"`
}

// Declared is a spec with the one thing that Terraform says of it at run time: that it is being destroyed.
type Declared[T any] struct {
	Spec     T    `json:"spec"`
	Deleting bool `json:"deleting,omitempty"` // drain and end everything; the provider waits for that and deletes the key
	// Ended is set by the sidecar when nothing is left of what Deleting asked to end.
	Ended bool `json:"ended,omitempty"`
}

// Runtime is where the farm can be reached.
type Runtime struct {
	Gateway    string    `json:"gateway"`    // host:port that instances use
	Nameserver string    `json:"nameserver"` // host:port, UDP and TCP
	Sidecar    string    `json:"sidecar"`    // holder
	OpenedAt   time.Time `json:"opened_at"`
}

// Demand is the load on a role of a simulated farm, in the unit of load average: 6 over 3 servers is 2 on each.
type Demand struct {
	Load float64 `json:"load"`
}
