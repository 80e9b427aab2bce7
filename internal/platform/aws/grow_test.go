package aws

import (
	"testing"
	"time"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/farmhand/terraform-provider-farmhand/internal/spec"
)

// to is the decision that a volume is to have so many GiB.
func to(size int) func(string, spec.Volume, int) int {
	return func(_ string, _ spec.Volume, now int) int { return max(now, size) }
}

// TestGrow: a volume becomes as large as is decided and of the type that is declared, once in six hours.
func TestGrow(t *testing.T) {
	w := newWorld(t)
	role := spec.Role{Farm: "shop", Name: "db", Max: 1, Volume: &spec.Volume{Path: "/data", SizeGB: 40}}
	w.declare(role)
	id, err := w.p.EnsureVolume(t.Context(), "db", "db-1")
	if err != nil {
		t.Fatal(err)
	}
	volume := func() types.Volume {
		t.Helper()
		out, err := sdk.NewFromConfig(w.aws.Config()).DescribeVolumes(t.Context(), &sdk.DescribeVolumesInput{VolumeIds: []string{id}})
		if err != nil {
			t.Fatal(err)
		}
		return out.Volumes[0]
	}
	// grow is one look, an hour after the last; it tells the size that is begun, 0 for none.
	grow := func(p *AWS, size int) int {
		t.Helper()
		w.pass(time.Hour)
		grown, err := p.Grow(t.Context(), []spec.Role{role}, to(size))
		if err != nil {
			t.Fatal(err)
		}
		if len(grown) == 0 {
			return 0
		}
		if g := grown[0]; g.Instance != "db-1" || g.Volume != id || g.To != int(awssdk.ToInt32(volume().Size)) {
			t.Errorf("grown is %+v, and the volume %+v", g, volume())
		}
		return grown[0].To
	}
	want := func(what string, got, want int) {
		t.Helper()
		if got != want {
			t.Errorf("%s: it grows to %d, want %d", what, got, want)
		}
	}
	want("as it is", grow(w.p, 40), 0)
	want("larger", grow(w.p, 50), 50)
	want("larger again, at once", grow(w.p, 60), 0)
	want("larger again, and another process looks", grow(w.process(), 60), 0) // EBS refuses, and that is no error
	w.pass(4 * time.Hour)
	want("larger again, six hours later", grow(w.p, 60), 60)
	w.pass(6 * time.Hour)
	role.Volume.Type, role.Volume.IOPS = "io2", 4000
	want("declared of another type", grow(w.p, 60), 60)
	if v := volume(); v.VolumeType != types.VolumeTypeIo2 || awssdk.ToInt32(v.Iops) != 4000 {
		t.Errorf("it is %+v", v)
	}
	w.aws.Deny("ec2:ModifyVolume")
	w.pass(6 * time.Hour)
	if grown, err := w.p.Grow(t.Context(), []spec.Role{role}, to(200)); err == nil || len(grown) != 0 {
		t.Errorf("without permission: %v, %v", grown, err)
	}
	w.aws.Allow("ec2:ModifyVolume")
	w.aws.ResetCalls()
	for range 10 {
		w.pass(5 * time.Second)
		if _, err := w.p.Grow(t.Context(), []spec.Role{role}, to(200)); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(w.aws.Calls()); n > 1 {
		t.Errorf("%d calls in fifty seconds", n)
	}
}
