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
	Trouble   string // why the group cannot launch, in Auto Scaling's words
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
		err := ApplyRole(ctx, d.iam, Role{
			Name: ResourceName(s.ID), Owner: owner(s.ID), Tags: s.Tags, Policy: policy.Sidecar(s.Scope), Region: s.Scope.Region,
		})
		if err != nil {
			return err
		}
	}
	template, err := d.launchTemplate(ctx, s)
	if err != nil {
		return err
	}
	return d.group(ctx, s, template)
}

// Wait waits until all the sidecar's instances run what it is made of now.
func (d *Sidecars) Wait(ctx context.Context, id string, patience time.Duration) error {
	var last Status
	err := waitUntil(ctx, patience, "all instances of sidecar "+id+" are in service", func() (bool, error) {
		st, err := d.Look(ctx, id)
		last = st
		return err == nil && st.InService >= st.Size && st.Running == st.InService, err
	})
	if err != nil && last.Trouble != "" {
		return fmt.Errorf("%w; Auto Scaling says: %s", err, last.Trouble)
	}
	return err
}

// Remove removes everything that was made for the sidecar, and waits until its instances are gone. A log group stays.
func (d *Sidecars) Remove(ctx context.Context, id string, patience time.Duration) error {
	name := ResourceName(id)
	st, err := d.Look(ctx, id)
	switch {
	case errors.Is(err, ErrGone):
	case err != nil:
		return err
	default:
		_, err := d.groups.DeleteAutoScalingGroup(ctx, &autoscaling.DeleteAutoScalingGroupInput{AutoScalingGroupName: &name, ForceDelete: aws.Bool(true)})
		if err != nil && !isNoGroup(err) && !is(err, "ScalingActivityInProgress", "ResourceInUse") {
			return doing("removing Auto Scaling group "+name, "autoscaling:DeleteAutoScalingGroup", err)
		}
	}
	_ = st
	err = waitUntil(ctx, patience, "the instances of sidecar "+id+" have ended", func() (bool, error) {
		if _, err := d.Look(ctx, id); !errors.Is(err, ErrGone) {
			return false, err
		}
		n, err := d.liveInstances(ctx, id)
		return n == 0, err
	})
	if err != nil {
		return err
	}
	if err := d.removeTemplate(ctx, id); err != nil {
		return err
	}
	if err := d.removeSecurityGroup(ctx, id, patience); err != nil {
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
