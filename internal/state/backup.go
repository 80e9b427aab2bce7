package state

import "time"

// BackupKind is what a BackupTask does.
type BackupKind string

const (
	BackupFull    BackupKind = "backup"  // take a full backup
	BackupDrill   BackupKind = "drill"   // restore a backup beside the running server, check it, throw it away
	BackupRestore BackupKind = "restore" // replace the role's data by a backup, see DatabaseOrder.Restore
)

// BackupTask is one piece of work on backups, given to one instance.
type BackupTask struct {
	ID   string     `json:"id"` // of the task; a full backup's id too
	Kind BackupKind `json:"kind"`
	// Backup is the id of the backup to restore; "" for the newest that will do.
	Backup string `json:"backup,omitempty"`
	// From is the role whose backup it is, where that is another one.
	From string `json:"from,omitempty"`
	// Until is the moment to restore to, binary logs included; zero: as far as they go. Position is the same as a GTID position.
	Until    time.Time `json:"until,omitzero"`
	Position string    `json:"position,omitempty"`
	Query    string    `json:"query,omitempty"` // of a drill
	Archive
	At     time.Time `json:"at"`              // asked for
	By     string    `json:"by,omitempty"`    // a person; "" for the schedule
	Force  bool      `json:"force,omitempty"` // a restore may replace data
	Tries  int       `json:"tries,omitempty"`
	Server string    `json:"server,omitempty"` // instance that has it
}

// Archive is where a role's backups lie.
type Archive struct {
	To    string        `json:"to,omitempty"`    // as spec.Backup.To
	UID   string        `json:"uid,omitempty"`   // of the farm; see backup.Catalog
	Every time.Duration `json:"every,omitempty"` // of binary logs; nanoseconds
}

// Backups is how a role's backups stand. Key: BackupsKey(farm, role).
type Backups struct {
	Task     *BackupTask `json:"task,omitempty"`     // under way
	Archiver string      `json:"archiver,omitempty"` // instance that stores the binary logs
	// Full, Drill and Log are what went well last.
	Full     *BackupDone `json:"full,omitempty"`
	Drill    *BackupDone `json:"drill,omitempty"`
	Log      time.Time   `json:"log,omitzero"` // everything committed until then is stored
	Restored *BackupDone `json:"restored,omitempty"`
	// Missed is the due time of the last backup that was not taken in its window, and DrillTried that of the last drill begun.
	Missed     time.Time `json:"missed,omitzero"`
	DrillTried time.Time `json:"drill_tried,omitzero"`
	// Tries counts the failures of the present due time; Overdue that this was said.
	Tries   int  `json:"tries,omitempty"`
	Overdue bool `json:"overdue,omitempty"`
	// RetryAt is when what failed is tried again, Failure why it failed.
	RetryAt time.Time `json:"retry_at,omitzero"`
	Failure string    `json:"failure,omitempty"`
	// Since is when backups were first declared: nothing older is missed.
	Since time.Time `json:"since"`
}

// BackupDone is a task that went well.
type BackupDone struct {
	ID     string        `json:"id"`              // of the backup
	At     time.Time     `json:"at"`              // that it shows, or that the drill ended
	Took   time.Duration `json:"took,omitempty"`  // nanoseconds
	Bytes  int64         `json:"bytes,omitempty"` // stored
	Server string        `json:"server,omitempty"`
	Text   string        `json:"text,omitempty"` // what a drill found
}

// BackupReport is what an agent says of its task and of its archive.
type BackupReport struct {
	Task   string      `json:"task,omitempty"` // id of the task that the rest is about
	Doing  string      `json:"doing,omitempty"`
	Bytes  int64       `json:"bytes,omitempty"` // so far, before compression
	Done   bool        `json:"done,omitempty"`
	Error  string      `json:"error,omitempty"` // final
	Result *BackupDone `json:"result,omitempty"`

	Log      time.Time `json:"log,omitzero"` // everything committed here until then is stored
	LogError string    `json:"log_error,omitempty"`
}
