package sidecar

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/farmhand/terraform-provider-farmhand/internal/backup"
	"github.com/farmhand/terraform-provider-farmhand/internal/controller"
	"github.com/farmhand/terraform-provider-farmhand/internal/spec"
	"github.com/farmhand/terraform-provider-farmhand/internal/state"
	"github.com/farmhand/terraform-provider-farmhand/internal/store"
)

func newRestore() *cobra.Command {
	var to, id, from, fromTo, keyFile, overwrite string
	var wait bool
	cmd := &cobra.Command{
		Use:   "restore [FARM/]ROLE --to TIME|GTID|latest",
		Short: "Put a backup in the place of a database's data",
		Long: `Restores a full backup and the binary logs behind it: up to a moment, up to a transaction and with it, or as far as they
go. The primary makes the data whole beside what it serves, then swaps; every other server is cloned from it. What was written
since the restored moment is no more in the database; its data directory is kept aside on the volume. A database that holds
tables is replaced only with --overwrite FARM/ROLE.

--from names another role whose backups they are, or another farm's, also one that is gone: of it nothing is needed but what lies in its
backups' place, and the key. The key is kept with the role's secret until the restore has ended, and nowhere else.`,
		Example: `  farmhand restore shop/mysql --to 2026-11-21T14:05:00Z --overwrite shop/mysql --wait
  farmhand restore shop/copy --from mysql --to latest --wait
  farmhand restore shop/mysql --from old/mysql --from-to s3://old-backups/farmhand --from-key-file key.txt --to latest --wait`,
		Args: cobra.ExactArgs(1),
	}
	f := cmd.Flags()
	f.StringVar(&to, "to", "", `a moment (RFC 3339), a GTID, or "latest"`)
	f.StringVar(&id, "backup", "", "the backup or snapshot to begin from (default: the newest backup that will do)")
	f.StringVar(&from, "from", "", "ROLE or FARM/ROLE whose backup it is (default: the role itself)")
	f.StringVar(&fromTo, "from-to", "", "where the backups of --from FARM/ROLE lie (default: where the role's own do)")
	f.StringVar(&keyFile, "from-key-file", "", "file with the key of those backups, - for standard input (default: the role's own key)")
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
		t := state.BackupTask{ID: "restore-" + backup.NewID(now), Kind: state.BackupRestore, Backup: id, At: now, By: whoAmI()}
		of, _, err := store.GetJSON[state.Declared[spec.Farm]](ctx, s, state.FarmKey(farm))
		if err != nil {
			return fmt.Errorf("reading the farm's declaration: %w", err)
		}
		if err := restoreFrom(&t, of.Spec, declared, from, fromTo); err != nil {
			return err
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
		key := ""
		if keyFile != "" {
			if t.FromFarm == "" {
				return usage("--from-key-file is the key of another farm's backups: name it with --from FARM/ROLE")
			}
			if key, err = readKey(keyFile, cmd.InOrStdin()); err != nil {
				return err
			}
		}
		if t.FromFarm != "" {
			say := func(format string, args ...any) { fmt.Fprintf(cmd.ErrOrStderr(), format, args...) }
			if err := checkSource(ctx, s, declared, t, key, say); err != nil {
				return err
			}
		}
		return wishRestore(cmd, s, farm, role, t, key, wait)
	}
	return cmd
}

// wishRestore asks for a restore, with the key of its backups where they have one of their own.
func wishRestore(cmd *cobra.Command, s store.Store, farm, role string, t state.BackupTask, key string, wait bool) error {
	if key == "" {
		return wishBackup(cmd, s, farm, role, t, wait)
	}
	ctx := cmd.Context()
	b, _, err := store.GetJSON[state.Backups](ctx, s, state.BackupsKey(farm, role))
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	_, _, wished := store.GetJSON[state.BackupTask](ctx, s, state.BackupWishKey(farm, role))
	if b.Task.HoldsKey() || b.Again.HoldsKey() || wished == nil {
		return fmt.Errorf("something is asked of the backups of %s/%s already: wait for it", farm, role)
	}
	t.FromKey = true
	if err := controller.SetRestoreKey(ctx, s, farm, role, key); err != nil {
		return fmt.Errorf("storing the key of the backups with the role's secret: %w", err)
	}
	err = wishBackup(cmd, s, farm, role, t, wait)
	if errors.Is(err, errNotAsked) {
		err = errors.Join(err, controller.SetRestoreKey(context.WithoutCancel(ctx), s, farm, role, ""))
	}
	return err
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
