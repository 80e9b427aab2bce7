package aws

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/farmhand/terraform-provider-farmhand/internal/platform"
	"github.com/farmhand/terraform-provider-farmhand/internal/spec"
)

// image looks the AMI up and compares it with the instance types.
func (i *inspection) image(ctx context.Context, w wants, image, attribute string) {
	if image == "" {
		i.found(attribute, "no AMI", "Name an image of this region")
		return
	}
	out, err := i.ec2.DescribeImages(ctx, &ec2.DescribeImagesInput{ImageIds: []string{image}})
	if err != nil {
		i.failed(attribute, explain(err, "looking AMI "+image+" up in "+i.farm.AWS.Region))
		return
	}
	if len(out.Images) == 0 {
		i.found(attribute, fmt.Sprintf("AMI %s does not exist in %s, or is not shared with this account", image, i.farm.AWS.Region), "Name an image of this region that is yours, public or shared with you")
		return
	}
	if s := out.Images[0].State; s != types.ImageStateAvailable && s != "" {
		i.found(attribute, fmt.Sprintf("AMI %s is %s", image, s), "Wait until it is available, or name another")
		return
	}
	i.types(ctx, w, image, string(out.Images[0].Architecture), attribute)
}

// types looks the instance types up, which must exist and run what the AMI is made for.
func (i *inspection) types(ctx context.Context, w wants, image, architecture, attribute string) {
	const at = "aws.instance_types"
	if len(w.types) == 0 {
		i.found(at, "no instance types", "Name one or more, in order of preference")
		return
	}
	var names []types.InstanceType
	for _, t := range w.types {
		names = append(names, types.InstanceType(t))
	}
	out, err := i.ec2.DescribeInstanceTypes(ctx, &ec2.DescribeInstanceTypesInput{InstanceTypes: names})
	if err != nil {
		i.failed(at, explain(err, "looking the instance types up"))
		return
	}
	for _, t := range out.InstanceTypes {
		if t.ProcessorInfo == nil || architecture == "" {
			continue
		}
		var runs []string
		for _, a := range t.ProcessorInfo.SupportedArchitectures {
			runs = append(runs, string(a))
		}
		if len(runs) > 0 && !slices.Contains(runs, architecture) {
			i.found(attribute, fmt.Sprintf("AMI %s is made for %s, instance type %s runs %s", image, architecture, t.InstanceType, strings.Join(runs, ", ")),
				"Name an image and instance types of the same architecture")
		}
	}
}

// dryRun asks EC2 whether the launch would be allowed: "DryRunOperation" is a yes
// (https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_RunInstances.html).
func (i *inspection) dryRun(ctx context.Context, w wants, image, attribute string) {
	tags := i.tags
	if tags == nil {
		tags = (&AWS{farm: i.farm}).tags(tagRole, firstOf(i.role.Name, "preflight"))
	}
	in := &ec2.RunInstancesInput{
		DryRun: awssdk.Bool(true), ImageId: awssdk.String(image), InstanceType: types.InstanceType(w.types[0]),
		MinCount: awssdk.Int32(1), MaxCount: awssdk.Int32(1), SubnetId: awssdk.String(w.subnets[0]), SecurityGroupIds: w.groups,
		MetadataOptions: &types.InstanceMetadataOptionsRequest{HttpTokens: types.HttpTokensStateRequired},
		TagSpecifications: tagged(tags,
			types.ResourceTypeInstance, types.ResourceTypeVolume, types.ResourceTypeNetworkInterface),
	}
	if w.key != "" {
		in.KeyName = awssdk.String(w.key)
	}
	if name := i.farm.AWS.InstanceProfile; name != "" { // else it is made with the farm
		in.IamInstanceProfile = &types.IamInstanceProfileSpecification{Name: awssdk.String(name)}
	}
	_, err := i.ec2.RunInstances(ctx, in)
	if err == nil || code(err) == "DryRunOperation" {
		return
	}
	err = explain(err, "trying a launch without launching")
	where := "aws"
	for text, at := range map[string]string{"aws.ami": attribute, "aws.subnet_ids": "aws.subnet_ids", "aws.security_group_ids": "aws.security_group_ids", "aws.key_name": "aws.key_name", "aws.instance_profile": "aws.instance_profile"} {
		if strings.Contains(err.Error(), "check "+text) {
			where = at
		}
	}
	class := classOf(err)
	summary, advice := parted(err)
	i.findings = append(i.findings, finding{spec.Problem{Attribute: where, Summary: summary, Advice: advice, Warning: errors.Is(class, platform.ErrCapacity)}, class})
}
