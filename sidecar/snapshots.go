package sidecar

import (
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/farmhand/terraform-provider-farmhand/internal/state"
)

// writeSnapshots lists a role's snapshots, if it has any.
func writeSnapshots(to io.Writer, all []state.Snapshot) error {
	if len(all) == 0 {
		return nil
	}
	w := tabwriter.NewWriter(to, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "\nSNAPSHOT\tAGE\tDATA\tOF\tPOSITION\tLAST DRILL")
	for _, s := range all {
		drill, position, data := "never", "not known", "not known"
		switch {
		case s.Failed:
			drill = "FAILED: " + s.Drill
		case s.Drill != "":
			drill = "well: " + s.Drill
		}
		if s.Position != "" {
			position = s.Position
		}
		if s.Bytes > 0 { // its server measures twice a minute
			data = fmt.Sprintf("%.1f MB", float64(s.Bytes)/1e6)
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", s.Name, time.Since(s.At).Round(time.Second), data, s.Instance, position, drill)
	}
	return w.Flush()
}
