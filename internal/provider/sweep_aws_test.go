package provider

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	sdkdynamodb "github.com/aws/aws-sdk-go-v2/service/dynamodb"
	dynamodbtypes "github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	awsec2 "github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go"
	"github.com/hashicorp/terraform-plugin-testing/helper/resource"

	"github.com/farmhand/terraform-provider-farmhand/internal/awsconfig"
	"github.com/farmhand/terraform-provider-farmhand/internal/deploy/policy"
)

// accPrefix begins the name of every farm and sidecar of the acceptance suite, and so the value of a tag of all that is made for them.
// Nobody calls a farm of theirs so.
const accPrefix = "fhacc-"

// The sweeper removes what a suite that was killed left in the account: go test ./internal/provider -sweep=REGION, or make sweep-aws.
func init() {
	resource.AddTestSweepers("farmhand", &resource.Sweeper{Name: "farmhand", F: func(region string) error {
		ctx, cancel := context.WithTimeout(context.Background(), 15*time.Minute)
		defer cancel()
		cfg, err := awsconfig.Load(ctx, awsconfig.Config{Region: region})
		if err != nil {
			return err
		}
		swept, err := sweep(ctx, cfg)
		for _, what := range swept {
			fmt.Println("removed", what)
		}
		return err
	}})
}

// sweeper removes one kind of thing after another, and goes on where one fails.
type sweeper struct {
	ctx    context.Context
	cfg    aws.Config
	ec2    *awsec2.Client
	swept  []string
	failed error
}

// sweep removes everything that carries the suite's tags or names, and says what.
func sweep(ctx context.Context, cfg aws.Config) (swept []string, err error) {
	w := &sweeper{ctx: ctx, cfg: cfg, ec2: awsec2.NewFromConfig(cfg)}
	w.groups()
	w.instances()
	w.templates()
	w.volumes()
	w.snapshots()
	w.addresses()
	w.securityGroups()
	w.roles()
	w.tables()
	w.buckets()
	return w.swept, w.failed
}

// did notes that a thing was removed, or why it was not. One that is gone already is neither.
func (w *sweeper) did(what string, err error) {
	var api smithy.APIError
	if errors.As(err, &api) && (strings.Contains(api.ErrorCode(), "NotFound") || strings.Contains(api.ErrorCode(), "NoSuch")) {
		return
	}
	if err != nil {
		w.failed = errors.Join(w.failed, fmt.Errorf("%s: %w", what, err))
		return
	}
	w.swept = append(w.swept, what)
}

func (w *sweeper) listed(what string, err error) bool {
	if err != nil {
		w.failed = errors.Join(w.failed, fmt.Errorf("listing %s: %w", what, err))
	}
	return err == nil
}

// ours tells whether tags are those of the suite.
func ours(tags []types.Tag) bool {
	return slices.ContainsFunc(tags, func(t types.Tag) bool {
		key := aws.ToString(t.Key)
		return (key == policy.FarmTag || key == policy.SidecarTag) && strings.HasPrefix(aws.ToString(t.Value), accPrefix)
	})
}

// named tells whether a name is one that the suite gives: of a role, a table, a bucket.
func named(name string) bool {
	return strings.HasPrefix(name, "farmhand-"+accPrefix) || strings.HasPrefix(name, "farmhand-sidecar-"+accPrefix)
}

func (w *sweeper) groups() {
	c := autoscaling.NewFromConfig(w.cfg)
	out, err := c.DescribeAutoScalingGroups(w.ctx, &autoscaling.DescribeAutoScalingGroupsInput{})
	if !w.listed("Auto Scaling groups", err) {
		return
	}
	for _, g := range out.AutoScalingGroups {
		if named(aws.ToString(g.AutoScalingGroupName)) {
			_, err := c.DeleteAutoScalingGroup(w.ctx, &autoscaling.DeleteAutoScalingGroupInput{AutoScalingGroupName: g.AutoScalingGroupName, ForceDelete: aws.Bool(true)})
			w.did("Auto Scaling group "+*g.AutoScalingGroupName, err)
		}
	}
}

// instances are ended, and waited for: what hangs on them cannot go before.
func (w *sweeper) instances() {
	for told := map[string]bool{}; ; {
		var left []string
		pages := awsec2.NewDescribeInstancesPaginator(w.ec2, &awsec2.DescribeInstancesInput{})
		for pages.HasMorePages() {
			page, err := pages.NextPage(w.ctx)
			if !w.listed("instances", err) {
				return
			}
			for _, r := range page.Reservations {
				for _, i := range r.Instances {
					if ours(i.Tags) && i.State.Name != types.InstanceStateNameTerminated {
						left = append(left, *i.InstanceId)
					}
				}
			}
		}
		if len(left) == 0 {
			return
		}
		for _, id := range left {
			if !told[id] {
				told[id] = true
				_, err := w.ec2.TerminateInstances(w.ctx, &awsec2.TerminateInstancesInput{InstanceIds: []string{id}})
				w.did("instance "+id, err)
			}
		}
		select {
		case <-w.ctx.Done():
			w.failed = errors.Join(w.failed, fmt.Errorf("instances %v have not ended: %w", left, w.ctx.Err()))
			return
		case <-time.After(time.Second):
		}
	}
}

func (w *sweeper) templates() {
	out, err := w.ec2.DescribeLaunchTemplates(w.ctx, &awsec2.DescribeLaunchTemplatesInput{})
	if !w.listed("launch templates", err) {
		return
	}
	for _, t := range out.LaunchTemplates {
		if ours(t.Tags) {
			_, err := w.ec2.DeleteLaunchTemplate(w.ctx, &awsec2.DeleteLaunchTemplateInput{LaunchTemplateId: t.LaunchTemplateId})
			w.did("launch template "+*t.LaunchTemplateName, err)
		}
	}
}

func (w *sweeper) volumes() {
	out, err := w.ec2.DescribeVolumes(w.ctx, &awsec2.DescribeVolumesInput{})
	if !w.listed("volumes", err) {
		return
	}
	for _, v := range out.Volumes {
		if ours(v.Tags) {
			_, err := w.ec2.DeleteVolume(w.ctx, &awsec2.DeleteVolumeInput{VolumeId: v.VolumeId})
			w.did("volume "+*v.VolumeId, err)
		}
	}
}

func (w *sweeper) snapshots() {
	out, err := w.ec2.DescribeSnapshots(w.ctx, &awsec2.DescribeSnapshotsInput{OwnerIds: []string{"self"}})
	if !w.listed("snapshots", err) {
		return
	}
	for _, s := range out.Snapshots {
		if ours(s.Tags) {
			_, err := w.ec2.DeleteSnapshot(w.ctx, &awsec2.DeleteSnapshotInput{SnapshotId: s.SnapshotId})
			w.did("snapshot "+*s.SnapshotId, err)
		}
	}
}

func (w *sweeper) addresses() {
	out, err := w.ec2.DescribeAddresses(w.ctx, &awsec2.DescribeAddressesInput{})
	if !w.listed("addresses", err) {
		return
	}
	for _, a := range out.Addresses {
		if ours(a.Tags) {
			_, err := w.ec2.ReleaseAddress(w.ctx, &awsec2.ReleaseAddressInput{AllocationId: a.AllocationId})
			w.did("address "+*a.AllocationId, err)
		}
	}
}

func (w *sweeper) securityGroups() {
	out, err := w.ec2.DescribeSecurityGroups(w.ctx, &awsec2.DescribeSecurityGroupsInput{})
	if !w.listed("security groups", err) {
		return
	}
	for _, g := range out.SecurityGroups {
		if ours(g.Tags) {
			_, err := w.ec2.DeleteSecurityGroup(w.ctx, &awsec2.DeleteSecurityGroupInput{GroupId: g.GroupId})
			w.did("security group "+*g.GroupId, err)
		}
	}
}

func (w *sweeper) roles() {
	c := iam.NewFromConfig(w.cfg)
	profiles := iam.NewListInstanceProfilesPaginator(c, &iam.ListInstanceProfilesInput{})
	for profiles.HasMorePages() {
		page, err := profiles.NextPage(w.ctx)
		if !w.listed("instance profiles", err) {
			break
		}
		for _, p := range page.InstanceProfiles {
			if name := p.InstanceProfileName; named(*name) {
				for _, r := range p.Roles {
					_, err := c.RemoveRoleFromInstanceProfile(w.ctx, &iam.RemoveRoleFromInstanceProfileInput{InstanceProfileName: name, RoleName: r.RoleName})
					w.did("role "+*r.RoleName+" from its profile", err)
				}
				_, err := c.DeleteInstanceProfile(w.ctx, &iam.DeleteInstanceProfileInput{InstanceProfileName: name})
				w.did("instance profile "+*name, err)
			}
		}
	}
	roles := iam.NewListRolesPaginator(c, &iam.ListRolesInput{})
	for roles.HasMorePages() {
		page, err := roles.NextPage(w.ctx)
		if !w.listed("roles", err) {
			return
		}
		for _, r := range page.Roles {
			if name := r.RoleName; named(*name) {
				_, err := c.DeleteRolePolicy(w.ctx, &iam.DeleteRolePolicyInput{RoleName: name, PolicyName: aws.String("farmhand")})
				w.did("policy of role "+*name, err)
				_, err = c.DeleteRole(w.ctx, &iam.DeleteRoleInput{RoleName: name})
				w.did("role "+*name, err)
			}
		}
	}
}

func (w *sweeper) tables() {
	c := sdkdynamodb.NewFromConfig(w.cfg)
	pages := sdkdynamodb.NewListTablesPaginator(c, &sdkdynamodb.ListTablesInput{})
	for pages.HasMorePages() {
		page, err := pages.NextPage(w.ctx)
		if !w.listed("tables", err) {
			return
		}
		for _, name := range page.TableNames {
			if !named(name) {
				continue
			}
			about, err := c.DescribeTable(w.ctx, &sdkdynamodb.DescribeTableInput{TableName: &name})
			if err == nil && about.Table.TableStatus != dynamodbtypes.TableStatusDeleting {
				_, err := c.DeleteTable(w.ctx, &sdkdynamodb.DeleteTableInput{TableName: &name})
				w.did("table "+name, err)
			}
		}
	}
}

func (w *sweeper) buckets() {
	c := s3.NewFromConfig(w.cfg, func(o *s3.Options) { o.UsePathStyle = o.BaseEndpoint != nil })
	out, err := c.ListBuckets(w.ctx, &s3.ListBucketsInput{})
	if !w.listed("buckets", err) {
		return
	}
	for _, b := range out.Buckets {
		if !named(*b.Name) {
			continue
		}
		pages := s3.NewListObjectsV2Paginator(c, &s3.ListObjectsV2Input{Bucket: b.Name})
		for pages.HasMorePages() {
			page, err := pages.NextPage(w.ctx)
			if !w.listed("objects of "+*b.Name, err) {
				break
			}
			for _, o := range page.Contents {
				_, err := c.DeleteObject(w.ctx, &s3.DeleteObjectInput{Bucket: b.Name, Key: o.Key})
				w.did("object "+*o.Key, err)
			}
		}
		_, err := c.DeleteBucket(w.ctx, &s3.DeleteBucketInput{Bucket: b.Name})
		w.did("bucket "+*b.Name, err)
	}
}
