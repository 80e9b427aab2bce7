package sqlite

const (
	// applicationID marks our files ("FARM" in ASCII); SQLite keeps it at byte 68 of the file.
	applicationID = 0x4641524d
	// schemaVersion is counted up by every change of the schema that an older version would not understand;
	// SQLite keeps it at byte 60, as user_version.
	schemaVersion = 1
)

// schema: a revision is the number of a row of change, which AUTOINCREMENT never gives twice, so that revisions
// are one sequence over the whole store, across deletes and processes. The rows themselves tell other processes
// what changed; old ones are pruned. Keys are TEXT with SQLite's default BINARY collation: they sort by byte.
// expires is in milliseconds since 1970.
const schema = `
CREATE TABLE change (
	revision INTEGER PRIMARY KEY AUTOINCREMENT,
	writer   INTEGER NOT NULL,
	key      TEXT NOT NULL
) STRICT;
CREATE TABLE entry (
	key      TEXT PRIMARY KEY,
	value    BLOB NOT NULL,
	revision INTEGER NOT NULL,
	expires  INTEGER
) STRICT;
CREATE INDEX entry_expires ON entry (expires) WHERE expires IS NOT NULL;
`

const (
	// pruneEvery is after how many revisions a write also prunes, and changesKept how many rows of change stay. A
	// process that falls further behind (it was stopped, or the machine slept) is told so by the gap, and takes
	// everything for changed.
	pruneEvery  = 1024
	changesKept = 4096
)
