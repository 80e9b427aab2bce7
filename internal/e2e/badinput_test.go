package e2e

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/farmhand/terraform-provider-farmhand/internal/e2e/live"
)

// one is a farm of one role, with what a case adds to it.
const one = `
terraform {
  required_providers {
    farmhand = { source = "farmhand/farmhand" }
  }
}

resource "farmhand_sidecar" "here" {
  local = {}
}

resource "farmhand_farm" "f" {
  name    = %q
  sidecar = farmhand_sidecar.here.id
  zone    = "bad.internal"
  docker  = { subnet = %q }
}

resource "farmhand_role" "r" {
  farm     = farmhand_farm.f.name
  name     = "job"
  behavior = "base"
  min      = 1
  max      = 1
  %s
}
`

// TestBadInput is what a person sees who declares what cannot be.
func TestBadInput(t *testing.T) {
	w := enter(t)
	t.Parallel()
	dir := stateDir(t)
	taken := w.subnet(t)
	half := strings.Replace(taken, "/27", "/28", 1)
	cases := []struct {
		name, farm, subnet, role string
		atPlan                   bool
		want                     []string // of the message, wherever its lines are broken
	}{
		{
			name: "a boot script that exits 3", farm: "bad-boot", subnet: w.subnet(t),
			role: "boot_script = <<-EOT\n    echo counting the hens\n    echo the fox was here >&2\n    exit 3\n  EOT\n  timeouts = { create = \"20s\" }",
			want: []string{"job-1", "boot script", "exited 3", "counting the hens", "the fox was here"},
		},
		{
			name: "an image that does not exist", farm: "bad-image", subnet: w.subnet(t),
			role:   `image = "farmhand-no-such-image:none"`,
			atPlan: true,
			want:   []string{"image", "farmhand-no-such-image:none"},
		},
		{
			name: "a subnet that overlaps", farm: "bad-subnet", subnet: taken,
			atPlan: true,
			want:   []string{"subnet", half},
		},
	}
	remove, err := w.engine.Network(t.Context(), fmt.Sprintf("e2e-in-the-way-%d", os.Getpid()), half)
	must(t, err)
	t.Cleanup(func() {
		if err := remove(); err != nil {
			t.Error(err)
		}
	})

	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			f := w.farm(t, c.farm, c.subnet, dir)
			must(t, f.UseHCL(fmt.Sprintf(one, f.Name, c.subnet, c.role)))
			name := f.Name
			f.Name = "" // this configuration has no variables

			var err error
			if c.atPlan {
				_, _, err = f.Plan(t.Context())
			} else {
				_, err = f.Apply(t.Context())
			}
			if !errors.Is(err, live.ErrTerraform) {
				t.Fatalf("it was taken: %v", err)
			}
			said := flat(err.Error())
			for _, want := range c.want {
				if !strings.Contains(said, want) {
					t.Errorf("the error does not say %q:\n%v", want, err)
				}
			}

			_, err = f.Destroy(t.Context())
			must(t, err)
			left, err := w.engine.Leftovers(t.Context(), name)
			must(t, err)
			if len(left) > 0 {
				t.Errorf("it left %v", left)
			}
		})
	}
}

// flat joins the lines that Terraform broke a message into, and drops the bars that it draws beside them.
func flat(message string) string {
	return strings.Join(strings.Fields(strings.NewReplacer("│", " ", "╷", " ", "╵", " ").Replace(message)), " ")
}
