package engine_test

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"

	"github.com/farmhand/terraform-provider-farmhand/internal/engine"
	"github.com/farmhand/terraform-provider-farmhand/internal/spec"
	"github.com/farmhand/terraform-provider-farmhand/internal/state"
)

// TestStories runs testdata/*.txt: what happens to a small farm, and what the engine does about it, in its own words.
// A change of words or behaviour is taken over with -rewrite, and read in the diff.
//
//	role web min=2 max=6 [boot=5s drain=10s launch_timeout=5m stateful scale_in=oldest generation=g2 fail-boot[=g2]]
//	policy web load target=1.5 metric=load|cpu [cooldown=60s]
//	policy web load metric=load steps=(3..5:+1, 5..:+2)
//	policy web day cron="0 8 * * *" zone=Europe/Paris duration=10h [min=4 max=6]
//	policy web trigger metric=load threshold=(0.5,2,1m,-1,+1)
//	policy web jobs queue=(100[,45m])                  the whole role's backlog, see backlog
//	policy web ahead metric=load forecast=(1.5,Europe/Paris)
//	learnt web ahead 8 18 6 1                          it knows a load of 6 from 8 to 18 o'clock, of 1 else
//	policy web night days=(fri,sat) between=(22:00,06:00) zone=Europe/Paris exact=2
//	... out=(30s[,2,1m]) in=(5m[,2,1m])                window and rate of the policy's directions
//	no-policy web load          forget it
//	backlog web 500|unknown     what waits for the role
//	protect web-2               it is not to leave
//	wait web-2 busy_with_job_17    its shutdown hook says wait; free web-2
//	load web 6                  the role's load, divided over who serves; cpu alike
//	tick 2s                     time passes, then one decision
//	run 60s                     the same every two seconds
//	kill|vanish|remove web-2    its machine stops, is gone, is being removed by somebody else
//	mute|speak web-2            its agent falls silent, or is heard again
//	sick web-2 http             a check fails; well web-2
//	platform silent|answers     it can or cannot be asked
//	machine m9 web age=1m       one that nobody knows
//	by-hand web 4 for=10m       a number set by hand by ada; by-hand web alone takes it back
//	delete web                  the role, or the farm if none is named
//	dies-young web 4s           each of its machines stops so long after its launch
//	notice web-1 retirement in=10m   its platform announces its end; target web-1 unhealthy|healthy|initial|draining|gone
//	reboot web-1                it is silent, and has said why; speak web-1
//	account web, instances      what it makes of it
//
// and of a database (role mysql replicated ...), see database_world_test.go:
//
//	watch 20s                   time passes with a look at every change of note, as the controller looks
//	hang|resume mysql-1         its machine is suspended, as by docker pause, or goes on
//	cut|join mysql-1            it is cut off from the network, or back on it
//	slow|quick mysql-2          it applies less than is written, or all of it at once
//	errant mysql-2              somebody writes to it though he must not
//	wipe mysql-1, full mysql-1  its volume's data is lost, its disk is nearly full
//	wish mysql [to=mysql-2] [force]  a person's farmhand failover
//	crash, half-crash           the sidecar dies after it has decided, before or after it has written the database's record
//	database mysql              what is decided and what holds
func TestStories(t *testing.T) {
	datadriven.Walk(t, "testdata", func(t *testing.T, path string) {
		w := newWorld()
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			out := w.tell(t, d)
			for _, b := range w.broken {
				out += "MUST NOT BE: " + b + "\n"
			}
			w.broken = nil
			return out
		})
	})
}

func (w *world) tell(t *testing.T, d *datadriven.TestData) string {
	word := func(i int) string {
		if i >= len(d.CmdArgs) {
			d.Fatalf(t, "%s wants a word more", d.Cmd)
		}
		return d.CmdArgs[i].Key
	}
	switch d.Cmd {
	case "role":
		return w.tellRole(t, d)
	case "policy":
		return w.tellPolicy(t, d)
	case "no-policy":
		r := w.roles[word(0)]
		r.policies = slices.DeleteFunc(r.policies, func(p spec.Policy) bool { return p.Name == word(1) })
	case "load", "cpu":
		v, err := strconv.ParseFloat(word(1), 64)
		if err != nil {
			d.Fatalf(t, "%v", err)
		}
		if d.Cmd == "cpu" {
			w.roles[word(0)].cpu = v
		} else {
			w.roles[word(0)].load = v
		}
	case "tick":
		w.pass(length(t, word(0)))
		return w.words(w.decide())
	case "run":
		var b strings.Builder
		for end := w.now.Add(length(t, word(0))); w.now.Before(end); {
			w.pass(2 * time.Second)
			b.WriteString(w.words(w.decide()))
		}
		return b.String()
	case "kill", "vanish", "remove", "mute", "speak", "well", "sick":
		for _, arg := range d.CmdArgs {
			m := w.machineOf(arg.Key)
			if m == nil {
				return fmt.Sprintf("%s has no machine\n", arg.Key)
			}
			w.strike(d, m)
		}
	case "learnt": // role, policy, from and to which hour, load then and else
		w.roles[word(0)].learn(word(1), whole(t, word(2)), whole(t, word(3)), real(t, word(4)), real(t, word(5)))
	case "backlog":
		r := w.roles[word(0)]
		if r.noQueue = ""; word(1) == "unknown" {
			r.noQueue = "the queue does not answer"
		} else {
			r.backlog = real(t, word(1))
		}
	case "protect":
		for _, r := range w.roles {
			if r.protected == nil {
				r.protected = map[string]bool{}
			}
			r.protected[word(0)] = true
		}
	case "wait", "free":
		m := w.machineOf(word(0))
		if m == nil {
			return fmt.Sprintf("%s has no machine\n", word(0))
		}
		if m.wait = nil; d.Cmd == "wait" {
			m.wait = &state.Wait{Reason: strings.ReplaceAll(word(1), "_", " "), Since: w.now}
		}
	case "dies-young":
		w.roles[word(0)].diesAfter = length(t, word(1))
	case "platform":
		w.unlisted = word(0) == "silent"
	case "sidecar-back":
		w.hearing = w.now
	case "machine":
		age := time.Minute
		for _, a := range d.CmdArgs {
			if a.Key == "age" {
				age = length(t, a.Vals[0])
			}
		}
		w.machines[word(0)] = &machineWorld{Machine: engine.Machine{ID: word(0), Role: word(1), Name: word(1) + "-9", Token: "unknown-" + word(0)}, launched: w.now.Add(-age)}
	case "by-hand":
		r := w.roles[word(0)]
		if r.manual = nil; len(d.CmdArgs) > 1 {
			r.manual = &state.Manual{N: whole(t, word(1)), At: w.now, Until: w.now.Add(length(t, d.CmdArgs[2].Vals[0])), By: "ada@desk", Because: "a rehearsal"}
		}
	case "delete":
		if len(d.CmdArgs) == 0 {
			w.deleting = true
		} else {
			w.roles[word(0)].deleting = true
		}
	case "at":
		at, err := time.Parse(time.RFC3339, word(0))
		if err != nil {
			d.Fatalf(t, "%v", err)
		}
		w.pass(at.Sub(w.now))
	case "primary":
		for _, r := range w.roles {
			for _, rec := range r.records {
				rec.Primary = rec.Primary || rec.Name() == word(0)
			}
		}
	case "notice", "target", "reboot":
		return w.tellMachine(t, d)
	case "account":
		return accountWords(w.last.Accounts[word(0)])
	case "instances":
		return w.instanceWords()
	case "hang", "resume", "cut", "join", "slow", "quick", "errant", "wipe", "full", "wish", "database", "watch", "crash", "half-crash":
		return w.tellDatabase(t, d)
	default:
		d.Fatalf(t, "no such command: %s", d.Cmd)
	}
	return ""
}

func (w *world) strike(d *datadriven.TestData, m *machineWorld) {
	switch d.Cmd {
	case "kill":
		m.Stopped, m.Exit = true, "exit status 137, killed"
	case "vanish":
		delete(w.machines, m.ID)
	case "remove":
		m.Ending, m.endAt = true, w.now.Add(5*time.Second)
	case "mute":
		m.mute = true
	case "speak":
		m.mute, m.report.Rebooting = false, time.Time{}
	case "sick":
		m.bad = &state.Check{Name: "http", Failures: 3, Since: w.now, Message: "GET /healthz: 503"}
	case "well":
		m.bad = nil
	}
}

func (w *world) tellRole(t *testing.T, d *datadriven.TestData) string {
	name := d.CmdArgs[0].Key
	r := w.roles[name]
	if r == nil {
		r = w.addRole(spec.Role{Name: name, Behavior: "apache"})
	}
	for _, a := range d.CmdArgs[1:] {
		val := strings.Join(a.Vals, ",")
		switch a.Key {
		case "min":
			r.role.Min = whole(t, val)
		case "max":
			r.role.Max = whole(t, val)
		case "boot":
			r.boot = length(t, val)
		case "drain":
			r.role.Drain = spec.Duration(length(t, val))
		case "launch_timeout":
			r.role.LaunchTimeout = spec.Duration(length(t, val))
		case "hook_timeout":
			r.role.ShutdownHookTimeout = spec.Duration(length(t, val))
		case "scale_in":
			r.role.ScaleIn = val
		case "zones":
			r.zones = a.Vals
		case "reversals":
			r.role.ReversalsPerHour = whole(t, val)
		case "stateful":
			r.stateful = true
		case "replicated":
			r.stateful = true
			r.replicate()
		case "failover", "max_lag_seconds", "flap_minutes":
			if r.role.Settings == nil {
				r.role.Settings = map[string]string{}
			}
			r.role.Settings[a.Key] = val
		case "in-place":
			r.inPlace = true
		case "generation":
			r.gen = val
		case "fail-boot":
			r.failBoot = &state.Failure{Step: "boot script", Error: "exit status 3", Log: []string{"installing", "cannot find the licence"}}
			r.failGen = val
		case "boots":
			r.failBoot = nil
		default:
			t.Fatalf("%s: role has no %q", d.Pos, a.Key)
		}
	}
	return ""
}

func (w *world) tellPolicy(t *testing.T, d *datadriven.TestData) string {
	r := w.roles[d.CmdArgs[0].Key]
	p := spec.Policy{Farm: w.farm.Name, Role: r.role.Name, Name: d.CmdArgs[1].Key}
	for _, a := range d.CmdArgs[2:] {
		val := strings.Join(a.Vals, ",")
		switch a.Key {
		case "metric":
			p.Metric = &spec.Metric{Kind: map[string]string{"load": spec.LoadAverage, "cpu": spec.CPU}[val]}
		case "target":
			v := real(t, val)
			p.Target = &v
		case "steps":
			for _, s := range a.Vals {
				p.Steps = append(p.Steps, stepOf(t, s))
			}
		case "cooldown":
			p.Cooldown = spec.Duration(length(t, val))
		case "cron":
			p.Schedule = schedule(p.Schedule)
			p.Schedule.Cron = strings.ReplaceAll(val, "_", " ")
		case "zone":
			p.Schedule = schedule(p.Schedule)
			p.Schedule.Zone = val
		case "duration":
			p.Schedule = schedule(p.Schedule)
			p.Schedule.Duration = spec.Duration(length(t, val))
		case "min", "max", "exact":
			p.Schedule = schedule(p.Schedule)
			n := whole(t, val)
			*map[string]**int{"min": &p.Schedule.Min, "max": &p.Schedule.Max, "exact": &p.Schedule.Exact}[a.Key] = &n
		case "days":
			p.Schedule = schedule(p.Schedule)
			p.Schedule.Days = a.Vals
		case "between":
			p.Schedule = schedule(p.Schedule)
			p.Schedule.From, p.Schedule.To = a.Vals[0], a.Vals[1]
		case "threshold": // lower, upper, breach duration, lower and upper increment
			lower, upper := real(t, a.Vals[0]), real(t, a.Vals[1])
			p.Threshold = &spec.Threshold{Lower: &lower, Upper: &upper, BreachDuration: spec.Duration(length(t, a.Vals[2])),
				LowerIncrement: whole(t, a.Vals[3]), UpperIncrement: whole(t, strings.TrimPrefix(a.Vals[4], "+"))}
		case "forecast":
			p.Forecast = &spec.Forecast{Target: real(t, a.Vals[0]), Zone: a.Vals[1]}
		case "queue":
			p.Metric = &spec.Metric{Kind: spec.HTTPValue, HTTP: &spec.HTTPMetric{URL: "http://jobs/"}}
			p.Queue = &spec.Queue{Backlog: real(t, a.Vals[0])}
			if len(a.Vals) > 1 {
				p.Queue.MinimumLifetime = spec.Duration(length(t, a.Vals[1]))
			}
		case "out", "in": // window, and optionally at most, per
			window := spec.Duration(length(t, a.Vals[0]))
			pace := &spec.Pace{StabilizationWindow: &window}
			if len(a.Vals) > 1 {
				pace.AtMost, pace.Per = whole(t, a.Vals[1]), spec.Duration(length(t, a.Vals[2]))
			}
			*map[string]**spec.Pace{"out": &p.ScaleOut, "in": &p.ScaleIn}[a.Key] = pace
		default:
			t.Fatalf("%s: policy has no %q", d.Pos, a.Key)
		}
	}
	p.SetDefaults()
	r.policies = slices.DeleteFunc(r.policies, func(q spec.Policy) bool { return q.Name == p.Name })
	r.policies = append(r.policies, p)
	return ""
}

func schedule(s *spec.Schedule) *spec.Schedule {
	if s == nil {
		s = &spec.Schedule{Zone: "UTC"}
	}
	return s
}

// stepOf reads "3..5:+1".
func stepOf(t *testing.T, s string) spec.Step {
	t.Helper()
	bounds, add, ok := strings.Cut(s, ":")
	from, to, ok2 := strings.Cut(bounds, "..")
	if !ok || !ok2 {
		t.Fatalf("%q is no step", s)
	}
	step := spec.Step{Add: whole(t, strings.TrimPrefix(add, "+"))}
	for text, field := range map[string]**float64{"f" + from: &step.From, "t" + to: &step.To} {
		if text[1:] == "" {
			continue
		}
		v, err := strconv.ParseFloat(text[1:], 64)
		if err != nil {
			t.Fatal(err)
		}
		*field = &v
	}
	return step
}

func real(t *testing.T, s string) float64 {
	t.Helper()
	v, err := strconv.ParseFloat(s, 64)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func whole(t *testing.T, s string) int {
	t.Helper()
	n, err := strconv.Atoi(s)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func length(t *testing.T, s string) time.Duration {
	t.Helper()
	d, err := time.ParseDuration(s)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// words are a tick's decisions, one line each. A repeated step has no event, and its line is in brackets.
func (w *world) words(o engine.Outcome) string {
	var b strings.Builder
	for _, d := range o.Decisions {
		action := string(d.Action)
		if d.Action == engine.Move {
			action += " to " + string(d.Phase)
		}
		if d.Action == engine.Note {
			action = d.Kind
		}
		who := d.Instance
		if d.Machine != "" {
			who = strings.TrimSpace(who + " (" + d.Machine + ")")
		}
		line := fmt.Sprintf("%s %s", action, orRole(who, d.Role))
		if d.Level != "info" && d.Level != "" {
			line += " [" + d.Level + "]"
		}
		if d.Kind == "" {
			line = "(" + line + ")"
		}
		fmt.Fprintf(&b, "%6s  %s: %s\n", w.now.Sub(w.start), line, d.Reason)
	}
	return b.String()
}

func orRole(who, role string) string {
	if who == "" {
		return role
	}
	return who
}

func accountWords(a engine.Account) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d serving, %d coming, envelope %d to %d, desired %d: %s\n", a.Serving, a.Coming, a.Min, a.Max, a.Desired, a.Reason)
	for _, v := range a.Votes {
		what := fmt.Sprintf("wants %d", v.Want)
		if v.Abstain {
			what = "no vote"
		}
		if v.Blocks {
			what += ", blocks scaling in"
		}
		fmt.Fprintf(&b, "  %s %s: %s: %s\n", v.Kind, v.Policy, what, v.Reason)
	}
	for _, c := range a.Clamps {
		fmt.Fprintf(&b, "  %s\n", c)
	}
	return b.String()
}

func (w *world) instanceWords() string {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(w.roles)) {
		r := w.roles[name]
		for _, i := range slices.Sorted(maps.Keys(r.records)) {
			rec := r.records[i]
			fmt.Fprintf(&b, "%s %s %s\n", rec.Name(), rec.Phase, rec.Generation)
		}
	}
	if b.Len() == 0 {
		return "none\n"
	}
	return b.String()
}
