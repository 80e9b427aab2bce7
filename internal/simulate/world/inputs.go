package world

import (
	"time"

	"github.com/farmhand/terraform-provider-farmhand/internal/engine"
	"github.com/farmhand/terraform-provider-farmhand/internal/metric"
	"github.com/farmhand/terraform-provider-farmhand/internal/spec"
	"github.com/farmhand/terraform-provider-farmhand/internal/state"
)

// Simulated tells whether this world has what the policy's metric measures, and what is in its way if not. Servers have
// a load, a CPU, requests and workers; a balancer counts requests and those that wait; and whoever is asked elsewhere
// for a number tells the demand, or, a queue policy, the work that waits.
func Simulated(p spec.Policy) (missing string) {
	m := p.Metric
	switch {
	case m == nil:
		return ""
	case m.Kind == spec.LoadAverage, m.Kind == spec.CPU, m.Kind == spec.RequestsPerSecond, m.Kind == spec.BusyWorkers, m.Kind == spec.QueueDepth:
		return ""
	case m.Origin() != spec.AskedElsewhere:
		return "no server here has any"
	case p.Kind() != spec.KindQueue && m.Per != spec.PerServer:
		return "what a level of the whole role would be is not known here; of a total that servers share (per = \"server\") it is the demand"
	}
	return ""
}

// samples is how many of a server's samples the policies look at; an agent's report holds those of a minute.
func (p *Farmhand) samples() int {
	window := SampleEvery
	for _, policy := range p.Policies {
		if policy.Metric != nil && policy.Metric.Origin() == spec.OnServer {
			window = max(window, policy.Metric.Window.Std())
		}
	}
	return int(min(window, longestReport)/SampleEvery) + 2
}

// looksAt is how many moments of the demand the policies look at, and whether at requests or workers of servers.
func (p *Farmhand) looksAt() (moments int, counted bool) {
	for _, policy := range p.Policies {
		if policy.Metric == nil {
			continue
		}
		switch policy.Metric.Origin() {
		case spec.OnServer:
			counted = counted || policy.Metric.Kind == spec.RequestsPerSecond || policy.Metric.Kind == spec.BusyWorkers
		default:
			moments = max(moments, int(policy.Metric.Window.Std()/SampleEvery)+2)
		}
	}
	return moments, counted
}

// balancer is the one that stands before the role, where a policy asks one. It never fails.
type balancer struct {
	report  state.Report
	samples []state.Sample
}

// input is what the controller would hand to metric.Of.
func (p *Farmhand) input(w *World, policy spec.Policy) metric.Input {
	in := metric.Input{Now: w.Now, Policy: policy.AsLoad(), Instances: p.instances, Boots: p.memory.Boots}
	m := in.Policy.Metric
	if m == nil || m.Origin() == spec.OnServer {
		return in
	}
	wanted := func(at moment) float64 {
		if m.Kind == spec.QueueDepth || policy.Kind() == spec.KindQueue {
			return at.backlog
		}
		return at.demand
	}
	recent := w.moments[max(0, len(w.moments)-int(m.Window.Std()/SampleEvery)-2):]
	if m.Origin() == spec.OnBalancer {
		key := state.SampleKey(policy.Role, *m)
		b := &p.balancer
		b.samples = b.samples[:0]
		for _, at := range recent {
			b.samples = append(b.samples, state.Sample{At: at.at, Values: map[string]float64{key: wanted(at)}})
		}
		b.report = state.Report{Instance: "balancer-1", At: w.Now, Boot: state.Boot{Done: true}, Samples: b.samples}
		in.Balancers = []engine.Instance{{Instance: state.Instance{Role: "balancer", Index: 1, Phase: state.Running, ServedAt: w.Now.Add(-settled)}, Report: &b.report}}
		return in
	}
	p.series.Key, p.series.Asked, p.series.Points = m.Key(), w.Now, p.series.Points[:0]
	every := max(m.Every.Std(), SampleEvery)
	for _, at := range recent {
		if n := len(p.series.Points); n == 0 || at.at.Sub(p.series.Points[n-1].At) >= every-time.Nanosecond {
			p.series.Points = append(p.series.Points, state.Point{At: at.at, Value: wanted(at)})
		}
	}
	in.Series = p.series
	return in
}
