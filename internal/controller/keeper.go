package controller

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/farmhand/terraform-provider-farmhand/internal/ledger"
	"github.com/farmhand/terraform-provider-farmhand/internal/platform"
	"github.com/farmhand/terraform-provider-farmhand/internal/spec"
	"github.com/farmhand/terraform-provider-farmhand/internal/state"
	"github.com/farmhand/terraform-provider-farmhand/internal/store"
)

const (
	// launchesAtOnce and endsAtOnce bound the platform calls under way for one farm. A container engine on a laptop
	// slows down beyond a few; a hundred servers come up no faster by asking for all at once.
	launchesAtOnce = 8
	endsAtOnce     = 16
	// leaveJobs is how long a sidecar that stops waits for platform calls under way before it cuts them off.
	leaveJobs = 5 * time.Second
)

var (
	// errNotDeclared: the farm has a name and no spec yet, or has ended. Look again later.
	errNotDeclared = errors.New("the farm is not declared")
	// errPlatformChanged: the farm's platform block is another than the one that was opened.
	errPlatformChanged = errors.New("the farm's platform has changed")
)

// keeper keeps one farm. run may be called again after it returned; everything below "of one run" is then new.
type keeper struct {
	opts Options
	farm string
	log  *slog.Logger

	onLease  func(held bool)                                        // nil: nobody asks
	onTick   func(every time.Duration)                              // a tick went well; nil: nobody asks
	onlyRole string                                                 // not "": the other roles are left alone
	quiet    bool                                                   // no gateway, no nameserver
	ended    func(ctx context.Context, s store.Store) (bool, error) // nil: never; true ends the run

	// Of one run.
	lease    *store.Lease
	store    store.Store // guarded by the lease
	platform platform.Platform
	platSpec string // the platform block that was opened, as JSON
	network  platform.Network
	runtime  state.Runtime
	names    *nameserver // nil when quiet
	// publishing is what names are published with outside of it; nil before the first tick.
	publishing *publishing
	jobs       *jobs
	launches   lane
	ends       lane
	wake       chan struct{}
	jobsCtx    context.Context

	gatewayMu  sync.Mutex
	gatewayKey []byte
	takenOver  bool              // the event is written
	written    map[string]string // assignments and tokens, by key, as they stand in the store
	resumed    bool              // intents of a former sidecar are taken up
	swept      bool              // leftovers of instances without a record are removed
	topology   string            // as it stands in the store; "" before the first look
	secrets    map[string]bool   // role and spec revision whose secret was seen to
	ledger     ledger.Book
	learnt     learnt
	batch      []platform.Launch // gathered by this tick, see launchBatches
	snapshots  snapshots
	kept       time.Time       // when the platform's stock was last seen to
	balanced   map[string]bool // target groups that were handed to the platform
	tickEvery  time.Duration
	// failingOver: a database's primary is in doubt or is being replaced.
	failingOver bool
	specSeen    string    // digest of the declaration that the last tick saw
	ticked      time.Time // when the last tick began
	asking      asking
	listening   time.Time // since when agents can report without a break; see engine.View

	history history // stays from run to run
}

func newKeeper(opts Options, farm string) *keeper {
	return &keeper{opts: opts, farm: farm, log: opts.Log.With("farm", farm)}
}

// run takes the lease and keeps the farm until ctx ends, the lease is lost, or the farm has ended (nil).
// HeldError if another holds the lease; errNotDeclared if there is nothing to keep.
func (k *keeper) run(ctx context.Context) (err error) {
	declared, _, err := store.GetJSON[state.Declared[spec.Farm]](ctx, k.opts.Store, state.FarmKey(k.farm))
	if errors.Is(err, store.ErrNotFound) || err == nil && declared.Ended {
		return errNotDeclared
	}
	if err != nil {
		return err
	}
	lease, err := store.AcquireLease(ctx, k.opts.Store, state.LeaseKey(k.farm), state.FenceKey(k.farm), k.opts.Holder, k.opts.LeaseTTL, k.opts.Now)
	if err != nil {
		return err
	}
	runCtx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	k.begin(runCtx, lease)
	if k.onLease != nil {
		k.onLease(true)
		defer k.onLease(false)
	}
	renewed := make(chan struct{})
	go func() {
		defer close(renewed)
		if err := renew(runCtx, lease, k.opts.LeaseTTL/3); err != nil {
			cancel(err)
		}
	}()
	defer func() {
		cancel(nil)
		<-renewed
		// ctx may have ended; to give the lease up takes a moment more.
		release, done := context.WithTimeout(context.WithoutCancel(ctx), 3*time.Second)
		defer done()
		if releaseErr := lease.Release(release); releaseErr != nil {
			k.log.Warn("releasing the lease; it runs out by itself", "error", releaseErr)
		}
	}()

	err = k.keep(runCtx, declared.Spec)
	if cause := context.Cause(runCtx); cause != nil && ctx.Err() == nil && errors.Is(err, context.Canceled) {
		return cause
	}
	return err
}

// begin resets what belongs to one run.
func (k *keeper) begin(ctx context.Context, lease *store.Lease) {
	k.lease = lease
	k.store = guarded{k.opts.Store, lease.Guard()}
	k.wake = make(chan struct{}, 1)
	k.jobs = newJobs(k.opts.Now, k.poke)
	k.launches, k.ends = make(lane, launchesAtOnce), make(lane, endsAtOnce)
	k.jobsCtx = ctx
	k.publishing = nil
	k.gatewayKey, k.takenOver, k.resumed, k.swept, k.topology, k.specSeen = nil, false, false, false, "", ""
	k.written, k.secrets = nil, map[string]bool{}
	k.ledger, k.learnt = ledger.Book{}, nil
	k.snapshots.at, k.snapshots.listed = time.Time{}, nil
	k.batch, k.kept, k.balanced = nil, time.Time{}, map[string]bool{}
	k.tickEvery, k.ticked, k.listening = defaultTick, time.Time{}, time.Time{}
}

// poke asks for a tick soon.
func (k *keeper) poke() {
	select {
	case k.wake <- struct{}{}:
	default:
	}
}

// keep opens the platform and what the farm's instances talk to, and ticks.
func (k *keeper) keep(ctx context.Context, farm spec.Farm) error {
	if err := k.open(ctx, farm); err != nil {
		return err
	}
	defer func() {
		if err := k.platform.Close(); err != nil {
			k.log.Warn("closing the platform", "error", err)
		}
	}()
	if k.quiet {
		var err error
		k.runtime, _, err = store.GetJSON[state.Runtime](ctx, k.store, state.RuntimeKey(k.farm)) // a sidecar's before us
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return fmt.Errorf("reading where the farm listens: %w", err)
		}
	} else {
		stop, err := k.serve(ctx, farm)
		if err != nil {
			return err
		}
		defer stop()
	}
	// Calls under way are given a moment: cut off, they would only be made again by the next holder.
	jobsCtx, cutOff := context.WithCancel(context.WithoutCancel(ctx))
	k.jobsCtx = jobsCtx
	defer func() {
		timer := time.AfterFunc(leaveJobs, cutOff)
		defer timer.Stop()
		if errors.Is(context.Cause(ctx), store.ErrFenced) {
			cutOff() // not ours any more: stop acting at once
		}
		k.jobs.wait()
		cutOff()
	}()
	defer k.stopAsking()
	return k.loop(ctx)
}

// open opens the farm's platform. What stands in its way is an event, once, and an error: the caller tries again.
func (k *keeper) open(ctx context.Context, farm spec.Farm) error {
	p, err := k.opts.OpenPlatform(ctx, farm, k.store)
	if err == nil {
		if k.network, err = p.Open(ctx); err == nil {
			k.platform, k.platSpec = p, platformJSON(farm)
			return nil
		}
		_ = p.Close()
	}
	if ctx.Err() == nil {
		k.eventOnce(ctx, state.Event{Kind: "platform", Level: "error",
			Reason: fmt.Sprintf("the %s platform cannot be used: %v; trying again", farm.Platform(), err)})
	}
	return fmt.Errorf("opening the %s platform of farm %s: %w", farm.Platform(), k.farm, err)
}
