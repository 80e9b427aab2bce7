// Package mysql is the database: one MariaDB server whose data is on its index's volume.
//
// It makes the application's database and user, and comes back with its data on whatever machine takes the index
// over. It does not replicate. Start at Behavior, then render.go, runner.go and accounts.go.
package mysql

import (
	"crypto/rand"
	"fmt"
	"regexp"
	"slices"

	"github.com/farmhand/terraform-provider-farmhand/internal/behavior"
	"github.com/farmhand/terraform-provider-farmhand/internal/spec"
	"github.com/farmhand/terraform-provider-farmhand/internal/state"
)

// passwordKey is where a role's secret holds the application user's password. Lower case, so that it cannot be
// taken for one of the role's secret environment variables that stand beside it.
const passwordKey = "db_password"

// Behavior is the database.
type Behavior struct{}

var _ behavior.Behavior = Behavior{}

// Traits implements behavior.Behavior.
func (Behavior) Traits() behavior.Traits {
	return behavior.Traits{
		Name:        "mysql",
		Description: "MariaDB with a database and a user for the application, its data on a volume.",
		Port:        3306,
		Stateful:    true,
		VolumePath:  "/var/lib/mysql",
		Settings: []behavior.Setting{
			{Name: "database", Default: "app", Description: "The application's database."},
			{Name: "user", Default: "app", Description: "The application's user; its password is made up and handed to the roles that use this one."},
			{Name: "memory_mb", Default: "128", Description: "Memory for the server in MB; most of it becomes InnoDB's buffer pool."},
			{Name: "max_connections", Default: "100", Description: "Clients connected at once."},
		},
		Packages: []string{"mariadb-server"},
	}
}

// identifier is the part of MariaDB's rules for names that needs no quoting anywhere. 64 is its limit for a
// database; a user may have 80 there, but tools know MySQL's 32.
var identifier = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_]{0,31}$`)

// reserved are names that the server needs for itself.
var reserved = []string{"mysql", "information_schema", "performance_schema", "sys", "root", "mariadb"}

// Validate implements behavior.Behavior.
func (b Behavior) Validate(role spec.Role) []spec.Problem {
	t := b.Traits()
	problems := t.CheckNames(role)
	for _, name := range []string{"database", "user"} {
		problems = append(problems, t.CheckPattern(role, name, identifier,
			"a name of at most 32 letters, digits and underscores that starts with a letter")...)
		if v := t.Value(role, name); slices.Contains(reserved, v) {
			problems = append(problems, spec.Problem{
				Attribute: "settings." + name,
				Summary:   fmt.Sprintf("%q belongs to the server itself", v),
				Advice:    "Choose another name.",
			})
		}
	}
	// Below 96 MB nothing would be left for the buffer pool; see bufferPoolMB.
	problems = append(problems, t.CheckInt(role, "memory_mb", 96, 1<<20)...)
	problems = append(problems, t.CheckInt(role, "max_connections", 5, 10000)...)
	if role.Max > 1 {
		problems = append(problems, spec.Problem{
			Attribute: "max",
			Summary:   fmt.Sprintf("a mysql role has one server and this one allows %d", role.Max),
			Advice:    "Set max = 1; two servers would be two databases that know nothing of each other.",
		})
	}
	return problems
}

// Exports are DB_HOST, DB_PORT, DB_NAME, DB_USER and DB_PASSWORD. DB_HOST is the role's name in the farm's zone,
// which stays when the server is replaced; in a farm without a zone it is the address of the serving instance.
func (b Behavior) Exports(role spec.Role, zone string, topo state.RoleTopology, secret map[string]string) map[string]string {
	t := b.Traits()
	host := ""
	switch {
	case zone != "":
		host = role.Name + "." + zone
	case len(topo.Instances) > 0:
		host = primary(topo.Instances).Address
	}
	return map[string]string{
		"DB_HOST":     host,
		"DB_PORT":     fmt.Sprint(t.Port),
		"DB_NAME":     t.Value(role, "database"),
		"DB_USER":     t.Value(role, "user"),
		"DB_PASSWORD": secret[passwordKey],
	}
}

// primary is the member marked so, else the first; members is not empty.
func primary(members []state.Member) state.Member {
	for _, m := range members {
		if m.Primary {
			return m
		}
	}
	return members[0]
}

// NewSecret makes the application user's password: 26 characters of base32, 130 bits, from the system's source.
func (Behavior) NewSecret(spec.Role) map[string]string {
	return map[string]string{passwordKey: rand.Text()}
}
