package engine

import (
	"fmt"
	"time"

	"github.com/farmhand/terraform-provider-farmhand/internal/spec"
	"github.com/farmhand/terraform-provider-farmhand/internal/state"
)

const (
	// forecastMargin is on top of the boot: until the tick sees it, and balancers send it its share.
	forecastMargin = 30 * time.Second
	// leastTried: a forecast is heeded once six hours of it have been compared with what came.
	leastTried = 24
	// mostOff: what is wrong by more than half on average knows nothing.
	mostOff = 0.5
)

// Foresight is what a forecast says of the role's load until a server that is launched now would serve.
type Foresight struct {
	Load  float64       `json:"load"` // of the whole role, the most of that time
	At    time.Time     `json:"at"`   // when that is
	Lead  time.Duration `json:"lead"` // how far it looks ahead; nanoseconds
	Known bool          `json:"known"`
	Since time.Time     `json:"since,omitzero"` // it has learnt
	Tried int           `json:"tried"`
	Off   float64       `json:"off"` // by how much it was wrong on average, as a share of what came
}

// forecasts asks the policies that learn, and raises the floor to what they foresee. They learn from what is measured
// now for the times to come; now they speak from what they knew.
func (p *pass) forecasts() {
	for _, policy := range p.policies() {
		if policy.Spec.Forecast == nil || policy.Spec.Metric == nil {
			continue
		}
		p.forecast(policy)
		if policy.Foresight == nil {
			p.learn(policy)
		}
	}
}

func (p *pass) forecast(policy *Policy) {
	metric, target := *policy.Spec.Metric, policy.Spec.Forecast.Target
	s := p.foresight(policy)
	v := Vote{Policy: policy.Spec.Name, Kind: spec.KindForecast, Abstain: true, Value: s.Load}
	switch {
	case s.Since.IsZero():
		v.Reason = "has learnt nothing yet; it forecasts once it has seen each time of the day twice"
	case !s.Known:
		v.Reason = fmt.Sprintf("has learnt for %s and does not know this time of the day yet; it has to have seen it twice", long(p.since(s.Since)))
	case s.Tried < leastTried:
		v.Reason = fmt.Sprintf("has learnt for %s, and is heeded when %s of it have come true or not; so far it is %s", long(p.since(s.Since)), brief(leastTried*quarter), brief(time.Duration(s.Tried)*quarter))
	case s.Off > mostOff:
		v.Reason = fmt.Sprintf("has learnt for %s and was wrong by %.0f %% on average lately: the role has no shape that it knows", long(p.since(s.Since)), 100*s.Off)
	default:
		v.Abstain, v.Want = false, max(0, min(needed(s.Load, target), spec.MaxServers))
		v.Reason = fmt.Sprintf("from what was in %s (%.0f %% wrong on average), the role's %s comes to %s at %s, %s ahead: no fewer than %s for %s on each",
			long(p.since(s.Since)), 100*s.Off, metric.Words(), metric.Amount(s.Load), s.At.In(policy.Spec.Forecast.Location()).Format("15:04 MST"), brief(s.Lead), servers(v.Want), metric.Amount(target))
		a := &p.account
		if n := min(v.Want, a.Max); n > a.Min {
			a.Min, p.minBy = n, "forecast "+policy.Spec.Name
		}
	}
	p.account.Votes = append(p.account.Votes, v)
}

// long is a duration in days, once it has some.
func long(d time.Duration) string {
	if days := int(d / (24 * time.Hour)); days >= 2 {
		return plural(days, "day")
	}
	return brief(d)
}

// foresight is the most load from now until a server launched now would serve.
func (p *pass) foresight(policy *Policy) Foresight {
	if policy.Foresight != nil {
		return *policy.Foresight
	}
	s := Foresight{Lead: p.bootTime() + forecastMargin, At: p.now}
	h := policy.History
	if h == nil || h.Of != policy.Spec.Metric.Key() || h.Zone != policy.Spec.Forecast.Zone ||
		len(h.Day) != quartersADay || len(h.DaySeen) != quartersADay || len(h.Week) != 7*quartersADay || len(h.WeekSeen) != 7*quartersADay {
		return s
	}
	s.Since, s.Tried = h.Since, h.Tried
	if h.Mean > 0 {
		s.Off = h.Off / h.Mean
	}
	zone, end := policy.Spec.Forecast.Location(), p.now.Add(s.Lead)
	for at := p.now; ; at = at.Add(quarter) {
		if at.After(end) {
			at = end
		}
		if load, ok := loadAt(h, zone, at); ok && (!s.Known || load > s.Load) {
			s.Load, s.At, s.Known = load, at, true
		}
		if at.Equal(end) {
			return s
		}
	}
}

// loadAt is the load at a time: the quarter's own, or where the line from its middle to that of its neighbour runs
// above it. The former answers steps in time, the latter slopes.
func loadAt(h *state.History, zone *time.Location, at time.Time) (float64, bool) {
	own, ok := shapeAt(h, zone, at)
	if !ok {
		return 0, false
	}
	middle := at.Truncate(quarter).Add(quarter / 2)
	near, past := middle.Add(quarter), at.Sub(middle)
	if past < 0 {
		near, past = middle.Add(-quarter), -past
	}
	if next, ok := shapeAt(h, zone, near); ok && next > own {
		own += (next - own) * float64(past) / float64(quarter)
	}
	return own * h.Level, true
}

// learn takes in what is measured now, if it is measured whole.
func (p *pass) learn(policy *Policy) {
	var h state.History
	if policy.History != nil {
		h = *policy.History
	}
	m := policy.Measure
	if m.Problem == "" && m.Samples >= minSamples && m.Servers > 0 && m.Servers == m.Expected && sane(m.Value) {
		bearing := m.Servers
		if policy.Spec.Metric.Origin() == spec.OnServer {
			bearing = max(bearing, p.shares()) // those that warm up bear their share too
		}
		h = learn(h, policy.Spec, p.now, m.Value*float64(bearing))
	}
	if p.histories == nil {
		p.histories = map[string]state.History{}
	}
	p.histories[policy.Spec.Name] = h
}
