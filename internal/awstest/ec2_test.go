package awstest_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/smithy-go"

	"github.com/farmhand/terraform-provider-farmhand/internal/awstest"
	"github.com/farmhand/terraform-provider-farmhand/internal/awstest/ec2"
)

// clock is a test's own time.
type clock struct{ t time.Time }

func (c *clock) now() time.Time { return c.t }

// once sends every request one time only: a stand-in's refusals are what is looked at.
func once(o *sdk.Options) { o.RetryMaxAttempts = 1 }

// code is the error code of an answer; "" for none.
func code(err error) string {
	var api smithy.APIError
	if errors.As(err, &api) {
		return api.ErrorCode()
	}
	if err != nil {
		return "not an API error: " + err.Error()
	}
	return ""
}

func want(t *testing.T, err error, expected string) {
	t.Helper()
	if got := code(err); got != expected {
		t.Errorf("error %q (%v), want %q", got, err, expected)
	}
}

func ok(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func run(n int32, more func(*sdk.RunInstancesInput)) *sdk.RunInstancesInput {
	in := &sdk.RunInstancesInput{
		ImageId: aws.String(ec2.ImageAMD64), InstanceType: types.InstanceTypeT3Micro, MinCount: aws.Int32(n), MaxCount: aws.Int32(n),
		SubnetId: aws.String(ec2.SubnetA), SecurityGroupIds: []string{ec2.Group},
		TagSpecifications: []types.TagSpecification{{ResourceType: types.ResourceTypeInstance, Tags: []types.Tag{{Key: aws.String("farm"), Value: aws.String("shop")}}}},
	}
	if more != nil {
		more(in)
	}
	return in
}

func byTag(value string) []types.Filter {
	return []types.Filter{{Name: aws.String("tag:farm"), Values: []string{value}}}
}

func count(t *testing.T, c *sdk.Client, in *sdk.DescribeInstancesInput) map[types.InstanceStateName]int {
	t.Helper()
	states := map[types.InstanceStateName]int{}
	pages := sdk.NewDescribeInstancesPaginator(c, in)
	for pages.HasMorePages() {
		page, err := pages.NextPage(context.Background())
		ok(t, err)
		for _, r := range page.Reservations {
			for _, i := range r.Instances {
				states[i.State.Name]++
			}
		}
	}
	return states
}

// TestLife follows instances from their launch to where EC2 forgets them.
func TestLife(t *testing.T) {
	now := &clock{time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}
	s := awstest.New(awstest.Options{Now: now.now, StartDelay: 10 * time.Second, StopDelay: 5 * time.Second, ListLag: 2 * time.Second, PageSize: 2})
	defer s.Close()
	c, ctx := sdk.NewFromConfig(s.Config(), once), context.Background()

	made, err := c.RunInstances(ctx, run(5, nil))
	ok(t, err)
	if len(made.Instances) != 5 || made.Instances[0].State.Name != types.InstanceStateNamePending {
		t.Fatalf("launched %d, first %v", len(made.Instances), made.Instances[0].State)
	}
	id := *made.Instances[0].InstanceId
	_, err = c.DescribeInstances(ctx, &sdk.DescribeInstancesInput{InstanceIds: []string{id}})
	want(t, err, "InvalidInstanceID.NotFound")
	list := &sdk.DescribeInstancesInput{Filters: byTag("sh*"), MaxResults: aws.Int32(5)}
	if got := count(t, c, list); len(got) != 0 {
		t.Errorf("listed before the lag was over: %v", got)
	}
	now.t = now.t.Add(3 * time.Second)
	s.ResetCalls()
	if got := count(t, c, list); got["pending"] != 5 {
		t.Errorf("after the lag: %v", got)
	}
	if n := s.Calls().Count("ec2:DescribeInstances"); n != 3 {
		t.Errorf("%d calls for 5 instances by pages of 2", n)
	}
	now.t = now.t.Add(10 * time.Second)
	if got := count(t, c, list); got["running"] != 5 {
		t.Errorf("after the start: %v", got)
	}
	ended, err := c.TerminateInstances(ctx, &sdk.TerminateInstancesInput{InstanceIds: []string{id}})
	ok(t, err)
	if s := ended.TerminatingInstances[0].CurrentState.Name; s != "shutting-down" {
		t.Errorf("current state %s", s)
	}
	s.EC2.Crash(*made.Instances[1].InstanceId)
	now.t = now.t.Add(6 * time.Second)
	if got := count(t, c, list); got["running"] != 3 || got["terminated"] != 1 || got["stopped"] != 1 {
		t.Errorf("after a termination and a crash: %v", got)
	}
	now.t = now.t.Add(2 * time.Hour)
	if got := count(t, c, list); got["terminated"] != 0 {
		t.Errorf("two hours later: %v", got)
	}
}

// TestRefused holds the codes of refusals against AWS' documentation.
func TestRefused(t *testing.T) {
	s := awstest.New(awstest.Options{})
	defer s.Close()
	s.InvalidKey("AKIAGONE")
	c, ctx := sdk.NewFromConfig(s.Config(), once), context.Background()
	for _, test := range []struct {
		name, code string
		change     func(in *sdk.RunInstancesInput)
	}{
		{"unknown AMI", "InvalidAMIID.NotFound", func(in *sdk.RunInstancesInput) { in.ImageId = aws.String("ami-01234567890abcdef") }},
		{"malformed AMI", "InvalidAMIID.Malformed", func(in *sdk.RunInstancesInput) { in.ImageId = aws.String("debian") }},
		{"private AMI", "AuthFailure", func(in *sdk.RunInstancesInput) { in.ImageId = aws.String(ec2.ImageForeign) }},
		{"architecture", "InvalidParameterValue", func(in *sdk.RunInstancesInput) { in.ImageId = aws.String(ec2.ImageARM64) }},
		{"foreign subnet", "InvalidSubnetID.NotFound", func(in *sdk.RunInstancesInput) { in.SubnetId = aws.String(ec2.SubnetForeign) }},
		{"key pair", "InvalidKeyPair.NotFound", func(in *sdk.RunInstancesInput) { in.KeyName = aws.String("lost") }},
		{"group", "InvalidGroup.NotFound", func(in *sdk.RunInstancesInput) { in.SecurityGroupIds = []string{"sg-01234567890abcdef"} }},
		{"type", "InvalidParameterValue", func(in *sdk.RunInstancesInput) { in.InstanceType = "t9.mega" }},
		{"template", "InvalidLaunchTemplateName.NotFoundException", func(in *sdk.RunInstancesInput) {
			in.LaunchTemplate = &types.LaunchTemplateSpecification{LaunchTemplateName: aws.String("none")}
		}},
		{"dry run", "DryRunOperation", func(in *sdk.RunInstancesInput) { in.DryRun = aws.Bool(true) }},
		{"reserved tag", "InvalidParameterValue", func(in *sdk.RunInstancesInput) { in.TagSpecifications[0].Tags[0].Key = aws.String("aws:x") }},
		{"unknown parameter", "UnknownParameter", func(in *sdk.RunInstancesInput) { in.KernelId = aws.String("aki-1") }},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := c.RunInstances(ctx, run(1, test.change))
			want(t, err, test.code)
		})
	}
	_, err := c.DescribeInstances(ctx, &sdk.DescribeInstancesInput{Filters: []types.Filter{{Name: aws.String("colour"), Values: []string{"red"}}}})
	want(t, err, "InvalidParameterValue")
	_, err = c.DescribeInstances(ctx, &sdk.DescribeInstancesInput{MaxResults: aws.Int32(3)})
	want(t, err, "InvalidParameterValue")
	_, err = c.DescribeInstances(ctx, &sdk.DescribeInstancesInput{NextToken: aws.String("mine")})
	want(t, err, "InvalidNextToken")
	_, err = sdk.NewFromConfig(s.Config(), once, func(o *sdk.Options) { o.Region = "us-west-2" }).DescribeVpcs(ctx, nil)
	want(t, err, "AuthFailure")
	_, err = sdk.NewFromConfig(s.Config(), once, func(o *sdk.Options) {
		o.Credentials = aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: "AKIAGONE", SecretAccessKey: "x"}, nil
		})
	}).DescribeVpcs(ctx, nil)
	want(t, err, "AuthFailure")
	_, err = sdk.NewFromConfig(s.Config(), once, func(o *sdk.Options) { o.Credentials = aws.AnonymousCredentials{} }).DescribeVpcs(ctx, nil)
	want(t, err, "MissingAuthenticationToken")
	if n := len(s.EC2.Instances()); n != 0 {
		t.Errorf("%d instances were launched by refused requests", n)
	}
}

// TestFaults: what a test asks for is what callers get, and no more often.
func TestFaults(t *testing.T) {
	s := awstest.New(awstest.Options{})
	defer s.Close()
	c, ctx := sdk.NewFromConfig(s.Config(), once), context.Background()
	launch := func() error { _, err := c.RunInstances(ctx, run(1, nil)); return err }
	s.Throttle("ec2:RunInstances", 1)
	want(t, launch(), "RequestLimitExceeded")
	ok(t, launch())
	s.Deny("RunInstances")
	want(t, launch(), "UnauthorizedOperation")
	s.Allow("RunInstances")
	s.Fail("RunInstances", "Unavailable", 1)
	want(t, launch(), "Unavailable")
	s.EC2.NoCapacity("t3.micro", "", "on-demand", true)
	want(t, launch(), "InsufficientInstanceCapacity")
	s.EC2.NoCapacity("t3.micro", "", "on-demand", false)
	s.EC2.Quota(1)
	want(t, launch(), "VcpuLimitExceeded")
}

// TestClientToken: a request sent twice is done once.
func TestClientToken(t *testing.T) {
	s := awstest.New(awstest.Options{})
	defer s.Close()
	c, ctx := sdk.NewFromConfig(s.Config(), once), context.Background()
	token := func(n int32) (*sdk.RunInstancesOutput, error) {
		return c.RunInstances(ctx, run(n, func(in *sdk.RunInstancesInput) { in.ClientToken = aws.String("t-1") }))
	}
	first, err := token(2)
	ok(t, err)
	again, err := token(2)
	ok(t, err)
	if *first.Instances[1].InstanceId != *again.Instances[1].InstanceId || len(s.EC2.Instances()) != 2 {
		t.Errorf("the same token made other instances")
	}
	_, err = token(3)
	want(t, err, "IdempotentParameterMismatch")
}

// TestFleet takes instances where there is capacity and tells where there is none.
func TestFleet(t *testing.T) {
	s := awstest.New(awstest.Options{})
	defer s.Close()
	c, ctx := sdk.NewFromConfig(s.Config(), once), context.Background()
	made, err := c.CreateLaunchTemplate(ctx, &sdk.CreateLaunchTemplateInput{
		LaunchTemplateName: aws.String("shop-web-1"), LaunchTemplateData: &types.RequestLaunchTemplateData{
			ImageId: aws.String(ec2.ImageAMD64), SecurityGroupIds: []string{ec2.Group}, UserData: aws.String("IyEvYmluL3No"),
			MetadataOptions: &types.LaunchTemplateInstanceMetadataOptionsRequest{HttpTokens: "required"},
		},
	})
	ok(t, err)
	versions, err := c.DescribeLaunchTemplateVersions(ctx, &sdk.DescribeLaunchTemplateVersionsInput{LaunchTemplateId: made.LaunchTemplate.LaunchTemplateId, Versions: []string{"$Latest"}})
	ok(t, err)
	if d := versions.LaunchTemplateVersions[0].LaunchTemplateData; *d.ImageId != ec2.ImageAMD64 || d.SecurityGroupIds[0] != ec2.Group || d.MetadataOptions.HttpTokens != "required" {
		t.Errorf("the template says %+v", d)
	}
	s.EC2.NoCapacity("t3.small", "", "spot", true)
	fleet, err := c.CreateFleet(ctx, &sdk.CreateFleetInput{
		Type: types.FleetTypeInstant, ClientToken: aws.String("f-1"),
		LaunchTemplateConfigs: []types.FleetLaunchTemplateConfigRequest{{
			LaunchTemplateSpecification: &types.FleetLaunchTemplateSpecificationRequest{LaunchTemplateId: made.LaunchTemplate.LaunchTemplateId, Version: aws.String("1")},
			Overrides: []types.FleetLaunchTemplateOverridesRequest{
				{InstanceType: "t3.small", SubnetId: aws.String(ec2.SubnetA), Priority: aws.Float64(1)},
				{InstanceType: "t3.micro", SubnetId: aws.String(ec2.SubnetB), Priority: aws.Float64(2)},
			},
		}},
		TargetCapacitySpecification: &types.TargetCapacitySpecificationRequest{TotalTargetCapacity: aws.Int32(10), OnDemandTargetCapacity: aws.Int32(4), SpotTargetCapacity: aws.Int32(6)},
		OnDemandOptions:             &types.OnDemandOptionsRequest{AllocationStrategy: "prioritized"},
		SpotOptions:                 &types.SpotOptionsRequest{AllocationStrategy: "capacity-optimized-prioritized"},
		TagSpecifications:           []types.TagSpecification{{ResourceType: types.ResourceTypeInstance, Tags: []types.Tag{{Key: aws.String("farm"), Value: aws.String("shop")}}}},
	})
	ok(t, err)
	got := map[string]int{}
	for _, f := range fleet.Instances {
		got[string(f.Lifecycle)+" "+string(f.InstanceType)] += len(f.InstanceIds)
	}
	if got["on-demand t3.small"] != 4 || got["spot t3.micro"] != 6 || len(got) != 2 {
		t.Errorf("the fleet has %v", got)
	}
	if len(fleet.Errors) != 1 || *fleet.Errors[0].ErrorCode != "UnfulfillableCapacity" || fleet.Errors[0].LaunchTemplateAndOverrides.Overrides.InstanceType != "t3.small" {
		t.Errorf("errors %+v", fleet.Errors)
	}
	if n := count(t, c, &sdk.DescribeInstancesInput{Filters: byTag("shop")})["running"]; n != 10 {
		t.Errorf("%d running", n)
	}
}

// TestVolume follows a volume from one instance to another in its zone.
func TestVolume(t *testing.T) {
	s := awstest.New(awstest.Options{})
	defer s.Close()
	c, ctx := sdk.NewFromConfig(s.Config(), once), context.Background()
	a, err := c.RunInstances(ctx, run(1, nil))
	ok(t, err)
	b, err := c.RunInstances(ctx, run(1, func(in *sdk.RunInstancesInput) { in.SubnetId = aws.String(ec2.SubnetB) }))
	ok(t, err)
	v, err := c.CreateVolume(ctx, &sdk.CreateVolumeInput{AvailabilityZone: aws.String("eu-west-1a"), Size: aws.Int32(10), VolumeType: "gp3", Encrypted: aws.Bool(true), ClientToken: aws.String("v")})
	ok(t, err)
	attach := func(instance *string) error {
		_, err := c.AttachVolume(ctx, &sdk.AttachVolumeInput{Device: aws.String("/dev/sdf"), InstanceId: instance, VolumeId: v.VolumeId})
		return err
	}
	want(t, attach(b.Instances[0].InstanceId), "InvalidVolume.ZoneMismatch")
	ok(t, attach(a.Instances[0].InstanceId))
	want(t, attach(a.Instances[0].InstanceId), "VolumeInUse")
	_, err = c.DeleteVolume(ctx, &sdk.DeleteVolumeInput{VolumeId: v.VolumeId})
	want(t, err, "VolumeInUse")
	s.EC2.Terminate(*a.Instances[0].InstanceId)
	list, err := c.DescribeVolumes(ctx, &sdk.DescribeVolumesInput{})
	ok(t, err)
	if len(list.Volumes) != 2 { // b's root, and the one that outlived a
		t.Errorf("%d volumes after the instance's end", len(list.Volumes))
	}
	snap, err := c.CreateSnapshot(ctx, &sdk.CreateSnapshotInput{VolumeId: v.VolumeId})
	ok(t, err)
	moved, err := c.CreateVolume(ctx, &sdk.CreateVolumeInput{AvailabilityZone: aws.String("eu-west-1b"), SnapshotId: snap.SnapshotId})
	ok(t, err)
	if *moved.Size != 10 {
		t.Errorf("the copy has %d GiB", *moved.Size)
	}
}

// TestAddress: an Elastic IP is taken over by the next instance.
func TestAddress(t *testing.T) {
	s := awstest.New(awstest.Options{})
	defer s.Close()
	c, ctx := sdk.NewFromConfig(s.Config(), once), context.Background()
	made, err := c.RunInstances(ctx, run(2, nil))
	ok(t, err)
	ip, err := c.AllocateAddress(ctx, &sdk.AllocateAddressInput{Domain: "vpc"})
	ok(t, err)
	for n, i := range made.Instances {
		in := &sdk.AssociateAddressInput{AllocationId: ip.AllocationId, InstanceId: i.InstanceId, AllowReassociation: aws.Bool(false)}
		if n == 1 {
			_, err = c.AssociateAddress(ctx, in)
			want(t, err, "Resource.AlreadyAssociated")
			in.AllowReassociation = aws.Bool(true)
		}
		_, err = c.AssociateAddress(ctx, in)
		ok(t, err)
	}
	_, err = c.ReleaseAddress(ctx, &sdk.ReleaseAddressInput{AllocationId: ip.AllocationId})
	want(t, err, "InvalidIPAddress.InUse")
	list, err := c.DescribeInstances(ctx, &sdk.DescribeInstancesInput{Filters: []types.Filter{{Name: aws.String("ip-address"), Values: []string{*ip.PublicIp}}}})
	ok(t, err)
	if len(list.Reservations) != 1 || *list.Reservations[0].Instances[0].InstanceId != *made.Instances[1].InstanceId {
		t.Errorf("the address is not the second instance's alone")
	}
}
