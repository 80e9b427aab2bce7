package state

import (
	"cmp"
	"time"
)

// BackupKind is what a BackupTask does.
type BackupKind string

const (
	BackupFull    BackupKind = "backup"  // take a full backup
	BackupDrill   BackupKind = "drill"   // restore a backup beside the running server, check it, throw it away
	BackupRestore BackupKind = "restore" // replace the role's data by a backup, see DatabaseOrder.Restore
	// BackupSnapshot is taken by the sidecar and the platform, not by an instance.
	BackupSnapshot BackupKind = "snapshot"
)

// BackupTask is one piece of work on backups, given to one instance.
type BackupTask struct {
	ID   string     `json:"id"` // of the task; a full backup's id too
	Kind BackupKind `json:"kind"`
	// Backup is the id of the backup to restore; "" for the newest that will do.
	Backup string `json:"backup,omitempty"`
	// From is the role whose backup it is, where that is another one.
	From string `json:"from,omitempty"`
	// FromFarm is that role's farm and FromTo where its backups lie, as spec.Backup.To; "": this farm, and where the role's own lie.
	FromFarm string `json:"from_farm,omitempty"`
	FromTo   string `json:"from_to,omitempty"`
	// FromKey: the key of those backups stands under RestoreKey in the role's secret, as long as the restore stands.
	FromKey bool `json:"from_key,omitempty"`
	// Until is the moment to restore to, binary logs included; zero: as far as they go. Position is the same as a GTID position.
	Until    time.Time `json:"until,omitzero"`
	Position string    `json:"position,omitempty"`
	Query    string    `json:"query,omitempty"` // of a drill
	Archive
	At     time.Time `json:"at"`               // asked for
	By     string    `json:"by,omitempty"`     // a person; "" for the schedule
	Force  bool      `json:"force,omitempty"`  // a restore may replace data
	Tries  int       `json:"tries,omitempty"`  // that failed for a cause that may pass
	Asked  string    `json:"asked,omitempty"`  // the ID of its first try, "" of that itself
	Server string    `json:"server,omitempty"` // instance that has it
	// Temporary: it needs an instance of index 0 that is launched for it. Snapshot is what the volume of that instance is made of, nil
	// for an empty one: a drill rehearses it, and a restore takes its data from there.
	Temporary bool      `json:"temporary,omitempty"`
	Snapshot  *Snapshot `json:"snapshot,omitempty"`
}

// Source is the farm and the role whose backups a restore into a role is from, and where they lie. elsewhere: a person named them, beyond
// a role of the same farm.
func (t *BackupTask) Source(farm, role string) (fromFarm, fromRole, to string, elsewhere bool) {
	return cmp.Or(t.FromFarm, farm), cmp.Or(t.From, role), cmp.Or(t.FromTo, t.To), t.FromFarm != "" || t.FromTo != ""
}

// HoldsKey tells whether the task needs RestoreKey.
func (t *BackupTask) HoldsKey() bool { return t != nil && t.FromKey }

// Is tells whether it is the task that was asked for with an id, or another try of it.
func (t *BackupTask) Is(id string) bool { return t != nil && (t.ID == id || t.Asked == id && id != "") }

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
	Full  *BackupDone `json:"full,omitempty"`
	Drill *BackupDone `json:"drill,omitempty"`
	// DrillFailed is the last rehearsal of a full backup if it did not go well, Text why; a snapshot's is noted with it.
	DrillFailed *BackupDone `json:"drill_failed,omitempty"`
	Log         time.Time   `json:"log,omitzero"`  // everything committed until then is stored
	Gap         *LogGap     `json:"gap,omitempty"` // the newest one in what is stored, which was said
	Restored    *BackupDone `json:"restored,omitempty"`
	// Snapshotting is the snapshot under way, its Position what the server had applied when it was begun; Snapshot is the one that
	// went well last, and Snapshots all that there are, oldest first.
	Snapshotting *BackupTask `json:"snapshotting,omitempty"`
	Snapshot     *BackupDone `json:"snapshot,omitempty"`
	Snapshots    []Snapshot  `json:"snapshots,omitempty"`
	// SnapshotTried is the due time of the last snapshot that was begun or missed, SnapshotRetryAt when one that failed is tried again,
	// and SnapshotDrilled the due time of the last drill of one.
	SnapshotTried   time.Time `json:"snapshot_tried,omitzero"`
	SnapshotRetryAt time.Time `json:"snapshot_retry_at,omitzero"`
	SnapshotDrilled time.Time `json:"snapshot_drilled,omitzero"`
	// SnapshotFailure is why the last one failed, "" if it did not.
	SnapshotFailure string `json:"snapshot_failure,omitempty"`
	// Missed is the due time of the last backup that was not taken in its window, and DrillTried that of the last drill begun.
	Missed     time.Time `json:"missed,omitzero"`
	DrillTried time.Time `json:"drill_tried,omitzero"`
	// Tries counts the failures of the present due time; Overdue that this was said.
	Tries   int  `json:"tries,omitempty"`
	Overdue bool `json:"overdue,omitempty"`
	// Again is what failed for a cause that may pass, and is begun again at RetryAt.
	Again *BackupTask `json:"again,omitempty"`
	// RetryAt is when what failed is tried again, Failure why it failed.
	RetryAt time.Time `json:"retry_at,omitzero"`
	Failure string    `json:"failure,omitempty"`
	// Since is when backups were first declared: nothing older is missed.
	Since time.Time `json:"since"`
}

// Snapshot is one of a role's data volumes that is done.
type Snapshot struct {
	Name     string    `json:"name"`
	ID       string    `json:"id"`       // the platform's
	Instance string    `json:"instance"` // whose volume it shows
	At       time.Time `json:"at"`       // that it shows
	// Position is a GTID position that it holds, and maybe more; "" where that is not known.
	Position string `json:"position,omitempty"`
	Flavor   string `json:"flavor,omitempty"` // of Position
	Bytes    int64  `json:"bytes,omitempty"`  // of data, as its server said
	Manual   bool   `json:"manual,omitempty"`
	// Drill is what its last rehearsal found, Failed that it went badly; "" for never.
	Drill  string `json:"drill,omitempty"`
	Failed bool   `json:"failed,omitempty"`
}

// BackupDone is a task that went well.
type BackupDone struct {
	ID     string        `json:"id"`              // of the backup
	Asked  string        `json:"asked,omitempty"` // BackupTask.Asked
	At     time.Time     `json:"at"`              // that it shows, or that the drill ended
	Took   time.Duration `json:"took,omitempty"`  // nanoseconds
	Bytes  int64         `json:"bytes,omitempty"` // stored
	Server string        `json:"server,omitempty"`
	Text   string        `json:"text,omitempty"` // what a drill found
}

// BackupReport is what an agent says of its task and of its archive.
type BackupReport struct {
	Task  string `json:"task,omitempty"` // id of the task that the rest is about
	Doing string `json:"doing,omitempty"`
	Bytes int64  `json:"bytes,omitempty"` // so far, before compression
	Done  bool   `json:"done,omitempty"`
	Error string `json:"error,omitempty"` // final
	// Transient: the place of the backups could not be reached, which says nothing of the task.
	Transient bool        `json:"transient,omitempty"`
	Result    *BackupDone `json:"result,omitempty"`

	Log      time.Time `json:"log,omitzero"` // everything committed here until then is stored
	LogError string    `json:"log_error,omitempty"`
	// Looked is when what is stored was last looked through for gaps, and Gap the newest one that was found.
	Looked time.Time `json:"looked,omitzero"`
	Gap    *LogGap   `json:"gap,omitempty"`
}

// LogGap is a run of transactions that are in no stored binary log.
type LogGap struct {
	First uint64    `json:"first"` // sequence numbers
	Last  uint64    `json:"last"`
	From  time.Time `json:"from"` // of the last transaction before it
	To    time.Time `json:"to"`   // of the first one behind it
	// Text names it; Whole is the oldest backup behind it, "" for none.
	Text  string `json:"text"`
	Whole string `json:"whole,omitempty"`
}
