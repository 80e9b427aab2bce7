// Package agent is what runs on an instance: it makes of a bare machine what its role says, and says how it is.
//
// It finds its farm by the bootstrap file, waits for its assignment, boots (resolver, application, behavior, boot
// script), then reports load and health and hands every change of the topology to its behavior. It decides nothing
// about the farm. While the sidecar is away it goes on with what it knows. Start at Run, then boot.go and follow.go.
package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/farmhand/terraform-provider-farmhand/internal/agent/dbproxy"
	"github.com/farmhand/terraform-provider-farmhand/internal/agent/ec2"
	"github.com/farmhand/terraform-provider-farmhand/internal/agent/load"
	"github.com/farmhand/terraform-provider-farmhand/internal/agent/measure"
	"github.com/farmhand/terraform-provider-farmhand/internal/agent/process"
	"github.com/farmhand/terraform-provider-farmhand/internal/agent/resolver"
	"github.com/farmhand/terraform-provider-farmhand/internal/backup/targets"
	"github.com/farmhand/terraform-provider-farmhand/internal/behavior"
	"github.com/farmhand/terraform-provider-farmhand/internal/behavior/behaviors"
	"github.com/farmhand/terraform-provider-farmhand/internal/platform"
	"github.com/farmhand/terraform-provider-farmhand/internal/store"
	"github.com/farmhand/terraform-provider-farmhand/internal/store/gateway"
	"github.com/farmhand/terraform-provider-farmhand/internal/store/stores"
)

const (
	// stopTime bounds the graceful end of the service. The platform's own grace may be shorter, and then kills.
	stopTime = 30 * time.Second
	// bootLines is how many of the last lines printed a report of an instance that does not serve carries.
	bootLines = 40
)

// Farm is what the agent needs of the store: the gateway's client on an instance.
type Farm interface {
	store.Store
	OpenBlob(ctx context.Context, name string) (io.ReadCloser, error)
}

// Options of Run. The zero value is right for an instance; tests change what is outside.
type Options struct {
	Version string
	// Bootstrap is the path of the bootstrap file; empty for platform.BootstrapPath.
	Bootstrap string
	// Store is the address of the farm's store (see package stores) and Farm the farm, on a machine that finds out by the
	// store which instance it is; Bootstrap and Connect are not used then.
	Store, Farm string
	// Machine is that machine; nil for the EC2 instance that this runs on. Open opens Store; nil for stores.Open with the
	// instance's credentials.
	Machine Machine
	Open    func(ctx context.Context, address string) (Farm, error)
	// Connect opens the store; nil for the gateway that the bootstrap file names.
	Connect func(platform.Bootstrap) Farm
	// Root prefixes every file written; empty for "/".
	Root string
	// Names is where the resolver listens; empty for 127.0.0.1:53, which is what resolv.conf can say.
	Names string
	// Behavior finds a behavior; nil for the registry.
	Behavior func(name string) (behavior.Behavior, bool)
	// Output gets what programs print; nil for standard output. It is written to from one goroutine at a time.
	Output io.Writer
	Log    *slog.Logger // nil for text on standard error
}

func (o Options) withDefaults() Options {
	if o.Bootstrap == "" {
		o.Bootstrap = platform.BootstrapPath
	}
	if o.Connect == nil {
		o.Connect = func(b platform.Bootstrap) Farm { return gateway.NewClient(b.Gateway, b.Farm, b.Instance, b.Secret) }
	}
	if o.Store != "" && o.Machine == nil {
		o.Machine = ec2.New()
	}
	if o.Root == "" {
		o.Root = "/"
	}
	if o.Names == "" {
		o.Names = "127.0.0.1:53"
	}
	if o.Behavior == nil {
		o.Behavior = behaviors.Get
	}
	if o.Output == nil {
		o.Output = os.Stdout
	}
	if o.Log == nil {
		o.Log = slog.New(slog.NewTextHandler(os.Stderr, nil))
	}
	if o.Open == nil {
		log := o.Log
		o.Open = func(ctx context.Context, address string) (Farm, error) { return openStore(ctx, address, log) }
	}
	return o
}

// Run is the agent's life. It returns nil after ctx's end or SIGTERM, when the service has stopped, and an error if
// it does not know its farm. Whatever else fails is reported, and the agent stays.
func Run(ctx context.Context, o Options) error {
	o = o.withDefaults()
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	if o.Store != "" {
		return runOnMachine(ctx, o)
	}
	limitMemory()
	runtime.GOMAXPROCS(min(2, runtime.NumCPU()))

	boot, err := readBootstrap(o.Bootstrap)
	if err != nil {
		return err
	}
	farm := o.Connect(boot)
	defer farm.Close()
	a := newAgent(o, boot, farm)
	if os.Getpid() == 1 {
		go a.table.Reap(context.WithoutCancel(ctx))
		defer a.table.EndOthers()
	}
	a.run(ctx)
	return nil
}

func readBootstrap(path string) (platform.Bootstrap, error) {
	var b platform.Bootstrap
	raw, err := os.ReadFile(path)
	if err != nil {
		return b, fmt.Errorf("reading what farm this instance belongs to: %w. The agent is started by a platform, not by hand", err)
	}
	if err := json.Unmarshal(raw, &b); err != nil {
		return b, fmt.Errorf("reading what farm this instance belongs to: %s: %w", path, err)
	}
	if b.Farm == "" || b.Instance == "" || b.Gateway == "" {
		return b, fmt.Errorf("reading what farm this instance belongs to: %s names no farm, instance or gateway", path)
	}
	return b, nil
}

// agent is the state of one life.
type agent struct {
	Options
	boot platform.Bootstrap
	farm Farm
	// machine is nil where the maker told who the instance is; volume is the id of its data volume, to be mounted.
	machine Machine
	volume  string
	mounted atomic.Pointer[string] // where volume is; nil until it is
	table   *process.Table
	out     io.Writer      // Output and lines
	lines   *process.Lines // last printed
	names   *resolver.Resolver
	load    *load.Sampler // nil if the machine cannot be measured
	asked   *measure.Set  // what policies ask for besides

	// Of the goroutine of run.
	traits     behavior.Traits
	runner     behavior.Runner
	releaseDir string

	database atomic.Pointer[behavior.DatabaseReporter] // nil: no database's instance

	proxy   *dbproxy.Keeper              // to a database role that the instance's application uses
	places  targets.Targets              // of backups, where the instance reaches them itself
	backups atomic.Pointer[keepsBackups] // nil: no database's instance, or it does not serve yet

	wake    chan struct{} // a report is due at once
	reached chan struct{} // reports get through again
	rehook  chan struct{} // another shutdown hook is declared
	mu      sync.Mutex
	told    told // what the next report says
}

func newAgent(o Options, boot platform.Bootstrap, farm Farm) *agent {
	a := &agent{Options: o, boot: boot, farm: farm, lines: process.NewLines(bootLines)}
	a.out = io.MultiWriter(&oneAtATime{w: o.Output}, a.lines)
	a.table = process.NewTable(a.out)
	if o.Store != "" {
		a.places.AWS = func(ctx context.Context) (aws.Config, error) { return stores.AWSConfig(ctx, o.Store) }
	}
	a.proxy = &dbproxy.Keeper{Run: a.table, Root: o.Root, Out: a.out}
	a.wake, a.rehook, a.reached = make(chan struct{}, 1), make(chan struct{}, 1), make(chan struct{}, 1)
	sources, err := load.Here(inContainer())
	if err != nil {
		o.Log.Warn("no load will be reported", "error", err)
	} else {
		a.load = load.New(sources)
	}
	a.asked = measure.New(measure.Options{Root: o.Root, Container: inContainer(), Run: a.table.RunCommand})
	if a.load != nil {
		a.load.More = a.asked.Values
	}
	return a
}

// inContainer: process 1 is its namespace's first; the two files are how Docker and Podman mark theirs.
func inContainer() bool {
	if os.Getpid() == 1 {
		return true
	}
	for _, mark := range []string{"/.dockerenv", "/run/.containerenv"} {
		if _, err := os.Stat(mark); err == nil {
			return true
		}
	}
	return false
}

func (a *agent) run(ctx context.Context) {
	as, err := a.awaitAssignment(ctx)
	if err != nil {
		return // ctx ended
	}
	a.assign(as)
	a.Log.Info("assigned", "farm", a.boot.Farm, "instance", a.boot.Instance, "behavior", as.Role.Behavior)
	done := make(chan struct{})
	reporting, stopReporting := context.WithCancel(context.WithoutCancel(ctx))
	go func() { defer close(done); a.send(reporting) }()
	if a.load != nil {
		go a.load.Run(ctx)
		go a.asked.Run(ctx)
	}

	f := newFollower(ctx, a)
	in, err := a.bootUp(ctx, as, f)
	switch {
	case ctx.Err() != nil:
	case err != nil:
		a.Log.Error("the boot failed", "error", err)
		a.failed(err)
		<-ctx.Done()
	default:
		a.bootDone()
		shedMemory()
		a.attachBackups(ctx)
		go a.watchHealth(ctx)
		go a.watchShutdownHook(ctx)
		a.keepUp(ctx, f, in)
	}
	a.sayRebooting()
	a.backups.Load().wait()
	a.stop()
	stopReporting()
	<-done
}

// stop ends the service.
func (a *agent) stop() {
	defer a.proxy.Stop(context.Background()) // after whoever uses it
	if a.runner == nil {
		return
	}
	ctx, cancel := context.WithTimeoutCause(context.Background(), stopTime, errors.New("it was given "+stopTime.String()))
	defer cancel()
	began := time.Now()
	if err := guarded("stopping", func() error { return a.runner.Stop(ctx) }); err != nil {
		a.Log.Error("stopping", "error", err)
		return
	}
	a.Log.Info("stopped", "after", time.Since(began).Round(time.Millisecond))
}

// guarded turns a panic in a behavior into an error: the agent outlives it, and says so.
func guarded(doing string, f func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%s: the behavior failed in itself: %v\n%s", doing, p, debug.Stack())
		}
	}()
	return f()
}

// say prints a line where the programs print: it is among the last lines of a boot that fails.
func (a *agent) say(format string, args ...any) {
	fmt.Fprintf(a.out, "farmhand: "+format+"\n", args...)
}

// file is a path under Root.
func (a *agent) file(path string) string { return filepath.Join(a.Root, path) }
