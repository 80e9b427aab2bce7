// Package aws asks SQS and CloudWatch, by AWS' own clients and with AWS' own settings: environment, shared files,
// container and instance roles. AWS_ENDPOINT_URL sends them elsewhere.
package aws

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	cloudwatchtypes "github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/logging"

	"github.com/farmhand/terraform-provider-farmhand/internal/awsconfig"
	"github.com/farmhand/terraform-provider-farmhand/internal/metric/source"
	"github.com/farmhand/terraform-provider-farmhand/internal/spec"
	"github.com/farmhand/terraform-provider-farmhand/internal/state"
)

// mostQueries is CloudWatch's limit of metrics in a call.
const mostQueries = 500

// Clients are those of one sidecar; settings are read when first needed. The zero value is ready. Safe for concurrent use.
type Clients struct {
	// Load gives the settings for a region, "" for the one that they say themselves. nil: the SDK's own chain.
	Load func(ctx context.Context, region string) (aws.Config, error)

	mu      sync.Mutex
	configs map[string]aws.Config
}

var _ source.Cloud = (*Clients)(nil)

// config is that of a region, "" for the one that AWS' settings say.
func (c *Clients) config(ctx context.Context, region string) (aws.Config, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if cfg, ok := c.configs[region]; ok {
		return cfg, nil
	}
	load := c.Load
	if load == nil {
		load = func(ctx context.Context, region string) (aws.Config, error) {
			return awsconfig.Load(ctx, awsconfig.Config{Region: region})
		}
	}
	cfg, err := load(ctx, region)
	if err != nil {
		return cfg, fmt.Errorf("reading AWS' settings: %w", err)
	}
	if cfg.Region == "" {
		return cfg, errors.New("AWS' settings name no region: set the metric's region, or AWS_REGION where the sidecar is started")
	}
	cfg.Logger = logging.Nop{} // what its clients would log comes back as an error too
	if c.configs == nil {
		c.configs = map[string]aws.Config{}
	}
	c.configs[region] = cfg
	return cfg, nil
}

// Depth implements source.Cloud: the messages that can be received now, not those under way.
func (c *Clients) Depth(ctx context.Context, q spec.SQSMetric) (float64, error) {
	region := q.Region
	if region == "" {
		region = spec.QueueRegion(q.QueueURL)
	}
	cfg, err := c.config(ctx, region)
	if err != nil {
		return 0, err
	}
	const name = sqstypes.QueueAttributeNameApproximateNumberOfMessages
	out, err := sqs.NewFromConfig(cfg).GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{
		QueueUrl: &q.QueueURL, AttributeNames: []sqstypes.QueueAttributeName{name},
	})
	if err != nil {
		return 0, said("SQS", err)
	}
	text, ok := out.Attributes[string(name)]
	if !ok {
		return 0, errors.New("SQS tells no number of messages")
	}
	v, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return 0, fmt.Errorf("SQS tells %q messages", text)
	}
	return v, nil
}

// Data implements source.Cloud. A period counts from its end on: the one that is not over yet is left out, for its
// value still grows.
func (c *Clients) Data(ctx context.Context, region string, queries []spec.CloudWatchMetric, from, to time.Time) ([][]state.Point, []error) {
	points, errs := make([][]state.Point, len(queries)), make([]error, len(queries))
	cfg, err := c.config(ctx, region)
	if err != nil {
		for i := range errs {
			errs[i] = err
		}
		return points, errs
	}
	client := cloudwatch.NewFromConfig(cfg)
	for begin := 0; begin < len(queries); begin += mostQueries {
		end := min(begin+mostQueries, len(queries))
		if err := c.data(ctx, client, queries[begin:end], from, to, points[begin:end], errs[begin:end]); err != nil {
			for i := begin; i < end; i++ {
				errs[i] = said("CloudWatch", err)
			}
		}
	}
	return points, errs
}

func (c *Clients) data(ctx context.Context, client *cloudwatch.Client, queries []spec.CloudWatchMetric, from, to time.Time, points [][]state.Point, errs []error) error {
	in := &cloudwatch.GetMetricDataInput{StartTime: &from, EndTime: &to, ScanBy: cloudwatchtypes.ScanByTimestampAscending}
	for i, q := range queries {
		in.MetricDataQueries = append(in.MetricDataQueries, queryOf(i, q))
	}
	pages := cloudwatch.NewGetMetricDataPaginator(client, in)
	for pages.HasMorePages() {
		out, err := pages.NextPage(ctx)
		if err != nil {
			return err
		}
		for _, r := range out.MetricDataResults {
			i, ok := placeOf(aws.ToString(r.Id), len(queries))
			if !ok || len(r.Timestamps) != len(r.Values) {
				return errors.New("the answer is not to what was asked")
			}
			switch r.StatusCode {
			case cloudwatchtypes.StatusCodeForbidden:
				errs[i] = errors.New("CloudWatch: this metric may not be read with the sidecar's credentials")
			case cloudwatchtypes.StatusCodeInternalError:
				errs[i] = errors.New("CloudWatch had an error within itself")
			}
			period := queries[i].Period.Std()
			for n, at := range r.Timestamps {
				if over := at.Add(period); !over.After(to) {
					points[i] = append(points[i], state.Point{At: over, Value: r.Values[n]})
				}
			}
		}
	}
	return nil
}

// queryOf is a query under the id "q" and its place.
func queryOf(i int, q spec.CloudWatchMetric) cloudwatchtypes.MetricDataQuery {
	m := &cloudwatchtypes.Metric{Namespace: &q.Namespace, MetricName: &q.Name}
	for _, name := range slices.Sorted(maps.Keys(q.Dimensions)) {
		m.Dimensions = append(m.Dimensions, cloudwatchtypes.Dimension{Name: aws.String(name), Value: aws.String(q.Dimensions[name])})
	}
	return cloudwatchtypes.MetricDataQuery{
		Id:         aws.String("q" + strconv.Itoa(i)),
		MetricStat: &cloudwatchtypes.MetricStat{Metric: m, Period: aws.Int32(int32(q.Period.Std() / time.Second)), Stat: &q.Stat},
	}
}

func placeOf(id string, n int) (int, bool) {
	if len(id) < 2 || id[0] != 'q' {
		return 0, false
	}
	i, err := strconv.Atoi(id[1:])
	return i, err == nil && i >= 0 && i < n
}

// said is an error in AWS' words, without the layers that its client puts around them.
func said(service string, err error) error {
	var api smithy.APIError
	if errors.As(err, &api) {
		return fmt.Errorf("%s: %s: %s", service, api.ErrorCode(), api.ErrorMessage())
	}
	return fmt.Errorf("asking %s: %w", service, err)
}
