package deploy

import (
	"context"
	"errors"
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

func (d *Sidecars) findSecurityGroup(ctx context.Context, id string) (string, error) {
	out, err := d.ec2.DescribeSecurityGroups(ctx, &ec2.DescribeSecurityGroupsInput{Filters: []ec2types.Filter{
		{Name: aws.String("tag:" + owner(id).Key), Values: []string{id}},
		{Name: aws.String("group-name"), Values: []string{ResourceName(id)}},
	}})
	if err != nil {
		return "", doing("looking for its security group", "ec2:DescribeSecurityGroups", err)
	}
	if len(out.SecurityGroups) == 0 {
		return "", ErrGone
	}
	return aws.ToString(out.SecurityGroups[0].GroupId), nil
}

// securityGroup makes the sidecar's own group or finds it. EC2 makes groups without any inbound rule and with one that
// lets everything out, which is what a sidecar needs.
func (d *Sidecars) securityGroup(ctx context.Context, s Sidecar, vpc string) (string, error) {
	group, err := d.findSecurityGroup(ctx, s.ID)
	if err == nil || !errors.Is(err, ErrGone) {
		return group, err
	}
	out, err := d.ec2.CreateSecurityGroup(ctx, &ec2.CreateSecurityGroupInput{
		GroupName: aws.String(ResourceName(s.ID)), VpcId: &vpc, Description: aws.String("Farmhand sidecar " + s.ID + ": nothing comes in"),
		TagSpecifications: []ec2types.TagSpecification{{ResourceType: ec2types.ResourceTypeSecurityGroup, Tags: s.ec2Tags()}},
	})
	if err != nil {
		return "", doing("making its security group", "ec2:CreateSecurityGroup", err)
	}
	return aws.ToString(out.GroupId), nil
}

func (d *Sidecars) removeSecurityGroup(ctx context.Context, id string, patience time.Duration) error {
	group, err := d.findSecurityGroup(ctx, id)
	if errors.Is(err, ErrGone) {
		return nil
	}
	if err != nil {
		return err
	}
	// Network interfaces of ended instances hold it for some seconds more.
	return waitUntil(ctx, patience, "security group "+group+" is out of use", func() (bool, error) {
		_, err := d.ec2.DeleteSecurityGroup(ctx, &ec2.DeleteSecurityGroupInput{GroupId: &group})
		if is(err, "DependencyViolation") {
			return false, nil
		}
		if is(err, "InvalidGroup.NotFound") {
			return true, nil
		}
		return err == nil, doing("removing security group "+group, "ec2:DeleteSecurityGroup", err)
	})
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
