package ledger_test

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/farmhand/terraform-provider-farmhand/internal/engine"
	"github.com/farmhand/terraform-provider-farmhand/internal/ledger"
	"github.com/farmhand/terraform-provider-farmhand/internal/spec"
	"github.com/farmhand/terraform-provider-farmhand/internal/state"
)

var update = flag.Bool("update", false, "write testdata/*.txt anew")

// load is a policy with its measurement.
func load(target, value float64, measured, of int) engine.Policy {
	p := spec.Policy{Farm: "shop", Role: "web", Name: "load", Metric: &spec.Metric{Kind: spec.LoadAverage}, Target: &target}
	p.SetDefaults()
	return engine.Policy{Spec: p, Measure: engine.Measure{Value: value, Floor: value * 0.97, Peak: value * 1.02, Samples: 4, Age: 1200 * time.Millisecond, Servers: measured, Expected: of}}
}

// stories are what a person asks about, as the engine sees it. The role has two to six servers.
var stories = map[string]struct {
	whyNot string
	edit   func(v *engine.View, r *engine.Role)
}{
	"scale_out": {"scale-in", func(v *engine.View, r *engine.Role) {
		r.Policies = []engine.Policy{load(1.5, 2.4, 3, 3)}
	}},
	"refused_by_max": {"scale-out", func(v *engine.View, r *engine.Role) {
		r.Spec.Max = 3
		r.Policies = []engine.Policy{load(1.5, 4.1, 3, 3)}
		r.Memory.Hold = "max"
	}},
	"refused_by_missing_metric": {"scale-in", func(v *engine.View, r *engine.Role) {
		r.Policies = []engine.Policy{load(1.5, 0.2, 3, 3), load(1.5, 0, 0, 0)}
		r.Policies[1].Spec.Name = "second"
		r.Policies[1].Measure = engine.Measure{Expected: 3, Problem: "none of 3 servers has given samples for the window; the last report is 41s old"}
		r.Memory.LowSince = v.Now.Add(-time.Hour)
	}},
	"hold_near_target": {"scale-out", func(v *engine.View, r *engine.Role) {
		r.Policies = []engine.Policy{load(1.5, 1.48, 3, 3)}
	}},
	"threshold": {"scale-out", func(v *engine.View, r *engine.Role) {
		upper := 2.0
		p := spec.Policy{Farm: "shop", Role: "web", Name: "trigger", Metric: &spec.Metric{Kind: spec.LoadAverage}, Threshold: &spec.Threshold{Upper: &upper, UpperIncrement: 2, BreachDuration: spec.Duration(5 * time.Minute)}}
		p.SetDefaults()
		r.Policies = []engine.Policy{{Spec: p, Measure: load(1, 2.3, 3, 3).Measure}}
		r.Memory.Spells = []state.Spell{{Policy: "trigger", Of: state.Out, Since: v.Now.Add(-2 * time.Minute), Seen: v.Now.Add(-2 * time.Second)}}
	}},
	"turned_too_often": {"scale-in", func(v *engine.View, r *engine.Role) {
		r.Policies = []engine.Policy{load(1.5, 0.3, 3, 3)}
		r.Memory.LowSince = v.Now.Add(-time.Hour)
		r.Memory.Direction = state.Out
		r.Memory.Reversals = []time.Time{v.Now.Add(-50 * time.Minute), v.Now.Add(-40 * time.Minute)}
	}},
	"scale_in": {"scale-out", func(v *engine.View, r *engine.Role) {
		r.Policies = []engine.Policy{load(1.5, 0.3, 3, 3)}
		r.Memory.LowSince = v.Now.Add(-time.Hour)
	}},
	"hold_rests": {"scale-in", func(v *engine.View, r *engine.Role) {
		r.Policies = []engine.Policy{load(1.5, 0.3, 3, 3)}
		r.Memory.LastScaleIn = v.Now.Add(-90 * time.Second)
		r.Memory.LowSince = v.Now.Add(-5 * time.Minute)
	}},
	"shutdown_hook": {"scale-in", func(v *engine.View, r *engine.Role) {
		r.Policies = []engine.Policy{load(1.5, 0.3, 3, 3)}
		r.Memory.LowSince = v.Now.Add(-time.Hour)
		for i := range r.Instances {
			rep := r.Instances[i].Report
			rep.Wait = &state.Wait{Reason: fmt.Sprintf("busy with job %d", 17+i), Since: rep.At.Add(-3 * time.Minute)}
		}
	}},
	"healing": {"launch", func(v *engine.View, r *engine.Role) {
		r.Policies = []engine.Policy{load(1.5, 1.2, 3, 3)}
		r.Instances[1].Report.Checks = []state.Check{{Name: "http", Failures: 3, Since: v.Now.Add(-6 * time.Second), Message: "GET /healthz: 503"}}
	}},
	"healing_doubted": {"replace", func(v *engine.View, r *engine.Role) {
		for i := range r.Instances {
			r.Instances[i].Report.Checks = []state.Check{{Name: "http", Failures: 3, Since: v.Now.Add(-6 * time.Second), Message: "GET /healthz: 503"}}
		}
		r.Memory.Replaced = []time.Time{v.Now.Add(-20 * time.Second)}
	}},
	"nobody_sick": {"replace", func(v *engine.View, r *engine.Role) {}},
	"back_off": {"launch", func(v *engine.View, r *engine.Role) {
		r.Instances = r.Instances[:2]
		m := &r.Memory
		m.LaunchFailures, m.FailedGeneration, m.FailedInstance = 2, "g1", "web-3"
		m.FailedAt, m.RetryAt = v.Now.Add(-4*time.Second), v.Now.Add(6*time.Second)
		m.LastFailure = &state.Failure{Step: "boot script", Error: "exit status 3", Log: []string{"cannot find the licence"}}
	}},
	"by_hand": {"scale-out", func(v *engine.View, r *engine.Role) {
		r.Policies = []engine.Policy{load(1.5, 4.1, 3, 3)}
		r.Manual = &state.Manual{N: 3, Until: v.Now.Add(40 * time.Minute), At: v.Now.Add(-20 * time.Minute), By: "ada@desk", Because: "the database moves"}
		r.Memory.Manual = r.Manual
	}},
	"platform_silent": {"launch", func(v *engine.View, r *engine.Role) {
		v.MachinesListed = false
		r.Instances = r.Instances[:2]
		for i := range r.Instances {
			r.Instances[i].PlatformID, r.Instances[i].Machine = "m1", nil
		}
	}},
	"deleting": {"scale-out", func(v *engine.View, r *engine.Role) { r.Deleting = true }},
}

// TestWords: what a tired person reads, in testdata/*.txt; go test -update takes a change over, and the diff is read.
// Whatever is said would have led to the action does.
func TestWords(t *testing.T) {
	for name, story := range stories {
		t.Run(name, func(t *testing.T) {
			v := view(3)
			v.Roles[0].Spec.Min, v.Roles[0].Spec.Max = 2, 6
			story.edit(&v, &v.Roles[0])
			var book ledger.Book
			pages := book.Tick(v, engine.Decide(v))
			b, err := ledger.Encode(pages[0].Record)
			if err != nil {
				t.Fatal(err)
			}
			r, err := ledger.Decode(b)
			if err != nil {
				t.Fatal(err)
			}
			replay := r.Replay(engine.Decide)
			if !replay.Same {
				t.Error(replay.Why)
			}
			reader := ledger.Reader{Now: v.Now.Add(12 * time.Second)}
			why, err := r.Ask(story.whyNot, reader, engine.Decide)
			if err != nil {
				t.Fatal(err)
			}
			golden(t, name, r.Words(reader)+"\n"+why.Words(reader)+"\n"+replay.Words()+"\n")
		})
	}
}

// TestWordsOfAStretch: a record that held for a while, and has one behind it.
func TestWordsOfAStretch(t *testing.T) {
	v := view(3)
	v.Roles[0].Spec.Min, v.Roles[0].Spec.Max = 2, 6
	var book ledger.Book
	var record ledger.Record
	for i := range 90 {
		v.Roles[0].Policies = []engine.Policy{load(1.5, 1.4+0.001*float64(i), 3, 3)}
		out := engine.Decide(v)
		for _, p := range book.Tick(v, out) {
			record = p.Record
			book.Wrote(p, 1, 400)
		}
		v.Roles[0].Memory = out.Memory["web"]
		v.Now = v.Now.Add(2 * time.Second)
		for k := range v.Roles[0].Instances {
			report := *v.Roles[0].Instances[k].Report
			report.At = v.Now
			v.Roles[0].Instances[k].Report = &report
		}
	}
	if record.Ticks < 60 || len(record.Trail) != record.Ticks/30 {
		t.Errorf("%d ticks, %d marks", record.Ticks, len(record.Trail))
	}
	golden(t, "stretch", record.Words(ledger.Reader{Now: v.Now, Next: v.Now.Add(-time.Second), Zone: time.FixedZone("CET", 3600)})+
		"\n"+record.Words(ledger.Reader{Now: v.Now}))
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name+".txt")
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	if string(want) != got {
		t.Errorf("%s differs; it is now\n%s\nwas\n%s", path, got, want)
	}
	if strings.Contains(got, "%!") {
		t.Errorf("a broken format in\n%s", got)
	}
}

func TestWhatCannotBeAsked(t *testing.T) {
	v := view(3)
	var book ledger.Book
	r := book.Tick(v, engine.Decide(v))[0].Record
	if _, err := r.Ask("dance", ledger.Reader{}, engine.Decide); err == nil || !strings.Contains(err.Error(), "scale-out") {
		t.Errorf("%v", err)
	}
	r.View.Roles, r.LeftOut = nil, "it is gone"
	if _, err := r.Ask(ledger.ScaleOut, ledger.Reader{}, engine.Decide); err == nil || !strings.Contains(err.Error(), "it is gone") {
		t.Errorf("%v", err)
	}
}
