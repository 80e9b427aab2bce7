package sidecar

import (
	"strings"
	"testing"
	"time"

	"github.com/farmhand/terraform-provider-farmhand/internal/state"
)

// TestSnapshotTable: what is not known is not said to be nothing, and a drill that went badly stands out.
func TestSnapshotTable(t *testing.T) {
	var b strings.Builder
	if err := writeSnapshots(&b, nil); err != nil || b.Len() > 0 {
		t.Errorf("of none: %q, %v", b.String(), err)
	}
	err := writeSnapshots(&b, []state.Snapshot{
		{Name: "auto-1", Instance: "db-3", At: time.Now()},
		{Name: "auto-2", Instance: "db-2", At: time.Now(), Bytes: 5e6, Position: "0-1-7", Drill: "14 tables"},
		{Name: "auto-3", Instance: "db-2", At: time.Now(), Bytes: 5e6, Position: "0-1-8", Drill: "Corrupt", Failed: true},
	})
	if err != nil {
		t.Fatal(err)
	}
	var rows []string
	for line := range strings.Lines(strings.TrimSpace(b.String())) {
		f := strings.Fields(line)
		rows = append(rows, strings.Join(append(f[:1], f[2:]...), " ")) // without the age
	}
	want := []string{"SNAPSHOT DATA OF POSITION LAST DRILL", "auto-1 not known db-3 not known never",
		"auto-2 5.0 MB db-2 0-1-7 well: 14 tables", "auto-3 5.0 MB db-2 0-1-8 FAILED: Corrupt"}
	if strings.Join(rows, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(rows, "\n"), strings.Join(want, "\n"))
	}
}
