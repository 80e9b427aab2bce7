package sidecar

import (
	"context"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/farmhand/terraform-provider-farmhand/internal/backup"
	"github.com/farmhand/terraform-provider-farmhand/internal/state"
)

// backupList is what lies in the place of a role's backups, and what the farm says of it.
type backupList struct {
	Backups []backup.Manifest `json:"backups"`
	Logs    []backup.Log      `json:"logs"`
	backup.History
	Snapshots []state.Snapshot `json:"snapshots"`
	// Until is to where every transaction is stored in an unbroken line from a backup, which is the last one of Spans.
	Until     time.Time `json:"restorable_until,omitzero"`
	LogsUntil time.Time `json:"logs_until,omitzero"`
	Overdue   bool      `json:"overdue"`
	Failure   string    `json:"failure"`
}

func listBackups(ctx context.Context, c backup.Catalog) (l backupList, err error) {
	if l.Backups, err = c.Fulls(ctx); err != nil {
		return l, err
	}
	if l.Logs, err = c.Logs(ctx, time.Time{}); err != nil {
		return l, err
	}
	l.History = backup.NewHistory(l.Backups, l.Logs)
	if n := len(l.Spans); n > 0 {
		l.Until = l.Spans[n-1].To
	}
	return l, nil
}

// stands takes over how the farm says that backups stand. What was looked for and not found, since nobody wrote, is stored too: the newest
// span goes as far as the binary logs were stored, if they join it.
func (l *backupList) stands(b state.Backups) {
	l.Snapshots = b.Snapshots
	l.LogsUntil, l.Overdue, l.Failure = b.Log, b.Overdue, b.Failure
	n := len(l.Spans)
	if n == 0 || !b.Log.After(l.Until) {
		return
	}
	for _, log := range l.Logs {
		if !log.Numbered() || log.Last.After(l.Until) {
			return
		}
	}
	l.Spans[n-1].To, l.Until = b.Log, b.Log
}

func (l backupList) print(out io.Writer) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "BACKUP\tAGE\tSIZE\tTAKEN ON\tPOSITION\tKEY\tLAST DRILL")
	for _, m := range l.Backups {
		key, drill := "none", "never"
		if m.Key != "" {
			key = m.Key[:min(len(m.Key), 12)]
		}
		if d := m.Drill; d != nil && d.OK {
			drill = fmt.Sprintf("well, %d tables, %d rows", d.Tables, d.Rows)
		} else if d != nil {
			drill = "FAILED: " + d.Error
		}
		fmt.Fprintf(w, "%s\t%s\t%.1f MB\t%s\t%s\t%s\t%s\n", m.ID, time.Since(m.Ended).Round(time.Second), float64(m.Stored)/1e6, m.Instance, m.Position, key, drill)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if err := writeSnapshots(out, l.Snapshots); err != nil {
		return err
	}
	if err := l.printSpans(out); err != nil {
		return err
	}
	if l.Overdue {
		fmt.Fprintf(out, "OVERDUE: %s\n", l.Failure)
	}
	return nil
}

// printSpans tells what can be restored to the transaction, and what not.
func (l backupList) printSpans(out io.Writer) error {
	if len(l.Logs) == 0 {
		fmt.Fprintln(out, "\nno binary logs: only the moments of the backups can be restored")
		return nil
	}
	if len(l.Spans) > 0 {
		fmt.Fprintf(out, "\n%d binary logs; every transaction can be restored:\n", len(l.Logs))
		w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
		fmt.Fprintln(w, "FROM\tTO\tPOSITION\tBEGINNING WITH")
		for _, s := range l.Spans {
			what := s.Backups[0]
			if n := len(s.Backups); n > 1 {
				what = fmt.Sprintf("%d backups, %s to %s", n, what, s.Backups[n-1])
			}
			if s.Assumed {
				what += ", if the logs of an earlier version join it"
			}
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", s.From.UTC().Format(time.RFC3339), s.To.UTC().Format(time.RFC3339), s.Position, what)
		}
		if err := w.Flush(); err != nil {
			return err
		}
	} else {
		last := l.LogsUntil
		for _, log := range l.Logs {
			if log.Last.After(last) {
				last = log.Last
			}
		}
		fmt.Fprintf(out, "\n%d binary logs, from %s to %s\n", len(l.Logs), l.Logs[0].First.Format(time.RFC3339), last.Format(time.RFC3339))
	}
	for _, g := range l.Gaps {
		head := "GAP: "
		if g.Restored {
			head = ""
		}
		fmt.Fprintf(out, "%s%s\n", head, g)
	}
	if l.Unknown > 0 {
		fmt.Fprintf(out, "%d binary logs do not tell what they hold: gaps between them are found by a restore only\n", l.Unknown)
	}
	return nil
}
