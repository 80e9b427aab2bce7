package ledger

import (
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/farmhand/terraform-provider-farmhand/internal/engine"
	"github.com/farmhand/terraform-provider-farmhand/internal/spec"
	"github.com/farmhand/terraform-provider-farmhand/internal/state"
)

// changes are all but the measurements, the drastic ones first.
func (q *question) changes() []*change {
	role, a := q.Role(), q.was.Accounts[q.role]
	fixed := func(words string) func(float64) string { return func(float64) string { return words } }
	var list []*change
	if role.Manual.Active(q.View.Now) {
		list = append(list, &change{name: "manual", words: fixed(fmt.Sprintf("no number were set by hand (until %s)", q.clock(role.Manual.Until))),
			apply: func(v *engine.View, _ float64) { v.Roles[0].Manual = nil }})
	}
	switch q.action {
	case ScaleOut:
		list = append(list, &change{name: "max", words: fixed(fmt.Sprintf("its max were %d (it is %d)", max(q.before, a.Max)+1, a.Max)),
			apply: func(v *engine.View, _ float64) { bounds(v, nil, new(max(q.before, a.Max)+1)) }})
	case ScaleIn:
		if q.before > 0 {
			list = append(list, &change{name: "min", words: fixed(fmt.Sprintf("its min were %d (it is %d)", min(q.before, a.Min)-1, a.Min)),
				apply: func(v *engine.View, _ float64) { bounds(v, new(max(0, min(q.before, a.Min)-1)), nil) }})
		}
	case Launch:
		more := max(a.Desired, a.Serving+a.Coming) + 1
		list = append(list, &change{name: "min", words: fixed(fmt.Sprintf("more than %d were wanted", more-1)),
			apply: func(v *engine.View, _ float64) {
				v.Roles[0].Spec.Min = more
				bounds(v, nil, &more)
			}})
	}
	look, _ := engine.LookAt(q.View, q.role)
	if look.Failures > 0 {
		list = append(list, &change{name: "mend", words: fixed("the role were changed and applied, which is tried at once"), apply: forgiven})
		if !look.MayLaunch.IsZero() {
			list = append(list, &change{name: "wait", words: fixed(fmt.Sprintf("the wait until %s were over", q.clock(look.MayLaunch))), apply: forgiven})
		}
	}
	if !q.View.MachinesListed {
		list = append(list, &change{name: "platform", words: fixed("the platform answered what machines it holds"), apply: listed})
	}
	if slices.ContainsFunc(look.Servers, func(s engine.Standing) bool { return s.Standing != "serving" }) && q.action == ScaleIn {
		list = append(list, &change{name: "settled", words: fixed("no server were coming up, leaving or being replaced"), apply: settled})
	}
	if q.action == Replace {
		list = append(list, &change{name: "fewer sick", words: fixed("fewer were sick at once by the same signal"), apply: oneSick},
			&change{name: "sick", words: fixed("a server were sick: silent for longer than its silent_after, or failing a check after its grace"), apply: makeSick})
	}
	list = append(list, &change{name: "time", search: true, most: []float64{10, 60, 300, 900, 3700, 7300},
		words: func(v float64) string {
			return fmt.Sprintf("it went on like this for %s more", engine.Brief(seconds(v)))
		},
		apply: func(v *engine.View, value float64) { older(v, seconds(value), q.action == ScaleIn) }})
	return list
}

func seconds(v float64) time.Duration { return time.Duration(math.Ceil(v)) * time.Second }

// measurement lets the policy's metric be known of every server, and another.
func (q *question) measurement(i int) *change {
	p := q.Role().Policies[i]
	if p.Spec.Metric == nil {
		return nil
	}
	metric, m := *p.Spec.Metric, p.Measure
	known := m.Problem == "" && m.Servers >= m.Expected && m.Samples > 1
	from := m.Value
	if m.Problem != "" || math.IsNaN(from) || from < 0 {
		from = 0
		if q.action == ScaleIn {
			from = highest(metric)
		}
	}
	c := &change{name: p.Spec.Name, search: true, from: from, most: candidates(from, metric)}
	c.words = func(v float64) string {
		way := "at least"
		shown := math.Ceil(v*100) / 100
		if v < from {
			way, shown = "at most", math.Floor(v*100)/100
		}
		switch {
		case m.Problem != "":
			return fmt.Sprintf("policy %s knew its metric, and %s were %s %s", p.Spec.Name, metric.Words(), way, metric.Amount(shown))
		case !known && v == from:
			return fmt.Sprintf("policy %s measured every server (it measured %d of %d)", p.Spec.Name, m.Servers, m.Expected)
		case !known:
			return fmt.Sprintf("policy %s measured every server, and %s were %s %s (it was %s)", p.Spec.Name, metric.Words(), way, metric.Amount(shown), metric.Amount(from))
		}
		return fmt.Sprintf("%s were %s %s (it was %s)", metric.Words(), way, metric.Amount(shown), metric.Amount(from))
	}
	c.apply = func(v *engine.View, value float64) {
		role := &v.Roles[0]
		n := 0
		for k := range role.Instances {
			if role.Instances[k].Phase == state.Running {
				n++
			}
		}
		measure := &role.Policies[i].Measure
		if !known {
			*measure = engine.Measure{Servers: max(1, n), Expected: max(1, n)}
		}
		measure.Servers = max(measure.Servers, 1)
		measure.Expected = measure.Servers
		measure.Samples = max(measure.Samples, 10)
		measure.Value, measure.Floor, measure.Peak = value, value, value
	}
	return c
}

// highest is about what no metric exceeds.
func highest(m spec.Metric) float64 {
	if m.Kind == spec.CPU || m.Kind == spec.MemoryFree {
		return 1
	}
	return 1e7
}

// candidates are values ever farther from what it was, in both directions by turns, as far as they can be.
func candidates(from float64, m spec.Metric) []float64 {
	list := []float64{from}
	highest := highest(m)
	base := math.Max(from, 1e-3)
	for factor := 1.1; factor < 1e10; factor *= 1.5 {
		if up := base * factor; up <= highest {
			list = append(list, up)
		}
		if down := base / factor; down > 1e-4 && from > 0 {
			list = append(list, down)
		}
	}
	if highest == 1 {
		list = append(list, 1)
	}
	return append(list, 0)
}
