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
	Now  time.Time `json:"now"`
	Farm spec.Farm `json:"farm,omitzero"`
	// Deleting: the farm is being destroyed; every role is then deleting.
	Deleting bool `json:"deleting,omitempty"`
	// MachinesListed is false when the platform could not be asked: then nothing counts as gone, and nothing is launched.
	MachinesListed bool `json:"machines_listed"`
	// Listening is since when agents have been able to report without a break: when the gateway was opened, or
	// when the sidecar woke up after a pause in its ticks. An agent's silence is counted from then at the
	// earliest, so that a sidecar that comes back does not take its own absence for theirs. Zero: long ago.
	Listening time.Time `json:"listening,omitzero"`
	Roles     []Role    `json:"roles"`
	// Strays are machines tagged with the farm that no record knows.
	Strays []Machine `json:"strays,omitempty"`
	// Elsewhere is what the farm's roles come to that are not in this View; see Reduce.
	Elsewhere Elsewhere `json:"elsewhere,omitzero"`
}

// Elsewhere counts the servers of roles that a View leaves out: most of the farm falling silent at once is doubted,
// whichever roles they are of.
type Elsewhere struct {
	Serving int `json:"serving,omitempty"`
	Silent  int `json:"silent,omitempty"` // of those, whose agents have been silent for too long
}

// Role is one role's part of the View.
type Role struct {
	Spec       spec.Role `json:"spec"`
	Deleting   bool      `json:"deleting,omitempty"`
	Generation string    `json:"generation"`         // that new instances are made from now
	Stateful   bool      `json:"stateful,omitempty"` // its data belongs to the index: replaced end-first, and only when the old machine is absent
	// InPlace: its address is what it is known by (a balancer's, an Elastic IP): replaced end-first into the same index too.
	InPlace   bool         `json:"in_place,omitempty"`
	Policies  []Policy     `json:"policies,omitempty"`
	Instances []Instance   `json:"instances,omitempty"` // every record, by index
	Memory    state.Memory `json:"memory"`
	// Replicated: its servers are one primary and replicas of it; Database is what was decided of them, nil for nothing yet.
	Replicated bool            `json:"replicated,omitempty"`
	Database   *state.Database `json:"database,omitempty"`
	// Backups is how its backups stand, nil for nothing yet; BackupWish what a person asks for.
	Backups    *state.Backups    `json:"backups,omitempty"`
	BackupWish *state.BackupTask `json:"backup_wish,omitempty"`
	// Snapshots are those of its volumes that the platform holds, where it was asked (SnapshotsListed).
	Snapshots       []Snapshot `json:"snapshots,omitempty"`
	SnapshotsListed bool       `json:"snapshots_listed,omitempty"`
	// Manual is the number set by hand, nil for none; it may have expired.
	Manual *state.Manual `json:"manual,omitempty"`
}

// Policy is a declared policy with its measurement.
type Policy struct {
	Spec    spec.Policy `json:"spec"`
	Measure Measure     `json:"measure,omitzero"`
	// History is what a forecast has learnt, nil for nothing yet. Foresight, where it is set, is what it says of that;
	// see Reduce.
	History   *state.History `json:"-"`
	Foresight *Foresight     `json:"foresight,omitempty"`
}

// Measure is a metric over a role's running instances at Now.
type Measure struct {
	Value float64 `json:"value"` // mean over the servers, of the mean over the window
	// Peak is the largest of the window's sample-by-sample role means and Floor the smallest:
	// a scale-out needs Floor above the line too, so that one noisy sample never decides.
	Floor    float64       `json:"floor"`
	Peak     float64       `json:"peak"`
	Samples  int           `json:"samples"`           // in the window, of the server that has the fewest
	Age      time.Duration `json:"age"`               // of the newest sample of the server that is furthest behind; nanoseconds
	Servers  int           `json:"servers"`           // that gave samples
	Expected int           `json:"expected"`          // that should have: running and warm
	Problem  string        `json:"problem,omitempty"` // why there is none, in words; then Value means nothing
}

// Machine is what the platform holds, as the engine needs it.
type Machine struct {
	ID      string        `json:"id"`
	Role    string        `json:"role,omitempty"`
	Name    string        `json:"name,omitempty"`
	Token   string        `json:"token,omitempty"`
	Stopped bool          `json:"stopped,omitempty"` // exists, runs no more
	Ending  bool          `json:"ending,omitempty"`  // being removed
	Exit    string        `json:"exit,omitempty"`    // why it stopped, in the platform's words
	Age     time.Duration `json:"age,omitempty"`     // nanoseconds
	// Notice is an end that the platform has announced, nil for none.
	Notice *state.Notice `json:"notice,omitempty"`
	// Targets are load balancers' views of it, by target group; only those that count are in it.
	Targets map[string]Target `json:"targets,omitempty"`
}

// Target is a load balancer's view of a machine; see platform.Target.
type Target struct {
	State  string `json:"state"`
	Reason string `json:"reason,omitempty"`
}

// Instance is a record with what is known of it now.
type Instance struct {
	state.Instance
	Machine *Machine      `json:"machine,omitempty"` // nil: the platform does not list it
	Report  *state.Report `json:"report,omitempty"`  // nil: none by this holder of the index
}

// Outcome is what Decide returns. Decisions are in the order in which they are to be carried out.
type Outcome struct {
	Decisions []Decision
	// Memory is the roles' new memory, by role name; write it in the same tick.
	Memory map[string]state.Memory
	// Accounts tell for each role, by name, how its number was arrived at.
	Accounts map[string]Account
	// Databases are what is decided of the roles' databases, by role name, where that changed; to be written in the same tick,
	// before any decision is carried out.
	Databases map[string]state.Database
	// Backups are how the roles' backups stand now, by role name, where that changed; to be written like Databases.
	Backups map[string]state.Backups
	// Histories are what the roles' forecasts have learnt now, by role and policy; to be handed in at the next tick.
	Histories map[string]map[string]state.History
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
	// TakeSnapshot has the platform begin Snapshot of the volume of Instance, or find it; it is repeated until that is listed.
	TakeSnapshot Action = "take snapshot"
	DropSnapshot Action = "drop snapshot" // delete the platform's snapshot Machine; repeated until it is listed no more
	Note         Action = "note"          // nothing is done; the reason is worth a line in the events
)

// Decision is one step with its reason.
type Decision struct {
	Action     Action      `json:"action"`
	Role       string      `json:"role"`
	Instance   string      `json:"instance,omitempty"` // name
	Index      int         `json:"index,omitempty"`
	Generation string      `json:"generation,omitempty"` // of a launch
	Phase      state.Phase `json:"phase,omitempty"`      // of a move
	Machine    string      `json:"machine,omitempty"`    // platform id, of terminate and reap
	// Snapshot is the name of the one to take or drop; of a launch the platform's id of the one that a volume is made of where the
	// index has none.
	Snapshot string         `json:"snapshot,omitempty"`
	Failure  *state.Failure `json:"failure,omitempty"`
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
	// Reversals of direction within the last hour, and how many the role may have.
	Reversals int    `json:"reversals,omitempty"`
	Budget    int    `json:"reversals_allowed,omitempty"`
	Reason    string `json:"reason"` // of the number, or of there being no change
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
