package state

import "time"

// Database is what was decided of a role's database servers. The sidecar alone writes it, guarded by the farm's lease; the
// agents of the role follow it: each carries out its Order and reports by DatabaseReport. Key: DatabaseKey(farm, role).
type Database struct {
	// Term counts the primaries: it grows with every promotion and never goes back.
	Term int64 `json:"term"`
	// Primary is the instance that takes writes in this Term, "" while none may; PrimaryToken is its record's token, so
	// that the next holder of its index does not inherit the office, and PrimaryAddress where it is reached.
	Primary        string    `json:"primary,omitempty"`
	PrimaryToken   string    `json:"primary_token,omitempty"`
	PrimaryAddress string    `json:"primary_address,omitempty"`
	PromotedAt     time.Time `json:"promoted_at,omitzero"`
	// PromotedPosition is the GTID position at which Primary took over: a former primary whose own position goes
	// beyond it has diverged.
	PromotedPosition string `json:"promoted_position,omitempty"`

	// Orders are what each server is to be now, by instance name. A server without an order stays read-only and waits.
	Orders map[string]DatabaseOrder `json:"orders,omitempty"`

	// Failover is the change of the primary under way, nil for none. It is written before each step, so that another
	// sidecar goes on where this one was killed.
	Failover *Failover `json:"failover,omitempty"`
	// Last is the change of the primary that ended last.
	Last *Failover `json:"last,omitempty"`
	// Wish is a person's: farmhand failover. Taken up and cleared by the sidecar.
	Wish *FailoverWish `json:"wish,omitempty"`

	// Suspect is set while the primary seems to be dead and it is not certain yet.
	Suspect *DatabaseSuspicion `json:"suspect,omitempty"`
	// Ackers are the replicas that acknowledge, by instance name: what was acknowledged to a client may be on one of them
	// alone besides the primary.
	Ackers map[string]DatabaseAcker `json:"ackers,omitempty"`
	// Bare is since when no replica acknowledges though the primary's commits wait for one; zero if one does.
	Bare time.Time `json:"bare,omitzero"`
	// Reads are the instances that belong in the pool that is read from, sorted.
	Reads []string `json:"reads,omitempty"`
	// Promotions are the latest changes of the primary, oldest first: what a former primary wrote beyond the next
	// one's position has diverged.
	Promotions []DatabasePromotion `json:"promotions,omitempty"`
	// Known are the instances whose data is that of the role, sorted: only theirs is ever thrown away to be cloned anew.
	Known []string `json:"known,omitempty"`
	// Restored is the id of the last restore that was carried out.
	Restored string `json:"restored,omitempty"`
	// Plain are the addresses of servers whose agent is of a version without TLS, sorted: they are followed and cloned from in plain
	// text, and while there are any, so may replicas follow.
	Plain []string `json:"plain,omitempty"`
	// Lease is how long a primary may go without hearing from the store before it makes itself read-only. A primary that cannot
	// be reached or stopped is waited for this long, and a margin, before another one is promoted.
	Lease time.Duration `json:"lease"` // nanoseconds
}

// DatabaseSuspicion is how long the primary has seemed to be dead.
type DatabaseSuspicion struct {
	Since time.Time `json:"since"`
	Looks int       `json:"looks"` // in a row
	Why   string    `json:"why"`
}

// DatabaseAcker is a replica whose acknowledgement may have been the only one. It is Counted once it has received what the
// primary had when it began to acknowledge; when it stops while the primary lives, it goes on being counted until
// another one has received what the primary had then.
type DatabaseAcker struct {
	Token   string    `json:"token"`
	Counted bool      `json:"counted,omitempty"`
	Stopped time.Time `json:"stopped,omitzero"`
	Floor   string    `json:"floor,omitempty"` // position that must have been received before it is counted, or dropped
}

// DatabasePromotion is one change of the primary.
type DatabasePromotion struct {
	Term     int64  `json:"term"`
	Primary  string `json:"primary"` // instance
	Position string `json:"position,omitempty"`
}

// DatabaseOffice is what a server is to be.
type DatabaseOffice string

const (
	OfficePrimary DatabaseOffice = "primary" // writable, semi-synchronous source
	OfficeReplica DatabaseOffice = "replica" // read-only, replicates from Source; an empty data directory is cloned from CloneFrom first
	OfficeDrain   DatabaseOffice = "drain"   // read-only; stop receiving, apply everything received, say when that is done
	OfficeFrozen  DatabaseOffice = "frozen"  // read-only, clients' sessions ended: the primary of before, in a planned change
	OfficeClone   DatabaseOffice = "clone"   // throw the data away and clone anew from CloneFrom, then be a replica of Source: it has diverged
)

// DatabaseOrder is what one server is to be. It is in force until another one replaces it; carrying it out twice changes nothing.
type DatabaseOrder struct {
	Seq    int64          `json:"seq"` // grows with every change of this server's order; reported back as Done
	Term   int64          `json:"term"`
	Office DatabaseOffice `json:"office"`
	Source string         `json:"source,omitempty"` // address of the primary to replicate from
	// CloneFrom is the address of the server whose data is taken, a replica where there is one.
	CloneFrom string `json:"clone_from,omitempty"`
	// Until is the GTID position to reach before the order counts as carried out: of a candidate in a planned change.
	Until string `json:"until,omitempty"`
	// Restore, with First, fills it from a backup in place of that; what data there was is set aside.
	Restore *BackupTask `json:"restore,omitempty"`
	// First makes an empty server the first primary of the role: it initialises its data.
	First bool `json:"first,omitempty"`
	// Alone: of a primary. No replica could acknowledge, so no commit waits for one; without it every commit waits until
	// one does, for as long as that takes.
	Alone bool `json:"alone,omitempty"`
	// Token is the instance record's: another holder of the index has no order yet.
	Token string `json:"token,omitempty"`
}

// Equal tells whether two orders say the same. == would take the same restore, read twice, for two.
func (o DatabaseOrder) Equal(other DatabaseOrder) bool {
	a, b := o.Restore, other.Restore
	o.Restore, other.Restore = nil, nil
	return o == other && (a == nil && b == nil || a != nil && b != nil && a.ID == b.ID)
}

// FailoverStep is where a change of the primary stands.
type FailoverStep string

const (
	StepFence   FailoverStep = "fence"    // the old primary is being stopped, or its lease is being waited for
	StepFreeze  FailoverStep = "freeze"   // planned: the old primary becomes read-only
	StepCatchUp FailoverStep = "catch up" // planned: the new one applies what the old one has
	StepDrain   FailoverStep = "drain"    // unplanned: every reachable replica applies what it has received
	StepPromote FailoverStep = "promote"  // the chosen one becomes writable
	StepDone    FailoverStep = "done"
	StepAborted FailoverStep = "aborted" // planned and given up: the old primary is writable again
	StepRefused FailoverStep = "refused" // it would lose acknowledged writes; a person decides
)

// Failover is one change of the primary, step by step.
type Failover struct {
	ID      string `json:"id"`
	Planned bool   `json:"planned,omitempty"`
	Reason  string `json:"reason"`
	From    string `json:"from,omitempty"` // instance
	// FromToken is its record's token, FromAddress where it was reached and Heard when its agent was last heard.
	FromToken   string    `json:"from_token,omitempty"`
	FromAddress string    `json:"from_address,omitempty"`
	Heard       time.Time `json:"heard,omitzero"`
	// Position is the old primary's when it was frozen: what the new one has to reach.
	Position string `json:"position,omitempty"`
	// Forced: a person accepted that acknowledged writes may be lost. Wish is what the change was asked for by, if it was.
	Forced  bool           `json:"forced,omitempty"`
	Wish    string         `json:"wish,omitempty"`
	To      string         `json:"to,omitempty"` // instance; "" while it is not chosen
	Step    FailoverStep   `json:"step"`
	Since   time.Time      `json:"since"` // of Step
	Began   time.Time      `json:"began"`
	History []FailoverPast `json:"history,omitempty"` // steps gone through, oldest first
}

// FailoverPast is one step that was gone through.
type FailoverPast struct {
	Step FailoverStep `json:"step"`
	At   time.Time    `json:"at"`
	Text string       `json:"text"` // what was found or done, for explain
}

// FailoverWish is what farmhand failover asks for.
type FailoverWish struct {
	ID     string    `json:"id"`
	To     string    `json:"to,omitempty"` // instance; "" for the best
	At     time.Time `json:"at"`
	By     string    `json:"by,omitempty"`
	Force  bool      `json:"force,omitempty"` // go on where the floor refuses: acknowledged writes may be lost
	Reason string    `json:"reason,omitempty"`
}

// DatabaseReport is how one server stands, told by its agent: at every change of note, and with every report.
type DatabaseReport struct {
	Flavor  string `json:"flavor"`  // "mariadb" or "mysql": what its positions look like
	Version string `json:"version"` // of the server
	Done    int64  `json:"done"`    // Seq of the last order that was carried out
	Term    int64  `json:"term"`    // of that order
	Doing   string `json:"doing,omitempty"`
	Error   string `json:"error,omitempty"` // why the order is not carried out yet
	// RestoreFailed is the id of the restore that failed here, and is not tried again; Error says why.
	RestoreFailed string `json:"restore_failed,omitempty"`
	// RestoreTransient: it failed because the place of the backups could not be reached.
	RestoreTransient bool `json:"restore_transient,omitempty"`
	// RestoreNoted is the id of the restore that RestoreNote is about: what somebody should know of the data that it brought.
	RestoreNoted string `json:"restore_noted,omitempty"`
	RestoreNote  string `json:"restore_note,omitempty"`

	// TLS: its server and its clones are there for those who show a certificate of the role's authority, by TLS.
	TLS bool `json:"tls,omitempty"`

	Writable bool   `json:"writable,omitempty"`
	Empty    bool   `json:"empty,omitempty"`    // it holds no data: never initialised, never cloned
	Position string `json:"position,omitempty"` // GTID position of everything applied or written here
	Received string `json:"received,omitempty"` // GTID position of everything received, applied or not
	Drained  bool   `json:"drained,omitempty"`  // everything received is applied, and nothing more is received
	Diverged string `json:"diverged,omitempty"` // why it cannot follow its source any more: it is to be cloned anew

	// Of a replica.
	Source      string  `json:"source,omitempty"`       // address that it replicates from
	Receiving   bool    `json:"receiving,omitempty"`    // its receiver thread is connected to Source
	Applying    bool    `json:"applying,omitempty"`     // its applier runs
	ReplicaNote string  `json:"replica_note,omitempty"` // the server's last replication error
	Lag         float64 `json:"lag"`                    // seconds behind, judged by GTID and the time of the last applied transaction
	LagKnown    bool    `json:"lag_known,omitempty"`    // Lag means something
	Heard       float64 `json:"heard,omitempty"`        // seconds since anything came from Source, heartbeats included
	Lost        bool    `json:"lost,omitempty"`         // Source is gone as seen from here: not connected, or silent for longer than it may be
	Acks        bool    `json:"acknowledges,omitempty"` // its acknowledgements are counted: semi-synchronous and connected

	// Of a primary.
	SemiSync int `json:"semi_sync,omitempty"` // replicas that acknowledge now
	// Waiting: commits wait for an acknowledgement that does not come.
	Waiting bool `json:"waiting,omitempty"`

	DiskUsed float64 `json:"disk_used,omitempty"` // share of the data's file system, 0..1
	Bytes    int64   `json:"bytes,omitempty"`     // of data, as the file system counts
}
