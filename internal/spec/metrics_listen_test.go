package spec

import (
	"strings"
	"testing"
)

func TestMetricsListen(t *testing.T) {
	for address, want := range map[string]string{
		"":                     "",
		"127.0.0.1:9641":       "",
		"127.8.8.8:1024":       "",
		"localhost:9641":       "",
		"[::1]:65535":          "",
		"[::ffff:127.0.0.1]:1": "not one of 1024",
		"0.0.0.0:9641":         "warning: metrics at 0.0.0.0:9641 are for everybody",
		":9641":                "warning: metrics at :9641 are for everybody",
		"10.0.0.7:9641":        "warning: metrics at 10.0.0.7:9641",
		"[::]:9641":            "warning: metrics at [::]:9641",
		"9641":                 "is not HOST:PORT",
		"127.0.0.1":            "is not HOST:PORT",
		"::1:9641":             "is not HOST:PORT",
		"http://127.0.0.1:80":  "is not HOST:PORT",
		"metrics.example:9641": "is no IP address",
		"127.0.0.1:http":       "not one of 1024",
		"127.0.0.1:80":         "not one of 1024",
		"127.0.0.1:65536":      "not one of 1024",
		"127.0.0.1:":           "not one of 1024",
	} {
		got := ""
		for _, p := range (Sidecar{ID: LocalSidecar, Local: true, MetricsListen: address}).Validate() {
			if p.Attribute != "metrics_listen" || p.Advice == "" {
				t.Errorf("%q: %+v", address, p)
			}
			if got = p.Summary; p.Warning {
				got = "warning: " + got
			}
		}
		if (want == "") != (got == "") || !strings.Contains(got, want) {
			t.Errorf("%q: %q, want %q", address, got, want)
		}
	}
}
