package aws

import (
	"errors"
	"testing"
	"time"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"

	"github.com/farmhand/terraform-provider-farmhand/internal/awstest"
	"github.com/farmhand/terraform-provider-farmhand/internal/deploy/policy"
	"github.com/farmhand/terraform-provider-farmhand/internal/platform"
)

// The farm's own instance profile is made just before its first launch, and EC2 does not know it for some seconds: that is waited for,
// and no fault of the declaration. One of a person's that is not there is.
func TestAnInstanceProfileThatEC2DoesNotKnowYet(t *testing.T) {
	w := newWorld(t, func(o *awstest.Options) { o.ProfileLag = 10 * time.Second })
	w.farm.AWS.InstanceProfile = ""
	name := policy.InstanceRole(w.farm.Name)
	if _, err := iam.NewFromConfig(w.aws.Config()).CreateInstanceProfile(t.Context(), &iam.CreateInstanceProfileInput{InstanceProfileName: awssdk.String(name)}); err != nil {
		t.Fatal(err)
	}
	w.p = w.process()
	l := w.launch(1)
	if _, err := w.p.Launch(t.Context(), l); !errors.Is(err, platform.ErrUnavailable) {
		t.Fatalf("before EC2 knows it: %v; want that it is tried again", err)
	}
	w.pass(20 * time.Second)
	if _, err := w.p.Launch(t.Context(), l); err != nil {
		t.Fatalf("the same launch, later: %v", err)
	}
	if n := len(w.aws.EC2.Alive()); n != 1 {
		t.Errorf("%d instances run, want 1", n)
	}

	w.farm.AWS.InstanceProfile = "lost"
	w.p = w.process()
	if _, err := w.p.Launch(t.Context(), w.launch(2)); !errors.Is(err, platform.ErrInvalid) {
		t.Errorf("a profile that is not there: %v; want that it is wrong", err)
	}
}
