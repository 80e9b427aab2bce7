package provider

import "testing"

func TestAttributePath(t *testing.T) {
	for attribute, want := range map[string]string{
		"min":                     `min`,
		"health_check.http.path":  `health_check.http.path`,
		"steps[2].from":           `step[2].from`,
		"settings.memory_mb":      `settings["memory_mb"]`,
		"settings.a.b":            `settings["a.b"]`,
		`environment["APP_MODE"]`: `environment["APP_MODE"]`,
		`secrets["DB PASSWORD"]`:  `secret_environment_wo["DB PASSWORD"]`,
		"uses[1]":                 `uses`,
		"metric.load_average":     `metric.load_average`,
	} {
		if got := attributePath(attribute).String(); got != want {
			t.Errorf("attributePath(%q) = %s, want %s", attribute, got, want)
		}
	}
}
