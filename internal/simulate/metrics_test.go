package simulate_test

import (
	"testing"
	"time"

	"github.com/farmhand/terraform-provider-farmhand/internal/simulate"
	"github.com/farmhand/terraform-provider-farmhand/internal/simulate/trace"
	"github.com/farmhand/terraform-provider-farmhand/internal/simulate/world"
	"github.com/farmhand/terraform-provider-farmhand/internal/spec"
)

// Demand of 40 to 400 requests a second, servers that take 40 of them: whoever measures it, and whatever, the role is
// kept at a target of 28 each.
func TestEveryMetricOfTheDemand(t *testing.T) {
	target := func(v float64) *float64 { return &v }
	for name, p := range map[string]spec.Policy{
		"load average":             {Metric: &spec.Metric{Kind: spec.LoadAverage}, Target: target(1.4)},
		"cpu":                      {Metric: &spec.Metric{Kind: spec.CPU}, Target: target(0.7)},
		"busy workers":             {Metric: &spec.Metric{Kind: spec.BusyWorkers}, Target: target(0.7)},
		"requests, at the servers": {Metric: &spec.Metric{Kind: spec.RequestsPerSecond}, Target: target(28)},
		"requests, at the balancer": {
			Metric: &spec.Metric{Kind: spec.RequestsPerSecond, Requests: &spec.RequestsMetric{At: spec.AtBalancer}}, Target: target(28),
		},
		"Prometheus, divided by the servers": {
			Metric: &spec.Metric{Kind: spec.PrometheusValue, Per: spec.PerServer, Prometheus: &spec.PrometheusMetric{URL: "http://prometheus:9090", Query: "sum(rate(http_requests_total[1m]))"}}, Target: target(28),
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := simulate.Subject{Role: spec.Role{Min: 2, Max: 20}, Policies: []spec.Policy{p}}
			s.SetDefaults()
			r, err := simulate.Run(t.Context(), simulate.Request{
				Subject: s, World: world.Options{Capacity: 40, Noise: 0.02, Seed: 1}, Compare: true,
				Trace: trace.Shape{Kind: "daily", Length: 24 * time.Hour, Low: 40, High: 400},
			})
			if err != nil {
				t.Fatal(err)
			}
			own := r.Results[0]
			// 13.6 servers of 28 at the highest are needed at the daily peak, 14.3 at 400.
			if own.Peak < 13 || own.Peak > 18 || own.MinutesFarAboveTarget > 120 || own.OverCapacity > 0.001 {
				t.Errorf("target %s: peak %d, %.0f minutes far above target, %.4f over capacity", r.Target, own.Peak, own.MinutesFarAboveTarget, own.OverCapacity)
			}
		})
	}
}

// A queue of jobs: nothing at night, and none of it is lost by day.
func TestQueueFromZeroAndBack(t *testing.T) {
	s := simulate.Subject{Role: spec.Role{Min: 0, Max: 10}, Policies: []spec.Policy{{
		Metric: &spec.Metric{Kind: spec.SQSQueue, SQS: &spec.SQSMetric{QueueURL: "https://sqs.eu-central-1.amazonaws.com/1/jobs"}},
		Queue:  &spec.Queue{Backlog: 600},
	}}}
	s.SetDefaults()
	r, err := simulate.Run(t.Context(), simulate.Request{
		Subject: s, World: world.Options{Capacity: 2, BootTime: time.Minute},
		Trace: trace.Shape{Kind: "step", Length: 6 * time.Hour, Low: 0, High: 6},
	})
	if err != nil {
		t.Fatal(err)
	}
	own := r.Results[0]
	// Two hours of 6, of which a server does 2: three servers keep up, and what came before they were there waits.
	if own.Peak < 3 || own.Peak > 10 {
		t.Errorf("%d servers at most", own.Peak)
	}
	if own.InstanceHours < 5 || own.InstanceHours > 40 {
		t.Errorf("%.1f instance-hours", own.InstanceHours)
	}
	if last := own.Series[len(own.Series)-1]; last.Serving != 0 {
		t.Errorf("%.1f servers an hour after the last job", last.Serving)
	}
	if own.MostBacklog <= 0 || own.MostBacklog > 6*3600 {
		t.Errorf("%.0f jobs waited at most", own.MostBacklog)
	}
}
