package agent_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/farmhand/terraform-provider-farmhand/internal/engine"
	"github.com/farmhand/terraform-provider-farmhand/internal/metric"
	"github.com/farmhand/terraform-provider-farmhand/internal/metric/source"
	"github.com/farmhand/terraform-provider-farmhand/internal/spec"
	"github.com/farmhand/terraform-provider-farmhand/internal/state"
	"github.com/farmhand/terraform-provider-farmhand/internal/store"
)

// slowPage answers after as many milliseconds as it is asked to.
const slowPage = `<?php usleep(1000 * (int)$_GET['ms']); echo 'ok';`

// asks has an instance measure for a role, as the sidecar would.
func (f *farm) asks(instance, role string, metrics ...spec.Metric) {
	f.Helper()
	key := state.AssignmentKey(f.name, instance)
	as, _, err := store.GetJSON[state.Assignment](f.Context(), f.store, key)
	f.must(err)
	as.Measures = nil
	for _, m := range metrics {
		as.Measures = append(as.Measures, state.Asked{Key: state.SampleKey(role, m), Role: role, Metric: m})
	}
	_, err = store.PutJSON(f.Context(), f.store, key, as)
	f.must(err)
}

// sampled waits for a sample, taken from now on, with a value that ok takes, and returns it.
func (f *farm) sampled(instance, key, what string, ok func(float64) bool) float64 {
	f.Helper()
	var found float64
	began := time.Now() // containers have the clock of their machine
	f.await(instance, what, func(r state.Report) bool {
		for _, s := range r.Samples {
			if v, there := s.Values[key]; there && s.At.After(began) && ok(v) {
				found = v
				return true
			}
		}
		return false
	})
	return found
}

// load asks for url by so many clients at once, each again and again, until stop.
func load(t *testing.T, url string, clients int) (stop func()) {
	ctx, cancel := context.WithCancel(t.Context())
	var all sync.WaitGroup
	for range clients {
		all.Go(func() {
			for ctx.Err() == nil {
				page(ctx, url) // may fail: what is measured is the point
			}
		})
	}
	return sync.OnceFunc(func() { cancel(); all.Wait() })
}

func metricOf(kind string, change func(*spec.Metric)) spec.Metric {
	one := 1.0
	m := spec.Metric{Kind: kind}
	if change != nil {
		change(&m)
	}
	p := spec.Policy{Metric: &m, Target: &one}
	p.SetDefaults()
	return *p.Metric
}

// TestMetrics measures real servers under load that is known.
func TestMetrics(t *testing.T) {
	f := newFarm(t)
	check := spec.HealthCheck{Interval: spec.Duration(time.Second), Timeout: spec.Duration(2 * time.Second), UnhealthyAfter: 30}
	f.declare(spec.Role{Name: "mysql", Behavior: "mysql", HealthCheck: check})
	f.declare(spec.Role{Name: "web", Behavior: "apache", HealthCheck: check, Settings: map[string]string{"max_workers": "4"}})
	f.declare(spec.Role{Name: "lb", Behavior: "haproxy", HealthCheck: check, Uses: []string{f.name + "/web"}, Settings: map[string]string{"server_connections": "2"}})
	app := f.release(map[string]string{"slow.php": slowPage, "index.html": "ok"}, "")
	for name, at := range map[string]time.Time{
		"mysql-1": f.launch("mysql", 1, 11, nil), "web-1": f.launch("web", 1, 21, app), "lb-1": f.launch("lb", 1, 31, nil),
	} {
		f.awaitServing(name, at)
	}
	f.serving("mysql", 1)
	f.serving("web", 1)
	f.exec("web-1", "sh", "-c", "echo 42 > /run/backlog")

	file := metricOf(spec.FileValue, func(m *spec.Metric) { m.File = &spec.FileMetric{Path: "/run/backlog"} })
	command := metricOf(spec.CommandValue, func(m *spec.Metric) {
		m.Command = &spec.CommandMetric{Argv: []string{"/bin/sh", "-c", "cat /run/backlog"}}
	})
	broken := metricOf(spec.CommandValue, func(m *spec.Metric) { m.Command = &spec.CommandMetric{Argv: []string{"/no/such/program"}} })
	f.asks("web-1", "web", file, command, broken, metricOf(spec.MemoryFree, nil), metricOf(spec.BusyWorkers, nil), metricOf(spec.RequestsPerSecond, nil),
		metricOf(spec.Bandwidth, func(m *spec.Metric) { m.Bandwidth = &spec.BandwidthMetric{Direction: spec.Inward} }),
		metricOf(spec.Bandwidth, func(m *spec.Metric) { m.Bandwidth = &spec.BandwidthMetric{Direction: spec.Outward} }))
	p50 := metricOf(spec.ResponseTime, func(m *spec.Metric) { m.Statistic, m.Window = "p50", spec.Duration(10*time.Second) })
	p99 := metricOf(spec.ResponseTime, func(m *spec.Metric) { m.Statistic, m.Window = "p99", spec.Duration(10*time.Second) })
	queue := metricOf(spec.QueueDepth, nil)
	rate := metricOf(spec.RequestsPerSecond, func(m *spec.Metric) { m.Requests = &spec.RequestsMetric{At: spec.AtBalancer} })
	f.asks("lb-1", "web", p50, p99, queue, rate)
	url := "http://" + f.address("lb-1") + "/"
	f.eventually("the page", func() error { _, _, err := page(t.Context(), url); return err })
	key := func(m spec.Metric) string { return state.SampleKey("web", m) }

	t.Run("at rest", func(t *testing.T) {
		f.sampled("web-1", file.Key(), "the number in the file", func(v float64) bool { return v == 42 })
		f.sampled("web-1", command.Key(), "the number that the command prints", func(v float64) bool { return v == 42 })
		v := f.sampled("web-1", "mem", "some free memory", func(v float64) bool { return v > 0 && v < 1 })
		t.Logf("%.0f %% of the memory is free", 100*v)
		f.sampled("web-1", "busy", "no busy worker", func(v float64) bool { return v == 0 })
		f.sampled("lb-1", key(queue), "an empty queue", func(v float64) bool { return v == 0 })
		f.sampled("lb-1", key(p99), "nobody waiting", func(v float64) bool { return v == 0 })
		f.await("web-1", "saying what it cannot measure", func(r state.Report) bool {
			return strings.Contains(r.Unmeasured[broken.Key()], "/no/such/program")
		})
	})
	t.Run("under load", func(t *testing.T) {
		// Six clients and half a second each, two at a time: four wait, and who comes last waits for a second before his half.
		stop := load(t, url+"slow.php?ms=500", 6)
		defer stop()
		f.sampled("lb-1", key(queue), "four in the queue", func(v float64) bool { return v == 4 })
		f.sampled("web-1", "busy", "half of the workers busy", func(v float64) bool { return v == 0.5 })
		t.Logf("p50 %.2f s", f.sampled("lb-1", key(p50), "waiting in the response time", func(v float64) bool { return v > 1 && v < 5 }))
		t.Logf("p99 %.2f s", f.sampled("lb-1", key(p99), "waiting in the response time", func(v float64) bool { return v > 1 && v < 10 }))
		t.Logf("%.2f requests/s at the balancer", f.sampled("lb-1", key(rate), "four requests a second, on a slow machine fewer", func(v float64) bool { return v > 1 && v < 6 }))
		t.Logf("%.2f requests/s at the server", f.sampled("web-1", "rps", "these and the health checks", func(v float64) bool { return v > 1 && v < 10 }))
		for _, direction := range []string{"in", "out"} {
			t.Logf("%s %.4f Mbit/s", direction, f.sampled("web-1", direction, "some traffic", func(v float64) bool { return v > 0 }))
		}
		// The whole way to what the engine is given.
		r, _, err := store.GetJSON[state.Report](t.Context(), f.store, state.ReportKey(f.name, "lb-1"))
		f.must(err)
		now := time.Now()
		as := func(role string, r *state.Report) engine.Instance {
			return engine.Instance{Instance: state.Instance{Role: role, Index: 1, Phase: state.Running, ServedAt: now.Add(-time.Hour)}, Report: r}
		}
		one := 1.0
		m := metric.Of(metric.Input{Now: now, Policy: spec.Policy{Farm: f.name, Role: "web", Metric: &p50, Target: &one},
			Instances: []engine.Instance{as("web", nil)}, Balancers: []engine.Instance{as("lb", &r)}})
		if m.Problem != "" || m.Value <= 0.5 || m.Servers != 1 {
			t.Errorf("the engine is given %+v", m)
		}
	})
	t.Run("after it", func(t *testing.T) {
		f.sampled("lb-1", key(queue), "an empty queue", func(v float64) bool { return v == 0 })
		f.sampled("lb-1", key(rate), "no request", func(v float64) bool { return v == 0 })
		f.sampled("lb-1", key(p99), "nobody waiting", func(v float64) bool { return v == 0 })
	})
	t.Run("with every worker busy", func(t *testing.T) {
		stop := load(t, "http://"+f.address("web-1")+"/slow.php?ms=8000", 8)
		defer stop()
		f.sampled("web-1", "busy", "all workers busy, so that none tells", func(v float64) bool { return v == 1 })
	})
	t.Run("a number that goes away", func(t *testing.T) {
		f.exec("web-1", "rm", "/run/backlog")
		f.await("web-1", "saying that the file is gone", func(r state.Report) bool {
			_, measured := r.Samples[len(r.Samples)-1].Values[file.Key()]
			return !measured && strings.Contains(r.Unmeasured[file.Key()], "no such file") && strings.Contains(r.Unmeasured[command.Key()], "exit status 1")
		})
	})
	t.Run("what nobody asks for any more", func(t *testing.T) {
		f.asks("lb-1", "web")
		f.await("lb-1", "measuring nothing", func(r state.Report) bool {
			return r.Samples[len(r.Samples)-1].Values == nil && r.Unmeasured == nil
		})
		f.eventually("no log of requests", func() error {
			if config := f.exec("lb-1", "cat", "/etc/farmhand/haproxy.cfg"); strings.Contains(config, "8514") {
				return fmt.Errorf("requests are logged still")
			}
			return nil
		})
	})
	t.Run("asked of the database", f.asksDatabase)
}

// asksDatabase asks the real one, as the sidecar does.
func (f *farm) asksDatabase(t *testing.T) {
	secret, _, err := store.GetJSON[map[string]string](t.Context(), f.store, state.SecretKey(f.name, "mysql"))
	f.must(err)
	f.exec("mysql-1", "mariadb", "-e", "CREATE TABLE app.jobs (n INT); INSERT INTO app.jobs VALUES (1), (2), (3)")
	at := source.Database{Address: f.address("mysql-1") + ":3306", User: "app", Password: secret["db_password"], Name: "app"}
	wrong := at
	wrong.Password = "hunter2"
	ask := func(query string, at source.Database) state.Series {
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		answered := make(chan state.Series, 1)
		a := source.NewAsker(nil, func(_ context.Context, _ string, s state.Series) error {
			select {
			case answered <- s:
			default:
			}
			return nil
		})
		m := metricOf(spec.SQLValue, func(m *spec.Metric) { m.SQL = &spec.SQLMetric{Role: f.name + "/mysql", Query: query} })
		a.Follow([]source.Question{{ID: "web/jobs", Metric: m, Database: at}}, func(string) state.Series { return state.Series{} })
		go a.Run(ctx)
		return <-answered
	}
	if s := ask("SELECT COUNT(*) FROM jobs", at); s.Problem != "" || len(s.Points) != 1 || s.Points[0].Value != 3 {
		t.Errorf("there are three jobs, and the answer is %+v", s)
	}
	for query, says := range map[string]string{
		"SELECT n FROM jobs":              "several rows",
		"SELECT n, n FROM jobs":           "2 columns",
		"SELECT n FROM jobs WHERE n > 5":  "no row",
		"SELECT MAX(n) FROM jobs WHERE 0": "NULL",
		"SELECT 'many'":                   "no number",
		"SELECT -1":                       "negative",
		"SELECT n FROM nowhere":           "doesn't exist",
		"INSERT INTO jobs VALUES (4)":     "READ ONLY",
		"SELECT 1; DELETE FROM jobs":      "syntax",
		"SELECT SLEEP(30)":                "no answer within 5s",
	} {
		if s := ask(query, at); !strings.Contains(s.Problem, says) || len(s.Points) > 0 || strings.Contains(s.Problem, at.Password) {
			t.Errorf("%s: %+v; want a problem that says %q", query, s, says)
		}
	}
	if s := ask("SELECT 1", wrong); !strings.Contains(s.Problem, "Access denied") || strings.Contains(s.Problem, "hunter2") {
		t.Errorf("with a wrong password: %+v", s)
	}
	if s := ask("SELECT COUNT(*) FROM jobs", at); len(s.Points) != 1 || s.Points[0].Value != 3 {
		t.Errorf("something was changed by asking: %+v", s)
	}
}
