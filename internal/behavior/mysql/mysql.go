// Package mysql is the database: MariaDB or MySQL servers of which one is the primary and the others replicate from it by GTID,
// each with its data on its index's volume.
//
// What each is to be, the farm orders (state.Database); a runner carries that out on its own server and reports how it
// stands. A server is writable only while its order says so and the farm has heard it lately. Start at Behavior, then
// runner.go, server.go (its process), orders.go (what each order means), lease.go (who may write), datadir.go (what is on
// the volume), snapshot.go, report.go, clone_*.go and flavor.go (what differs between the two).
package mysql

import (
	"crypto/rand"
	"fmt"
	"regexp"
	"slices"
	"time"

	"github.com/farmhand/terraform-provider-farmhand/internal/authority"
	"github.com/farmhand/terraform-provider-farmhand/internal/behavior"
	"github.com/farmhand/terraform-provider-farmhand/internal/spec"
	"github.com/farmhand/terraform-provider-farmhand/internal/state"
)

// passwordKey is where a role's secret holds the application user's password. Lower case, so that it cannot be
// taken for one of the role's secret environment variables that stand beside it.
const passwordKey = "db_password"

// replicaKey is the password that replicas replicate with, and cloneKey what proves that a clone is asked for by one of
// the role's own.
const (
	replicaKey = "replica_password"
	cloneKey   = "clone_key"
)

// authorityKey is the role's certificate authority, of which each of its servers makes itself a certificate. See authority.New.
const authorityKey = "db_authority"

// Behavior is the database.
type Behavior struct{}

var _ behavior.Behavior = Behavior{}

// Traits implements behavior.Behavior.
func (Behavior) Traits() behavior.Traits {
	return behavior.Traits{
		Name:        "mysql",
		Description: "MariaDB, or MySQL where the image has that, with a database and a user for the application, its data on a volume: one primary and, with max above 1, replicas of it.",
		Port:        3306,
		Stateful:    true,
		VolumePath:  "/var/lib/mysql",
		Replicated:  true,
		InPlace:     inPlace,
		Settings: []behavior.Setting{
			{Name: "database", Default: "app", Description: "The application's database."},
			{Name: "user", Default: "app", Description: "The application's user; its password is made up and handed to the roles that use this one."},
			{Name: "memory_mb", Default: "0", Description: "Memory for the server in MB; most of it becomes InnoDB's buffer pool. 0: 128 in a container, and 70 % of what the instance has on a machine of its own."},
			{Name: "max_connections", Default: "100", Description: "Clients connected at once."},
			{Name: "failover", Default: "no_loss", Description: "When the primary is lost: no_loss promotes a replica only if no acknowledged write would be lost, and lets writes wait while no replica can acknowledge them; available goes on with the best one there is; manual waits for a person."},
			{Name: "max_lag_seconds", Default: "10", Description: "A replica that is farther behind is not read from."},
			{Name: "flap_minutes", Default: "10", Description: "For so long after a failover there is no other one without a person's word."},
		},
		Packages: []string{"mariadb-server", "mariadb-backup"},
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
	others, problems := checkVariables(role)
	problems = append(problems, t.CheckNames(others)...)
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
	if t.Value(role, "memory_mb") != "0" {
		problems = append(problems, t.CheckInt(role, "memory_mb", 96, 1<<20)...)
	}
	problems = append(problems, t.CheckInt(role, "max_connections", 5, 10000)...)
	problems = append(problems, t.CheckOneOf(role, "failover", "no_loss", "available", "manual")...)
	problems = append(problems, t.CheckInt(role, "max_lag_seconds", 1, 86400)...)
	problems = append(problems, t.CheckInt(role, "flap_minutes", 0, 1440)...)
	return problems
}

// Exports are DB_HOST, DB_PORT, DB_NAME, DB_USER and DB_PASSWORD. DB_HOST is the primary's name in the farm's zone (see dns.Plan), which
// stays whoever that is, and in a farm without a zone its address.
func (b Behavior) Exports(role spec.Role, zone string, topo state.RoleTopology, secret map[string]string) map[string]string {
	t := b.Traits()
	host := ""
	switch {
	case zone != "":
		host = "primary." + role.Name + "." + zone
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

// NewSecret makes the passwords of the application's user and of replicas, and the key for clones: 26 characters of
// base32 each, 130 bits, from the system's source; and the role's certificate authority.
func (Behavior) NewSecret(role spec.Role) map[string]string {
	return map[string]string{passwordKey: rand.Text(), replicaKey: rand.Text(), cloneKey: rand.Text(),
		authorityKey: authority.New("farmhand "+role.ID(), time.Now())}
}
