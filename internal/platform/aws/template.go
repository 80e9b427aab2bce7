package aws

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"strings"
	"time"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/farmhand/terraform-provider-farmhand/internal/platform"
	"github.com/farmhand/terraform-provider-farmhand/internal/spec"
)

// template makes the launch template of a role's generation or finds it, and returns its id. Its name ends in a digest of what is
// in it, so that a template never changes: another agent or tag is another template of the same generation.
func (p *AWS) template(ctx context.Context, role spec.Role, generation, image string) (string, error) {
	if image != "" {
		role.Image = image
	}
	root, err := p.rootDevice(ctx, p.image(role))
	if err != nil {
		return "", err
	}
	data, err := p.templateData(role, generation, root)
	if err != nil {
		return "", err
	}
	c, err := p.compute(ctx)
	if err != nil {
		return "", err
	}
	name := p.templateName(role.Name, generation, data)
	p.mu.Lock()
	known := p.named[name]
	p.mu.Unlock()
	if known != "" {
		return known, nil
	}
	doing := "making the launch template of role " + role.ID()
	out, err := c.CreateLaunchTemplate(ctx, &ec2.CreateLaunchTemplateInput{
		LaunchTemplateName: awssdk.String(name), LaunchTemplateData: data,
		VersionDescription: awssdk.String("farmhand farm " + p.farm.Name),
		TagSpecifications:  tagged(p.tags(tagRole, role.Name, tagGeneration, generation), types.ResourceTypeLaunchTemplate),
	})
	switch {
	case err == nil:
		return p.name(name, awssdk.ToString(out.LaunchTemplate.LaunchTemplateId)), nil
	case code(err) != "InvalidLaunchTemplateName.AlreadyExistsException":
		return "", explain(err, doing)
	}
	found, err := c.DescribeLaunchTemplates(ctx, &ec2.DescribeLaunchTemplatesInput{LaunchTemplateNames: []string{name}})
	if err != nil {
		return "", explain(err, doing)
	}
	if len(found.LaunchTemplates) != 1 || tag(found.LaunchTemplates[0].Tags, tagFarm) != p.farm.Name {
		return "", fmt.Errorf("%s: launch template %s exists and is not this farm's: delete it: %w", doing, name, platform.ErrInvalid)
	}
	return p.name(name, awssdk.ToString(found.LaunchTemplates[0].LaunchTemplateId)), nil
}

// name remembers the id of a launch template, and forgetTemplate that somebody has deleted it.
func (p *AWS) name(name, id string) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.named[name] = id
	return id
}

func (p *AWS) forgetTemplate(id string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	maps.DeleteFunc(p.named, func(_, known string) bool { return known == id })
}

// templateName is farmhand-FARM-ROLE-GENERATION-DIGEST; names have at most 128 characters, and the parts are DNS labels.
func (p *AWS) templateName(role, generation string, data *types.RequestLaunchTemplateData) string {
	b, err := json.Marshal(data)
	if err != nil {
		panic(err) // strings and numbers only
	}
	sum := sha256.Sum256(b)
	name := strings.Join([]string{"farmhand", p.farm.Name, role, generation}, "-")
	return firstNBytes(name, 119) + "-" + hex.EncodeToString(sum[:4])
}

func firstNBytes(s string, n int) string { return s[:min(len(s), n)] }

// templateData is what a role's machines are alike in; types and subnets are said by each call.
func (p *AWS) templateData(role spec.Role, generation, root string) (*types.RequestLaunchTemplateData, error) {
	w := p.wants(role)
	script, err := UserData(p.farm)
	if err != nil {
		return nil, err
	}
	ebs := &types.LaunchTemplateEbsBlockDeviceRequest{Encrypted: awssdk.Bool(true), DeleteOnTermination: awssdk.Bool(true), VolumeType: types.VolumeTypeGp3}
	if w.rootGB > 0 {
		ebs.VolumeSize = awssdk.Int32(int32(w.rootGB))
	}
	profile := p.farm.AWS.InstanceProfile
	if profile == "" {
		profile = ProfileName(p.farm.Name)
	}
	tags := p.tags(tagRole, role.Name, tagGeneration, generation, tagName, p.farm.Name+" "+role.Name)
	d := &types.RequestLaunchTemplateData{
		ImageId:            awssdk.String(p.image(role)),
		UserData:           awssdk.String(base64.StdEncoding.EncodeToString(script)),
		IamInstanceProfile: &types.LaunchTemplateIamInstanceProfileSpecificationRequest{Name: awssdk.String(profile)},
		BlockDeviceMappings: []types.LaunchTemplateBlockDeviceMappingRequest{{
			DeviceName: awssdk.String(root), Ebs: ebs,
		}},
		// IMDSv2 only, and for the machine itself: an answer does not travel further than one hop, into a container
		// (https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/configuring-instance-metadata-options.html).
		MetadataOptions: &types.LaunchTemplateInstanceMetadataOptionsRequest{
			HttpEndpoint: types.LaunchTemplateInstanceMetadataEndpointStateEnabled,
			HttpTokens:   types.LaunchTemplateHttpTokensStateRequired, HttpPutResponseHopLimit: awssdk.Int32(1),
		},
		// A machine that shuts itself down leaves nothing behind; those in stock are stopped by the API, which this does not concern.
		InstanceInitiatedShutdownBehavior: types.ShutdownBehaviorTerminate,
		TagSpecifications: []types.LaunchTemplateTagSpecificationRequest{
			{ResourceType: types.ResourceTypeInstance, Tags: tags},
			{ResourceType: types.ResourceTypeVolume, Tags: tags},
			{ResourceType: types.ResourceTypeNetworkInterface, Tags: tags},
		},
	}
	if w.key != "" {
		d.KeyName = awssdk.String(w.key)
	}
	if w.publicIP == nil {
		d.SecurityGroupIds = w.groups
		return d, nil
	}
	// A public address is a matter of the network interface, and then security groups are too.
	d.NetworkInterfaces = []types.LaunchTemplateInstanceNetworkInterfaceSpecificationRequest{{
		DeviceIndex: awssdk.Int32(0), AssociatePublicIpAddress: w.publicIP, DeleteOnTermination: awssdk.Bool(true), Groups: w.groups,
	}}
	return d, nil
}

// ProfileName is the instance profile that the provider makes for a farm that names none.
func ProfileName(farm string) string { return "farmhand-" + farm + "-instance" }

// rootDevice is the name under which an AMI's root volume is replaced by an encrypted one.
func (p *AWS) rootDevice(ctx context.Context, image string) (string, error) {
	p.mu.Lock()
	root := p.roots[image]
	p.mu.Unlock()
	if root != "" {
		return root, nil
	}
	c, err := p.compute(ctx)
	if err != nil {
		return "", err
	}
	out, err := c.DescribeImages(ctx, &ec2.DescribeImagesInput{ImageIds: []string{image}})
	if err != nil {
		return "", explain(err, "looking AMI "+image+" up")
	}
	if len(out.Images) == 0 {
		return "", fmt.Errorf("AMI %s does not exist in %s: check aws.ami: %w", image, p.farm.AWS.Region, platform.ErrInvalid)
	}
	if root = awssdk.ToString(out.Images[0].RootDeviceName); root == "" {
		root = "/dev/xvda"
	}
	p.mu.Lock()
	p.roots[image] = root
	p.mu.Unlock()
	return root, nil
}

const (
	// tidyEvery is how often launch templates are looked through, and tidyAfter how old one is before it may go: a call that
	// refers to it may be under way.
	tidyEvery = 5 * time.Minute
	tidyAfter = 15 * time.Minute
)

// tidyTemplates deletes templates of generations that neither a role nor a machine has any more. A template is only needed to launch.
func (p *AWS) tidyTemplates(ctx context.Context, s *sight, generations map[string]string, b *budget) error {
	if !p.tidied.IsZero() && p.now().Sub(p.tidied) < tidyEvery {
		return nil
	}
	p.tidied = p.now()
	all, err := p.templates(ctx)
	if err != nil {
		return err
	}
	used := map[string]bool{}
	for role, generation := range generations {
		used[role+" "+generation] = true
	}
	for _, h := range s.hosts {
		used[h.role+" "+h.generation] = used[h.role+" "+h.generation] || !h.gone()
	}
	for _, t := range all {
		if used[tag(t.Tags, tagRole)+" "+tag(t.Tags, tagGeneration)] || p.now().Sub(awssdk.ToTime(t.CreateTime)) < tidyAfter {
			continue
		}
		if !b.take() {
			p.tidied = time.Time{} // the next tick goes on
			break
		}
		if err := p.deleteTemplate(ctx, t); err != nil {
			return err
		}
	}
	return nil
}

func (p *AWS) templates(ctx context.Context) ([]types.LaunchTemplate, error) {
	c, err := p.compute(ctx)
	if err != nil {
		return nil, err
	}
	var all []types.LaunchTemplate
	pages := ec2.NewDescribeLaunchTemplatesPaginator(c, &ec2.DescribeLaunchTemplatesInput{Filters: []types.Filter{p.ours()}, MaxResults: awssdk.Int32(200)})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, explain(err, "listing launch templates")
		}
		all = append(all, page.LaunchTemplates...)
	}
	return all, nil
}

func (p *AWS) deleteTemplate(ctx context.Context, t types.LaunchTemplate) error {
	c, err := p.compute(ctx)
	if err != nil {
		return err
	}
	p.forgetTemplate(awssdk.ToString(t.LaunchTemplateId))
	_, err = c.DeleteLaunchTemplate(ctx, &ec2.DeleteLaunchTemplateInput{LaunchTemplateId: t.LaunchTemplateId})
	if isUnknown(err) {
		return nil
	}
	return explain(err, "deleting launch template "+awssdk.ToString(t.LaunchTemplateName))
}
