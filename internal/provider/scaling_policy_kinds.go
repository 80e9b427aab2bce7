package provider

import (
	"context"

	"github.com/hashicorp/terraform-plugin-framework-validators/int64validator"
	"github.com/hashicorp/terraform-plugin-framework-validators/listvalidator"
	"github.com/hashicorp/terraform-plugin-framework-validators/stringvalidator"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/farmhand/terraform-provider-farmhand/internal/spec"
)

// Kinds of policies beside target and step: what each is in Terraform, and both ways between that and the spec.

// policyKinds are the attributes of which a policy has exactly one.
var policyKinds = []path.Expression{
	path.MatchRoot("target"), path.MatchRoot("step"), path.MatchRoot("threshold"),
	path.MatchRoot("queue"), path.MatchRoot("schedule"), path.MatchRoot("forecast"),
}

type thresholdModel struct {
	Lower          types.Float64 `tfsdk:"lower"`
	Upper          types.Float64 `tfsdk:"upper"`
	Period         text          `tfsdk:"period"`
	BreachDuration text          `tfsdk:"breach_duration"`
	LowerIncrement types.Int64   `tfsdk:"lower_increment"`
	UpperIncrement types.Int64   `tfsdk:"upper_increment"`
}

func thresholdAttribute() schema.Attribute {
	return schema.SingleNestedAttribute{
		Optional:            true,
		MarkdownDescription: "Adds or removes a fixed number of servers when the metric has been beyond a line for a whole time without a break. Of `lower` and `upper` at least one is set.",
		Attributes: map[string]schema.Attribute{
			"lower":           schema.Float64Attribute{Optional: true, MarkdownDescription: "A breach is below this."},
			"upper":           schema.Float64Attribute{Optional: true, MarkdownDescription: "A breach is above this."},
			"period":          optionalDuration("What one value of the metric is made over: the same as `metric.window`, and its default."),
			"breach_duration": optionalDuration("For how long the metric has to be beyond the line. It counts anew after each change. Default: `" + spec.DefaultBreachDuration.String() + "`."),
			"lower_increment": schema.Int64Attribute{Optional: true, Computed: true, MarkdownDescription: "What a breach of `lower` changes. Default: `-1`; of free memory, where less is more load, `1`."},
			"upper_increment": schema.Int64Attribute{Optional: true, Computed: true, MarkdownDescription: "What a breach of `upper` changes. Default: `1`; of free memory `-1`."},
		},
	}
}

func (t *thresholdModel) spec() *spec.Threshold {
	return &spec.Threshold{
		Lower: t.Lower.ValueFloat64Pointer(), Upper: t.Upper.ValueFloat64Pointer(), Period: t.Period.duration(), BreachDuration: t.BreachDuration.duration(),
		LowerIncrement: int(t.LowerIncrement.ValueInt64()), UpperIncrement: int(t.UpperIncrement.ValueInt64()),
	}
}

func thresholdOf(t *spec.Threshold) *thresholdModel {
	if t == nil {
		return nil
	}
	return &thresholdModel{
		Lower: types.Float64PointerValue(t.Lower), Upper: types.Float64PointerValue(t.Upper),
		Period: durationText(t.Period), BreachDuration: durationText(t.BreachDuration),
		LowerIncrement: types.Int64Value(int64(t.LowerIncrement)), UpperIncrement: types.Int64Value(int64(t.UpperIncrement)),
	}
}

// plan makes the defaults known.
func (t *thresholdModel) plan(config *thresholdModel, p *spec.Threshold) {
	d := thresholdOf(p)
	if config.Period.IsNull() {
		t.Period = d.Period
	}
	if config.BreachDuration.IsNull() {
		t.BreachDuration = d.BreachDuration
	}
	if config.LowerIncrement.IsNull() {
		t.LowerIncrement = d.LowerIncrement
	}
	if config.UpperIncrement.IsNull() {
		t.UpperIncrement = d.UpperIncrement
	}
}

type queueModel struct {
	Backlog         types.Float64 `tfsdk:"backlog"`
	MinimumLifetime text          `tfsdk:"minimum_lifetime"`
}

func queueAttribute() schema.Attribute {
	return schema.SingleNestedAttribute{
		Optional: true,
		MarkdownDescription: "As many servers as the work that waits calls for. The metric is one number for the whole role, such as the depth of a queue. " +
			"With `min = 0` the role goes down to no server when nothing waits, and comes back when something does.",
		Attributes: map[string]schema.Attribute{
			"backlog":          schema.Float64Attribute{Required: true, MarkdownDescription: "Work that each server is given, in the metric's unit."},
			"minimum_lifetime": optionalDuration("How long a server lives before it may be removed because the role shrinks: long enough for a job, or for an hour that is paid. Default: `0s`."),
		},
	}
}

func queueOf(q *spec.Queue) *queueModel {
	if q == nil {
		return nil
	}
	return &queueModel{Backlog: types.Float64Value(q.Backlog), MinimumLifetime: durationText(q.MinimumLifetime)}
}

type forecastModel struct {
	Target types.Float64 `tfsdk:"target"`
	Zone   types.String  `tfsdk:"zone"`
}

func forecastAttribute() schema.Attribute {
	return schema.SingleNestedAttribute{
		Optional: true,
		MarkdownDescription: "Learns what the role's load is at each time of the day and of the week, and raises the floor ahead of it by the time that its servers take to boot. " +
			"It only ever raises the floor: other policies grow the role beyond it, and shrink it down to it. It is heeded after some days of learning, and says what it has learnt.",
		Attributes: map[string]schema.Attribute{
			"target": schema.Float64Attribute{Required: true, MarkdownDescription: "Value of the metric that each server is to have."},
			"zone": schema.StringAttribute{
				Optional: true, Computed: true,
				MarkdownDescription: "IANA time zone that the role's users live by, such as `Europe/Berlin`. Default: `" + spec.DefaultForecastZone + "`.",
			},
		},
	}
}

func forecastOf(f *spec.Forecast) *forecastModel {
	if f == nil {
		return nil
	}
	return &forecastModel{Target: types.Float64Value(f.Target), Zone: types.StringValue(f.Zone)}
}

type paceModel struct {
	StabilizationWindow text        `tfsdk:"stabilization_window"`
	AtMost              types.Int64 `tfsdk:"at_most"`
	Per                 text        `tfsdk:"per"`
}

func paceAttribute(description, window, rate string) schema.Attribute {
	return schema.SingleNestedAttribute{
		Optional:            true,
		MarkdownDescription: description,
		Attributes: map[string]schema.Attribute{
			"stabilization_window": plainDuration("For how long the policy has to have wanted it. Default: " + window + "."),
			"at_most": schema.Int64Attribute{
				Optional: true, MarkdownDescription: "Most servers within `per`. Default: " + rate + ".",
				Validators: []validator.Int64{int64validator.AtLeast(1)},
			},
			"per": plainDuration("Period of `at_most`."),
		},
	}
}

// plainDuration is a duration that may be left out and has no value then.
func plainDuration(description string) schema.StringAttribute {
	a := optionalDuration(description)
	a.Computed = false
	return a
}

func (p *paceModel) spec() *spec.Pace {
	if p == nil {
		return nil
	}
	pace := &spec.Pace{AtMost: int(p.AtMost.ValueInt64()), Per: p.Per.duration()}
	if !p.StabilizationWindow.IsNull() {
		window := p.StabilizationWindow.duration()
		pace.StabilizationWindow = &window
	}
	return pace
}

func paceOf(p *spec.Pace) *paceModel {
	if p == nil {
		return nil
	}
	m := &paceModel{StabilizationWindow: noDuration(), AtMost: optionalInt(p.AtMost), Per: orNoDuration(p.Per)}
	if p.StabilizationWindow != nil {
		m.StabilizationWindow = durationText(*p.StabilizationWindow)
	}
	return m
}

func noDuration() text { return text{StringValue: types.StringNull(), in: durationNotation} }

func orNoDuration(d spec.Duration) text {
	if d == 0 {
		return noDuration()
	}
	return durationText(d)
}

type scheduleModel struct {
	Cron     types.String `tfsdk:"cron"`
	Zone     types.String `tfsdk:"zone"`
	Duration text         `tfsdk:"duration"`
	Days     types.List   `tfsdk:"days"`
	From     types.String `tfsdk:"from"`
	To       types.String `tfsdk:"to"`
	Min      types.Int64  `tfsdk:"min"`
	Max      types.Int64  `tfsdk:"max"`
	Exact    types.Int64  `tfsdk:"exact"`
}

func scheduleAttribute() schema.Attribute {
	return schema.SingleNestedAttribute{
		Optional: true,
		MarkdownDescription: "Moves the envelope for a while: from each time that `cron` names, for `duration`; or on `days`, `from` one time of the day `to` another. " +
			"Sets `min`, `max` or both, or `exact`.",
		Attributes: map[string]schema.Attribute{
			"cron":     schema.StringAttribute{Optional: true, MarkdownDescription: "Five fields: minute, hour, day of month, month, day of week."},
			"zone":     schema.StringAttribute{Required: true, MarkdownDescription: "IANA time zone of the times here, such as `Europe/Berlin`."},
			"duration": plainDuration("How long it is active from each time that `cron` names: as time elapses, also when clocks change."),
			"days": schema.ListAttribute{
				Optional: true, ElementType: types.StringType,
				MarkdownDescription: "Days on which it begins: `mon`, `tue`, `wed`, `thu`, `fri`, `sat`, `sun`. Default: every day.",
				Validators:          []validator.List{listvalidator.SizeAtLeast(1), listvalidator.UniqueValues(), listvalidator.ValueStringsAre(stringvalidator.OneOf(spec.DayNames...))},
			},
			"from":  schema.StringAttribute{Optional: true, MarkdownDescription: "Time of the day at which it begins, such as `22:00`.", Validators: []validator.String{stringvalidator.AlsoRequires(path.MatchRelative().AtParent().AtName("to"))}},
			"to":    schema.StringAttribute{Optional: true, MarkdownDescription: "Time of the day at which it ends, by the clocks; on the next day if it is not later than `from`.", Validators: []validator.String{stringvalidator.AlsoRequires(path.MatchRelative().AtParent().AtName("from"))}},
			"min":   schema.Int64Attribute{Optional: true, MarkdownDescription: "Fewest servers meanwhile."},
			"max":   schema.Int64Attribute{Optional: true, MarkdownDescription: "Most servers meanwhile."},
			"exact": schema.Int64Attribute{Optional: true, MarkdownDescription: "Neither more nor fewer servers meanwhile."},
		},
	}
}

func (s *scheduleModel) spec(ctx context.Context, diags *diag.Diagnostics) *spec.Schedule {
	out := &spec.Schedule{
		Cron: s.Cron.ValueString(), Zone: s.Zone.ValueString(), Duration: s.Duration.duration(), From: s.From.ValueString(), To: s.To.ValueString(),
		Min: intPointer(s.Min), Max: intPointer(s.Max), Exact: intPointer(s.Exact),
	}
	if !s.Days.IsNull() && !s.Days.IsUnknown() {
		diags.Append(s.Days.ElementsAs(ctx, &out.Days, false)...)
	}
	return out
}

func scheduleOf(ctx context.Context, s *spec.Schedule, diags *diag.Diagnostics) *scheduleModel {
	if s == nil {
		return nil
	}
	m := &scheduleModel{
		Cron: optionalString(s.Cron), Zone: types.StringValue(s.Zone), Duration: orNoDuration(s.Duration), Days: types.ListNull(types.StringType),
		From: optionalString(s.From), To: optionalString(s.To), Min: int64Pointer(s.Min), Max: int64Pointer(s.Max), Exact: int64Pointer(s.Exact),
	}
	if len(s.Days) > 0 {
		days, d := types.ListValueFrom(ctx, types.StringType, s.Days)
		diags.Append(d...)
		m.Days = days
	}
	return m
}

// specKinds takes over the kinds that are set.
func (m *scalingPolicyModel) specKinds(ctx context.Context, p *spec.Policy, diags *diag.Diagnostics) {
	if t := decode[thresholdModel](ctx, m.Threshold, diags); t != nil {
		p.Threshold = t.spec()
	}
	if q := decode[queueModel](ctx, m.Queue, diags); q != nil {
		p.Queue = &spec.Queue{Backlog: q.Backlog.ValueFloat64(), MinimumLifetime: q.MinimumLifetime.duration()}
	}
	if f := decode[forecastModel](ctx, m.Forecast, diags); f != nil {
		p.Forecast = &spec.Forecast{Target: f.Target.ValueFloat64(), Zone: f.Zone.ValueString()}
	}
	if s := decode[scheduleModel](ctx, m.Schedule, diags); s != nil {
		p.Schedule = s.spec(ctx, diags)
	}
	p.ScaleOut = decode[paceModel](ctx, m.ScaleOut, diags).spec()
	p.ScaleIn = decode[paceModel](ctx, m.ScaleIn, diags).spec()
}

func (m *scalingPolicyModel) fillKinds(ctx context.Context, p spec.Policy, diags *diag.Diagnostics) {
	m.Threshold = encode(ctx, m.Threshold, thresholdOf(p.Threshold), diags)
	m.Queue = encode(ctx, m.Queue, queueOf(p.Queue), diags)
	m.Forecast = encode(ctx, m.Forecast, forecastOf(p.Forecast), diags)
	m.Schedule = encode(ctx, m.Schedule, scheduleOf(ctx, p.Schedule, diags), diags)
	m.ScaleOut = encode(ctx, m.ScaleOut, paceOf(p.ScaleOut), diags)
	m.ScaleIn = encode(ctx, m.ScaleIn, paceOf(p.ScaleIn), diags)
}

// planKinds makes the kinds' defaults known.
func (m *scalingPolicyModel) planKinds(ctx context.Context, config scalingPolicyModel, p spec.Policy, diags *diag.Diagnostics) {
	if t, c := decode[thresholdModel](ctx, m.Threshold, diags), decode[thresholdModel](ctx, config.Threshold, diags); t != nil && c != nil {
		t.plan(c, p.Threshold)
		m.Threshold = encode(ctx, m.Threshold, t, diags)
	}
	if q, c := decode[queueModel](ctx, m.Queue, diags), decode[queueModel](ctx, config.Queue, diags); q != nil && c != nil && c.MinimumLifetime.IsNull() {
		q.MinimumLifetime = durationText(0)
		m.Queue = encode(ctx, m.Queue, q, diags)
	}
	if f, c := decode[forecastModel](ctx, m.Forecast, diags), decode[forecastModel](ctx, config.Forecast, diags); f != nil && c != nil && c.Zone.IsNull() {
		f.Zone = types.StringValue(p.Forecast.Zone)
		m.Forecast = encode(ctx, m.Forecast, f, diags)
	}
}
