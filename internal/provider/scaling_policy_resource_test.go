package provider

import (
	"testing"

	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/knownvalue"
	"github.com/hashicorp/terraform-plugin-testing/plancheck"
	"github.com/hashicorp/terraform-plugin-testing/statecheck"
	"github.com/hashicorp/terraform-plugin-testing/tfjsonpath"

	"github.com/farmhand/terraform-provider-farmhand/internal/state"
)

// policyWith is a policy of the role web.
func policyWith(name, lines string) string {
	return "\nresource \"farmhand_scaling_policy\" \"" + name + "\" {\n  role = farmhand_role.web.id\n" + lines + "\n}\n"
}

func TestScalingPolicy(t *testing.T) {
	w := newWorld(t)
	const address = "farmhand_scaling_policy.p"
	target := webHCL + policyWith("p", "metric = { load_average = { minutes = 1 } }\ntarget = 1.5\ncooldown = \"1m\"")
	steps := webHCL + policyWith("p", `
  name   = "steps"
  metric = { cpu = {}, window = "10s" }
  step   = [{ to = 0.2, add = -1 }, { from = 0.2, to = 0.8, add = 0 }, { from = 0.8, add = 2 }]`)
	schedule := webHCL + policyWith("p", `
  schedule = { cron = "0 8 * * 1-5", zone = "Europe/Berlin", duration = "10h", min = 3 }`)
	w.run(
		resource.TestStep{
			Config:           target,
			ConfigPlanChecks: planned(address, plancheck.ResourceActionCreate),
			ConfigStateChecks: []statecheck.StateCheck{
				statecheck.ExpectKnownValue(address, tfjsonpath.New("id"), knownvalue.StringExact("shop/web/load_average")),
				statecheck.ExpectKnownValue(address, tfjsonpath.New("tolerance"), knownvalue.Float64Exact(0.1)),
			},
		},
		resource.TestStep{Config: target, ResourceName: address, ImportState: true, ImportStateVerify: true},
		resource.TestStep{
			Config: target, ResourceName: address, ImportState: true, ImportStateId: "shop/web",
			ExpectError: says(`"shop/web" is not a policy's id`),
		},
		resource.TestStep{ // the same in other words
			Config: webHCL + policyWith("p", "name = \"Load_Average\"\nmetric = { load_average = {}, window = \"7000ms\" }\ntarget = 1.50\ncooldown = \"60s\""),
			// Names that were left out and are now written are the same too.
			ConfigPlanChecks: nothingPlanned,
		},
		resource.TestStep{
			Config:           webHCL + policyWith("p", "metric = { load_average = { minutes = 5 } }\ntarget = 2\ncooldown = \"0s\"\ntolerance = 0"),
			ConfigPlanChecks: planned(address, plancheck.ResourceActionUpdate),
		},
		resource.TestStep{Config: steps, ConfigPlanChecks: planned(address, plancheck.ResourceActionReplace)},
		resource.TestStep{Config: steps, ResourceName: address, ImportState: true, ImportStateVerify: true},
		resource.TestStep{ // the default name follows the kind
			Config:            schedule,
			ConfigPlanChecks:  planned(address, plancheck.ResourceActionReplace),
			ConfigStateChecks: []statecheck.StateCheck{statecheck.ExpectKnownValue(address, tfjsonpath.New("name"), knownvalue.StringExact("schedule"))},
		},
		resource.TestStep{Config: schedule, ResourceName: address, ImportState: true, ImportStateVerify: true},
		resource.TestStep{ // gone behind Terraform's back
			PreConfig:        func() { w.must(w.store().Delete(t.Context(), state.PolicyKey("shop", "web", "schedule"))) },
			Config:           schedule,
			ConfigPlanChecks: planned(address, plancheck.ResourceActionCreate),
		},
	)
}

func TestScalingPolicyThatCannotBe(t *testing.T) {
	const load = "metric = { load_average = { minutes = 1 } }\n"
	const cpu = "metric = { cpu = {} }\n"
	for name, c := range map[string]struct {
		lines string
		says  []string
	}{
		"no kind":                      {load, []string{"target,step,schedule"}},
		"two kinds":                    {load + "target = 1\nstep = [{ from = 1, add = 1 }]", []string{"target,step,schedule"}},
		"no step":                      {load + "step = []", []string{"step", "at least 1"}},
		"a target without a metric":    {"target = 1", []string{"metric", "nothing to measure"}},
		"a schedule with a metric":     {load + "schedule = { cron = \"0 8 * * *\", zone = \"UTC\", duration = \"1h\", min = 2 }", []string{"metric", "schedule"}},
		"no metric in the metric":      {"metric = {}\ntarget = 1", []string{"metric:", "nothing is measured"}},
		"two metrics":                  {"metric = { load_average = {}, cpu = {} }\ntarget = 1", []string{"metric.cpu", "metric.load_average"}},
		"a load over no minutes":       {"metric = { load_average = { minutes = 2 } }\ntarget = 1", []string{"minutes", "1"}},
		"a target that is never met":   {load + "target = 0", []string{"target:", "can never be met"}},
		"a target that is always met":  {cpu + "target = 60", []string{"target:", "can never be exceeded"}},
		"a window of one sample":       {"metric = { cpu = {}, window = \"1s\" }\ntarget = 0.5", []string{"metric.window", "two samples"}},
		"steps that overlap":           {load + "step = [{ to = 2, add = -1 }, { from = 1, add = 1 }]", []string{"step[1]"}},
		"a tolerance of everything":    {load + "target = 1\ntolerance = 1.5", []string{"tolerance", "between"}},
		"a cooldown of days":           {load + "target = 1\ncooldown = \"48h\"", []string{"cooldown", "more than a day"}},
		"a schedule of four fields":    {"schedule = { cron = \"8 * * *\", zone = \"UTC\", duration = \"1h\", min = 2 }", []string{"schedule.cron"}},
		"a schedule that never fires":  {"schedule = { cron = \"0 8 31 2 *\", zone = \"UTC\", duration = \"1h\", min = 2 }", []string{"schedule.cron", "never fires"}},
		"a zone that is none":          {"schedule = { cron = \"0 8 * * *\", zone = \"Mars/Olympus\", duration = \"1h\", min = 2 }", []string{"schedule.zone", "Mars/Olympus"}},
		"a schedule of nothing":        {"schedule = { cron = \"0 8 * * *\", zone = \"UTC\", duration = \"1h\" }", []string{"schedule.min", "neither min nor max"}},
		"a schedule beyond the role's": {"schedule = { cron = \"0 8 * * *\", zone = \"UTC\", duration = \"1h\", min = 9 }", []string{"schedule.min", "outside of role"}},
	} {
		t.Run(name, func(t *testing.T) {
			newWorld(t).run(resource.TestStep{Config: webHCL + policyWith("p", c.lines), PlanOnly: true, ExpectError: says(c.says...)})
		})
	}
}

func TestScalingPoliciesTogether(t *testing.T) {
	const load = "metric = { load_average = { minutes = 1 } }\n"
	high := policyWith("high", load+"name = \"high\"\ntarget = 5")
	low := policyWith("low", load+"name = \"low\"\ntarget = 1")
	contradiction := says("contradict each other")

	t.Run("planned at once", func(t *testing.T) {
		newWorld(t).run(resource.TestStep{Config: webHCL + high + low, PlanOnly: true, ExpectError: contradiction})
	})
	t.Run("planned beside one that is there", func(t *testing.T) {
		w := newWorld(t)
		w.run(
			resource.TestStep{Config: webHCL + high},
			resource.TestStep{Config: webHCL + high + low, PlanOnly: true, ExpectError: contradiction},
			resource.TestStep{Config: webHCL + low}, // in its place: one goes and the other comes, in whatever order
		)
	})
	t.Run("of one name", func(t *testing.T) {
		newWorld(t).run(resource.TestStep{
			Config:   webHCL + policyWith("a", load+"target = 1") + policyWith("b", load+"target = 1.1"),
			PlanOnly: true, ExpectError: says("name is taken", "Give this one a name of its own"),
		})
	})
	t.Run("in agreement", func(t *testing.T) {
		newWorld(t).run(resource.TestStep{
			Config: webHCL + policyWith("a", load+"target = 1") + policyWith("b", "metric = { cpu = {} }\ntarget = 0.6") +
				policyWith("day", "schedule = { cron = \"0 8 * * *\", zone = \"UTC\", duration = \"1h\", min = 2 }"),
			ConfigPlanChecks: unchanged,
		})
	})
}
