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
