package sidecar

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/farmhand/terraform-provider-farmhand/internal/backup"
	"github.com/farmhand/terraform-provider-farmhand/internal/engine"
	"github.com/farmhand/terraform-provider-farmhand/internal/spec"
	"github.com/farmhand/terraform-provider-farmhand/internal/state"
	"github.com/farmhand/terraform-provider-farmhand/internal/store"
)

func newBackup() *cobra.Command {
	var wait, drill, snapshot bool
	var id string
	cmd := &cobra.Command{
		Use:   "backup [FARM/]ROLE",
		Short: "Take a backup of a database, or rehearse its restore, now",
		Long: `Asks for a full backup. The sidecar gives it to the server that it disturbs least, and it is stored where the role's
backup says. With --snapshot it is a snapshot of a replica's data volume instead, which the platform keeps. With --drill nothing is
taken: the newest backup, or the backup or snapshot that --backup names, is restored where backup.drill.on says, checked, and thrown away.`,
		Example: `  farmhand backup shop/mysql --wait
  farmhand backup shop/mysql --snapshot --wait
  farmhand backup shop/mysql --drill --wait`,
		Args: cobra.ExactArgs(1),
	}
	f := cmd.Flags()
	f.BoolVar(&wait, "wait", false, "wait for the end of it; exit status 1 if it failed")
	f.BoolVar(&drill, "drill", false, "rehearse a restore")
	f.BoolVar(&snapshot, "snapshot", false, "take a snapshot of a data volume")
	f.StringVar(&id, "backup", "", "with --drill: the backup or snapshot to rehearse (default: the newest backup)")
	cmd.MarkFlagsMutuallyExclusive("drill", "snapshot")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if id != "" && !drill {
			return usage("--backup names the backup that --drill rehearses")
		}
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
		t := state.BackupTask{ID: backup.NewID(now), Kind: state.BackupFull, At: now, By: whoAmI()}
		if snapshot {
			t.ID, t.Kind = engine.SnapshotName(now, true), state.BackupSnapshot
		}
		if drill {
			t.ID, t.Kind, t.Backup, t.Query = "drill-"+t.ID, state.BackupDrill, id, declared.Backup.DrillQuery
		}
		return wishBackup(cmd, s, farm, role, t, wait)
	}
	return cmd
}

func newBackupKey() *cobra.Command {
	return &cobra.Command{
		Use:   "backup-key",
		Short: "Make a key that backups are encrypted with",
		Long: `Prints a new key for farmhand_role's backup_key_wo, an age identity. Keep it somewhere that the farm's end does not
reach: without it its backups are of no use to anybody, you included.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			key, err := backup.NewKey()
			if err != nil {
				return err
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), key.Secret())
			return err
		},
	}
}

// theBackedUp is a role that declares backups.
func theBackedUp(ctx context.Context, s store.Store, arg string) (farm, role string, r spec.Role, err error) {
	if farm, role, err = theRole(ctx, s, arg); err != nil {
		return farm, role, r, err
	}
	declared, _, err := store.GetJSON[state.Declared[spec.Role]](ctx, s, state.RoleKey(farm, role))
	switch {
	case err != nil:
	case declared.Deleting:
		err = fmt.Errorf("role %s/%s is being destroyed", farm, role)
	case declared.Spec.Backup == nil:
		err = absent("role %s/%s declares no backups: add a backup attribute to its farmhand_role", farm, role)
	}
	return farm, role, declared.Spec, err
}

// archiveOf is where a role's backups lie.
func archiveOf(ctx context.Context, s store.Store, farm string, role spec.Role) (state.Archive, error) {
	entry, _, err := store.GetJSON[state.FarmEntry](ctx, s, state.FarmIndexKey(farm))
	return state.Archive{To: role.Backup.To, UID: strconv.FormatInt(entry.Created.UnixNano(), 36)}, err
}

// errNotAsked: what somebody wishes did not come to the farm.
var errNotAsked = errors.New("nothing is asked for")

// wishBackup writes what is asked for; the sidecar takes it up.
func wishBackup(cmd *cobra.Command, s store.Store, farm, role string, t state.BackupTask, wait bool) error {
	ctx := cmd.Context()
	_, err := store.PutJSON(ctx, s, state.BackupWishKey(farm, role), t, store.If(store.Absent()))
	if errors.Is(err, store.ErrConflict) {
		return fmt.Errorf("%w: something is asked of the backups of %s/%s already and not taken up yet: wait for it", errNotAsked, farm, role)
	}
	if err != nil {
		return fmt.Errorf("%w: %w", errNotAsked, err)
	}
	if !wait {
		_, err = fmt.Fprintf(cmd.OutOrStdout(), "a %s of %s/%s is asked for; farmhand events shows how it goes\n", t.Kind, farm, role)
		return err
	}
	text, err := awaitBackup(ctx, s, farm, role, t, func(doing string) { fmt.Fprintln(cmd.ErrOrStderr(), doing) })
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(cmd.OutOrStdout(), text)
	return err
}

// backupStep is what the server that a task was given to is at, "" while nobody says.
func backupStep(ctx context.Context, s store.Store, farm string, task state.BackupTask) string {
	reports, err := store.ListJSON[state.Report](ctx, s, state.ReportPrefix(farm))
	if err != nil {
		return ""
	}
	for _, r := range reports {
		if d := r.Value.Database; task.Kind == state.BackupRestore && r.Value.Instance == task.Server && d != nil && d.Doing != "" {
			return r.Value.Instance + ": " + d.Doing // comes as an order to the server
		}
		b := r.Value.Backup
		if b == nil || b.Task != task.ID || b.Done || b.Doing == "" {
			continue
		}
		if b.Bytes > 0 {
			return fmt.Sprintf("%s: %s, %d MB", r.Value.Instance, b.Doing, b.Bytes>>20)
		}
		return r.Value.Instance + ": " + b.Doing
	}
	return ""
}

// awaitBackup waits until a task has ended, and says how. tell is called with each step of it meanwhile.
func awaitBackup(ctx context.Context, s store.Store, farm, role string, t state.BackupTask, tell func(string)) (string, error) {
	for told := ""; ; {
		_, _, wished := store.GetJSON[state.BackupTask](ctx, s, state.BackupWishKey(farm, role))
		b, _, err := store.GetJSON[state.Backups](ctx, s, state.BackupsKey(farm, role))
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return "", err
		}
		doing := ""
		switch {
		case b.Task.Is(t.ID):
			doing = backupStep(ctx, s, farm, *b.Task)
		case b.Again.Is(t.ID):
			doing = fmt.Sprintf("it failed and is tried again at %s: %s", b.RetryAt.UTC().Format("15:04:05 MST"), b.Failure)
		}
		if doing != "" && doing != told {
			told = doing
			tell(doing)
		}
		if errors.Is(wished, store.ErrNotFound) && !b.Task.Is(t.ID) && !b.Again.Is(t.ID) && !b.Snapshotting.Is(t.ID) {
			switch {
			case t.Kind == state.BackupSnapshot && b.Snapshot != nil && b.Snapshot.ID == t.ID:
				return fmt.Sprintf("snapshot %s of the volume of %s is done, %s after it was begun", t.ID, b.Snapshot.Server, b.Snapshot.Took.Round(time.Second)), nil
			case t.Kind == state.BackupSnapshot:
				return "", fmt.Errorf("the snapshot failed: %s", b.SnapshotFailure)
			case t.Kind == state.BackupFull && b.Full != nil && (b.Full.ID == t.ID || b.Full.Asked == t.ID):
				return fmt.Sprintf("backup %s is stored: %.1f MB in %s", b.Full.ID, float64(b.Full.Bytes)/1e6, b.Full.Took.Round(time.Millisecond)), nil
			case t.Kind == state.BackupDrill && b.Drill != nil && b.Drill.At.After(t.At):
				return fmt.Sprintf("backup %s comes back, in %s: %s", b.Drill.ID, b.Drill.Took.Round(time.Millisecond), b.Drill.Text), nil
			case t.Kind == state.BackupRestore && b.Restored != nil && b.Restored.At.After(t.At):
				text := fmt.Sprintf("restored on %s in %s", b.Restored.Server, b.Restored.Took.Round(time.Millisecond))
				if b.Restored.Text != "" {
					text += "\nnote: " + b.Restored.Text
				}
				return text, nil
			}
			return "", fmt.Errorf("the %s failed: %s", t.Kind, b.Failure)
		}
		select {
		case <-ctx.Done():
			return "", context.Cause(ctx)
		case <-time.After(time.Second):
		}
	}
}
