package engine_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"reflect"
	"strconv"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/farmhand/terraform-provider-farmhand/internal/engine"
	"github.com/farmhand/terraform-provider-farmhand/internal/spec"
	"github.com/farmhand/terraform-provider-farmhand/internal/state"
)

// The properties that hold for every view and every course of events. make test tries a hundred of each, make test-long
// more than a million in all, and FARMHAND_RAPID_CHECKS=n n of each that looks at single views and n/100 of each that
// runs through a course of events.

// longChecks of each of the three properties of single views make a million.
const longChecks = 350_000

// checkMany checks a property on the wanted number of cases, divided by share.
func checkMany(t *testing.T, share int, property func(*rapid.T)) {
	t.Helper()
	n, err := strconv.Atoi(os.Getenv("FARMHAND_RAPID_CHECKS"))
	if err != nil && os.Getenv("FARMHAND_TEST_LONG") != "" {
		n = longChecks
	}
	if n > 0 {
		was := flag.Lookup("rapid.checks").Value.String()
		if err := flag.Set("rapid.checks", fmt.Sprint(max(1, n/share))); err != nil {
			t.Fatal(err)
		}
		defer func() { _ = flag.Set("rapid.checks", was) }()
	}
	rapid.Check(t, property)
}

var start = time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)

func ago(t *rapid.T, label string, most time.Duration) time.Time {
	return start.Add(-time.Duration(rapid.IntRange(0, int(most/time.Second)).Draw(t, label)) * time.Second)
}

// anyPolicies are a target, steps, a schedule, or some of them, sound by themselves.
func anyPolicies(t *rapid.T, r spec.Role) []engine.Policy {
	var all []engine.Policy
	add := func(p spec.Policy) {
		p.Farm, p.Role = r.Farm, r.Name
		p.Cooldown = spec.Duration(rapid.IntRange(0, 300).Draw(t, "cooldown")) * spec.Duration(time.Second)
		p.SetDefaults()
		all = append(all, engine.Policy{Spec: p})
	}
	if rapid.Bool().Draw(t, "has target") {
		target := rapid.Float64Range(0.1, 8).Draw(t, "target")
		add(spec.Policy{Name: "target", Metric: &spec.Metric{Kind: spec.LoadAverage}, Target: &target, Tolerance: rapid.Float64Range(0, 0.5).Draw(t, "tolerance")})
	}
	if rapid.Bool().Draw(t, "has steps") {
		low := rapid.Float64Range(0.05, 0.4).Draw(t, "low")
		high := rapid.Float64Range(0.5, 0.9).Draw(t, "high")
		add(spec.Policy{Name: "steps", Metric: &spec.Metric{Kind: spec.CPU}, Steps: []spec.Step{
			{To: &low, Add: -rapid.IntRange(0, 3).Draw(t, "removes")}, {From: &low, To: &high}, {From: &high, Add: rapid.IntRange(1, 6).Draw(t, "adds")},
		}})
	}
	if rapid.Bool().Draw(t, "has threshold") {
		lower, upper := rapid.Float64Range(0.05, 1).Draw(t, "lower"), rapid.Float64Range(1, 8).Draw(t, "upper")
		add(spec.Policy{Name: "threshold", Metric: &spec.Metric{Kind: spec.LoadAverage, Minutes: 5}, Threshold: &spec.Threshold{
			Lower: &lower, Upper: &upper, BreachDuration: spec.Duration(rapid.IntRange(10, 200).Draw(t, "breach")) * spec.Duration(time.Second),
			LowerIncrement: -rapid.IntRange(1, 3).Draw(t, "lower increment"), UpperIncrement: rapid.IntRange(1, 4).Draw(t, "upper increment")}})
	}
	if rapid.IntRange(0, 3).Draw(t, "has queue") == 0 {
		add(spec.Policy{Name: "queue", Metric: &spec.Metric{Kind: spec.HTTPValue, HTTP: &spec.HTTPMetric{URL: "http://jobs/"}},
			Queue: &spec.Queue{Backlog: rapid.Float64Range(0.5, 10).Draw(t, "backlog"), MinimumLifetime: spec.Duration(rapid.IntRange(0, 900).Draw(t, "lifetime")) * spec.Duration(time.Second)}})
	}
	if rapid.IntRange(0, 3).Draw(t, "has forecast") == 0 {
		add(spec.Policy{Name: "forecast", Metric: &spec.Metric{Kind: spec.CPU}, Forecast: &spec.Forecast{Target: rapid.Float64Range(0.1, 2).Draw(t, "forecast's target")}})
		if last := &all[len(all)-1]; rapid.Bool().Draw(t, "from history") {
			last.History = largeHistory(last.Spec)
			last.History.Tried, last.History.Level = rapid.IntRange(0, 100).Draw(t, "tried"), rapid.Float64Range(0.5, 2).Draw(t, "level")
		} else {
			last.Foresight = anyForesight(t)
		}
	}
	for i := range all {
		if rapid.IntRange(0, 2).Draw(t, "has paces") == 0 {
			all[i].Spec.ScaleOut, all[i].Spec.ScaleIn = anyPace(t, "out"), anyPace(t, "in")
		}
	}
	if rapid.Bool().Draw(t, "has schedule") {
		lowest := rapid.IntRange(r.Min, r.Max).Draw(t, "schedule's min")
		highest := rapid.IntRange(r.Min, r.Max).Draw(t, "schedule's max")
		s := &spec.Schedule{Zone: "UTC", From: "08:00", To: "10:00", Exact: &lowest}
		if rapid.Bool().Draw(t, "exact") {
			add(spec.Policy{Name: "schedule", Schedule: s})
			return all
		}
		s = &spec.Schedule{Cron: "0 8 * * *", Zone: "UTC", Duration: spec.Duration(rapid.IntRange(1, 4).Draw(t, "hours")) * spec.Duration(time.Hour)}
		if rapid.Bool().Draw(t, "sets min") {
			s.Min = &lowest
		}
		if s.Min == nil || rapid.Bool().Draw(t, "sets max") {
			s.Max = &highest
		}
		add(spec.Policy{Name: "schedule", Schedule: s})
	}
	return all
}

func anyForesight(t *rapid.T) *engine.Foresight {
	return &engine.Foresight{Load: rapid.Float64Range(0, 12).Draw(t, "foreseen"), At: start, Lead: time.Minute, Since: start.Add(-100 * time.Hour),
		Known: rapid.Bool().Draw(t, "is known"), Tried: rapid.IntRange(0, 100).Draw(t, "tried"), Off: rapid.Float64Range(0, 1).Draw(t, "off")}
}

func anyPace(t *rapid.T, label string) *spec.Pace {
	p := &spec.Pace{}
	if rapid.Bool().Draw(t, label+" has a window") {
		window := spec.Duration(rapid.IntRange(0, 120).Draw(t, label+" window")) * spec.Duration(time.Second)
		p.StabilizationWindow = &window
	}
	if rapid.Bool().Draw(t, label+" has a rate") {
		p.AtMost, p.Per = rapid.IntRange(1, 5).Draw(t, label+" at most"), spec.Duration(rapid.IntRange(1, 300).Draw(t, label+" per"))*spec.Duration(time.Second)
	}
	return p
}

func anyMeasure(t *rapid.T, running int) engine.Measure {
	if rapid.IntRange(0, 9).Draw(t, "unknown") == 0 {
		return engine.Measure{Problem: "nothing is known"}
	}
	expected := rapid.IntRange(0, running).Draw(t, "expected")
	a := rapid.Float64Range(0, 12).Draw(t, "floor")
	b := a + rapid.Float64Range(0, 3).Draw(t, "spread")
	return engine.Measure{Value: (a + b) / 2, Floor: a, Peak: b, Samples: rapid.IntRange(0, 4).Draw(t, "samples"),
		Servers: rapid.IntRange(0, expected).Draw(t, "servers"), Expected: expected}
}

// anyInstance is a record in any phase with any machine and report beside it, consistent or not.
func anyInstance(t *rapid.T, role spec.Role, index int) engine.Instance {
	phases := []state.Phase{state.Planned, state.Launching, state.Booting, state.Running, state.Running, state.Running, state.Draining, state.Terminating, state.Failed}
	in := engine.Instance{Instance: state.Instance{
		Role: role.Name, Index: index, Token: fmt.Sprintf("t%d", index), Phase: rapid.SampledFrom(phases).Draw(t, "phase"),
		Generation: rapid.SampledFrom([]string{"g1", "g2"}).Draw(t, "generation"),
		Created:    ago(t, "created", 20*time.Minute),
		Zone:       rapid.SampledFrom([]string{"", "a", "b"}).Draw(t, "zone"), Protected: rapid.IntRange(0, 9).Draw(t, "protected") == 0,
	}}
	in.Since = in.Created.Add(time.Duration(rapid.IntRange(0, 60).Draw(t, "since")) * time.Second)
	if in.Phase == state.Running || in.Phase == state.Draining {
		in.ServedAt = in.Since
	}
	if rapid.IntRange(0, 9).Draw(t, "has machine") > 0 {
		in.PlatformID = fmt.Sprintf("m%d", index)
		in.Machine = &engine.Machine{ID: in.PlatformID, Role: role.Name, Name: in.Name(), Token: in.Token,
			Stopped: rapid.IntRange(0, 9).Draw(t, "stopped") == 0, Ending: rapid.IntRange(0, 19).Draw(t, "ending") == 0}
	}
	if rapid.IntRange(0, 9).Draw(t, "has report") > 0 {
		in.Report = &state.Report{Token: in.Token, At: ago(t, "reported", 20*time.Second),
			Boot:   state.Boot{Step: "boot", Done: rapid.IntRange(0, 4).Draw(t, "done") > 0},
			Checks: []state.Check{{Name: "http", OK: rapid.IntRange(0, 4).Draw(t, "ok") > 0, Since: ago(t, "sick since", time.Minute)}}}
		if rapid.IntRange(0, 14).Draw(t, "boot failed") == 0 {
			in.Report.Boot.Done, in.Report.Boot.Failed = false, "exit status 3"
		}
	}
	return in
}

func anyMemory(t *rapid.T) state.Memory {
	m := state.Memory{Desired: rapid.IntRange(0, 12).Draw(t, "desired")}
	if rapid.Bool().Draw(t, "has scaled") {
		m.LastScaleOut, m.GrownBy, m.GrownValue = ago(t, "scaled out", 10*time.Minute), "target", rapid.Float64Range(0, 12).Draw(t, "grown value")
		m.BurstSince, m.BurstFrom = m.LastScaleOut, rapid.IntRange(0, 12).Draw(t, "burst from")
	}
	if rapid.Bool().Draw(t, "is low") {
		m.LowSince = ago(t, "low since", 10*time.Minute)
	}
	m.Sized = m.Desired > 0 && rapid.Bool().Draw(t, "sized")
	m.Direction = rapid.SampledFrom([]string{"", state.Out, state.In}).Draw(t, "direction")
	for range rapid.IntRange(0, 3).Draw(t, "reversals") {
		m.Reversals = append(m.Reversals, ago(t, "turned", 80*time.Minute))
	}
	for _, policy := range []string{"target", "steps", "threshold", "queue"} {
		if rapid.IntRange(0, 2).Draw(t, "has a spell") == 0 {
			seen := ago(t, "seen", time.Minute)
			m.Spells = append(m.Spells, state.Spell{Policy: policy, Of: rapid.SampledFrom([]string{state.Out, state.In}).Draw(t, "of"), Seen: seen, Since: seen.Add(-time.Duration(rapid.IntRange(0, 400).Draw(t, "lasted")) * time.Second)})
		}
	}
	for range rapid.IntRange(0, 2).Draw(t, "changes") {
		m.Changes = append(m.Changes, state.Change{At: ago(t, "changed", 5*time.Minute), By: rapid.SampledFrom([]int{-2, -1, 1, 3}).Draw(t, "by")})
	}
	for range rapid.IntRange(0, 3).Draw(t, "boots") {
		m.Boots = append(m.Boots, spec.Duration(rapid.IntRange(1, 600).Draw(t, "boot"))*spec.Duration(time.Second))
	}
	if rapid.IntRange(0, 3).Draw(t, "has failed") == 0 {
		m.LaunchFailures, m.FailedGeneration = rapid.IntRange(1, 5).Draw(t, "failures"), rapid.SampledFrom([]string{"g1", "g2"}).Draw(t, "failed generation")
		m.FailedAt = ago(t, "failed", 2*time.Hour)
		m.RetryAt = m.FailedAt.Add(time.Minute)
		m.FailedInstance, m.LastFailure = "web-1", &state.Failure{Step: "boot", Error: "exit status 3"}
	}
	return m
}

func anyRole(t *rapid.T) engine.Role {
	r := spec.Role{Farm: "shop", Name: "web", Min: rapid.IntRange(0, 6).Draw(t, "min")}
	r.Max = r.Min + rapid.IntRange(0, 6).Draw(t, "more")
	r.ScaleIn = rapid.SampledFrom(spec.ScaleInOrders).Draw(t, "scale in")
	r.ReversalsPerHour = rapid.IntRange(0, 4).Draw(t, "reversals per hour")
	r.SetDefaults()
	role := engine.Role{Spec: r, Generation: "g2", Memory: anyMemory(t),
		Stateful: rapid.IntRange(0, 3).Draw(t, "stateful") == 0, Deleting: rapid.IntRange(0, 14).Draw(t, "deleting") == 0}
	running := 0
	for i := range rapid.IntRange(0, 10).Draw(t, "instances") {
		in := anyInstance(t, r, i+1)
		if in.Phase == state.Running {
			running++
		}
		role.Instances = append(role.Instances, in)
	}
	role.Policies = anyPolicies(t, r)
	for i := range role.Policies {
		if role.Policies[i].Spec.Metric != nil {
			role.Policies[i].Measure = anyMeasure(t, running)
		}
	}
	return role
}

func anyView(t *rapid.T) engine.View {
	v := engine.View{Now: start, Farm: spec.Farm{Name: "shop"}, MachinesListed: rapid.IntRange(0, 9).Draw(t, "listed") > 0, Roles: []engine.Role{anyRole(t)}}
	for i := range v.Roles[0].Instances {
		if !v.MachinesListed {
			v.Roles[0].Instances[i].Machine = nil
		}
	}
	return v
}

// TestAnyView: whatever the engine is shown, what it decides can be carried out, stays within the envelope, has a
// reason, is the same when asked again, and leaves the view alone.
func TestAnyView(t *testing.T) {
	checkMany(t, 1, func(t *rapid.T) {
		v := anyView(t)
		before, _ := json.Marshal(v)
		out := engine.Decide(v)
		if after, _ := json.Marshal(v); string(after) != string(before) {
			t.Fatalf("the view was changed from\n%s\nto\n%s", before, after)
		}
		if again := engine.Decide(v); !reflect.DeepEqual(out, again) {
			t.Fatalf("decided\n%+v\nand then, on the same view,\n%+v", out, again)
		}
		mayBeCarriedOut(t, v, out)
	})
}

func mayBeCarriedOut(t *rapid.T, v engine.View, out engine.Outcome) {
	role := v.Roles[0]
	account := out.Accounts["web"]
	if !role.Deleting && (account.Desired < role.Spec.Min || account.Desired > role.Spec.Max) {
		t.Fatalf("desired %d is outside of %d to %d", account.Desired, role.Spec.Min, role.Spec.Max)
	}
	if account.Reason == "" {
		t.Fatalf("no reason for %d", account.Desired)
	}
	held := map[int]*engine.Instance{}
	for i := range role.Instances {
		held[role.Instances[i].Index] = &role.Instances[i]
	}
	for _, d := range out.Decisions {
		if d.Reason == "" {
			t.Fatalf("no reason for %+v", d)
		}
		if d.Kind != "" && d.Level == "" {
			t.Fatalf("an event without a level: %+v", d)
		}
		in := held[d.Index]
		switch d.Action {
		case engine.Launch:
			if in != nil {
				t.Fatalf("%s is launched, and its index is held", d.Instance)
			}
			if role.Deleting || !v.MachinesListed {
				t.Fatalf("%s is launched, though deleting is %t and the platform answered is %t", d.Instance, role.Deleting, v.MachinesListed)
			}
			held[d.Index] = &engine.Instance{}
		case engine.Forget:
			if in == nil || !v.MachinesListed {
				t.Fatalf("%s is forgotten: on record is %t, the platform answered is %t", d.Instance, in != nil, v.MachinesListed)
			}
			if in.Machine != nil && (!in.Machine.Stopped || role.Stateful) {
				t.Fatalf("%s is forgotten, and its machine is there", d.Instance)
			}
			delete(held, d.Index)
		case engine.Terminate:
			if in == nil || d.Machine == "" {
				t.Fatalf("%s is terminated: on record is %t, machine %q", d.Instance, in != nil, d.Machine)
			}
		case engine.Drain:
			if in == nil || in.Phase != state.Running {
				if in == nil || !moved(out, d.Instance, state.Running) {
					t.Fatalf("%s is drained and does not run", d.Instance)
				}
			}
		case engine.Move:
			if in == nil {
				t.Fatalf("%s is moved, and is not on record", d.Instance)
			}
		}
	}
}

func moved(out engine.Outcome, instance string, to state.Phase) bool {
	for _, d := range out.Decisions {
		if d.Action == engine.Move && d.Instance == instance && d.Phase == to {
			return true
		}
	}
	return false
}

// TestMoreDemandNeverFewer: the same view with higher measurements never gets a smaller number.
func TestMoreDemandNeverFewer(t *testing.T) {
	checkMany(t, 1, func(t *rapid.T) {
		v := anyView(t)
		low := engine.Decide(v)
		more := 1 + rapid.Float64Range(0, 2).Draw(t, "more demand")
		policies := append([]engine.Policy(nil), v.Roles[0].Policies...)
		for i := range policies {
			m := &policies[i].Measure
			m.Floor, m.Peak, m.Value = m.Floor*more, m.Peak*more, m.Value*more
		}
		v.Roles[0].Policies = policies
		high := engine.Decide(v)
		if a, b := low.Accounts["web"], high.Accounts["web"]; b.Desired < a.Desired {
			t.Fatalf("with %v times the demand %d servers rather than %d:\n%+v\n%+v", more, b.Desired, a.Desired, a, b)
		}
	})
}

// TestLostMetricsNeverLower: with any one policy's measurement lost, stale or partial the number is not lower than it was,
// unless the envelope or the lack of any policy says so.
func TestLostMetricsNeverLower(t *testing.T) {
	checkMany(t, 1, func(t *rapid.T) {
		v := anyView(t)
		role := &v.Roles[0]
		var metered []int
		for i, p := range role.Policies {
			if p.Spec.Votes() {
				metered = append(metered, i)
			}
		}
		if len(metered) == 0 || role.Deleting || role.Memory.Desired == 0 {
			t.Skip("nothing to lose")
		}
		i := rapid.SampledFrom(metered).Draw(t, "lost")
		m := &role.Policies[i].Measure
		switch rapid.IntRange(0, 2).Draw(t, "how") {
		case 0:
			*m = engine.Measure{Problem: "nothing is known"}
		case 1:
			m.Expected = m.Servers + 1
		case 2:
			m.Samples = 1
		}
		a := engine.Decide(v).Accounts["web"]
		if least := min(role.Memory.Desired, a.Max); a.Desired < least {
			t.Fatalf("desired fell from %d to %d: %+v", role.Memory.Desired, a.Desired, a)
		}
	})
}

// TestCourseOfEvents lets anything happen to a small farm for some minutes and then leaves it in peace: at no time is
// there a decision that could not be carried out, and in the end it is as declared.
func TestCourseOfEvents(t *testing.T) {
	checkMany(t, 100, func(t *rapid.T) {
		w := newWorld()
		r := w.addRole(spec.Role{Name: "web", Behavior: "apache", Min: rapid.IntRange(1, 3).Draw(t, "min")})
		r.role.Max = r.role.Min + rapid.IntRange(0, 4).Draw(t, "more")
		r.role.Drain = spec.Duration(rapid.IntRange(0, 8).Draw(t, "drain")) * spec.Duration(time.Second)
		r.boot = time.Duration(rapid.IntRange(2, 12).Draw(t, "boot")) * time.Second
		r.stateful = rapid.IntRange(0, 3).Draw(t, "stateful") == 0
		target := 1.5
		p := spec.Policy{Farm: "shop", Role: "web", Metric: &spec.Metric{Kind: spec.LoadAverage}, Target: &target, Cooldown: spec.Duration(30 * time.Second)}
		p.SetDefaults()
		r.policies = []spec.Policy{p}
		for range rapid.IntRange(5, 60).Draw(t, "ticks") {
			happen(t, w, r)
			w.pass(2 * time.Second)
			w.decide()
			sound(t, w, r)
		}
		// Peace.
		w.unlisted, r.failBoot = false, nil
		for _, m := range w.machines {
			m.mute, m.bad = false, nil
		}
		if engine.GivenUp(r.memory, r.gen) { // so many launches in a row were struck down that it rests for an hour
			w.pass(time.Hour)
		}
		for range 60 * 5 {
			w.pass(3 * time.Second)
			w.decide()
			sound(t, w, r)
		}
		if w.serving("web") != w.last.Accounts["web"].Desired {
			t.Fatalf("after a quarter of an hour of peace %d serve:\n%s%s", w.serving("web"), w.instanceWords(), accountWords(w.last.Accounts["web"]))
		}
		for _, rec := range r.records {
			if rec.Generation != r.gen {
				t.Fatalf("%s is still of generation %s, not %s", rec.Name(), rec.Generation, r.gen)
			}
		}
		if len(w.machines) != w.serving("web") {
			t.Fatalf("%d machines for %d servers", len(w.machines), w.serving("web"))
		}
	})
}

func happen(t *rapid.T, w *world, r *roleWorld) {
	var some *machineWorld
	if n := len(r.records); n > 0 {
		some = w.machineOf(state.InstanceName("web", rapid.IntRange(1, 8).Draw(t, "who")))
	}
	switch rapid.IntRange(0, 24).Draw(t, "what") {
	case 0:
		if some != nil {
			some.Stopped = true
		}
	case 1:
		if some != nil {
			delete(w.machines, some.ID)
		}
	case 2:
		if some != nil {
			some.mute = !some.mute
		}
	case 3:
		if some != nil {
			some.bad = &state.Check{Name: "http", Since: w.now, Failures: 3}
		}
	case 4:
		if some != nil {
			some.bad = nil
		}
	case 5:
		w.unlisted = !w.unlisted
	case 6:
		r.gen += "x"
	case 7:
		r.failBoot = &state.Failure{Step: "boot script", Error: "exit status 3"}
	case 8, 9:
		r.failBoot = nil
	case 10, 11, 12:
		r.load = rapid.Float64Range(0, 15).Draw(t, "load")
	case 13:
		if some != nil && some.endAt.IsZero() {
			some.Ending, some.endAt = true, w.now.Add(4*time.Second)
		}
	case 14:
		r.role.Max = r.role.Min + rapid.IntRange(0, 4).Draw(t, "more")
	case 15:
		w.machines["stray"] = &machineWorld{Machine: engine.Machine{ID: "stray", Role: "web", Name: "web-7", Token: "stray"}, launched: w.now}
	}
}

func sound(t *rapid.T, w *world, r *roleWorld) {
	if len(w.broken) > 0 {
		t.Fatalf("must not be: %v", w.broken)
	}
	alive := 0
	for _, rec := range r.records {
		switch rec.Phase {
		case state.Planned, state.Launching, state.Booting, state.Running:
			alive++
		}
	}
	a := w.last.Accounts["web"]
	// One more may come for a roll-out, and one for each sick one whose turn it is.
	most := max(a.Desired, w.most) + 1
	if r.stateful {
		most = max(a.Desired, w.most)
	}
	w.most = a.Desired
	if alive > most+1 {
		t.Fatalf("%d are there or coming, %d are desired:\n%s", alive, a.Desired, w.instanceWords())
	}
}

// TestConstantLoadSettles: whatever the load, if it stays as it is the role's number changes at most twice, and never
// back again.
func TestConstantLoadSettles(t *testing.T) {
	checkMany(t, 100, func(t *rapid.T) {
		w := newWorld()
		r := w.addRole(spec.Role{Name: "web", Behavior: "apache", Min: rapid.IntRange(1, 3).Draw(t, "min"), Max: 12})
		r.boot = time.Duration(rapid.IntRange(2, 40).Draw(t, "boot")) * time.Second
		target := rapid.Float64Range(0.2, 4).Draw(t, "target")
		r.load = rapid.Float64Range(0, 8*target).Draw(t, "load")
		p := spec.Policy{Farm: "shop", Role: "web", Metric: &spec.Metric{Kind: spec.LoadAverage}, Target: &target,
			Tolerance: rapid.Float64Range(0.001, 0.5).Draw(t, "tolerance"), Cooldown: spec.Duration(30 * time.Second)}
		p.SetDefaults()
		r.policies = []spec.Policy{p}
		noise := rapid.SliceOfN(rapid.Float64Range(0, 0.04), 16, 16).Draw(t, "noise")
		load := r.load
		changes, last, shrank := 0, 0, false
		for i := range 200 {
			r.load = load * (1 + noise[i%len(noise)]*p.TolerateAbove())
			w.pass(3 * time.Second)
			w.decide()
			n := w.last.Accounts["web"].Desired
			if last != 0 && n != last {
				changes++
				shrank = shrank || n < last
			}
			last = n
		}
		if changes > 2 || shrank {
			t.Fatalf("load %v at a target of %v: %d changes, shrank %t, now %d", load, target, changes, shrank, last)
		}
		if need := load / target; float64(last)*(1+p.Tolerance)*1.05 < min(need, 12) {
			t.Fatalf("load %v at a target of %v is left to %d servers", load, target, last)
		}
	})
}
