// Package source is where the sidecar asks for metrics that no agent measures: HTTP endpoints, SQL servers, Prometheus,
// and, in the package aws below it, SQS and CloudWatch.
//
// Each answer is one number with its time, or an error that says what is wrong with the source and never what the
// sidecar proved itself with. Start at Asker, which asks for all of a farm's metrics in their rhythms.
package source

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/farmhand/terraform-provider-farmhand/internal/spec"
	"github.com/farmhand/terraform-provider-farmhand/internal/state"
)

// Question is a metric to ask for.
type Question struct {
	ID     string // "role/policy"
	Metric spec.Metric
	// Secret is the password of sql, the bearer token of http and prometheus.
	Secret string
	// Database is where an sql metric of a role is asked for.
	Database Database
	// Problem is why it cannot be asked, "" if it can.
	Problem string
}

// Database is how to reach a SQL server.
type Database struct {
	Address, User, Password, Name string
}

// Cloud answers what is kept by AWS.
type Cloud interface {
	// Depth is the number of messages that wait in an SQS queue.
	Depth(ctx context.Context, q spec.SQSMetric) (float64, error)
	// Data are the points of several CloudWatch metrics of one region since from, each under its place in queries. A metric
	// without points has none; its error, if it has one of its own, is at the same place.
	Data(ctx context.Context, region string, queries []spec.CloudWatchMetric, from, to time.Time) ([][]state.Point, []error)
}

// ask answers one question that is not CloudWatch's.
func ask(ctx context.Context, cloud Cloud, q Question, now time.Time) (float64, error) {
	if q.Problem != "" {
		return 0, errors.New(q.Problem)
	}
	m := q.Metric
	var v float64
	var err error
	switch {
	case m.HTTP != nil:
		v, err = askHTTP(ctx, *m.HTTP, q.Secret)
	case m.Prometheus != nil:
		v, err = askPrometheus(ctx, *m.Prometheus, q.Secret, now)
	case m.SQL != nil:
		v, err = askSQL(ctx, q)
	case m.SQS != nil && cloud != nil:
		v, err = cloud.Depth(ctx, *m.SQS)
	default:
		return 0, fmt.Errorf("this sidecar cannot ask for %s; it is older than the declaration", m.Kind)
	}
	if err != nil {
		return 0, err
	}
	return v, possible(v)
}

// possible: what is no number, or negative, is no answer.
func possible(v float64) error {
	switch {
	case math.IsNaN(v) || math.IsInf(v, 0):
		return fmt.Errorf("the answer %v is no number to go by", v)
	case v < 0:
		return fmt.Errorf("the answer %v is negative", v)
	}
	return nil
}

// number reads one, blanks around it allowed.
func number(s string) (float64, error) {
	s = strings.TrimSpace(s)
	v, err := strconv.ParseFloat(s, 64)
	if err != nil {
		return 0, fmt.Errorf("the answer %s is no number", short(s))
	}
	return v, nil
}

// short quotes what may be long.
func short(s string) string {
	const most = 60
	if len(s) > most {
		s = s[:most] + "..."
	}
	return strconv.Quote(s)
}
