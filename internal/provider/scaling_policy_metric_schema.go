package provider

import (
	"context"
	"fmt"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework-validators/int64validator"
	"github.com/hashicorp/terraform-plugin-framework-validators/listvalidator"
	"github.com/hashicorp/terraform-plugin-framework-validators/mapvalidator"
	"github.com/hashicorp/terraform-plugin-framework-validators/stringvalidator"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/farmhand/terraform-provider-farmhand/internal/spec"
)

// metricKinds are the attributes of a metric of which exactly one is set. They are called what the spec calls them.
var metricKinds = []string{
	spec.LoadAverage, spec.CPU, spec.MemoryFree, spec.Bandwidth, spec.BusyWorkers, spec.RequestsPerSecond, spec.FileValue, spec.CommandValue,
	spec.ResponseTime, spec.QueueDepth, spec.HTTPValue, spec.SQLValue, spec.PrometheusValue, spec.SQSQueue, spec.CloudWatch,
}

func metricAttribute() schema.Attribute {
	block := func(description string, attributes map[string]schema.Attribute) schema.Attribute {
		if attributes == nil {
			attributes = map[string]schema.Attribute{}
		}
		return schema.SingleNestedAttribute{Optional: true, MarkdownDescription: description, Attributes: attributes}
	}
	required := func(description string) schema.Attribute {
		return schema.StringAttribute{Required: true, MarkdownDescription: description}
	}
	optional := func(description string) schema.Attribute {
		return schema.StringAttribute{Optional: true, MarkdownDescription: description}
	}
	oneOf := func(description string, values ...string) schema.Attribute {
		return schema.StringAttribute{Optional: true, Computed: true, MarkdownDescription: description, Validators: []validator.String{stringvalidator.OneOf(values...)}}
	}
	return schema.SingleNestedAttribute{
		Optional: true,
		MarkdownDescription: "What is measured; with all kinds of policies but `schedule`. Exactly one kind of metric is set. What is measured on each server is averaged over " +
			"the servers; what the balancer or another service tells is one number for the whole role, see `per`. A metric that cannot be read holds its policy, says so, and stands in the way of removing servers.",
		Validators: []validator.Object{oneMetric{}},
		Attributes: map[string]schema.Attribute{
			spec.LoadAverage: block("On each server: load average, the number of processes that run or wait to run.", map[string]schema.Attribute{
				"minutes": schema.Int64Attribute{
					Optional: true, Computed: true,
					MarkdownDescription: "`1`, `5` or `15`. Default: `1`.",
					Validators:          []validator.Int64{int64validator.OneOf(1, 5, 15)},
				},
			}),
			spec.CPU:        block("On each server: share of its cores in use, from 0 to 1.", nil),
			spec.MemoryFree: block("On each server: share of its memory that can still be had, from 0 to 1; of a container with a limit, of that. Less is more load: bands and thresholds add servers where it is low.", nil),
			spec.Bandwidth: block("On each server: traffic over all interfaces but the loopback, in Mbit/s.", map[string]schema.Attribute{
				"direction": oneOf("`in` or `out`, as the server sees it. Default: `out`.", spec.Inward, spec.Outward),
			}),
			spec.BusyWorkers: block("On each server: share of Apache's workers that are busy, of as many as it may have (`max_workers`), from 0 to 1.", nil),
			spec.RequestsPerSecond: block("Requests per second.", map[string]schema.Attribute{
				"at": oneOf("`server`: as each Apache counts them, health checks included; or `balancer`: as `haproxy` counts them of the whole role. Default: `server`.", spec.AtServer, spec.AtBalancer),
			}),
			spec.FileValue: block("On each server: the number in a file, which an application or a task writes.", map[string]schema.Attribute{
				"path": required("Whole path of the file."),
			}),
			spec.CommandValue: block("On each server: the number in the last line that a command prints. It is run every two seconds as root.", map[string]schema.Attribute{
				"argv": schema.ListAttribute{
					Required: true, ElementType: types.StringType,
					MarkdownDescription: "Program and arguments. There is no shell.",
					Validators:          []validator.List{listvalidator.SizeAtLeast(1)},
				},
				"timeout": optionalDuration("When it is ended, and gives no number. Default: `" + spec.DefaultCommandTimeout.String() + "`."),
			}),
			spec.ResponseTime: block("At the balancer: seconds from a request to the beginning of its answer, waiting included. `statistic` is over the requests of the window. Without requests it is 0.", nil),
			spec.QueueDepth:   block("At the balancer: requests that wait for a server. They do so only with the setting `server_connections` of the `haproxy` role.", nil),
			spec.HTTPValue: block("Asked for by the sidecar: an address that answers with a number, or with JSON that holds one.", map[string]schema.Attribute{
				"url":    required("Address. `secret_wo` is sent as a bearer token."),
				"select": optional("Path of the number in JSON, in [GJSON's syntax](https://github.com/tidwall/gjson/blob/master/SYNTAX.md). Default: the whole answer is the number."),
			}),
			spec.SQLValue: block("Asked for by the sidecar: a query to MariaDB or MySQL that gives one row of one column. It is made in a read-only transaction.", map[string]schema.Attribute{
				"query": required("The query, such as `SELECT COUNT(*) FROM jobs WHERE done = 0`."),
				"role": schema.StringAttribute{
					Optional: true, MarkdownDescription: "Id of the farm's `mysql` role to ask; its credentials are used.",
				},
				"host":     optional("Another server to ask, `host` or `host:port`, with `secret_wo` as the password."),
				"user":     optional("User at `host`."),
				"database": optional("Database at `host`."),
			}),
			spec.PrometheusValue: block("Asked for by the sidecar: an instant query to Prometheus that gives one value.", map[string]schema.Attribute{
				"url":   required("Address of the server, such as `http://10.0.0.5:9090`. `secret_wo` is sent as a bearer token."),
				"query": required("The query; `sum()` or `max()` makes one value of several."),
			}),
			spec.SQSQueue: block("Asked for by the sidecar: an SQS queue.", map[string]schema.Attribute{
				"queue_url": required("The queue's URL."),
				"measure":   oneOf("`depth`: messages that wait; or `age`: seconds that the oldest one has. Default: `depth`.", spec.Depth, spec.OldestAge),
				"region":    optional("Default: as the URL says."),
			}),
			spec.CloudWatch: block("Asked for by the sidecar: any metric of CloudWatch.", map[string]schema.Attribute{
				"namespace":  required("Such as `AWS/ApplicationELB`."),
				"name":       required("Such as `RequestCountPerTarget`."),
				"dimensions": schema.MapAttribute{Optional: true, ElementType: types.StringType, MarkdownDescription: "All that the metric has.", Validators: []validator.Map{mapvalidator.SizeAtLeast(1)}},
				"stat":       schema.StringAttribute{Optional: true, Computed: true, MarkdownDescription: "CloudWatch's statistic over each period. Default: `Average`."},
				"period":     optionalDuration("Default: `1m`."),
				"region":     optional("Default: as the sidecar's AWS settings say."),
			}),
			"window":    optionalDuration("Over which the samples count: a decision never rests on one. Default: `" + spec.DefaultWindow.String() + "` on servers, `" + spec.DefaultBalancerWindow.String() + "` at the balancer, four times `every` elsewhere, and with CloudWatch 2m more, by which it may be late."),
			"statistic": schema.StringAttribute{Optional: true, Computed: true, MarkdownDescription: "What is made of the window: `avg`, `min`, `max`, `sum` or a percentile such as `p95`. Default: `avg`; of `response_time`, `" + spec.DefaultPercentile + "`."},
			"per": oneOf("Of what is one number for the whole role: with `server` it is a total that the servers share, such as requests or messages, and is divided by how many serve; with `role` it is a level, "+
				"such as a time, that is taken to fall in proportion as servers are added. Default: `server` for `queue_depth`, `requests_per_second` at the balancer and the `depth` of SQS (in a `queue` policy: `role`), else `role`.", spec.PerServer, spec.PerRole),
			"every": optionalDuration("How often the sidecar asks. Default: `" + spec.DefaultEvery.String() + "`; of `prometheus` and `sqs` `15s`, of CloudWatch its period."),
			"secret_wo": schema.StringAttribute{
				Optional: true, WriteOnly: true,
				MarkdownDescription: "Password of `sql` at a `host`, bearer token of `http` and `prometheus`. It never rests in Terraform's plan or state: raise `secret_wo_version` when it changes.",
				Validators:          []validator.String{stringvalidator.AlsoRequires(path.MatchRelative().AtParent().AtName("secret_wo_version"))},
			},
			"secret_wo_version": schema.Int64Attribute{
				Optional:            true,
				MarkdownDescription: "Version of `secret_wo`.",
				Validators:          []validator.Int64{int64validator.AtLeast(1)},
			},
		},
	}
}

// oneMetric sees to it that exactly one kind is set.
type oneMetric struct{}

func (oneMetric) Description(context.Context) string { return "exactly one kind of metric is set" }

func (v oneMetric) MarkdownDescription(ctx context.Context) string { return v.Description(ctx) }

func (oneMetric) ValidateObject(_ context.Context, req validator.ObjectRequest, resp *validator.ObjectResponse) {
	if req.ConfigValue.IsNull() || req.ConfigValue.IsUnknown() {
		return
	}
	var set []string
	attributes := req.ConfigValue.Attributes()
	for _, kind := range metricKinds {
		switch v := attributes[kind]; {
		case v == nil || v.IsNull():
		case v.IsUnknown():
			return
		default:
			set = append(set, req.Path.AtName(kind).String())
		}
	}
	switch len(set) {
	case 0:
		resp.Diagnostics.AddAttributeError(req.Path, "Nothing is measured",
			fmt.Sprintf("%s: no kind of metric is set. Set one, such as load_average or cpu: %s.", req.Path, strings.Join(metricKinds, ", ")))
	case 1:
	default:
		resp.Diagnostics.AddAttributeError(req.Path, "A policy has one metric",
			fmt.Sprintf("%s are set at once. Keep one, and write a policy of its own for each other.", strings.Join(set, " and ")))
	}
}
