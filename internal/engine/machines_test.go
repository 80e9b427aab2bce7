package engine_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"

	"github.com/farmhand/terraform-provider-farmhand/internal/engine"
	"github.com/farmhand/terraform-provider-farmhand/internal/state"
)

const targetGroup = "arn:aws:elasticloadbalancing:eu-west-1:111122223333:targetgroup/shop-web/73e2d6bc24d8a067"

// tellMachine is what a platform has to say of a machine of its own.
func (w *world) tellMachine(t *testing.T, d *datadriven.TestData) string {
	m := w.machineOf(d.CmdArgs[0].Key)
	if m == nil {
		return fmt.Sprintf("%s has no machine\n", d.CmdArgs[0].Key)
	}
	switch d.Cmd {
	case "reboot":
		m.report.Rebooting, m.mute = w.now, true
	case "notice":
		n := &state.Notice{Kind: d.CmdArgs[1].Key}
		if len(d.CmdArgs) > 2 {
			n.Before = w.now.Add(length(t, d.CmdArgs[2].Vals[0]))
		}
		m.Notice = n
	case "target":
		if d.CmdArgs[1].Key == "gone" {
			m.Targets = nil
			return ""
		}
		m.Targets = map[string]engine.Target{targetGroup: {State: d.CmdArgs[1].Key, Reason: "Health checks failed with these codes: [502]"}}
	}
	return ""
}

// TestUnmatchedMachine: a machine that was made in a batch, and whose instance is not noted yet, is nobody's stray for two minutes.
func TestUnmatchedMachine(t *testing.T) {
	for _, c := range []struct {
		token  string
		age    time.Duration
		reaped bool
	}{
		{"", 119 * time.Second, false},
		{"", 121 * time.Second, true},
		{"t-of-nobody", 14 * time.Second, false},
		{"t-of-nobody", 16 * time.Second, true},
	} {
		out := engine.Decide(engine.View{Now: time.Unix(1e9, 0), MachinesListed: true,
			Strays: []engine.Machine{{ID: "i-1", Role: "web", Token: c.token, Age: c.age}}})
		if got := len(out.Decisions) == 1 && out.Decisions[0].Action == engine.Reap; got != c.reaped {
			t.Errorf("token %q, %s old: reaped = %t", c.token, c.age, got)
		}
	}
}
