package platforms

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/farmhand/terraform-provider-farmhand/internal/platform"
	"github.com/farmhand/terraform-provider-farmhand/internal/platform/docker"
	"github.com/farmhand/terraform-provider-farmhand/internal/spec"
	"github.com/farmhand/terraform-provider-farmhand/internal/state"
	"github.com/farmhand/terraform-provider-farmhand/internal/store"
	"github.com/farmhand/terraform-provider-farmhand/internal/store/sqlite"
)

func TestOpenMakesWhatTheFarmDeclares(t *testing.T) {
	s := openStore(t)
	for want, farm := range map[string]spec.Farm{
		"*docker.Docker":       {Name: "a", Docker: &spec.Docker{}},
		"*simulated.Simulated": {Name: "b", Simulated: &spec.Simulated{}},
	} {
		p, err := Open(farm, Deps{Store: s})
		if err != nil {
			t.Fatalf("%s: %v", want, err)
		}
		if got := fmt.Sprintf("%T", p); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
		p.Close()
	}
	if _, err := Open(spec.Farm{Name: "c"}, Deps{Store: s}); !errors.Is(err, platform.ErrInvalid) {
		t.Errorf("a farm without a platform gives %v", err)
	}
}

func TestPreflightFindsAnotherStoresFarm(t *testing.T) {
	farm := spec.Farm{Name: fmt.Sprintf("fhtest-%d-p", os.Getpid()), Docker: &spec.Docker{Subnet: "10.251.2.0/24"}}
	d, err := docker.New(docker.Options{Farm: farm, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	switch _, err := d.Open(t.Context()); {
	case errors.Is(err, platform.ErrUnavailable):
		t.Skipf("no container engine: %v", err)
	case errors.Is(err, platform.ErrInvalid):
		t.Skipf("no network for the test: %v", err)
	case err != nil:
		t.Fatal(err)
	}
	defer func() {
		if err := d.Destroy(t.Context()); err != nil {
			t.Error(err)
		}
	}()

	s := openStore(t)
	for name, given := range map[string]store.Store{"a store without it": s, "no store yet": nil} {
		problems := Preflight(t.Context(), farm, given)
		if len(problems) != 1 || problems[0].Attribute != "name" || !strings.Contains(problems[0].Error(), "docker network rm farmhand-"+farm.Name) {
			t.Errorf("%s: it finds %v, want one problem of the name, with the way out", name, problems)
		}
	}
	if _, err := store.PutJSON(t.Context(), s, state.FarmIndexKey(farm.Name), state.FarmEntry{Name: farm.Name}); err != nil {
		t.Fatal(err)
	}
	if problems := Preflight(t.Context(), farm, s); len(problems) != 0 {
		t.Errorf("the store's own farm: it finds %v", problems)
	}
}

func openStore(t *testing.T) store.Store {
	t.Helper()
	s, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "farmhand.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}
