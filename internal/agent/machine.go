package agent

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"reflect"
	"runtime"
	"runtime/debug"
	"time"

	"github.com/farmhand/terraform-provider-farmhand/internal/agent/ec2"
	"github.com/farmhand/terraform-provider-farmhand/internal/behavior/configfile"
	"github.com/farmhand/terraform-provider-farmhand/internal/behavior/packages"
	"github.com/farmhand/terraform-provider-farmhand/internal/disk"
	"github.com/farmhand/terraform-provider-farmhand/internal/platform"
	"github.com/farmhand/terraform-provider-farmhand/internal/spec"
	"github.com/farmhand/terraform-provider-farmhand/internal/state"
	"github.com/farmhand/terraform-provider-farmhand/internal/store"
	"github.com/farmhand/terraform-provider-farmhand/internal/store/stores"
)

const (
	// noticesEvery is how often AWS asks to look for the notice of a Spot interruption, two minutes before it.
	noticesEvery = 5 * time.Second
	// volumeEvery is how often it is looked how full the data volume is, and whether its disk has grown.
	volumeEvery = 20 * time.Second
	// hostMemory is the limit of an agent that opens the store itself: encrypted connections need room, and a machine of
	// its own has it.
	hostMemory = 48 << 20
	// rebootingPath notes since when the machine reboots, for the agent's next start.
	rebootingPath = "var/lib/farmhand/rebooting"
	// rebootTime bounds the last word of an agent whose machine reboots.
	rebootTime = 2 * time.Second
)

// Machine is the machine that an agent runs on where its maker does not tell it who it is: an EC2 instance.
type Machine interface {
	Identity(ctx context.Context) (ec2.Identity, error)
	// Notices are what is announced for it now; on an error nothing is known.
	Notices(ctx context.Context) ([]state.Notice, error)
	// Rebooting tells whether it goes down to come up again.
	Rebooting(ctx context.Context) bool
	// Mount mounts a data volume, and makes its file system if it is blank. It waits for the disk.
	Mount(ctx context.Context, volume, path string) error
	// Grow makes the volume's file system as large as its disk where that has grown; grew tells.
	Grow(ctx context.Context, volume, path string) (grew bool, err error)
}

// openStore opens the store of an address with the instance's own credentials.
func openStore(ctx context.Context, address string, log *slog.Logger) (Farm, error) {
	s, blobs, err := stores.Open(ctx, address, stores.Options{Agent: true, Log: log})
	if err != nil {
		return nil, err
	}
	return opened{s, blobs}, nil
}

// opened is a store and its blobs as one.
type opened struct {
	store.Store
	blobs store.Blobs
}

func (o opened) OpenBlob(ctx context.Context, name string) (io.ReadCloser, error) {
	return o.blobs.OpenBlob(ctx, name)
}

// runOnMachine is Run for a machine that knows its farm's store and not yet which instance it is.
func runOnMachine(ctx context.Context, o Options) error {
	debug.SetGCPercent(gcPercent)
	debug.SetMemoryLimit(hostMemory)
	runtime.GOMAXPROCS(min(2, runtime.NumCPU()))
	if o.Farm == "" {
		return errors.New("which farm is this machine's? The agent is started with --store and --farm by the machine's user data, not by hand")
	}
	farm, err := o.Open(ctx, o.Store)
	if err != nil {
		return fmt.Errorf("opening the farm's store: %w", err)
	}
	defer farm.Close()
	a := newAgent(o, platform.Bootstrap{Farm: o.Farm, Store: o.Store}, nil)
	a.farm = remember(farm, a.file(rememberedPath), o.Log)
	a.machine = o.Machine
	if os.Getpid() == 1 {
		go a.table.Reap(context.WithoutCancel(ctx))
		defer a.table.EndOthers()
	}
	if err := a.identify(ctx); err != nil {
		return nil // ctx ended
	}
	key, err := a.awaitPlace(ctx)
	if err != nil {
		return nil
	}
	a.boot.Instance, a.volume = key.Instance, key.Volume
	a.told.rebooted = a.takeRebooted()
	go a.watchNotices(ctx)
	go a.watchVolume(ctx)
	a.run(ctx)
	return nil
}

// identify asks the machine who it is until it knows; its error is ctx's.
func (a *agent) identify(ctx context.Context) error {
	for said := ""; ; {
		id, err := a.machine.Identity(ctx)
		if err == nil {
			a.boot.Machine = id.ID
			a.Log.Info("this machine", "id", id.ID, "zone", id.Zone, "address", id.Address)
			return nil
		}
		if s := err.Error(); s != said && ctx.Err() == nil {
			a.say("waiting to know which machine this is: %v", err)
			said = s
		}
		if err := pause(ctx, nil); err != nil {
			return err
		}
	}
}

// awaitPlace returns when the sidecar has said which instance this machine is; its error is ctx's. A machine for the
// stock is set up meanwhile as far as can be.
func (a *agent) awaitPlace(ctx context.Context) (state.Machine, error) {
	key := state.MachineKey(a.boot.Farm, a.boot.Machine)
	hints := make(chan struct{}, 1)
	watching, stop := context.WithCancel(ctx)
	defer stop()
	go a.watch(watching, key, hints)
	warmed := ""
	for said := ""; ; {
		m, err := readJSON[state.Machine](ctx, a.farm, key)
		switch {
		case err == nil && m.Instance != "":
			return m, nil
		case err == nil && m.Warm != "" && m.Warm != warmed:
			if err = a.warm(ctx, m.Warm); err == nil {
				warmed = m.Warm
			}
		case err == nil && m.Warm == "":
			err = errors.New("the farm has no instance for it yet")
		}
		if err != nil && ctx.Err() == nil && err.Error() != said {
			said = err.Error()
			a.say("waiting to be told which instance this machine is: %v", err)
		}
		if err := pause(ctx, hints); err != nil {
			return m, err
		}
	}
}

// warm sets the machine up as far as every instance of the role is the same, and reports that it may be stopped.
func (a *agent) warm(ctx context.Context, role string) error {
	declared, err := readJSON[state.Declared[spec.Role]](ctx, a.farm, state.RoleKey(a.boot.Farm, role))
	if err != nil {
		return fmt.Errorf("reading role %s: %w", role, err)
	}
	b, ok := a.Behavior(declared.Spec.Behavior)
	if !ok {
		return fmt.Errorf("this agent knows no behavior %q", declared.Spec.Behavior)
	}
	a.say("setting this machine up for role %s's stock", role)
	if err := packages.Ensure(ctx, a.table, a.Root, b.Traits().Packages...); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, readTime)
	defer cancel()
	_, err = store.PutJSON(ctx, a.farm, state.ReportKey(a.boot.Farm, a.boot.Machine), state.Report{
		Instance: a.boot.Machine, At: time.Now(), Version: a.Version, Boot: state.Boot{Step: "in stock"}, Warm: true,
	})
	if err != nil {
		return fmt.Errorf("reporting: %w", err)
	}
	a.Log.Info("set up for the stock; waiting to be stopped", "role", role)
	return nil
}

// mountVolume mounts the data volume of this instance's index, if it has one.
func (a *agent) mountVolume(ctx context.Context, as state.Assignment) error {
	if a.machine == nil || a.volume == "" {
		return nil
	}
	path := a.traits.VolumePath
	if v := as.Role.Volume; v != nil && v.Path != "" {
		path = v.Path
	}
	if path == "" {
		return fmt.Errorf("volume %s has no path to be mounted at: say volume's path in role %s", a.volume, as.Role.Name)
	}
	a.step("volume")
	a.say("mounting volume %s at %s", a.volume, path)
	if err := a.machine.Mount(ctx, a.volume, path); err != nil {
		return err
	}
	a.mounted.Store(&path)
	return nil
}

// watchVolume reports how full the volume is, and lets its file system follow a disk that grew, until ctx ends.
func (a *agent) watchVolume(ctx context.Context) {
	tick := time.NewTicker(volumeEvery)
	defer tick.Stop()
	for said := ""; ; {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		path := a.mounted.Load()
		if path == nil {
			continue
		}
		grew, err := a.machine.Grow(ctx, a.volume, *path)
		switch {
		case err != nil && ctx.Err() == nil && err.Error() != said:
			said = err.Error()
			a.say("%v; trying again", err)
		case err == nil:
			said = ""
		}
		if grew {
			a.say("volume %s has grown, and its file system with it", a.volume)
		}
		used := disk.Used(a.file(*path))
		a.mu.Lock()
		a.told.volumeUsed = used // for the next report, which need not come at once
		a.mu.Unlock()
	}
}

// watchNotices reports what is announced for the machine, until ctx ends. While nothing can be known, what was announced
// last stands.
func (a *agent) watchNotices(ctx context.Context) {
	tick := time.NewTicker(noticesEvery)
	defer tick.Stop()
	var last []state.Notice
	for {
		looking, cancel := context.WithTimeout(ctx, noticesEvery)
		now, err := a.machine.Notices(looking)
		cancel()
		if err == nil && !(len(now) == 0 && len(last) == 0) && !reflect.DeepEqual(now, last) {
			last = now
			a.tell(func(t *told) { t.notices = now })
			for _, n := range now {
				a.Log.Warn("announced for this machine", "kind", n.Kind, "before", n.Before, "text", n.Text)
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// takeRebooted is since when the machine rebooted, if this is the first start after; else zero. It is told once: an agent
// that is started again for another reason is not to pass for a reboot.
func (a *agent) takeRebooted() time.Time {
	raw, err := os.ReadFile(a.file(rebootingPath))
	if err != nil {
		return time.Time{}
	}
	_ = os.Remove(a.file(rebootingPath))
	at, err := time.Parse(time.RFC3339, string(raw))
	if err != nil {
		return time.Time{}
	}
	return at
}

// sayRebooting lets the farm know that the silence to come is no death.
func (a *agent) sayRebooting() {
	ctx, cancel := context.WithTimeout(context.Background(), rebootTime)
	defer cancel()
	if a.machine == nil || a.runner == nil || !a.machine.Rebooting(ctx) {
		return
	}
	now := time.Now()
	a.tell(func(t *told) { t.rebooting = now })
	if err := (configfile.File{Path: a.file(rebootingPath), Mode: 0o600}).Write(ctx, []byte(now.UTC().Format(time.RFC3339))); err != nil {
		a.Log.Warn("noting that the machine reboots", "error", err)
	}
	if err := a.put(ctx, state.ReportKey(a.boot.Farm, a.boot.Instance)); err != nil {
		a.Log.Warn("saying that the machine reboots", "error", err)
	}
}
