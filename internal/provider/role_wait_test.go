package provider

import (
	"testing"
	"time"

	"github.com/farmhand/terraform-provider-farmhand/internal/state"
)

// What a person reads when a role does not come up in time: each instance, its step, and what was printed.
func TestProgressTellsWhereEachInstanceStands(t *testing.T) {
	since := time.Date(2026, 3, 1, 12, 0, 0, 0, time.Local)
	p := progress{
		serving: 1, former: 1,
		coming: []state.Instance{
			{Role: "web", Index: 2, Phase: state.Booting, Since: since},
			{Role: "web", Index: 3, Phase: state.Booting, Since: since},
			{Role: "web", Index: 4, Phase: state.Launching, Since: since},
		},
		failed: []state.Instance{{Role: "web", Index: 5, Failure: &state.Failure{Step: "launch", Error: "no space left", Log: []string{"a", "b"}}}},
		reports: map[string]state.Report{
			"web-2": {Boot: state.Boot{Step: "packages", Log: []string{"Get:1 bookworm"}}},
			"web-3": {Boot: state.Boot{Done: true}, Checks: []state.Check{{Name: "tcp", OK: true}, {Name: "http", Message: "status 500"}}},
		},
		memory: state.Memory{Hold: "launches wait for room"},
	}
	role := web()
	want := `1 of 2 servers of web serve, and 1 of the former generation are still there.

web-5 failed at step "launch": no space left. It printed last:
  a
  b

web-2 is booting since 12:00:00, at step "packages". It printed last:
  Get:1 bookworm

web-3 is booting since 12:00:00; its check http fails: status 500

web-4 is launching since 12:00:00

The sidecar says: launches wait for room.`
	if got := p.detail(role); got != want {
		t.Errorf("it says:\n%s\n\nwant:\n%s", got, want)
	}
	if p.serves(role) {
		t.Error("it counts as serving")
	}
}

// A role serves as declared when enough servers of its generation do and none of a former one is left.
func TestProgressServes(t *testing.T) {
	role := web() // min 2
	for _, c := range []struct {
		serving, former int
		want            bool
	}{{0, 0, false}, {1, 0, false}, {2, 0, true}, {4, 0, true}, {2, 1, false}, {0, 2, false}} {
		if got := (progress{serving: c.serving, former: c.former}).serves(role); got != c.want {
			t.Errorf("with %d of the new and %d of the former generation it serves: %v, want %v", c.serving, c.former, got, c.want)
		}
	}
}
