package spec

import (
	"fmt"
	"math"
	"slices"
)

// interval is a step's band with its bounds as numbers, and its place in the declaration.
type interval struct {
	place    int
	from, to float64 // [from, to)
	add      int
}

func (s Step) interval(place int) interval {
	i := interval{place: place, from: math.Inf(-1), to: math.Inf(1), add: s.Add}
	if s.From != nil {
		i.from = *s.From
	}
	if s.To != nil {
		i.to = *s.To
	}
	return i
}

// intervals are the bands from the lowest up.
func intervals(steps []Step) []interval {
	all := make([]interval, len(steps))
	for i, s := range steps {
		all[i] = s.interval(i)
	}
	slices.SortStableFunc(all, func(a, b interval) int {
		if a.from < b.from {
			return -1
		}
		if a.from > b.from {
			return 1
		}
		return 0
	})
	return all
}

// validateSteps: bands neither overlap nor leave holes, none is out of reach, and more load never adds less.
func (p Policy) validateSteps(c *checker) {
	if len(p.Steps) > MaxSteps {
		c.wrong("step", fmt.Sprintf("%d bands are more than %d", len(p.Steps), MaxSteps), "Join some of them")
		return
	}
	at := func(i interval, field string) string {
		if field == "" {
			return fmt.Sprintf("step[%d]", i.place)
		}
		return fmt.Sprintf("step[%d].%s", i.place, field)
	}
	bands := intervals(p.Steps)
	acts, sound := false, true
	for _, b := range bands {
		acts = acts || b.add != 0
		switch {
		case math.IsNaN(b.from) || math.IsNaN(b.to):
			c.wrong(at(b, "from"), "a bound is no number", "Write a number, or leave the bound out")
			return
		case b.from >= b.to:
			c.wrong(at(b, "to"), fmt.Sprintf("the band from %v to %v is empty", b.from, b.to), "Write the lower bound as from and the upper as to")
			sound = false
		case b.from >= p.Metric.highest():
			c.wrong(at(b, "from"), fmt.Sprintf("the %s never lies in the band from %v: it is at most 1", p.Metric.Words(), b.from), shareAdvice(b.from))
			sound = false
		case b.to <= 0:
			c.wrong(at(b, "to"), fmt.Sprintf("the %s never lies below %v", p.Metric.words(), b.to), "Remove the band")
			sound = false
		}
		if b.add > MaxServers || b.add < -MaxServers {
			c.wrong(at(b, "add"), fmt.Sprintf("%d servers are more than the %d that a role may have", b.add, MaxServers), "Write a smaller number")
		}
	}
	if !acts {
		c.wrong("step", "no band adds or removes anything", "Set add to more than zero in the band that is too high")
	}
	if !sound {
		return
	}
	for i, low := range bands[:len(bands)-1] {
		high := bands[i+1]
		switch {
		case high.from < low.to:
			c.wrong(at(high, "from"), fmt.Sprintf("the bands overlap: at %v both the one from %v (add %+d) and the one from %v (add %+d) hold", high.from, low.from, low.add, high.from, high.add), fmt.Sprintf("End the former where the latter begins: to = %v", high.from))
		case high.from > low.to:
			c.wrong(at(high, "from"), fmt.Sprintf("the bands leave a hole: at %v none holds", middle(low.to, high.from)), fmt.Sprintf("Close it, if need be with { from = %v, to = %v, add = 0 }", low.to, high.from))
		}
		if high.add < low.add {
			c.wrong(at(high, "add"), fmt.Sprintf("more load would get fewer servers: from %v on it is %+d, below that %+d", high.from, high.add, low.add), "Let a higher band never add less than a lower one")
		}
	}
	if top := bands[len(bands)-1]; !math.IsInf(top.to, 1) && top.add > 0 {
		c.wrong(at(top, "to"), fmt.Sprintf("more load would get fewer servers: from %v on no band holds, below that it is %+d", top.to, top.add), "Leave out the upper bound of the highest band")
	}
	if bottom := bands[0]; !math.IsInf(bottom.from, -1) && bottom.from > 0 && bottom.add < 0 {
		c.wrong(at(bottom, "from"), fmt.Sprintf("less load would get more servers: below %v no band holds, above that it is %+d", bottom.from, bottom.add), "Leave out the lower bound of the lowest band")
	}
}

func shareAdvice(v float64) string {
	if v > 1 && v <= 100 {
		return fmt.Sprintf("It is a share of 1: write %v for %v %%", v/100, v)
	}
	return "Lower its bound"
}

// middle of two bounds, of which one may be infinite.
func middle(a, b float64) float64 {
	switch {
	case math.IsInf(a, -1) && math.IsInf(b, 1):
		return 0
	case math.IsInf(a, -1):
		return b - 1
	case math.IsInf(b, 1):
		return a + 1
	}
	return (a + b) / 2
}
