package engine

import (
	"math"
	"slices"

	"github.com/farmhand/terraform-provider-farmhand/internal/spec"
	"github.com/farmhand/terraform-provider-farmhand/internal/state"
)

// Reduce is what of a View the decision on one role rests on, for the record: Decide comes to the same decisions and
// the same account of the role on it. It leaves out the other roles but for what Elsewhere says, what a role is set
// up with (also because that may hold secrets, and a record must not), and of reports what measures already tell. It
// shares with the View what it leaves alone. The role must be in the View.
func Reduce(view View, name string) View { return NewReducer(view).Role(name) }

// Reducer reduces a View to several of its roles, one after the other, and looks at each role once only. Not for
// concurrent use.
type Reducer struct {
	view   View
	passes map[string]*pass // nil before the first call
	counts map[string]Elsewhere
	all    Elsewhere
}

// NewReducer does nothing yet.
func NewReducer(view View) *Reducer { return &Reducer{view: view} }

func (d *Reducer) look() {
	if d.passes != nil {
		return
	}
	d.passes, d.counts, d.all = make(map[string]*pass, len(d.view.Roles)), make(map[string]Elsewhere, len(d.view.Roles)), d.view.Elsewhere
	for i := range d.view.Roles {
		p := newPass(&d.view, &d.view.Roles[i])
		p.live()
		silent, serving := p.countSilent()
		name := p.role.Spec.Name
		d.passes[name], d.counts[name] = p, Elsewhere{Serving: serving, Silent: silent}
		d.all.Serving += serving
		d.all.Silent += silent
	}
}

// Role is what Reduce gives.
func (d *Reducer) Role(name string) View {
	d.look()
	view := &d.view
	r := View{Now: view.Now, Farm: spec.Farm{Name: view.Farm.Name, Tick: view.Farm.Tick}, Deleting: view.Deleting,
		MachinesListed: view.MachinesListed, Listening: view.Listening}
	own := d.counts[name]
	r.Elsewhere = Elsewhere{Serving: d.all.Serving - own.Serving, Silent: d.all.Silent - own.Silent}
	if p := d.passes[name]; p != nil {
		r.Roles = []Role{reduceRole(*p.role, p)}
	}
	for _, s := range view.Strays {
		if s.Role == name {
			r.Strays = append(r.Strays, s)
		}
	}
	return r
}

func reduceRole(r Role, p *pass) Role {
	s := &r.Spec
	s.Image, s.Application, s.BootScript = "", "", ""
	if v := s.Volume; v != nil && v.MaxSizeGB > 0 && slices.ContainsFunc(r.Instances, func(in Instance) bool { return in.Report != nil && in.Report.VolumeUsed > 0 }) {
		s.Volume = &spec.Volume{MaxSizeGB: v.MaxSizeGB}
	} else {
		s.Volume = nil
	}
	s.ShutdownHook = "" // what it says is in the reports
	if !slices.ContainsFunc(r.Instances, func(in Instance) bool { return in.Report != nil && in.Report.Wait != nil }) {
		s.ShutdownHookTimeout = 0
	}
	s.Environment, s.Secrets, s.Uses, s.Settings = nil, nil, nil, databaseSettings(r)
	s.HealthCheck.HTTP, s.HealthCheck.TCP = nil, nil
	r.Policies = slices.Clone(r.Policies)
	for i := range r.Policies {
		if f := &r.Policies[i]; f.Spec.Forecast != nil && f.Spec.Metric != nil {
			s := p.foresight(f)
			f.Foresight, f.History = &s, nil
		}
		m := &r.Policies[i].Measure
		for _, v := range []*float64{&m.Value, &m.Floor, &m.Peak} {
			if math.IsNaN(*v) || math.IsInf(*v, 0) {
				*v = noNumber
			}
		}
	}
	r.Instances = slices.Clone(r.Instances)
	for i := range r.Instances {
		address := r.Instances[i].Address
		reduceInstance(&r.Instances[i], s.ScaleIn == spec.ScaleInLeastBusy)
		if r.Replicated {
			r.Instances[i].Address = address
		}
	}
	return r
}

// noNumber stands for what JSON cannot write: a negative measurement is believed as little.
const noNumber = -1

func reduceInstance(in *Instance, leastBusy bool) {
	in.Address, in.Volume = "", ""
	leaves := in.Phase == state.Draining || in.Phase == state.Terminating
	if !leaves {
		in.Reason = ""
	}
	if in.Machine != nil {
		m := *in.Machine
		m.Role, m.Name, m.Token, m.Age = "", "", "", 0
		in.Machine, in.PlatformID = &m, ""
	}
	if in.Report == nil {
		return
	}
	r := *in.Report
	r.Instance, r.Token, r.Version, r.Samples, r.Unmeasured, r.Applied, r.ApplyError = "", "", "", nil, nil, 0, ""
	if in.Phase == state.Running || leaves {
		r.Boot.Log = nil
		r.Checks = nil
		for _, c := range in.Report.Checks {
			if !c.OK {
				r.Checks = append(r.Checks, c)
			}
		}
	}
	if n := len(in.Report.Samples); leastBusy && n > 0 {
		r.Samples = in.Report.Samples[n-1:]
	}
	in.Report = &r
}

// databaseSettings are those settings that decide on a failover; none of them is a secret.
func databaseSettings(r Role) map[string]string {
	if !r.Replicated {
		return nil
	}
	kept := map[string]string{}
	for _, name := range []string{SettingFailover, SettingMaxLag, SettingFlapMinutes} {
		if v, ok := r.Spec.Settings[name]; ok {
			kept[name] = v
		}
	}
	return kept
}
