package provider

import (
	"context"

	"github.com/hashicorp/terraform-plugin-framework-validators/float64validator"
	"github.com/hashicorp/terraform-plugin-framework-validators/int64validator"
	"github.com/hashicorp/terraform-plugin-framework-validators/listvalidator"
	"github.com/hashicorp/terraform-plugin-framework-validators/objectvalidator"
	"github.com/hashicorp/terraform-plugin-framework-validators/resourcevalidator"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/planmodifier"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/stringplanmodifier"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"
)

// scalingPolicyModel is a farmhand_scaling_policy as Terraform holds it.
type scalingPolicyModel struct {
	ID        types.String  `tfsdk:"id"`
	Role      text          `tfsdk:"role"`
	Name      text          `tfsdk:"name"`
	Metric    types.Object  `tfsdk:"metric"`
	Target    types.Float64 `tfsdk:"target"`
	Step      types.List    `tfsdk:"step"`
	Schedule  types.Object  `tfsdk:"schedule"`
	Cooldown  text          `tfsdk:"cooldown"`
	Tolerance types.Float64 `tfsdk:"tolerance"`
}

type metricModel struct {
	LoadAverage types.Object `tfsdk:"load_average"`
	CPU         types.Object `tfsdk:"cpu"`
	Window      text         `tfsdk:"window"`
}

type loadAverageModel struct {
	Minutes types.Int64 `tfsdk:"minutes"`
}

type cpuModel struct{}

type stepModel struct {
	From types.Float64 `tfsdk:"from"`
	To   types.Float64 `tfsdk:"to"`
	Add  types.Int64   `tfsdk:"add"`
}

type scheduleModel struct {
	Cron     types.String `tfsdk:"cron"`
	Zone     types.String `tfsdk:"zone"`
	Duration text         `tfsdk:"duration"`
	Min      types.Int64  `tfsdk:"min"`
	Max      types.Int64  `tfsdk:"max"`
}

func (r *scalingPolicyResource) Schema(_ context.Context, _ resource.SchemaRequest, resp *resource.SchemaResponse) {
	d := defaultPolicy()
	resp.Schema = schema.Schema{
		MarkdownDescription: "When a role grows or shrinks, within its `min` and `max`. A role grows if any of its policies says so and " +
			"shrinks only if all agree. One of `target`, `step` and `schedule` is set.",
		Attributes: map[string]schema.Attribute{
			"id":   computedID("`farm/role/name`."),
			"role": requiredName("Id of the role."),
			"name": schema.StringAttribute{
				Optional:            true,
				Computed:            true,
				CustomType:          textType{in: nameNotation},
				MarkdownDescription: "Name, unique in the role. Default: the metric's kind, or `schedule`. Changing it makes a new policy.",
				PlanModifiers:       []planmodifier.String{keepEquivalent{nameNotation}, stringplanmodifier.RequiresReplace()},
			},
			"metric": schema.SingleNestedAttribute{
				Optional:            true,
				MarkdownDescription: "What is measured on each server and averaged over the role; with `target` and `step`.",
				Attributes: map[string]schema.Attribute{
					"load_average": schema.SingleNestedAttribute{
						Optional:            true,
						MarkdownDescription: "Load average: the number of processes that run or wait to run.",
						Attributes: map[string]schema.Attribute{
							"minutes": schema.Int64Attribute{
								Optional: true, Computed: true,
								MarkdownDescription: "`1`, `5` or `15`. Default: `1`.",
								Validators:          []validator.Int64{int64validator.OneOf(1, 5, 15)},
							},
						},
						Validators: []validator.Object{objectvalidator.ConflictsWith(path.MatchRelative().AtParent().AtName("cpu"))},
					},
					"cpu": schema.SingleNestedAttribute{
						Optional:            true,
						MarkdownDescription: "Share of the server's cores in use, from 0 to 1.",
						Attributes:          map[string]schema.Attribute{},
					},
					"window": optionalDuration("Over which the samples are averaged: a decision never rests on one. Default: `" + d.Metric.Window.String() + "`."),
				},
			},
			"target": schema.Float64Attribute{
				Optional:            true,
				MarkdownDescription: "Value of the metric that the role is kept at.",
			},
			"step": schema.ListNestedAttribute{
				Optional:            true,
				MarkdownDescription: "Bands of the metric and what each adds. They neither overlap nor leave holes between them; outside of them the policy has no wish.",
				Validators:          []validator.List{listvalidator.SizeAtLeast(1)},
				NestedObject: schema.NestedAttributeObject{Attributes: map[string]schema.Attribute{
					"from": schema.Float64Attribute{Optional: true, MarkdownDescription: "Lower bound, inclusive. Default: none."},
					"to":   schema.Float64Attribute{Optional: true, MarkdownDescription: "Upper bound, exclusive. Default: none."},
					"add":  schema.Int64Attribute{Required: true, MarkdownDescription: "Servers to add, or, negative, to remove."},
				}},
			},
			"schedule": schema.SingleNestedAttribute{
				Optional:            true,
				MarkdownDescription: "Moves the envelope for a while: from each time that `cron` names, for `duration`.",
				Attributes: map[string]schema.Attribute{
					"cron":     schema.StringAttribute{Required: true, MarkdownDescription: "Five fields: minute, hour, day of month, month, day of week."},
					"zone":     schema.StringAttribute{Required: true, MarkdownDescription: "IANA time zone that `cron` is in, such as `Europe/Berlin`."},
					"duration": schema.StringAttribute{Required: true, CustomType: textType{in: durationNotation}, MarkdownDescription: "How long it is active.", PlanModifiers: []planmodifier.String{keepEquivalent{durationNotation}}},
					"min":      schema.Int64Attribute{Optional: true, MarkdownDescription: "Fewest servers meanwhile."},
					"max":      schema.Int64Attribute{Optional: true, MarkdownDescription: "Most servers meanwhile."},
				},
			},
			"cooldown": optionalDuration("How long after any change of the role's size this policy does not vote to shrink it, and after its own " +
				"growing does not vote to grow it again unless the metric rose. Default: `" + d.Cooldown.String() + "`."),
			"tolerance": schema.Float64Attribute{
				Optional: true, Computed: true,
				MarkdownDescription: "Relative distance from `target` that is left alone: 0.1 is ten per cent.",
				Validators:          []validator.Float64{float64validator.Between(0, 1)},
			},
		},
	}
}

func (r *scalingPolicyResource) ConfigValidators(context.Context) []resource.ConfigValidator {
	return []resource.ConfigValidator{
		resourcevalidator.ExactlyOneOf(path.MatchRoot("target"), path.MatchRoot("step"), path.MatchRoot("schedule")),
		resourcevalidator.Conflicting(path.MatchRoot("metric"), path.MatchRoot("schedule")),
	}
}
