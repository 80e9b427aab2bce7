package deploy

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/farmhand/terraform-provider-farmhand/internal/deploy/executable"
)

// templateVersion is one version of a launch template.
type templateVersion struct {
	ID     string
	Number string
}

// UserData is what the sidecar's instances do at their first boot.
func (s Sidecar) UserData() (string, error) {
	f := s.Fetch
	f.Name, f.Description, f.Sandboxed = "farmhand-sidecar", "Farmhand sidecar "+s.ID, true
	f.Args = []string{"run", "--store", s.Store, "--sidecar", s.ID}
	if s.LogGroup != "" {
		f.Args = append(f.Args, "--log-group", s.LogGroup)
	}
	if s.MetricsListen != "" {
		f.Args = append(f.Args, "--metrics-listen", s.MetricsListen)
	}
	return f.UserData()
}

// launchTemplate makes the template, or a new version where something has changed, and returns the version to use.
func (d *Sidecars) launchTemplate(ctx context.Context, s Sidecar) (templateVersion, error) {
	name := ResourceName(s.ID)
	data, err := d.templateData(ctx, s)
	if err != nil {
		return templateVersion{}, err
	}
	// The hash stands in the version's description: what EC2 returns has other defaults filled in.
	content, err := json.Marshal(data)
	if err != nil {
		return templateVersion{}, err
	}
	sum := sha256.Sum256(content)
	description := "farmhand " + hex.EncodeToString(sum[:8])

	if err := d.checkTemplateOwner(ctx, s.ID); err != nil {
		return templateVersion{}, err
	}
	found, err := d.ec2.DescribeLaunchTemplateVersions(ctx, &ec2.DescribeLaunchTemplateVersionsInput{LaunchTemplateName: &name, Versions: []string{"$Latest"}})
	switch {
	case isNoTemplate(err) || err == nil && len(found.LaunchTemplateVersions) == 0:
		out, err := d.ec2.CreateLaunchTemplate(ctx, &ec2.CreateLaunchTemplateInput{
			LaunchTemplateName: &name, LaunchTemplateData: data, VersionDescription: &description,
			TagSpecifications: []ec2types.TagSpecification{{ResourceType: ec2types.ResourceTypeLaunchTemplate, Tags: s.ec2Tags()}},
		})
		if err != nil {
			return templateVersion{}, doing("making its launch template", "ec2:CreateLaunchTemplate", err)
		}
		return templateVersion{aws.ToString(out.LaunchTemplate.LaunchTemplateId), fmt.Sprint(aws.ToInt64(out.LaunchTemplate.LatestVersionNumber))}, nil
	case err != nil:
		return templateVersion{}, doing("looking at its launch template", "ec2:DescribeLaunchTemplateVersions", err)
	}
	latest := found.LaunchTemplateVersions[0]
	if aws.ToString(latest.VersionDescription) == description {
		return templateVersion{aws.ToString(latest.LaunchTemplateId), fmt.Sprint(aws.ToInt64(latest.VersionNumber))}, nil
	}
	out, err := d.ec2.CreateLaunchTemplateVersion(ctx, &ec2.CreateLaunchTemplateVersionInput{
		LaunchTemplateId: latest.LaunchTemplateId, LaunchTemplateData: data, VersionDescription: &description,
	})
	if err != nil {
		return templateVersion{}, doing("changing its launch template", "ec2:CreateLaunchTemplateVersion", err)
	}
	v := out.LaunchTemplateVersion
	return templateVersion{aws.ToString(v.LaunchTemplateId), fmt.Sprint(aws.ToInt64(v.VersionNumber))}, nil
}

// checkTemplateOwner fails where a launch template of the sidecar's name is somebody else's.
func (d *Sidecars) checkTemplateOwner(ctx context.Context, id string) error {
	name := ResourceName(id)
	found, err := d.ec2.DescribeLaunchTemplates(ctx, &ec2.DescribeLaunchTemplatesInput{LaunchTemplateNames: []string{name}})
	if isNoTemplate(err) {
		return nil
	}
	if err != nil {
		return doing("looking for launch template "+name, "ec2:DescribeLaunchTemplates", err)
	}
	for _, t := range found.LaunchTemplates {
		if !slices.ContainsFunc(t.Tags, func(tag ec2types.Tag) bool {
			return aws.ToString(tag.Key) == owner(id).Key && aws.ToString(tag.Value) == id
		}) {
			return fmt.Errorf("launch template %s is not farmhand's: it lacks the tag %s = %s; remove or rename it, or give the sidecar another name", name, owner(id).Key, id)
		}
	}
	return nil
}

func (d *Sidecars) templateData(ctx context.Context, s Sidecar) (*ec2types.RequestLaunchTemplateData, error) {
	images, err := d.ec2.DescribeImages(ctx, &ec2.DescribeImagesInput{ImageIds: []string{s.AMI}})
	if err != nil {
		return nil, doing("looking at image "+s.AMI, "ec2:DescribeImages", err)
	}
	if len(images.Images) == 0 {
		return nil, fmt.Errorf("there is no image %s in this region, or it is not shared with this account", s.AMI)
	}
	image := images.Images[0]
	want := executable.OfInstanceType(s.InstanceType)
	if made := architecture(image.Architecture); made != want {
		return nil, fmt.Errorf("image %s is made for %s, and instance type %s is %s: choose another image or type", s.AMI, made, s.InstanceType, want)
	}
	if _, ok := s.Fetch.Objects[want]; !ok {
		return nil, fmt.Errorf("there is no executable for %s, which instance type %s needs", want, s.InstanceType)
	}
	userData, err := s.UserData()
	if err != nil {
		return nil, err
	}
	data := &ec2types.RequestLaunchTemplateData{
		ImageId: &s.AMI, InstanceType: ec2types.InstanceType(s.InstanceType),
		UserData:           aws.String(base64.StdEncoding.EncodeToString([]byte(userData))),
		IamInstanceProfile: &ec2types.LaunchTemplateIamInstanceProfileSpecificationRequest{Name: &s.InstanceProfile},
		SecurityGroupIds:   sortedCopy(s.SecurityGroupIDs),
		// Version 2 only, and not through a container's bridge: credentials are for the machine's own processes.
		MetadataOptions: &ec2types.LaunchTemplateInstanceMetadataOptionsRequest{
			HttpTokens: ec2types.LaunchTemplateHttpTokensStateRequired, HttpPutResponseHopLimit: aws.Int32(1),
			HttpEndpoint: ec2types.LaunchTemplateInstanceMetadataEndpointStateEnabled,
		},
		TagSpecifications: []ec2types.LaunchTemplateTagSpecificationRequest{
			{ResourceType: ec2types.ResourceTypeInstance, Tags: s.ec2Tags()},
			{ResourceType: ec2types.ResourceTypeVolume, Tags: s.ec2Tags()},
		},
	}
	if s.KeyName != "" {
		data.KeyName = &s.KeyName
	}
	if root := aws.ToString(image.RootDeviceName); root != "" {
		data.BlockDeviceMappings = []ec2types.LaunchTemplateBlockDeviceMappingRequest{{
			DeviceName: &root,
			Ebs:        &ec2types.LaunchTemplateEbsBlockDeviceRequest{Encrypted: aws.Bool(true), DeleteOnTermination: aws.Bool(true), VolumeType: ec2types.VolumeTypeGp3},
		}}
	}
	return data, nil
}

// architecture is EC2's word in Go's.
func architecture(a ec2types.ArchitectureValues) string {
	switch a {
	case ec2types.ArchitectureValuesX8664:
		return "amd64"
	case ec2types.ArchitectureValuesArm64:
		return "arm64"
	}
	return string(a)
}

func isNoTemplate(err error) bool {
	return is(err, "InvalidLaunchTemplateName.NotFoundException", "InvalidLaunchTemplateId.NotFound", "InvalidLaunchTemplateId.NotFoundException")
}

func (d *Sidecars) removeTemplate(ctx context.Context, id string) error {
	name := ResourceName(id)
	found, err := d.ec2.DescribeLaunchTemplates(ctx, &ec2.DescribeLaunchTemplatesInput{Filters: []ec2types.Filter{
		{Name: aws.String("tag:" + owner(id).Key), Values: []string{id}},
		{Name: aws.String("launch-template-name"), Values: []string{name}},
	}})
	if err != nil {
		return doing("looking for launch template "+name, "ec2:DescribeLaunchTemplates", err)
	}
	for _, t := range found.LaunchTemplates {
		_, err := d.ec2.DeleteLaunchTemplate(ctx, &ec2.DeleteLaunchTemplateInput{LaunchTemplateId: t.LaunchTemplateId})
		if err != nil && !isNoTemplate(err) {
			return doing("removing launch template "+name, "ec2:DeleteLaunchTemplate", err)
		}
	}
	return nil
}
