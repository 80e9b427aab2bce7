// Package engine chooses numbers of instances and names victims, and nothing else does.
//
// It is a pure function: a View in, an Outcome out. No I/O, no clock, no goroutines, no globals; now is an argument.
// The daemon, the simulator and the plan-time forecast call the same Decide. Start reading there.
package engine

import (
	"time"

	"github.com/farmhand/terraform-provider-farmhand/internal/spec"
	"github.com/farmhand/terraform-provider-farmhand/internal/state"
)

// View is everything that a decision may rest on.
type View struct {
	Now  time.Time
	Farm spec.Farm
	// Deleting: the farm is being destroyed; every role is then deleting.
	Deleting bool
	// MachinesListed is false when the platform could not be asked: then nothing counts as gone, and nothing is launched.
	MachinesListed bool
	// Listening is since when agents have been able to report without a break: when the gateway was opened, or
	// when the sidecar woke up after a pause in its ticks. An agent's silence is counted from then at the
	// earliest, so that a sidecar that comes back does not take its own absence for theirs. Zero: long ago.
	Listening time.Time
	Roles     []Role
	// Strays are machines tagged with the farm that no record knows.
	Strays []Machine
}

// Role is one role's part of the View.
type Role struct {
	Spec       spec.Role
	Deleting   bool
	Generation string // that new instances are made from now
	Stateful   bool   // its data belongs to the index: replaced end-first, and only when the old machine is absent
	// InPlace: its address is what it is known by (a balancer's): replaced end-first into the same index too.
	InPlace   bool
	Policies  []Policy
	Instances []Instance // every record, by index
	Memory    state.Memory
}

// Policy is a declared policy with its measurement.
type Policy struct {
	Spec    spec.Policy
	Measure Measure
}

// Measure is a metric over a role's running instances at Now.
type Measure struct {
	Value float64 // mean over the servers, of the mean over the window
	// Peak is the largest of the window's sample-by-sample role means and Floor the smallest:
	// a scale-out needs Floor above the line too, so that one noisy sample never decides.
	Floor, Peak float64
	Samples     int           // in the window, of the server that has the fewest
	Age         time.Duration // of the newest sample of the server that is furthest behind
	Servers     int           // that gave samples
	Expected    int           // that should have: running and warm
	Problem     string        // why there is none, in words; then Value means nothing
}

// Machine is what the platform holds, as the engine needs it.
type Machine struct {
	ID      string
	Role    string
	Name    string
	Token   string
	Stopped bool   // exists, runs no more
	Ending  bool   // being removed
	Exit    string // why it stopped, in the platform's words
	Age     time.Duration
}

// Instance is a record with what is known of it now.
type Instance struct {
	state.Instance
	Machine *Machine      // nil: the platform does not list it
	Report  *state.Report // nil: none by this holder of the index
}

// Outcome is what Decide returns. Decisions are in the order in which they are to be carried out.
type Outcome struct {
	Decisions []Decision
	// Memory is the roles' new memory, by role name; write it in the same tick.
	Memory map[string]state.Memory
	// Accounts tell for each role, by name, how its number was arrived at.
	Accounts map[string]Account
}

// Action is what a Decision does.
type Action string

// What each does to the record, besides what it does to the machine, is said here once: the controller does both.
const (
	Launch    Action = "launch"    // write the intent for Index (phase planned), then call the platform; when it accepts: launching. A refusal that no repetition mends (ErrInvalid, ErrCapacity): phase failed with the Failure
	Relaunch  Action = "relaunch"  // the intent stands but the platform has no machine for it: call again with the same token
	Move      Action = "move"      // the record enters Phase; with running, ServedAt is set if it is zero; with failed, Failure
	Drain     Action = "drain"     // the record enters draining: out of topology and DNS; then wait
	Terminate Action = "terminate" // end the machine; the record enters terminating, unless it has failed. Repeated every tick until the machine is absent
	Forget    Action = "forget"    // confirmed gone, or stopped for good: delete the record, the index is free
	Reap      Action = "reap"      // end a machine that no record knows
	Note      Action = "note"      // nothing is done; the reason is worth a line in the events
)

// Decision is one step with its reason.
type Decision struct {
	Action     Action         `json:"action"`
	Role       string         `json:"role"`
	Instance   string         `json:"instance,omitempty"` // name
	Index      int            `json:"index,omitempty"`
	Generation string         `json:"generation,omitempty"` // of a launch
	Phase      state.Phase    `json:"phase,omitempty"`      // of a move
	Machine    string         `json:"machine,omitempty"`    // platform id, of terminate and reap
	Failure    *state.Failure `json:"failure,omitempty"`
	// Kind is the event's kind and Level its level; see state.Event. No kind: a step repeated or too small for an
	// event of its own.
	Kind   string `json:"kind"`
	Level  string `json:"level"`
	Reason string `json:"reason"` // a sentence for a tired person
}

// Account is how a role's number was arrived at: what explain prints and the ledger keeps.
type Account struct {
	Role    string   `json:"role"`
	Serving int      `json:"serving"` // running now
	Coming  int      `json:"coming"`  // planned, launching, booting
	Min     int      `json:"min"`     // envelope, schedules applied
	Max     int      `json:"max"`
	Votes   []Vote   `json:"votes"`
	Clamps  []string `json:"clamps,omitempty"` // what changed the number after the votes, in order
	Desired int      `json:"desired"`
	Reason  string   `json:"reason"` // of the number, or of there being no change
}

// Vote is one policy's wish.
type Vote struct {
	Policy  string  `json:"policy"`
	Kind    string  `json:"kind"`
	Want    int     `json:"want"` // number of servers; meaningless if Abstain
	Abstain bool    `json:"abstain,omitempty"`
	Blocks  bool    `json:"blocks_scale_in,omitempty"` // its measurement cannot be trusted: no scaling in
	Value   float64 `json:"value"`
	Age     string  `json:"age,omitempty"`
	Reason  string  `json:"reason"`
}
