package awstest_test

import (
	"context"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	astypes "github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
	sdk "github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	elbtypes "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/route53"
	r53 "github.com/aws/aws-sdk-go-v2/service/route53/types"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/farmhand/terraform-provider-farmhand/internal/awstest"
	"github.com/farmhand/terraform-provider-farmhand/internal/awstest/ec2"
	zones "github.com/farmhand/terraform-provider-farmhand/internal/awstest/route53"
)

const trust = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"ec2.amazonaws.com"},"Action":"sts:AssumeRole"}]}`

// TestTargets: registered, healthy as the test says, draining for the group's delay, then gone.
func TestTargets(t *testing.T) {
	now := &clock{time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}
	s := awstest.New(awstest.Options{Now: now.now})
	defer s.Close()
	ctx := context.Background()
	made, err := sdk.NewFromConfig(s.Config(), once).RunInstances(ctx, run(1, nil))
	ok(t, err)
	c := elb.NewFromConfig(s.Config(), func(o *elb.Options) { o.RetryMaxAttempts = 1 })
	arn, target := aws.String(s.TargetGroup()), []elbtypes.TargetDescription{{Id: made.Instances[0].InstanceId}}
	health := func() string {
		t.Helper()
		out, err := c.DescribeTargetHealth(ctx, &elb.DescribeTargetHealthInput{TargetGroupArn: arn})
		ok(t, err)
		if len(out.TargetHealthDescriptions) == 0 {
			return ""
		}
		return string(out.TargetHealthDescriptions[0].TargetHealth.State)
	}
	_, err = c.RegisterTargets(ctx, &elb.RegisterTargetsInput{TargetGroupArn: arn, Targets: []elbtypes.TargetDescription{{Id: aws.String("i-01234567890abcdef")}}})
	want(t, err, "InvalidTarget")
	_, err = c.RegisterTargets(ctx, &elb.RegisterTargetsInput{TargetGroupArn: arn, Targets: target})
	ok(t, err)
	if got := health(); got != "healthy" {
		t.Errorf("registered: %q", got)
	}
	s.ELB.SetHealth(*arn, *target[0].Id, "unhealthy", "Target.Timeout")
	if got := health(); got != "unhealthy" {
		t.Errorf("set: %q", got)
	}
	_, err = c.DeregisterTargets(ctx, &elb.DeregisterTargetsInput{TargetGroupArn: arn, Targets: target})
	ok(t, err)
	if got := health(); got != "draining" {
		t.Errorf("deregistered: %q", got)
	}
	now.t = now.t.Add(5 * time.Minute)
	if got := health(); got != "" {
		t.Errorf("drained: %q", got)
	}
}

// TestRecords: a batch is done whole or not at all, and a record is deleted by naming exactly what it is.
func TestRecords(t *testing.T) {
	s := awstest.New(awstest.Options{PageSize: 2})
	defer s.Close()
	c, ctx := route53.NewFromConfig(s.Config(), func(o *route53.Options) { o.RetryMaxAttempts = 1 }), context.Background()
	change := func(action, name, value string) r53.Change {
		return r53.Change{Action: r53.ChangeAction(action), ResourceRecordSet: &r53.ResourceRecordSet{Name: aws.String(name), Type: "A", TTL: aws.Int64(5),
			ResourceRecords: []r53.ResourceRecord{{Value: aws.String(value)}}}}
	}
	send := func(changes ...r53.Change) error {
		_, err := c.ChangeResourceRecordSets(ctx, &route53.ChangeResourceRecordSetsInput{HostedZoneId: aws.String(zones.PrivateZone), ChangeBatch: &r53.ChangeBatch{Changes: changes}})
		return err
	}
	ok(t, send(change("CREATE", "web.farm.internal", "10.0.0.1"), change("UPSERT", "db.farm.internal.", "10.0.0.2")))
	want(t, send(change("UPSERT", "new.farm.internal", "10.0.0.3"), change("CREATE", "web.farm.internal", "10.0.0.1")), "InvalidChangeBatch")
	want(t, send(change("DELETE", "web.farm.internal", "10.0.0.9")), "InvalidChangeBatch")
	want(t, send(change("UPSERT", "web.example.org", "10.0.0.9")), "InvalidChangeBatch")
	want(t, send(change("UPSERT", "web.farm.internal", "ten")), "InvalidChangeBatch")
	if got := s.Route53.Records(zones.PrivateZone); len(got) != 2 || got[0].Name != "db.farm.internal." {
		t.Errorf("records %+v", got)
	}
	n := 0
	pages := route53.NewListResourceRecordSetsPaginator(c, &route53.ListResourceRecordSetsInput{HostedZoneId: aws.String(zones.PrivateZone)})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		ok(t, err)
		n += len(page.ResourceRecordSets)
	}
	if n != 4 {
		t.Errorf("%d records listed by pages of 2, want 4 with NS and SOA", n)
	}
	ok(t, send(change("DELETE", "web.farm.internal", "10.0.0.1")))
	_, err := c.GetHostedZone(ctx, &route53.GetHostedZoneInput{Id: aws.String("ZNONE")})
	want(t, err, "NoSuchHostedZone")
}

// TestProfile: EC2 learns of an instance profile late, and nothing that is used can be deleted.
func TestProfile(t *testing.T) {
	now := &clock{time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}
	s := awstest.New(awstest.Options{Now: now.now, ProfileLag: 10 * time.Second})
	defer s.Close()
	c, ctx := iam.NewFromConfig(s.Config(), func(o *iam.Options) { o.RetryMaxAttempts = 1 }), context.Background()
	name := aws.String("farmhand-shop-instance")
	_, err := c.CreateRole(ctx, &iam.CreateRoleInput{RoleName: name, AssumeRolePolicyDocument: aws.String(trust)})
	ok(t, err)
	_, err = c.CreateRole(ctx, &iam.CreateRoleInput{RoleName: name, AssumeRolePolicyDocument: aws.String(trust)})
	want(t, err, "EntityAlreadyExists")
	_, err = c.PutRolePolicy(ctx, &iam.PutRolePolicyInput{RoleName: name, PolicyName: name, PolicyDocument: aws.String("{")})
	want(t, err, "MalformedPolicyDocument")
	_, err = c.PutRolePolicy(ctx, &iam.PutRolePolicyInput{RoleName: name, PolicyName: name, PolicyDocument: aws.String(`{"Statement":[]}`)})
	ok(t, err)
	_, err = c.CreateInstanceProfile(ctx, &iam.CreateInstanceProfileInput{InstanceProfileName: name})
	ok(t, err)
	_, err = c.AddRoleToInstanceProfile(ctx, &iam.AddRoleToInstanceProfileInput{InstanceProfileName: name, RoleName: name})
	ok(t, err)
	launch := func() error {
		_, err := sdk.NewFromConfig(s.Config(), once).RunInstances(ctx, run(1, func(in *sdk.RunInstancesInput) {
			in.IamInstanceProfile = &types.IamInstanceProfileSpecification{Name: name}
		}))
		return err
	}
	want(t, launch(), "InvalidParameterValue")
	now.t = now.t.Add(11 * time.Second)
	ok(t, launch())
	_, err = c.DeleteRole(ctx, &iam.DeleteRoleInput{RoleName: name})
	want(t, err, "DeleteConflict")
	got, err := c.GetInstanceProfile(ctx, &iam.GetInstanceProfileInput{InstanceProfileName: name})
	ok(t, err)
	if *got.InstanceProfile.Roles[0].RoleName != *name {
		t.Errorf("the profile holds %v", got.InstanceProfile.Roles)
	}
	_, err = c.GetRole(ctx, &iam.GetRoleInput{RoleName: aws.String("lost")})
	want(t, err, "NoSuchEntity")
}

// TestGroup: an Auto Scaling group keeps its number, spreads over zones, and renews itself.
func TestGroup(t *testing.T) {
	s := awstest.New(awstest.Options{})
	defer s.Close()
	ctx := context.Background()
	_, err := sdk.NewFromConfig(s.Config(), once).CreateLaunchTemplate(ctx, &sdk.CreateLaunchTemplateInput{LaunchTemplateName: aws.String("sidecar"),
		LaunchTemplateData: &types.RequestLaunchTemplateData{ImageId: aws.String(ec2.ImageARM64), InstanceType: types.InstanceTypeT4gMicro}})
	ok(t, err)
	c, name := autoscaling.NewFromConfig(s.Config()), aws.String("farmhand-sidecar")
	_, err = c.CreateAutoScalingGroup(ctx, &autoscaling.CreateAutoScalingGroupInput{AutoScalingGroupName: name, MinSize: aws.Int32(2), MaxSize: aws.Int32(2),
		VPCZoneIdentifier: aws.String(ec2.SubnetA + "," + ec2.SubnetB), LaunchTemplate: &astypes.LaunchTemplateSpecification{LaunchTemplateName: aws.String("sidecar"), Version: aws.String("$Latest")},
		Tags: []astypes.Tag{{Key: aws.String("k"), Value: aws.String("v"), PropagateAtLaunch: aws.Bool(true), ResourceId: name, ResourceType: aws.String("auto-scaling-group")}}})
	ok(t, err)
	members := func() []astypes.Instance {
		t.Helper()
		out, err := c.DescribeAutoScalingGroups(ctx, &autoscaling.DescribeAutoScalingGroupsInput{AutoScalingGroupNames: []string{*name}})
		ok(t, err)
		return out.AutoScalingGroups[0].Instances
	}
	first := members()
	if len(first) != 2 || *first[0].AvailabilityZone == *first[1].AvailabilityZone {
		t.Fatalf("members %v", first)
	}
	s.EC2.Terminate(*first[0].InstanceId)
	if got := members(); len(got) != 2 || *got[0].InstanceId == *first[0].InstanceId || *got[1].InstanceId == *first[0].InstanceId {
		t.Errorf("the ended member was not replaced: %v", got)
	}
	_, err = c.StartInstanceRefresh(ctx, &autoscaling.StartInstanceRefreshInput{AutoScalingGroupName: name})
	ok(t, err)
	for range 6 {
		s.AutoScaling.Tick()
	}
	refreshes, err := c.DescribeInstanceRefreshes(ctx, &autoscaling.DescribeInstanceRefreshesInput{AutoScalingGroupName: name})
	ok(t, err)
	if r := refreshes.InstanceRefreshes[0]; r.Status != "Successful" {
		t.Errorf("refresh %+v", r)
	}
	_, err = c.DeleteAutoScalingGroup(ctx, &autoscaling.DeleteAutoScalingGroupInput{AutoScalingGroupName: name})
	want(t, err, "ResourceInUse")
	_, err = c.DeleteAutoScalingGroup(ctx, &autoscaling.DeleteAutoScalingGroupInput{AutoScalingGroupName: name, ForceDelete: aws.Bool(true)})
	ok(t, err)
	if alive := s.EC2.Alive(); len(alive) != 0 {
		t.Errorf("left: %v", alive)
	}
}

// TestIdentity: one is who the keys say.
func TestIdentity(t *testing.T) {
	s := awstest.New(awstest.Options{})
	defer s.Close()
	got, err := sts.NewFromConfig(s.Config()).GetCallerIdentity(context.Background(), nil)
	ok(t, err)
	if *got.Account != "123456789012" || *got.Arn != "arn:aws:iam::123456789012:user/tester" {
		t.Errorf("%v %v", *got.Account, *got.Arn)
	}
}
