// Package dbserver speaks to one database server over its local socket, whichever it is: what it is asked, told and
// made to be so that one of several is the primary and the others replicate from it.
//
// It decides nothing and knows nothing of farms. MariaDB 10.11 and MySQL, from 8.4 on, are behind one interface, Server; Open
// finds out which it is. Start at Server and Status, then mariadb.go and mysql*.go.
package dbserver

import (
	"context"
)

// Flavors of servers: what their positions look like.
const (
	FlavorMariaDB = "mariadb"
	FlavorMySQL   = "mysql"
)

// Source is where a replica replicates from.
type Source struct {
	Host           string
	Port           int
	User, Password string
	// TLS is how, nil for in plain text: only for a server of a version that cannot do otherwise.
	TLS *TLS
}

// TLS are the files, in PEM, by which a replica and its source know each other.
type TLS struct {
	Authority   string // both of them trust it; the source's certificate must be for Source.Host
	Certificate string // the replica's own, with its key
}

// tls are the values of SSL, SSL_VERIFY_SERVER_CERT, SSL_CA, SSL_CERT and SSL_KEY of a source.
func (s Source) tls() []any {
	if s.TLS == nil {
		return []any{false, false, "", "", ""}
	}
	return []any{true, true, s.TLS.Authority, s.TLS.Certificate, s.TLS.Certificate}
}

// Accounts are those that a primary makes; replicas receive them.
type Accounts struct {
	Database, User, Password     string // the application's
	ReplicaUser, ReplicaPassword string
	// ReplicaTLS are the server's own files, where replicas have to show a certificate of that authority; zero where they need not.
	ReplicaTLS TLS
}

// Server is one server, asked as its administrator. Safe for concurrent use; every call is bounded by its context and
// may be repeated at will.
type Server interface {
	Flavor() string
	Version() string

	// Ping sends a statement all the way through.
	Ping(ctx context.Context) error
	// Status looks at everything at once; it is cheap enough for four times a second.
	Status(ctx context.Context) (Status, error)

	// MakeReadOnly returns when nobody's commit but an administrator's can succeed any more. Commits that wait for an
	// acknowledgement hold it up: see Fence. Given up, it does not come later.
	MakeReadOnly(ctx context.Context) error
	MakeWritable(ctx context.Context) error
	// Fence is MakeReadOnly even while commits wait for an acknowledgement that will not come: whoever waits is cut off, and not told
	// that it succeeded. In the end it is EndSessions, too.
	Fence(ctx context.Context) error
	// EndSessions cuts all connections but those of replication and of local administrators, and counts them.
	EndSessions(ctx context.Context) (int, error)

	// Follow makes it a replica of the source, from the position that it is at. A former primary takes its own
	// transactions as applied. A replica of that source already is only started again where it stands still.
	Follow(ctx context.Context, s Source) error
	// StopReceiving ends the receiving of transactions; what was received is still applied.
	StopReceiving(ctx context.Context) error
	// WaitApplied returns when all of position is applied here, or ctx's end.
	WaitApplied(ctx context.Context, position string) error
	// Detach makes a replica one no longer and forgets its source. What was received and not applied is lost.
	Detach(ctx context.Context) error
	// Restart stops and starts receiver and applier.
	Restart(ctx context.Context) error

	// SemiSync makes commits wait, for as long as it takes, until one replica has what is committed; or ends that. Whoever
	// waits when it ends is told that the commit succeeded.
	SemiSync(ctx context.Context, on bool) error
	// Seed tells a server that was cloned what position its data is of; a farther one that the data itself tells goes before. It forgets
	// the binary log.
	Seed(ctx context.Context, position string) error
	// Beyond tells whether mine holds a transaction that than does not.
	Beyond(ctx context.Context, mine, than string) (bool, error)

	// Set sets a global variable; SetDefault sets it to what the server was built with.
	Set(ctx context.Context, variable, value string) error
	SetDefault(ctx context.Context, variable string) error
	// Ensure makes accounts or brings them up to date, and writes nothing if they are.
	Ensure(ctx context.Context, a Accounts) error
	// ReloadTLS has the server read its certificate, key and authority anew; connections go on. It writes nothing to the binary log.
	ReloadTLS(ctx context.Context) error

	Close() error
}

// Status is how a server stands.
type Status struct {
	Writable bool
	Position string // of everything applied or written here
	Received string // of everything received, applied or not; Position where it follows nobody
	// Own is what this server wrote itself and its source may lack: of MariaDB its last transaction, "" if what it applied last came from
	// its source; of MySQL all of them.
	Own string
	// Others is what is applied here that neither this server nor its source wrote: all of it is to be in what its source had when it
	// became the primary. Only MySQL tells: MariaDB refuses to replicate where it is not, see Broken.
	Others string

	Source     string // host:port that it replicates from, "" for none
	Receiving  bool   // connected to Source
	Connecting bool   // the receiver runs and is not connected
	Applying   bool
	Encrypted  bool // it asks Source by TLS
	CaughtUp   bool // everything received is applied
	// ReceiveError and ApplyError are the last errors, "" for none; Broken tells that by them the server has other
	// transactions than its source, or that its source has thrown away what it lacks: only a clone helps.
	ReceiveError, ApplyError string
	Broken                   bool
	// Behind is the server's own estimate in seconds, -1 where it has none. Traffic changes with everything that comes
	// from the source, heartbeats included.
	Behind  float64
	Traffic string

	SemiSync bool // commits wait for an acknowledgement
	Acks     bool // of a replica: its acknowledgements are counted
	Clients  int  // replicas that acknowledge
	Waiting  int  // sessions whose commits wait
}
