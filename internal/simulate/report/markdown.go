package report

import (
	"fmt"
	"strings"

	"github.com/farmhand/terraform-provider-farmhand/internal/simulate"
)

// Markdown is the table of one trace.
func Markdown(r simulate.Report) string {
	var b strings.Builder
	all := shown(r.Results)
	b.WriteString("| pilot |")
	for _, c := range all {
		fmt.Fprintf(&b, " %s |", c.head)
	}
	b.WriteString("\n|---|")
	b.WriteString(strings.Repeat("---:|", len(all)))
	b.WriteString("\n")
	for _, result := range r.Results {
		name := result.Pilot
		if name == simulate.FarmhandName {
			name = "**" + name + "**"
		}
		fmt.Fprintf(&b, "| %s |", name)
		for _, c := range all {
			fmt.Fprintf(&b, " %s |", c.of(result))
		}
		b.WriteString("\n")
	}
	return b.String()
}

// Verdict compares Farmhand with the algorithms of the field: the bar of "fewer minutes above target than each, at no
// more instance-hours than the cheapest of them and a tenth". It names every row that is lost. The lower bound counts for nothing.
func Verdict(r simulate.Report) string {
	if len(r.Results) < 2 {
		return ""
	}
	own := r.Results[0]
	cheapest := own
	first := true
	var lost []string
	for _, other := range r.Results[1:] {
		if other.Pilot == "foresight" {
			continue
		}
		if other.MinutesAboveTarget < own.MinutesAboveTarget {
			lost = append(lost, fmt.Sprintf("%s was above target for %.1f minutes less", other.Pilot, own.MinutesAboveTarget-other.MinutesAboveTarget))
		}
		if first || other.InstanceHours < cheapest.InstanceHours {
			cheapest, first = other, false
		}
	}
	if limit := 1.1 * cheapest.InstanceHours; own.InstanceHours > limit {
		lost = append(lost, fmt.Sprintf("it took %.0f %% more instance-hours than %s", 100*(own.InstanceHours/cheapest.InstanceHours-1), cheapest.Pilot))
	}
	if len(lost) == 0 {
		return "farmhand was above target for no longer than any of them, within a tenth of the cheapest's instance-hours"
	}
	return "farmhand lost: " + strings.Join(lost, "; ")
}
