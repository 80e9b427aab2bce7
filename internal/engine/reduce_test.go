package engine_test

import (
	"encoding/json"
	"fmt"
	"math"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/farmhand/terraform-provider-farmhand/internal/engine"
	"github.com/farmhand/terraform-provider-farmhand/internal/spec"
	"github.com/farmhand/terraform-provider-farmhand/internal/state"
)

// TestReducedViewDecidesTheSame: what the ledger keeps of a view, written down and read again, gives for its role the
// same decisions and the same account as the whole did.
func TestReducedViewDecidesTheSame(t *testing.T) {
	checkMany(t, 10, func(t *rapid.T) {
		v := anyView(t)
		v.Listening = ago(t, "listening", 30*time.Second)
		v.Farm = spec.Farm{Name: "shop", Zone: "shop.internal", Docker: &spec.Docker{Subnet: "10.0.0.0/24"}}
		for _, name := range []string{"db", "cache"}[:rapid.IntRange(0, 2).Draw(t, "other roles")] {
			other := anyRole(t)
			other.Spec.Name = name
			for i := range other.Instances {
				other.Instances[i].Role = name
				other.Instances[i].Token += name
				if !v.MachinesListed {
					other.Instances[i].Machine = nil
				}
			}
			v.Roles = append(v.Roles, other)
		}
		for i := range v.Roles {
			embellish(t, &v.Roles[i])
		}
		for i := range rapid.IntRange(0, 3).Draw(t, "strays") {
			v.Strays = append(v.Strays, engine.Machine{ID: fmt.Sprintf("s%d", i), Name: "web-9", Token: "unknown",
				Role: rapid.SampledFrom([]string{"web", "db", "former"}).Draw(t, "stray of"), Age: time.Duration(rapid.IntRange(0, 60).Draw(t, "age")) * time.Second})
		}
		whole := engine.Decide(v)
		for _, role := range v.Roles {
			name := role.Spec.Name
			b, err := json.Marshal(engine.Reduce(v, name))
			if err != nil {
				t.Fatalf("a reduced view cannot be written: %v", err)
			}
			var reduced engine.View
			if err := json.Unmarshal(b, &reduced); err != nil {
				t.Fatal(err)
			}
			again := engine.Decide(reduced)
			if want, got := of(t, whole, name), of(t, again, name); want != got {
				t.Fatalf("role %s: decided\n%s\nand on what is kept of the view\n%s\nwhich is\n%s", name, want, got, b)
			}
		}
	})
}

// embellish fills in what a reduced view leaves out.
func embellish(t *rapid.T, r *engine.Role) {
	r.Spec.Environment = map[string]string{"PASSWORD": "secret"}
	r.Spec.BootScript, r.Spec.Image, r.Spec.Application = "echo secret", "debian", "shop"
	r.Spec.Settings, r.Spec.Uses, r.Spec.Secrets = map[string]string{"memory_mb": "64"}, []string{"shop/db"}, []string{"KEY"}
	r.Spec.HealthCheck.HTTP, r.Spec.HealthCheck.TCP = &spec.HTTPCheck{Path: "/healthz"}, &spec.TCPCheck{Port: 80}
	r.Spec.ScaleIn = rapid.SampledFrom([]string{spec.ScaleInNewest, spec.ScaleInOldest, spec.ScaleInLeastBusy, spec.ScaleInClosestToHour}).Draw(t, "scale in by")
	r.Spec.ShutdownHook, r.Spec.ShutdownHookTimeout = "echo secret", spec.Duration(rapid.IntRange(0, 20).Draw(t, "hook timeout"))*spec.Duration(time.Second)
	r.Spec.Volume = &spec.Volume{Path: "/data", MaxSizeGB: rapid.SampledFrom([]int{0, 60}).Draw(t, "max size")}
	r.InPlace = rapid.IntRange(0, 5).Draw(t, "in place") == 0
	r.Memory.Hold = rapid.SampledFrom([]string{"", "max", "doubt:http", "doubt:silence; max"}).Draw(t, "hold")
	if rapid.IntRange(0, 5).Draw(t, "by hand") == 0 {
		r.Manual = &state.Manual{N: rapid.IntRange(0, 14).Draw(t, "n"), At: ago(t, "set", time.Hour), Until: start.Add(time.Duration(rapid.IntRange(-60, 60).Draw(t, "until")) * time.Minute), Because: "a sale", By: "ada"}
	}
	if rapid.IntRange(0, 5).Draw(t, "was by hand") == 0 {
		r.Memory.Manual = &state.Manual{N: 3, At: ago(t, "was set", time.Hour), Until: start.Add(time.Duration(rapid.IntRange(-60, 60).Draw(t, "was until")) * time.Minute)}
	}
	for range rapid.IntRange(0, 3).Draw(t, "replaced") {
		r.Memory.Replaced = append(r.Memory.Replaced, ago(t, "replaced at", 10*time.Minute))
	}
	for range rapid.SampledFrom([]int{0, 0, 0, 12}).Draw(t, "died young") {
		r.Memory.DiedYoung = append(r.Memory.DiedYoung, ago(t, "died young at", 12*time.Minute))
	}
	for i := range r.Policies {
		if m := &r.Policies[i].Measure; m.Servers > 0 && rapid.IntRange(0, 9).Draw(t, "no number") == 0 {
			m.Floor = rapid.SampledFrom([]float64{math.NaN(), math.Inf(1), math.Inf(-1)}).Draw(t, "floor is")
		}
	}
	for i := range r.Instances {
		in := &r.Instances[i]
		in.Address, in.Volume, in.Reason = "10.0.0.10", "vol-1", rapid.SampledFrom([]string{"", "min is 2"}).Draw(t, "reason")
		in.Zone = rapid.SampledFrom([]string{"", "a", "b"}).Draw(t, "zone")
		in.Protected = rapid.IntRange(0, 4).Draw(t, "protected") == 0
		if in.Phase == state.Failed && rapid.Bool().Draw(t, "with a failure") {
			in.Failure = &state.Failure{Step: "boot script", Error: "exit status 3", Log: []string{"no licence"}}
		}
		if rep := in.Report; rep != nil {
			rep.Instance, rep.Version, rep.Applied, rep.ApplyError = in.Name(), "1.2.3", 42, "no"
			rep.Boot.Log = []string{"installing", "configuring"}
			rep.Checks = append(rep.Checks, state.Check{Name: "behavior", OK: true, Since: start})
			if rapid.IntRange(0, 3).Draw(t, "waits") == 0 {
				rep.Wait = &state.Wait{Reason: "busy", Since: ago(t, "waiting since", 30*time.Second)}
			}
			rep.VolumeUsed = rapid.SampledFrom([]float64{0, 0.5, 0.9}).Draw(t, "volume used")
			rep.Unmeasured = map[string]string{"file": "it is not there"}
			for range rapid.IntRange(0, 2).Draw(t, "samples") {
				rep.Samples = append(rep.Samples, state.Sample{At: start, Load1: rapid.Float64Range(0, 5).Draw(t, "load"), CPU: rapid.Float64Range(0, 1).Draw(t, "cpu")})
			}
		}
		if in.Machine != nil {
			in.Machine.Age, in.Machine.Exit = time.Minute, "exit status 1"
		}
	}
}

// of is what an outcome says of a role, in writing.
func of(t *rapid.T, o engine.Outcome, role string) string {
	var decisions []engine.Decision
	for _, d := range o.Decisions {
		if d.Role == role {
			decisions = append(decisions, d)
		}
	}
	b, err := json.MarshalIndent(map[string]any{"account": o.Accounts[role], "decisions": decisions, "memory": o.Memory[role]}, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
