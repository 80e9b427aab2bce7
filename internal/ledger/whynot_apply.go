package ledger

import (
	"reflect"
	"slices"
	"time"

	"github.com/farmhand/terraform-provider-farmhand/internal/engine"
	"github.com/farmhand/terraform-provider-farmhand/internal/state"
)

// bounds gives the role another min or max, and lets no schedule stand against it.
func bounds(v *engine.View, lowest, highest *int) {
	r := &v.Roles[0]
	if lowest != nil {
		r.Spec.Min = min(r.Spec.Min, *lowest)
	}
	if highest != nil {
		r.Spec.Max = max(r.Spec.Max, *highest)
	}
	for i := range r.Policies {
		if s := r.Policies[i].Spec.Schedule; s != nil {
			s := *s
			if lowest != nil {
				s.Min = nil
			}
			if highest != nil {
				s.Max = nil
			}
			r.Policies[i].Spec.Schedule = &s
		}
	}
}

// older lets time pass for all that waits for it, and for nothing else.
func older(v *engine.View, d time.Duration, low bool) {
	m := &v.Roles[0].Memory
	if low && m.LowSince.IsZero() {
		m.LowSince = v.Now
	}
	manual, spells := m.Manual, m.Spells
	m.Manual, m.Spells = nil, nil
	*m, _ = reflect.TypeAssert[state.Memory](earlier(reflect.ValueOf(*m), d))
	m.Manual = manual
	// What is so then, will have been so all the time.
	for _, p := range v.Roles[0].Policies {
		for _, of := range []string{state.Out, state.In} {
			s := state.Spell{Policy: p.Spec.Name, Of: of, Since: v.Now, Seen: v.Now}
			if i := slices.IndexFunc(spells, func(o state.Spell) bool { return o.Policy == s.Policy && o.Of == of }); i >= 0 {
				s.Since = spells[i].Since
			}
			s.Since = s.Since.Add(-d)
			m.Spells = append(m.Spells, s)
		}
	}
	for i := range v.Roles[0].Instances {
		in := &v.Roles[0].Instances[i]
		if in.Phase == state.Running {
			in.Since, in.Created = in.Since.Add(-d), in.Created.Add(-d)
			if !in.ServedAt.IsZero() {
				in.ServedAt = in.ServedAt.Add(-d)
			}
		}
	}
}

// earlier is a copy of a value in which every time is d earlier, whatever the engine comes to remember.
func earlier(v reflect.Value, d time.Duration) reflect.Value {
	fresh := reflect.New(v.Type()).Elem()
	fresh.Set(v)
	switch {
	case v.Type() == reflect.TypeFor[time.Time]():
		if t, ok := reflect.TypeAssert[time.Time](v); ok && !t.IsZero() {
			fresh.Set(reflect.ValueOf(t.Add(-d)))
		}
	case v.Kind() == reflect.Struct:
		for i := range v.NumField() {
			fresh.Field(i).Set(earlier(v.Field(i), d))
		}
	case v.Kind() == reflect.Slice && !v.IsNil():
		fresh.Set(reflect.MakeSlice(v.Type(), v.Len(), v.Len()))
		for i := range v.Len() {
			fresh.Index(i).Set(earlier(v.Index(i), d))
		}
	}
	return fresh
}

// forgiven forgets the launches that failed, also those that this record finds failed.
func forgiven(v *engine.View, _ float64) {
	r := &v.Roles[0]
	r.Memory.LaunchFailures, r.Memory.RetryAt, r.Memory.FailedAt = 0, time.Time{}, time.Time{}
	look, _ := engine.LookAt(*v, r.Spec.Name)
	left := func(in engine.Instance) bool {
		i := slices.IndexFunc(look.Servers, func(s engine.Standing) bool { return s.Name == in.Name() })
		return i >= 0 && look.Servers[i].Standing == "leaving" && in.ServedAt.IsZero()
	}
	r.Instances = slices.DeleteFunc(r.Instances, left)
}

// listed makes the platform answer with a machine for everybody.
func listed(v *engine.View, _ float64) {
	v.MachinesListed = true
	for i := range v.Roles[0].Instances {
		if in := &v.Roles[0].Instances[i]; in.Machine == nil {
			in.Machine = &engine.Machine{ID: in.PlatformID}
		}
	}
}

// settled leaves those that run, and makes them well.
func settled(v *engine.View, _ float64) {
	r := &v.Roles[0]
	r.Instances = slices.DeleteFunc(r.Instances, func(in engine.Instance) bool { return in.Phase != state.Running })
	for i := range r.Instances {
		well(v, &r.Instances[i])
	}
}

func well(v *engine.View, in *engine.Instance) {
	in.Report = &state.Report{At: v.Now, Boot: state.Boot{Done: true}}
	if in.Machine != nil {
		in.Machine.Stopped, in.Machine.Ending = false, false
	}
}

// oneSick makes all well but the first that is sick.
func oneSick(v *engine.View, _ float64) {
	look, _ := engine.LookAt(*v, v.Roles[0].Spec.Name)
	kept := ""
	for _, s := range look.Servers {
		if s.Standing == "sick" {
			kept = s.Name
			break
		}
	}
	v.Elsewhere.Silent = 0
	for i := range v.Roles[0].Instances {
		if in := &v.Roles[0].Instances[i]; in.Phase == state.Running && in.Name() != kept {
			well(v, in)
		}
	}
}

// makeSick lets a check of one server fail that had passed.
func makeSick(v *engine.View, _ float64) {
	grace := v.Roles[0].Spec.HealthCheck.Grace.Std()
	for i := range v.Roles[0].Instances {
		if in := &v.Roles[0].Instances[i]; in.Phase == state.Running {
			well(v, in)
			in.Report.Checks = []state.Check{{Name: "any", Since: v.Now, Failures: 1}}
			if early := v.Now.Add(-grace - time.Second); in.ServedAt.After(early) {
				in.ServedAt = early
			}
			return
		}
	}
}
