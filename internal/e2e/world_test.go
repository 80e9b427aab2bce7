package e2e

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/farmhand/terraform-provider-farmhand/internal/daemon"
	"github.com/farmhand/terraform-provider-farmhand/internal/e2e/live"
	"github.com/farmhand/terraform-provider-farmhand/internal/state"
)

// patience is how long the tests wait for what a farm does in seconds: a busy machine is no failure.
const patience = 3 * time.Minute

// farmHCL is a farm on this machine without roles, its name and network as live.Farm gives them.
const farmHCL = `
terraform {
  required_providers {
    farmhand = { source = "farmhand/farmhand" }
  }
}
variable "farm" {}
variable "subnet" {}
variable "platform" {}

resource "farmhand_sidecar" "here" {
  local = {}
}

resource "farmhand_farm" "f" {
  name    = var.farm
  sidecar = farmhand_sidecar.here.id
  zone    = "${var.farm}.internal"
  docker  = { subnet = var.subnet }
}
`

// world is what all tests of a run share: the binaries, the CLI and the engine.
type world struct {
	bin, cli string
	engine   *live.Engine
}

var built = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "fh-bin-")
	if err != nil {
		return "", err
	}
	return dir, live.Build(context.Background(), dir)
})

func TestMain(m *testing.M) {
	code := m.Run()
	if os.Getenv("FARMHAND_E2E") != "" {
		if dir, _ := built(); dir != "" {
			_ = os.RemoveAll(dir)
		}
	}
	os.Exit(code)
}

// enter skips the test where it cannot run, saying why.
func enter(t *testing.T) world {
	t.Helper()
	if os.Getenv("FARMHAND_E2E") == "" {
		t.Skip("end-to-end tests run with FARMHAND_E2E=1, as make test does")
	}
	cli, err := live.FindCLI()
	if err != nil {
		t.Skip("no Terraform: " + err.Error())
	}
	engine, err := live.OpenEngine(t.Context())
	if err != nil {
		t.Skip("no container engine: " + err.Error())
	}
	t.Cleanup(func() { _ = engine.Close() })
	bin, err := built()
	if err != nil {
		t.Fatal(err)
	}
	return world{bin, cli, engine}
}

// stateDir makes a state directory whose sidecar is stopped at the end of the test, whatever became of it.
// It is not t.TempDir: a unix socket's path must be short.
func stateDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "fh-") //nolint:usetesting // as said
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			if log, err := os.ReadFile(daemon.LogPath(dir)); err == nil {
				lines := slices.DeleteFunc(strings.Split(string(log), "\n"), func(line string) bool { return strings.HasPrefix(line, "SDK ") })
				t.Logf("the sidecar's last lines:\n%s", lastLines(strings.Join(lines, "\n"), 40))
			}
		}
		if err := daemon.Stop(context.Background(), dir); err != nil {
			t.Logf("stopping the sidecar: %v", err)
		}
		_ = os.RemoveAll(dir)
	})
	return dir
}

// subnet is a network's range that nothing has: a run that was killed may have left networks behind, and another may go on beside it.
func (w world) subnet(t *testing.T) string {
	t.Helper()
	subnet, err := w.engine.FreeSubnet(t.Context())
	must(t, err)
	return subnet
}

// farm prepares a farm of its own; what is left of it is removed at the end of the test.
func (w world) farm(t *testing.T, name, subnet, stateDir string) *live.Farm {
	t.Helper()
	name = fmt.Sprintf("%s-%d", name, os.Getpid()%10000)
	f := &live.Farm{
		Name: name, Subnet: subnet, Platform: "docker", StateDir: stateDir,
		Dir: t.TempDir(), Bin: w.bin, CLI: w.cli,
	}
	t.Cleanup(func() {
		if !t.Failed() {
			return // what a destroy leaves is a failure of its own
		}
		// A sidecar would put back what is cleared.
		if err := daemon.Stop(context.Background(), stateDir); err != nil {
			t.Logf("stopping the sidecar: %v", err)
		}
		if err := w.engine.Clear(context.Background(), name); err != nil {
			t.Logf("clearing farm %s: %v", name, err)
		}
	})
	return f
}

// destroy destroys a farm, which is to leave nothing.
func (w world) destroy(t *testing.T, f *live.Farm) {
	t.Helper()
	_, err := f.Destroy(t.Context())
	must(t, err)
	left, err := w.engine.Leftovers(t.Context(), f.Name)
	must(t, err)
	if len(left) > 0 {
		t.Errorf("destroy left %v", left)
	}
}

// tellOnFailure prints, if the test fails, what explains of f say and the last lines of each machine: whoever reads it has nothing else.
// Call it after w.farm, whose clearing would take the machines.
func (w world) tellOnFailure(t *testing.T, f *live.Farm, explained ...string) {
	t.Helper()
	t.Cleanup(func() {
		if !t.Failed() {
			return
		}
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		for _, what := range explained {
			out, err := f.Farmhand(ctx, "explain", what)
			t.Logf("explain %s (%v):\n%s", what, err, lastLines(out, 60))
		}
		logs, err := w.engine.Logs(ctx, f.Name, 40)
		if err != nil {
			t.Logf("the machines' logs: %v", err)
		}
		for name, log := range logs {
			t.Logf("last of %s:\n%s", name, log)
		}
	})
}

func lastLines(text string, n int) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}

// must fails the test unless err is nil.
func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// eventually waits for something that the farm does by itself.
func eventually(t *testing.T, what string, ask func(context.Context) (done bool, status string)) {
	t.Helper()
	ctx, cancel := context.WithTimeoutCause(t.Context(), patience, fmt.Errorf("not within %s: %s", patience, what))
	defer cancel()
	must(t, live.Until(ctx, 200*time.Millisecond, ask))
}

// running asks whether exactly n instances of a role run and none is in another phase.
func running(t *testing.T, record *live.Record, farm, role string, n int) func(context.Context) (bool, string) {
	return func(ctx context.Context) (bool, string) {
		instances, err := record.Instances(ctx, farm, role)
		if err != nil {
			return false, err.Error()
		}
		var status []string
		done := len(instances) == n
		for _, i := range instances {
			done = done && i.Phase == state.Running
			status = append(status, fmt.Sprintf("%s %s (%s)", i.Name(), i.Phase, i.Reason))
		}
		return done, strings.Join(status, ", ")
	}
}

// alive are the processes that run from or in a folder: those whose command line names it.
func alive(dir string) []string {
	var found []string
	paths, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, path := range paths {
		b, err := os.ReadFile(path)
		if err == nil && strings.Contains(string(b), dir) {
			found = append(found, strings.ReplaceAll(strings.TrimRight(string(b), "\x00"), "\x00", " "))
		}
	}
	return found
}
