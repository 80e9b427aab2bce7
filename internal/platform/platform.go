// Package platform is where machines come from: docker, simulated, later aws.
//
// A platform knows nothing of policies, roles' sizes or reasons. It launches by token, lists by farm, and ends by id.
// Every call is idempotent. Implementations pass platformtest.
package platform

import (
	"context"
	"errors"
	"time"

	"github.com/farmhand/terraform-provider-farmhand/internal/spec"
)

// Errors that decide what the caller does next; implementations wrap them with cause and way out.
var (
	// ErrUnavailable: the platform cannot be reached or asked to wait. Nothing is known; try later.
	ErrUnavailable = errors.New("platform unavailable")
	// ErrCapacity: the platform has no room (memory, disk, addresses, quota) for this launch.
	ErrCapacity = errors.New("no capacity")
	// ErrInvalid: the request can never succeed as it stands (image missing, subnet overlapping).
	ErrInvalid = errors.New("invalid request")
)

// Status is what the platform says of a machine.
type Status string

const (
	Pending Status = "pending" // accepted, not running yet
	Up      Status = "up"      // running, whatever runs in it
	Stopped Status = "stopped" // exists, does not run; it will not come back by itself
	Ending  Status = "ending"  // being removed
)

// Machine is what the platform holds for an instance: found by tag, never by memory.
type Machine struct {
	ID         string // the platform's own
	Farm       string
	Role       string
	Instance   string // "web-2"
	Token      string // of the intent
	Generation string
	Status     Status
	Address    string
	Zone       string
	Launched   time.Time
	Exit       string // of a stopped machine: why, in the platform's words ("exit status 137, killed")
	// Notice is what the platform has announced for the machine; nil for nothing.
	Notice *Notice
}

// Notice is an announced end: replace the machine before it comes.
type Notice struct {
	Kind   string    // "retirement", "maintenance", "spot interruption", "rebalance recommendation"
	Before time.Time // when it happens at the earliest; zero where that is not said
	Text   string    // in the platform's words
}

// Launch is one machine to make. Launching a token twice yields the same machine.
type Launch struct {
	Farm       string
	Role       string
	Instance   string
	Token      string
	Generation string
	Image      string
	Address    string // fixed address within the farm's network; empty where the platform chooses
	Volume     string // volume id to mount at VolumePath; empty for none
	VolumePath string
	// RoleSpec is the role's declaration, for what only one platform knows of (instance types, markets, disks).
	RoleSpec spec.Role
	// Bootstrap is handed to the agent and to nobody else: it is never in environment, labels or logs.
	Bootstrap Bootstrap
}

// Bootstrap is what an agent needs to find its farm. On Docker it is a file that only root can read.
type Bootstrap struct {
	Farm     string `json:"farm"`
	Instance string `json:"instance"`
	Gateway  string `json:"gateway"` // host:port
	Secret   string `json:"secret"`  // gateway token
	// Store is set instead of Gateway and Secret where agents open the store themselves (EC2), and Machine instead of
	// Instance where many are made alike: who it is stands under state.MachineKey.
	Store   string `json:"store,omitempty"`
	Machine string `json:"machine,omitempty"`
}

// BootstrapPath is where the agent finds it.
const BootstrapPath = "/etc/farmhand/agent.json"

// Network is a farm's own network, ready for use.
type Network struct {
	// ListenHost is the address on which the sidecar serves gateway and DNS to the farm's machines, and
	// AdvertiseHost the one by which machines reach it (they differ with Docker Desktop).
	ListenHost    string
	AdvertiseHost string
	Subnet        string // CIDR; empty where the platform gives addresses itself
}

// Platform is safe for concurrent use. Each value serves one farm.
type Platform interface {
	// Open makes what the farm's machines need (a network) or finds it, and checks that machines can be launched.
	Open(ctx context.Context) (Network, error)
	// Launch starts a machine and returns without waiting for it to serve.
	Launch(ctx context.Context, l Launch) (Machine, error)
	// List returns every machine of the farm, stopped ones included, in one call or few.
	List(ctx context.Context) ([]Machine, error)
	// Terminate ends a machine within grace (its agent is told first); unknown ids are no error.
	Terminate(ctx context.Context, id string, grace time.Duration) error
	// Output returns the last lines that the machine printed, as far as the platform keeps them.
	Output(ctx context.Context, id string, lines int) ([]string, error)

	// EnsureVolume makes the volume of a role's index or finds it, and returns its id. DeleteVolume removes; unknown ids are no error.
	EnsureVolume(ctx context.Context, role, instance string) (string, error)
	ListVolumes(ctx context.Context) ([]Volume, error)
	DeleteVolume(ctx context.Context, id string) error

	// Events returns a channel of hints that a machine of the farm changed; it may stay silent for ever where the
	// platform has none. Closed when ctx ends.
	Events(ctx context.Context) <-chan struct{}

	// Check tells whether the role could be launched, without launching: the image exists and suits. ErrInvalid if not.
	Check(ctx context.Context, role spec.Role) error
	// Destroy removes what Open made. Machines must be gone; volumes stay unless deleted before.
	Destroy(ctx context.Context) error
	// Close frees connections; it ends nothing.
	Close() error
}

// Batcher is a platform that makes many machines by one call.
type Batcher interface {
	// LaunchAll is Launch for each, in as few calls as the platform allows; results are in the order of ls. All are of one role
	// and generation. Launching a token again yields the same machine, also in other company than the first time.
	LaunchAll(ctx context.Context, ls []Launch) []Result
}

// Result is the answer to one launch of a batch.
type Result struct {
	Machine Machine
	Err     error
}

// Balancer is a platform with load balancers of its own.
type Balancer interface {
	// Balance registers exactly the given machines in each target group, and returns what the balancer thinks of every
	// machine that it still sends anything to, by target group and machine id. It is called every tick and caches.
	// Targets that farmhand did not register are left alone.
	Balance(ctx context.Context, targets map[string][]string) (map[string]map[string]Target, error)
}

// Target is a load balancer's view of a machine.
type Target struct {
	State  string // "initial", "healthy", "unhealthy", "unused", "draining"
	Reason string // in the balancer's words
}

// Keeper is a platform that keeps machines in stock for roles.
type Keeper interface {
	// Keep is told the farm's roles every tick: it fills, renews (generation, by role) and empties warm pools, attaches
	// what belongs to an index, and does other work that no single call asks for. It returns without waiting for machines.
	Keep(ctx context.Context, roles []spec.Role, generations map[string]string) error
}

// Grower is a platform whose volumes grow in place.
type Grower interface {
	// Grow makes the roles' volumes as large as size says of an instance's that is now so large (GiB), and of the type that is declared.
	// It is called every tick and returns what it has begun.
	Grow(ctx context.Context, roles []spec.Role, size func(instance string, declared spec.Volume, now int) int) ([]Grown, error)
}

// Grown is a volume that has begun to change; sizes in GiB, equal where only its type changes.
type Grown struct {
	Instance, Volume string
	From, To         int
}

// Volume is a data volume that the platform holds.
type Volume struct {
	ID       string
	Role     string
	Instance string
}
