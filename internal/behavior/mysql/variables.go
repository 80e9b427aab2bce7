package mysql

import (
	_ "embed"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/farmhand/terraform-provider-farmhand/internal/spec"
)

// serverPrefix begins the settings that are the server's own variables: "server.long_query_time".
const serverPrefix = "server."

// variablesTable is what information_schema.SYSTEM_VARIABLES of MariaDB 10.11 says of those that may be declared: name;
// d for dynamic or r for needing a restart, and the type (b boolean, i integer, f float, e one of, s set of, v text);
// least; greatest; values. What the farm itself sets or relies on is not in it.
//
//go:embed variables.tsv
var variablesTable string

// managed are variables that somebody may well look for and that other settings, or the farm, set.
var managed = []struct{ name, advice string }{
	{"innodb_buffer_pool_size", "It follows from memory_mb."},
	{"innodb_log_file_size", "It follows from memory_mb."},
	{"max_connections", "Use the setting max_connections."},
	{"read_only", "The farm alone decides which server is written to."},
	{"server_id", "The farm gives each server its own."},
	{"sync_binlog", "What is acknowledged is on the disk: the farm relies on it when a server is lost."},
	{"innodb_flush_log_at_trx_commit", "What is acknowledged is on the disk: the farm relies on it when a server is lost."},
}

// variable is one of the server's own.
type variable struct {
	name    string
	dynamic bool
	kind    byte
	low     string
	high    string
	values  []string
	value   string // as declared
}

// lookUp finds a variable in the table, which is read anew each time: it is asked for when a role is declared or its
// settings change, and would otherwise stay in the agent's memory for good.
func lookUp(name string) (variable, bool) {
	for line := range strings.Lines(variablesTable) {
		if len(line) > len(name) && line[:len(name)] == name && line[len(name)] == '\t' {
			return parseVariable(line), true
		}
	}
	return variable{}, false
}

func parseVariable(line string) variable {
	f := strings.Split(strings.TrimSuffix(line, "\n")+"\t\t\t\t", "\t")
	v := variable{name: f[0], dynamic: f[1][0] == 'd', kind: f[1][1], low: f[2], high: f[3]}
	if f[4] != "" {
		v.values = strings.Split(f[4], ",")
	}
	return v
}

// inPlace tells of a setting that servers take over while they run. That of failovers concern the farm alone.
func inPlace(setting string) bool {
	switch setting {
	case "failover", "max_lag_seconds", "flap_minutes":
		return true
	}
	name, ok := strings.CutPrefix(setting, serverPrefix)
	if !ok {
		return false
	}
	v, ok := lookUp(name)
	return ok && v.dynamic
}

// declared are the server's variables among a role's settings, by name.
func declared(settings map[string]string) []variable {
	var all []variable
	for _, setting := range slices.Sorted(maps.Keys(settings)) {
		name, ok := strings.CutPrefix(setting, serverPrefix)
		if !ok {
			continue
		}
		if v, ok := lookUp(name); ok {
			v.value = settings[setting]
			all = append(all, v)
		}
	}
	return all
}

// checkVariables checks the server's variables and returns the role without them.
func checkVariables(role spec.Role) (spec.Role, []spec.Problem) {
	var problems []spec.Problem
	others := map[string]string{}
	for _, setting := range slices.Sorted(maps.Keys(role.Settings)) {
		name, ok := strings.CutPrefix(setting, serverPrefix)
		if !ok {
			others[setting] = role.Settings[setting]
			continue
		}
		if p := checkVariable(name, role.Settings[setting]); p != nil {
			p.Attribute = "settings." + setting
			problems = append(problems, *p)
		}
	}
	role.Settings = others
	return role, problems
}

// checkVariable is nil if value fits the variable.
func checkVariable(name, value string) *spec.Problem {
	for _, m := range managed {
		if m.name == name {
			return &spec.Problem{Summary: fmt.Sprintf("the server's variable %s is not to be set here", name), Advice: m.advice}
		}
	}
	v, ok := lookUp(name)
	if !ok {
		return &spec.Problem{
			Summary: fmt.Sprintf("MariaDB has no variable %q, or it is one that the farm sets itself", name),
			Advice:  "Nearest are " + strings.Join(nearest(name), ", ") + ".",
		}
	}
	if what := v.wants(value); what != "" {
		return &spec.Problem{Summary: fmt.Sprintf("%q is no value for the server's variable %s", value, name), Advice: "It takes " + what + "."}
	}
	return nil
}

// wants says what the variable takes, "" if value is such.
func (v variable) wants(value string) string {
	fits := func(s string) bool {
		return slices.ContainsFunc(v.values, func(known string) bool { return strings.EqualFold(known, s) })
	}
	switch v.kind {
	case 'b':
		if slices.Contains([]string{"0", "1", "ON", "OFF"}, strings.ToUpper(value)) {
			return ""
		}
		return "ON or OFF"
	case 'i', 'f':
		if inRange(value, v.low, v.high, v.kind == 'f') {
			return ""
		}
		what := "a whole number, without a unit,"
		if v.kind == 'f' {
			what = "a number"
		}
		return fmt.Sprintf("%s from %s to %s", what, v.low, v.high)
	case 'e':
		if fits(value) {
			return ""
		}
		return "one of " + strings.Join(v.values, ", ")
	case 's':
		for part := range strings.SplitSeq(value, ",") {
			if part != "" && !fits(part) {
				return "some of " + strings.Join(v.values, ", ")
			}
		}
		return ""
	}
	if strings.ContainsAny(value, "\n\r\x00#") {
		return "one line of text without #"
	}
	return ""
}

func inRange(value, low, high string, float bool) bool {
	if float {
		n, err := strconv.ParseFloat(value, 64)
		l, errLow := strconv.ParseFloat(low, 64)
		h, errHigh := strconv.ParseFloat(high, 64)
		return err == nil && (errLow != nil || n >= l) && (errHigh != nil || n <= h)
	}
	if n, err := strconv.ParseInt(value, 10, 64); err == nil {
		l, errLow := strconv.ParseInt(low, 10, 64)
		h, errHigh := strconv.ParseUint(high, 10, 64)
		return (errLow != nil || n >= l) && (errHigh != nil || n < 0 || uint64(n) <= h)
	}
	n, err := strconv.ParseUint(value, 10, 64)
	h, errHigh := strconv.ParseUint(high, 10, 64)
	return err == nil && (errHigh != nil || n <= h)
}

// nearest are the three variables whose names are most like it.
func nearest(name string) []string {
	type near struct {
		name     string
		distance int
	}
	var all []near
	for line := range strings.Lines(variablesTable) {
		known, _, _ := strings.Cut(line, "\t")
		d := distance(name, known)
		if strings.Contains(known, name) || strings.Contains(name, known) {
			d /= 2
		}
		all = append(all, near{known, d})
	}
	slices.SortStableFunc(all, func(a, b near) int { return a.distance - b.distance })
	var names []string
	for _, n := range all[:3] {
		names = append(names, n.name)
	}
	return names
}

// distance is Levenshtein's.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		before := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := before
			if a[i] != b[j] {
				change++
			}
			before = row[j+1]
			row[j+1] = min(change, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
