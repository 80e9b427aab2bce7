package provider

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/hashicorp/terraform-plugin-testing/compare"
	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/plancheck"
	"github.com/hashicorp/terraform-plugin-testing/statecheck"
	"github.com/hashicorp/terraform-plugin-testing/terraform"
	"github.com/hashicorp/terraform-plugin-testing/tfjsonpath"

	"github.com/farmhand/terraform-provider-farmhand/internal/state"
)

// site writes a folder to deploy.
func site(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func applicationHCL(lines string) string {
	return "\nresource \"farmhand_application\" \"site\" {\n" + lines + "\n}\n"
}

func TestApplication(t *testing.T) {
	w := newWorld(t)
	const address = "farmhand_application.site"
	dir := site(t, map[string]string{"index.php": "one", "lib/shop.php": "shop"})
	app := applicationHCL("name = \"site\"\nsource = \"" + dir + "\"")
	role := `
resource "farmhand_role" "web" {
  farm        = farmhand_farm.shop.name
  name        = "web"
  behavior    = "apache"
  min         = 1
  max         = 2
  drain       = "0s"
  application = farmhand_application.site.id
}
`
	same := statecheck.CompareValue(compare.ValuesSame())
	differ := statecheck.CompareValue(compare.ValuesDiffer())
	var generation string
	w.run(
		resource.TestStep{
			Config:           farmHCL + app + role,
			ConfigPlanChecks: planned(address, plancheck.ResourceActionCreate),
			ConfigStateChecks: []statecheck.StateCheck{
				same.AddStateValue(address, tfjsonpath.New("release")), differ.AddStateValue(address, tfjsonpath.New("release"))},
			Check: func(*terraform.State) error {
				generation = w.instance("web-1").Generation
				return nil
			},
		},
		resource.TestStep{
			Config: farmHCL + app + role, ResourceName: address, ImportState: true, ImportStateVerify: true,
			ImportStateVerifyIgnore: []string{"source"}, // the store keeps what was packed, not where from
		},
		resource.TestStep{ // touched, not changed
			PreConfig:         func() { w.must(os.Chtimes(filepath.Join(dir, "index.php"), longAgo, longAgo)) },
			Config:            farmHCL + app + role,
			ConfigPlanChecks:  nothingPlanned,
			ConfigStateChecks: []statecheck.StateCheck{same.AddStateValue(address, tfjsonpath.New("release"))},
		},
		resource.TestStep{ // a changed file is a new release, which replaces the servers
			PreConfig:         func() { w.must(os.WriteFile(filepath.Join(dir, "index.php"), []byte("two"), 0o644)) },
			Config:            farmHCL + app + role,
			ConfigPlanChecks:  planned(address, plancheck.ResourceActionUpdate),
			ConfigStateChecks: []statecheck.StateCheck{differ.AddStateValue(address, tfjsonpath.New("release"))},
			Check: func(*terraform.State) error {
				for _, i := range w.instances("web") {
					if i.Phase == state.Running && i.Generation == generation {
						t.Errorf("%s still serves the former release", i.Name())
					}
				}
				if blobs := w.blobs(); len(blobs) != 1 {
					t.Errorf("the releases are %v, want the new one alone", blobs)
				}
				return nil
			},
		},
		resource.TestStep{ // gone behind Terraform's back
			PreConfig:        func() { w.must(w.store().Delete(t.Context(), state.ApplicationKey("site"))) },
			Config:           farmHCL + app + role,
			ConfigPlanChecks: planned(address, plancheck.ResourceActionCreate),
		},
		resource.TestStep{ // still in use: refused, and removed once it is not
			Config: farmHCL + app + `
resource "farmhand_role" "web" {
  farm        = farmhand_farm.shop.name
  name        = "web"
  behavior    = "apache"
  min         = 1
  max         = 2
  drain       = "0s"
  application = "site"
}
`,
			ConfigPlanChecks: nothingPlanned,
		},
		resource.TestStep{
			Config: farmHCL + `
resource "farmhand_role" "web" {
  farm        = farmhand_farm.shop.name
  name        = "web"
  behavior    = "apache"
  min         = 1
  max         = 2
  drain       = "0s"
  application = "site"
}
`,
			ExpectError: says("Application site is in use", "It is run by shop/web"),
		},
		resource.TestStep{Config: farmHCL},
	)
}

func TestApplicationOfATakenName(t *testing.T) {
	w := newWorld(t)
	dir := site(t, map[string]string{"index.php": "one"})
	app := applicationHCL("name = \"site\"\nsource = \"" + dir + "\"")
	w.run(
		resource.TestStep{Config: sidecarHCL + app},
		resource.TestStep{
			Config:   sidecarHCL + app + "resource \"farmhand_application\" \"other\" {\nname = \"Site\"\nsource = \"" + dir + "\"\n}",
			PlanOnly: true, ExpectError: says("name is taken", `"site"`),
		},
		resource.TestStep{Config: sidecarHCL},
	)
}

func TestApplicationThatCannotBe(t *testing.T) {
	dir := site(t, map[string]string{"site/index.php": "one", "file": "a file"})
	if err := os.Mkdir(filepath.Join(dir, "empty"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(dir, "leaking"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("/etc/passwd", filepath.Join(dir, "leaking", "users")); err != nil {
		t.Fatal(err)
	}
	source := func(name string) string { return "name = \"site\"\nsource = \"" + filepath.Join(dir, name) + "\"\n" }
	for name, c := range map[string]struct {
		lines string
		says  []string
	}{
		"a folder that is not there":  {source("nowhere"), []string{"source:", "there is no folder", "nowhere"}},
		"a folder that is a file":     {source("file"), []string{"source:", "is not a folder"}},
		"a folder that is empty":      {source("empty"), []string{"source:", "is empty"}},
		"a link that leads elsewhere": {source("leaking"), []string{"source:", "users leads out of the folder"}},
		"a name that is none":         {"name = \"my site\"\nsource = \"" + filepath.Join(dir, "site") + "\"", []string{"name:", `"my site"`}},
		"a document root above it":    {source("site") + "document_root = \"../etc\"", []string{"document_root", "not a folder inside"}},
	} {
		t.Run(name, func(t *testing.T) {
			newWorld(t).run(resource.TestStep{Config: applicationHCL(c.lines), PlanOnly: true, ExpectError: says(c.says...)})
		})
	}
}

func (w *world) blobs() (names []string) {
	w.t.Helper()
	w.must(filepath.WalkDir(filepath.Join(w.dir, "blobs"), func(path string, d os.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			names = append(names, d.Name())
		}
		return err
	}))
	return names
}
