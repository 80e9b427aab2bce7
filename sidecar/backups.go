package sidecar

import (
	"encoding/json"
	"fmt"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/farmhand/terraform-provider-farmhand/internal/backup"
	"github.com/farmhand/terraform-provider-farmhand/internal/backup/targets"
	"github.com/farmhand/terraform-provider-farmhand/internal/state"
	"github.com/farmhand/terraform-provider-farmhand/internal/store"
)

func newBackups() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "backups [FARM/]ROLE",
		Short: "List a database's backups",
		Long:  "Lists what the place of the role's backups holds, asked of that place itself, and how far its binary logs reach.",
		Args:  cobra.ExactArgs(1),
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		ctx := cmd.Context()
		s, _, err := storeOf(cmd)
		if err != nil {
			return err
		}
		defer s.Close()
		farm, role, declared, err := theBackedUp(ctx, s, args[0])
		if err != nil {
			return err
		}
		target, err := (&targets.Targets{AWS: cloudConfig}).Open(ctx, declared.Backup.To)
		if err != nil {
			return err
		}
		c := backup.Catalog{Target: target, Farm: farm, Role: role}
		fulls, err := c.Fulls(ctx)
		if err != nil {
			return err
		}
		logs, err := c.Logs(ctx, time.Time{})
		if err != nil {
			return err
		}
		standing, _, _ := store.GetJSON[state.Backups](ctx, s, state.BackupsKey(farm, role)) // none: nothing was looked at yet
		if asJSON {
			return json.NewEncoder(cmd.OutOrStdout()).Encode(map[string]any{"backups": fulls, "logs": logs, "snapshots": standing.Snapshots, "logs_until": standing.Log, "overdue": standing.Overdue, "failure": standing.Failure})
		}
		w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
		fmt.Fprintln(w, "BACKUP\tAGE\tSIZE\tTAKEN ON\tPOSITION\tKEY\tLAST DRILL")
		for _, m := range fulls {
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
		if err := writeSnapshots(cmd.OutOrStdout(), standing.Snapshots); err != nil {
			return err
		}
		switch {
		case len(logs) > 0:
			last := standing.Log
			for _, l := range logs {
				if l.Last.After(last) {
					last = l.Last
				}
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%d binary logs, from %s to %s\n", len(logs), logs[0].First.Format(time.RFC3339), last.Format(time.RFC3339))
		default:
			fmt.Fprintln(cmd.OutOrStdout(), "no binary logs: only the moments of the backups can be restored")
		}
		if standing.Overdue {
			fmt.Fprintf(cmd.OutOrStdout(), "OVERDUE: %s\n", standing.Failure)
		}
		return nil
	}
	return cmd
}
