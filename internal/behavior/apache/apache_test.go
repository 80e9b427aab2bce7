package apache

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/farmhand/terraform-provider-farmhand/internal/behavior"
	"github.com/farmhand/terraform-provider-farmhand/internal/behavior/behaviortest"
	"github.com/farmhand/terraform-provider-farmhand/internal/spec"
	"github.com/farmhand/terraform-provider-farmhand/internal/state"
)

var web = spec.Role{Farm: "shop", Name: "web", Behavior: "apache", Min: 1, Max: 6, Settings: map[string]string{"max_workers": "12"}}

func TestContract(t *testing.T) {
	changed := behavior.Input{Environment: map[string]string{"MEMCACHED_SERVERS": "10.0.0.6:11211"}}
	behaviortest.Run(t, behaviortest.Case{
		Behavior: Behavior{},
		New: func(in behavior.Instance) behavior.Runner {
			r := newRunner(in)
			r.listens = func(context.Context) error { return nil }
			asked := 0
			r.generation = func(context.Context) (int, error) { asked++; return asked, nil }
			return r
		},
		Role: web,
		Invalid: map[string]spec.Role{
			"settings.max_workers":   {Settings: map[string]string{"max_workers": "0"}},
			"settings.php_memory_mb": {Settings: map[string]string{"php_memory_mb": "128M"}},
			"settings.upload_mb":     {Settings: map[string]string{"upload_mb": "-1"}},
		},
		Input:   behavior.Input{Environment: map[string]string{"MEMCACHED_SERVERS": "10.0.0.5:11211"}},
		Changed: &changed, Tested: true,
		Broken: map[string]behavior.Input{
			"a second directive in a value": {Environment: map[string]string{"A": "x\"\nAllowOverride All"}},
			"a zero byte in a value":        {Environment: map[string]string{"A": "x\x00"}},
			"a name that is none":           {Environment: map[string]string{"A B": "x"}},
			"a release that is not there":   {ReleaseDir: "/no/such/release"},
		},
		Ends: []syscall.Signal{syscall.SIGWINCH},
	})
}

func TestRendering(t *testing.T) {
	for name, env := range map[string]map[string]string{
		"default_page": nil,
		"environment": {
			"DB_PASSWORD": `a"b\c'd $e ${PATH} $${x}`,
			"EMPTY":       "",
			"UNICODE":     "grüezi # no comment",
		},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := render(behavior.Instance{Assignment: state.Assignment{Farm: "shop", Role: web, Index: 2}, Root: "/"}, behavior.Input{Environment: env})
			if err != nil {
				t.Fatal(err)
			}
			behaviortest.Golden(t, name+".conf", got)
		})
	}
}

func TestDocumentRoot(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "public"), 0o755); err != nil {
		t.Fatal(err)
	}
	for root, want := range map[string]string{"": dir, "public": dir + "/public", "privat": "no folder", "../..": "leads out", "/etc": "leads out"} {
		as := state.Assignment{Application: &spec.Application{DocumentRoot: root}}
		got, err := documentRoot(behavior.Instance{Assignment: as}, behavior.Input{ReleaseDir: dir})
		if err != nil {
			got = err.Error()
		}
		if !strings.Contains(got, want) || err == nil && got != want {
			t.Errorf("document root %q: %s, want %s", root, got, want)
		}
	}
}

// A refused value may be a secret: the error names the variable only.
func TestRefusedValueStaysOutOfTheError(t *testing.T) {
	_, err := environment(map[string]string{"API_KEY": "hunter2\n"})
	if err == nil || !strings.Contains(err.Error(), "API_KEY") || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("the error is %v", err)
	}
}
