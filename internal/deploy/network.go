package deploy

import (
	"context"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

// vpcOf is the VPC that all the subnets are in.
func (d *Sidecars) vpcOf(ctx context.Context, subnets []string) (string, error) {
	out, err := d.ec2.DescribeSubnets(ctx, &ec2.DescribeSubnetsInput{SubnetIds: subnets})
	if err != nil {
		return "", doing("looking at its subnets", "ec2:DescribeSubnets", err)
	}
	var vpc string
	for _, s := range out.Subnets {
		switch id := aws.ToString(s.VpcId); {
		case vpc == "":
			vpc = id
		case vpc != id:
			return "", fmt.Errorf("its subnets are of two VPCs, %s and %s: name subnets of one", vpc, id)
		}
	}
	if vpc == "" {
		return "", fmt.Errorf("none of its subnets %v is there", subnets)
	}
	return vpc, nil
}

// securityGroups are the sidecar's own, in one VPC or, with "", in all.
func (d *Sidecars) securityGroups(ctx context.Context, id, vpc string) (ids []string, err error) {
	filters := []ec2types.Filter{
		{Name: aws.String("tag:" + owner(id).Key), Values: []string{id}},
		{Name: aws.String("group-name"), Values: []string{ResourceName(id)}},
	}
	if vpc != "" {
		filters = append(filters, ec2types.Filter{Name: aws.String("vpc-id"), Values: []string{vpc}})
	}
	out, err := d.ec2.DescribeSecurityGroups(ctx, &ec2.DescribeSecurityGroupsInput{Filters: filters})
	if err != nil {
		return nil, doing("looking for its security group", "ec2:DescribeSecurityGroups", err)
	}
	for _, g := range out.SecurityGroups {
		ids = append(ids, aws.ToString(g.GroupId))
	}
	return ids, nil
}

// securityGroup makes the sidecar's own group or finds it. EC2 makes groups without any inbound rule and with one that
// lets everything out, which is what a sidecar needs.
func (d *Sidecars) securityGroup(ctx context.Context, s Sidecar, vpc string) (string, error) {
	found, err := d.securityGroups(ctx, s.ID, vpc)
	if err != nil {
		return "", err
	}
	if len(found) > 0 {
		return found[0], nil
	}
	out, err := d.ec2.CreateSecurityGroup(ctx, &ec2.CreateSecurityGroupInput{
		GroupName: aws.String(ResourceName(s.ID)), VpcId: &vpc, Description: aws.String("Farmhand sidecar " + s.ID + ": nothing comes in"),
		TagSpecifications: []ec2types.TagSpecification{{ResourceType: ec2types.ResourceTypeSecurityGroup, Tags: s.ec2Tags()}},
	})
	if is(err, "InvalidGroup.Duplicate") {
		return "", fmt.Errorf("security group %s of %s is not farmhand's: it lacks the tag %s = %s; remove or rename it, or name groups by security_group_ids",
			ResourceName(s.ID), vpc, owner(s.ID).Key, s.ID)
	}
	if err != nil {
		return "", doing("making its security group", "ec2:CreateSecurityGroup", err)
	}
	return aws.ToString(out.GroupId), nil
}

// removeSecurityGroups removes those of every VPC that it was in.
func (d *Sidecars) removeSecurityGroups(ctx context.Context, id string, patience time.Duration) error {
	groups, err := d.securityGroups(ctx, id, "")
	if err != nil {
		return err
	}
	for _, group := range groups {
		// Network interfaces of ended instances hold it for some seconds more.
		err := waitUntil(ctx, patience, "security group "+group+" is out of use", func() (bool, error) {
			_, err := d.ec2.DeleteSecurityGroup(ctx, &ec2.DeleteSecurityGroupInput{GroupId: &group})
			if is(err, "DependencyViolation") {
				return false, nil
			}
			if is(err, "InvalidGroup.NotFound") {
				return true, nil
			}
			return err == nil, doing("removing security group "+group, "ec2:DeleteSecurityGroup", err)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// liveInstances counts those of a sidecar that have not ended, by their tag.
func (d *Sidecars) liveInstances(ctx context.Context, id string) (n int, err error) {
	pages := ec2.NewDescribeInstancesPaginator(d.ec2, &ec2.DescribeInstancesInput{Filters: []ec2types.Filter{
		{Name: aws.String("tag:" + owner(id).Key), Values: []string{id}},
		{Name: aws.String("instance-state-name"), Values: []string{"pending", "running", "shutting-down", "stopping", "stopped"}},
	}})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return 0, doing("looking for its instances", "ec2:DescribeInstances", err)
		}
		for _, r := range page.Reservations {
			n += len(r.Instances)
		}
	}
	return n, nil
}

func (s Sidecar) ec2Tags() (tags []ec2types.Tag) {
	for _, t := range sortedTags(s.Tags, owner(s.ID), Tag{versionTag, s.Version}, Tag{"Name", ResourceName(s.ID)}) {
		tags = append(tags, ec2types.Tag{Key: aws.String(t.Key), Value: aws.String(t.Value)})
	}
	return tags
}
