package simulated

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/farmhand/terraform-provider-farmhand/internal/platform"
	"github.com/farmhand/terraform-provider-farmhand/internal/spec"
	"github.com/farmhand/terraform-provider-farmhand/internal/store"
)

// MissingImage is the repository of images that do not exist here: every other image does. It lets a module's
// tests see what a wrong image looks like.
const MissingImage = "missing"

// listenHost is where the sidecar serves a simulated farm: its machines have no network, people and tests do.
const listenHost = "127.0.0.1"

// Options says what one farm's simulated platform works with.
type Options struct {
	Farm  spec.Farm // Farm.Simulated must be set
	Store store.Store
	Log   *slog.Logger     // nil: slog.Default
	Now   func() time.Time // nil: time.Now
}

// Simulated is the platform of one farm. Safe for concurrent use.
type Simulated struct {
	farm  spec.Farm
	store store.Store
	log   *slog.Logger
	now   func() time.Time
	kick  chan struct{} // wakes the goroutine for a machine that was just launched

	mu     sync.Mutex
	cancel context.CancelFunc // of the goroutine; nil while there is none
	done   chan struct{}      // closed when it has ended

	stepMu sync.Mutex // steps follow each other; guards world
	world  map[string]*vm
}

var _ platform.Platform = (*Simulated)(nil)

// New prepares the platform. Open starts its one goroutine, Close stops it.
func New(o Options) (*Simulated, error) {
	if o.Farm.Simulated == nil {
		return nil, fmt.Errorf("farm %s is not simulated: %w", o.Farm.Name, platform.ErrInvalid)
	}
	if o.Store == nil {
		return nil, fmt.Errorf("the simulated platform keeps its machines in a store and was given none: %w", platform.ErrInvalid)
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Simulated{
		farm: o.Farm, store: o.Store, log: o.Log.With("farm", o.Farm.Name, "platform", "simulated"), now: o.Now,
		kick: make(chan struct{}, 1), world: map[string]*vm{},
	}, nil
}

// Open starts the machines' lives. The network is a pretence: only the sidecar listens, on the loopback address.
func (s *Simulated) Open(ctx context.Context) (platform.Network, error) {
	n := platform.Network{ListenHost: listenHost, AdvertiseHost: listenHost}
	if s.farm.Simulated.Subnet != "" {
		subnet, err := platform.ParseSubnet(s.farm.Simulated.Subnet)
		if err != nil {
			return platform.Network{}, fmt.Errorf("simulated.subnet: %w", err)
		}
		n.Subnet = subnet.String()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cancel == nil {
		// The machines live until Close, however long the caller's ctx does.
		live, cancel := context.WithCancel(context.WithoutCancel(ctx))
		s.cancel, s.done = cancel, make(chan struct{})
		go s.live(live, s.done)
	}
	return n, nil
}

// Close stops the machines' lives; they stand still until the next Open, here or in another process.
func (s *Simulated) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cancel != nil {
		s.cancel()
		<-s.done
		s.cancel = nil
	}
	return nil
}

// Launch records the machine. Its id follows from its token, so that a token is launched once.
func (s *Simulated) Launch(ctx context.Context, l platform.Launch) (platform.Machine, error) {
	doing := "launching " + l.Instance
	if l.Farm != s.farm.Name {
		return platform.Machine{}, fmt.Errorf("%s: it belongs to farm %q, not %q: %w", doing, l.Farm, s.farm.Name, platform.ErrInvalid)
	}
	if l.Token == "" || l.Instance == "" {
		return platform.Machine{}, fmt.Errorf("%s: it has no token or no name: %w", doing, platform.ErrInvalid)
	}
	if err := checkImage(l.Image); err != nil {
		return platform.Machine{}, fmt.Errorf("%s: %w", doing, err)
	}
	if l.Address == "" {
		free, err := s.freeAddress(ctx)
		if err != nil {
			return platform.Machine{}, fmt.Errorf("%s: %w", doing, err)
		}
		l.Address = free
	}
	m, err := s.record(ctx, newMachine(s.farm, l, s.now()))
	if err != nil {
		return platform.Machine{}, fmt.Errorf("%s: %w", doing, err)
	}
	select {
	case s.kick <- struct{}{}:
	default:
	}
	return m.listed(), nil
}

// List returns the farm's machines.
func (s *Simulated) List(ctx context.Context) ([]platform.Machine, error) {
	records, err := machines(ctx, s.store, s.farm.Name)
	if err != nil {
		return nil, err
	}
	listed := make([]platform.Machine, 0, len(records))
	for _, r := range records {
		listed = append(listed, r.Value.listed())
	}
	return listed, nil
}

// Terminate ends the machine at once: it has nothing to finish.
func (s *Simulated) Terminate(ctx context.Context, id string, _ time.Duration) error {
	if id == "" {
		return nil
	}
	// Not in the middle of a step: a report written after the caller forgot the instance would stay for ever.
	s.stepMu.Lock()
	defer s.stepMu.Unlock()
	if err := s.store.Delete(ctx, machineKey(s.farm.Name, id)); err != nil {
		return unavailable("terminating "+id, err)
	}
	return nil
}

// Output returns what the machine would have printed while it booted.
func (s *Simulated) Output(ctx context.Context, id string, lines int) ([]string, error) {
	records, err := machines(ctx, s.store, s.farm.Name)
	if err != nil {
		return nil, err
	}
	for _, r := range records {
		if r.Value.ID == id {
			log := r.Value.boot(s.now()).Log
			return log[max(0, len(log)-max(0, lines)):], nil
		}
	}
	return nil, nil
}

// Check refuses images that are called missing.
func (s *Simulated) Check(_ context.Context, role spec.Role) error {
	if err := checkImage(role.Image); err != nil {
		return fmt.Errorf("checking role %s: %w", role.Name, err)
	}
	return nil
}

func checkImage(image string) error {
	repository, _, _ := strings.Cut(image[strings.LastIndex(image, "/")+1:], ":")
	if repository == MissingImage {
		return fmt.Errorf("image %q does not exist here; the simulated platform has every image that is not called %q: name another: %w", image, MissingImage, platform.ErrInvalid)
	}
	return nil
}

// Events hints whenever a machine was launched, stopped or removed, in whatever process.
func (s *Simulated) Events(ctx context.Context) <-chan struct{} {
	hints, err := s.store.Watch(ctx, machinePrefix(s.farm.Name))
	if err == nil {
		return hints
	}
	s.log.Warn("machines of the simulated farm cannot be watched; changes show at the next tick", "error", err)
	silent := make(chan struct{})
	go func() {
		<-ctx.Done()
		close(silent)
	}()
	return silent
}

// Destroy forgets the load put on the farm and faults that did not come about; there is nothing else beside machines, volumes and
// snapshots.
func (s *Simulated) Destroy(ctx context.Context) error {
	doing := "destroying simulated farm " + s.farm.Name
	records, err := machines(ctx, s.store, s.farm.Name)
	if err != nil {
		return err
	}
	if len(records) > 0 {
		names := make([]string, len(records))
		for i, r := range records {
			names[i] = r.Value.Instance
		}
		return fmt.Errorf("%s: %d machines are still there (%s): end them first", doing, len(records), strings.Join(names, ", "))
	}
	return s.forgetAsked(ctx)
}

// freeAddress is the lowest address from the tenth on that no machine has; "" where the farm has no subnet.
func (s *Simulated) freeAddress(ctx context.Context) (string, error) {
	if s.farm.Simulated.Subnet == "" {
		return "", nil
	}
	subnet, err := platform.ParseSubnet(s.farm.Simulated.Subnet)
	if err != nil {
		return "", fmt.Errorf("simulated.subnet: %w", err)
	}
	records, err := machines(ctx, s.store, s.farm.Name)
	if err != nil {
		return "", err
	}
	taken := map[netip.Addr]bool{}
	for _, r := range records {
		if a, err := netip.ParseAddr(r.Value.Address); err == nil {
			taken[a] = true
		}
	}
	a := subnet.Addr()
	for range 10 {
		a = a.Next()
	}
	for ; subnet.Contains(a.Next()); a = a.Next() { // the last one is the broadcast address
		if !taken[a] {
			return a.String(), nil
		}
	}
	return "", fmt.Errorf("no address of %s is free: choose a larger simulated.subnet: %w", subnet, platform.ErrCapacity)
}

// unavailable marks a failure of the store as one of the platform: it is the same thing here.
func unavailable(doing string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w: %w", doing, err, platform.ErrUnavailable)
}
