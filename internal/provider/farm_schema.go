package provider

import (
	"context"

	"github.com/hashicorp/terraform-plugin-framework-timeouts/resource/timeouts"
	"github.com/hashicorp/terraform-plugin-framework-validators/resourcevalidator"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/int64planmodifier"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/objectplanmodifier"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/planmodifier"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/stringplanmodifier"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/farmhand/terraform-provider-farmhand/internal/spec"
)

const staysOnPlatform = "a farm does not move from one platform to another"

// farmModel is a farmhand_farm as Terraform holds it.
type farmModel struct {
	ID         types.String   `tfsdk:"id"`
	Name       text           `tfsdk:"name"`
	Sidecar    types.String   `tfsdk:"sidecar"`
	Zone       text           `tfsdk:"zone"`
	Docker     types.Object   `tfsdk:"docker"`
	Simulated  types.Object   `tfsdk:"simulated"`
	AWS        types.Object   `tfsdk:"aws"`
	Tick       text           `tfsdk:"tick"`
	Nameserver types.String   `tfsdk:"nameserver"`
	Timeouts   timeouts.Value `tfsdk:"timeouts"`
}

type dockerModel struct {
	Subnet text         `tfsdk:"subnet"`
	Image  types.String `tfsdk:"image"`
	Host   types.String `tfsdk:"host"`
}

type simulatedModel struct {
	BootTime     text          `tfsdk:"boot_time"`
	Subnet       text          `tfsdk:"subnet"`
	FailLaunches types.Float64 `tfsdk:"fail_launches"`
	Seed         types.Int64   `tfsdk:"seed"`
}

func (r *farmResource) Schema(ctx context.Context, _ resource.SchemaRequest, resp *resource.SchemaResponse) {
	resp.Schema = schema.Schema{
		MarkdownDescription: "A named set of roles on one platform, in a network and a DNS zone of its own.",
		Attributes: map[string]schema.Attribute{
			"id":   computedID("The farm's name."),
			"name": requiredName("Name, unique in the store; a DNS label."),
			"sidecar": schema.StringAttribute{
				Required:            true,
				MarkdownDescription: "Id of the `farmhand_sidecar` that keeps this farm.",
			},
			"zone": requiredName("DNS zone that the farm's own nameserver answers for, such as `shop.internal`."),
			"docker": schema.SingleNestedAttribute{
				Optional:            true,
				MarkdownDescription: "Each instance is a container on Docker or Podman. One of `docker`, `simulated` and `aws` is set; changing from one to the other makes a new farm.",
				PlanModifiers:       []planmodifier.Object{replaceIfAppears(staysOnPlatform)},
				Attributes: map[string]schema.Attribute{
					"subnet": schema.StringAttribute{
						Required:            true,
						CustomType:          textType{in: subnetNotation},
						MarkdownDescription: "IPv4 subnet of the farm's own bridge network, such as `10.99.0.0/24`. It must overlap no other network. Changing it makes a new farm.",
						PlanModifiers:       []planmodifier.String{keepEquivalent{subnetNotation}, stringplanmodifier.RequiresReplace()},
					},
					"image": schema.StringAttribute{
						Optional:            true,
						Computed:            true,
						MarkdownDescription: "Image of roles that name none. Default: `" + spec.DefaultImage + "`, Debian with the behaviors' packages.",
					},
					"host": schema.StringAttribute{
						Optional:            true,
						MarkdownDescription: "The engine's address, such as `unix:///run/podman/podman.sock`. Default: `$DOCKER_HOST`, else the usual sockets of Docker and Podman. Changing it makes a new farm.",
						PlanModifiers:       []planmodifier.String{stringplanmodifier.RequiresReplace()},
					},
				},
			},
			"simulated": schema.SingleNestedAttribute{
				Optional:            true,
				MarkdownDescription: "Instances are virtual: no processes, a load model, faults on request. Everything else is real, so that modules can be tested on it.",
				PlanModifiers:       []planmodifier.Object{replaceIfAppears(staysOnPlatform)},
				Attributes: map[string]schema.Attribute{
					"boot_time": optionalDuration("From launch to serving. Default: `" + defaultFarm().Simulated.BootTime.String() + "`."),
					"subnet": schema.StringAttribute{
						Optional:            true,
						Computed:            true,
						CustomType:          textType{in: subnetNotation},
						MarkdownDescription: "Subnet of the addresses that instances pretend to have. Default: `" + defaultFarm().Simulated.Subnet + "`. Changing it makes a new farm.",
						PlanModifiers:       []planmodifier.String{keepEquivalent{subnetNotation}, stringplanmodifier.RequiresReplaceIfConfigured()},
					},
					"fail_launches": schema.Float64Attribute{
						Optional:            true,
						MarkdownDescription: "Share of launches that fail to boot, from 0 to 1. Default: none.",
					},
					"seed": schema.Int64Attribute{
						Optional:            true,
						MarkdownDescription: "Seed of the draws for `fail_launches`. Changing it makes a new farm.",
						PlanModifiers:       []planmodifier.Int64{int64planmodifier.RequiresReplace()},
					},
				},
			},
			"aws":  farmAWSSchema(),
			"tick": optionalDuration("How often the sidecar looks when nothing calls it earlier. Default: `" + defaultFarm().Tick.String() + "`, on EC2 `" + spec.DefaultTickAWS.String() + "`."),
			"nameserver": schema.StringAttribute{
				Computed:            true,
				MarkdownDescription: "`address:port` of the farm's own nameserver; empty on EC2, where none listens.",
				PlanModifiers:       []planmodifier.String{stringplanmodifier.UseStateForUnknown()},
			},
			"timeouts": timeouts.Attributes(ctx, timeouts.Opts{
				Create: true, Delete: true,
				CreateDescription: "How long the sidecar may take to open the farm's network and nameserver. Default: `" + spec.Duration(farmCreateTimeout).String() + "`.",
				DeleteDescription: "How long draining and ending what is left may take. Default: `" + spec.Duration(farmDeleteTimeout).String() + "`.",
			}),
		},
	}
}

// replaceIfAppears replaces when the attribute is added or removed.
func replaceIfAppears(why string) planmodifier.Object {
	return objectplanmodifier.RequiresReplaceIf(
		func(_ context.Context, req planmodifier.ObjectRequest, resp *objectplanmodifier.RequiresReplaceIfFuncResponse) {
			resp.RequiresReplace = req.StateValue.IsNull() != req.PlanValue.IsNull()
		}, why, why)
}

func (r *farmResource) ConfigValidators(context.Context) []resource.ConfigValidator {
	return []resource.ConfigValidator{
		resourcevalidator.ExactlyOneOf(path.MatchRoot("docker"), path.MatchRoot("simulated"), path.MatchRoot("aws")),
	}
}
