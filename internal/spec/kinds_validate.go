package spec

import (
	"fmt"
	"math"
	"strings"
)

// kindNames are the attributes of which a policy has exactly one, as they are written.
var kindNames = []string{KindTarget, KindStep, KindThreshold, KindQueue, KindSchedule, KindForecast}

// kinds are those that are set.
func (p Policy) kinds() []string {
	var set []string
	for i, is := range []bool{p.Target != nil, len(p.Steps) > 0, p.Threshold != nil, p.Queue != nil, p.Schedule != nil, p.Forecast != nil} {
		if is {
			set = append(set, kindNames[i])
		}
	}
	return set
}

func (p Policy) validateKind(c *checker) {
	one := strings.Join(kindNames[:len(kindNames)-1], ", ") + " and " + kindNames[len(kindNames)-1]
	switch set := p.kinds(); {
	case len(set) == 0:
		c.wrong(KindTarget, "the policy has neither a "+strings.Join(kindNames, ", nor a "), "Set exactly one of "+one)
	case len(set) > 1:
		c.wrong(set[len(set)-1], "the policy is of several kinds at once: "+strings.Join(set, " and "), "Set exactly one of "+one+", and write a second policy for the other")
	case p.Schedule != nil:
		p.Schedule.validate(c)
		if p.Metric != nil {
			c.wrong("metric", "a schedule goes by the clock and measures nothing", "Remove it, or write a second policy with it")
		}
	case p.Metric == nil:
		c.wrong("metric", "there is nothing to measure", "Write metric = { load_average = { minutes = 1 } } or metric = { cpu = {} }")
	default:
		p.Metric.validate(c)
		p.Metric.validateFarm(c, p.Farm)
		before := len(c.problems)
		p.AsLoad().validateMeasuring(c, set[0], p)
		if p.Threshold == nil { // its lines are looked at as they are declared
			p.sayMirrored(c.problems[before:])
		}
	}
}

// validateMeasuring checks what the policy makes of its metric; declared is the policy before AsLoad.
func (p Policy) validateMeasuring(c *checker, kind string, declared Policy) {
	switch kind {
	case KindTarget:
		p.validateTarget(c)
	case KindStep:
		p.validateSteps(c)
	case KindThreshold:
		declared.Threshold.validate(c, *declared.Metric)
	case KindQueue:
		p.Queue.validate(c, *p.Metric)
	case KindForecast:
		p.Forecast.validate(c, *p.Metric)
	}
}

func (t Threshold) validate(c *checker, m Metric) {
	const at = "threshold."
	if t.Lower == nil && t.Upper == nil {
		c.wrong(at+"upper", "neither lower nor upper is set: nothing would ever be a breach", "Set one of them or both")
		return
	}
	for _, line := range []struct {
		attribute string
		v         *float64
	}{{"lower", t.Lower}, {"upper", t.Upper}} {
		if line.v != nil && !finite(*line.v) {
			c.wrong(at+line.attribute, fmt.Sprintf("%v is no number", *line.v), "Write one")
			return
		}
	}
	switch {
	case t.Upper != nil && *t.Upper >= m.highest():
		c.wrong(at+"upper", fmt.Sprintf("the %s never exceeds %v", m.words(), *t.Upper), shareAdvice(*t.Upper))
	case t.Upper != nil && *t.Upper < 0:
		c.wrong(at+"upper", fmt.Sprintf("the %s is always above %v: servers would be added up to max", m.words(), *t.Upper), "Raise it")
	case t.Lower != nil && *t.Lower <= 0:
		c.wrong(at+"lower", fmt.Sprintf("the %s is never below %v", m.words(), *t.Lower), "Raise it, or leave it out")
	case t.Lower != nil && t.Upper != nil && *t.Lower >= *t.Upper:
		c.wrong(at+"lower", fmt.Sprintf("lower %v is not below upper %v: at %v servers would be added and removed", *t.Lower, *t.Upper, middle(*t.Upper, *t.Lower)), "Draw them apart")
	}
	t.validateIncrements(c, m)
	if t.Period != m.Window {
		c.wrong(at+"period", fmt.Sprintf("period %s and metric.window %s are the same thing and differ", t.Period, m.Window), "Keep one of the two")
	}
	if t.BreachDuration < t.Period {
		c.wrong(at+"breach_duration", fmt.Sprintf("%s is less than the period %s: a breach could be over before it is seen", t.BreachDuration, t.Period), "Raise it to the period or more")
	}
	c.wait(at+"breach_duration", t.BreachDuration)
}

func (t Threshold) validateIncrements(c *checker, m Metric) {
	const at = "threshold."
	adds, removes := at+"upper_increment", at+"lower_increment"
	if m.Kind == MemoryFree {
		t, adds, removes = *t.mirrored(), removes, adds
	}
	if t.UpperIncrement < 1 || t.UpperIncrement > MaxServers {
		c.wrong(adds, fmt.Sprintf("%d servers cannot be added", t.UpperIncrement), "Write 1 or more")
	}
	if t.LowerIncrement > -1 || t.LowerIncrement < -MaxServers {
		c.wrong(removes, fmt.Sprintf("%d removes nothing", t.LowerIncrement), "Write it as a change: -1 for one server fewer")
	}
}

func (q Queue) validate(c *checker, m Metric) {
	switch {
	case m.Origin() == OnServer:
		c.wrong("metric", fmt.Sprintf("the %s is measured on each server; a queue is one number for the whole role, also when it has no server", m.words()), "Use a metric of the whole role, such as sqs, sql, http or prometheus, or a target instead of a queue")
	case m.Per == PerServer:
		c.wrong("metric.per", "what waits is the whole role's, and the policy itself divides it", `Write per = "role", or leave it out`)
	}
	if !finite(q.Backlog) || q.Backlog <= 0 {
		c.wrong("queue.backlog", fmt.Sprintf("%v cannot be given to a server", q.Backlog), "Write how much work one server may have waiting, as in backlog = 100")
	}
	c.wait("queue.minimum_lifetime", q.MinimumLifetime)
}

func (f Forecast) validate(c *checker, m Metric) {
	switch {
	case !finite(f.Target) || f.Target <= 0:
		c.wrong("forecast.target", fmt.Sprintf("%v is nothing that a server can have", f.Target), "Write a number above zero, as in target = 1.5")
	case f.Target > m.highest():
		c.wrong("forecast.target", fmt.Sprintf("the %s is never as high as %v", m.words(), f.Target), shareAdvice(f.Target))
	case m.Origin() != OnServer && m.Per == PerRole:
		c.wrong("metric.per", fmt.Sprintf("the %s is a level that the role has: it does not tell how much load there is, and so not how many servers it takes", m.words()), `Use a metric that the servers share, such as load_average, cpu or requests_per_second, or write per = "server"`)
	}
	if _, err := loadZone(f.Zone); err != nil {
		c.wrong("forecast.zone", fmt.Sprintf("%q is not a time zone: %v", f.Zone, err), `Write an IANA name, as in "Europe/Paris" or "UTC"`)
	}
}

func finite(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }
