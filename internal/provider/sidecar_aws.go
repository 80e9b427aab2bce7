package provider

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/hashicorp/terraform-plugin-framework-validators/setvalidator"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/planmodifier"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/stringplanmodifier"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/farmhand/terraform-provider-farmhand/internal/deploy"
	"github.com/farmhand/terraform-provider-farmhand/internal/deploy/executable"
	awsplatform "github.com/farmhand/terraform-provider-farmhand/internal/platform/aws"
	"github.com/farmhand/terraform-provider-farmhand/internal/spec"
)

// sidecarAWSModel is where a sidecar runs on EC2.
type sidecarAWSModel struct {
	Name             types.String `tfsdk:"name"`
	SubnetIDs        types.Set    `tfsdk:"subnet_ids"`
	AMI              types.String `tfsdk:"ami"`
	InstanceType     types.String `tfsdk:"instance_type"`
	Size             types.Int64  `tfsdk:"size"`
	SecurityGroupIDs types.Set    `tfsdk:"security_group_ids"`
	InstanceProfile  types.String `tfsdk:"instance_profile"`
	InstanceRoles    types.Set    `tfsdk:"instance_roles"`
	KeyName          types.String `tfsdk:"key_name"`
	Tags             types.Map    `tfsdk:"tags"`
	LogGroup         types.String `tfsdk:"log_group"`
}

// deployPatience is how long EC2 may take to bring a sidecar up, to replace it, or to end it: an instance boots in a minute or two, and an
// upgrade of two replaces one after the other.
const deployPatience = 15 * time.Minute

func sidecarAWSSchema() schema.SingleNestedAttribute {
	return schema.SingleNestedAttribute{
		Optional: true,
		MarkdownDescription: "Run it on EC2: an Auto Scaling group across the zones of the subnets keeps one or two small instances that nothing can connect to. " +
			"It needs a store in DynamoDB (`store` in the provider's block), from whose bucket the instances fetch this provider's Linux executable; nothing is " +
			"downloaded from elsewhere. Another version of the provider is an update in place: the new instance comes before the old one goes. One of `local` and `aws` is set.",
		PlanModifiers: []planmodifier.Object{replaceIfAppears("a sidecar does not move between this machine and EC2")},
		Attributes: map[string]schema.Attribute{
			"name": schema.StringAttribute{
				Required:            true,
				MarkdownDescription: "Name, and the resource's id; a DNS label, unique in the account and region. All that is made is called `farmhand-sidecar-<name>`. Changing it makes a new sidecar.",
				PlanModifiers:       []planmodifier.String{stringplanmodifier.RequiresReplace()},
			},
			"subnet_ids": schema.SetAttribute{
				Required: true, ElementType: types.StringType,
				MarkdownDescription: "Subnets of one VPC, best one in each of several zones. They need a way to DynamoDB, S3 and EC2's own endpoints (NAT, or VPC endpoints).",
				Validators:          []validator.Set{setvalidator.SizeAtLeast(1)},
			},
			"ami": schema.StringAttribute{
				Required:            true,
				MarkdownDescription: "Image with cloud-init, python3 and systemd, such as Debian's, of the instance type's architecture.",
			},
			"instance_type": schema.StringAttribute{
				Optional: true, Computed: true,
				MarkdownDescription: "Instance type. Default: `" + spec.DefaultSidecarType + "`.",
			},
			"size": schema.Int64Attribute{
				Optional: true, Computed: true,
				MarkdownDescription: "Instances: `1`, or `2` of which each keeps what the other does not, and takes all over within seconds when the other ends. Default: `1`; Auto Scaling replaces one that is lost.",
			},
			"security_group_ids": schema.SetAttribute{
				Optional: true, ElementType: types.StringType,
				MarkdownDescription: "Security groups. Default: one is made that lets nothing in and everything out.",
			},
			"instance_profile": schema.StringAttribute{
				Optional:            true,
				MarkdownDescription: "Name of an instance profile of your own. Its role needs what `farmhand iam-policy --for sidecar` prints. Default: one is made.",
			},
			"instance_roles": schema.SetAttribute{
				Optional: true, ElementType: types.StringType,
				MarkdownDescription: "Names of IAM roles of your own that farms' instances are given by `instance_profile`: the sidecar may hand these on, and those that the provider makes, and no others.",
			},
			"key_name": schema.StringAttribute{
				Optional:            true,
				MarkdownDescription: "Key pair for SSH, which a security group of your own would have to let in. Default: none.",
			},
			"log_group": schema.StringAttribute{
				Optional:            true,
				MarkdownDescription: "Log group of CloudWatch Logs that is there, such as `aws_cloudwatch_log_group.<name>.name`: the sidecar's log goes there, too, a stream for each instance. Default: the journal only.",
			},
			"tags": schema.MapAttribute{
				Optional: true, ElementType: types.StringType,
				MarkdownDescription: "Tags of everything that is made for the sidecar, over the provider's `default_tags`.",
			},
		},
	}
}

// sidecarOnEC2 is the declaration with what the provider's block adds, after defaults.
func (b *backend) sidecarOnEC2(ctx context.Context, all *sidecarModel, m *sidecarAWSModel, diags *diag.Diagnostics) spec.Sidecar {
	s := spec.Sidecar{ID: m.Name.ValueString(), MetricsListen: all.MetricsListen.ValueString(), AWS: &spec.SidecarAWS{
		Region: b.region(ctx), SubnetIDs: stringSet(ctx, m.SubnetIDs, diags), AMI: m.AMI.ValueString(), InstanceType: m.InstanceType.ValueString(),
		Size: int(m.Size.ValueInt64()), SecurityGroupIDs: stringSet(ctx, m.SecurityGroupIDs, diags), InstanceProfile: m.InstanceProfile.ValueString(),
		InstanceRoles: stringSet(ctx, m.InstanceRoles, diags), KeyName: m.KeyName.ValueString(), LogGroup: m.LogGroup.ValueString(),
		Tags: withTags(b.cloud.config.DefaultTags, stringMap(ctx, m.Tags, diags)), Version: b.version,
	}}
	s.SetDefaults()
	return s
}

// fill takes over what is declared and what EC2 says of it; looked is nil where there is no group.
func (m *sidecarAWSModel) fill(ctx context.Context, s spec.Sidecar, looked *deploy.Status, tags map[string]string, diags *diag.Diagnostics) {
	a := *s.AWS
	if looked != nil { // somebody may have changed these by hand
		a.Size, a.SubnetIDs = looked.Size, slices.Sorted(slices.Values(looked.SubnetIDs))
	}
	m.Name = types.StringValue(s.ID)
	m.SubnetIDs = fillSet(ctx, m.SubnetIDs, a.SubnetIDs, diags)
	m.AMI = types.StringValue(a.AMI)
	m.InstanceType = types.StringValue(a.InstanceType)
	m.Size = types.Int64Value(int64(a.Size))
	m.SecurityGroupIDs = fillSet(ctx, m.SecurityGroupIDs, a.SecurityGroupIDs, diags)
	m.InstanceProfile = keepEmpty(m.InstanceProfile, a.InstanceProfile)
	m.InstanceRoles = fillSet(ctx, m.InstanceRoles, a.InstanceRoles, diags)
	m.KeyName = keepEmpty(m.KeyName, a.KeyName)
	m.LogGroup = keepEmpty(m.LogGroup, a.LogGroup)
	m.Tags = fillMap(ctx, m.Tags, tags, diags)
}

func emptySidecarAWSModel() *sidecarAWSModel {
	none := types.SetNull(types.StringType)
	return &sidecarAWSModel{SubnetIDs: none, SecurityGroupIDs: none, InstanceRoles: none, Tags: types.MapNull(types.StringType)}
}

// sidecarProblems is what stands in the way of a sidecar on EC2; asked tells whether AWS is asked, too.
func (b *backend) sidecarProblems(ctx context.Context, s spec.Sidecar, asked bool) []spec.Problem {
	problems := s.Validate()
	if !b.remote() {
		problems = append(problems, spec.Problem{Attribute: "aws", Summary: "a sidecar on EC2 cannot reach a store that is a file",
			Advice: `Write store = { table = "farmhand" } in the provider's block: the table is made if it is not there`})
	}
	if _, err := sidecarExecutable(s); err != nil && len(problems) == 0 {
		problems = append(problems, spec.Problem{Attribute: "aws.instance_type", Summary: err.Error()})
	}
	if len(problems) > 0 || !asked {
		return problems
	}
	cfg, err := b.awsIn(ctx, s.AWS.Region)
	if errors.Is(err, errNotKnownYet) {
		return nil
	}
	if err != nil {
		return []spec.Problem{{Attribute: "aws", Summary: err.Error()}}
	}
	return append(awsplatform.PreflightSidecar(ctx, cfg, s), logGroupProblems(ctx, cfg, s)...)
}

// logGroupProblems tells whether the log group is there, as far as that may be asked.
func logGroupProblems(ctx context.Context, cfg aws.Config, s spec.Sidecar) []spec.Problem {
	name := s.AWS.LogGroup
	if name == "" {
		return nil
	}
	pages := cloudwatchlogs.NewDescribeLogGroupsPaginator(cloudwatchlogs.NewFromConfig(cfg), &cloudwatchlogs.DescribeLogGroupsInput{LogGroupNamePrefix: &name})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return []spec.Problem{{Attribute: "aws.log_group", Warning: true, Summary: "whether log group " + name + " is there cannot be asked: " + err.Error(),
				Advice: "farmhand iam-policy --for provider prints the permission, logs:DescribeLogGroups"}}
		}
		for _, g := range page.LogGroups {
			if aws.ToString(g.LogGroupName) == name {
				return nil
			}
		}
	}
	return []spec.Problem{{Attribute: "aws.log_group", Summary: "there is no log group " + name + " in " + s.AWS.Region, Advice: "Make it, with the retention that you want, or leave this out"}}
}

// sidecarExecutable is what the sidecar's instances run.
func sidecarExecutable(s spec.Sidecar) (executable.File, error) {
	own, err := os.Executable()
	if err != nil {
		return executable.File{}, fmt.Errorf("finding the provider's own executable: %w", err)
	}
	found, err := executable.Linux(own)
	if err != nil {
		return executable.File{}, err
	}
	architecture := executable.OfInstanceType(s.AWS.InstanceType)
	return found[architecture], executable.Missing(found, own, architecture)
}
