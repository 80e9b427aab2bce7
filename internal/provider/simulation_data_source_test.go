package provider

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/knownvalue"
	"github.com/hashicorp/terraform-plugin-testing/statecheck"
	"github.com/hashicorp/terraform-plugin-testing/tfjsonpath"
)

func TestSimulationDataSource(t *testing.T) {
	w := newWorld(t)
	trace := filepath.Join(t.TempDir(), "trace.csv")
	if err := os.WriteFile(trace, []byte("time,demand\n1772442000,100\n1772445600,100\n1772449200,100\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	const week = "data.farmhand_simulation.week"
	at := func(name string) tfjsonpath.Path { return tfjsonpath.New(name) }
	w.run(
		resource.TestStep{ // three hours of 100 requests a second, 50 for each server at its target: nothing is to be done
			Config: `
data "farmhand_simulation" "week" {
  role     = { min = 1, max = 9 }
  policies = [{ metric = { load_average = {} }, target = 1 }]
  trace    = { path = "` + trace + `" }
  server   = { capacity = 100 }
  compare  = true
}`,
			ConfigStateChecks: []statecheck.StateCheck{
				statecheck.ExpectKnownValue(week, at("target"), knownvalue.StringExact("1-minute load average 1")),
				statecheck.ExpectKnownValue(week, at("instance_hours"), knownvalue.Float64Exact(6)),
				statecheck.ExpectKnownValue(week, at("minutes_above_target"), knownvalue.Float64Exact(0)),
				statecheck.ExpectKnownValue(week, at("actions"), knownvalue.Int64Exact(0)),
				statecheck.ExpectKnownValue(week, at("peak"), knownvalue.Int64Exact(2)),
				statecheck.ExpectKnownValue(week, at("compared"), knownvalue.MapSizeExact(6)),
				statecheck.ExpectKnownValue(week, at("compared").AtMapKey("foresight").AtMapKey("instance_hours"), knownvalue.Float64Exact(6)),
			},
		},
		resource.TestStep{ // every kind of policy, and a schedule that needs three servers for the second hour (from 10 on)
			Config: `
data "farmhand_simulation" "week" {
  role = { min = 1, max = 9, drain = "0s" }
  policies = [
    { metric = { cpu = {}, window = "20s" }, step = [{ to = 0.2, add = -1 }, { from = 0.2, to = 0.8, add = 0 }, { from = 0.8, add = 1 }], cooldown = "0s" },
    { schedule = { cron = "0 10 * * *", zone = "UTC", duration = "1h", min = 3 } },
  ]
  trace  = { path = "` + trace + `" }
  server = { capacity = 100, boot_time = "0s" }
}`,
			ConfigStateChecks: []statecheck.StateCheck{
				statecheck.ExpectKnownValue(week, at("peak"), knownvalue.Int64Exact(3)),
				statecheck.ExpectKnownValue(week, at("compared"), knownvalue.Null()),
			},
		},
	)
}

func TestSimulationDataSourceRefuses(t *testing.T) {
	w := newWorld(t)
	gap := filepath.Join(t.TempDir(), "gap.csv")
	if err := os.WriteFile(gap, []byte("time,demand\n1772442000,1\n1772442060,1\n1772442600,2\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	const policy = `policies = [{ metric = { cpu = {} }, target = 0.5 }]
`
	for _, c := range []struct{ config, want string }{
		{`role = { min = 5, max = 2 }
` + policy + `shape = { kind = "daily" }`, `role\.min: min 5 is greater`},
		{`role = { min = 1, max = 2 }
policies = [{ metric = { cpu = {} }, target = 50 }]
shape = { kind = "daily" }`, `policies\[0\]\.target`},
		{`role = { min = 1, max = 2 }
policies = [{ schedule = { cron = "0 8 * * *", zone = "Mars/Olympus", duration = "1h", min = 1 } }]
shape = { kind = "daily" }`, `policies\[0\]\.schedule\.zone`},
		{`role = { min = 1, max = 2 }
` + policy, `trace,shape|trace, shape|\[trace`},
		{`role = { min = 1, max = 2 }
` + policy + `shape = { kind = "zigzag" }`, `zigzag`},
		{`role = { min = 1, max = 2 }
` + policy + `shape = { kind = "daily", low = 9, high = 3 }`, `demand from 9 to 3`},
		{`role = { min = 1, max = 2 }
` + policy + `trace = { path = "` + gap + `" }`, `line 4: nothing is known for 8m0s`},
		{`role = { min = 1, max = 2 }
` + policy + `trace = { path = "none.csv" }`, `no such file`},
		{`role = { min = 1, max = 2 }
` + policy + `shape = { kind = "daily" }
server = { noise = 3 }`, `noise 3`},
	} {
		resource.Test(t, resource.TestCase{Steps: []resource.TestStep{{
			ProtoV6ProviderFactories: providers(testVersion),
			Config:                   w.hcl("data \"farmhand_simulation\" \"it\" {\n" + c.config + "\n}\n"),
			ExpectError:              regexp.MustCompile(`(?s)` + strings.ReplaceAll(c.want, " ", `\s+`)),
		}}})
	}
}

// The example's own tests pass as it is, and fail when its policy is made worse.
func TestExampleSimulate(t *testing.T) {
	w := newWorld(t)
	dir := t.TempDir()
	project, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	run := func(in, name string, args ...string) (string, error) {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
		defer cancel()
		cmd := exec.CommandContext(ctx, name, args...)
		cmd.Dir = in
		cmd.Env = append(os.Environ(), "TF_CLI_CONFIG_FILE="+filepath.Join(dir, "cli.rc"), "FARMHAND_STATE_DIR="+w.dir)
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	if out, err := run(project, "go", "build", "-o", filepath.Join(dir, "terraform-provider-farmhand"), "."); err != nil {
		t.Fatalf("building the provider: %v\n%s", err, out)
	}
	rc := "provider_installation {\n  dev_overrides {\n    \"farmhand/farmhand\" = \"" + dir + "\"\n  }\n  direct {}\n}\ndisable_checkpoint = true\n"
	if err := os.WriteFile(filepath.Join(dir, "cli.rc"), []byte(rc), 0o600); err != nil {
		t.Fatal(err)
	}
	example := filepath.Join(dir, "example")
	if err := os.CopyFS(example, os.DirFS(filepath.Join(project, "examples", "simulate"))); err != nil {
		t.Fatal(err)
	}
	cli := os.Getenv("TF_ACC_TERRAFORM_PATH")
	if out, err := run(example, cli, "test", "-no-color"); err != nil || !strings.Contains(out, "3 passed, 0 failed") {
		t.Errorf("as it is: %v\n%s", err, out)
	}
	for _, worse := range []struct{ variable, want string }{
		{"tolerance=0.4", "instance-hours"},
		{"cooldown=30m", "instance-hours"},
		{"target=1.9", "no server with time"},
	} {
		out, err := run(example, cli, "test", "-no-color", "-var", worse.variable)
		if err == nil || !strings.Contains(out, worse.want) {
			t.Errorf("%s is worse, but: %v\n%s", worse.variable, err, out)
		}
	}
	if _, err := os.Stat(w.dir); !os.IsNotExist(err) {
		t.Error("a simulation made a state directory")
	}
}
