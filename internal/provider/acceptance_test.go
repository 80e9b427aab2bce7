package provider

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/providerserver"
	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/plancheck"
	"github.com/hashicorp/terraform-plugin-testing/terraform"

	"github.com/farmhand/terraform-provider-farmhand/internal/daemon"
	"github.com/farmhand/terraform-provider-farmhand/internal/store"
	"github.com/farmhand/terraform-provider-farmhand/internal/store/sqlite"
	"github.com/farmhand/terraform-provider-farmhand/sidecar"
)

// testVersion is the provider's and, by versionVariable, that of the sidecars that its copies are.
const (
	testVersion     = "1.0.0"
	versionVariable = "FARMHAND_TEST_VERSION"
)

// TestMain makes the test binary what the provider is: run with a word, it is the sidecar.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && !strings.HasPrefix(os.Args[1], "-") {
		version := testVersion
		if v := os.Getenv(versionVariable); v != "" {
			version = v
		}
		os.Exit(sidecar.Main(os.Args[1:], version))
	}
	findCLI()
	resource.TestMain(m)
}

// findCLI lets the tests run on what there is: terraform or else tofu.
func findCLI() {
	os.Setenv("CHECKPOINT_DISABLE", "1")
	if os.Getenv("TF_ACC_TERRAFORM_PATH") == "" {
		for _, name := range []string{"terraform", "tofu"} {
			if path, err := exec.LookPath(name); err == nil {
				os.Setenv("TF_ACC_TERRAFORM_PATH", path)
				break
			}
		}
	}
	if filepath.Base(os.Getenv("TF_ACC_TERRAFORM_PATH")) == "tofu" {
		os.Setenv("TF_ACC_PROVIDER_HOST", "registry.opentofu.org")
	}
}

// world is one test's state directory, with the sidecar that runs from it.
type world struct {
	t   *testing.T
	dir string
}

// newWorld lets the test run beside others, most of whose time is waiting.
func newWorld(t *testing.T) *world {
	t.Helper()
	t.Parallel()
	return newLoneWorld(t)
}

// newLoneWorld skips where acceptance tests cannot run. At the end it stops what the test left running.
func newLoneWorld(t *testing.T) *world {
	t.Helper()
	if os.Getenv("TF_ACC") == "" {
		t.Skip("acceptance tests run with TF_ACC=1")
	}
	if os.Getenv("TF_ACC_TERRAFORM_PATH") == "" {
		t.Skip("no terraform or tofu on the PATH")
	}
	// Not t.TempDir: a unix socket lives in it, whose path has room for a hundred bytes.
	dir, err := os.MkdirTemp("/tmp", "farmhand-test-") //nolint:usetesting // see above
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, dir: filepath.Join(dir, "state")}
	t.Cleanup(func() {
		if t.Failed() {
			if log, err := os.ReadFile(daemon.LogPath(w.dir)); err == nil {
				t.Logf("the sidecar's log:\n%s", log)
			}
		}
		if err := daemon.Stop(context.Background(), w.dir); err != nil {
			t.Errorf("stopping the sidecar: %v", err)
		}
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return w
}

// run runs the steps, and then checks that the last destroy left nothing: no sidecar, no file.
func (w *world) run(steps ...resource.TestStep) {
	w.t.Helper()
	for i := range steps {
		if steps[i].ProtoV6ProviderFactories == nil {
			steps[i].ProtoV6ProviderFactories = providers(testVersion)
		}
		if steps[i].Config != "" {
			steps[i].Config = w.hcl(steps[i].Config)
		}
	}
	resource.Test(w.t, resource.TestCase{
		Steps: steps,
		CheckDestroy: func(*terraform.State) error {
			if _, err := os.Stat(w.dir); !os.IsNotExist(err) {
				entries, _ := os.ReadDir(w.dir)
				return fmt.Errorf("destroy left the state directory behind, and in it %v", entries)
			}
			return nil
		},
	})
}

// hcl puts the provider's block before a configuration.
func (w *world) hcl(config string) string {
	return fmt.Sprintf("provider \"farmhand\" {\n  state_dir = %q\n}\n", w.dir) + config
}

func providers(version string) map[string]func() (tfprotov6.ProviderServer, error) {
	return map[string]func() (tfprotov6.ProviderServer, error){"farmhand": providerserver.NewProtocol6WithError(New(version)())}
}

// store opens the world's store beside the provider and the sidecar, as a person with the command line would.
func (w *world) store() store.Store {
	w.t.Helper()
	s, err := sqlite.Open(w.t.Context(), daemon.DatabasePath(w.dir))
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { _ = s.Close() })
	return s
}

// kill ends the sidecar as a crash would.
func (w *world) kill() {
	w.t.Helper()
	st, err := daemon.Find(w.t.Context(), w.dir)
	if err != nil {
		w.t.Fatalf("finding the sidecar to kill: %v", err)
	}
	p, err := os.FindProcess(st.PID)
	if err == nil {
		err = p.Kill()
	}
	if err != nil {
		w.t.Fatal(err)
	}
	w.eventually("the sidecar is dead", func() bool {
		_, err := daemon.Find(w.t.Context(), w.dir)
		return err != nil
	})
}

// eventually polls until it holds.
func (w *world) eventually(what string, holds func() bool) {
	w.t.Helper()
	const patience = 60 * time.Second // against a machine that hangs, not a measure of anything
	for deadline := time.Now().Add(patience); !holds(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			w.t.Fatalf("it does not come to pass that %s", what)
		}
	}
}

// says matches a message that holds the words, in this order, wherever its lines are broken.
func says(parts ...string) *regexp.Regexp {
	var words []string
	for _, part := range parts {
		var quoted []string
		for _, word := range strings.Fields(part) {
			quoted = append(quoted, regexp.QuoteMeta(word))
		}
		words = append(words, strings.Join(quoted, `[\s│]+`))
	}
	return regexp.MustCompile(`(?s)` + strings.Join(words, `.*`))
}

// unchanged is what a step expects after which nothing is left to do.
var unchanged = resource.ConfigPlanChecks{PostApplyPostRefresh: []plancheck.PlanCheck{plancheck.ExpectEmptyPlan()}}

// planned expects an action in a step's plan, and nothing left to do after it.
func planned(address string, action plancheck.ResourceActionType) resource.ConfigPlanChecks {
	return resource.ConfigPlanChecks{
		PreApply:             []plancheck.PlanCheck{plancheck.ExpectResourceAction(address, action)},
		PostApplyPostRefresh: unchanged.PostApplyPostRefresh,
	}
}

// nothingPlanned expects that a configuration says the same as the one before.
var nothingPlanned = resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{plancheck.ExpectEmptyPlan()}}

// Parts of configurations. Time is short in them, so that the tests are.
const (
	sidecarHCL = `
resource "farmhand_sidecar" "here" {
  local = {}
}
`
	farmHCL = sidecarHCL + `
resource "farmhand_farm" "shop" {
  name      = "shop"
  sidecar   = farmhand_sidecar.here.id
  zone      = "shop.internal"
  tick      = "200ms"
  simulated = { boot_time = "100ms" }
}
`
	webHCL = farmHCL + `
resource "farmhand_role" "web" {
  farm     = farmhand_farm.shop.name
  name     = "web"
  behavior = "apache"
  min      = 2
  max      = 4
  drain    = "0s"
}
`
)
