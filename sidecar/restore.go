package sidecar

import (
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/farmhand/terraform-provider-farmhand/internal/backup"
	"github.com/farmhand/terraform-provider-farmhand/internal/state"
)

func newRestore() *cobra.Command {
	var to, id, from, overwrite string
	var wait bool
	cmd := &cobra.Command{
		Use:   "restore [FARM/]ROLE --to TIME|GTID|latest",
		Short: "Put a backup in the place of a database's data",
		Long: `Restores a full backup and the binary logs behind it: up to a moment, up to a transaction and with it, or as far as they
go. The primary makes the data whole beside what it serves, then swaps; every other server is cloned from it. What was written
since the restored moment is no more in the database; its data directory is kept aside on the volume. A database that holds
tables is replaced only with --overwrite FARM/ROLE.`,
		Example: `  farmhand restore shop/mysql --to 2026-11-21T14:05:00Z --overwrite shop/mysql --wait
  farmhand restore shop/copy --from mysql --to latest --wait`,
		Args: cobra.ExactArgs(1),
	}
	f := cmd.Flags()
	f.StringVar(&to, "to", "", `a moment (RFC 3339), a GTID, or "latest"`)
	f.StringVar(&id, "backup", "", "the backup or snapshot to begin from (default: the newest backup that will do)")
	f.StringVar(&from, "from", "", "role of the same farm whose backup it is (default: the role itself)")
	f.StringVar(&overwrite, "overwrite", "", "FARM/ROLE, once more: its tables may be replaced")
	f.BoolVar(&wait, "wait", false, "wait for the end of it; exit status 1 if it failed")
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
		now := time.Now().UTC()
		t := state.BackupTask{ID: "restore-" + backup.NewID(now), Kind: state.BackupRestore, Backup: id, From: strings.TrimPrefix(from, farm+"/"), At: now, By: whoAmI()}
		if t.From == role {
			t.From = ""
		}
		if err := restoreTo(&t, to); err != nil {
			return err
		}
		if overwrite != "" && overwrite != farm+"/"+role {
			return usage("--overwrite names %q, and the restore is into %s/%s", overwrite, farm, role)
		}
		t.Force = overwrite != ""
		if t.Archive, err = archiveOf(ctx, s, farm, declared); err != nil {
			return err
		}
		return wishBackup(cmd, s, farm, role, t, wait)
	}
	return cmd
}

// restoreTo reads --to.
func restoreTo(t *state.BackupTask, to string) error {
	if to == "latest" {
		return nil
	}
	if at, err := time.Parse(time.RFC3339, to); err == nil {
		t.Until = at.UTC()
		return nil
	}
	_, day := time.Parse(time.DateOnly, to) // reads as a GTID, too, and is not meant as one
	if day != nil && strings.Count(to, "-") >= 2 && strings.Trim(to, "0123456789-,") == "" {
		t.Position = to
		return nil
	}
	return usage(`--to takes a moment such as 2026-11-21T14:05:00Z, a GTID such as 0-1-2345, or "latest"`)
}
