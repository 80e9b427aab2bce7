package mysql

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/farmhand/terraform-provider-farmhand/internal/authority"
	"github.com/farmhand/terraform-provider-farmhand/internal/behavior"
	"github.com/farmhand/terraform-provider-farmhand/internal/behavior/behaviortest"
	"github.com/farmhand/terraform-provider-farmhand/internal/dbserver"
	"github.com/farmhand/terraform-provider-farmhand/internal/spec"
	"github.com/farmhand/terraform-provider-farmhand/internal/state"
)

var database = spec.Role{Farm: "shop", Name: "mysql", Behavior: "mysql", Min: 1, Max: 1, Settings: map[string]string{"memory_mb": "512"}}

func self() (owner, error) { return owner{os.Getuid(), os.Getgid()}, nil }

// fake is a server that does as it is told.
type fake struct {
	dbserver.Server
	mu     sync.Mutex
	status dbserver.Status
	given  []dbserver.Accounts
	told   []string
}

func (f *fake) note(what string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.told = append(f.told, what)
	return nil
}

func (f *fake) Flavor() string             { return dbserver.FlavorMariaDB }
func (f *fake) Version() string            { return "10.11-fake" }
func (f *fake) Ping(context.Context) error { return nil }
func (f *fake) Close() error               { return nil }
func (f *fake) Status(context.Context) (dbserver.Status, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.status, nil
}

func (f *fake) MakeWritable(context.Context) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.status.Writable = true
	f.told = append(f.told, "writable")
	return nil
}

func (f *fake) MakeReadOnly(context.Context) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.status.Writable = false
	f.told = append(f.told, "read-only")
	return nil
}
func (f *fake) Fence(ctx context.Context) error          { return f.MakeReadOnly(ctx) }
func (f *fake) EndSessions(context.Context) (int, error) { return 0, nil }
func (f *fake) SemiSync(_ context.Context, on bool) error {
	return f.note(fmt.Sprint("semi-sync ", on))
}
func (f *fake) Set(_ context.Context, name, value string) error { return f.note(name + "=" + value) }
func (f *fake) SetDefault(_ context.Context, name string) error { return f.note(name + "=default") }
func (f *fake) Ensure(_ context.Context, a dbserver.Accounts) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.given = append(f.given, a)
	if a.Password == "refused" {
		return errors.New("refused")
	}
	return nil
}

func (f *fake) ReloadTLS(context.Context) error { return nil }

func (f *fake) lines() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return strings.Join(f.told, ", ")
}

// theAuthority is that of the roles of tests without real servers.
var theAuthority = authority.New("farmhand test", time.Now())

// with is a role's secret.
func with(password string) map[string]string {
	return map[string]string{passwordKey: password, authorityKey: theAuthority}
}

// alone is what is decided of a role with one server.
func alone() *state.Database {
	return &state.Database{Term: 1, Primary: "mysql-1", Orders: map[string]state.DatabaseOrder{
		"mysql-1": {Seq: 1, Term: 1, Office: state.OfficePrimary, First: true, Alone: true}}}
}

func TestContract(t *testing.T) {
	input := behavior.Input{Secret: with("one"), Database: alone()}
	behaviortest.Run(t, behaviortest.Case{
		Behavior: Behavior{},
		New: func(in behavior.Instance) behavior.Runner {
			r := newRunner(in)
			r.lookup = self
			r.Assignment.Address = "127.77.9.1"
			r.open = func(context.Context, string) (dbserver.Server, error) { return &fake{}, nil }
			t.Cleanup(func() { _ = r.Stop(context.Background()) })
			return r
		},
		Role: database,
		Invalid: map[string]spec.Role{
			"settings.memory_mb":                        {Settings: map[string]string{"memory_mb": "64"}},
			"settings.max_connections":                  {Settings: map[string]string{"max_connections": "many"}},
			"settings.database":                         {Settings: map[string]string{"database": "mysql"}},
			"settings.user":                             {Settings: map[string]string{"user": "o'brien"}},
			"settings.failover":                         {Settings: map[string]string{"failover": "maybe"}},
			"settings.flap_minutes":                     {Settings: map[string]string{"flap_minutes": "-1"}},
			"settings.max_lag_seconds":                  {Settings: map[string]string{"max_lag_seconds": "0"}},
			"settings.server.long_query_tyme":           {Settings: map[string]string{"server.long_query_tyme": "1"}},
			"settings.server.read_only":                 {Settings: map[string]string{"server.read_only": "0"}},
			"settings.server.innodb_lock_wait_timeout":  {Settings: map[string]string{"server.innodb_lock_wait_timeout": "ages"}},
			"settings.server.transaction_prealloc_size": {Settings: map[string]string{"server.transaction_prealloc_size": "4k"}},
		},
		Input:  input,
		Anew:   []string{"run/mysqld/tls/server.pem"},
		Broken: map[string]behavior.Input{"no password": {Secret: map[string]string{}}},
	})
}

func TestVariables(t *testing.T) {
	for _, c := range []struct {
		name, value, want string // part of the problem; "" for none
	}{
		{"long_query_time", "0.5", ""},
		{"sql_mode", "STRICT_TRANS_TABLES,NO_ZERO_DATE", ""},
		{"sql_mode", "SLOPPY", "some of"},
		{"innodb_adaptive_hash_index", "on", ""},
		{"innodb_adaptive_hash_index", "maybe", "ON or OFF"},
		{"wait_timeout", "0", "from 1 to"},
		{"long_query_tyme", "1", "long_query_time"},
		{"gtid_strict_mode", "OFF", "the farm sets itself"},
		{"max_connections", "5", "Use the setting max_connections"},
		{"init_connect_x\nuser", "root", "no variable"},
	} {
		got := ""
		if p := checkVariable(c.name, c.value); p != nil {
			got = p.Summary + " " + p.Advice
		}
		if c.want == "" && got != "" || !strings.Contains(got, c.want) {
			t.Errorf("%s = %s: %q; want %q in it", c.name, c.value, got, c.want)
		}
	}
	for setting, want := range map[string]bool{"failover": true, "memory_mb": false, "server.wait_timeout": true, "server.back_log": false, "server.x": false} {
		if got := inPlace(setting); got != want {
			t.Errorf("%s is taken over in place: %v", setting, got)
		}
	}
}

func TestRendering(t *testing.T) {
	p := paths{DataDir: "/var/lib/mysql", RunDir: "/run/mysqld", Socket: "/run/mysqld/mysqld.sock",
		Authority: "/run/mysqld/tls/authority.pem", Certificate: "/run/mysqld/tls/server.pem"}
	for name, f := range map[string]flavor{"my.cnf": mariaDB{}, "mysqld.cnf": mySQL{}} {
		got, err := render(f, behavior.Instance{Assignment: state.Assignment{Farm: "shop", Role: database, Index: 1}}, p, 128)
		if err != nil {
			t.Fatal(err)
		}
		behaviortest.Golden(t, name, got)
	}
}

func TestBufferPool(t *testing.T) {
	for memory, want := range map[int][2]int{96: {16, 16}, 128: {48, 16}, 512: {384, 292}, 4096: {3072, 3072}} {
		if got := [2]int{mariaDB{}.bufferPoolMB(memory), mySQL{}.bufferPoolMB(memory)}; got != want {
			t.Errorf("of %d MB, %d are for the buffer pool of MariaDB and MySQL; want %d", memory, got, want)
		}
	}
}

// Data of the one flavor is nothing that the other's server is started on.
func TestDataOfTheOtherFlavor(t *testing.T) {
	dirs := map[string]string{"none": filepath.Join(t.TempDir(), "data"), "MariaDB's": t.TempDir(), "MySQL's": t.TempDir()}
	if err := os.WriteFile(filepath.Join(dirs["MySQL's"], "mysql.ibd"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for what, fits := range map[string][2]bool{"none": {true, true}, "MariaDB's": {true, false}, "MySQL's": {false, true}} {
		for i, f := range []flavor{mariaDB{}, mySQL{}} {
			if err := checkFlavor(dirs[what], f); (err == nil) != fits[i] {
				t.Errorf("%s for %s: %v", what, f.name(), err)
			}
		}
	}
}

// The image's own server is taken, and MariaDB's where it has none or both: Debian's MariaDB has a mysqld, too.
func TestDetect(t *testing.T) {
	for want, programs := range map[flavor][][]string{mariaDB{}: {{}, {"mariadbd"}, {"mariadbd", "mysqld"}}, mySQL{}: {{"mysqld"}}} {
		for _, has := range programs {
			dir := t.TempDir()
			for _, name := range has {
				if err := os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\n"), 0o755); err != nil {
					t.Fatal(err)
				}
			}
			t.Setenv("PATH", dir)
			if got := detect(); got != want {
				t.Errorf("of an image with %q the server is %s's", has, got.name())
			}
		}
	}
}

// setUp is a runner with a fake server that is alone, carried out.
func setUp(t *testing.T, settings map[string]string) (*runner, *fake) {
	t.Helper()
	f := &fake{}
	role := database
	role.Settings = settings
	r := newRunner(behavior.Instance{Assignment: state.Assignment{Farm: "shop", Role: role, Index: 1, Token: "t", Address: "127.77.9.2"},
		Root: t.TempDir(), Run: &behaviortest.Commander{}})
	r.lookup = self
	r.open = func(context.Context, string) (dbserver.Server, error) { return f, nil }
	t.Cleanup(func() { _ = r.Stop(context.Background()) })
	if err := r.Setup(t.Context(), behavior.Input{Secret: with("one"), Database: alone()}, func(string) {}); err != nil {
		t.Fatal(err)
	}
	return r, f
}

// eventually polls: the runner works beside the test.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for began := time.Now(); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Since(began) > 20*time.Second {
			t.Fatalf("%s did not come about", what)
		}
	}
}

func TestPasswordIsGivenOnceAndWhenItChanges(t *testing.T) {
	r, f := setUp(t, nil)
	given := func() string {
		f.mu.Lock()
		defer f.mu.Unlock()
		last := ""
		for _, a := range f.given {
			if !strings.HasSuffix(last, a.Password) {
				last += " " + a.Password
			}
		}
		return last
	}
	eventually(t, "the first password", func() bool { return given() == " one" })
	for _, password := range []string{"refused", "two"} {
		if err := r.Apply(t.Context(), behavior.Input{Secret: with(password)}); err != nil {
			t.Fatal(err)
		}
		eventually(t, password, func() bool { return strings.HasSuffix(given(), password) })
	}
	if got := given(); got != " one refused two" {
		t.Errorf("the server was given %q", got)
	}
}

func TestVariablesAreTakenOverInPlace(t *testing.T) {
	r, f := setUp(t, map[string]string{"server.wait_timeout": "60", "server.back_log": "70"})
	eventually(t, "the variable", func() bool { return strings.Contains(f.lines(), "wait_timeout=60") })
	if strings.Contains(f.lines(), "back_log") {
		t.Error("a variable that needs a restart was told to the running server")
	}
	own := func(settings map[string]string) behavior.Input {
		return behavior.Input{Secret: with("one"),
			Topology: state.Topology{Roles: map[string]state.RoleTopology{"mysql": {Settings: settings}}}}
	}
	if err := r.Apply(t.Context(), own(map[string]string{"server.wait_timeout": "90"})); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the new value", func() bool { return strings.Contains(f.lines(), "wait_timeout=90") })
	if err := r.Apply(t.Context(), own(nil)); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the default", func() bool { return strings.Contains(f.lines(), "wait_timeout=default") })
}

// Who may write, by what was decided and heard.
func TestMayWrite(t *testing.T) {
	now := time.Now()
	base := func(change func(*office, *state.Database)) office {
		d := &state.Database{Term: 3, Primary: "db-1", PrimaryToken: "t", Lease: 5 * time.Second, Orders: map[string]state.DatabaseOrder{
			"db-1": {Seq: 4, Term: 3, Office: state.OfficePrimary}, "db-2": {Seq: 1, Term: 3, Office: state.OfficeReplica}}}
		o := office{database: d, asked: now.Add(-time.Second), heard: now.Add(-time.Second)}
		change(&o, d)
		return o
	}
	set := func(d *state.Database, f func(*state.DatabaseOrder)) {
		o := d.Orders["db-1"]
		f(&o)
		d.Orders["db-1"] = o
	}
	for what, c := range map[string]struct {
		change func(*office, *state.Database)
		may    bool
	}{
		"the primary":     {func(*office, *state.Database) {}, true},
		"nothing decided": {func(o *office, _ *state.Database) { o.database = nil }, false},
		"a replica": {func(_ *office, d *state.Database) {
			set(d, func(o *state.DatabaseOrder) { o.Office = state.OfficeReplica })
		}, false},
		"an order of an older term":  {func(_ *office, d *state.Database) { d.Term = 4 }, false},
		"another is the primary":     {func(_ *office, d *state.Database) { d.Primary = "db-2" }, false},
		"a former holder's office":   {func(_ *office, d *state.Database) { d.PrimaryToken = "s" }, false},
		"a former holder's order":    {func(_ *office, d *state.Database) { set(d, func(o *state.DatabaseOrder) { o.Token = "s" }) }, false},
		"not heard for the lease":    {func(o *office, _ *state.Database) { o.heard = now.Add(-5 * time.Second) }, false},
		"never heard":                {func(o *office, _ *state.Database) { o.heard = time.Time{} }, false},
		"heard by the wall's clock":  {func(o *office, _ *state.Database) { o.heard = now.Add(-6 * time.Second).Round(0) }, false},
		"lost before it was asked":   {func(o *office, _ *state.Database) { o.expired = now.Add(-2 * time.Second) }, true},
		"lost since it was asked":    {func(o *office, _ *state.Database) { o.expired = now.Add(-time.Second / 2) }, false},
		"unheard, the only one":      {func(o *office, d *state.Database) { o.heard = time.Time{}; delete(d.Orders, "db-2") }, true},
		"unheard, its data is given": {func(o *office, d *state.Database) { o.heard, o.shared = time.Time{}, true; delete(d.Orders, "db-2") }, false},
	} {
		if err := base(c.change).mayWrite("db-1", "t", now); (err == nil) != c.may {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func TestExportsNameTheRoleInTheZone(t *testing.T) {
	topology := state.RoleTopology{Instances: []state.Member{{Name: "mysql-1", Index: 1, Address: "10.0.0.1"}, {Name: "mysql-2", Index: 2, Address: "10.0.0.2", Primary: true}}}
	role := spec.Role{Name: "mysql", Settings: map[string]string{"database": "shop"}}
	got := Behavior{}.Exports(role, "shop.internal", topology, map[string]string{passwordKey: "pw"})
	for name, want := range map[string]string{"DB_HOST": "primary.mysql.shop.internal", "DB_PORT": "3306", "DB_NAME": "shop", "DB_USER": "app", "DB_PASSWORD": "pw"} {
		if got[name] != want {
			t.Errorf("%s is %q, want %q", name, got[name], want)
		}
	}
	if got := (Behavior{}).Exports(role, "", topology, nil)["DB_HOST"]; got != "10.0.0.2" {
		t.Errorf("without a zone DB_HOST is %q, want the primary's address", got)
	}
}

// A volume's life: what is cut short is finished or undone, and nothing that anybody wrote is lost.
func TestVolume(t *testing.T) {
	who, _ := self()
	for what, c := range map[string]struct {
		before, after []string // files
		err           string
	}{
		"new":                                {nil, nil, ""},
		"data":                               {[]string{"data/app/t.ibd"}, []string{"data/app/t.ibd"}, ""},
		"a clone or installation cut short":  {[]string{"data/app/t.ibd", "partial/app/t.ibd"}, []string{"data/app/t.ibd"}, ""},
		"a clone that is whole":              {[]string{"data/app/old", "ready/app/new"}, []string{"aside-1/app/old", "data/app/new"}, ""},
		"cut short between its renames":      {[]string{"aside-3/app/old", "ready/app/new"}, []string{"aside-3/app/old", "data/app/new"}, ""},
		"a second clone":                     {[]string{"aside-1/x", "data/app/old", "ready/app/new"}, []string{"aside-2/app/old", "data/app/new"}, ""},
		"of an earlier version":              {[]string{"mysql/db.frm", "app/t.ibd", "ibdata1", "lost+found/x"}, []string{"data/app/t.ibd", "data/ibdata1", "data/mysql/db.frm", "lost+found/x"}, ""},
		"of an earlier version, cut short":   {[]string{"mysql/db.frm", "ibdata1", "adopting/app/t.ibd"}, []string{"data/app/t.ibd", "data/ibdata1", "data/mysql/db.frm"}, ""},
		"of an earlier version, but renamed": {[]string{"adopting/mysql/db.frm", "adopting/app/t.ibd"}, []string{"data/app/t.ibd", "data/mysql/db.frm"}, ""},
		"an earlier installation, cut short": {[]string{".farmhand-installing", "mysql/db.frm", "ibdata1"}, nil, ""},
		"the package's own":                  {[]string{"mysql/db.frm", "ibdata1", "debian-10.11.flag"}, []string{"aside-package/debian-10.11.flag", "aside-package/ibdata1", "aside-package/mysql/db.frm"}, ""},
		"somebody's files":                   {[]string{"photo.jpg"}, []string{"photo.jpg"}, "photo.jpg"},
	} {
		t.Run(what, func(t *testing.T) {
			v := volume{dir: t.TempDir(), owner: who}
			for _, f := range c.before {
				if err := errors.Join(os.MkdirAll(filepath.Dir(v.path(f)), 0o755), os.WriteFile(v.path(f), nil, 0o644)); err != nil {
					t.Fatal(err)
				}
			}
			for range 2 { // again changes nothing
				err := v.settle()
				if (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
					t.Fatalf("%v; want %q", err, c.err)
				}
				var after []string
				_ = filepath.WalkDir(v.dir, func(path string, e fs.DirEntry, err error) error {
					if err == nil && !e.IsDir() {
						name, _ := filepath.Rel(v.dir, path)
						after = append(after, name)
					}
					return err
				})
				if !slices.Equal(after, c.after) {
					t.Errorf("%q became %q, want %q", c.before, after, c.after)
				}
			}
		})
	}
}
