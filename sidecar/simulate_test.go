package sidecar

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/farmhand/terraform-provider-farmhand/internal/simulate"
	"github.com/farmhand/terraform-provider-farmhand/internal/spec"
	"github.com/farmhand/terraform-provider-farmhand/internal/state"
)

func TestSimulateCompares(t *testing.T) {
	dir := t.TempDir()
	svg, png := filepath.Join(dir, "a.svg"), filepath.Join(dir, "a.png")
	code, out, errs := farmhand(t, "simulate", "--shape", "daily", "--days", "1", "--max", "30", "--target", "1.4", "--compare", "--svg", svg, "--png", png)
	if code != ExitOK || errs != "" {
		t.Fatalf("%d: %s", code, errs)
	}
	for _, want := range []string{"servers in service", "daily, target 1-minute load average 1.4", "PILOT", "farmhand", "aws-target", "aws-step", "kubernetes-hpa", "nomad-target", "scalr-2012", "foresight"} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
	if strings.Contains(out, "\x1b[") || strings.Contains(out, "simulating") {
		t.Error("colours or a progress bar, and no terminal")
	}
	for _, path := range []string{svg, png} {
		if info, err := os.Stat(path); err != nil || info.Size() < 2000 {
			t.Errorf("%s: %v", path, err)
		}
	}
}

func TestSimulateJSONAndAllShapes(t *testing.T) {
	_, out, _ := farmhand(t, "simulate", "--shape", "step", "--days", "1", "--target", "1.4", "--json")
	var one simulate.Report
	if err := json.Unmarshal([]byte(out), &one); err != nil || len(one.Results) != 1 || one.Results[0].InstanceHours == 0 {
		t.Errorf("%v: %.200s", err, out)
	}
	code, out, errs := farmhand(t, "simulate", "--all-shapes", "--days", "0.25", "--target", "1.4", "--json")
	var all []simulate.Report
	if err := json.Unmarshal([]byte(out), &all); code != ExitOK || err != nil || len(all) != 8 {
		t.Errorf("%d %s: %v, %d traces", code, errs, err, len(all))
	}
	_, out, _ = farmhand(t, "simulate", "--all-shapes", "--days", "0.25", "--target", "1.4", "--markdown")
	if strings.Count(out, "### ") != 8 || strings.Count(out, "| **farmhand** |") != 8 {
		t.Errorf("%.400s", out)
	}
}

// The role as it runs, and what another target would make of it.
func TestSimulateRoleOfTheStore(t *testing.T) {
	dir, s := declare(t, 2, 12)
	target := 1.4
	p := spec.Policy{Farm: "shop", Role: "web", Metric: &spec.Metric{Kind: spec.LoadAverage}, Target: &target}
	p.SetDefaults()
	put(t, s, state.PolicyKey("shop", "web", p.Name), p)
	run := func(more ...string) simulate.Report {
		t.Helper()
		code, out, errs := farmhand(t, append([]string{"simulate", "--state-dir", dir, "--farm", "shop", "--role", "web", "--shape", "daily", "--days", "1", "--json"}, more...)...)
		var r simulate.Report
		if err := json.Unmarshal([]byte(out), &r); code != ExitOK || err != nil {
			t.Fatalf("%d: %s %v", code, errs, err)
		}
		return r
	}
	as := run()
	if as.Target != "1-minute load average 1.4" || as.Results[0].Peak < 5 || as.Results[0].Peak > 12 {
		t.Errorf("%s, peak %d", as.Target, as.Results[0].Peak)
	}
	if what := run("--target", "0.8", "--max", "40"); what.Target != "1-minute load average 0.8" || what.Results[0].InstanceHours <= as.Results[0].InstanceHours {
		t.Errorf("%s, %v instance-hours after %v", what.Target, what.Results[0].InstanceHours, as.Results[0].InstanceHours)
	}
	code, _, errs := farmhand(t, "simulate", "--state-dir", dir, "--farm", "shop", "--role", "db", "--shape", "daily")
	if code != ExitAbsent || !strings.Contains(errs, `farm shop has no role "db"`) {
		t.Errorf("%d: %s", code, errs)
	}
}

func TestSimulateBadInput(t *testing.T) {
	csv := filepath.Join(t.TempDir(), "gap.csv")
	if err := os.WriteFile(csv, []byte("time,demand\n1772442000,1\n1772442060,1\n1772442600,2\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{}, ExitUsage, "there is no trace"},
		{[]string{"--shape", "zigzag", "--target", "1"}, ExitUsage, `no shape "zigzag": write one of flat, daily`},
		{[]string{"--shape", "daily"}, ExitUsage, "give a --target"},
		{[]string{"--shape", "daily", "--cooldown", "1m", "--spec", "x"}, ExitFailure, "no such file"},
		{[]string{"--shape", "daily", "--target", "1", "--min", "5", "--max", "2"}, ExitFailure, "min 5 is greater than max 2"},
		{[]string{"--shape", "daily", "--target", "1", "--tick", "3s"}, ExitFailure, "multiple of 2s"},
		{[]string{"--shape", "daily", "--target", "1", "--metric", "memory"}, ExitFailure, "memory"},
		{[]string{"--shape", "daily", "--farm", "shop"}, ExitUsage, "needs a --role"},
		{[]string{csv, "--shape", "daily", "--target", "1"}, ExitUsage, "both given"},
		{[]string{csv, "--target", "1"}, ExitFailure, "line 4"},
		{[]string{csv, "--target", "1", "--gaps", "guess"}, ExitUsage, `"guess"`},
		{[]string{"--all-shapes", "--target", "1", "--svg", "x.svg"}, ExitUsage, "picture is of one trace"},
	} {
		code, out, errs := farmhand(t, append([]string{"simulate"}, c.args...)...)
		if code != c.code || !strings.Contains(errs, c.want) || out != "" {
			t.Errorf("%v: %d %s%s; want %d %q", c.args, code, out, errs, c.code, c.want)
		}
	}
	if code, _, errs := farmhand(t, "simulate", csv, "--target", "1", "--gaps", "hold", "--no-chart"); code != ExitOK {
		t.Errorf("a gap that is held: %s", errs)
	}
}
