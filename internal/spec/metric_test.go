package spec

import (
	"strings"
	"testing"
	"time"
)

// of makes a sound policy that keeps the metric at a half.
func of(m Metric) Policy {
	half := 0.5
	p := Policy{Farm: "shop", Role: "web", Metric: &m, Target: &half}
	p.SetDefaults()
	return p
}

func every() map[string]Metric {
	return map[string]Metric{
		"memory_free":       {Kind: MemoryFree},
		"bandwidth":         {Kind: Bandwidth, Bandwidth: &BandwidthMetric{Direction: Inward}},
		"busy_workers":      {Kind: BusyWorkers},
		"requests":          {Kind: RequestsPerSecond},
		"balancer_requests": {Kind: RequestsPerSecond, Requests: &RequestsMetric{At: AtBalancer}},
		"file":              {Kind: FileValue, File: &FileMetric{Path: "/run/backlog"}},
		"command":           {Kind: CommandValue, Command: &CommandMetric{Argv: []string{"/bin/backlog", "--mail"}}},
		"response_time":     {Kind: ResponseTime},
		"queue_depth":       {Kind: QueueDepth},
		"http":              {Kind: HTTPValue, HTTP: &HTTPMetric{URL: "http://10.0.0.5/queue", Select: "queue.length"}},
		"sql":               {Kind: SQLValue, SQL: &SQLMetric{Role: "shop/mysql", Query: "SELECT COUNT(*) FROM jobs"}},
		"sql_elsewhere":     {Kind: SQLValue, SQL: &SQLMetric{Host: "db.example.com:3307", User: "reader", Query: "SELECT 1"}},
		"prometheus":        {Kind: PrometheusValue, Prometheus: &PrometheusMetric{URL: "http://prometheus:9090", Query: "sum(up)"}},
		"sqs":               {Kind: SQSQueue, SQS: &SQSMetric{QueueURL: "https://sqs.eu-west-1.amazonaws.com/123456789012/mail"}},
		"sqs_age":           {Kind: SQSQueue, SQS: &SQSMetric{QueueURL: "https://sqs.eu-west-1.amazonaws.com/123456789012/mail", Measure: OldestAge}},
		"cloudwatch":        {Kind: CloudWatch, CloudWatch: &CloudWatchMetric{Namespace: "AWS/SQS", Name: "NumberOfMessagesSent", Stat: "Sum"}},
	}
}

// TestEveryMetric: each kind with its defaults is sound, has words and a key of its own.
func TestEveryMetric(t *testing.T) {
	keys := map[string]string{}
	for name, m := range every() {
		p := of(m)
		if problems := p.Validate(); len(problems) > 0 {
			t.Errorf("%s: %v", name, problems)
		}
		if w := p.Metric.Words(); w == "" || w == m.Kind && m.Kind != "" {
			t.Errorf("%s is called %q", name, w)
		}
		key := p.Metric.Key()
		if p.Metric.Origin() == OnBalancer {
			key += " at the balancer"
		}
		if other, taken := keys[key]; taken {
			t.Errorf("%s and %s are kept under the same key %s", name, other, key)
		}
		keys[key] = name
	}
}

func TestMetricDefaults(t *testing.T) {
	for name, want := range map[string]struct {
		per           string
		every, window time.Duration
	}{
		"memory_free":       {"", 0, 7 * time.Second},
		"balancer_requests": {PerServer, 0, 15 * time.Second},
		"response_time":     {PerRole, 0, 15 * time.Second},
		"queue_depth":       {PerServer, 0, 15 * time.Second},
		"http":              {PerRole, 5 * time.Second, 20 * time.Second},
		"prometheus":        {PerRole, 15 * time.Second, time.Minute},
		"sqs":               {PerServer, 15 * time.Second, time.Minute},
		"sqs_age":           {PerRole, time.Minute, 6 * time.Minute},
		"cloudwatch":        {PerRole, time.Minute, 6 * time.Minute},
	} {
		m := of(every()[name]).Metric
		if m.Per != want.per || m.Every.Std() != want.every || m.Window.Std() != want.window {
			t.Errorf("%s: per %q, every %s, window %s; want %+v", name, m.Per, m.Every, m.Window, want)
		}
	}
}

func TestMetricsThatCannotBe(t *testing.T) {
	for name, c := range map[string]struct {
		change    func(*Metric)
		attribute string
		says      string
	}{
		"memory_free":       {func(m *Metric) { m.Statistic = "sum" }, "metric.statistic", "share"},
		"bandwidth":         {func(m *Metric) { m.Bandwidth.Direction = "up" }, "metric.bandwidth.direction", "no direction"},
		"requests":          {func(m *Metric) { m.Requests.At = "moon" }, "metric.requests_per_second.at", "not counted"},
		"file":              {func(m *Metric) { m.File.Path = "backlog" }, "metric.file.path", "whole path"},
		"command":           {func(m *Metric) { m.Command.Argv = []string{"wc -l < /x"} }, "metric.command.argv", "no shell"},
		"response_time":     {func(m *Metric) { m.Per = PerServer }, "metric.per", "share"},
		"queue_depth":       {func(m *Metric) { m.Window = Duration(time.Second) }, "metric.window", "two samples"},
		"http":              {func(m *Metric) { m.HTTP.URL = "http://user:pw@host/" }, "metric.http.url", "password"},
		"sql":               {func(m *Metric) { m.SQL.Query = "UPDATE jobs SET n = 1" }, "metric.sql.query", "change nothing"},
		"sql_elsewhere":     {func(m *Metric) { m.SQL.User = "" }, "metric.sql.user", "empty"},
		"prometheus":        {func(m *Metric) { m.Prometheus.Query = " " }, "metric.prometheus.query", "empty"},
		"sqs":               {func(m *Metric) { m.SQS.QueueURL = "https://sqs.eu-west-1.amazonaws.com/mail" }, "metric.sqs.queue_url", "names no queue"},
		"cloudwatch":        {func(m *Metric) { m.CloudWatch.Stat = "average" }, "metric.cloudwatch.stat", "none of"},
		"busy_workers":      {func(m *Metric) { m.Statistic = "median" }, "metric.statistic", "no statistic"},
		"sqs_age":           {func(m *Metric) { m.Window = Duration(time.Minute) }, "metric.window", "behind"},
		"balancer_requests": {func(m *Metric) { m.Every = Duration(time.Minute) }, "metric.every", "two seconds"},
	} {
		p := of(every()[name])
		c.change(p.Metric)
		problems := p.Validate()
		if len(problems) != 1 || problems[0].Attribute != c.attribute || !strings.Contains(problems[0].Summary, c.says) || problems[0].Advice == "" {
			t.Errorf("%s: %v; want one about %s that says %q", name, problems, c.attribute, c.says)
		}
	}
	if problems := of(Metric{Kind: SQLValue, SQL: &SQLMetric{Role: "other/mysql", Query: "SELECT 1"}}).Validate(); len(problems) != 1 || problems[0].Attribute != "metric.sql.role" {
		t.Errorf("a database of another farm: %v", problems)
	}
	for kind := range map[string]bool{Bandwidth: true, FileValue: true, CommandValue: true, HTTPValue: true, SQLValue: true, PrometheusValue: true, SQSQueue: true, CloudWatch: true} {
		if problems := of(Metric{Kind: kind}).Validate(); len(problems) == 0 || problems[0].Attribute != "metric."+kind {
			t.Errorf("%s without its settings: %v", kind, problems)
		}
	}
}

// TestFreeMemory: less of it is more load, so its bands go the other way.
func TestFreeMemory(t *testing.T) {
	low, high := 0.2, 0.6
	p := Policy{Farm: "shop", Role: "web", Metric: &Metric{Kind: MemoryFree}, Steps: []Step{{To: &low, Add: 1}, {From: &low, To: &high}, {From: &high, Add: -1}}}
	p.SetDefaults()
	if problems := p.Validate(); len(problems) > 0 {
		t.Errorf("servers are added when memory runs out: %v", problems)
	}
	p.Steps[0].Add, p.Steps[2].Add = -1, 1
	if problems := p.Validate(); len(problems) == 0 || !strings.Contains(problems[0].Summary, "memory in use") {
		t.Errorf("servers are removed when memory runs out: %v", problems)
	}
	target := of(Metric{Kind: MemoryFree, Statistic: "p90"})
	*target.Target = 0.25
	load := target.AsLoad()
	if *load.Target != 0.75 || load.Metric.Kind != MemoryUsed || load.Metric.Statistic != "p10" || *target.Target != 0.25 || target.Metric.Kind != MemoryFree {
		t.Errorf("a quarter free is %v of %s (%s) in use, and left %v of %s", *load.Target, load.Metric.Kind, load.Metric.Statistic, *target.Target, target.Metric.Kind)
	}
	// An overlap is shown where it was written.
	wide := 0.3
	p.Steps = []Step{{To: &wide, Add: 1}, {From: &low, Add: -1}}
	if problems := p.Validate(); len(problems) == 0 || problems[0].Attribute != "step[0].to" {
		t.Errorf("bands that overlap: %v", problems)
	}
}
