package behavior

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/farmhand/terraform-provider-farmhand/internal/spec"
)

// Value is the role's value of a setting, or the setting's default.
func (t Traits) Value(role spec.Role, name string) string {
	if v, ok := role.Settings[name]; ok {
		return v
	}
	for _, s := range t.Settings {
		if s.Name == name {
			return s.Default
		}
	}
	return ""
}

// Int is Value as a whole number; 0 if it is none, which Validate has refused before.
func (t Traits) Int(role spec.Role, name string) int {
	n, _ := strconv.Atoi(t.Value(role, name))
	return n
}

// CheckNames finds settings that the behavior does not have.
func (t Traits) CheckNames(role spec.Role) []spec.Problem {
	var known []string
	for _, s := range t.Settings {
		known = append(known, s.Name)
	}
	var unknown []string
	for name := range role.Settings {
		if !slices.Contains(known, name) {
			unknown = append(unknown, name)
		}
	}
	slices.Sort(unknown)
	advice := "It has no settings."
	if len(known) > 0 {
		advice = "Its settings are " + strings.Join(known, ", ") + "."
	}
	var problems []spec.Problem
	for _, name := range unknown {
		problems = append(problems, spec.Problem{
			Attribute: "settings." + name,
			Summary:   fmt.Sprintf("behavior %s has no setting %q", t.Name, name),
			Advice:    advice,
		})
	}
	return problems
}

// CheckInt finds a setting that is no whole number from low to high.
func (t Traits) CheckInt(role spec.Role, name string, low, high int) []spec.Problem {
	v := t.Value(role, name)
	if n, err := strconv.Atoi(v); err == nil && n >= low && n <= high {
		return nil
	}
	return []spec.Problem{{
		Attribute: "settings." + name,
		Summary:   fmt.Sprintf("%q is not a whole number from %d to %d", v, low, high),
		Advice:    fmt.Sprintf("The default is %s.", t.defaultOf(name)),
	}}
}

// CheckOneOf finds a setting that is none of the values.
func (t Traits) CheckOneOf(role spec.Role, name string, values ...string) []spec.Problem {
	v := t.Value(role, name)
	if slices.Contains(values, v) {
		return nil
	}
	return []spec.Problem{{
		Attribute: "settings." + name,
		Summary:   fmt.Sprintf("%q is not one of %s", v, strings.Join(values, ", ")),
		Advice:    fmt.Sprintf("The default is %s.", t.defaultOf(name)),
	}}
}

// CheckPattern finds a setting that does not match; what says in words what would.
func (t Traits) CheckPattern(role spec.Role, name string, pattern *regexp.Regexp, what string) []spec.Problem {
	v := t.Value(role, name)
	if pattern.MatchString(v) {
		return nil
	}
	return []spec.Problem{{
		Attribute: "settings." + name,
		Summary:   fmt.Sprintf("%q is not %s", v, what),
		Advice:    fmt.Sprintf("The default is %s.", t.defaultOf(name)),
	}}
}

func (t Traits) defaultOf(name string) string { return t.Value(spec.Role{}, name) }
