package controller

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/farmhand/terraform-provider-farmhand/internal/behavior"
	"github.com/farmhand/terraform-provider-farmhand/internal/engine"
	"github.com/farmhand/terraform-provider-farmhand/internal/platform"
	"github.com/farmhand/terraform-provider-farmhand/internal/spec"
	"github.com/farmhand/terraform-provider-farmhand/internal/state"
	"github.com/farmhand/terraform-provider-farmhand/internal/store"
)

// listPatience bounds one listing of the platform: a tick that hangs heals nobody.
const listPatience = 15 * time.Second

// sight is what one tick has seen. Its records are changed along with the store while the tick acts.
type sight struct {
	learnt   learnt
	now      time.Time
	onlyRole string
	entry    state.FarmEntry
	farm     state.Declared[spec.Farm]
	farmRev  store.Revision
	roles    map[string]*roleSight
	dns      []spec.DNSRecord
	records  map[string]*recordSight // by instance name
	machines []platform.Machine
	listed   bool
	// snapshots are the platform's by role, where it was asked.
	snapshots       map[string][]engine.Snapshot
	snapshotsListed bool
	// targets are balancers' views, by machine id and target group; nil where nothing is known.
	targets map[string]map[string]engine.Target
	// listening is since when agents could report; see engine.View.
	listening time.Time
	// series gives what was asked for elsewhere, by role and policy; nil where nothing was.
	series func(id string) state.Series
}

// roleSight is a role as seen. A role that is not declared but has instances is one that is being deleted.
type roleSight struct {
	state.Declared[spec.Role]
	revision   store.Revision // 0: not declared
	behavior   behavior.Behavior
	traits     behavior.Traits
	app        *spec.Application
	appMissing bool
	generation string
	policies   []spec.Policy
	memory     state.Memory
	memoryRev  store.Revision
	manual     *state.Manual
	// database is what was decided of a replicated role's servers, nil for nothing yet.
	database    *state.Database
	databaseRev store.Revision

	backups       *state.Backups
	backupsRev    store.Revision
	backupWish    *state.BackupTask
	backupWishRev store.Revision
}

type recordSight struct {
	state.Instance
	revision store.Revision
	machine  *platform.Machine
	report   *state.Report
}

// observe reads the store and then lists the platform. In this order: a machine that a record of this tick speaks of
// is then either in the listing, or truly not there yet or no more.
func (k *keeper) observe(ctx context.Context, now time.Time) (*sight, error) {
	s := &sight{now: now, onlyRole: k.onlyRole, roles: map[string]*roleSight{}, records: map[string]*recordSight{}, listening: k.listening}
	if err := k.observeDeclared(ctx, s); err != nil {
		return nil, err
	}
	if err := k.observeRecords(ctx, s); err != nil {
		return nil, err
	}
	k.observeMachines(ctx, s)
	k.observeSnapshots(ctx, s)
	k.balance(ctx, s)
	return s, nil
}

func (k *keeper) observeDeclared(ctx context.Context, s *sight) error {
	entries, err := k.store.List(ctx, k.farm+"/spec/")
	if err != nil {
		return fmt.Errorf("reading the declaration: %w", err)
	}
	applications, err := k.store.List(ctx, state.ApplicationKey(""))
	if err != nil {
		return fmt.Errorf("reading the applications: %w", err)
	}
	k.specSeen = digestOf(entries, applications)
	if s.entry, _, err = store.GetJSON[state.FarmEntry](ctx, k.store, state.FarmIndexKey(k.farm)); err != nil && !errors.Is(err, store.ErrNotFound) {
		return fmt.Errorf("reading the farm's entry: %w", err)
	}
	apps := map[string]*spec.Application{}
	for _, e := range applications {
		var app spec.Application
		if err := json.Unmarshal(e.Value, &app); err != nil {
			return fmt.Errorf("reading %s: %w", e.Key, err)
		}
		apps[strings.TrimPrefix(e.Key, state.ApplicationKey(""))] = &app
	}
	for _, e := range entries {
		if err := s.take(k.farm, e); err != nil {
			return fmt.Errorf("reading %s: %w", e.Key, err)
		}
	}
	if s.farmRev == 0 || s.farm.Ended {
		return errNotDeclared
	}
	for _, r := range s.roles {
		r.complete(s.farm.Spec, k.opts.Behavior, apps)
	}
	return nil
}

// take sorts one entry of the declaration in. Entries come by key: a policy before its role.
func (s *sight) take(farm string, e store.Entry) error {
	role := func(name string) *roleSight {
		if s.roles[name] == nil {
			s.roles[name] = &roleSight{}
		}
		return s.roles[name]
	}
	switch {
	case e.Key == state.FarmKey(farm):
		s.farmRev = e.Revision
		return json.Unmarshal(e.Value, &s.farm)
	case strings.HasPrefix(e.Key, state.RolePrefix(farm)):
		r := role(strings.TrimPrefix(e.Key, state.RolePrefix(farm)))
		r.revision = e.Revision
		return json.Unmarshal(e.Value, &r.Declared)
	case strings.HasPrefix(e.Key, state.PolicyPrefix(farm)):
		var p spec.Policy
		if err := json.Unmarshal(e.Value, &p); err != nil {
			return err
		}
		r := role(p.Role)
		r.policies = append(r.policies, p)
	case strings.HasPrefix(e.Key, state.DNSPrefix(farm)):
		var d spec.DNSRecord
		if err := json.Unmarshal(e.Value, &d); err != nil {
			return err
		}
		s.dns = append(s.dns, d)
	}
	return nil
}

func (r *roleSight) complete(farm spec.Farm, behaviorOf func(string) (behavior.Behavior, bool), apps map[string]*spec.Application) {
	if b, ok := behaviorOf(r.Spec.Behavior); ok {
		r.behavior, r.traits = b, b.Traits()
	}
	if r.Spec.Application != "" {
		r.app = apps[r.Spec.Application]
		r.appMissing = r.app == nil
	}
	r.generation = Generation(farm, r.Spec, r.app, r.traits)
}

// inPlace tells whether an index is known by its address, a balancer's or an Elastic IP, which its next instance takes over.
func (r *roleSight) inPlace() bool {
	return r.traits.Balances || r.Spec.AWS != nil && r.Spec.AWS.ElasticIP
}

// stateful tells whether data belongs to the role's indexes: two instances cannot hold it at once.
func (r *roleSight) stateful() bool { return r.traits.Stateful || r.Spec.Volume != nil }

func (k *keeper) observeRecords(ctx context.Context, s *sight) error {
	records, err := store.ListJSON[state.Instance](ctx, k.store, state.InstancePrefix(k.farm))
	if err != nil {
		return fmt.Errorf("reading the instances: %w", err)
	}
	reports, err := store.ListJSON[state.Report](ctx, k.store, state.ReportPrefix(k.farm))
	if err != nil {
		return fmt.Errorf("reading the reports: %w", err)
	}
	memories, err := store.ListJSON[state.Memory](ctx, k.store, state.MemoryPrefix(k.farm))
	if err != nil {
		return fmt.Errorf("reading the roles' memory: %w", err)
	}
	for _, i := range records {
		s.records[i.Value.Name()] = &recordSight{Instance: i.Value, revision: i.Revision}
		if s.roles[i.Value.Role] == nil || s.roles[i.Value.Role].revision == 0 {
			// Its declaration was taken away without a word: what is left of it is to end, and nothing else is known.
			r := &roleSight{Declared: state.Declared[spec.Role]{Spec: spec.Role{Farm: k.farm, Name: i.Value.Role}, Deleting: true}, generation: i.Value.Generation}
			s.roles[i.Value.Role] = r
		}
	}
	for i := range reports {
		r := &reports[i].Value
		if rec := s.records[strings.TrimPrefix(reports[i].Key, state.ReportPrefix(k.farm))]; rec != nil && rec.Token == r.Token {
			rec.report = r // else of the index's former holder
		}
	}
	for _, m := range memories {
		if r := s.roles[strings.TrimPrefix(m.Key, state.MemoryPrefix(k.farm))]; r != nil {
			r.memory, r.memoryRev = m.Value, m.Revision
		}
	}
	if err := k.observeDatabases(ctx, s); err != nil {
		return err
	}
	byHand, err := store.ListJSON[state.Manual](ctx, k.store, state.ManualPrefix(k.farm))
	if err != nil {
		return fmt.Errorf("reading the numbers set by hand: %w", err)
	}
	for i := range byHand {
		if r := s.roles[strings.TrimPrefix(byHand[i].Key, state.ManualPrefix(k.farm))]; r != nil {
			r.manual = &byHand[i].Value
		}
	}
	if err := k.observeBackups(ctx, s); err != nil {
		return err
	}
	for name, r := range s.roles {
		if r.revision == 0 && !r.Deleting {
			delete(s.roles, name) // a policy whose role is not declared yet
		}
		if r.appMissing {
			k.withoutApplication(ctx, s, r)
		}
	}
	return nil
}

// withoutApplication keeps a role as it is while its application is not in the store: to roll its instances over to
// having none would be a surprise, and a new one could not be set up.
func (k *keeper) withoutApplication(ctx context.Context, s *sight, r *roleSight) {
	newest := time.Time{}
	for _, rec := range s.records {
		if rec.Role == r.Spec.Name && rec.Created.After(newest) {
			newest, r.generation = rec.Created, rec.Generation
		}
	}
	if !r.Deleting && !s.farm.Deleting {
		k.eventOnce(ctx, state.Event{Role: r.Spec.Name, Kind: "hold", Level: "warning",
			Reason: fmt.Sprintf("application %q is not in the store; instances stay as they are until it is applied", r.Spec.Application)})
	}
}

func (k *keeper) observeMachines(ctx context.Context, s *sight) {
	listCtx, cancel := context.WithTimeout(ctx, listPatience)
	defer cancel()
	machines, err := k.platform.List(listCtx)
	if err != nil {
		k.eventOnce(ctx, state.Event{Kind: "platform", Level: "warning",
			Reason: fmt.Sprintf("the platform cannot list its machines (%v); nothing is launched or given up until it can", err)})
		return
	}
	k.forgetOnce("", "platform")
	s.machines, s.listed = machines, true
	byToken := map[string]*platform.Machine{}
	for i := range machines {
		if machines[i].Token != "" { // one of a batch, whose instance is not noted yet
			byToken[machines[i].Token] = &machines[i]
		}
	}
	for _, rec := range s.records {
		rec.machine = byToken[rec.Token]
	}
}

// view is what the engine decides on.
func (s *sight) view() engine.View {
	v := engine.View{Now: s.now, Farm: s.farm.Spec, Deleting: s.farm.Deleting, MachinesListed: s.listed, Listening: s.listening}
	known := map[string]bool{}
	instances := map[string][]engine.Instance{}
	for _, rec := range s.records {
		known[rec.Token] = true
		i := engine.Instance{Instance: rec.Instance, Report: rec.report}
		if rec.machine != nil {
			m := s.machine(*rec.machine)
			i.Machine = &m
		}
		instances[rec.Role] = append(instances[rec.Role], i)
	}
	for _, r := range s.roles {
		if r.Ended || s.onlyRole != "" && r.Spec.Name != s.onlyRole {
			continue
		}
		of := instances[r.Spec.Name]
		slices.SortFunc(of, func(a, b engine.Instance) int { return cmp.Compare(a.Index, b.Index) })
		role := engine.Role{Spec: r.Spec, Deleting: r.Deleting || s.farm.Deleting, Generation: r.generation, Stateful: r.stateful(), InPlace: r.inPlace(), Instances: of, Memory: r.memory, Replicated: r.traits.Replicated, Database: r.database, Manual: r.manual, Backups: r.backups, BackupWish: r.backupWish, SnapshotsListed: s.snapshotsListed, Snapshots: s.snapshots[r.Spec.Name]}
		for _, p := range r.policies {
			role.Policies = append(role.Policies, s.measured(p, instances))
		}
		v.Roles = append(v.Roles, role)
	}
	slices.SortFunc(v.Roles, func(a, b engine.Role) int { return strings.Compare(a.Spec.Name, b.Spec.Name) })
	for _, m := range s.machines {
		if !known[m.Token] && (s.onlyRole == "" || m.Role == s.onlyRole) {
			v.Strays = append(v.Strays, s.machine(m))
		}
	}
	return v
}

func (s *sight) machine(m platform.Machine) engine.Machine {
	e := engine.Machine{ID: m.ID, Role: m.Role, Name: m.Instance, Token: m.Token, Exit: m.Exit,
		Stopped: m.Status == platform.Stopped, Ending: m.Status == platform.Ending, Targets: s.targets[m.ID]}
	if n := m.Notice; n != nil {
		e.Notice = &state.Notice{Kind: n.Kind, Before: n.Before, Text: n.Text}
	}
	if !m.Launched.IsZero() {
		e.Age = s.now.Sub(m.Launched)
	}
	return e
}

// specDigest is what specSeen would be now.
func (k *keeper) specDigest(ctx context.Context) (string, error) {
	entries, err := k.store.List(ctx, k.farm+"/spec/")
	if err != nil {
		return "", err
	}
	applications, err := k.store.List(ctx, state.ApplicationKey(""))
	if err != nil {
		return "", err
	}
	return digestOf(entries, applications), nil
}

func digestOf(lists ...[]store.Entry) string {
	var b strings.Builder
	for _, list := range lists {
		for _, e := range list {
			fmt.Fprintf(&b, "%s@%d\n", e.Key, e.Revision)
		}
	}
	return b.String()
}

// reportDigest is what of the reports calls for a tick at once: who speaks, serves, or has failed.
func (k *keeper) reportDigest(ctx context.Context) (string, error) {
	reports, err := store.ListJSON[state.Report](ctx, k.store, state.ReportPrefix(k.farm))
	if err != nil {
		return "", err
	}
	var b strings.Builder
	for _, r := range reports {
		fmt.Fprintf(&b, "%s %s %t %q %q %s\n", r.Key, r.Value.Token, r.Value.Serving(), r.Value.Boot.Failed, r.Value.ApplyError, databaseDigest(r.Value.Database))
	}
	return b.String(), nil
}

// platformJSON is the farm's platform block, to tell whether it changed. The image in it is no part of the platform:
// a new one is a new generation of the roles that name none.
func platformJSON(farm spec.Farm) string {
	var docker *spec.Docker
	if farm.Docker != nil {
		d := *farm.Docker
		d.Image = ""
		docker = &d
	}
	b, err := json.Marshal(struct {
		Docker    *spec.Docker
		Simulated *spec.Simulated
		AWS       *spec.AWS
	}{docker, farm.Simulated, farm.AWS})
	if err != nil {
		panic(err) // plain data
	}
	return string(b)
}
