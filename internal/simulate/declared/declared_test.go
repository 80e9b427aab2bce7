package declared

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/farmhand/terraform-provider-farmhand/internal/simulate"
	"github.com/farmhand/terraform-provider-farmhand/internal/spec"
	"github.com/farmhand/terraform-provider-farmhand/internal/state"
	"github.com/farmhand/terraform-provider-farmhand/internal/store"
	"github.com/farmhand/terraform-provider-farmhand/internal/store/sqlite"
)

// said is a subject in one line for comparing.
func said(s simulate.Subject) string {
	out := fmt.Sprintf("%s %d..%d drain %s", s.Role.ID(), s.Role.Min, s.Role.Max, s.Role.Drain)
	for _, p := range s.Policies {
		out += fmt.Sprintf("; %s (%s)", p.Name, p.Kind())
		if p.Metric != nil {
			out += fmt.Sprintf(" of %s %d over %s, cooldown %s", p.Metric.Kind, p.Metric.Minutes, p.Metric.Window, p.Cooldown)
		}
		if p.Target != nil {
			out += fmt.Sprintf(", target %g tolerance %g", *p.Target, p.Tolerance)
		}
		for _, step := range p.Steps {
			out += fmt.Sprintf(" %+d", step.Add)
		}
		if p.Schedule != nil {
			out += fmt.Sprintf(" %s for %s max %d", p.Schedule.Cron, p.Schedule.Duration, *p.Schedule.Max)
		}
	}
	return out
}

// testdata/plan.json is what terraform show -json printed of a plan with a role in a module.
func TestFromPlan(t *testing.T) {
	const web = "shop/web 2..12 drain 20s; cpu (step) of cpu 0 over 20s, cooldown 5m -1 +0 +2; load_average (target) of load_average 1 over 7s, cooldown 5m, target 1.4 tolerance 0.1; schedule (schedule) 0 20 * * * for 9h max 4"
	for _, role := range []string{"web", "shop/web", "module.web.farmhand_role.web"} {
		s, err := FromPlan("testdata/plan.json", role)
		if err != nil {
			t.Fatal(err)
		}
		if got := said(s); got != web {
			t.Errorf("%s:\n got %s\nwant %s", role, got, web)
		}
		if err := s.Validate(); err != nil {
			t.Error(err)
		}
	}
	for _, c := range []struct{ role, file, want string }{
		{"", "", "2 roles (shop/cache, shop/web): say which"},
		{"db", "", `no role "db"; there are shop/cache, shop/web`},
		{"web", "{}", "terraform show -json"},
		{"web", "provider: farmhand", "is not what"},
		{"web", `{"format_version":"1.2","values":{"root_module":{}}}`, "declares no farmhand_role"},
		{"web", `{"format_version":"1.2","values":{"root_module":{"resources":[{"address":"farmhand_role.a","mode":"managed","type":"farmhand_role","values":{"min":"x"}}]}}}`, "farmhand_role.a"},
		{"web", `{"format_version":"1.2","values":{"root_module":{"resources":[{"address":"farmhand_scaling_policy.a","mode":"managed","type":"farmhand_scaling_policy","values":{}}]}}}`, "only after apply"},
	} {
		path := "testdata/plan.json"
		if c.file != "" {
			path = file(t, c.file)
		}
		if _, err := FromPlan(path, c.role); err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), path) {
			t.Errorf("role %q of %q: %v; want %q", c.role, c.file, err, c.want)
		}
	}
	if _, err := FromPlan("none.json", "web"); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
}

// A zero that is said is no default.
func TestZeroesOfAPlan(t *testing.T) {
	s, err := FromPlan(file(t, `{"format_version":"1.2","values":{"root_module":{"resources":[
		{"address":"farmhand_role.web","mode":"managed","type":"farmhand_role","values":{"farm":"shop","name":"web","min":1,"max":3,"drain":"0s"}},
		{"address":"farmhand_scaling_policy.a","mode":"managed","type":"farmhand_scaling_policy","values":{"role":"shop/web","metric":{"cpu":{},"window":null},"target":0.5,"tolerance":0,"cooldown":"0s"}}
	]}}}`), "")
	if err != nil {
		t.Fatal(err)
	}
	if got, want := said(s), "shop/web 1..3 drain 0s; cpu (target) of cpu 0 over 7s, cooldown 0s, target 0.5 tolerance 0"; got != want {
		t.Errorf("\n got %s\nwant %s", got, want)
	}
}

func TestFromFile(t *testing.T) {
	s, err := FromFile(file(t, `{"role": {"min": 2, "max": 20}, "policies": [{"metric": {"kind": "cpu"}, "target": 0.6, "tolerance": 0}]}`))
	if err != nil {
		t.Fatal(err)
	}
	if got, want := said(s), "simulated/web 2..20 drain 10s; cpu (target) of cpu 0 over 7s, cooldown 5m, target 0.6 tolerance 0"; got != want {
		t.Errorf("\n got %s\nwant %s", got, want)
	}
	for content, want := range map[string]string{
		"{\n\"role\": {\"minimum\": 2}}":        "minimum",
		"{\n\"role\": {\"min\": 2,,}}":          "line 2",
		`{"policies": [{"cooldown": "5 min"}]}`: "5 min",
	} {
		if _, err := FromFile(file(t, content)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", content, err)
		}
	}
}

func TestFromStore(t *testing.T) {
	ctx := t.Context()
	s, err := sqlite.Open(ctx, filepath.Join(t.TempDir(), "farmhand.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	want, err := FromPlan("testdata/plan.json", "web")
	if err != nil {
		t.Fatal(err)
	}
	put := func(key string, v any) {
		if _, err := store.PutJSON(ctx, s, key, v); err != nil {
			t.Fatal(err)
		}
	}
	put(state.RoleKey("shop", "web"), state.Declared[spec.Role]{Spec: want.Role})
	for _, p := range want.Policies {
		put(state.PolicyKey("shop", "web", p.Name), p)
	}
	put(state.PolicyKey("shop", "web2", "other"), spec.Policy{Name: "other"})
	now := time.Now()
	put(state.InstanceKey("shop", "web-1"), state.Instance{Role: "web", Index: 1, Created: now, ServedAt: now.Add(40 * time.Second)})
	put(state.InstanceKey("shop", "web-2"), state.Instance{Role: "web", Index: 2, Created: now})
	put(state.InstanceKey("shop", "db-1"), state.Instance{Role: "db", Index: 1, Created: now, ServedAt: now.Add(time.Hour)})

	got, boot, err := FromStore(ctx, s, "shop", "web")
	if err != nil {
		t.Fatal(err)
	}
	if said(got) != said(want) || boot != 40*time.Second {
		t.Errorf("boot %s\n got %s\nwant %s", boot, said(got), said(want))
	}
	if _, _, err := FromStore(ctx, s, "shop", "db"); !errors.Is(err, store.ErrNotFound) {
		t.Error(err)
	}
}

func file(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file.json")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
