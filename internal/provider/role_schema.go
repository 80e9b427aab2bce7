package provider

import (
	"context"
	"fmt"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework-timeouts/resource/timeouts"
	"github.com/hashicorp/terraform-plugin-framework-validators/int64validator"
	"github.com/hashicorp/terraform-plugin-framework-validators/mapvalidator"
	"github.com/hashicorp/terraform-plugin-framework-validators/objectvalidator"
	"github.com/hashicorp/terraform-plugin-framework-validators/stringvalidator"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/planmodifier"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/stringplanmodifier"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/farmhand/terraform-provider-farmhand/internal/behavior/behaviors"
	"github.com/farmhand/terraform-provider-farmhand/internal/spec"
)

// roleModel is a farmhand_role as Terraform holds it.
type roleModel struct {
	ID               types.String   `tfsdk:"id"`
	Farm             text           `tfsdk:"farm"`
	Name             text           `tfsdk:"name"`
	Behavior         types.String   `tfsdk:"behavior"`
	Min              types.Int64    `tfsdk:"min"`
	Max              types.Int64    `tfsdk:"max"`
	Image            types.String   `tfsdk:"image"`
	Application      text           `tfsdk:"application"`
	BootScript       types.String   `tfsdk:"boot_script"`
	Environment      types.Map      `tfsdk:"environment"`
	Secret           types.Map      `tfsdk:"secret_environment_wo"`
	SecretVersion    types.Int64    `tfsdk:"secret_environment_wo_version"`
	Uses             types.Set      `tfsdk:"uses"`
	Settings         types.Map      `tfsdk:"settings"`
	HealthCheck      types.Object   `tfsdk:"health_check"`
	Volume           types.Object   `tfsdk:"volume"`
	AWS              types.Object   `tfsdk:"aws"`
	MySQLProxy       types.Object   `tfsdk:"mysql_proxy"`
	Backup           types.Object   `tfsdk:"backup"`
	BackupKey        types.String   `tfsdk:"backup_key_wo"`
	BackupKeyVersion types.Int64    `tfsdk:"backup_key_wo_version"`
	Drain            text           `tfsdk:"drain"`
	LaunchTimeout    text           `tfsdk:"launch_timeout"`
	ScaleIn          types.String   `tfsdk:"scale_in"`
	ShutdownHook     types.String   `tfsdk:"shutdown_hook"`
	HookTimeout      text           `tfsdk:"shutdown_hook_timeout"`
	ReversalsPerHour types.Int64    `tfsdk:"reversals_per_hour"`
	WaitUntilServing types.Bool     `tfsdk:"wait_until_serving"`
	Address          types.String   `tfsdk:"address"`
	Timeouts         timeouts.Value `tfsdk:"timeouts"`
}

type healthCheckModel struct {
	HTTP           types.Object `tfsdk:"http"`
	TCP            types.Object `tfsdk:"tcp"`
	Interval       text         `tfsdk:"interval"`
	Timeout        text         `tfsdk:"timeout"`
	UnhealthyAfter types.Int64  `tfsdk:"unhealthy_after"`
	Grace          text         `tfsdk:"grace"`
	SilentAfter    text         `tfsdk:"silent_after"`
}

type httpCheckModel struct {
	Path types.String `tfsdk:"path"`
	Port types.Int64  `tfsdk:"port"`
}

type tcpCheckModel struct {
	Port types.Int64 `tfsdk:"port"`
}

type volumeModel struct {
	Path      types.String `tfsdk:"path"`
	OnDestroy types.String `tfsdk:"on_destroy"`

	SizeGB     types.Int64  `tfsdk:"size_gb"`
	MaxSizeGB  types.Int64  `tfsdk:"max_size_gb"`
	Type       types.String `tfsdk:"type"`
	IOPS       types.Int64  `tfsdk:"iops"`
	Throughput types.Int64  `tfsdk:"throughput"`
	KMSKey     types.String `tfsdk:"kms_key"`
}

func (r *roleResource) Schema(ctx context.Context, _ resource.SchemaRequest, resp *resource.SchemaResponse) {
	d := defaultRole()
	resp.Schema = schema.Schema{
		MarkdownDescription: "A template of like servers and the envelope that their number stays in. The number itself is the " +
			"sidecar's: no attribute holds it, and a plan right after scaling is empty.\n\n" +
			"Create and update wait until the role serves as declared. A create that fails removes what it made; an update whose " +
			"new instances do not come up puts the former declaration back, so that the role goes on as it was. In both cases the " +
			"error carries the instance, the step it failed at and the last lines that its boot printed.",
		Attributes: map[string]schema.Attribute{
			"id":   computedID("`farm/name`: what policies, records and other roles' `uses` name."),
			"farm": requiredName("Name of the farm."),
			"name": requiredName("Name, unique in the farm; a DNS label. Instances are named by it: `web-1`, `web-2`."),
			"behavior": schema.StringAttribute{
				Required: true,
				MarkdownDescription: "What the servers are: `" + strings.Join(behaviors.Names(), "`, `") +
					"`. `base` runs the boot script and nothing else. Changing it makes a new role.",
				PlanModifiers: []planmodifier.String{stringplanmodifier.RequiresReplace()},
			},
			"min": schema.Int64Attribute{
				Required:            true,
				MarkdownDescription: "Fewest servers.",
				Validators:          []validator.Int64{int64validator.AtLeast(0)},
			},
			"max": schema.Int64Attribute{
				Required:            true,
				MarkdownDescription: "Most servers. Without a scaling policy the role has `min`.",
				Validators:          []validator.Int64{int64validator.AtLeast(0)},
			},
			"image": schema.StringAttribute{
				Optional:            true,
				MarkdownDescription: "Image of the platform; on EC2 an AMI. Default: the farm's.",
			},
			"application": schema.StringAttribute{
				Optional:            true,
				CustomType:          textType{in: nameNotation},
				MarkdownDescription: "Id of the `farmhand_application` that the servers run.",
				PlanModifiers:       []planmodifier.String{keepEquivalent{nameNotation}},
			},
			"boot_script": schema.StringAttribute{
				Optional:            true,
				MarkdownDescription: "Script that runs as root once the behavior is set up, before the server counts as serving. An exit status other than 0 fails the boot.",
			},
			"environment": schema.MapAttribute{
				ElementType:         types.StringType,
				Optional:            true,
				MarkdownDescription: "Environment of the boot script and the application.",
			},
			"secret_environment_wo": schema.MapAttribute{
				ElementType: types.StringType,
				Optional:    true,
				WriteOnly:   true,
				MarkdownDescription: "Secret part of the environment. It never rests in Terraform's plan or state, so Terraform cannot see it " +
					"change: raise `secret_environment_wo_version` with it.",
				Validators: []validator.Map{mapvalidator.AlsoRequires(path.MatchRoot("secret_environment_wo_version"))},
			},
			"secret_environment_wo_version": schema.Int64Attribute{
				Optional:            true,
				MarkdownDescription: "Version of `secret_environment_wo`. Changing it takes over new values and replaces the running servers, one at a time.",
				Validators:          []validator.Int64{int64validator.AtLeast(1)},
			},
			"uses": schema.SetAttribute{
				ElementType: types.StringType,
				Optional:    true,
				MarkdownDescription: "Ids of roles of the same farm whose addresses and credentials these servers are given: the web servers " +
					"that `haproxy` balances over, the `mysql` and `memcached` that an application talks to.",
			},
			"settings": schema.MapAttribute{
				ElementType:         types.StringType,
				Optional:            true,
				MarkdownDescription: "Settings of the behavior, by its own names.\n" + settingsTable(),
			},
			"health_check": schema.SingleNestedAttribute{
				Optional:            true,
				Computed:            true,
				MarkdownDescription: "What the agent on each server asks of it, beside the behavior's own check. A server that fails is replaced.",
				Attributes: map[string]schema.Attribute{
					"http": schema.SingleNestedAttribute{
						Optional:            true,
						MarkdownDescription: "Passes on a status of 200 to 399.",
						Attributes: map[string]schema.Attribute{
							"path": schema.StringAttribute{Required: true, MarkdownDescription: "Path, such as `/healthz`."},
							"port": schema.Int64Attribute{Optional: true, MarkdownDescription: "Default: the behavior's.", Validators: []validator.Int64{int64validator.Between(1, 65535)}},
						},
						Validators: []validator.Object{objectvalidator.ConflictsWith(path.MatchRelative().AtParent().AtName("tcp"))},
					},
					"tcp": schema.SingleNestedAttribute{
						Optional:            true,
						MarkdownDescription: "Passes when a connection opens. Conflicts with `http`.",
						Attributes: map[string]schema.Attribute{
							"port": schema.Int64Attribute{Optional: true, MarkdownDescription: "Default: the behavior's.", Validators: []validator.Int64{int64validator.Between(1, 65535)}},
						},
					},
					"interval": optionalDuration("Time from one check to the next. Default: `" + d.HealthCheck.Interval.String() + "`."),
					"timeout":  optionalDuration("How long one check may take. Default: `" + d.HealthCheck.Timeout.String() + "`."),
					"unhealthy_after": schema.Int64Attribute{
						Optional: true, Computed: true,
						MarkdownDescription: fmt.Sprintf("Failures in a row until the server counts as bad. Default: `%d`.", d.HealthCheck.UnhealthyAfter),
						Validators:          []validator.Int64{int64validator.AtLeast(1)},
					},
					"grace":        optionalDuration("How long after it first served failures do not count. Default: `" + d.HealthCheck.Grace.String() + "`."),
					"silent_after": optionalDuration("How long the agent may say nothing before its server counts as lost. Default: `" + d.HealthCheck.SilentAfter.String() + "`."),
				},
			},
			"volume": schema.SingleNestedAttribute{
				Optional:            true,
				MarkdownDescription: "Data that belongs to the server's index and outlives the server: the next `mysql-1` has it again.",
				Attributes: withAttributes(diskAttributes(), map[string]schema.Attribute{
					"path": schema.StringAttribute{
						Optional: true, Computed: true,
						MarkdownDescription: "Where it is mounted. Default: where the behavior keeps its data.",
					},
					"on_destroy": schema.StringAttribute{
						Optional: true, Computed: true,
						MarkdownDescription: "`delete` (default): the data goes with the role. `keep`: it stays.",
						Validators:          []validator.String{stringvalidator.OneOf("delete", "keep")},
					},
				}),
			},
			"aws":                   roleAWSSchema(),
			"mysql_proxy":           roleMySQLProxySchema(),
			"backup":                roleBackupSchema(),
			"backup_key_wo":         backupKeySchema(),
			"backup_key_wo_version": backupKeyVersionSchema(),
			"drain":                 optionalDuration("Time from leaving DNS and balancers to termination. Default: `" + d.Drain.String() + "`."),
			"launch_timeout":        optionalDuration("How long a server may take from the platform's call to serving. Default: `" + d.LaunchTimeout.String() + "`."),
			"scale_in": schema.StringAttribute{
				Optional: true, Computed: true,
				MarkdownDescription: "Which server goes first when the role shrinks, among those of one generation, health and zone: `newest`, `oldest`, `least_busy`, " +
					"or `closest_to_hour`, the one whose hour since its launch is nearest to its end. Default: `" + d.ScaleIn + "`.",
				Validators: []validator.String{stringvalidator.OneOf(spec.ScaleInOrders...)},
			},
			"shutdown_hook": schema.StringAttribute{
				Optional: true,
				MarkdownDescription: "Script that every serving server runs as root every few seconds, with the boot script's environment, for at most 10 seconds. " +
					"Exit status 0: the server may leave. Any other: it is not chosen to, neither when the role shrinks nor for a roll-out, and the last line that " +
					"the script prints is told as the reason. A server that is sick is replaced all the same, and the role can be destroyed. Changing it replaces no server. " +
					"An apply that rolls out waits for the scripts, too, within `timeouts.update`.",
			},
			"shutdown_hook_timeout": optionalDuration("How long `shutdown_hook` may keep a server without a break; then the server may be chosen all the same. Default: `" + d.ShutdownHookTimeout.String() + "`."),
			"reversals_per_hour": schema.Int64Attribute{
				Optional: true, Computed: true,
				MarkdownDescription: fmt.Sprintf("How often within an hour the policies may turn the role from growing to shrinking or back. Growing is never refused: "+
					"once all but the last are used, the role keeps its size. The least is 2, once in and once out again. Default: `%d`.", d.ReversalsPerHour),
				Validators: []validator.Int64{int64validator.AtLeast(1)},
			},
			"wait_until_serving": schema.BoolAttribute{
				Optional:            true,
				MarkdownDescription: "Whether create and update wait until the role serves as declared. Default: `true`.",
			},
			"address": schema.StringAttribute{
				Computed:            true,
				MarkdownDescription: "Address of the first server (`web-1`). It belongs to the index and stays when the server is replaced.",
				PlanModifiers:       []planmodifier.String{stringplanmodifier.UseStateForUnknown()},
			},
			"timeouts": timeouts.Attributes(ctx, timeouts.Opts{
				Create: true, Update: true, Delete: true,
				CreateDescription: "How long the first servers may take to serve. Default: `" + spec.Duration(roleCreateTimeout).String() + "`.",
				UpdateDescription: "How long replacing the servers may take. Default: `" + spec.Duration(roleUpdateTimeout).String() + "`.",
				DeleteDescription: "How long draining and ending the servers may take. Default: `" + spec.Duration(roleDeleteTimeout).String() + "`.",
			}),
		},
	}
}

// settingsTable lists every behavior's settings for the documentation.
func settingsTable() string {
	var b strings.Builder
	for _, name := range behaviors.Names() {
		v, ok := behaviors.Get(name)
		if !ok {
			continue
		}
		for _, s := range v.Traits().Settings {
			b.WriteString("\n  - `" + name + "`: `" + s.Name + "`: " + strings.TrimSuffix(s.Description, "."))
			if s.Default != "" {
				b.WriteString(" (default `" + s.Default + "`)")
			}
			b.WriteString(".")
		}
	}
	return b.String()
}
