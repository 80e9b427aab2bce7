package provider

import (
	"context"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework-validators/int64validator"
	"github.com/hashicorp/terraform-plugin-framework-validators/stringvalidator"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/farmhand/terraform-provider-farmhand/internal/spec"
)

// roleAWSModel is what a role wants of EC2.
type roleAWSModel struct {
	InstanceTypes    types.List   `tfsdk:"instance_types"`
	SubnetIDs        types.Set    `tfsdk:"subnet_ids"`
	SecurityGroupIDs types.Set    `tfsdk:"security_group_ids"`
	KeyName          types.String `tfsdk:"key_name"`
	PublicIP         types.Bool   `tfsdk:"public_ip"`
	Spot             types.Int64  `tfsdk:"spot"`
	OnDemandBase     types.Int64  `tfsdk:"on_demand_base"`
	SpotOnly         types.Bool   `tfsdk:"spot_only"`
	RootVolumeGB     types.Int64  `tfsdk:"root_volume_gb"`
	TargetGroupARNs  types.Set    `tfsdk:"target_group_arns"`
	ElasticIP        types.Bool   `tfsdk:"elastic_ip"`
	WarmPool         types.Int64  `tfsdk:"warm_pool"`
}

func roleAWSSchema() schema.SingleNestedAttribute {
	return schema.SingleNestedAttribute{
		Optional:            true,
		MarkdownDescription: "What the servers are on EC2, in a farm with `aws`. Default: what the farm says, on demand.",
		Attributes: map[string]schema.Attribute{
			"instance_types": schema.ListAttribute{
				Optional: true, ElementType: types.StringType,
				MarkdownDescription: "Instance types in order of preference. Default: the farm's. Changing them replaces running servers.",
			},
			"subnet_ids": schema.SetAttribute{
				Optional: true, ElementType: types.StringType,
				MarkdownDescription: "Subnets of this role's servers. Default: the farm's.",
			},
			"security_group_ids": schema.SetAttribute{
				Optional: true, ElementType: types.StringType,
				MarkdownDescription: "Security groups of this role's servers. Default: the farm's. Changing them replaces running servers.",
			},
			"key_name": schema.StringAttribute{Optional: true, MarkdownDescription: "Key pair for SSH. Default: the farm's."},
			"public_ip": schema.BoolAttribute{
				Optional:            true,
				MarkdownDescription: "Whether servers have a public address. Default: the farm's.",
			},
			"spot": schema.Int64Attribute{
				Optional: true,
				MarkdownDescription: "How many of a hundred servers above `on_demand_base` are asked for on the Spot market, 0 to 100. Where it has no capacity, on-demand ones are taken. " +
					"Default: 0.",
				Validators: []validator.Int64{int64validator.Between(0, 100)},
			},
			"on_demand_base": schema.Int64Attribute{
				Optional:            true,
				MarkdownDescription: "How many servers are on demand before `spot` counts. Default: 0.",
				Validators:          []validator.Int64{int64validator.AtLeast(0)},
			},
			"spot_only": schema.BoolAttribute{
				Optional:            true,
				MarkdownDescription: "Rather have no server than an on-demand one in a Spot server's place. Default: `false`.",
			},
			"root_volume_gb": schema.Int64Attribute{
				Optional:            true,
				MarkdownDescription: "Size of the root disk in GiB. Default: the image's. Root disks are encrypted.",
				Validators:          []validator.Int64{int64validator.AtLeast(1)},
			},
			"target_group_arns": schema.SetAttribute{
				Optional: true, ElementType: types.StringType,
				MarkdownDescription: "Target groups of ALB or NLB that serving servers are registered in. A draining server leaves them first and waits for its deregistration, " +
					"and a target that the balancer finds unhealthy is replaced.",
			},
			"elastic_ip": schema.BoolAttribute{
				Optional:            true,
				MarkdownDescription: "Give each index (`web-1`) a public address that stays with it when its server is replaced: the old one ends before the new one comes. Default: `false`.",
			},
			"warm_pool": schema.Int64Attribute{
				Optional:            true,
				MarkdownDescription: "Number of stopped instances, set up and ready to be started, that are kept beside: scaling out then takes seconds less. Stopped instances cost their disks. Default: 0.",
				Validators:          []validator.Int64{int64validator.AtLeast(0)},
			},
		},
	}
}

func (m *roleAWSModel) spec(ctx context.Context, diags *diag.Diagnostics) *spec.RoleAWS {
	return &spec.RoleAWS{
		InstanceTypes: stringList(ctx, m.InstanceTypes, diags), SubnetIDs: stringSet(ctx, m.SubnetIDs, diags), SecurityGroupIDs: stringSet(ctx, m.SecurityGroupIDs, diags),
		KeyName: m.KeyName.ValueString(), PublicIP: m.PublicIP.ValueBoolPointer(),
		Spot: int(m.Spot.ValueInt64()), OnDemandBase: int(m.OnDemandBase.ValueInt64()), SpotOnly: m.SpotOnly.ValueBool(),
		RootVolumeGB: int(m.RootVolumeGB.ValueInt64()), TargetGroupARNs: stringSet(ctx, m.TargetGroupARNs, diags),
		ElasticIP: m.ElasticIP.ValueBool(), WarmPool: int(m.WarmPool.ValueInt64()),
	}
}

func (m *roleAWSModel) fill(ctx context.Context, a *spec.RoleAWS, diags *diag.Diagnostics) {
	m.InstanceTypes = fillList(ctx, m.InstanceTypes, a.InstanceTypes, diags)
	m.SubnetIDs = fillSet(ctx, m.SubnetIDs, a.SubnetIDs, diags)
	m.SecurityGroupIDs = fillSet(ctx, m.SecurityGroupIDs, a.SecurityGroupIDs, diags)
	m.KeyName = keepEmpty(m.KeyName, a.KeyName)
	m.PublicIP = types.BoolPointerValue(a.PublicIP)
	m.Spot = keepNone(m.Spot, a.Spot)
	m.OnDemandBase = keepNone(m.OnDemandBase, a.OnDemandBase)
	m.SpotOnly = keepFalse(m.SpotOnly, a.SpotOnly)
	m.RootVolumeGB = keepNone(m.RootVolumeGB, a.RootVolumeGB)
	m.TargetGroupARNs = fillSet(ctx, m.TargetGroupARNs, a.TargetGroupARNs, diags)
	m.ElasticIP = keepFalse(m.ElasticIP, a.ElasticIP)
	m.WarmPool = keepNone(m.WarmPool, a.WarmPool)
}

func emptyRoleAWSModel() *roleAWSModel {
	return &roleAWSModel{
		InstanceTypes: types.ListNull(types.StringType), SubnetIDs: types.SetNull(types.StringType),
		SecurityGroupIDs: types.SetNull(types.StringType), TargetGroupARNs: types.SetNull(types.StringType),
	}
}

// keepNone and keepFalse are v; where v is zero, null and zero mean the same and stay as they were.
func keepNone(former types.Int64, v int) types.Int64 {
	if v == 0 && former.ValueInt64() == 0 && !former.IsUnknown() {
		return former
	}
	return optionalInt(v)
}

func keepFalse(former types.Bool, v bool) types.Bool {
	switch {
	case !v && !former.ValueBool() && !former.IsUnknown():
		return former
	case !v:
		return types.BoolNull()
	}
	return types.BoolValue(true)
}

// diskAttributes are those of a volume that only disks have.
func diskAttributes() map[string]schema.Attribute {
	return map[string]schema.Attribute{
		"size_gb": schema.Int64Attribute{
			Optional: true, MarkdownDescription: "Size of the disk in GiB, on EC2. Default: 10. A larger one makes disks that are there grow in place, with their file systems, while they are used; once in six hours, as EBS has it. A disk never shrinks.",
			Validators: []validator.Int64{int64validator.AtLeast(1)},
		},
		"max_size_gb": schema.Int64Attribute{
			Optional: true, MarkdownDescription: "Size in GiB up to which a disk that is 85 % full grows in place, by a quarter at a time, on EC2. Default: it does not grow, and `farmhand events` warns.",
			Validators: []validator.Int64{int64validator.AtLeast(1)},
		},
		"type": schema.StringAttribute{
			Optional: true, MarkdownDescription: "Type of the disk, on EC2, which may change in place: `" + strings.Join(spec.VolumeTypes(), "`, `") + "`. Default: `gp3`.",
			Validators: []validator.String{stringvalidator.OneOf(spec.VolumeTypes()...)},
		},
		"iops": schema.Int64Attribute{
			Optional: true, MarkdownDescription: "IOPS of the disk, for `gp3`, `io1` and `io2`, on EC2. Default: the type's.",
			Validators: []validator.Int64{int64validator.AtLeast(1)},
		},
		"throughput": schema.Int64Attribute{
			Optional: true, MarkdownDescription: "Throughput of the disk in MiB/s, for `gp3`, on EC2. Default: the type's.",
			Validators: []validator.Int64{int64validator.AtLeast(1)},
		},
		"kms_key": schema.StringAttribute{
			Optional: true, MarkdownDescription: "KMS key that the disk is encrypted with, on EC2. Default: the account's own for EBS; disks are always encrypted.",
		},
	}
}
