package spec

import (
	"strconv"
	"strings"
)

// AsLoad is the policy with a metric that grows with the load. Less free memory is more load: a policy about
// memory_free becomes one about the share in use, its bands mirrored. Others stay as they are.
func (p Policy) AsLoad() Policy {
	if p.Metric == nil || p.Metric.Kind != MemoryFree {
		return p
	}
	m := *p.Metric
	m.Kind = MemoryUsed
	switch m.Statistic { // the highest use is the lowest that was free
	case "min":
		m.Statistic = "max"
	case "max":
		m.Statistic = "min"
	default:
		if percent, ok := Percentile(m.Statistic); ok {
			m.Statistic = "p" + strconv.FormatFloat(100-percent, 'f', -1, 64)
		}
	}
	p.Metric = &m
	if p.Target != nil {
		t := 1 - *p.Target
		p.Target = &t
	}
	if p.Threshold != nil {
		p.Threshold = p.Threshold.mirrored()
	}
	if p.Forecast != nil {
		f := *p.Forecast
		f.Target = 1 - f.Target
		p.Forecast = &f
	}
	steps := make([]Step, len(p.Steps))
	for i, s := range p.Steps {
		steps[i] = Step{From: mirrored(s.To), To: mirrored(s.From), Add: s.Add}
	}
	if p.Steps != nil {
		p.Steps = steps
	}
	return p
}

func mirrored(bound *float64) *float64 {
	if bound == nil {
		return nil
	}
	v := 1 - *bound
	return &v
}

// sayMirrored puts problems of AsLoad's policy, whose numbers are shares in use, under the attributes as declared.
func (p Policy) sayMirrored(problems []Problem) {
	if p.Metric.Kind != MemoryFree {
		return
	}
	for i, problem := range problems {
		switch at := problem.Attribute; {
		case strings.HasSuffix(at, ".from"):
			problem.Attribute = strings.TrimSuffix(at, "from") + "to"
		case strings.HasSuffix(at, ".to"):
			problem.Attribute = strings.TrimSuffix(at, "to") + "from"
		}
		problem.Summary = "taken as memory in use, which is 1 minus the free share: " + problem.Summary
		problem.Advice += ". Numbers here are shares in use; the less is free, the more servers there have to be"
		problems[i] = problem
	}
}
