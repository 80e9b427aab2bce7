package provider

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-framework/diag"

	"github.com/farmhand/terraform-provider-farmhand/internal/daemon"
	"github.com/farmhand/terraform-provider-farmhand/internal/spec"
	"github.com/farmhand/terraform-provider-farmhand/internal/state"
	"github.com/farmhand/terraform-provider-farmhand/internal/store"
	"github.com/farmhand/terraform-provider-farmhand/internal/store/sqlite"
)

// declaredShop is a store with a farm, two roles, an application and servers that run.
func declaredShop(t *testing.T) (*backend, store.Store, spec.Farm) {
	t.Helper()
	dir := t.TempDir()
	s, err := sqlite.Open(t.Context(), daemon.DatabasePath(dir))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	farm := defaultFarm()
	farm.Name, farm.Docker = "shop", nil
	for key, v := range map[string]any{
		state.FarmIndexKey("shop"):          state.FarmEntry{Name: "shop"},
		state.FarmKey("shop"):               state.Declared[spec.Farm]{Spec: farm},
		state.RoleKey("shop", "web"):        state.Declared[spec.Role]{Spec: web()},
		state.RoleKey("shop", "mysql"):      state.Declared[spec.Role]{Spec: mysql()},
		state.ApplicationKey("site"):        spec.Application{Name: "site", Release: "one"},
		state.InstanceKey("shop", "web-1"):  state.Instance{Role: "web", Index: 1, Phase: state.Running},
		state.InstanceKey("shop", "web-2"):  state.Instance{Role: "web", Index: 2, Phase: state.Running},
		state.InstanceKey("shop", "web-3"):  state.Instance{Role: "web", Index: 3, Phase: state.Draining},
		state.InstanceKey("shop", "mysql1"): state.Instance{Role: "mysql", Index: 1, Phase: state.Running, Volume: "vol-mysql-1"},
	} {
		if _, err := store.PutJSON(t.Context(), s, key, v); err != nil {
			t.Fatal(err)
		}
	}
	b := &backend{dir: filepath.Clean(dir)}
	t.Cleanup(b.close)
	return b, s, farm
}

func web() spec.Role {
	r := spec.Role{Farm: "shop", Name: "web", Behavior: "apache", Min: 2, Max: 4, Application: "site"}
	r.SetDefaults()
	return r
}

func mysql() spec.Role {
	r := spec.Role{Farm: "shop", Name: "mysql", Behavior: "mysql", Min: 1, Max: 1}
	r.SetDefaults()
	return r
}

// A plan says how many running servers a change replaces, and nothing of a change that replaces none.
func TestPlanSaysWhatIsReplaced(t *testing.T) {
	b, s, farm := declaredShop(t)
	r := &roleResource{resourceBackend{b}}
	for _, c := range []struct {
		change string
		role   func() spec.Role
		want   string
	}{
		{"none", web, ""},
		{"its envelope", func() spec.Role { r := web(); r.Max = 9; return r }, ""},
		{"its health check", func() spec.Role { r := web(); r.HealthCheck.UnhealthyAfter = 9; return r }, ""},
		{"its boot script", func() spec.Role { r := web(); r.BootScript = "date"; return r }, "This replaces 2 running instances of shop/web, one at a time: each new one serves before an old one goes."},
		{"its secrets", func() spec.Role { r := web(); r.SecretsVersion = 2; return r }, "This replaces 2 running instances of shop/web"},
		{"its application", func() spec.Role { r := web(); r.Application = "other"; return r }, "This replaces 2 running instances of shop/web"},
		{"a database's settings", func() spec.Role { r := mysql(); r.Settings = map[string]string{"memory_mb": "256"}; return r }, "This replaces 1 running instance of shop/mysql. Data belongs to the index"},
	} {
		var diags diag.Diagnostics
		r.warnReplaced(t.Context(), s, farm, c.role(), &diags)
		expectWarning(t, "a change of "+c.change, diags, c.want)
	}
	a := &applicationResource{resourceBackend{b}}
	for release, want := range map[string]string{"one": "", "two": "This replaces 2 running instances of shop/web"} {
		var diags diag.Diagnostics
		a.warnReplaced(t.Context(), spec.Application{Name: "site", Release: release}, &diags)
		expectWarning(t, "release "+release, diags, want)
	}
}

// A plan names the data that goes with a role.
func TestPlanSaysWhichDataGoes(t *testing.T) {
	b, _, _ := declaredShop(t)
	r := &roleResource{resourceBackend{b}}
	kept := mysql()
	kept.Volume = &spec.Volume{OnDestroy: spec.OnDestroyKeep}
	for _, c := range []struct {
		what string
		role spec.Role
		want string
	}{
		{"a role without data", web(), ""},
		{"a database", mysql(), "deletes its volumes: vol-mysql-1."},
		{"a database that is kept", kept, ""},
	} {
		var diags diag.Diagnostics
		r.warnDestroy(t.Context(), c.role, &diags)
		expectWarning(t, c.what, diags, c.want)
	}
}

func expectWarning(t *testing.T, what string, diags diag.Diagnostics, want string) {
	t.Helper()
	if diags.HasError() {
		t.Errorf("%s: %v", what, diags)
		return
	}
	var said []string
	for _, d := range diags.Warnings() {
		said = append(said, d.Detail())
	}
	got := strings.Join(said, "\n")
	if want == "" && got != "" || !strings.Contains(got, want) {
		t.Errorf("%s: the plan says %q, want %q", what, got, want)
	}
}
