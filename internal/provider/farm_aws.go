package provider

import (
	"context"

	"github.com/hashicorp/terraform-plugin-framework-validators/listvalidator"
	"github.com/hashicorp/terraform-plugin-framework-validators/setvalidator"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/planmodifier"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/stringplanmodifier"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/farmhand/terraform-provider-farmhand/internal/spec"
)

// awsModel is where a farm's instances run on EC2.
type awsModel struct {
	Region           types.String `tfsdk:"region"`
	SubnetIDs        types.Set    `tfsdk:"subnet_ids"`
	SecurityGroupIDs types.Set    `tfsdk:"security_group_ids"`
	AMI              types.String `tfsdk:"ami"`
	InstanceTypes    types.List   `tfsdk:"instance_types"`
	InstanceProfile  types.String `tfsdk:"instance_profile"`
	KeyName          types.String `tfsdk:"key_name"`
	HostedZoneID     types.String `tfsdk:"hosted_zone_id"`
	PublicIP         types.Bool   `tfsdk:"public_ip"`
	Tags             types.Map    `tfsdk:"tags"`
	AgentVersion     types.String `tfsdk:"agent_version"`
}

func farmAWSSchema() schema.SingleNestedAttribute {
	return schema.SingleNestedAttribute{
		Optional: true,
		MarkdownDescription: "Each instance is one of EC2. It needs a store in DynamoDB (`store` in the provider's block), and runs the same agent and behaviors " +
			"as on Docker. The farm has an IAM role and instance profile of its own, `farmhand-<name>-instance`, which reach this farm's part of the store only. " +
			"One of `docker`, `simulated` and `aws` is set.",
		PlanModifiers: []planmodifier.Object{replaceIfAppears(staysOnPlatform)},
		Attributes: map[string]schema.Attribute{
			"region": schema.StringAttribute{
				Optional: true, Computed: true,
				MarkdownDescription: "Region. Default: the provider's. Changing it makes a new farm.",
				PlanModifiers:       []planmodifier.String{stringplanmodifier.UseStateForUnknown(), stringplanmodifier.RequiresReplaceIfConfigured()},
			},
			"subnet_ids": schema.SetAttribute{
				Required: true, ElementType: types.StringType,
				MarkdownDescription: "Subnets, best of several zones: servers of a role are spread over them. They need a way to DynamoDB and S3 (a gateway endpoint or NAT).",
				Validators:          []validator.Set{setvalidator.SizeAtLeast(1)},
			},
			"security_group_ids": schema.SetAttribute{
				Optional: true, ElementType: types.StringType,
				MarkdownDescription: "Security groups of instances. Servers of a farm talk to each other: let the group in from itself. Default: the VPC's default group, which does. Nothing of farmhand's needs an inbound rule.",
			},
			"ami": schema.StringAttribute{
				Required:            true,
				MarkdownDescription: "Image of roles that name none: Debian or Ubuntu, best with the behaviors' packages in it. A new image replaces running servers, one at a time.",
			},
			"instance_types": schema.ListAttribute{
				Required: true, ElementType: types.StringType,
				MarkdownDescription: "Instance types of roles that name none, in order of preference. They must be of the image's architecture. With several, a zone without capacity for one is served by the next.",
				Validators:          []validator.List{listvalidator.SizeAtLeast(1)},
			},
			"instance_profile": schema.StringAttribute{
				Optional:            true,
				MarkdownDescription: "Name of an instance profile of your own. Its role needs what `farmhand iam-policy --for instance` prints. Default: one is made for the farm.",
			},
			"key_name": schema.StringAttribute{
				Optional:            true,
				MarkdownDescription: "Key pair for SSH. Default: none.",
			},
			"hosted_zone_id": schema.StringAttribute{
				Optional:            true,
				MarkdownDescription: "Route 53 zone, private or public, that the farm's names are published in. Default: each instance's agent answers for the farm's zone itself. Changing it makes a new farm.",
				PlanModifiers:       []planmodifier.String{stringplanmodifier.RequiresReplace()},
			},
			"public_ip": schema.BoolAttribute{
				Optional:            true,
				MarkdownDescription: "Whether instances have a public address. Default: their subnet's setting.",
			},
			"tags": schema.MapAttribute{
				Optional: true, ElementType: types.StringType,
				MarkdownDescription: "Tags of everything that is made for the farm, over the provider's `default_tags`.",
			},
			"agent_version": schema.StringAttribute{
				Computed: true,
				MarkdownDescription: "Version of the agent that new instances run; planned to be the provider's own, so that an upgrade shows as an update in place. " +
					"Running instances keep theirs until they are replaced for another reason.",
			},
		},
	}
}

// spec is the declaration, without the provider's part; region is the provider's.
func (m *awsModel) spec(ctx context.Context, region string, diags *diag.Diagnostics) *spec.AWS {
	a := &spec.AWS{
		Region: m.Region.ValueString(), SubnetIDs: stringSet(ctx, m.SubnetIDs, diags), SecurityGroupIDs: stringSet(ctx, m.SecurityGroupIDs, diags),
		AMI: m.AMI.ValueString(), InstanceTypes: stringList(ctx, m.InstanceTypes, diags), InstanceProfile: m.InstanceProfile.ValueString(),
		KeyName: m.KeyName.ValueString(), HostedZoneID: m.HostedZoneID.ValueString(), PublicIP: m.PublicIP.ValueBoolPointer(),
		Tags: stringMap(ctx, m.Tags, diags), AgentVersion: m.AgentVersion.ValueString(),
	}
	if a.Region == "" {
		a.Region = region
	}
	return a
}

// fill takes over what a says. What the provider adds (default tags, its own profile) is not the configuration's.
func (m *awsModel) fill(ctx context.Context, a *spec.AWS, diags *diag.Diagnostics) {
	m.Region = types.StringValue(a.Region)
	m.SubnetIDs = fillSet(ctx, m.SubnetIDs, a.SubnetIDs, diags)
	m.SecurityGroupIDs = fillSet(ctx, m.SecurityGroupIDs, a.SecurityGroupIDs, diags)
	m.AMI = types.StringValue(a.AMI)
	m.InstanceTypes = fillList(ctx, m.InstanceTypes, a.InstanceTypes, diags)
	m.InstanceProfile = keepEmpty(m.InstanceProfile, a.InstanceProfile)
	m.KeyName = keepEmpty(m.KeyName, a.KeyName)
	m.HostedZoneID = keepEmpty(m.HostedZoneID, a.HostedZoneID)
	m.PublicIP = types.BoolPointerValue(a.PublicIP)
	m.Tags = fillMap(ctx, m.Tags, a.Tags, diags)
	m.AgentVersion = types.StringValue(a.AgentVersion)
}

// empty has the types of a model that nothing is known of yet, as after an import.
func emptyAWSModel() *awsModel {
	return &awsModel{
		SubnetIDs: types.SetNull(types.StringType), SecurityGroupIDs: types.SetNull(types.StringType),
		InstanceTypes: types.ListNull(types.StringType), Tags: types.MapNull(types.StringType),
	}
}

// stringList reads a list, in its order; nil for null, unknown and empty.
func stringList(ctx context.Context, v types.List, diags *diag.Diagnostics) (result []string) {
	if len(v.Elements()) == 0 {
		return nil
	}
	var elements []types.String
	diags.Append(v.ElementsAs(ctx, &elements, false)...)
	for _, e := range elements {
		if !e.IsNull() && !e.IsUnknown() {
			result = append(result, e.ValueString())
		}
	}
	return result
}

// fillList makes a value of v; where v is empty, null and an empty value mean the same and stay as they were.
func fillList(ctx context.Context, former types.List, v []string, diags *diag.Diagnostics) types.List {
	if len(v) == 0 && (former.IsNull() || len(former.Elements()) == 0) {
		return former
	}
	if len(v) == 0 {
		return types.ListNull(types.StringType)
	}
	l, d := types.ListValueFrom(ctx, types.StringType, v)
	diags.Append(d...)
	return l
}
