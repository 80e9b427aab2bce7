package deploy

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	astypes "github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
)

// knownWithin is how long EC2 may take to know an instance profile that IAM shows already.
const knownWithin = 2 * time.Minute

// group makes the Auto Scaling group, or changes it and has its instances replaced.
func (d *Sidecars) group(ctx context.Context, s Sidecar, t templateVersion) error {
	name := ResourceName(s.ID)
	size := aws.Int32(int32(s.Size))
	template := &astypes.LaunchTemplateSpecification{LaunchTemplateId: &t.ID, Version: &t.Number}
	subnets := aws.String(strings.Join(sortedCopy(s.SubnetIDs), ","))
	var tags []astypes.Tag
	for _, tag := range sortedTags(s.Tags, owner(s.ID), Tag{versionTag, s.Version}, Tag{"Name", name}) {
		tags = append(tags, astypes.Tag{
			Key: aws.String(tag.Key), Value: aws.String(tag.Value), PropagateAtLaunch: aws.Bool(true),
			ResourceId: &name, ResourceType: aws.String("auto-scaling-group"),
		})
	}
	found, err := d.findGroup(ctx, s.ID)
	if errors.Is(err, ErrGone) {
		return waitUntil(ctx, knownWithin, "Auto Scaling takes the instance profile "+s.InstanceProfile, func() (bool, error) {
			_, err := d.groups.CreateAutoScalingGroup(ctx, &autoscaling.CreateAutoScalingGroupInput{
				AutoScalingGroupName: &name, MinSize: size, MaxSize: size, DesiredCapacity: size, VPCZoneIdentifier: subnets,
				LaunchTemplate: template, Tags: tags, HealthCheckType: aws.String("EC2"),
			})
			if is(err, "ValidationError") && strings.Contains(strings.ToLower(err.Error()), "instance profile") {
				return false, nil
			}
			if is(err, "AlreadyExists") { // a retry of a request whose answer was lost
				return true, nil
			}
			return err == nil, doing("making its Auto Scaling group", "autoscaling:CreateAutoScalingGroup", err)
		})
	}
	if err != nil {
		return err
	}
	_, err = d.groups.UpdateAutoScalingGroup(ctx, &autoscaling.UpdateAutoScalingGroupInput{
		AutoScalingGroupName: &name, MinSize: size, MaxSize: size, DesiredCapacity: size, VPCZoneIdentifier: subnets, LaunchTemplate: template,
	})
	if err != nil {
		return doing("changing its Auto Scaling group", "autoscaling:UpdateAutoScalingGroup", err)
	}
	if _, err := d.groups.CreateOrUpdateTags(ctx, &autoscaling.CreateOrUpdateTagsInput{Tags: tags}); err != nil {
		return doing("tagging its Auto Scaling group", "autoscaling:CreateOrUpdateTags", err)
	}
	old := slices.ContainsFunc(found.Instances, func(i astypes.Instance) bool {
		return i.LaunchTemplate == nil || aws.ToString(i.LaunchTemplate.Version) != t.Number
	})
	if !old {
		return nil
	}
	return d.refresh(ctx, name)
}

// refresh replaces the instances, the new one first: who holds the leases goes on until the new one takes them over.
func (d *Sidecars) refresh(ctx context.Context, name string) error {
	const patience = 5 * time.Minute
	return waitUntil(ctx, patience, "Auto Scaling begins to replace the instances of "+name, func() (bool, error) {
		_, err := d.groups.StartInstanceRefresh(ctx, &autoscaling.StartInstanceRefreshInput{
			AutoScalingGroupName: &name, Strategy: astypes.RefreshStrategyRolling,
			Preferences: &astypes.RefreshPreferences{MinHealthyPercentage: aws.Int32(100), MaxHealthyPercentage: aws.Int32(200)},
		})
		if is(err, "InstanceRefreshInProgress") {
			// It is on its way to what was before: what is now comes after.
			_, cancelled := d.groups.CancelInstanceRefresh(ctx, &autoscaling.CancelInstanceRefreshInput{AutoScalingGroupName: &name})
			if cancelled != nil && !is(cancelled, "ActiveInstanceRefreshNotFound") {
				return false, doing("ending a former replacement of its instances", "autoscaling:CancelInstanceRefresh", cancelled)
			}
			return false, nil
		}
		return err == nil, doing("replacing its instances", "autoscaling:StartInstanceRefresh", err)
	})
}

// findGroup returns ErrGone where there is none; one that is being deleted still is.
func (d *Sidecars) findGroup(ctx context.Context, id string) (astypes.AutoScalingGroup, error) {
	name := ResourceName(id)
	out, err := d.groups.DescribeAutoScalingGroups(ctx, &autoscaling.DescribeAutoScalingGroupsInput{AutoScalingGroupNames: []string{name}})
	if err != nil {
		return astypes.AutoScalingGroup{}, doing("looking for Auto Scaling group "+name, "autoscaling:DescribeAutoScalingGroups", err)
	}
	if len(out.AutoScalingGroups) == 0 {
		return astypes.AutoScalingGroup{}, ErrGone
	}
	group := out.AutoScalingGroups[0]
	for _, t := range group.Tags {
		if aws.ToString(t.Key) == owner(id).Key && aws.ToString(t.Value) == id {
			return group, nil
		}
	}
	return group, fmt.Errorf("auto Scaling group %s is not farmhand's: it lacks the tag %s = %s; remove or rename it", name, owner(id).Key, id)
}

// Look tells what there is of a sidecar; ErrGone if there is no group.
func (d *Sidecars) Look(ctx context.Context, id string) (Status, error) {
	group, err := d.findGroup(ctx, id)
	if err != nil {
		return Status{}, err
	}
	st := Status{Size: int(aws.ToInt32(group.DesiredCapacity))}
	if subnets := aws.ToString(group.VPCZoneIdentifier); subnets != "" {
		st.SubnetIDs = strings.Split(subnets, ",")
	}
	for _, t := range group.Tags {
		if aws.ToString(t.Key) == versionTag {
			st.Version = aws.ToString(t.Value)
		}
	}
	current := ""
	if group.LaunchTemplate != nil {
		current = aws.ToString(group.LaunchTemplate.Version)
	}
	for _, i := range group.Instances {
		if i.LifecycleState != astypes.LifecycleStateTerminated {
			st.Running++
		}
		if i.LifecycleState != astypes.LifecycleStateInService || aws.ToString(i.HealthStatus) != "Healthy" {
			continue
		}
		st.Instances = append(st.Instances, aws.ToString(i.InstanceId))
		if i.LaunchTemplate != nil && aws.ToString(i.LaunchTemplate.Version) == current {
			st.InService++
		}
	}
	slices.Sort(st.Instances)
	return st, nil
}

// Trouble is why the sidecar's newest launch failed, in Auto Scaling's words; "" if it did not.
func (d *Sidecars) Trouble(ctx context.Context, id string) (string, error) {
	name := ResourceName(id)
	out, err := d.groups.DescribeScalingActivities(ctx, &autoscaling.DescribeScalingActivitiesInput{AutoScalingGroupName: &name, MaxRecords: aws.Int32(1)})
	if err != nil {
		return "", doing("asking why it does not launch", "autoscaling:DescribeScalingActivities", err)
	}
	for _, a := range out.Activities { // the newest comes first
		if a.StatusCode == astypes.ScalingActivityStatusCodeFailed || a.StatusCode == astypes.ScalingActivityStatusCodeCancelled {
			return aws.ToString(a.StatusMessage), nil
		}
	}
	return "", nil
}

func isNoGroup(err error) bool {
	return is(err, "ValidationError") && strings.Contains(strings.ToLower(err.Error()), "not found")
}
