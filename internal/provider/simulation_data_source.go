package provider

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/hashicorp/terraform-plugin-framework-validators/datasourcevalidator"
	"github.com/hashicorp/terraform-plugin-framework-validators/int64validator"
	"github.com/hashicorp/terraform-plugin-framework-validators/stringvalidator"
	"github.com/hashicorp/terraform-plugin-framework/datasource"
	"github.com/hashicorp/terraform-plugin-framework/datasource/schema"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/farmhand/terraform-provider-farmhand/internal/simulate"
	"github.com/farmhand/terraform-provider-farmhand/internal/simulate/trace"
	virtual "github.com/farmhand/terraform-provider-farmhand/internal/simulate/world"
	"github.com/farmhand/terraform-provider-farmhand/internal/spec"
)

var _ datasource.DataSourceWithConfigValidators = (*simulationDataSource)(nil)

// simulationDataSource tries policies out at plan time. It needs no store: everything stands in its arguments.
type simulationDataSource struct{}

type simulationModel struct {
	Role     simulatedRoleModel    `tfsdk:"role"`
	Policies []types.Object        `tfsdk:"policies"`
	Trace    *simulatedTraceModel  `tfsdk:"trace"`
	Shape    *simulatedShapeModel  `tfsdk:"shape"`
	Server   *simulatedServerModel `tfsdk:"server"`
	Tick     text                  `tfsdk:"tick"`
	Seed     types.Int64           `tfsdk:"seed"`
	Compare  types.Bool            `tfsdk:"compare"`

	Target types.String `tfsdk:"target"`
	simulatedNumbers
	Compared map[string]simulatedNumbers `tfsdk:"compared"`
}

type simulatedRoleModel struct {
	Min     types.Int64  `tfsdk:"min"`
	Max     types.Int64  `tfsdk:"max"`
	Drain   text         `tfsdk:"drain"`
	ScaleIn types.String `tfsdk:"scale_in"`
}

type simulatedTraceModel struct {
	Path      types.String  `tfsdk:"path"`
	Column    types.String  `tfsdk:"column"`
	Series    types.String  `tfsdk:"series"`
	Gaps      types.String  `tfsdk:"gaps"`
	PerServer types.Bool    `tfsdk:"per_server"`
	Servers   types.Int64   `tfsdk:"servers"`
	Scale     types.Float64 `tfsdk:"scale"`
}

type simulatedShapeModel struct {
	Kind   types.String  `tfsdk:"kind"`
	Seed   types.Int64   `tfsdk:"seed"`
	Length text          `tfsdk:"length"`
	Step   text          `tfsdk:"step"`
	Low    types.Float64 `tfsdk:"low"`
	High   types.Float64 `tfsdk:"high"`
	Noise  types.Float64 `tfsdk:"noise"`
}

type simulatedServerModel struct {
	BootTime     text          `tfsdk:"boot_time"`
	BootJitter   types.Float64 `tfsdk:"boot_jitter"`
	Cores        types.Float64 `tfsdk:"cores"`
	Capacity     types.Float64 `tfsdk:"capacity"`
	Noise        types.Float64 `tfsdk:"noise"`
	MeanLife     text          `tfsdk:"mean_life"`
	FailLaunches types.Float64 `tfsdk:"fail_launches"`
}

type simulatedNumbers struct {
	InstanceHours         types.Float64 `tfsdk:"instance_hours"`
	MinutesAboveTarget    types.Float64 `tfsdk:"minutes_above_target"`
	MinutesFarAboveTarget types.Float64 `tfsdk:"minutes_far_above_target"`
	RequestsOverCapacity  types.Float64 `tfsdk:"requests_over_capacity"`
	OverCapacity          types.Float64 `tfsdk:"over_capacity"`
	MostBacklog           types.Float64 `tfsdk:"most_backlog"`
	Actions               types.Int64   `tfsdk:"actions"`
	Reversals             types.Int64   `tfsdk:"reversals"`
	ReversalsPerHour      types.Int64   `tfsdk:"reversals_per_hour"`
	Peak                  types.Int64   `tfsdk:"peak"`
}

func newSimulationDataSource() datasource.DataSource { return &simulationDataSource{} }

func (d *simulationDataSource) Metadata(_ context.Context, _ datasource.MetadataRequest, resp *datasource.MetadataResponse) {
	resp.TypeName = "farmhand_simulation"
}

func (d *simulationDataSource) ConfigValidators(context.Context) []datasource.ConfigValidator {
	return []datasource.ConfigValidator{datasourcevalidator.ExactlyOneOf(path.MatchRoot("trace"), path.MatchRoot("shape"))}
}

func (d *simulationDataSource) Schema(ctx context.Context, _ datasource.SchemaRequest, resp *datasource.SchemaResponse) {
	var o virtual.Options
	o.SetDefaults()
	var s trace.Shape
	s.SetDefaults()
	duration := func(description string) schema.StringAttribute {
		return schema.StringAttribute{Optional: true, CustomType: textType{in: durationNotation}, MarkdownDescription: description}
	}
	number := func(description string) schema.Float64Attribute {
		return schema.Float64Attribute{Optional: true, MarkdownDescription: description}
	}
	attributes := map[string]schema.Attribute{
		"role": schema.SingleNestedAttribute{
			Required:            true,
			MarkdownDescription: "The role's envelope.",
			Attributes: map[string]schema.Attribute{
				"min":      schema.Int64Attribute{Required: true, MarkdownDescription: "Fewest servers."},
				"max":      schema.Int64Attribute{Required: true, MarkdownDescription: "Most servers."},
				"drain":    duration("From leaving service to the end of a server. Default: `" + spec.DefaultDrain.String() + "`."),
				"scale_in": schema.StringAttribute{Optional: true, MarkdownDescription: "`newest` or `oldest`. Default: `" + spec.DefaultScaleIn + "`."},
			},
		},
		"policies": schema.ListNestedAttribute{
			Required:            true,
			MarkdownDescription: "The role's policies, with the arguments of [farmhand_scaling_policy](../resources/scaling_policy.md).",
			NestedObject:        schema.NestedAttributeObject{Attributes: policyArguments(ctx)},
		},
		"trace": schema.SingleNestedAttribute{
			Optional: true,
			MarkdownDescription: "A trace of demand in a file: CSV of time and demand, or the JSON of `aws cloudwatch get-metric-data`, " +
				"`aws cloudwatch get-metric-statistics` or Prometheus' `query_range`.",
			Attributes: map[string]schema.Attribute{
				"path":       schema.StringAttribute{Required: true, MarkdownDescription: "The file."},
				"column":     schema.StringAttribute{Optional: true, MarkdownDescription: "Column of the CSV that holds the demand. Default: the only one beside the time, or the one called `demand`, `value`, `load`, `load_average`, `cpu`, `requests` or `rps`."},
				"series":     schema.StringAttribute{Optional: true, MarkdownDescription: "Id or label of one metric among several of CloudWatch."},
				"gaps":       schema.StringAttribute{Optional: true, MarkdownDescription: "What becomes of a gap: `refuse`, `hold`, `linear` or `zero`. Default: `refuse`.", Validators: []validator.String{stringvalidator.OneOf("refuse", "hold", "linear", "zero")}},
				"per_server": schema.BoolAttribute{Optional: true, MarkdownDescription: "The values are a metric's average over servers; they are multiplied by the column `servers`, or by `servers`."},
				"servers":    schema.Int64Attribute{Optional: true, MarkdownDescription: "How many servers the values are the average of.", Validators: []validator.Int64{int64validator.AtLeast(1)}},
				"scale":      number("Every value is multiplied by it. Default: 1."),
			},
		},
		"shape": schema.SingleNestedAttribute{
			Optional:            true,
			MarkdownDescription: "A trace made here. The same arguments make the same trace everywhere.",
			Attributes: map[string]schema.Attribute{
				"kind":   schema.StringAttribute{Required: true, MarkdownDescription: "`" + strings.Join(trace.Shapes(), "`, `") + "`.", Validators: []validator.String{stringvalidator.OneOf(trace.Shapes()...)}},
				"seed":   schema.Int64Attribute{Optional: true, MarkdownDescription: "Of chance. Default: 1.", Validators: []validator.Int64{int64validator.AtLeast(0)}},
				"length": duration("Default: `" + spec.Duration(s.Length).String() + "`."),
				"step":   duration("Distance of its points. Default: `" + spec.Duration(s.Step).String() + "`."),
				"low":    number(fmt.Sprintf("Demand at its quietest. Default: %g.", s.Low)),
				"high":   number(fmt.Sprintf("Demand at its highest. Default: %g.", s.High)),
				"noise":  number("Standard deviation of each point, as a share of it. Default: 0."),
			},
		},
		"server": schema.SingleNestedAttribute{
			Optional:            true,
			MarkdownDescription: "How each server is.",
			Attributes: map[string]schema.Attribute{
				"boot_time":     duration("From launch to serving. Default: `" + spec.Duration(o.BootTime).String() + "`."),
				"boot_jitter":   number("How far a boot strays from that, as a share of it. Default: 0."),
				"cores":         number(fmt.Sprintf("Its load average when it is just busy all the time. Default: %g.", o.Cores)),
				"capacity":      number("The demand that it takes when it is just busy all the time, in the trace's unit. Default: `cores`, so that demand is counted in load average."),
				"noise":         number("Noise of its samples, as a share. Default: 0."),
				"mean_life":     duration("Mean time until it crashes. Default: never."),
				"fail_launches": number("Share of launches that do not come up. Default: 0."),
			},
		},
		"tick":    duration("Between two decisions. Default: `" + spec.Duration(o.Tick).String() + "`."),
		"seed":    schema.Int64Attribute{Optional: true, MarkdownDescription: "Of the servers' luck. Default: 1.", Validators: []validator.Int64{int64validator.AtLeast(0)}},
		"compare": schema.BoolAttribute{Optional: true, MarkdownDescription: "Run the algorithms of the field beside it. Default: false."},

		"target": schema.StringAttribute{Computed: true, MarkdownDescription: "What counts as the target, in words: that of the policy that allows a server the least."},
		"compared": schema.MapNestedAttribute{
			Computed:            true,
			MarkdownDescription: "With `compare`, the same numbers of the field's algorithms, by name; `foresight` is the lower bound of one that knows the trace.",
			NestedObject:        schema.NestedAttributeObject{Attributes: simulatedNumbersSchema()},
		},
	}
	for name, a := range simulatedNumbersSchema() {
		attributes[name] = a
	}
	resp.Schema = schema.Schema{
		MarkdownDescription: "What a role's policies would do on a trace of demand: the sidecar's own engine in virtual time, at plan. For a `check` " +
			"block or a `terraform test` that says what a change of policy may cost. It changes nothing and needs no farm. The same arguments give the same numbers.",
		Attributes: attributes,
	}
}

func simulatedNumbersSchema() map[string]schema.Attribute {
	float := func(description string) schema.Attribute {
		return schema.Float64Attribute{Computed: true, MarkdownDescription: description}
	}
	whole := func(description string) schema.Attribute {
		return schema.Int64Attribute{Computed: true, MarkdownDescription: description}
	}
	return map[string]schema.Attribute{
		"instance_hours":           float("Paid: from the launch to the end of the drain."),
		"minutes_above_target":     float("In which the servers in service had more to bear than the target each, however little."),
		"minutes_far_above_target": float("In which they had more than a tenth above it."),
		"requests_over_capacity":   float("Demand beyond what the servers in service can take, times seconds: requests, where demand is in requests a second."),
		"over_capacity":            float("The same as a share of all demand, 0 to 1."),
		"most_backlog":             float("The most work that waited at once, if all that found no server waits: what a `queue` policy looks at."),
		"actions":                  whole("Changes of the number wanted."),
		"reversals":                whole("Those in the other direction than the one before."),
		"reversals_per_hour":       whole("The most of them within any hour."),
		"peak":                     whole("Most servers in service at once."),
	}
}

func (d *simulationDataSource) Read(ctx context.Context, req datasource.ReadRequest, resp *datasource.ReadResponse) {
	var m simulationModel
	resp.Diagnostics.Append(req.Config.Get(ctx, &m)...)
	if resp.Diagnostics.HasError() {
		return
	}
	q := simulate.Request{Subject: m.subject(ctx, &resp.Diagnostics), World: m.world(), Compare: m.Compare.ValueBool()}
	if !resp.Diagnostics.HasError() {
		q.Trace = m.source(&resp.Diagnostics)
	}
	if resp.Diagnostics.HasError() {
		return
	}
	if err := q.World.Validate(); err != nil {
		resp.Diagnostics.AddAttributeError(path.Root("server"), "No such world", sentence(err.Error()))
		return
	}
	report, err := simulate.Run(ctx, q)
	if err != nil {
		resp.Diagnostics.AddError("The simulation cannot be run", sentence(err.Error()))
		return
	}
	m.Target = types.StringValue(report.Target)
	m.simulatedNumbers = numbersOf(report.Results[0])
	for _, r := range report.Results[1:] {
		if m.Compared == nil {
			m.Compared = map[string]simulatedNumbers{}
		}
		m.Compared[r.Pilot] = numbersOf(r)
	}
	resp.Diagnostics.Append(resp.State.Set(ctx, m)...)
}

// subject is the role with its policies, checked as their resources would be.
func (m *simulationModel) subject(ctx context.Context, diags *diag.Diagnostics) simulate.Subject {
	s := simulate.Subject{Role: spec.Role{
		Min: int(m.Role.Min.ValueInt64()), Max: int(m.Role.Max.ValueInt64()), Drain: m.Role.Drain.duration(), ScaleIn: m.Role.ScaleIn.ValueString(),
	}}
	var models []scalingPolicyModel
	for _, p := range m.Policies {
		models = append(models, policyModel(ctx, p, diags))
		s.Policies = append(s.Policies, models[len(models)-1].spec(ctx, diags))
	}
	if diags.HasError() {
		return s
	}
	s.SetDefaults()
	keepZero(&s.Role.Drain, m.Role.Drain)
	addProblems(diags, below("role", s.Role.Validate()))
	for i, p := range s.Policies {
		keepZero(&s.Policies[i].Cooldown, models[i].Cooldown)
		if t := models[i].Tolerance; !t.IsNull() {
			s.Policies[i].Tolerance = t.ValueFloat64()
		}
		addProblems(diags, below(fmt.Sprintf("policies[%d]", i), p.Validate()))
	}
	return s
}

// below moves problems under an attribute.
func below(at string, problems []spec.Problem) []spec.Problem {
	moved := make([]spec.Problem, len(problems))
	for i, p := range problems {
		moved[i] = p
		if p.Attribute != "" {
			moved[i].Attribute = at + "." + p.Attribute
		} else {
			moved[i].Attribute = at
		}
	}
	return moved
}

func (m *simulationModel) world() virtual.Options {
	o := virtual.Options{Tick: m.Tick.duration().Std(), Seed: seedOf(m.Seed)}
	if s := m.Server; s != nil {
		o.BootTime, o.BootJitter = s.BootTime.duration().Std(), s.BootJitter.ValueFloat64()
		o.Cores, o.Capacity, o.Noise = s.Cores.ValueFloat64(), s.Capacity.ValueFloat64(), s.Noise.ValueFloat64()
		o.MeanLife, o.FailLaunches = s.MeanLife.duration().Std(), s.FailLaunches.ValueFloat64()
	}
	o.SetDefaults()
	return o
}

func seedOf(v types.Int64) uint64 {
	if v.IsNull() {
		return 1
	}
	return uint64(v.ValueInt64())
}

// source is the trace, of which there is exactly one.
func (m *simulationModel) source(diags *diag.Diagnostics) trace.Source {
	if t := m.Trace; t != nil {
		source, err := trace.Open(t.Path.ValueString(), trace.Options{
			Column: t.Column.ValueString(), Series: t.Series.ValueString(), Gaps: trace.Gaps(t.Gaps.ValueString()),
			PerServer: t.PerServer.ValueBool(), Servers: int(t.Servers.ValueInt64()), Scale: t.Scale.ValueFloat64(),
		})
		if err != nil {
			diags.AddAttributeError(path.Root("trace"), "The trace cannot be read", sentence(err.Error()))
		}
		return source
	}
	s := trace.Shape{
		Kind: m.Shape.Kind.ValueString(), Seed: seedOf(m.Shape.Seed), Length: time.Duration(m.Shape.Length.duration()), Step: time.Duration(m.Shape.Step.duration()),
		Low: m.Shape.Low.ValueFloat64(), High: m.Shape.High.ValueFloat64(), Noise: m.Shape.Noise.ValueFloat64(),
	}
	s.SetDefaults()
	if err := s.Validate(); err != nil {
		diags.AddAttributeError(path.Root("shape"), "No such shape", sentence(err.Error()))
	}
	return s
}

func numbersOf(r virtual.Result) simulatedNumbers {
	whole := func(n int) types.Int64 { return types.Int64Value(int64(n)) }
	return simulatedNumbers{
		InstanceHours: types.Float64Value(r.InstanceHours), MinutesAboveTarget: types.Float64Value(r.MinutesAboveTarget),
		MinutesFarAboveTarget: types.Float64Value(r.MinutesFarAboveTarget), RequestsOverCapacity: types.Float64Value(r.RequestsOverCapacity),
		OverCapacity: types.Float64Value(r.OverCapacity), MostBacklog: types.Float64Value(r.MostBacklog), Actions: whole(r.Actions), Reversals: whole(r.Reversals),
		ReversalsPerHour: whole(r.ReversalsPerHour), Peak: whole(r.Peak),
	}
}
