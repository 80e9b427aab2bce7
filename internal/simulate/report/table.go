package report

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/farmhand/terraform-provider-farmhand/internal/simulate"
	"github.com/farmhand/terraform-provider-farmhand/internal/simulate/world"
)

// column is one number of a result.
type column struct {
	head string
	of   func(world.Result) string
}

var columns = []column{
	{"instance-hours", func(r world.Result) string { return fmt.Sprintf("%.1f", r.InstanceHours) }},
	{"min > target", func(r world.Result) string { return fmt.Sprintf("%.1f", r.MinutesAboveTarget) }},
	{"min > target+10%", func(r world.Result) string { return fmt.Sprintf("%.1f", r.MinutesFarAboveTarget) }},
	{"over capacity", func(r world.Result) string {
		return fmt.Sprintf("%.0f (%.2f%%)", r.RequestsOverCapacity, 100*r.OverCapacity)
	}},
	{"actions", func(r world.Result) string { return fmt.Sprint(r.Actions) }},
	{"reversals", func(r world.Result) string { return fmt.Sprint(r.Reversals) }},
	{"most/h", func(r world.Result) string { return fmt.Sprint(r.ReversalsPerHour) }},
	{"peak", func(r world.Result) string { return fmt.Sprint(r.Peak) }},
}

var faults = []column{
	{"crashes", func(r world.Result) string { return fmt.Sprint(r.Crashes) }},
	{"failed launches", func(r world.Result) string { return fmt.Sprint(r.FailedLaunches) }},
}

// shown are the columns that say anything.
func shown(results []world.Result) []column {
	for _, r := range results {
		if r.Crashes > 0 || r.FailedLaunches > 0 {
			return append(columns[:len(columns):len(columns)], faults...)
		}
	}
	return columns
}

// Table prints the results of one trace, one row each. Numbers are at the right.
func Table(w io.Writer, r simulate.Report) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	cells := []string{"pilot"}
	longest := len(cells[0])
	for _, result := range r.Results {
		longest = max(longest, len(result.Pilot))
	}
	all := shown(r.Results)
	for _, c := range all {
		cells = append(cells, strings.ToUpper(c.head))
	}
	cells[0] = fmt.Sprintf("%-*s", longest, "PILOT")
	fmt.Fprintln(t, strings.Join(cells, "\t")+"\t")
	for _, result := range r.Results {
		cells = []string{fmt.Sprintf("%-*s", longest, result.Pilot)}
		for _, c := range all {
			cells = append(cells, c.of(result))
		}
		fmt.Fprintln(t, strings.Join(cells, "\t")+"\t")
	}
	return t.Flush()
}
