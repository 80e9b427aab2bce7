package deploy

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/iam"

	"github.com/farmhand/terraform-provider-farmhand/internal/deploy/fetch"
	"github.com/farmhand/terraform-provider-farmhand/internal/deploy/policy"
)

// Sidecar is a sidecar on EC2 as it is to be.
type Sidecar struct {
	ID      string // its name; unique in the account and region
	Store   string // address, as stores.Open takes it
	Version string // of the executable
	Scope   policy.Scope

	SubnetIDs        []string
	AMI              string
	InstanceType     string
	Size             int      // instances: 1, or 2 for one that stands by
	SecurityGroupIDs []string // empty: one of its own is made, which lets nothing in
	InstanceProfile  string   // empty: one of its own is made
	KeyName          string
	Tags             map[string]string
	LogGroup         string // of CloudWatch Logs; empty: the journal only
	MetricsListen    string // address to serve metrics at; empty: none

	// Fetch is the executable in the bucket; name, arguments and sandbox are filled in here.
	Fetch fetch.Service
}

// Status is what EC2 says of a sidecar.
type Status struct {
	InService int    // instances that run the current launch template and are healthy
	Running   int    // instances that run, of whatever version
	Size      int    // instances that there are to be
	Version   string // of the current launch template, by its tag
	Instances []string
	// What it was made with, to be compared.
	SubnetIDs []string
}

// Sidecars makes, finds and removes sidecars. Safe for concurrent use.
type Sidecars struct {
	ec2    *ec2.Client
	groups *autoscaling.Client
	iam    *iam.Client
}

// NewSidecars works in cfg's account and region.
func NewSidecars(cfg aws.Config) *Sidecars {
	return &Sidecars{ec2.NewFromConfig(cfg), autoscaling.NewFromConfig(cfg), iam.NewFromConfig(cfg)}
}

// ResourceName is that of everything that is made for a sidecar: group, template, security group, role, profile.
func ResourceName(id string) string { return "farmhand-sidecar-" + id }

func owner(id string) Tag { return Tag{policy.SidecarTag, id} }

// versionTag is on the group and its instances.
const versionTag = "farmhand:version"

// Apply makes the sidecar, or makes it as it should be: a change of what its instances are made from replaces them, the
// new one first. It returns when the group has what it needs to launch; Wait waits for the instances.
func (d *Sidecars) Apply(ctx context.Context, s Sidecar) error {
	if err := d.apply(ctx, s); err != nil {
		return fmt.Errorf("sidecar %s: %w", s.ID, err)
	}
	return nil
}

func (d *Sidecars) apply(ctx context.Context, s Sidecar) error {
	vpc, err := d.vpcOf(ctx, s.SubnetIDs)
	if err != nil {
		return err
	}
	if len(s.SecurityGroupIDs) == 0 {
		group, err := d.securityGroup(ctx, s, vpc)
		if err != nil {
			return err
		}
		s.SecurityGroupIDs = []string{group}
	}
	if s.InstanceProfile == "" {
		s.InstanceProfile = ResourceName(s.ID)
		if err := ApplyRole(ctx, d.iam, SidecarRole(s.ID, s.Tags, s.Scope)); err != nil {
			return err
		}
	}
	template, err := d.launchTemplate(ctx, s)
	if err != nil {
		return err
	}
	return d.group(ctx, s, template)
}

// SidecarRole is the role that a sidecar's instances are given where they have none of their own.
func SidecarRole(id string, tags map[string]string, scope policy.Scope) Role {
	return Role{Name: ResourceName(id), Owner: owner(id), Tags: tags, Policy: policy.Sidecar(scope), Region: scope.Region}
}

// Renew replaces the sidecar's instances by ones that are made of the same, as where they run and do nothing.
func (d *Sidecars) Renew(ctx context.Context, id string) error {
	st, err := d.Look(ctx, id)
	if err != nil || len(st.Instances) == 0 { // the group is at it
		return err
	}
	return d.refresh(ctx, ResourceName(id))
}

// Wait waits until all the sidecar's instances run what it is made of now, and running says that it is at work there; what does not hold
// yet is in the error, with Auto Scaling's own words for a launch that failed.
func (d *Sidecars) Wait(ctx context.Context, id string, patience time.Duration, running func(context.Context) (bool, error)) error {
	serves := func() (bool, error) {
		st, err := d.Look(ctx, id)
		if err != nil || st.InService < st.Size || st.Running != st.InService {
			return false, err
		}
		return running(ctx)
	}
	err := waitUntil(ctx, patience, "all instances of sidecar "+id+" run it", serves)
	if err == nil {
		return nil
	}
	said := context.WithoutCancel(ctx)
	st, looked := d.Look(said, id)
	if looked != nil {
		return err
	}
	if trouble, _ := d.Trouble(said, id); trouble != "" && st.InService < st.Size {
		return fmt.Errorf("%w; Auto Scaling says: %s", err, trouble)
	}
	return fmt.Errorf("%w: %s", err, st)
}

// String says how far it has come.
func (st Status) String() string {
	text := fmt.Sprintf("of %d instances %d are in service", st.Size, st.InService)
	if st.InService < st.Size || len(st.Instances) == 0 {
		return text
	}
	return text + " and the sidecar on them does not say so in the store: they may not reach DynamoDB or S3 (a gateway endpoint, or NAT), or their image has no " +
		"python3 or cloud-init. aws ec2 get-console-output --latest --instance-id " + st.Instances[0] + " tells"
}

// Remove removes everything that was made for the sidecar, and waits until its instances are gone. What is not there, or not the
// sidecar's, is left alone.
func (d *Sidecars) Remove(ctx context.Context, id string, patience time.Duration) error {
	name := ResourceName(id)
	err := waitUntil(ctx, patience, "the instances of sidecar "+id+" have ended", func() (bool, error) {
		group, err := d.findGroup(ctx, id)
		if errors.Is(err, ErrGone) {
			n, err := d.liveInstances(ctx, id)
			return n == 0, err
		}
		if err != nil || aws.ToString(group.Status) != "" { // "Delete in progress"
			return false, err
		}
		_, err = d.groups.DeleteAutoScalingGroup(ctx, &autoscaling.DeleteAutoScalingGroupInput{AutoScalingGroupName: &name, ForceDelete: aws.Bool(true)})
		if isNoGroup(err) || is(err, "ScalingActivityInProgress", "ResourceInUse") { // asked again
			return false, nil
		}
		return false, doing("removing Auto Scaling group "+name, "autoscaling:DeleteAutoScalingGroup", err)
	})
	if err != nil {
		return err
	}
	if err := d.removeTemplate(ctx, id); err != nil {
		return err
	}
	if err := d.removeSecurityGroups(ctx, id, patience); err != nil {
		return err
	}
	return RemoveRole(ctx, d.iam, name, owner(id))
}

// sortedCopy is s in order.
func sortedCopy(s []string) []string {
	c := slices.Clone(s)
	slices.Sort(c)
	return c
}
