package world

import (
	"cmp"
	"slices"
	"strconv"

	"github.com/farmhand/terraform-provider-farmhand/internal/engine"
	"github.com/farmhand/terraform-provider-farmhand/internal/metric"
	"github.com/farmhand/terraform-provider-farmhand/internal/spec"
	"github.com/farmhand/terraform-provider-farmhand/internal/state"
)

// Farmhand is the pilot that the sidecar is: at every tick it measures with metric.Of, decides with engine.Decide,
// carries the memory on, and does to the records what the controller does. No rule of scaling stands here.
type Farmhand struct {
	Role     spec.Role     // with defaults
	Policies []spec.Policy // with defaults
	// Account is told how each number was arrived at; nil: nobody.
	Account func(engine.Account)
	// Decide stands in the place of the engine; nil: engine.Decide. The View is valid until it returns.
	Decide func(engine.View) engine.Outcome

	farm      spec.Farm
	memory    state.Memory
	instances []engine.Instance // by index
	machines  []*held           // the same order
	failures  int
	serial    int
	broken    []string // decisions that could not be carried out: none, ever
	view      engine.View
	balancer  balancer
	series    state.Series
	learnt    map[string]state.History // by policy
}

// held is a record's machine. Report and machine are what the engine's Instance points to, so that a tick copies neither.
type held struct {
	*Server
	machine engine.Machine
	report  state.Report
	checks  [1]state.Check
}

// generation of everything: nothing is rolled out here.
const generation = "simulated"

// Failures counts launches that did not come up.
func (p *Farmhand) Failures() int { return p.failures }

// Broken are decisions that could not be carried out; a fault of the engine or of this world, if there are any.
func (p *Farmhand) Broken() []string { return p.broken }

// Start takes what is there as instances that have run for long.
func (p *Farmhand) Start(w *World) {
	p.farm = spec.Farm{Name: p.Role.Farm, Simulated: &spec.Simulated{}}
	p.farm.SetDefaults()
	p.memory = state.Memory{Desired: len(w.Servers)}
	for i, s := range w.Servers {
		p.record(i+1, s, state.Instance{
			Role: p.Role.Name, Index: i + 1, Generation: generation, Phase: state.Running,
			Since: s.Since, Created: s.Launched, ServedAt: s.Since, Reason: "it was there",
		})
	}
	p.view = engine.View{Farm: p.farm, MachinesListed: true, Roles: []engine.Role{{
		Spec: p.Role, Generation: generation, Policies: make([]engine.Policy, len(p.Policies)),
	}}}
}

// Tick is one tick of the sidecar.
func (p *Farmhand) Tick(w *World) int {
	for i := range p.instances {
		p.observe(w, i)
	}
	role := &p.view.Roles[0]
	role.Instances, role.Memory = p.instances, p.memory
	for i, policy := range p.Policies {
		role.Policies[i] = engine.Policy{Spec: policy, Measure: metric.Of(p.input(w, policy))}
		if h, ok := p.learnt[policy.Name]; ok {
			role.Policies[i].History = &h
		}
	}
	p.view.Now = w.Now
	decide := p.Decide
	if decide == nil {
		decide = engine.Decide
	}
	out := decide(p.view)
	p.memory, p.learnt = out.Memory[p.Role.Name], out.Histories[p.Role.Name]
	for _, d := range out.Decisions {
		p.carryOut(w, d)
	}
	if p.Account != nil {
		p.Account(out.Accounts[p.Role.Name])
	}
	return p.memory.Desired
}

// observe writes what the platform lists of a machine and what its agent reports.
func (p *Farmhand) observe(w *World, i int) {
	h, in := p.machines[i], &p.instances[i]
	if h.Server == nil { // ended
		in.Machine = nil
		return
	}
	in.Machine = &h.machine
	if h.Crashed {
		h.machine.Stopped, h.machine.Exit = true, "it crashed"
		return
	}
	if w.Now.Equal(h.Launched) {
		return
	}
	in.Report = &h.report
	r := &h.report
	r.At, r.Samples = w.Now, h.samples
	switch {
	case h.Doomed && h.Failed(w.Now):
		r.Boot = state.Boot{Step: "boot", Failed: "it was made to fail"}
	case h.Up(w.Now) && !r.Boot.Done:
		r.Boot = state.Boot{Step: "serving", Done: true}
		h.checks[0] = state.Check{Name: "behavior", OK: true, Since: w.Now}
		r.Checks = h.checks[:]
	case !r.Boot.Done:
		r.Boot.Step = "boot"
	}
}

// record adds an instance at its place.
func (p *Farmhand) record(index int, s *Server, rec state.Instance) {
	p.serial++
	id := strconv.Itoa(p.serial)
	rec.Token, rec.PlatformID = "token-"+id, "machine-"+id
	h := &held{Server: s}
	h.machine = engine.Machine{ID: rec.PlatformID, Role: rec.Role, Name: rec.Name(), Token: rec.Token}
	h.report = state.Report{Instance: rec.Name(), Token: rec.Token}
	if rec.Phase == state.Running {
		h.report.Boot = state.Boot{Step: "serving", Done: true}
		h.checks[0] = state.Check{Name: "behavior", OK: true, Since: rec.ServedAt}
		h.report.Checks = h.checks[:]
	}
	at, _ := p.find(index)
	p.instances = slices.Insert(p.instances, at, engine.Instance{Instance: rec, Machine: &h.machine})
	p.machines = slices.Insert(p.machines, at, h)
}

func (p *Farmhand) find(index int) (int, bool) {
	return slices.BinarySearchFunc(p.instances, index, func(in engine.Instance, i int) int { return cmp.Compare(in.Index, i) })
}

// carryOut does what internal/controller does about a decision; see engine.Action.
func (p *Farmhand) carryOut(w *World, d engine.Decision) {
	if d.Action == engine.Note {
		return
	}
	at, there := p.find(d.Index)
	if d.Action == engine.Launch {
		if there {
			p.broken = append(p.broken, "launch of "+d.Instance+", whose index is held")
			return
		}
		p.record(d.Index, w.Launch(), state.Instance{
			Role: d.Role, Index: d.Index, Generation: d.Generation, Phase: state.Launching,
			Since: w.Now, Created: w.Now, Reason: d.Reason,
		})
		return
	}
	if !there {
		p.broken = append(p.broken, string(d.Action)+" of "+d.Instance+d.Machine+", which is not there")
		return
	}
	rec, h := &p.instances[at].Instance, p.machines[at]
	switch d.Action {
	case engine.Move:
		rec.Phase, rec.Since = d.Phase, w.Now
		switch d.Phase {
		case state.Running:
			if rec.ServedAt.IsZero() {
				rec.ServedAt = w.Now
			}
			w.Serve(h.Server, true)
		case state.Failed:
			p.failures++
			rec.Reason, rec.Failure = d.Reason, d.Failure
		}
	case engine.Drain:
		rec.Phase, rec.Since, rec.Reason = state.Draining, w.Now, d.Reason
		w.Serve(h.Server, false)
	case engine.Terminate:
		if rec.Phase != state.Failed && rec.Phase != state.Terminating {
			rec.Phase, rec.Since, rec.Reason = state.Terminating, w.Now, d.Reason
		}
		if h.Server != nil {
			w.End(h.Server)
			h.Server = nil
		}
	case engine.Forget:
		p.instances = slices.Delete(p.instances, at, at+1)
		p.machines = slices.Delete(p.machines, at, at+1)
	default:
		p.broken = append(p.broken, string(d.Action)+" of "+d.Instance+": this world has no reason for it")
	}
}
