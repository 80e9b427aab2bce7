package provider

import (
	"context"

	"github.com/hashicorp/terraform-plugin-framework-validators/float64validator"
	"github.com/hashicorp/terraform-plugin-framework-validators/listvalidator"
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
	Threshold types.Object  `tfsdk:"threshold"`
	Queue     types.Object  `tfsdk:"queue"`
	Schedule  types.Object  `tfsdk:"schedule"`
	Forecast  types.Object  `tfsdk:"forecast"`
	ScaleOut  types.Object  `tfsdk:"scale_out"`
	ScaleIn   types.Object  `tfsdk:"scale_in"`
	Cooldown  text          `tfsdk:"cooldown"`
	Tolerance types.Float64 `tfsdk:"tolerance"`
}

type stepModel struct {
	From types.Float64 `tfsdk:"from"`
	To   types.Float64 `tfsdk:"to"`
	Add  types.Int64   `tfsdk:"add"`
}

func (r *scalingPolicyResource) Schema(_ context.Context, _ resource.SchemaRequest, resp *resource.SchemaResponse) {
	d := defaultPolicy()
	resp.Schema = schema.Schema{
		MarkdownDescription: "When a role grows or shrinks, within its `min` and `max`. A role grows if any of its policies says so and " +
			"shrinks only if all agree. One of `target`, `step`, `threshold`, `queue`, `schedule` and `forecast` is set.",
		Attributes: map[string]schema.Attribute{
			"id":   computedID("`farm/role/name`."),
			"role": requiredName("Id of the role."),
			"name": schema.StringAttribute{
				Optional:            true,
				Computed:            true,
				CustomType:          textType{in: nameNotation},
				MarkdownDescription: "Name, unique in the role. Default: the metric's kind, `schedule` or `forecast`. Changing it makes a new policy.",
				PlanModifiers:       []planmodifier.String{keepEquivalent{nameNotation}, stringplanmodifier.RequiresReplace()},
			},
			"metric": metricAttribute(),
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
			"threshold": thresholdAttribute(),
			"queue":     queueAttribute(),
			"schedule":  scheduleAttribute(),
			"forecast":  forecastAttribute(),
			"scale_out": paceAttribute("Bounds how fast the policy grows the role.", "`0s`", "`4` or as many servers as there are, whichever is more, per `15s`"),
			"scale_in":  paceAttribute("Bounds how fast the policy lets the role shrink. The most careful of the role's policies counts.", "`cooldown`; of a `threshold`, whose breach has lasted already, `10s`", "`1` per `cooldown`"),
			"cooldown": optionalDuration("How long after any change of the role's size this policy does not vote to shrink it, and after its own " +
				"growing does not vote to grow it again unless the metric rose. Default: `" + d.Cooldown.String() + "`; of a `threshold` its `breach_duration`."),
			"tolerance": schema.Float64Attribute{
				Optional: true, Computed: true,
				MarkdownDescription: "How far below `target` the metric may be before fewer servers are wanted: 0.1 is ten per cent. Above it, as above `queue.backlog`, a hundredth at most is left alone.",
				Validators:          []validator.Float64{float64validator.Between(0, 1)},
			},
		},
	}
}

func (r *scalingPolicyResource) ConfigValidators(context.Context) []resource.ConfigValidator {
	return []resource.ConfigValidator{
		resourcevalidator.ExactlyOneOf(policyKinds...),
		resourcevalidator.Conflicting(path.MatchRoot("metric"), path.MatchRoot("schedule")),
	}
}
