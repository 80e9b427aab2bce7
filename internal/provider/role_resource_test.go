package provider

import (
	"testing"
	"time"

	"github.com/hashicorp/terraform-plugin-testing/compare"
	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/knownvalue"
	"github.com/hashicorp/terraform-plugin-testing/plancheck"
	"github.com/hashicorp/terraform-plugin-testing/statecheck"
	"github.com/hashicorp/terraform-plugin-testing/terraform"
	"github.com/hashicorp/terraform-plugin-testing/tfjsonpath"

	"github.com/farmhand/terraform-provider-farmhand/internal/platform/simulated"
	"github.com/farmhand/terraform-provider-farmhand/internal/spec"
	"github.com/farmhand/terraform-provider-farmhand/internal/state"
	"github.com/farmhand/terraform-provider-farmhand/internal/store"
)

// webWith is the role web with lines of its own.
func webWith(lines string) string {
	return farmHCL + `
resource "farmhand_role" "web" {
  farm     = farmhand_farm.shop.name
  name     = "web"
` + lines + "\n}\n"
}

func TestRole(t *testing.T) {
	w := newWorld(t)
	const address = "farmhand_role.web"
	same := statecheck.CompareValue(compare.ValuesSame())
	full := `
  behavior    = "apache"
  min         = 2
  max         = 4
  drain       = "0s"
  environment = { MODE = "live", COLOUR = "red" }
  settings    = { max_workers = "20" }
  boot_script = "echo hello"
  health_check = { http = { path = "/healthz" }, interval = "2s", unhealthy_after = 2, grace = "1m" }
  launch_timeout = "1m30s"
  shutdown_hook = "exit 0"
  shutdown_hook_timeout = "1h"
`
	w.run(
		resource.TestStep{
			Config:           webHCL,
			ConfigPlanChecks: planned(address, plancheck.ResourceActionCreate),
			Check: func(*terraform.State) error {
				w.serving("web", 2)
				return nil
			},
			ConfigStateChecks: []statecheck.StateCheck{
				statecheck.ExpectKnownValue(address, tfjsonpath.New("id"), knownvalue.StringExact("shop/web")),
				statecheck.ExpectKnownValue(address, tfjsonpath.New("address"), knownvalue.StringExact("10.200.0.10")),
				statecheck.ExpectKnownValue(address, tfjsonpath.New("shutdown_hook"), knownvalue.Null()),
				statecheck.ExpectKnownValue(address, tfjsonpath.New("shutdown_hook_timeout"), knownvalue.StringExact(spec.DefaultShutdownHookTimeout.String())),
				statecheck.ExpectKnownValue(address, tfjsonpath.New("health_check").AtMapKey("interval"), knownvalue.StringExact(spec.DefaultCheckInterval.String())),
				same.AddStateValue(address, tfjsonpath.New("address")),
			},
		},
		resource.TestStep{Config: webHCL, ResourceName: address, ImportState: true, ImportStateVerify: true},
		resource.TestStep{
			Config: webHCL, ResourceName: address, ImportState: true, ImportStateId: "web",
			ExpectError: says(`"web" is not a role's id: write it as farm/role`),
		},
		resource.TestStep{
			Config:            webWith(full),
			ConfigPlanChecks:  planned(address, plancheck.ResourceActionUpdate),
			ConfigStateChecks: []statecheck.StateCheck{same.AddStateValue(address, tfjsonpath.New("address"))},
		},
		resource.TestStep{Config: webWith(full), ResourceName: address, ImportState: true, ImportStateVerify: true},
		resource.TestStep{ // the same in other words
			Config: webWith(`
  behavior    = "apache"
  min         = 2
  max         = 4
  drain       = "0m"
  environment = { COLOUR = "red", MODE = "live" }
  settings    = { max_workers = "20" }
  boot_script = "echo hello"
  health_check = { http = { path = "/healthz" }, interval = "2000ms", unhealthy_after = 2, grace = "60s" }
  launch_timeout = "90s"
  shutdown_hook = "exit 0"
  shutdown_hook_timeout = "60m"
  uses = []
  image = ""
`),
			ConfigPlanChecks: resource.ConfigPlanChecks{PostApplyPostRefresh: unchanged.PostApplyPostRefresh},
		},
		resource.TestStep{ // gone behind Terraform's back
			PreConfig:        func() { w.must(w.backend().destroyRole(t.Context(), w.store(), "shop", "web")) },
			Config:           webHCL,
			ConfigPlanChecks: planned(address, plancheck.ResourceActionCreate),
		},
		resource.TestStep{ // an interrupted destroy: an apply ends it and makes the role anew
			PreConfig: func() {
				w.must(markDeleting[spec.Role](t.Context(), w.store(), state.RoleKey("shop", "web")))
			},
			Config:           webHCL,
			ConfigPlanChecks: planned(address, plancheck.ResourceActionReplace),
		},
		resource.TestStep{ // another behavior is another role, and its own name is not taken by itself
			Config:           webWith("behavior = \"base\"\nmin = 1\nmax = 1\ndrain = \"0s\""),
			ConfigPlanChecks: planned(address, plancheck.ResourceActionReplace),
		},
	)
}

// A number that the sidecar moves is in no attribute: the plan after scaling is empty, and so is one after healing.
func TestRoleThatScalesAndHealsLeavesThePlanEmpty(t *testing.T) {
	w := newWorld(t)
	config := webHCL + `
resource "farmhand_scaling_policy" "load" {
  role     = farmhand_role.web.id
  metric   = { load_average = { minutes = 1 } }
  target   = 1
  cooldown = "1s"
}
data "farmhand_farm" "now" {
  name       = farmhand_farm.shop.name
  depends_on = [farmhand_role.web]
}
`
	w.run(
		resource.TestStep{Config: config, ConfigPlanChecks: unchanged},
		resource.TestStep{
			PreConfig: func() {
				w.must(simulated.SetDemand(t.Context(), w.store(), "shop", "web", 40))
				w.eventually("the role has grown to its max", func() bool { return w.count("web") == 4 })
			},
			Config: config, ConfigPlanChecks: nothingPlanned,
			ConfigStateChecks: []statecheck.StateCheck{
				statecheck.ExpectKnownValue("data.farmhand_farm.now", tfjsonpath.New("roles").AtMapKey("web").AtMapKey("desired"), knownvalue.Int64Exact(4)),
			},
		},
		resource.TestStep{
			PreConfig: func() {
				token := w.instance("web-1").Token
				w.must(simulated.Kill(t.Context(), w.store(), "shop", "web-1"))
				w.eventually("web-1 is another", func() bool { i := w.instance("web-1"); return i.Token != token && i.Phase == state.Running })
			},
			Config: config, ConfigPlanChecks: nothingPlanned,
		},
		resource.TestStep{ // the sidecar dies and lives again: instances are adopted
			PreConfig:        w.kill,
			Config:           config,
			ConfigPlanChecks: planned("farmhand_sidecar.here", plancheck.ResourceActionUpdate),
			Check: func(*terraform.State) error {
				w.eventually("four are adopted and serve", func() bool { return w.count("web") == 4 })
				return nil
			},
		},
	)
}

// A new generation replaces the servers, one at a time; the plan says so and the apply waits for it.
func TestRoleOfANewGeneration(t *testing.T) {
	w := newWorld(t)
	before := map[string]string{}
	lines := func(script string) string {
		return webWith("behavior = \"apache\"\nmin = 2\nmax = 4\ndrain = \"0s\"\nboot_script = \"" + script + "\"")
	}
	w.run(
		resource.TestStep{
			Config: lines("echo one"),
			Check: func(*terraform.State) error {
				for _, name := range []string{"web-1", "web-2"} {
					before[name] = w.instance(name).Generation
				}
				return nil
			},
		},
		resource.TestStep{
			Config:           lines("echo two"),
			ConfigPlanChecks: planned("farmhand_role.web", plancheck.ResourceActionUpdate),
			Check: func(*terraform.State) error {
				for _, i := range w.instances("web") {
					if i.Phase == state.Running && i.Generation == before["web-1"] {
						t.Errorf("%s still serves as the former generation", i.Name())
					}
				}
				w.serving("web", 2)
				return nil
			},
		},
	)
}

func TestRoleSecretsAreInTheStoreAlone(t *testing.T) {
	w := newWorld(t)
	lines := func(secret, version string) string {
		return webWith("behavior = \"apache\"\nmin = 1\nmax = 1\ndrain = \"0s\"\nsecret_environment_wo = { API_KEY = \"" + secret + "\" }\nsecret_environment_wo_version = " + version)
	}
	secret := func() string {
		s, _, err := store.GetJSON[map[string]string](t.Context(), w.store(), state.SecretKey("shop", "web"))
		w.must(err)
		return s["API_KEY"]
	}
	expect := func(want string) resource.TestCheckFunc {
		return func(*terraform.State) error {
			if got := secret(); got != want {
				t.Errorf("the store holds %q, want %q", got, want)
			}
			return nil
		}
	}
	w.run(
		resource.TestStep{
			Config: lines("swordfish", "1"),
			Check:  expect("swordfish"),
			ConfigStateChecks: []statecheck.StateCheck{
				statecheck.ExpectKnownValue("farmhand_role.web", tfjsonpath.New("secret_environment_wo"), knownvalue.Null())},
		},
		resource.TestStep{ // a value without its version is not seen
			Config: lines("mackerel", "1"), ConfigPlanChecks: nothingPlanned, Check: expect("swordfish"),
		},
		resource.TestStep{
			Config: lines("mackerel", "2"), Check: expect("mackerel"),
			ConfigPlanChecks: planned("farmhand_role.web", plancheck.ResourceActionUpdate),
		},
		resource.TestStep{
			Config: webWith("behavior = \"apache\"\nmin = 1\nmax = 1\ndrain = \"0s\""), Check: expect(""),
			ConfigPlanChecks: planned("farmhand_role.web", plancheck.ResourceActionUpdate),
		},
	)
}

// A role that does not come up is an error that tells why, and nothing of it stays behind.
func TestRoleThatDoesNotComeUp(t *testing.T) {
	w := newWorld(t)
	broken := sidecarHCL + `
resource "farmhand_farm" "shop" {
  name      = "shop"
  sidecar   = farmhand_sidecar.here.id
  zone      = "shop.internal"
  tick      = "200ms"
  simulated = { boot_time = "100ms", fail_launches = 1 }
}
`
	web := `
resource "farmhand_role" "web" {
  farm     = farmhand_farm.shop.name
  name     = "web"
  behavior = "apache"
  min      = 1
  max      = 1
  drain    = "0s"
  timeouts = { create = "5s" }
}
`
	w.run(
		resource.TestStep{Config: broken},
		resource.TestStep{
			Config:      broken + web,
			ExpectError: says("Role shop/web does not come up", "0 of 1 servers of web serve", "web-1 failed at step", "exit status 3"),
		},
		resource.TestStep{
			PreConfig: func() {
				if _, err := w.store().Get(t.Context(), state.RoleKey("shop", "web")); err == nil {
					t.Error("the role is still declared")
				}
				if n := len(w.instances("web")); n > 0 {
					t.Errorf("%d instances are left", n)
				}
			},
			Config: broken, ConfigPlanChecks: nothingPlanned,
		},
	)
}

// New servers that do not come up put the former declaration back: the old ones go on serving.
func TestRoleUpdateThatFailsIsUndone(t *testing.T) {
	w := newWorld(t)
	config := func(failing, script string) string {
		return sidecarHCL + `
resource "farmhand_farm" "shop" {
  name      = "shop"
  sidecar   = farmhand_sidecar.here.id
  zone      = "shop.internal"
  tick      = "200ms"
  simulated = { boot_time = "100ms", fail_launches = ` + failing + ` }
}
resource "farmhand_role" "web" {
  farm        = farmhand_farm.shop.name
  name        = "web"
  behavior    = "apache"
  min         = 1
  max         = 2
  drain       = "0s"
  boot_script = "echo ` + script + `"
}
`
	}
	var generation string
	w.run(
		resource.TestStep{
			Config: config("0", "one"),
			Check: func(*terraform.State) error {
				generation = w.instance("web-1").Generation
				return nil
			},
		},
		resource.TestStep{
			PreConfig:   func() { w.hurry("web") },
			Config:      config("1", "two"),
			ExpectError: says("does not come up as declared", "the sidecar tries no more", "failed at step", "exit status 3"),
		},
		resource.TestStep{
			PreConfig: func() {
				d, _, err := store.GetJSON[state.Declared[spec.Role]](t.Context(), w.store(), state.RoleKey("shop", "web"))
				if err != nil || d.Spec.BootScript != "echo one" {
					t.Errorf("the declaration is %+v, %v", d.Spec, err)
				}
				if i := w.instance("web-1"); i.Generation != generation || i.Phase != state.Running {
					t.Errorf("web-1 is %s of %s, want running of %s", i.Phase, i.Generation, generation)
				}
			},
			Config: config("1", "one"), ConfigPlanChecks: nothingPlanned,
		},
	)
}

// An image is looked for where the farm runs.
func TestRoleOfAnImageThatDoesNotExist(t *testing.T) {
	w := newWorld(t)
	w.run(
		resource.TestStep{Config: farmHCL},
		resource.TestStep{
			Config:   webWith("behavior = \"apache\"\nmin = 1\nmax = 1\nimage = \"missing:1\""),
			PlanOnly: true, ExpectError: says("image:", "missing:1", "does not exist"),
		},
		resource.TestStep{Config: farmHCL, ConfigPlanChecks: nothingPlanned},
	)
}

func TestRoleThatCannotBe(t *testing.T) {
	const envelope = "min = 1\nmax = 2\n"
	const web = "behavior = \"apache\"\n" + envelope
	for name, c := range map[string]struct {
		lines string
		says  []string
	}{
		"an unknown behavior":           {"behavior = \"apche\"\n" + envelope, []string{"behavior:", `no behavior "apche"`, "apache, base, haproxy"}},
		"min above max":                 {"behavior = \"apache\"\nmin = 3\nmax = 2", []string{"min:", "min 3 is greater than max 2"}},
		"a negative min":                {"behavior = \"apache\"\nmin = -1\nmax = 2", []string{"min", "at least 0"}},
		"an unknown setting":            {web + "settings = { wrokers = \"3\" }", []string{"wrokers", "no setting"}},
		"a setting out of range":        {"behavior = \"mysql\"\n" + envelope + "settings = { memory_mb = \"lots\" }", []string{"memory_mb", "lots"}},
		"two health checks":             {web + "health_check = { http = { path = \"/\" }, tcp = {} }", []string{"health_check.tcp", "health_check.http"}},
		"a path that is none":           {web + "health_check = { http = { path = \"healthz\" } }", []string{"health_check.http.path", "slash"}},
		"a port that is none":           {web + "health_check = { tcp = { port = 70000 } }", []string{"health_check.tcp.port", "65535"}},
		"an interval of nothing":        {web + "health_check = { interval = \"0s\" }", []string{"health_check.interval", "zero"}},
		"a check slower than its turn":  {web + "health_check = { interval = \"1s\", timeout = \"5s\" }", []string{"health_check.timeout", "longer than interval"}},
		"no failure in a row":           {web + "health_check = { unhealthy_after = 0 }", []string{"unhealthy_after", "at least 1"}},
		"a drain without a unit":        {web + "drain = \"ten\"", []string{"drain", "not a duration"}},
		"a drain of days":               {web + "drain = \"48h\"", []string{"drain", "more than a day"}},
		"an unknown order":              {web + "scale_in = \"random\"", []string{"scale_in", "newest"}},
		"a hook without time":           {web + "shutdown_hook = \"true\"\nshutdown_hook_timeout = \"0s\"", []string{"shutdown_hook_timeout", "is zero"}},
		"a flap budget of one":          {web + "reversals_per_hour = 1", []string{"reversals_per_hour", "could never shrink"}},
		"a volume without a place":      {"behavior = \"base\"\n" + envelope + "volume = {}", []string{"volume.path", "no place of its own"}},
		"a volume with a relative path": {"behavior = \"base\"\n" + envelope + "volume = { path = \"data\" }", []string{"volume.path", "absolute"}},
		"a volume kept how":             {"behavior = \"mysql\"\n" + envelope + "volume = { on_destroy = \"hide\" }", []string{"on_destroy", "keep"}},
		"a secret without a version":    {web + "secret_environment_wo = { A = \"b\" }", []string{"secret_environment_wo_version"}},
		"a variable of no name":         {web + "environment = { \"A-B\" = \"c\" }", []string{"A-B", "environment variable"}},
		"a role of another farm":        {web + "uses = [\"market/mysql\"]", []string{"uses", "another farm"}},
		"a role that uses itself":       {web + "uses = [\"shop/web\"]", []string{"uses", "itself"}},
		"more than the subnet holds":    {"behavior = \"apache\"\nmin = 1\nmax = 900", []string{"max", "room"}},
	} {
		t.Run(name, func(t *testing.T) {
			config := sidecarHCL + `
resource "farmhand_farm" "shop" {
  name      = "shop"
  sidecar   = farmhand_sidecar.here.id
  zone      = "shop.internal"
  simulated = { subnet = "10.200.0.0/24" }
}
resource "farmhand_role" "web" {
  farm = farmhand_farm.shop.name
  name = "web"
` + c.lines + "\n}\n"
			newWorld(t).run(resource.TestStep{Config: config, PlanOnly: true, ExpectError: says(c.says...)})
		})
	}
}

func TestRoleThatNamesWhatIsNotThere(t *testing.T) {
	for name, c := range map[string]struct {
		lines string
		says  []string
	}{
		"a role":         {"uses = [\"shop/mysql\"]", []string{"uses:", `no role "shop/mysql"`, "farmhand_role.<name>.id"}},
		"an application": {"application = \"site\"", []string{"application:", `no application "site"`}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.run(
				resource.TestStep{Config: farmHCL},
				resource.TestStep{Config: webWith("behavior = \"apache\"\nmin = 1\nmax = 1\n" + c.lines), ExpectError: says(c.says...)},
				resource.TestStep{Config: farmHCL, ConfigPlanChecks: nothingPlanned},
			)
		})
	}
	t.Run("a farm", func(t *testing.T) {
		w := newWorld(t)
		w.run(resource.TestStep{
			Config:      "resource \"farmhand_role\" \"web\" {\n farm = \"nowhere\"\n name = \"web\"\n behavior = \"apache\"\n min = 1\n max = 1\n}",
			ExpectError: says("no such farm", "farm:", `"nowhere"`),
		}, resource.TestStep{Config: sidecarHCL})
	})
}

// instances are the role's records, instance one of them, and count how many serve.
func (w *world) instances(role string) []state.Instance {
	w.t.Helper()
	items, err := store.ListJSON[state.Instance](w.t.Context(), w.store(), state.InstancePrefix("shop"))
	w.must(err)
	var all []state.Instance
	for _, it := range items {
		if it.Value.Role == role {
			all = append(all, it.Value)
		}
	}
	return all
}

func (w *world) instance(name string) state.Instance {
	w.t.Helper()
	i, _, err := store.GetJSON[state.Instance](w.t.Context(), w.store(), state.InstanceKey("shop", name))
	if err != nil {
		return state.Instance{}
	}
	return i
}

func (w *world) count(role string) (n int) {
	w.t.Helper()
	for _, i := range w.instances(role) {
		if i.Phase == state.Running {
			n++
		}
	}
	return n
}

func (w *world) serving(role string, want int) {
	w.t.Helper()
	if n := w.count(role); n != want {
		w.t.Errorf("%d servers of %s serve, want %d", n, role, want)
	}
}

// hurry makes the first launch that fails use up the role's launches, which takes over a minute else. It ends with the test.
func (w *world) hurry(role string) {
	s, key := w.store(), state.MemoryKey("shop", role)
	go func() {
		for ctx := w.t.Context(); ctx.Err() == nil; time.Sleep(20 * time.Millisecond) {
			m, revision, err := store.GetJSON[state.Memory](ctx, s, key)
			if err == nil && m.LaunchFailures > 0 && m.LaunchFailures < 5 {
				m.LaunchFailures = 5
				_, _ = store.PutJSON(ctx, s, key, m, store.If(store.At(revision))) // else the next round does it
			}
		}
	}()
}
