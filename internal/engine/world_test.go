package engine_test

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/farmhand/terraform-provider-farmhand/internal/engine"
	"github.com/farmhand/terraform-provider-farmhand/internal/metric"
	"github.com/farmhand/terraform-provider-farmhand/internal/spec"
	"github.com/farmhand/terraform-provider-farmhand/internal/state"
)

// world is a farm small enough to be read: machines that take a while to boot and to end, agents that report every
// two seconds, and a load that divides itself over who serves. It carries decisions out as the controller does, and
// complains (see broken) of any that the controller could not or must not carry out.
type world struct {
	now      time.Time
	start    time.Time
	farm     spec.Farm
	deleting bool
	unlisted bool      // the platform does not answer
	hearing  time.Time // View.Listening
	roles    map[string]*roleWorld
	machines map[string]*machineWorld // by id
	serial   int
	broken   []string
	last     engine.Outcome
	record   func(engine.View) // sees what databases are decided on; nil: nobody asks
	most     int               // desired at the former tick
}

type roleWorld struct {
	role     spec.Role
	stateful bool
	inPlace  bool
	deleting bool
	gen      string
	policies []spec.Policy
	records  map[int]*state.Instance
	memory   state.Memory
	manual   *state.Manual

	boot      time.Duration
	failBoot  *state.Failure // boots of generation failGen fail
	failGen   string
	diesAfter time.Duration // its machines stop so long after their launch; zero: never
	load      float64       // of the role, divided over who serves
	cpu       float64
	backlog   float64 // the whole role's, known at no server, too
	noQueue   string  // why it is not known
	zones     []string
	protected map[string]bool
	histories map[string]state.History // by policy
	servers   *databaseWorld           // of a replicated role
}

type machineWorld struct {
	engine.Machine
	launched time.Time
	endAt    time.Time // zero: not told to end
	report   state.Report
	mute     bool
	bad      *state.Check
	wait     *state.Wait
	db       databaseProcess
}

const (
	sampleEvery = 2 * time.Second
	agentAfter  = time.Second // of the launch, its first report
	endsWithin  = time.Second
)

func newWorld() *world {
	start := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC) // a Monday
	f := spec.Farm{Name: "shop", Simulated: &spec.Simulated{}}
	f.SetDefaults()
	return &world{now: start, start: start, farm: f, roles: map[string]*roleWorld{}, machines: map[string]*machineWorld{}}
}

// pass lets time go by in steps no longer than an agent's rhythm.
func (w *world) pass(d time.Duration) {
	for end := w.now.Add(d); w.now.Before(end); {
		step := min(w.rhythm(), end.Sub(w.now))
		w.now = w.now.Add(step)
		w.live()
		w.liveDatabases()
	}
}

// live is what machines and agents do by themselves.
func (w *world) live() {
	for _, id := range slices.Sorted(maps.Keys(w.machines)) {
		m := w.machines[id]
		if !m.endAt.IsZero() && !w.now.Before(m.endAt) {
			delete(w.machines, id)
			continue
		}
		r := w.roles[m.Role]
		if r == nil || m.Stopped || m.mute || m.db.hung || m.db.cut || m.launched.Add(agentAfter).After(w.now) {
			continue
		}
		if r.diesAfter > 0 && w.now.Sub(m.launched) >= r.diesAfter {
			m.Stopped, m.Exit = true, "exit status 1"
			continue
		}
		rep := &m.report
		// Each agent has its own second of the two.
		if !rep.At.IsZero() && w.now.Sub(rep.At) < sampleEvery && rep.Boot.Done == (w.now.Sub(m.launched) >= r.boot) {
			continue
		}
		w.reportOf(m, r)
	}
}

func (w *world) reportOf(m *machineWorld, r *roleWorld) {
	rep := &m.report
	rep.Instance, rep.Token, rep.At = m.Name, m.Token, w.now
	rep.Boot = state.Boot{Step: "configure"}
	if w.now.Sub(m.launched) >= r.boot {
		rec := r.byToken(m.Token)
		if r.failBoot != nil && rec != nil && (r.failGen == "" || rec.Generation == r.failGen) {
			rep.Boot = state.Boot{Step: r.failBoot.Step, Failed: r.failBoot.Error, Log: r.failBoot.Log}
		} else {
			rep.Boot = state.Boot{Step: "serving", Done: true}
		}
	}
	rep.Checks = []state.Check{{Name: "behavior", OK: true}}
	if m.bad != nil {
		c := *m.bad
		rep.Checks = append(rep.Checks, c)
	}
	rep.Wait = m.wait
	if r.servers != nil {
		w.reportDatabase(m, r)
	}
	s := state.Sample{At: w.now}
	if rep.Boot.Done {
		s.Load1, s.CPU = r.load/float64(max(1, w.bearing(m.Role))), min(1, r.cpu/float64(max(1, w.bearing(m.Role))))
	}
	rep.Samples = append(slices.Clone(rep.Samples), s)
	if n := len(rep.Samples); n > 30 {
		rep.Samples = rep.Samples[n-30:]
	}
}

// bearing is how many share the load: who is in the topology and lives.
func (w *world) bearing(role string) int {
	n := 0
	for _, rec := range w.roles[role].records {
		if m := w.machines[rec.PlatformID]; rec.Phase == state.Running && m != nil && !m.Stopped && m.bad == nil {
			n++
		}
	}
	return n
}

func (r *roleWorld) byToken(token string) *state.Instance {
	for _, rec := range r.records {
		if rec.Token == token {
			return rec
		}
	}
	return nil
}

func (w *world) view() engine.View {
	v := engine.View{Now: w.now, Farm: w.farm, Deleting: w.deleting, MachinesListed: !w.unlisted, Listening: w.hearing}
	known := map[string]bool{}
	for _, name := range slices.Sorted(maps.Keys(w.roles)) {
		r := w.roles[name]
		role := engine.Role{Spec: r.role, Deleting: r.deleting, Generation: r.gen, Stateful: r.stateful, InPlace: r.inPlace, Memory: r.memory, Manual: r.manual}
		if r.servers != nil {
			role.Replicated, role.Database = true, r.servers.record
		}
		for _, index := range slices.Sorted(maps.Keys(r.records)) {
			rec := r.records[index]
			in := engine.Instance{Instance: *rec}
			in.Protected = r.protected[rec.Name()]
			known[rec.Token] = true
			if m := w.byToken(rec.Token); m != nil {
				if !w.unlisted {
					listed := m.Machine
					listed.Age = w.now.Sub(m.launched)
					in.Machine = &listed
				}
				if !m.report.At.IsZero() {
					rep := m.report
					in.Report = &rep
				}
			}
			role.Instances = append(role.Instances, in)
		}
		for _, p := range r.policies {
			ep := engine.Policy{Spec: p}
			switch {
			case p.Metric == nil:
			case p.Metric.Origin() == spec.AskedElsewhere:
				n := w.serving(name)
				ep.Measure = engine.Measure{Value: r.backlog, Floor: r.backlog, Peak: r.backlog, Samples: 3, Servers: n, Expected: n, Problem: r.noQueue}
			default:
				ep.Measure = metric.OfRole(w.now, *p.Metric, role.Instances, func(i engine.Instance) bool { return engine.Warm(w.now, *p.Metric, r.memory.Boots, i) })
			}
			if h, ok := r.histories[p.Name]; ok {
				ep.History = &h
			}
			role.Policies = append(role.Policies, ep)
		}
		v.Roles = append(v.Roles, role)
	}
	if !w.unlisted {
		for _, id := range slices.Sorted(maps.Keys(w.machines)) {
			if m := w.machines[id]; !known[m.Token] {
				stray := m.Machine
				stray.Age = w.now.Sub(m.launched)
				v.Strays = append(v.Strays, stray)
			}
		}
	}
	return v
}

func (w *world) byToken(token string) *machineWorld {
	for _, m := range w.machines {
		if m.Token == token {
			return m
		}
	}
	return nil
}

// decide is one tick.
func (w *world) decide() engine.Outcome {
	w.last = engine.Decide(w.view())
	for name, m := range w.last.Memory {
		w.roles[name].memory = m
	}
	for name, h := range w.last.Histories {
		w.roles[name].histories = h
	}
	for name, db := range w.last.Databases {
		w.roles[name].servers.record = &db
	}
	for _, d := range w.last.Decisions {
		if why := w.carryOut(d); why != "" {
			w.broken = append(w.broken, fmt.Sprintf("%s: %s %s: %s", w.now.Sub(w.start), d.Action, cmp.Or(d.Instance, d.Machine), why))
		}
		if d.Reason == "" {
			w.broken = append(w.broken, fmt.Sprintf("%s %s without a reason", d.Action, d.Instance))
		}
	}
	w.checkPrimaries()
	return w.last
}

// carryOut does what the controller does; the answer says why it must not.
func (w *world) carryOut(d engine.Decision) string {
	r := w.roles[d.Role]
	if d.Action == engine.Reap {
		if m := w.machines[d.Machine]; m != nil && m.endAt.IsZero() {
			m.Ending, m.endAt = true, w.now.Add(endsWithin)
		}
		return ""
	}
	if r == nil {
		return "no such role"
	}
	rec := r.records[d.Index]
	if d.Action != engine.Note && d.Action != engine.Launch && rec == nil {
		return "no such instance"
	}
	switch d.Action {
	case engine.Launch:
		if rec != nil {
			return "the index is held"
		}
		if r.stateful && w.writes(d.Instance) {
			return "the former holder of the index may still write"
		}
		w.serial++
		rec = &state.Instance{Role: d.Role, Index: d.Index, Token: fmt.Sprintf("t%d", w.serial), Generation: d.Generation, Phase: state.Planned, Since: w.now, Created: w.now, Reason: d.Reason}
		if n := len(r.zones); n > 0 {
			rec.Zone = r.zones[d.Index%n]
		}
		rec.Address = fmt.Sprintf("10.0.0.%d", d.Index)
		r.records[d.Index] = rec
		w.launch(rec)
	case engine.Relaunch:
		w.launch(rec)
	case engine.Move:
		rec.Phase, rec.Since = d.Phase, w.now
		if d.Phase == state.Running && rec.ServedAt.IsZero() {
			rec.ServedAt = w.now
		}
		switch d.Phase {
		case state.Failed, state.Draining, state.Terminating:
			rec.Reason = d.Reason
		}
		if d.Failure != nil {
			rec.Failure = d.Failure
		}
	case engine.Drain:
		if rec.Phase != state.Running {
			return "it is " + string(rec.Phase)
		}
		rec.Phase, rec.Since, rec.Reason = state.Draining, w.now, d.Reason
	case engine.Terminate:
		if rec.Phase != state.Failed && rec.Phase != state.Terminating {
			rec.Phase, rec.Since, rec.Reason = state.Terminating, w.now, d.Reason
		}
		if m := w.machines[d.Machine]; m != nil && m.endAt.IsZero() {
			m.Ending, m.endAt = true, w.now.Add(endsWithin)
		}
	case engine.Forget:
		if m := w.byToken(rec.Token); m != nil && (!m.Stopped || r.stateful) {
			return "its machine is still there"
		}
		delete(r.records, d.Index)
	}
	return ""
}

// writes tells whether some machine of that name still runs.
func (w *world) writes(name string) bool {
	for _, m := range w.machines {
		if m.Name == name {
			return true
		}
	}
	return false
}

func (w *world) launch(rec *state.Instance) {
	if w.unlisted {
		return
	}
	w.serial++
	id := fmt.Sprintf("m%d", w.serial)
	w.machines[id] = &machineWorld{Machine: engine.Machine{ID: id, Role: rec.Role, Name: rec.Name(), Token: rec.Token}, launched: w.now}
	rec.Phase, rec.Since, rec.PlatformID = state.Launching, w.now, id
}

func (w *world) checkPrimaries() {
	for _, r := range w.roles {
		n := 0
		for _, rec := range r.records {
			if rec.Primary {
				n++
			}
		}
		if n > 1 {
			w.broken = append(w.broken, fmt.Sprintf("role %s has %d primaries", r.role.Name, n))
		}
	}
}

// machineOf finds the machine of an instance by its name.
func (w *world) machineOf(instance string) *machineWorld {
	for _, r := range w.roles {
		for _, rec := range r.records {
			if rec.Name() == instance {
				return w.byToken(rec.Token)
			}
		}
	}
	return nil
}

func (w *world) addRole(role spec.Role) *roleWorld {
	role.Farm = w.farm.Name
	role.SetDefaults()
	r := &roleWorld{role: role, gen: "g1", records: map[int]*state.Instance{}, boot: 5 * time.Second}
	w.roles[role.Name] = r
	return r
}

// serving counts who runs.
func (w *world) serving(role string) int {
	n := 0
	for _, rec := range w.roles[role].records {
		if rec.Phase == state.Running {
			n++
		}
	}
	return n
}

// learn fills in what a month of days with two loads would have taught a forecast.
func (r *roleWorld) learn(policy string, from, to int, high, low float64) {
	i := slices.IndexFunc(r.policies, func(p spec.Policy) bool { return p.Name == policy })
	p := r.policies[i]
	since := time.Date(2026, 2, 1, 0, 0, 0, 0, time.UTC)
	h := state.History{Of: p.Metric.Key(), Zone: p.Forecast.Zone, Since: since, Level: 1, Tried: 2000, Off: 0.1 * high, Mean: high,
		Day: make([]float32, 96), DaySeen: make([]byte, 96), Week: make([]float32, 7*96), WeekSeen: make([]byte, 7*96)}
	for q := range h.Week {
		load := low
		if hour := q % 96 / 4; hour >= from && hour < to {
			load = high
		}
		h.Week[q], h.Day[q%96], h.WeekSeen[q], h.DaySeen[q%96] = float32(load), float32(load), 4, 28
	}
	r.histories = map[string]state.History{policy: h}
}
