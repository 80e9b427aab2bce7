package deploy_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdkec2 "github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/iam"

	"github.com/farmhand/terraform-provider-farmhand/internal/awstest"
	"github.com/farmhand/terraform-provider-farmhand/internal/awstest/ec2"
	"github.com/farmhand/terraform-provider-farmhand/internal/deploy"
	"github.com/farmhand/terraform-provider-farmhand/internal/deploy/fetch"
	"github.com/farmhand/terraform-provider-farmhand/internal/deploy/policy"
)

// account is a stand-in for AWS in virtual time.
type account struct {
	*testing.T
	*awstest.Server
	sidecars *deploy.Sidecars
}

// within runs test in a bubble in which all waiting is virtual, with what AWS takes its time over taking its time.
func within(t *testing.T, test func(a account)) {
	synctest.Test(t, func(t *testing.T) {
		s := awstest.New(awstest.Options{InProcess: true, StartDelay: 5 * time.Second, StopDelay: 10 * time.Second, ProfileLag: 8 * time.Second})
		defer s.Close()
		test(account{t, s, deploy.NewSidecars(s.Config())})
	})
}

func sidecar(version string) deploy.Sidecar {
	hash := strings.Repeat("ab", 32)
	return deploy.Sidecar{
		ID: "main", Store: "dynamodb://farmhand?region=eu-west-1&bucket=b", Version: version,
		Scope:     policy.Scope{Region: "eu-west-1", Account: "123456789012", Table: "farmhand", Bucket: "b"},
		SubnetIDs: []string{ec2.SubnetB, ec2.SubnetA}, AMI: ec2.ImageARM64, InstanceType: "t4g.nano", Size: 2, Tags: map[string]string{"team": "web"},
		Fetch: fetch.Service{Region: "eu-west-1", Bucket: "b", Objects: map[string]fetch.Object{"arm64": {Key: "blobs/" + hash + version, SHA256: hash}}},
	}
}

func (a account) must(err error) {
	a.Helper()
	if err != nil {
		a.Fatal(err)
	}
}

func always(context.Context) (bool, error) { return true, nil }

func (a account) apply(s deploy.Sidecar) {
	a.Helper()
	a.must(a.sidecars.Apply(a.Context(), s))
	a.must(a.sidecars.Wait(a.Context(), s.ID, 10*time.Minute, always))
}

// running are the instances that are there, with what is looked at.
func (a account) running() (all []ec2.Instance) {
	alive := a.EC2.Alive()
	for _, i := range a.EC2.Instances() {
		if slices.Contains(alive, i.ID) {
			all = append(all, i)
		}
	}
	return all
}

// left is what there is besides what every account has.
func (a account) left() (left []string) {
	a.Helper()
	left = append(left, a.EC2.Alive()...)
	roles, profiles := a.IAM.Names()
	left = append(append(left, roles...), profiles...)
	c := sdkec2.NewFromConfig(a.Config())
	templates, err := c.DescribeLaunchTemplates(a.Context(), nil)
	a.must(err)
	for _, t := range templates.LaunchTemplates {
		left = append(left, "template "+aws.ToString(t.LaunchTemplateName))
	}
	groups, err := c.DescribeSecurityGroups(a.Context(), nil)
	a.must(err)
	for _, g := range groups.SecurityGroups {
		if id := aws.ToString(g.GroupId); id != ec2.DefaultGroup && id != ec2.Group {
			left = append(left, "security group "+aws.ToString(g.GroupName))
		}
	}
	if _, err := a.sidecars.Look(a.Context(), "main"); !errors.Is(err, deploy.ErrGone) {
		left = append(left, fmt.Sprint("group ", err))
	}
	return left
}

// TestSidecar: what is made, that the same again changes nothing, that another version replaces the instances, and that nothing is left.
func TestSidecar(t *testing.T) {
	within(t, func(a account) {
		a.apply(sidecar("1"))
		first := a.running()
		zones := map[string]bool{}
		for _, i := range first {
			zones[i.Zone] = true
			tags := a.EC2.Tags(i.ID)
			if i.Type != "t4g.nano" || i.Metadata.HttpTokens != "required" || i.ProfileName != "farmhand-sidecar-main" ||
				tags["team"] != "web" || tags["farmhand:sidecar"] != "main" || tags["farmhand:version"] != "1" {
				t.Errorf("an instance is %+v with tags %v", i, tags)
			}
			if !strings.Contains(i.UserData, "'run' '--store' 'dynamodb://farmhand?region=eu-west-1&bucket=b' '--sidecar' 'main'") {
				t.Errorf("user data is\n%s", i.UserData)
			}
		}
		if len(first) != 2 || len(zones) != 2 {
			t.Fatalf("%d instances in %v, want two in two zones", len(first), zones)
		}
		c := sdkec2.NewFromConfig(a.Config())
		groups, err := c.DescribeSecurityGroups(a.Context(), &sdkec2.DescribeSecurityGroupsInput{Filters: []types.Filter{{Name: aws.String("group-name"), Values: []string{"farmhand-sidecar-main"}}}})
		a.must(err)
		if len(groups.SecurityGroups) != 1 || len(groups.SecurityGroups[0].IpPermissions) != 0 {
			t.Errorf("security groups are %+v, want one that lets nothing in", groups.SecurityGroups)
		}
		if got := a.IAM.Policies("farmhand-sidecar-main")["farmhand"]; got != policy.Sidecar(sidecar("1").Scope).Compact() {
			t.Errorf("its policy is %s", got)
		}

		a.ResetCalls()
		a.apply(sidecar("1"))
		for _, change := range []string{"CreateLaunchTemplate", "CreateLaunchTemplateVersion", "CreateAutoScalingGroup", "StartInstanceRefresh", "CreateSecurityGroup"} {
			if n := a.Calls().Count(change); n != 0 {
				t.Errorf("the same again made %d calls of %s", n, change)
			}
		}

		a.apply(sidecar("2"))
		st, err := a.sidecars.Look(a.Context(), "main")
		a.must(err)
		if st.Version != "2" || st.InService != 2 || st.Running != 2 {
			t.Errorf("after an upgrade it is %+v", st)
		}
		for _, i := range a.running() {
			if slices.ContainsFunc(first, func(f ec2.Instance) bool { return f.ID == i.ID }) {
				t.Errorf("%s is from before the upgrade", i.ID)
			}
		}

		second := a.running()
		one := sidecar("2")
		one.Size, one.MetricsListen = 1, "0.0.0.0:9641"
		a.apply(one)
		for _, i := range a.running() {
			if !strings.Contains(i.UserData, "'--metrics-listen' '0.0.0.0:9641'") || slices.ContainsFunc(second, func(f ec2.Instance) bool { return f.ID == i.ID }) {
				t.Errorf("%s serves no metrics: its user data is\n%s", i.ID, i.UserData)
			}
		}
		if n := len(a.running()); n != 1 {
			t.Errorf("%d instances, want 1", n)
		}
		a.must(a.sidecars.Remove(a.Context(), "main", 10*time.Minute))
		if left := a.left(); len(left) > 0 {
			t.Errorf("it left %v", left)
		}
		a.must(a.sidecars.Remove(a.Context(), "main", time.Minute)) // there is nothing
	})
}

// TestInterrupted: an apply that fails at any of its calls is taken up by the next one, and one that is not leaves nothing behind that a
// removal does not find.
func TestInterrupted(t *testing.T) {
	actions := map[string]bool{}
	within(t, func(a account) {
		a.apply(sidecar("1"))
		for _, c := range a.Calls() {
			actions[c.Action] = true
		}
	})
	if len(actions) < 10 {
		t.Fatalf("an apply makes the calls %v: that is too few", actions)
	}
	for action := range actions {
		for _, again := range []bool{true, false} {
			within(t, func(a account) {
				a.Fail(action, "ValidationFailure", 1)
				if a.sidecars.Apply(a.Context(), sidecar("1")) == nil && a.sidecars.Wait(a.Context(), "main", 10*time.Minute, always) == nil {
					t.Errorf("%s failed, and nobody said so", action)
				}
				if again {
					a.apply(sidecar("1"))
					if n := len(a.running()); n != 2 {
						t.Errorf("after a failed %s and another apply there are %d instances", action, n)
					}
				}
				a.must(a.sidecars.Remove(a.Context(), "main", 10*time.Minute))
				if left := a.left(); len(left) > 0 {
					t.Errorf("after a failed %s a removal left %v", action, left)
				}
			})
		}
	}
}

// TestForeign: what has the sidecar's names and not its tag is neither changed nor removed.
func TestForeign(t *testing.T) {
	name := aws.String("farmhand-sidecar-main")
	cases := map[string]func(a account) error{
		"launch template": func(a account) error {
			_, err := sdkec2.NewFromConfig(a.Config()).CreateLaunchTemplate(a.Context(), &sdkec2.CreateLaunchTemplateInput{LaunchTemplateName: name,
				LaunchTemplateData: &types.RequestLaunchTemplateData{ImageId: aws.String(ec2.ImageARM64)}})
			return err
		},
		"security group": func(a account) error {
			_, err := sdkec2.NewFromConfig(a.Config()).CreateSecurityGroup(a.Context(), &sdkec2.CreateSecurityGroupInput{GroupName: name, VpcId: aws.String(ec2.VPC), Description: aws.String("mine")})
			return err
		},
		"IAM role": func(a account) error {
			_, err := iam.NewFromConfig(a.Config()).CreateRole(a.Context(), &iam.CreateRoleInput{RoleName: name, AssumeRolePolicyDocument: aws.String(policy.TrustJSON("eu-west-1"))})
			return err
		},
	}
	for what, make := range cases {
		within(t, func(a account) {
			a.must(make(a))
			err := a.sidecars.Apply(a.Context(), sidecar("1"))
			if err == nil || !strings.Contains(err.Error(), "farmhand:sidecar = main") {
				t.Errorf("a foreign %s: %v, want an error with the tag that it lacks", what, err)
			}
			a.must(a.sidecars.Remove(a.Context(), "main", time.Minute))
			if left := a.left(); len(left) != 1 {
				t.Errorf("beside the foreign %s there is %v", what, left)
			}
		})
	}
}

// TestSidecarThatDoesNotCome: why stands in the error.
func TestSidecarThatDoesNotCome(t *testing.T) {
	within(t, func(a account) {
		a.EC2.NoCapacity("t4g.nano", "", "", true)
		a.must(a.sidecars.Apply(a.Context(), sidecar("1")))
		err := a.sidecars.Wait(a.Context(), "main", time.Minute, always)
		if err == nil || !strings.Contains(err.Error(), "Auto Scaling says") || !strings.Contains(err.Error(), "capacity") {
			t.Errorf("without capacity: %v", err)
		}
		a.EC2.NoCapacity("t4g.nano", "", "", false)
		err = a.sidecars.Wait(a.Context(), "main", time.Minute, func(context.Context) (bool, error) { return false, nil })
		if err == nil || !strings.Contains(err.Error(), "of 2 instances 2 are in service") || !strings.Contains(err.Error(), "get-console-output") {
			t.Errorf("a sidecar that says nothing: %v", err)
		}
	})
	for want, change := range map[string]func(s *deploy.Sidecar){
		"is made for amd64, and instance type t4g.nano is arm64": func(s *deploy.Sidecar) { s.AMI = ec2.ImageAMD64 },
		"there is no executable for amd64":                       func(s *deploy.Sidecar) { s.AMI, s.InstanceType = ec2.ImageAMD64, "t3.nano" },
		"looking at its subnets":                                 func(s *deploy.Sidecar) { s.SubnetIDs = []string{ec2.SubnetForeign} },
		"looking at image":                                       func(s *deploy.Sidecar) { s.AMI = ec2.ImageForeign },
	} {
		within(t, func(a account) {
			s := sidecar("1")
			change(&s)
			if err := a.sidecars.Apply(a.Context(), s); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%v, want %q", err, want)
			}
		})
	}
	within(t, func(a account) {
		a.Deny("autoscaling:CreateAutoScalingGroup")
		err := a.sidecars.Apply(a.Context(), sidecar("1"))
		if err == nil || !strings.Contains(err.Error(), "lack the permission autoscaling:CreateAutoScalingGroup; farmhand iam-policy --for provider") {
			t.Errorf("without a permission: %v", err)
		}
	})
}
