package provider

import (
	"testing"

	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/knownvalue"
	"github.com/hashicorp/terraform-plugin-testing/statecheck"
	"github.com/hashicorp/terraform-plugin-testing/tfjsonpath"
)

func TestDataSources(t *testing.T) {
	w := newWorld(t)
	config := webHCL + `
data "farmhand_farm" "now" {
  name       = farmhand_farm.shop.name
  depends_on = [farmhand_role.web]
}
data "farmhand_instances" "all" {
  farm       = farmhand_farm.shop.name
  depends_on = [farmhand_role.web]
}
data "farmhand_instances" "web" {
  farm = farmhand_farm.shop.name
  role = farmhand_role.web.id
}
`
	const farm, all, web = "data.farmhand_farm.now", "data.farmhand_instances.all", "data.farmhand_instances.web"
	first := tfjsonpath.New("instances").AtSliceIndex(0)
	role := tfjsonpath.New("roles").AtMapKey("web")
	w.run(
		resource.TestStep{
			Config: config,
			ConfigStateChecks: []statecheck.StateCheck{
				statecheck.ExpectKnownValue(farm, tfjsonpath.New("state"), knownvalue.StringExact("kept")),
				statecheck.ExpectKnownValue(farm, tfjsonpath.New("platform"), knownvalue.StringExact("simulated")),
				statecheck.ExpectKnownValue(farm, tfjsonpath.New("nameserver"), knownvalue.NotNull()),
				statecheck.ExpectKnownValue(farm, role.AtMapKey("serving"), knownvalue.Int64Exact(2)),
				statecheck.ExpectKnownValue(farm, role.AtMapKey("desired"), knownvalue.Int64Exact(2)),
				statecheck.ExpectKnownValue(farm, role.AtMapKey("max"), knownvalue.Int64Exact(4)),
				statecheck.ExpectKnownValue(all, tfjsonpath.New("instances"), knownvalue.ListSizeExact(2)),
				statecheck.ExpectKnownValue(web, first.AtMapKey("name"), knownvalue.StringExact("web-1")),
				statecheck.ExpectKnownValue(web, first.AtMapKey("phase"), knownvalue.StringExact("running")),
				statecheck.ExpectKnownValue(web, first.AtMapKey("address"), knownvalue.StringExact("10.200.0.10")),
				statecheck.ExpectKnownValue(web, first.AtMapKey("serving"), knownvalue.Bool(true)),
			},
		},
		resource.TestStep{ // without its sidecar a farm is an answer too
			PreConfig: w.kill,
			Config: `
data "farmhand_farm" "now" { name = "Shop" }
data "farmhand_instances" "web" {
  farm = "shop"
  role = "web"
}
` + webHCL,
			PlanOnly: true, ExpectNonEmptyPlan: true,
		},
		resource.TestStep{
			Config: webHCL + "data \"farmhand_farm\" \"none\" { name = \"market\" }", PlanOnly: true,
			ExpectError: says("no such farm", `no farm "market"`),
		},
		resource.TestStep{
			Config: webHCL + "data \"farmhand_instances\" \"none\" { farm = \"market\" }", PlanOnly: true,
			ExpectError: says("no such farm", `no farm "market"`),
		},
		resource.TestStep{
			Config:   webHCL + "data \"farmhand_instances\" \"none\" {\n farm = \"shop\"\n role = \"market/web\"\n}",
			PlanOnly: true, ExpectError: says("market/web is not of farm shop"),
		},
		resource.TestStep{Config: webHCL},
	)
}
