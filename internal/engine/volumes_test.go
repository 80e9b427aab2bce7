package engine_test

import (
	"strings"
	"testing"

	"github.com/farmhand/terraform-provider-farmhand/internal/engine"
	"github.com/farmhand/terraform-provider-farmhand/internal/spec"
	"github.com/farmhand/terraform-provider-farmhand/internal/state"
)

func TestVolumeSize(t *testing.T) {
	for name, c := range map[string]struct {
		declared spec.Volume
		size     int
		used     float64
		want     int
	}{
		"as declared":               {spec.Volume{SizeGB: 40}, 40, 0.5, 40},
		"full, and not allowed to":  {spec.Volume{SizeGB: 40}, 40, 0.99, 40},
		"nearly full":               {spec.Volume{SizeGB: 40, MaxSizeGB: 60}, 40, 0.84, 40},
		"full":                      {spec.Volume{SizeGB: 40, MaxSizeGB: 60}, 40, 0.85, 50},
		"a small one":               {spec.Volume{MaxSizeGB: 60}, 10, 0.9, 15},
		"up to its limit":           {spec.Volume{SizeGB: 40, MaxSizeGB: 60}, 50, 0.9, 60},
		"at its limit":              {spec.Volume{SizeGB: 40, MaxSizeGB: 60}, 60, 0.99, 60},
		"declared larger":           {spec.Volume{SizeGB: 100}, 40, 0, 100},
		"declared larger, and full": {spec.Volume{SizeGB: 100, MaxSizeGB: 400}, 40, 0.9, 125},
		"declared smaller":          {spec.Volume{SizeGB: 20}, 40, 0, 40},
	} {
		if got := engine.VolumeSize(c.declared, c.size, c.used); got != c.want {
			t.Errorf("%s: %d, want %d", name, got, c.want)
		}
	}
}

// TestFullVolume: it is said when it fills, not again while it is full, and again when it fills again.
func TestFullVolume(t *testing.T) {
	w := newWorld()
	role := engine.Role{Spec: spec.Role{Farm: "shop", Name: "job", Behavior: "base", Min: 1, Max: 1, Volume: &spec.Volume{Path: "/data"}}, Stateful: true, Generation: "g1"}
	role.Spec.SetDefaults()
	in := engine.Instance{Instance: state.Instance{Role: "job", Index: 1, Token: "t", Generation: "g1", Phase: state.Running, ServedAt: w.now, Created: w.now},
		Machine: &engine.Machine{ID: "m1", Role: "job", Name: "job-1", Token: "t"}, Report: &state.Report{Instance: "job-1", Token: "t", Boot: state.Boot{Done: true}}}
	said := func(used float64) (reasons []string) {
		in.Report.At, in.Report.VolumeUsed = w.now, used
		role.Instances = []engine.Instance{in}
		out := engine.Decide(engine.View{Now: w.now, Farm: spec.Farm{Name: "shop"}, MachinesListed: true, Roles: []engine.Role{role}})
		role.Memory = out.Memory["job"]
		for _, d := range out.Decisions {
			if strings.Contains(d.Reason, "data volume") {
				reasons = append(reasons, d.Reason)
			}
		}
		return reasons
	}
	for i, c := range []struct {
		used float64
		want int
	}{{0.84, 0}, {0.9, 1}, {0.95, 0}, {0.5, 0}, {0.9, 1}} {
		if got := said(c.used); len(got) != c.want || c.want > 0 && !strings.Contains(got[0], "of job-1 is 90 % full: raise volume.size_gb") {
			t.Errorf("look %d, %.0f %% full: it says %q", i+1, c.used*100, got)
		}
	}
	said(0.5)
	role.Spec.Volume.MaxSizeGB = 60
	if got := said(0.9); len(got) != 1 || !strings.Contains(got[0], "it may grow up to 60 GB") {
		t.Errorf("one that may grow: %q", got)
	}
}
