package controller

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/farmhand/terraform-provider-farmhand/internal/platform"
	"github.com/farmhand/terraform-provider-farmhand/internal/spec"
	"github.com/farmhand/terraform-provider-farmhand/internal/state"
	"github.com/farmhand/terraform-provider-farmhand/internal/store"
)

// fakePlatform is strict: it notes in broken whatever a controller must never do.
type fakePlatform struct {
	store store.Store // not the controller's handle: it looks, and plays the agents
	farm  string
	now   func() time.Time

	mu        sync.Mutex
	machines  map[string]*fakeMachine // by id
	volumes   map[string]platform.Volume
	ending    map[string]bool
	used      map[string]bool // tokens ever launched
	serial    int
	launches  int
	broken    []string
	refuse    error // of every launch
	unlisted  error // of every listing
	destroyed bool
	database  bool // the agents of databases say how these stand, and do what is asked of backups
	open      bool // agents open the store themselves: there are no tokens
}

type fakeMachine struct {
	platform.Machine
	launch  platform.Launch
	bootsAt time.Time
	mute    bool
	sick    bool
}

func newFakePlatform(s store.Store, farm string, now func() time.Time) *fakePlatform {
	return &fakePlatform{store: s, farm: farm, now: now, machines: map[string]*fakeMachine{},
		volumes: map[string]platform.Volume{}, ending: map[string]bool{}, used: map[string]bool{}}
}

func (p *fakePlatform) complain(format string, args ...any) {
	p.broken = append(p.broken, fmt.Sprintf(format, args...))
}

func (p *fakePlatform) Open(context.Context) (platform.Network, error) {
	return platform.Network{ListenHost: "127.0.0.1", AdvertiseHost: "127.0.0.1", Subnet: "10.201.5.0/24"}, nil
}

func (p *fakePlatform) Launch(ctx context.Context, l platform.Launch) (platform.Machine, error) {
	record, _, err := store.GetJSON[state.Instance](ctx, p.store, state.InstanceKey(p.farm, l.Instance))
	p.mu.Lock()
	defer p.mu.Unlock()
	if err != nil || record.Token != l.Token {
		p.complain("launch of %s without its intent in the store (%v)", l.Instance, err)
	}
	if _, err := p.store.Get(ctx, state.AssignmentKey(p.farm, l.Instance)); err != nil {
		p.complain("launch of %s before its assignment: %v", l.Instance, err)
	}
	if p.refuse != nil {
		return platform.Machine{}, p.refuse
	}
	for _, m := range p.machines {
		if m.Token == l.Token {
			return m.Machine, nil
		}
		if m.Status != platform.Up {
			continue
		}
		if m.Instance == l.Instance {
			p.complain("two machines are %s at once", l.Instance)
		}
		if m.Address == l.Address {
			p.complain("%s and %s have the address %s", m.Instance, l.Instance, l.Address)
		}
		if l.Volume != "" && m.launch.Volume == l.Volume {
			p.complain("%s is given the volume of %s, which is up", l.Instance, m.Instance)
		}
	}
	if p.used[l.Token] {
		p.complain("the token of %s was used before", l.Instance)
	}
	if l.Volume != "" {
		if _, ok := p.volumes[l.Volume]; !ok {
			p.complain("%s is given volume %s, which does not exist", l.Instance, l.Volume)
		}
	}
	p.used[l.Token] = true
	p.serial++
	p.launches++
	m := &fakeMachine{launch: l, bootsAt: p.now().Add(3 * time.Second), Machine: platform.Machine{
		ID: fmt.Sprintf("m%d", p.serial), Farm: l.Farm, Role: l.Role, Instance: l.Instance, Token: l.Token,
		Generation: l.Generation, Status: platform.Up, Address: l.Address, Launched: p.now()}}
	p.machines[m.ID] = m
	return m.Machine, nil
}

func (p *fakePlatform) List(context.Context) ([]platform.Machine, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.unlisted != nil {
		return nil, p.unlisted
	}
	var list []platform.Machine
	for _, m := range p.machines {
		list = append(list, m.Machine)
	}
	slices.SortFunc(list, func(a, b platform.Machine) int { return strings.Compare(a.ID, b.ID) })
	return list, nil
}

func (p *fakePlatform) Terminate(_ context.Context, id string, _ time.Duration) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ending[id] {
		p.complain("machine %s is being ended twice at once", id)
	}
	p.ending[id] = true
	delete(p.machines, id)
	delete(p.ending, id)
	return nil
}

func (p *fakePlatform) Output(context.Context, string, int) ([]string, error) {
	return []string{"last words"}, nil
}

func (p *fakePlatform) EnsureVolume(_ context.Context, role, instance string) (string, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	id := "volume-" + instance
	p.volumes[id] = platform.Volume{ID: id, Role: role, Instance: instance}
	return id, nil
}

func (p *fakePlatform) ListVolumes(context.Context) ([]platform.Volume, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	var list []platform.Volume
	for _, v := range p.volumes {
		list = append(list, v)
	}
	return list, nil
}

func (p *fakePlatform) DeleteVolume(_ context.Context, id string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, m := range p.machines {
		if m.launch.Volume == id {
			p.complain("volume %s is deleted under %s", id, m.Instance)
		}
	}
	delete(p.volumes, id)
	return nil
}

func (p *fakePlatform) Events(context.Context) <-chan struct{} { return nil }

func (p *fakePlatform) Check(context.Context, spec.Role) error { return nil }

func (p *fakePlatform) Destroy(context.Context) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.machines) > 0 {
		p.complain("the network is removed under %d machines", len(p.machines))
	}
	p.destroyed = true
	return nil
}

func (p *fakePlatform) Close() error { return nil }

// live lets the agents of the machines that are up report, as the gateway would let them: their secret must be the
// one whose hash the store holds.
func (p *fakePlatform) live(ctx context.Context) {
	p.mu.Lock()
	var up []*fakeMachine
	for _, m := range p.machines {
		if m.Status == platform.Up && !m.mute {
			up = append(up, m)
		}
	}
	p.mu.Unlock()
	for _, m := range up {
		hash, err := p.store.Get(ctx, state.TokenKey(p.farm, m.Instance))
		sum := sha256.Sum256([]byte(m.launch.Bootstrap.Secret))
		if !p.open && (err != nil || string(hash.Value) != hex.EncodeToString(sum[:])) {
			continue // the gateway does not know it
		}
		a, _, err := store.GetJSON[state.Assignment](ctx, p.store, state.AssignmentKey(p.farm, m.Instance))
		if err != nil {
			continue
		}
		r := state.Report{Instance: m.Instance, Token: a.Token, At: p.now(), Boot: state.Boot{Step: "packages"}}
		if !p.now().Before(m.bootsAt) {
			r.Boot = state.Boot{Step: "done", Done: true}
			r.Checks = []state.Check{{Name: "behavior", OK: !m.sick, Since: p.now(), Message: "connection refused"}}
		}
		if p.database && r.Boot.Done {
			p.sayOfDatabase(ctx, &r, a)
		}
		if _, err := store.PutJSON(ctx, p.store, state.ReportKey(p.farm, m.Instance), r); err != nil {
			panic(err)
		}
	}
}

// stop stops an instance's machine as a crash would.
func (p *fakePlatform) stop(instance string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, m := range p.machines {
		if m.Instance == instance && m.Status == platform.Up {
			m.Status, m.Exit = platform.Stopped, "exit status 137, killed"
			return true
		}
	}
	return false
}

// up names the instances whose machines run, with their generation.
func (p *fakePlatform) up() map[string]string {
	p.mu.Lock()
	defer p.mu.Unlock()
	up := map[string]string{}
	for _, m := range p.machines {
		up[m.Instance] = m.Generation
	}
	return up
}

// sayOfDatabase is a well server's word, which does at once what it is ordered, and the same of its task.
func (p *fakePlatform) sayOfDatabase(ctx context.Context, r *state.Report, a state.Assignment) {
	if t := a.Backup; t != nil {
		r.Backup = &state.BackupReport{Task: t.ID, Done: true, Result: &state.BackupDone{ID: t.Backup, At: p.now(), Text: "2 tables"}}
	}
	if a.Temporary() {
		return
	}
	d, _, err := store.GetJSON[state.Database](ctx, p.store, state.DatabaseKey(p.farm, a.Role.Name))
	o := d.Orders[a.Role.Name+"-"+fmt.Sprint(a.Index)]
	if err != nil || o.Token != a.Token {
		r.Database = &state.DatabaseReport{Flavor: "mariadb", TLS: true, Empty: true}
		return
	}
	replica := o.Office == state.OfficeReplica || o.Office == state.OfficeClone
	r.Database = &state.DatabaseReport{Flavor: "mariadb", TLS: true, Done: o.Seq, Term: o.Term, Position: "0-1-5", Received: "0-1-5", Bytes: 100e9, Writable: o.Office == state.OfficePrimary,
		Source: o.Source, Receiving: replica, Applying: replica, LagKnown: replica, Acks: replica}
	if r.Database.Writable {
		r.Database.SemiSync = 1
	}
}
