package aws

import (
	"context"
	"errors"
	"fmt"
	"strings"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/farmhand/terraform-provider-farmhand/internal/platform"
	"github.com/farmhand/terraform-provider-farmhand/internal/spec"
)

// Preflight tells at plan time what would stop the farm's machines from being launched, as far as AWS can tell: credentials, region,
// subnets, AMI, key pair, profile, security groups, and by a dry run the permission to launch. It changes nothing.
// Attributes are paths of farmhand_farm ("aws.ami").
func Preflight(ctx context.Context, cfg awssdk.Config, farm spec.Farm) []spec.Problem {
	return preflight(ctx, cfg, farm, false)
}

func preflight(ctx context.Context, cfg awssdk.Config, farm spec.Farm, sidecar bool) []spec.Problem {
	if farm.AWS.Region != "" {
		cfg.Region = farm.AWS.Region
	}
	if cfg.Region == "" {
		return []spec.Problem{{Attribute: "aws.region", Summary: "no region", Advice: "Set it here, in the provider block or as AWS_REGION"}}
	}
	if _, err := sts.NewFromConfig(cfg).GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{}); err != nil {
		summary, advice := parted(explain(err, "asking AWS who is calling, in region "+cfg.Region))
		return []spec.Problem{{Attribute: "aws", Summary: summary,
			Advice: strings.TrimPrefix(advice+". ", ". ") + "Check credentials and region: `aws sts get-caller-identity --region " + cfg.Region + "`"}}
	}
	i := inspection{ec2: ec2.NewFromConfig(cfg), elb: elb.NewFromConfig(cfg), iam: iam.NewFromConfig(cfg), farm: farm}
	if sidecar {
		i.tags = []types.Tag{{Key: awssdk.String(tagSidecar), Value: awssdk.String(farm.Name)}}
	}
	i.all(ctx)
	return i.problems()
}

// PreflightSidecar is Preflight for a sidecar on EC2. Attributes are paths of farmhand_sidecar ("aws.instance_type").
func PreflightSidecar(ctx context.Context, cfg awssdk.Config, s spec.Sidecar) []spec.Problem {
	a := s.AWS
	problems := preflight(ctx, cfg, spec.Farm{Name: s.ID, AWS: &spec.AWS{
		Region: a.Region, SubnetIDs: a.SubnetIDs, SecurityGroupIDs: a.SecurityGroupIDs, AMI: a.AMI, InstanceTypes: []string{a.InstanceType},
		InstanceProfile: a.InstanceProfile, KeyName: a.KeyName,
	}}, true)
	for i := range problems {
		if problems[i].Attribute == "aws.instance_types" {
			problems[i].Attribute = "aws.instance_type"
		}
	}
	return problems
}

// PreflightRole is Preflight for what a role says beside its farm. Attributes are paths of farmhand_role ("aws.instance_types").
func PreflightRole(ctx context.Context, cfg awssdk.Config, farm spec.Farm, role spec.Role) []spec.Problem {
	if role.AWS == nil && role.Image == "" {
		return nil // all is the farm's
	}
	if farm.AWS.Region != "" {
		cfg.Region = farm.AWS.Region
	}
	i := inspection{ec2: ec2.NewFromConfig(cfg), elb: elb.NewFromConfig(cfg), farm: farm, role: role}
	i.all(ctx)
	return i.problems()
}

// inspection looks at what machines would be launched from.
type inspection struct {
	ec2      *ec2.Client
	elb      *elb.Client
	iam      *iam.Client // nil: the profile is not looked up
	farm     spec.Farm
	role     spec.Role   // zero: the farm's defaults
	tags     []types.Tag // of what would be launched; nil: a farm's
	vpc      string
	findings []finding
}

func (i *inspection) problems() []spec.Problem {
	var ps []spec.Problem
	for _, f := range i.findings {
		ps = append(ps, f.Problem)
	}
	return ps
}

func (i *inspection) found(attribute, summary, advice string) {
	i.findings = append(i.findings, finding{spec.Problem{Attribute: attribute, Summary: summary, Advice: advice}, platform.ErrInvalid})
}

func (i *inspection) failed(attribute string, err error) {
	summary, advice := parted(err)
	i.findings = append(i.findings, finding{spec.Problem{Attribute: attribute, Summary: summary, Advice: advice}, classOf(err)})
}

func (i *inspection) all(ctx context.Context) {
	w := wantsOf(*i.farm.AWS, i.role)
	image, attribute := i.farm.AWS.AMI, "aws.ami"
	if i.role.Image != "" {
		image, attribute = i.role.Image, "image"
	}
	i.subnets(ctx, w)
	i.groups(ctx, w)
	i.image(ctx, w, image, attribute)
	i.key(ctx, w)
	i.profile(ctx)
	i.targetGroups(ctx)
	if len(i.findings) == 0 {
		i.dryRun(ctx, w, image, attribute)
	}
}

func (i *inspection) subnets(ctx context.Context, w wants) {
	const at = "aws.subnet_ids"
	if len(w.subnets) == 0 {
		i.found(at, "no subnets", "Name at least one; two in different zones survive the loss of one")
		return
	}
	out, err := i.ec2.DescribeSubnets(ctx, &ec2.DescribeSubnetsInput{SubnetIds: w.subnets})
	if err != nil {
		i.failed(at, explain(err, "looking the subnets up in "+i.farm.AWS.Region))
		return
	}
	for _, s := range out.Subnets {
		vpc := awssdk.ToString(s.VpcId)
		if i.vpc != "" && vpc != i.vpc {
			i.found(at, fmt.Sprintf("subnet %s is of VPC %s, others of %s", awssdk.ToString(s.SubnetId), vpc, i.vpc), "All subnets of a farm must be of one VPC")
			return
		}
		i.vpc = vpc
	}
}

func (i *inspection) groups(ctx context.Context, w wants) {
	const at = "aws.security_group_ids"
	if len(w.groups) == 0 {
		return
	}
	out, err := i.ec2.DescribeSecurityGroups(ctx, &ec2.DescribeSecurityGroupsInput{GroupIds: w.groups})
	if err != nil {
		i.failed(at, explain(err, "looking the security groups up"))
		return
	}
	for _, g := range out.SecurityGroups {
		if vpc := awssdk.ToString(g.VpcId); i.vpc != "" && vpc != i.vpc {
			i.found(at, fmt.Sprintf("security group %s is of VPC %s, the subnets are of %s", awssdk.ToString(g.GroupId), vpc, i.vpc), "Name groups of the subnets' VPC")
		}
	}
}

func (i *inspection) key(ctx context.Context, w wants) {
	if w.key == "" {
		return
	}
	if _, err := i.ec2.DescribeKeyPairs(ctx, &ec2.DescribeKeyPairsInput{KeyNames: []string{w.key}}); err != nil {
		i.failed("aws.key_name", explain(err, "looking key pair "+w.key+" up"))
	}
}

// profile looks a given profile up. Not being allowed to is no problem: the dry run tells, too.
func (i *inspection) profile(ctx context.Context) {
	name := i.farm.AWS.InstanceProfile
	if name == "" || i.iam == nil {
		return
	}
	_, err := i.iam.GetInstanceProfile(ctx, &iam.GetInstanceProfileInput{InstanceProfileName: awssdk.String(name)})
	switch {
	case err == nil || isDenied(code(err)):
	case strings.HasPrefix(code(err), "NoSuchEntity"):
		i.found("aws.instance_profile", "instance profile "+name+" does not exist", "Name one of this account, or leave it out: the farm then gets its own")
	default:
		i.failed("aws.instance_profile", explain(err, "looking instance profile "+name+" up"))
	}
}

func (i *inspection) targetGroups(ctx context.Context) {
	const at = "aws.target_group_arns"
	if i.role.AWS == nil || len(i.role.AWS.TargetGroupARNs) == 0 {
		return
	}
	out, err := i.elb.DescribeTargetGroups(ctx, &elb.DescribeTargetGroupsInput{TargetGroupArns: i.role.AWS.TargetGroupARNs})
	if err != nil {
		i.failed(at, explain(err, "looking the target groups up"))
		return
	}
	for _, g := range out.TargetGroups {
		name := awssdk.ToString(g.TargetGroupName)
		if vpc := awssdk.ToString(g.VpcId); i.vpc != "" && vpc != i.vpc {
			i.found(at, fmt.Sprintf("target group %s is of VPC %s, the subnets are of %s", name, vpc, i.vpc), "Name target groups of the subnets' VPC")
		}
		if g.TargetType != "instance" && g.TargetType != "ip" {
			i.found(at, fmt.Sprintf("target group %s takes targets of type %s", name, g.TargetType), "Name target groups for instances or IP addresses")
		}
	}
}

// parted is an error's text and its way out, as a Problem has them.
func parted(err error) (summary, advice string) {
	var e *explained
	if !errors.As(err, &e) || e.advice == "" {
		return plain(err), "See what AWS says to it; `farmhand iam-policy` prints what has to be allowed"
	}
	return e.summary, strings.ToUpper(e.advice[:1]) + e.advice[1:]
}

// plain is an error's text without the class at its end, which is for programs.
func plain(err error) string {
	text := err.Error()
	for _, class := range []error{platform.ErrInvalid, platform.ErrUnavailable, platform.ErrCapacity} {
		if errors.Is(err, class) {
			text = strings.TrimSuffix(text, ": "+class.Error())
		}
	}
	return text
}
