package provider

import (
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-testing/compare"
	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/knownvalue"
	"github.com/hashicorp/terraform-plugin-testing/plancheck"
	"github.com/hashicorp/terraform-plugin-testing/statecheck"
	"github.com/hashicorp/terraform-plugin-testing/tfjsonpath"

	"github.com/farmhand/terraform-provider-farmhand/internal/spec"
	"github.com/farmhand/terraform-provider-farmhand/internal/state"
	"github.com/farmhand/terraform-provider-farmhand/internal/store"
)

// farmWith is a farm of which some lines are another's.
func farmWith(lines string) string {
	return sidecarHCL + `
resource "farmhand_farm" "shop" {
  sidecar = farmhand_sidecar.here.id
` + lines + "\n}\n"
}

func TestFarm(t *testing.T) {
	w := newWorld(t)
	const address = "farmhand_farm.shop"
	same := statecheck.CompareValue(compare.ValuesSame())
	w.run(
		resource.TestStep{
			Config:           farmHCL,
			ConfigPlanChecks: planned(address, plancheck.ResourceActionCreate),
			ConfigStateChecks: []statecheck.StateCheck{
				statecheck.ExpectKnownValue(address, tfjsonpath.New("id"), knownvalue.StringExact("shop")),
				statecheck.ExpectKnownValue(address, tfjsonpath.New("simulated").AtMapKey("subnet"), knownvalue.StringExact(spec.DefaultSimulatedSubnet)),
				same.AddStateValue(address, tfjsonpath.New("nameserver")),
			},
		},
		resource.TestStep{Config: farmHCL, ResourceName: address, ImportState: true, ImportStateVerify: true},
		resource.TestStep{ // the same in other words
			Config: farmWith(`
  name      = "Shop"
  zone      = "SHOP.internal."
  tick      = "0.2s"
  simulated = { boot_time = "0.1s", subnet = "10.200.3.4/16" }`),
			ConfigPlanChecks: nothingPlanned,
		},
		resource.TestStep{ // changed in place
			Config:           farmWith("name = \"shop\"\nzone = \"shop.internal\"\ntick = \"500ms\"\nsimulated = { boot_time = \"200ms\", fail_launches = 0.5 }"),
			ConfigPlanChecks: planned(address, plancheck.ResourceActionUpdate),
			ConfigStateChecks: []statecheck.StateCheck{
				statecheck.ExpectKnownValue(address, tfjsonpath.New("tick"), knownvalue.StringExact("500ms")),
				same.AddStateValue(address, tfjsonpath.New("nameserver")),
			},
		},
		resource.TestStep{ // left out: the defaults are back
			Config:           farmWith("name = \"shop\"\nzone = \"shop.internal\"\nsimulated = {}"),
			ConfigPlanChecks: planned(address, plancheck.ResourceActionUpdate),
			ConfigStateChecks: []statecheck.StateCheck{
				statecheck.ExpectKnownValue(address, tfjsonpath.New("tick"), knownvalue.StringExact(spec.DefaultTick.String())),
				statecheck.ExpectKnownValue(address, tfjsonpath.New("simulated").AtMapKey("boot_time"), knownvalue.StringExact(spec.DefaultBootTime.String())),
			},
		},
		resource.TestStep{ // another zone is another farm, and its own name is not taken by itself
			Config:           farmWith("name = \"shop\"\nzone = \"market.internal\"\nsimulated = {}"),
			ConfigPlanChecks: planned(address, plancheck.ResourceActionReplace),
		},
		resource.TestStep{ // gone behind Terraform's back
			PreConfig: func() {
				s := w.store()
				w.must(w.backend().destroyFarm(t.Context(), s, "shop"))
			},
			Config:           farmWith("name = \"shop\"\nzone = \"market.internal\"\nsimulated = {}"),
			ConfigPlanChecks: planned(address, plancheck.ResourceActionCreate),
		},
		resource.TestStep{ // a destroy that was interrupted: an apply ends it and makes the farm anew
			PreConfig: func() {
				w.must(markDeleting[spec.Farm](t.Context(), w.store(), state.FarmKey("shop")))
			},
			Config:           farmWith("name = \"shop\"\nzone = \"market.internal\"\nsimulated = {}"),
			ConfigPlanChecks: planned(address, plancheck.ResourceActionReplace),
		},
	)
}

func TestFarmThatCannotBe(t *testing.T) {
	const named = "name = \"shop\"\nzone = \"shop.internal\"\n"
	for name, c := range map[string]struct {
		lines string
		says  []string
	}{
		"no platform":              {named, []string{"docker,simulated"}},
		"two platforms":            {named + "simulated = {}\ndocker = { subnet = \"10.201.6.0/28\" }", []string{"docker,simulated"}},
		"a name that is none":      {"name = \"my shop\"\nzone = \"shop.internal\"\nsimulated = {}", []string{"name:", `"my shop"`}},
		"a zone of one label":      {"name = \"shop\"\nzone = \"internal\"\nsimulated = {}", []string{"zone:", "one label"}},
		"a tick without a unit":    {named + "simulated = {}\ntick = \"5\"", []string{"tick:", "not a duration"}},
		"a tick that is too fast":  {named + "simulated = {}\ntick = \"1ms\"", []string{"tick:", "not between"}},
		"a tick of nothing":        {named + "simulated = {}\ntick = \"0s\"", []string{"tick:", "not between"}},
		"a subnet that is none":    {named + "simulated = { subnet = \"10.200.0.0\" }", []string{"simulated.subnet", "not a subnet"}},
		"a share above one":        {named + "simulated = { fail_launches = 2 }", []string{"simulated.fail_launches", "share from 0 to 1"}},
		"a boot time that is none": {named + "simulated = { boot_time = \"soon\" }", []string{"boot_time", "not a duration"}},
		"a negative boot time":     {named + "simulated = { boot_time = \"-1s\" }", []string{"boot_time", "negative"}},
		"a subnet out of bounds":   {named + "simulated = { subnet = \"10.300.0.0/16\" }", []string{"simulated.subnet", "not a subnet"}},
		"a timeout without a unit": {named + "simulated = {}\ntimeouts = { create = \"2\" }", []string{"Time Duration", "must be a string"}},
		"a name that is too long":  {"name = \"" + strings.Repeat("a", 64) + "\"\nzone = \"shop.internal\"\nsimulated = {}", []string{"name:", "64 characters"}},
	} {
		t.Run(name, func(t *testing.T) {
			newWorld(t).run(resource.TestStep{Config: farmWith(c.lines), PlanOnly: true, ExpectError: says(c.says...)})
		})
	}
}

func TestFarmOfATakenName(t *testing.T) {
	w := newWorld(t)
	var taken bool
	w.run(
		resource.TestStep{Config: sidecarHCL},
		resource.TestStep{
			PreConfig: func() {
				s := w.store()
				f := defaultFarm()
				f.Name, f.Zone, f.Docker = "shop", "other.internal", nil
				_, err := store.PutJSON(t.Context(), s, state.FarmKey("shop"), state.Declared[spec.Farm]{Spec: f})
				w.must(err)
				_, err = store.PutJSON(t.Context(), s, state.FarmIndexKey("shop"), state.FarmEntry{Name: "shop", Sidecar: localSidecar})
				w.must(err)
			},
			Config: farmHCL, PlanOnly: true,
			ExpectError: says("name is taken", `name: a farm "shop" exists in this store`, "terraform import"),
		},
		resource.TestStep{
			PreConfig: func() {
				f, _, err := store.GetJSON[state.Declared[spec.Farm]](t.Context(), w.store(), state.FarmKey("shop"))
				taken = err == nil && f.Spec.Zone == "other.internal"
				w.must(w.backend().destroyFarm(t.Context(), w.store(), "shop"))
			},
			Config: sidecarHCL,
		},
	)
	if !taken {
		t.Error("the farm that had the name is another now")
	}
}

func TestFarmWithoutASidecar(t *testing.T) {
	w := newWorld(t)
	w.run(resource.TestStep{
		Config: `
resource "farmhand_farm" "shop" {
  name      = "shop"
  sidecar   = "local"
  zone      = "shop.internal"
  simulated = {}
}`,
		ExpectError: says("No sidecar runs", "sidecar:", "farmhand_sidecar"),
	})
}

// Destroy ends a farm and its servers in the provider's own process where no sidecar lives to do it.
func TestFarmIsDestroyedWithoutItsSidecar(t *testing.T) {
	w := newWorld(t)
	w.run(
		resource.TestStep{Config: webHCL},
		resource.TestStep{ // a refresh must not start it: only the destroy's own process is there to end things
			PreConfig: w.kill,
			Config:    webHCL, PlanOnly: true, ExpectNonEmptyPlan: true,
		},
		resource.TestStep{
			Config: webHCL, Destroy: true,
		},
		resource.TestStep{
			PreConfig: func() {
				if _, err := w.backend().openExisting(t.Context()); err == nil {
					t.Error("the store is still there")
				}
			},
			Config: sidecarHCL,
		},
	)
}

// backend is what a provider of this world works with.
func (w *world) backend() *backend {
	b := &backend{version: testVersion, dir: w.dir}
	w.t.Cleanup(b.close)
	return b
}
