// Package behavior holds the prebuilt roles: what makes a bare instance a balancer, a web server, a database.
//
// A behavior has two halves. Traits are what provider, engine and controller know of it without running it.
// Runner is what the agent does on the instance: install, configure, test before reload, check, stop.
// A behavior is added by one folder and one line in the registry.
package behavior

import (
	"context"
	"io"
	"time"

	"github.com/farmhand/terraform-provider-farmhand/internal/backup"
	"github.com/farmhand/terraform-provider-farmhand/internal/spec"
	"github.com/farmhand/terraform-provider-farmhand/internal/state"
)

// Behavior is one prebuilt role.
type Behavior interface {
	Traits() Traits
	// Validate checks the role's settings and adds nothing; errors name the attribute ("settings.memory_mb").
	Validate(spec.Role) []spec.Problem
	// Exports are the environment variables that instances of roles using this one receive, from who serves
	// and the role's secret (DB_HOST, DB_PASSWORD, MEMCACHED_SERVERS). Never nil values.
	Exports(role spec.Role, zone string, topo state.RoleTopology, secret map[string]string) map[string]string
	// NewSecret makes the credentials that a role of this behavior needs, when it is first declared; nil for none.
	NewSecret(spec.Role) map[string]string
	// New makes the runner for this instance.
	New(Instance) Runner
}

// Traits are a behavior's constants.
type Traits struct {
	Name        string
	Description string
	// Port is where it serves; 0 for none. HTTP tells whether that is HTTP.
	Port int
	HTTP bool
	// Stateful: data belongs to the index; replaced end-first, in place, never launch-first. Volume is where its data is.
	Stateful   bool
	VolumePath string
	// Replicated: its servers are one primary and replicas of it, and follow the role's state.Database.
	Replicated bool
	// Settings are the names that spec.Role.Settings may hold, with a description and default each.
	Settings []Setting
	// InPlace tells of a setting that a running server takes over: its change is no new generation. Apply finds the
	// present ones in its topology. nil: none is.
	InPlace func(setting string) bool
	// Balances: it sends traffic to the roles it uses.
	Balances bool
	// Packages are Debian packages installed where the image lacks them.
	Packages []string
}

// Setting documents one of a behavior's settings.
type Setting struct {
	Name, Default, Description string
}

// Instance is what a runner knows of where it runs.
type Instance struct {
	Assignment state.Assignment
	Output     io.Writer // what a person should see of the boot: the last lines go into the report
	Run        Commander
	// Backups opens the place that the role's backups lie in; nil where they cannot be reached.
	Backups func(ctx context.Context, to string) (backup.Target, error)
	// RestoreSource opens the place that the backups lie in which a restore ordered now is from, elsewhere than the role's own; nil likewise.
	RestoreSource func(ctx context.Context, to string) (backup.Target, error)
	// Root prefixes every file that the runner writes; "/" on an instance, a scratch folder in tests.
	Root string
	// Traits finds the traits of any behavior by its name: a balancer asks which of the roles it uses speak HTTP.
	Traits func(name string) (Traits, bool)
}

// Commander runs programs; the agent's also reaps, logs and bounds them.
type Commander interface {
	// Run runs to the end and returns an error with the last lines of output if the exit status is not 0.
	Run(ctx context.Context, name string, args ...string) error
	// Start starts a service process that is meant to stay. It is restarted by nobody: exit shows in the check.
	Start(ctx context.Context, name string, args ...string) (Process, error)
}

// Process is a service that was started.
type Process interface {
	Pid() int
	// Done is closed at exit; Err is then its status.
	Done() <-chan struct{}
	Err() error
	Signal(sig int) error
}

// Input is what a runner renders its configuration from.
type Input struct {
	Topology state.Topology
	// Environment is the role's own, its secret one, and the exports of the roles used, merged in that order.
	Environment map[string]string
	// Secret is the role's own secret (a database's passwords).
	Secret map[string]string
	// Uses are the ids of the roles used, as declared now; the assignment that the runner was made with may be older.
	Uses []string
	// Database is what was decided of the role's servers, nil for nothing yet; only where Traits.Replicated.
	Database *state.Database
	// ReleaseDir is the unpacked application release; empty for none.
	ReleaseDir string
	// LogRequests is where a balancer logs its requests to (host:port, UDP), "" for nowhere; see RequestLog.
	LogRequests string
}

// RequestLog is the format of a logged request, in haproxy's notation: the server, how the session ended, and the
// milliseconds spent in the queue, for the connection, until the answer began, and in all.
const RequestLog = "farmhand %s %ts %Tw %Tc %Tr %Ta"

// Runner is called by the agent from one goroutine, except Check, which may run beside the others.
type Runner interface {
	// Setup installs, configures and starts; called once. Steps are told by step(name) for the boot report.
	Setup(ctx context.Context, in Input, step func(name string)) error
	// Apply takes over a changed input: render, test, reload. On error the former configuration is in force and serving.
	Apply(ctx context.Context, in Input) error
	// Check tells whether it serves; cheap, bounded by ctx.
	Check(ctx context.Context) error
	// Stop ends the service gracefully within ctx.
	Stop(ctx context.Context) error
}

// DatabaseReporter is a Runner of a replicated database.
type DatabaseReporter interface {
	Runner
	// DatabaseReport tells how the server stands. Safe for concurrent use; it does not wait for an order under way.
	DatabaseReport(ctx context.Context) state.DatabaseReport
	// DatabaseChanged is a channel of hints that the report changed in a way that the farm should know of at once.
	DatabaseChanged() <-chan struct{}
	// Ordered hands over what the store holds of the role, asked for at that time: at every change, at once and beside
	// Apply, and again and again. One of an older Term is a stale answer and ignored. A primary whose lease ran out becomes
	// writable again only by what was asked for after that. Safe for concurrent use; it does not wait.
	Ordered(d *state.Database, asked time.Time)
	// Heard is called whenever the store has taken this instance's report, sent at that time: a primary that has not
	// been heard for Database.Lease makes itself read-only. What the farm waits for before it promotes another one is
	// counted from the last report too. Safe for concurrent use; it does not wait.
	Heard(sent time.Time)
}
