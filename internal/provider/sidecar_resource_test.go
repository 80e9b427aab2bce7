package provider

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/knownvalue"
	"github.com/hashicorp/terraform-plugin-testing/plancheck"
	"github.com/hashicorp/terraform-plugin-testing/statecheck"
	"github.com/hashicorp/terraform-plugin-testing/terraform"
	"github.com/hashicorp/terraform-plugin-testing/tfjsonpath"

	"github.com/farmhand/terraform-provider-farmhand/internal/daemon"
	"github.com/farmhand/terraform-provider-farmhand/internal/state"
	"github.com/farmhand/terraform-provider-farmhand/internal/store"
)

func TestSidecar(t *testing.T) {
	w := newWorld(t)
	const address = "farmhand_sidecar.here"
	var before, after daemon.Status
	w.run(
		resource.TestStep{
			Config:           sidecarHCL,
			ConfigPlanChecks: planned(address, plancheck.ResourceActionCreate),
			ConfigStateChecks: []statecheck.StateCheck{
				statecheck.ExpectKnownValue(address, tfjsonpath.New("id"), knownvalue.StringExact("local")),
				statecheck.ExpectKnownValue(address, tfjsonpath.New("status"), knownvalue.StringExact("running")),
				statecheck.ExpectKnownValue(address, tfjsonpath.New("version"), knownvalue.StringExact(testVersion)),
			},
		},
		resource.TestStep{
			PreConfig: func() { before = w.find() },
			Config:    sidecarHCL, ResourceName: address, ImportState: true, ImportStateVerify: true,
		},
		resource.TestStep{
			Config: sidecarHCL, ResourceName: address, ImportState: true, ImportStateId: "elsewhere",
			ExpectError: says(`There is no sidecar "elsewhere" to import`),
		},
		resource.TestStep{ // killed: the plan shows it, the apply starts another
			PreConfig:        w.kill,
			Config:           sidecarHCL,
			ConfigPlanChecks: planned(address, plancheck.ResourceActionUpdate),
		},
		resource.TestStep{
			PreConfig: func() { after = w.find() },
			Config:    sidecarHCL, ConfigPlanChecks: nothingPlanned,
		},
		resource.TestStep{ // its declaration is gone: it is declared again
			PreConfig: func() {
				if err := w.store().Delete(t.Context(), state.SidecarKey(localSidecar)); err != nil {
					t.Fatal(err)
				}
			},
			Config:           sidecarHCL,
			ConfigPlanChecks: planned(address, plancheck.ResourceActionCreate),
		},
	)
	if before.PID == after.PID {
		t.Errorf("the sidecar that was killed still has pid %d", after.PID)
	}
	if before.ID != after.ID {
		t.Errorf("the sidecar was %s and is %s: it would not know its own lease", before.ID, after.ID)
	}
}

func TestSidecarOfAnOlderVersionIsReplaced(t *testing.T) {
	w := newLoneWorld(t) // it changes the environment
	const address = "farmhand_sidecar.here"
	const newer = "1.1.0"
	w.run(
		resource.TestStep{
			Config:            sidecarHCL,
			ConfigStateChecks: []statecheck.StateCheck{statecheck.ExpectKnownValue(address, tfjsonpath.New("version"), knownvalue.StringExact(testVersion))},
		},
		resource.TestStep{
			PreConfig:                func() { t.Setenv(versionVariable, newer) },
			ProtoV6ProviderFactories: providers(newer),
			Config:                   sidecarHCL,
			ConfigPlanChecks:         planned(address, plancheck.ResourceActionUpdate),
			ConfigStateChecks: []statecheck.StateCheck{
				statecheck.ExpectKnownValue(address, tfjsonpath.New("version"), knownvalue.StringExact(newer))},
		},
	)
}

// freePort is an address of this machine at which nobody listens now.
func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// servesMetrics checks that metrics are served there, with what is wanted among them.
func servesMetrics(address string, want ...string) error {
	for path, parts := range map[string][]string{"/healthz": {"ok"}, "/metrics": append(want, "farmhand_store_up 1")} {
		resp, err := http.Get("http://" + address + path)
		if err != nil {
			return err
		}
		b, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || resp.StatusCode != http.StatusOK {
			return fmt.Errorf("%s: %s, %w", path, resp.Status, err)
		}
		for _, part := range parts {
			if !strings.Contains(string(b), part) {
				return fmt.Errorf("%s has no %s:\n%s", path, part, b)
			}
		}
	}
	return nil
}

// The sidecar serves metrics where it is told to, and is started anew for another address; one that cannot be had leaves it as it is.
func TestSidecarServesMetrics(t *testing.T) {
	w := newWorld(t)
	const address = "farmhand_sidecar.here"
	one, two := freePort(t), freePort(t)
	listen := func(at string) string {
		return strings.Replace(sidecarHCL, "local = {}", "local = {}\n  metrics_listen = \""+at+"\"", 1)
	}
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	w.must(err)
	defer taken.Close()
	var before daemon.Status
	check := func(at string) func(*terraform.State) error {
		return func(*terraform.State) error { return servesMetrics(at) }
	}
	w.run(
		resource.TestStep{Config: listen("everywhere:9641"), ExpectError: says(`"everywhere" is no IP address of a machine`, `Write an address and a port`)},
		resource.TestStep{Config: listen("127.0.0.1:80"), ExpectError: says(`port "80" is not one of 1024 to 65535`)},
		resource.TestStep{Config: sidecarHCL},
		resource.TestStep{Config: listen(one), ConfigPlanChecks: planned(address, plancheck.ResourceActionUpdate), Check: check(one)},
		resource.TestStep{Config: listen(one), ConfigPlanChecks: nothingPlanned},
		resource.TestStep{Config: listen(one), ResourceName: address, ImportState: true, ImportStateVerify: true},
		resource.TestStep{
			PreConfig: func() { before = w.find() },
			Config:    listen(taken.Addr().String()), ExpectError: says("metrics_listen: metrics cannot be served at", "another process listens there", "goes on as it is"),
		},
		resource.TestStep{
			PreConfig: func() {
				if now := w.find(); now.PID != before.PID {
					t.Errorf("the sidecar was stopped for an address that cannot be had: pid %d, and was %d", now.PID, before.PID)
				}
				w.must(servesMetrics(one))
			},
			Config: listen(two), ConfigPlanChecks: planned(address, plancheck.ResourceActionUpdate), Check: check(two),
		},
		resource.TestStep{ // somebody started it otherwise: the plan shows it
			PreConfig: func() {
				w.must(daemon.Stop(t.Context(), w.dir))
				_, err := daemon.Start(t.Context(), daemon.Options{StateDir: w.dir, Version: testVersion})
				w.must(err)
			},
			Config: listen(two), ConfigPlanChecks: planned(address, plancheck.ResourceActionUpdate), Check: check(two),
		},
		resource.TestStep{Config: sidecarHCL, ConfigPlanChecks: planned(address, plancheck.ResourceActionUpdate), Check: func(*terraform.State) error {
			if servesMetrics(two) == nil {
				return fmt.Errorf("metrics are still served")
			}
			return nil
		}},
	)
}

func TestSidecarStaysWhileFarmsRemain(t *testing.T) {
	w := newWorld(t)
	orphan := state.FarmIndexKey("orphan")
	w.run(
		resource.TestStep{Config: sidecarHCL},
		resource.TestStep{
			PreConfig: func() {
				if _, err := store.PutJSON(t.Context(), w.store(), orphan, state.FarmEntry{Name: "orphan", Sidecar: localSidecar}); err != nil {
					t.Fatal(err)
				}
			},
			Config: sidecarHCL, Destroy: true,
		},
		resource.TestStep{
			PreConfig: func() {
				if _, err := daemon.Find(t.Context(), w.dir); err != nil {
					t.Errorf("it was to stay: %v", err)
				}
				if err := w.store().Delete(t.Context(), orphan); err != nil {
					t.Fatal(err)
				}
			},
			Config: sidecarHCL, // found again, and with no farm left it goes
		},
	)
}

// A store that cannot be read is left as it is, and never taken for an empty one.
func TestStoreThatIsNone(t *testing.T) {
	w := newWorld(t)
	const letter = "a letter to the landlord, no database at all"
	file := daemon.DatabasePath(w.dir)
	aside := func(from, to string) {
		for _, suffix := range []string{"", "-wal", "-shm"} {
			if _, err := os.Stat(file + from + suffix); err == nil {
				w.must(os.Rename(file+from+suffix, file+to+suffix))
			}
		}
	}
	w.run(
		resource.TestStep{Config: sidecarHCL},
		resource.TestStep{
			PreConfig: func() {
				w.must(daemon.Stop(t.Context(), w.dir))
				aside("", ".kept")
				w.must(os.WriteFile(file, []byte(letter), 0o600))
			},
			Config: sidecarHCL, PlanOnly: true,
			ExpectError: says("sidecar local cannot be read", "It was left as it is"),
		},
		resource.TestStep{
			PreConfig: func() {
				b, err := os.ReadFile(file)
				if err != nil || string(b) != letter {
					t.Errorf("the file was touched: %q, %v", b, err)
				}
				aside(".kept", "")
			},
			Config: sidecarHCL,
		},
	)
}

func (w *world) find() daemon.Status {
	w.t.Helper()
	st, err := daemon.Find(w.t.Context(), w.dir)
	w.must(err)
	return st
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}
