package provider

import (
	"errors"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/knownvalue"
	"github.com/hashicorp/terraform-plugin-testing/plancheck"
	"github.com/hashicorp/terraform-plugin-testing/statecheck"
	"github.com/hashicorp/terraform-plugin-testing/tfjsonpath"

	"github.com/farmhand/terraform-provider-farmhand/internal/state"
	"github.com/farmhand/terraform-provider-farmhand/internal/store"
)

// metrics are one of each kind, as short as may be.
var metrics = map[string]string{
	"load_average":        `load_average = {}`,
	"cpu":                 `cpu = {}`,
	"memory_free":         `memory_free = {}`,
	"bandwidth":           `bandwidth = { direction = "in" }`,
	"busy_workers":        `busy_workers = {}`,
	"requests_per_second": `requests_per_second = { at = "balancer" }`,
	"file":                `file = { path = "/run/backlog" }`,
	"command":             `command = { argv = ["/bin/backlog", "--mail"] }`,
	"response_time":       `response_time = {}`,
	"queue_depth":         `queue_depth = {}`,
	"http":                `http = { url = "http://127.0.0.1:1/", select = "queue.length" }`,
	"sql":                 `sql = { role = "shop/mysql", query = "SELECT COUNT(*) FROM jobs" }`,
	"prometheus":          `prometheus = { url = "http://127.0.0.1:1", query = "sum(up)" }`,
	"sqs":                 `sqs = { queue_url = "https://sqs.eu-west-1.amazonaws.com/123456789012/mail" }`,
	"cloudwatch":          `cloudwatch = { namespace = "Shop", name = "Waiting", dimensions = { Queue = "mail" } }`,
}

// Sidecars ask for metrics as soon as these are declared: nobody, as far as AWS is concerned. The tests run side by
// side, so that none can set it for itself.
func init() {
	if os.Getenv("AWS_ENDPOINT_URL") == "" { // a sidecar that runs from this executable may be given one
		os.Setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
	}
	os.Setenv("AWS_EC2_METADATA_DISABLED", "true")
}

// TestScalingPolicyMetrics: each kind by its shortest declaration, planned empty afterwards and imported as it is.
func TestScalingPolicyMetrics(t *testing.T) {
	if declared := slices.Sorted(maps.Keys(metrics)); !slices.Equal(declared, slices.Sorted(slices.Values(metricKinds))) {
		t.Fatalf("the test has %v", declared)
	}
	w := newWorld(t)
	all := webHCL
	for _, kind := range slices.Sorted(maps.Keys(metrics)) {
		all += policyWith(kind, "metric = { "+metrics[kind]+" }\ntarget = 0.5")
	}
	steps := []resource.TestStep{
		{Config: all},
		{Config: all, ConfigPlanChecks: nothingPlanned, ConfigStateChecks: []statecheck.StateCheck{
			statecheck.ExpectKnownValue("farmhand_scaling_policy.response_time", tfjsonpath.New("metric").AtMapKey("statistic"), knownvalue.StringExact("p95")),
			statecheck.ExpectKnownValue("farmhand_scaling_policy.sqs", tfjsonpath.New("metric").AtMapKey("per"), knownvalue.StringExact("server")),
			statecheck.ExpectKnownValue("farmhand_scaling_policy.sqs", tfjsonpath.New("metric").AtMapKey("every"), knownvalue.StringExact("15s")),
			statecheck.ExpectKnownValue("farmhand_scaling_policy.cloudwatch", tfjsonpath.New("metric").AtMapKey("cloudwatch").AtMapKey("period"), knownvalue.StringExact("1m")),
			statecheck.ExpectKnownValue("farmhand_scaling_policy.cpu", tfjsonpath.New("metric").AtMapKey("per"), knownvalue.Null()),
		}},
	}
	for _, kind := range []string{"bandwidth", "command", "http", "sql", "cloudwatch"} { // those with settings of every sort
		steps = append(steps, resource.TestStep{Config: all, ResourceName: "farmhand_scaling_policy." + kind, ImportState: true, ImportStateVerify: true})
	}
	w.run(append(steps, resource.TestStep{Config: all, ConfigPlanChecks: nothingPlanned})...)
}

// TestScalingPolicyMetricChanges: another kind takes its own defaults along; the same in other words is no change.
func TestScalingPolicyMetricChanges(t *testing.T) {
	w := newWorld(t)
	const address = "farmhand_scaling_policy.p"
	with := func(metric string) string {
		return webHCL + policyWith("p", "name = \"p\"\nmetric = { "+metric+" }\ntarget = 0.5")
	}
	metric := tfjsonpath.New("metric")
	w.run(
		resource.TestStep{Config: with(`response_time = {}, statistic = "p99", window = "30s"`), ConfigPlanChecks: planned(address, plancheck.ResourceActionCreate)},
		resource.TestStep{Config: with(`response_time = {}, statistic = "p99", window = "30000ms"`), ConfigPlanChecks: nothingPlanned},
		resource.TestStep{Config: with(`busy_workers = {}`), ConfigPlanChecks: planned(address, plancheck.ResourceActionUpdate), ConfigStateChecks: []statecheck.StateCheck{
			statecheck.ExpectKnownValue(address, metric.AtMapKey("window"), knownvalue.StringExact("7s")),
			statecheck.ExpectKnownValue(address, metric.AtMapKey("statistic"), knownvalue.Null()),
		}},
		resource.TestStep{Config: with(`command = { argv = ["/bin/backlog"], timeout = "500ms" }, statistic = "max"`), ConfigPlanChecks: planned(address, plancheck.ResourceActionUpdate)},
		resource.TestStep{Config: with(`command = { argv = ["/bin/backlog"], timeout = "0.5s" }, statistic = "max"`), ConfigPlanChecks: nothingPlanned},
	)
}

// TestScalingPolicySecret: in the store while the policy has one, and nowhere else.
func TestScalingPolicySecret(t *testing.T) {
	w := newWorld(t)
	with := func(more string) string {
		return webHCL + policyWith("p", `
  name   = "p"
  target = 5
  metric = {
    sql = { host = "127.0.0.1:1", user = "reader", query = "SELECT 1" }
    `+more+`
  }`)
	}
	key := state.PolicySecretKey("shop", "web", "p")
	holds := func(want string) func() {
		return func() {
			s, _, err := store.GetJSON[state.PolicySecret](t.Context(), w.store(), key)
			if err != nil && !errors.Is(err, store.ErrNotFound) || s.Secret != want {
				t.Errorf("the store holds %q, %v; want %q", s.Secret, err, want)
			}
			p, err := w.store().Get(t.Context(), state.PolicyKey("shop", "web", "p"))
			if err == nil && want != "" && strings.Contains(string(p.Value), want) {
				t.Errorf("the declaration holds the secret: %s", p.Value)
			}
		}
	}
	const address = "farmhand_scaling_policy.p"
	first := with("secret_wo = \"hunter2\"\nsecret_wo_version = 1")
	second := with("secret_wo = \"hunter3\"\nsecret_wo_version = 2")
	w.run(
		resource.TestStep{Config: first, ConfigStateChecks: []statecheck.StateCheck{
			statecheck.ExpectKnownValue(address, tfjsonpath.New("metric").AtMapKey("secret_wo"), knownvalue.Null()),
		}},
		resource.TestStep{PreConfig: holds("hunter2"), Config: first, ConfigPlanChecks: nothingPlanned},
		resource.TestStep{Config: second, ConfigPlanChecks: planned(address, plancheck.ResourceActionUpdate)},
		resource.TestStep{PreConfig: holds("hunter3"), Config: with("")},
		resource.TestStep{PreConfig: holds(""), Config: second},
		resource.TestStep{Config: webHCL},
		resource.TestStep{PreConfig: holds(""), Config: webHCL, ConfigPlanChecks: nothingPlanned},
	)
}

func TestMetricsThatCannotBe(t *testing.T) {
	for name, c := range map[string]struct {
		metric string
		says   []string
	}{
		"two kinds":                 {`http = { url = "http://x/" }, sql = { query = "SELECT 1", host = "x", user = "u" }`, []string{"metric.http and metric.sql", "at once"}},
		"a direction that is none":  {`bandwidth = { direction = "up" }`, []string{"metric.bandwidth.direction"}},
		"a shell line":              {`command = { argv = ["wc -l < /x"] }`, []string{"metric.command.argv", "no shell"}},
		"a password in an address":  {`http = { url = "http://me:pw@x/" }`, []string{"metric.http.url", "password", "secret_wo"}},
		"a query that changes":      {`sql = { host = "x", user = "u", query = "DELETE FROM jobs" }`, []string{"metric.sql.query", "change nothing"}},
		"a database nowhere":        {`sql = { query = "SELECT 1" }`, []string{"metric.sql.role", "neither role nor host"}},
		"a queue that is none":      {`sqs = { queue_url = "https://sqs.eu-west-1.amazonaws.com/mail" }`, []string{"metric.sqs.queue_url", "names no queue"}},
		"a statistic that is none":  {`cpu = {}, statistic = "median"`, []string{"metric.statistic", "no statistic"}},
		"a share of a share":        {`cpu = {}, per = "server"`, []string{"metric.per", "each server already"}},
		"a window of one answer":    {`http = { url = "http://x/" }, every = "10s", window = "12s"`, []string{"metric.window", "two answers"}},
		"a period of CloudWatch":    {`cloudwatch = { namespace = "A", name = "b", period = "7s" }`, []string{"metric.cloudwatch.period", "no period"}},
		"a secret without a number": {`http = { url = "http://x/" }, secret_wo = "s"`, []string{"secret_wo_version"}},
	} {
		t.Run(name, func(t *testing.T) {
			newWorld(t).run(resource.TestStep{Config: webHCL + policyWith("p", "metric = { "+c.metric+" }\ntarget = 0.5"), PlanOnly: true, ExpectError: says(c.says...)})
		})
	}
	t.Run("free memory the wrong way round", func(t *testing.T) {
		newWorld(t).run(resource.TestStep{
			Config:   webHCL + policyWith("p", "metric = { memory_free = {} }\nstep = [{ to = 0.2, add = -1 }, { from = 0.2, add = 1 }]"),
			PlanOnly: true, ExpectError: says("step[", "memory in use"),
		})
	})
}
