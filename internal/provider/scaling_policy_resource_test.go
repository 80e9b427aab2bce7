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
		"no kind":                      {load, []string{"target,step,threshold,queue,schedule,forecast"}},
		"two kinds":                    {load + "target = 1\nstep = [{ from = 1, add = 1 }]", []string{"target,step,threshold,queue,schedule,forecast"}},
		"no step":                      {load + "step = []", []string{"step", "at least 1"}},
		"a target without a metric":    {"target = 1", []string{"metric", "nothing to measure"}},
		"a schedule with a metric":     {load + "schedule = { cron = \"0 8 * * *\", zone = \"UTC\", duration = \"1h\", min = 2 }", []string{"metric", "schedule"}},
		"no metric in the metric":      {"metric = {}\ntarget = 1", []string{"metric:", "no kind of metric is set", "load_average or cpu"}},
		"two metrics":                  {"metric = { load_average = {}, cpu = {} }\ntarget = 1", []string{"metric.load_average and metric.cpu"}},
		"a load over no minutes":       {"metric = { load_average = { minutes = 2 } }\ntarget = 1", []string{"minutes", "1"}},
		"a target that is never met":   {load + "target = 0", []string{"target:", "can never be met"}},
		"a target that is always met":  {cpu + "target = 60", []string{"target:", "can never be exceeded"}},
		"a window of one sample":       {"metric = { cpu = {}, window = \"1s\" }\ntarget = 0.5", []string{"metric.window", "two samples"}},
		"steps that overlap":           {load + "step = [{ to = 2, add = -1 }, { from = 1, add = 1 }]", []string{"step[1]"}},
		"a tolerance of everything":    {load + "target = 1\ntolerance = 1.5", []string{"tolerance", "between"}},
		"a cooldown of days":           {load + "target = 1\ncooldown = \"48h\"", []string{"cooldown", "more than a day"}},
		"a schedule of four fields":    {"schedule = { cron = \"8 * * *\", zone = \"UTC\", duration = \"1h\", min = 2 }", []string{"schedule.cron"}},
		"a schedule that never fires":  {"schedule = { cron = \"0 8 31 2 *\", zone = \"UTC\", duration = \"1h\", min = 2 }", []string{"schedule.cron", "never fires"}},
		"a threshold of nothing":       {cpu + "threshold = {}", []string{"threshold.upper", "neither lower nor upper"}},
		"a threshold that swings":      {cpu + "threshold = { lower = 0.5, upper = 0.6, upper_increment = 2, breach_duration = \"1m\" }", []string{"threshold.upper_increment", "would swing: with 2 servers"}},
		"a queue on each server":       {load + "queue = { backlog = 10 }", []string{"metric", "is measured on each server"}},
		"a forecast on Mars":           {load + "forecast = { target = 1, zone = \"Mars/Olympus\" }", []string{"forecast.zone", "Mars/Olympus"}},
		"a pace of nothing":            {load + "target = 1\nscale_in = {}", []string{"scale_in", "says nothing"}},
		"a rate without a time":        {load + "target = 1\nscale_out = { at_most = 2 }", []string{"scale_out.per", "in which time"}},
		"a day that is none":           {"schedule = { days = [\"moonday\"], from = \"8:00\", to = \"9:00\", zone = \"UTC\", min = 2 }", []string{"days", "moonday"}},
		"from and no to":               {"schedule = { from = \"08:00\", zone = \"UTC\", min = 2 }", []string{"schedule.to", "must be specified"}},
		"cron and days":                {"schedule = { cron = \"0 8 * * *\", days = [\"mon\"], from = \"08:00\", to = \"09:00\", zone = \"UTC\", min = 2 }", []string{"schedule.cron", "beside days"}},
		"exact beyond the role's":      {"schedule = { from = \"08:00\", to = \"09:00\", zone = \"UTC\", exact = 7 }", []string{"schedule.exact", "outside of role"}},
		"a zone that is none":          {"schedule = { cron = \"0 8 * * *\", zone = \"Mars/Olympus\", duration = \"1h\", min = 2 }", []string{"schedule.zone", "Mars/Olympus"}},
		"a schedule of nothing":        {"schedule = { cron = \"0 8 * * *\", zone = \"UTC\", duration = \"1h\" }", []string{"schedule.min", "neither min nor max"}},
		"a schedule beyond the role's": {"schedule = { cron = \"0 8 * * *\", zone = \"UTC\", duration = \"1h\", min = 9 }", []string{"schedule.min", "outside of role"}},
	} {
		t.Run(name, func(t *testing.T) {
			newWorld(t).run(resource.TestStep{Config: webHCL + policyWith("p", c.lines), PlanOnly: true, ExpectError: says(c.says...)})
		})
	}
}

// TestScalingPolicyKinds: each kind is made, read back by an import, and planned again without a change; one becomes another.
func TestScalingPolicyKinds(t *testing.T) {
	w := newWorld(t)
	const address = "farmhand_scaling_policy.p"
	var steps []resource.TestStep
	for _, c := range []struct{ id, lines string }{
		{"shop/web/load_average", `
  metric    = { load_average = {} }
  threshold = { lower = 0.5, upper = 2 }`},
		{"shop/web/load_average", `
  metric    = { load_average = {} }
  threshold = { upper = 2, period = "30s", breach_duration = "5m", upper_increment = 2 }
  scale_out = { stabilization_window = "0s" }
  scale_in  = { stabilization_window = "10m", at_most = 2, per = "1m" }`},
		{"shop/web/forecast", `
  metric   = { cpu = {} }
  forecast = { target = 0.5 }`},
		{"shop/web/forecast", `
  metric   = { cpu = {} }
  forecast = { target = 0.6, zone = "Europe/Berlin" }`},
		{"shop/web/schedule", `
  schedule = { days = ["fri", "sat"], from = "22:00", to = "06:00", zone = "Europe/Berlin", exact = 2 }`},
		{"shop/web/schedule", `
  schedule = { from = "08:00", to = "24:00", zone = "UTC", max = 3 }`},
	} {
		config := webHCL + policyWith("p", c.lines)
		steps = append(steps,
			resource.TestStep{Config: config, ConfigStateChecks: []statecheck.StateCheck{statecheck.ExpectKnownValue(address, tfjsonpath.New("id"), knownvalue.StringExact(c.id))}},
			resource.TestStep{Config: config, ConfigPlanChecks: nothingPlanned},
			resource.TestStep{Config: config, ResourceName: address, ImportState: true, ImportStateVerify: true},
		)
	}
	steps = append(steps, resource.TestStep{Config: webHCL})
	w.run(steps...)
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
