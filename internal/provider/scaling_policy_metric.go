package provider

import (
	"context"

	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/tfsdk"
	"github.com/hashicorp/terraform-plugin-framework/types"
	"github.com/hashicorp/terraform-plugin-framework/types/basetypes"

	"github.com/farmhand/terraform-provider-farmhand/internal/spec"
	"github.com/farmhand/terraform-provider-farmhand/internal/state"
	"github.com/farmhand/terraform-provider-farmhand/internal/store"
)

// metricModel is a policy's metric as Terraform holds it.
type metricModel struct {
	LoadAverage  types.Object `tfsdk:"load_average"`
	CPU          types.Object `tfsdk:"cpu"`
	MemoryFree   types.Object `tfsdk:"memory_free"`
	Bandwidth    types.Object `tfsdk:"bandwidth"`
	BusyWorkers  types.Object `tfsdk:"busy_workers"`
	Requests     types.Object `tfsdk:"requests_per_second"`
	File         types.Object `tfsdk:"file"`
	Command      types.Object `tfsdk:"command"`
	ResponseTime types.Object `tfsdk:"response_time"`
	QueueDepth   types.Object `tfsdk:"queue_depth"`
	HTTP         types.Object `tfsdk:"http"`
	SQL          types.Object `tfsdk:"sql"`
	Prometheus   types.Object `tfsdk:"prometheus"`
	SQS          types.Object `tfsdk:"sqs"`
	CloudWatch   types.Object `tfsdk:"cloudwatch"`

	Window        text         `tfsdk:"window"`
	Statistic     types.String `tfsdk:"statistic"`
	Per           types.String `tfsdk:"per"`
	Every         text         `tfsdk:"every"`
	Secret        types.String `tfsdk:"secret_wo"`
	SecretVersion types.Int64  `tfsdk:"secret_wo_version"`
}

type loadAverageModel struct {
	Minutes types.Int64 `tfsdk:"minutes"`
}

// plainModel is a kind that has no settings.
type plainModel struct{}

type bandwidthModel struct {
	Direction types.String `tfsdk:"direction"`
}

type requestsModel struct {
	At types.String `tfsdk:"at"`
}

type fileModel struct {
	Path types.String `tfsdk:"path"`
}

type commandModel struct {
	Argv    types.List `tfsdk:"argv"`
	Timeout text       `tfsdk:"timeout"`
}

type httpMetricModel struct {
	URL    types.String `tfsdk:"url"`
	Select types.String `tfsdk:"select"`
}

type sqlModel struct {
	Query    types.String `tfsdk:"query"`
	Role     types.String `tfsdk:"role"`
	Host     types.String `tfsdk:"host"`
	User     types.String `tfsdk:"user"`
	Database types.String `tfsdk:"database"`
}

type prometheusModel struct {
	URL   types.String `tfsdk:"url"`
	Query types.String `tfsdk:"query"`
}

type sqsModel struct {
	QueueURL types.String `tfsdk:"queue_url"`
	Measure  types.String `tfsdk:"measure"`
	Region   types.String `tfsdk:"region"`
}

type cloudWatchModel struct {
	Namespace  types.String `tfsdk:"namespace"`
	Name       types.String `tfsdk:"name"`
	Dimensions types.Map    `tfsdk:"dimensions"`
	Stat       types.String `tfsdk:"stat"`
	Period     text         `tfsdk:"period"`
	Region     types.String `tfsdk:"region"`
}

// metricSpec is the metric that is declared, without defaults; nil for none.
func metricSpec(ctx context.Context, o types.Object, diags *diag.Diagnostics) *spec.Metric {
	m := decode[metricModel](ctx, o, diags)
	if m == nil {
		return nil
	}
	out := &spec.Metric{
		Window: m.Window.duration(), Statistic: m.Statistic.ValueString(), Per: m.Per.ValueString(), Every: m.Every.duration(),
		SecretVersion: m.SecretVersion.ValueInt64(),
	}
	for kind, v := range map[string]types.Object{
		spec.CPU: m.CPU, spec.MemoryFree: m.MemoryFree, spec.BusyWorkers: m.BusyWorkers, spec.ResponseTime: m.ResponseTime, spec.QueueDepth: m.QueueDepth,
	} {
		if !v.IsNull() {
			out.Kind = kind
		}
	}
	if v := decode[loadAverageModel](ctx, m.LoadAverage, diags); v != nil {
		out.Kind, out.Minutes = spec.LoadAverage, int(v.Minutes.ValueInt64())
	}
	if v := decode[bandwidthModel](ctx, m.Bandwidth, diags); v != nil {
		out.Kind, out.Bandwidth = spec.Bandwidth, &spec.BandwidthMetric{Direction: v.Direction.ValueString()}
	}
	if v := decode[requestsModel](ctx, m.Requests, diags); v != nil {
		out.Kind, out.Requests = spec.RequestsPerSecond, &spec.RequestsMetric{At: v.At.ValueString()}
	}
	if v := decode[fileModel](ctx, m.File, diags); v != nil {
		out.Kind, out.File = spec.FileValue, &spec.FileMetric{Path: v.Path.ValueString()}
	}
	if v := decode[commandModel](ctx, m.Command, diags); v != nil {
		out.Kind, out.Command = spec.CommandValue, &spec.CommandMetric{Timeout: v.Timeout.duration()}
		var argv []types.String // one of them may be unknown yet
		if !v.Argv.IsUnknown() {
			diags.Append(v.Argv.ElementsAs(ctx, &argv, false)...)
		}
		for _, a := range argv {
			out.Command.Argv = append(out.Command.Argv, a.ValueString())
		}
	}
	if v := decode[httpMetricModel](ctx, m.HTTP, diags); v != nil {
		out.Kind, out.HTTP = spec.HTTPValue, &spec.HTTPMetric{URL: v.URL.ValueString(), Select: v.Select.ValueString()}
	}
	if v := decode[sqlModel](ctx, m.SQL, diags); v != nil {
		out.Kind = spec.SQLValue
		out.SQL = &spec.SQLMetric{Query: v.Query.ValueString(), Role: v.Role.ValueString(), Host: v.Host.ValueString(), User: v.User.ValueString(), Database: v.Database.ValueString()}
	}
	if v := decode[prometheusModel](ctx, m.Prometheus, diags); v != nil {
		out.Kind, out.Prometheus = spec.PrometheusValue, &spec.PrometheusMetric{URL: v.URL.ValueString(), Query: v.Query.ValueString()}
	}
	if v := decode[sqsModel](ctx, m.SQS, diags); v != nil {
		out.Kind, out.SQS = spec.SQSQueue, &spec.SQSMetric{QueueURL: v.QueueURL.ValueString(), Measure: v.Measure.ValueString(), Region: v.Region.ValueString()}
	}
	if v := decode[cloudWatchModel](ctx, m.CloudWatch, diags); v != nil {
		out.Kind = spec.CloudWatch
		out.CloudWatch = &spec.CloudWatchMetric{
			Namespace: v.Namespace.ValueString(), Name: v.Name.ValueString(), Dimensions: stringMap(ctx, v.Dimensions, diags),
			Stat: v.Stat.ValueString(), Period: v.Period.duration(), Region: v.Region.ValueString(),
		}
	}
	return out
}

// metricObject is the metric as Terraform holds it; like has its type.
func metricObject(ctx context.Context, like types.Object, m *spec.Metric, diags *diag.Diagnostics) types.Object {
	if m == nil {
		return types.ObjectNull(like.AttributeTypes(ctx))
	}
	in := like.AttributeTypes(ctx)
	plain := func(kind string) types.Object {
		var v *plainModel
		if m.Kind == kind {
			v = &plainModel{}
		}
		return encodeAs(ctx, attributeTypes(in[kind]), v, diags)
	}
	out := &metricModel{
		CPU: plain(spec.CPU), MemoryFree: plain(spec.MemoryFree), BusyWorkers: plain(spec.BusyWorkers),
		ResponseTime: plain(spec.ResponseTime), QueueDepth: plain(spec.QueueDepth),
		Window: orNoDuration(m.Window), Statistic: optionalString(m.Statistic), Per: optionalString(m.Per), Every: orNoDuration(m.Every),
		Secret: types.StringNull(), SecretVersion: optionalInt(int(m.SecretVersion)),
	}
	var load *loadAverageModel
	if m.Kind == spec.LoadAverage {
		load = &loadAverageModel{Minutes: types.Int64Value(int64(m.Minutes))}
	}
	out.LoadAverage = encodeAs(ctx, attributeTypes(in[spec.LoadAverage]), load, diags)
	var bandwidth *bandwidthModel
	if v := m.Bandwidth; v != nil {
		bandwidth = &bandwidthModel{Direction: types.StringValue(v.Direction)}
	}
	out.Bandwidth = encodeAs(ctx, attributeTypes(in[spec.Bandwidth]), bandwidth, diags)
	var requests *requestsModel
	if v := m.Requests; v != nil {
		requests = &requestsModel{At: types.StringValue(v.At)}
	}
	out.Requests = encodeAs(ctx, attributeTypes(in[spec.RequestsPerSecond]), requests, diags)
	var file *fileModel
	if v := m.File; v != nil {
		file = &fileModel{Path: types.StringValue(v.Path)}
	}
	out.File = encodeAs(ctx, attributeTypes(in[spec.FileValue]), file, diags)
	var command *commandModel
	if v := m.Command; v != nil {
		argv, d := types.ListValueFrom(ctx, types.StringType, v.Argv)
		diags.Append(d...)
		command = &commandModel{Argv: argv, Timeout: durationText(v.Timeout)}
	}
	out.Command = encodeAs(ctx, attributeTypes(in[spec.CommandValue]), command, diags)
	var http *httpMetricModel
	if v := m.HTTP; v != nil {
		http = &httpMetricModel{URL: types.StringValue(v.URL), Select: optionalString(v.Select)}
	}
	out.HTTP = encodeAs(ctx, attributeTypes(in[spec.HTTPValue]), http, diags)
	var sql *sqlModel
	if v := m.SQL; v != nil {
		sql = &sqlModel{Query: types.StringValue(v.Query), Role: optionalString(v.Role), Host: optionalString(v.Host), User: optionalString(v.User), Database: optionalString(v.Database)}
	}
	out.SQL = encodeAs(ctx, attributeTypes(in[spec.SQLValue]), sql, diags)
	var prometheus *prometheusModel
	if v := m.Prometheus; v != nil {
		prometheus = &prometheusModel{URL: types.StringValue(v.URL), Query: types.StringValue(v.Query)}
	}
	out.Prometheus = encodeAs(ctx, attributeTypes(in[spec.PrometheusValue]), prometheus, diags)
	var sqs *sqsModel
	if v := m.SQS; v != nil {
		sqs = &sqsModel{QueueURL: types.StringValue(v.QueueURL), Measure: types.StringValue(v.Measure), Region: optionalString(v.Region)}
	}
	out.SQS = encodeAs(ctx, attributeTypes(in[spec.SQSQueue]), sqs, diags)
	var watch *cloudWatchModel
	if v := m.CloudWatch; v != nil {
		watch = &cloudWatchModel{
			Namespace: types.StringValue(v.Namespace), Name: types.StringValue(v.Name), Dimensions: types.MapNull(types.StringType),
			Stat: types.StringValue(v.Stat), Period: durationText(v.Period), Region: optionalString(v.Region),
		}
		if len(v.Dimensions) > 0 {
			dimensions, d := types.MapValueFrom(ctx, types.StringType, v.Dimensions)
			diags.Append(d...)
			watch.Dimensions = dimensions
		}
	}
	out.CloudWatch = encodeAs(ctx, attributeTypes(in[spec.CloudWatch]), watch, diags)
	return encode(ctx, like, out, diags)
}

// settled is the metric with what is not known yet taken from what the spec makes of it.
func settled(ctx context.Context, o types.Object, m *spec.Metric, diags *diag.Diagnostics) types.Object {
	if o.IsNull() || o.IsUnknown() || m == nil {
		return o
	}
	return settle(ctx, o, metricObject(ctx, o, m, diags), diags)
}

func settle(ctx context.Context, o, full types.Object, diags *diag.Diagnostics) types.Object {
	values, known := o.Attributes(), full.Attributes()
	for name, v := range values {
		nested, isObject := v.(basetypes.ObjectValue)
		switch {
		case v.IsUnknown():
			values[name] = known[name]
		case isObject && !nested.IsNull():
			if of, ok := known[name].(basetypes.ObjectValue); ok && !of.IsNull() {
				values[name] = settle(ctx, nested, of, diags)
			}
		}
	}
	out, d := types.ObjectValue(o.AttributeTypes(ctx), values)
	diags.Append(d...)
	return out
}

// fullyKnown tells whether nothing in v is unknown.
func fullyKnown(ctx context.Context, v attr.Value, diags *diag.Diagnostics) bool {
	raw, err := v.ToTerraformValue(ctx)
	if err != nil {
		diags.AddError("The metric cannot be read", sentence(err.Error()))
		return false
	}
	return raw.IsFullyKnown()
}

// putSecret takes over the metric's write-only secret, which is in the configuration only; without a version there is
// none. It goes into the store only, where no instance may read it.
func (r *scalingPolicyResource) putSecret(ctx context.Context, m scalingPolicyModel, config tfsdk.Config, diags *diag.Diagnostics) {
	p := m.spec(ctx, diags)
	key := state.PolicySecretKey(p.Farm, p.Role, p.Name)
	s, err := r.open(ctx)
	if err == nil {
		if p.Metric == nil || p.Metric.SecretVersion == 0 {
			err = s.Delete(ctx, key)
		} else {
			var secret types.String
			diags.Append(config.GetAttribute(ctx, path.Root("metric").AtName("secret_wo"), &secret)...)
			if secret.IsNull() {
				return // raised without a new one: the former stays
			}
			_, err = store.PutJSON(ctx, s, key, state.PolicySecret{Secret: secret.ValueString()})
		}
	}
	if err != nil {
		diags.AddError("The metric's secret cannot be kept", sentence(err.Error()))
	}
}
