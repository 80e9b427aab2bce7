package mysql

import (
	"context"
	"database/sql"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/farmhand/terraform-provider-farmhand/internal/behavior"
	"github.com/farmhand/terraform-provider-farmhand/internal/behavior/behaviortest"
	"github.com/farmhand/terraform-provider-farmhand/internal/spec"
	"github.com/farmhand/terraform-provider-farmhand/internal/state"
)

var database = spec.Role{Farm: "shop", Name: "mysql", Behavior: "mysql", Min: 1, Max: 1, Settings: map[string]string{"memory_mb": "512"}}

func self() (owner, error) { return owner{os.Getuid(), os.Getgid()}, nil }

func TestContract(t *testing.T) {
	input := behavior.Input{Secret: map[string]string{passwordKey: "one"}}
	behaviortest.Run(t, behaviortest.Case{
		Behavior: Behavior{},
		New: func(in behavior.Instance) behavior.Runner {
			r := newRunner(in)
			r.lookup = self
			r.ping = func(context.Context, *sql.DB) error { return nil }
			r.ensure = func(context.Context, *sql.DB, account) error { return nil }
			return r
		},
		Role: database,
		Invalid: map[string]spec.Role{
			"settings.memory_mb":       {Settings: map[string]string{"memory_mb": "64"}},
			"settings.max_connections": {Settings: map[string]string{"max_connections": "many"}},
			"settings.database":        {Settings: map[string]string{"database": "mysql"}},
			"settings.user":            {Settings: map[string]string{"user": "o'brien"}},
			"max":                      {Max: 2},
		},
		Input:  input,
		Broken: map[string]behavior.Input{"no password": {Secret: map[string]string{}}},
	})
}

func TestRendering(t *testing.T) {
	p := paths{DataDir: "/var/lib/mysql", RunDir: "/run/mysqld", Socket: "/run/mysqld/mysqld.sock"}
	got, err := render(behavior.Instance{Assignment: state.Assignment{Farm: "shop", Role: database, Index: 1}}, p)
	if err != nil {
		t.Fatal(err)
	}
	behaviortest.Golden(t, "my.cnf", got)
}

func TestBufferPool(t *testing.T) {
	for memory, want := range map[int]int{96: 16, 128: 48, 512: 384, 4096: 3072} {
		if got := bufferPoolMB(memory); got != want {
			t.Errorf("of %d MB, %d are for the buffer pool; want %d", memory, got, want)
		}
	}
}

func TestPasswordIsGivenOnceAndWhenItChanges(t *testing.T) {
	var given []string
	r := newRunner(behavior.Instance{Assignment: state.Assignment{Role: database}, Root: t.TempDir()})
	r.ensure = func(_ context.Context, _ *sql.DB, a account) error {
		given = append(given, a.password)
		if a.password == "refused" {
			return errors.New("refused")
		}
		return nil
	}
	for _, password := range []string{"one", "one", "refused", "refused", "two"} {
		r.Apply(t.Context(), behavior.Input{Secret: map[string]string{passwordKey: password}})
	}
	if got, want := strings.Join(given, " "), "one refused refused two"; got != want {
		t.Errorf("the server was given %q, want %q: what it took is not given again, what it refused is", got, want)
	}
}

func TestExportsNameTheRoleInTheZone(t *testing.T) {
	topology := state.RoleTopology{Instances: []state.Member{{Index: 1, Address: "10.0.0.1"}, {Index: 2, Address: "10.0.0.2", Primary: true}}}
	role := spec.Role{Name: "mysql", Settings: map[string]string{"database": "shop"}}
	got := Behavior{}.Exports(role, "shop.internal", topology, map[string]string{passwordKey: "pw"})
	for name, want := range map[string]string{"DB_HOST": "mysql.shop.internal", "DB_PORT": "3306", "DB_NAME": "shop", "DB_USER": "app", "DB_PASSWORD": "pw"} {
		if got[name] != want {
			t.Errorf("%s is %q, want %q", name, got[name], want)
		}
	}
	if got := (Behavior{}).Exports(role, "", topology, nil)["DB_HOST"]; got != "10.0.0.2" {
		t.Errorf("without a zone DB_HOST is %q, want the primary's address", got)
	}
}

// A data directory's life: made, found again, and made anew only when nothing was ever in it.
func TestDataDirectory(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	who, _ := self()
	installs := 0
	install := func() error {
		installs++
		return os.Mkdir(filepath.Join(dir, "mysql"), 0o700)
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	cut := errors.New("power cut")
	err := prepare(dir, who, func() error {
		must(os.WriteFile(filepath.Join(dir, "ibdata1"), []byte("half"), 0o600))
		must(os.Mkdir(filepath.Join(dir, "mysql"), 0o700))
		return cut
	})
	if !errors.Is(err, cut) {
		t.Fatalf("got %v, want the installation's own error", err)
	}
	must(prepare(dir, who, install))
	if _, err := os.Stat(filepath.Join(dir, "ibdata1")); err == nil || installs != 1 {
		t.Errorf("an installation cut short was not begun anew (installed %d times)", installs)
	}
	must(os.WriteFile(filepath.Join(dir, "ibdata1"), []byte("rows"), 0o600))
	must(prepare(dir, who, install))
	if b, _ := os.ReadFile(filepath.Join(dir, "ibdata1")); string(b) != "rows" || installs != 1 {
		t.Errorf("data was not left alone: %q, installed %d times", b, installs)
	}

	other := t.TempDir()
	must(os.Mkdir(filepath.Join(other, "lost+found"), 0o700))
	must(os.WriteFile(filepath.Join(other, "photo.jpg"), nil, 0o600))
	err = prepare(other, who, func() error { t.Error("installed over somebody's files"); return nil })
	if err == nil || !strings.Contains(err.Error(), "photo.jpg") {
		t.Errorf("somebody's files: %v; want an error that names one", err)
	}
}
