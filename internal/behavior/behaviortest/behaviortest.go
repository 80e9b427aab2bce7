// Package behaviortest is the contract that every behavior passes: what is declared is checked by name, what is
// rendered is the same for the same input, and no input breaks what is in force.
//
// It needs none of the behavior's programs; a Commander stands in for them. Start at Run.
package behaviortest

import (
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/farmhand/terraform-provider-farmhand/internal/behavior"
	"github.com/farmhand/terraform-provider-farmhand/internal/spec"
	"github.com/farmhand/terraform-provider-farmhand/internal/state"
)

// Case is one behavior under the contract.
type Case struct {
	Behavior behavior.Behavior
	// New makes a runner whose questions to its service are answered without one; nil for Behavior.New.
	New func(behavior.Instance) behavior.Runner
	// Traits finds the traits of the behaviors that Input's topology names.
	Traits func(string) (behavior.Traits, bool)
	// Role is valid; Invalid are roles refused for the attribute that they stand under.
	Role    spec.Role
	Invalid map[string]spec.Role
	// Input is what the runner is set up with. Changed, if the behavior follows its input at all, leads to another
	// configuration or account. Broken cannot be rendered, or is refused before anything is written.
	Input   behavior.Input
	Changed *behavior.Input
	Broken  map[string]behavior.Input
	// Tested tells that Changed passes the program's own checker, so that it must be kept out if that fails.
	Tested bool
	// Anew are files, relative to the root, that each set-up makes anew and keeps to itself: they hold a key.
	Anew []string
	// Ends are the signals that end the service, beside SIGTERM and SIGKILL.
	Ends []syscall.Signal
}

// Run holds c to the contract.
func Run(t *testing.T, c Case) {
	if c.New == nil {
		c.New = c.Behavior.New
	}
	t.Run("traits", c.traits)
	t.Run("validation", c.validation)
	t.Run("exports and secrets", c.exports)
	t.Run("the same input gives the same files", c.deterministic)
	t.Run("an unchanged input does nothing", c.unchanged)
	t.Run("a broken input keeps the former configuration", c.broken)
	t.Run("a change that the program refuses is kept out", c.refused)
	t.Run("a service that ended fails the check", c.ended)
	t.Run("stop", c.stop)
}

func (c Case) traits(t *testing.T) {
	traits := c.Behavior.Traits()
	if traits.Name == "" || traits.Description == "" {
		t.Error("a behavior has a name and a description")
	}
	if traits.HTTP && traits.Port == 0 {
		t.Error("HTTP is served at a port")
	}
	if traits.Stateful != (traits.VolumePath != "") {
		t.Error("a stateful behavior, and no other, says where its data is")
	}
	for _, s := range traits.Settings {
		if s.Name == "" || s.Default == "" || s.Description == "" {
			t.Errorf("setting %+v lacks a name, a default or a description", s)
		}
	}
}

func (c Case) validation(t *testing.T) {
	for _, p := range c.Behavior.Validate(c.Role) {
		t.Errorf("a valid role is refused: %v", p)
	}
	for _, p := range c.Behavior.Validate(spec.Role{Behavior: c.Role.Behavior, Min: 1, Max: 1}) {
		if !p.Warning {
			t.Errorf("the defaults are refused: %v", p)
		}
	}
	invalid := map[string]spec.Role{"settings.no_such_setting": {Settings: map[string]string{"no_such_setting": "1"}}}
	for attribute, role := range c.Invalid {
		invalid[attribute] = role
	}
	for attribute, role := range invalid {
		before, _ := json.Marshal(role)
		problems := c.Behavior.Validate(role)
		i := slices.IndexFunc(problems, func(p spec.Problem) bool { return p.Attribute == attribute })
		if i < 0 {
			t.Errorf("%s: %s: no problem names the attribute; there are %v", attribute, before, problems)
		} else if p := problems[i]; p.Warning || p.Summary == "" || p.Advice == "" {
			t.Errorf("%s: %+v is no error, or says no cause or no way out", attribute, p)
		}
		if after, _ := json.Marshal(role); string(after) != string(before) {
			t.Errorf("%s: the role was changed from %s to %s", attribute, before, after)
		}
	}
}

var variable = regexp.MustCompile(`^[A-Z][A-Z0-9_]*$`)

func (c Case) exports(t *testing.T) {
	one, two := c.Behavior.NewSecret(c.Role), c.Behavior.NewSecret(c.Role)
	for name, value := range one {
		if value == "" || value == two[name] {
			t.Errorf("credential %s is %q twice", name, value)
		}
		if variable.MatchString(name) {
			t.Errorf("credential %s could be taken for an environment variable of the role", name)
		}
	}
	none := c.Behavior.Exports(c.Role, "shop.internal", state.RoleTopology{}, nil)
	if none == nil {
		t.Error("Exports is nil while none serves")
	}
	members := state.RoleTopology{Instances: []state.Member{{Name: "x-1", Index: 1, Address: "10.0.0.1"}, {Name: "x-2", Index: 2, Address: "10.0.0.2"}}}
	some := c.Behavior.Exports(c.Role, "shop.internal", members, one)
	if again := c.Behavior.Exports(c.Role, "shop.internal", members, one); !reflect.DeepEqual(some, again) {
		t.Errorf("Exports differ for the same input: %v and %v", some, again)
	}
	for name := range some {
		if !variable.MatchString(name) {
			t.Errorf("%q is no name of an environment variable", name)
		}
		if _, ok := none[name]; !ok {
			t.Errorf("%s is there only while some serve: a script cannot rely on it", name)
		}
	}
}

// instance is a runner in a folder of its own.
type instance struct {
	*testing.T
	behavior.Runner
	root string
	run  *Commander
}

func (c Case) instance(t *testing.T, root string) *instance {
	i := &instance{T: t, root: root, run: &Commander{Ends: c.Ends}}
	i.Runner = c.New(behavior.Instance{
		Assignment: state.Assignment{Farm: c.Role.Farm, Zone: "shop.internal", Role: c.Role, Index: 1, Address: "10.0.0.9"},
		Output:     io.Discard, Run: i.run, Root: i.root, Traits: c.Traits,
	})
	return i
}

func (c Case) setUp(t *testing.T) *instance {
	t.Helper()
	return c.setUpIn(t, t.TempDir())
}

func (c Case) setUpIn(t *testing.T, root string) *instance {
	t.Helper()
	i := c.instance(t, root)
	if err := i.Setup(t.Context(), c.Input, func(string) {}); err != nil {
		t.Fatalf("Setup: %v", err)
	}
	return i
}

// files are all files under the root with their modes.
func (i *instance) files() map[string]string {
	files := map[string]string{}
	err := filepath.WalkDir(i.root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		b, err := os.ReadFile(path)
		info, infoErr := d.Info()
		name, _ := filepath.Rel(i.root, path)
		files[name] = info.Mode().String() + "\n" + string(b)
		return errors.Join(err, infoErr)
	})
	if err != nil {
		i.Fatal(err)
	}
	return files
}

// signals are all signals sent to any service.
func (i *instance) signals() (all []int) {
	for _, p := range i.run.Processes() {
		all = append(all, p.Signals()...)
	}
	return all
}

func (c Case) deterministic(t *testing.T) {
	root := t.TempDir() // one for both, since its path is in some of the files
	one := c.setUpIn(t, root).files()
	if err := errors.Join(os.RemoveAll(root), os.Mkdir(root, 0o755)); err != nil {
		t.Fatal(err)
	}
	two := c.setUpIn(t, root).files()
	for _, name := range c.Anew {
		if one[name] == "" || one[name] == two[name] || !strings.HasPrefix(one[name], "-rw-------\n") {
			t.Errorf("%s holds a key, and is missing, the same twice, or not private", name)
		}
		delete(one, name)
		delete(two, name)
	}
	if !reflect.DeepEqual(one, two) {
		t.Errorf("two set-ups differ:\n%v\n%v", one, two)
	}
}

func (c Case) unchanged(t *testing.T) {
	i := c.setUp(t)
	before := i.files()
	if err := i.Apply(t.Context(), c.Input); err != nil {
		t.Fatalf("Apply: %v", err)
	}
	i.mustBe(before, "an unchanged input")
}

// mustBe fails if files changed or the service was told anything.
func (i *instance) mustBe(before map[string]string, after string) {
	i.Helper()
	if now := i.files(); !reflect.DeepEqual(now, before) {
		i.Errorf("%s changed files:\n%v\n%v", after, before, now)
	}
	if s := i.signals(); len(s) > 0 {
		i.Errorf("%s sent the service the signals %v", after, s)
	}
	if err := i.Check(i.Context()); err != nil {
		i.Errorf("%s: it does not serve any more: %v", after, err)
	}
}

func (c Case) broken(t *testing.T) {
	for what, in := range c.Broken {
		t.Run(what, func(t *testing.T) {
			i := c.setUp(t)
			before := i.files()
			if err := i.Apply(t.Context(), in); err == nil {
				t.Error("it was taken over")
			}
			i.mustBe(before, what)
		})
	}
}

func (c Case) refused(t *testing.T) {
	if c.Changed == nil || !c.Tested {
		t.Skip("it has no configuration that a program would test")
	}
	i := c.setUp(t)
	before := i.files()
	i.run.Refuse(func(line string) error { return errors.New("the checker says no to " + line) })
	if err := i.Apply(t.Context(), *c.Changed); err == nil || !strings.Contains(err.Error(), "the checker says no") {
		t.Errorf("Apply: %v; want the checker's error", err)
	}
	i.mustBe(before, "a refused change")

	i.run.Refuse(nil)
	if err := i.Apply(t.Context(), *c.Changed); err != nil {
		t.Fatalf("Apply: %v", err)
	}
	if reflect.DeepEqual(i.files(), before) {
		t.Error("a change that passes changed no file")
	}
	if len(i.signals()) == 0 {
		t.Error("a change that passes told the service nothing")
	}
}

func (c Case) ended(t *testing.T) {
	i := c.setUp(t)
	if err := i.Check(t.Context()); err != nil {
		t.Fatalf("Check after Setup: %v", err)
	}
	processes := i.run.Processes()
	if len(processes) == 0 {
		t.Skip("it starts no service")
	}
	processes[0].Exit(errors.New("exit status 7"))
	if err := i.Check(t.Context()); err == nil || !strings.Contains(err.Error(), "exit status 7") {
		t.Errorf("Check: %v; want how the service ended", err)
	}
}

func (c Case) stop(t *testing.T) {
	if err := c.instance(t, t.TempDir()).Stop(t.Context()); err != nil {
		t.Errorf("Stop before Setup: %v", err)
	}
	i := c.setUp(t)
	if err := i.Stop(t.Context()); err != nil {
		t.Errorf("Stop: %v", err)
	}
	for _, p := range i.run.Processes() {
		select {
		case <-p.Done():
		default:
			t.Errorf("%s still runs after Stop", p.Line)
		}
	}
}
