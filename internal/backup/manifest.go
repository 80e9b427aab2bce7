package backup

import "time"

// idTime is the part of an id that says when: it sorts.
const idTime = "20060102T150405Z"

// NewID is the id of a backup begun at t: "20261121T031500Z".
func NewID(t time.Time) string { return t.UTC().Format(idTime) }

// Manifest describes one full backup.
type Manifest struct {
	ID       string    `json:"id"`
	Farm     string    `json:"farm"`
	Role     string    `json:"role"`
	Instance string    `json:"instance"` // that it was taken on
	Began    time.Time `json:"began"`
	// Ended is the moment that the backup shows: the server's tool takes everything that was committed until then.
	Ended    time.Time `json:"ended"`
	Flavor   string    `json:"flavor"`   // "mariadb" or "mysql"
	Version  string    `json:"version"`  // of the server
	Position string    `json:"position"` // GTID position that it holds
	// Database and User are the application's, by the role's settings; "" of an earlier version's.
	Database string `json:"database,omitempty"`
	User     string `json:"user,omitempty"`
	Plain    int64  `json:"plain"`  // bytes before compression
	Stored   int64  `json:"stored"` // bytes in the target
	SHA256   string `json:"sha256"` // of what is stored, hex
	Key      string `json:"key,omitempty"`
	Manual   bool   `json:"manual,omitempty"` // asked for by a person: not pruned before it is a month old
	// InPlace tells of no stored backup, but of data that lies where it is to be restored to: a snapshot's, as a loss of power would
	// have left it. Position is then not known before it is started.
	InPlace bool `json:"-"`
	// Drill is how its last restore went; nil for none yet. It is stored beside the manifest.
	Drill *Drill `json:"drill,omitempty"`
}

// Drill is the report of a rehearsed restore.
type Drill struct {
	Backup   string        `json:"backup"`
	Instance string        `json:"instance"` // that it was restored on
	Began    time.Time     `json:"began"`
	Took     time.Duration `json:"took"` // nanoseconds
	OK       bool          `json:"ok"`
	Error    string        `json:"error,omitempty"`
	Steps    []DrillStep   `json:"steps"`
	Position string        `json:"position,omitempty"` // GTID position reached, binary logs included
	Until    time.Time     `json:"until,omitzero"`     // of the last transaction in it
	Tables   int           `json:"tables"`
	Rows     int64         `json:"rows"`
	Checked  int           `json:"checked"`          // tables that CHECK TABLE found well
	Query    string        `json:"query,omitempty"`  // the declared one
	Answer   string        `json:"answer,omitempty"` // its first row
}

// DrillStep is one step of a drill, with how long it took.
type DrillStep struct {
	Step string        `json:"step"`
	Took time.Duration `json:"took"` // nanoseconds
	Text string        `json:"text,omitempty"`
}
