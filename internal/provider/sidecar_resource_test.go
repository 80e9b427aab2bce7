package provider

import (
	"os"
	"testing"

	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/knownvalue"
	"github.com/hashicorp/terraform-plugin-testing/plancheck"
	"github.com/hashicorp/terraform-plugin-testing/statecheck"
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
