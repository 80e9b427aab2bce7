package provider

import (
	"testing"

	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/knownvalue"
	"github.com/hashicorp/terraform-plugin-testing/plancheck"
	"github.com/hashicorp/terraform-plugin-testing/statecheck"
	"github.com/hashicorp/terraform-plugin-testing/tfjsonpath"

	"github.com/farmhand/terraform-provider-farmhand/internal/spec"
	"github.com/farmhand/terraform-provider-farmhand/internal/state"
	"github.com/farmhand/terraform-provider-farmhand/internal/store"
)

// recordWith is a record of the farm shop.
func recordWith(lines string) string {
	return webHCL + "\nresource \"farmhand_dynamic_dns_record\" \"r\" {\n  farm = farmhand_farm.shop.name\n" + lines + "\n}\n"
}

func TestDynamicDNSRecord(t *testing.T) {
	w := newWorld(t)
	const address = "farmhand_dynamic_dns_record.r"
	plain := recordWith("name = \"www\"\nrole = farmhand_role.web.id")
	index := recordWith("name = \"www\"\nrole = farmhand_role.web.id\npoints_to = \"index\"\nindex = 2\nttl = \"1m\"")
	w.run(
		resource.TestStep{
			Config:           plain,
			ConfigPlanChecks: planned(address, plancheck.ResourceActionCreate),
			ConfigStateChecks: []statecheck.StateCheck{
				statecheck.ExpectKnownValue(address, tfjsonpath.New("id"), knownvalue.StringExact("shop/www")),
				statecheck.ExpectKnownValue(address, tfjsonpath.New("points_to"), knownvalue.StringExact("all")),
				statecheck.ExpectKnownValue(address, tfjsonpath.New("ttl"), knownvalue.StringExact(spec.DefaultTTL.String())),
			},
		},
		resource.TestStep{Config: plain, ResourceName: address, ImportState: true, ImportStateVerify: true},
		resource.TestStep{
			Config: plain, ResourceName: address, ImportState: true, ImportStateId: "www",
			ExpectError: says(`"www" is not a record's id`),
		},
		resource.TestStep{ // the same in other words
			Config:           recordWith("name = \"WWW\"\nrole = \"shop/Web\"\npoints_to = \"all\"\nttl = \"5000ms\"\ndepends_on = [farmhand_role.web]"),
			ConfigPlanChecks: nothingPlanned,
		},
		resource.TestStep{Config: index, ConfigPlanChecks: planned(address, plancheck.ResourceActionUpdate)},
		resource.TestStep{Config: index, ResourceName: address, ImportState: true, ImportStateVerify: true},
		resource.TestStep{ // gone behind Terraform's back
			PreConfig:        func() { w.must(w.store().Delete(t.Context(), state.DNSKey("shop", "www"))) },
			Config:           index,
			ConfigPlanChecks: planned(address, plancheck.ResourceActionCreate),
		},
		resource.TestStep{ // another name is another record
			Config:           recordWith("name = \"shop\"\nrole = farmhand_role.web.id"),
			ConfigPlanChecks: planned(address, plancheck.ResourceActionReplace),
		},
		resource.TestStep{ // a name that somebody else has declared
			PreConfig: func() {
				_, err := store.PutJSON(t.Context(), w.store(), state.DNSKey("shop", "www"), spec.DNSRecord{Farm: "shop", Name: "www", Role: "web", PointsTo: "all"})
				w.must(err)
			},
			Config: plain, PlanOnly: true, ExpectError: says("name is taken", `a record "www"`),
		},
		resource.TestStep{Config: webHCL},
	)
}

func TestDynamicDNSRecordThatCannotBe(t *testing.T) {
	const www = "name = \"www\"\n"
	const web = "role = farmhand_role.web.id\n"
	for name, c := range map[string]struct {
		lines string
		says  []string
	}{
		"a name that is none":       {"name = \"my shop\"\n" + web, []string{"name:", `"my shop"`}},
		"a role of another farm":    {www + "role = \"market/web\"", []string{"role:", "not of farm shop"}},
		"a role without its farm":   {www + "role = \"web\"", []string{"role:", "not a role's id"}},
		"nothing to point to":       {www + web + "points_to = \"moon\"", []string{"points_to", "primary"}},
		"an index without points":   {www + web + "index = 2", []string{"index:", "no meaning"}},
		"index without an index":    {www + web + "points_to = \"index\"", []string{"index:", "count from 1"}},
		"an index of zero":          {www + web + "points_to = \"index\"\nindex = 0", []string{"index", "at least 1"}},
		"a ttl of a half second":    {www + web + "ttl = \"1500ms\"", []string{"ttl:", "whole"}},
		"a ttl of nothing":          {www + web + "ttl = \"0s\"", []string{"ttl:", "not between"}},
		"a ttl that is no duration": {www + web + "ttl = \"5\"", []string{"ttl:", "not a duration"}},
	} {
		t.Run(name, func(t *testing.T) {
			newWorld(t).run(resource.TestStep{Config: recordWith(c.lines), PlanOnly: true, ExpectError: says(c.says...)})
		})
	}
	t.Run("a role that is not there", func(t *testing.T) {
		newWorld(t).run(
			resource.TestStep{Config: recordWith(www + "role = \"shop/wbe\""), ExpectError: says("no such role", `role: "shop/wbe"`)},
			resource.TestStep{Config: webHCL},
		)
	})
}
