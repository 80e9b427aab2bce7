package mysql

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/farmhand/terraform-provider-farmhand/internal/backup"
	"github.com/farmhand/terraform-provider-farmhand/internal/behavior"
	"github.com/farmhand/terraform-provider-farmhand/internal/dbbackup"
	"github.com/farmhand/terraform-provider-farmhand/internal/gtid"
	"github.com/farmhand/terraform-provider-farmhand/internal/state"
)

// restoreFailure is why a task's restore failed: the server does not try again by itself, since the data of before serves on.
type restoreFailure struct {
	task, why string
	transient bool // the place of the backups could not be reached
}

// restoreNote is what somebody should know of the data that a task restored.
type restoreNote struct{ task, text string }

// restoreFirst carries out the restore that an order asks for, unless the data is of it already. The server that runs goes on until
// the restored data is whole; then that takes its place, and what was there is kept aside.
func (r *runner) restoreFirst(ctx context.Context, order state.DatabaseOrder) error {
	t := order.Restore
	if t == nil || r.mark().Restored == t.ID {
		r.mu.Lock()
		r.restoreFailed = restoreFailure{}
		r.mu.Unlock()
		return nil
	}
	r.mu.Lock()
	failed := r.restoreFailed
	r.mu.Unlock()
	if failed.task == t.ID {
		return errors.New(failed.why)
	}
	err := r.restore(ctx, order)
	if ctx.Err() == nil {
		r.mu.Lock()
		r.restoreFailed = restoreFailure{}
		if err != nil {
			r.restoreFailed = restoreFailure{t.ID, err.Error(), errors.Is(err, backup.ErrUnavailable)}
		}
		r.mu.Unlock()
		poke(r.changed)
	}
	return err
}

func (r *runner) restore(ctx context.Context, order state.DatabaseOrder) error {
	t := order.Restore
	if err := r.flavor.backsUp(); err != nil {
		return err
	}
	if err := r.mayReplace(ctx, t); err != nil {
		return err
	}
	s, err := r.openSource(ctx, t)
	if err != nil {
		return err
	}
	release, err := r.takeTurn(ctx)
	if err != nil {
		return err
	}
	defer release()
	if s.own && r.db() != nil {
		// What was committed since the last binary log was stored may be what is asked for.
		if _, err := r.StoreLogs(ctx, s.to, s.key); err != nil {
			r.say("storing the last binary log before the restore: %v; it goes as far as those that are stored", err)
		}
	}
	m, err := r.restoreFrom(ctx, s.Catalog, t)
	if err != nil {
		return s.denied(err)
	}
	top := r.volume.path(partialDir)
	defer os.RemoveAll(top)
	restorer, err := r.restorer(top, m, r.doing)
	if err != nil {
		return err
	}
	if t.Snapshot != nil {
		restorer.Fill = func(ctx context.Context) error {
			n, err := r.fetch(ctx, order.CloneFrom, restorer.Dir, false)
			r.doing(fmt.Sprintf("fetched %d MB of snapshot %s", n>>20, m.ID))
			return err
		}
	}
	if restorer.Beyond, err = s.beyond(ctx, r); err != nil {
		return err
	}
	done, err := restorer.Restore(ctx, s.Catalog, m, s.key, dbbackup.Point{Time: t.Until, Position: t.Position})
	if err != nil {
		return s.denied(err)
	}
	if err := writeMark(restorer.Dir, mark{Instance: r.name, ServerID: r.newServerID(order.Seq), Restored: t.ID}); err != nil {
		return err
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err := r.standDownIfUp(ctx); err != nil {
		return err
	}
	if err := os.Rename(filepath.Clean(restorer.Dir), r.volume.path(readyDir)); err != nil {
		return fmt.Errorf("putting the restored data in place: %w", err)
	}
	note := restoreNote{t.ID, r.noteOf(done)}
	r.mu.Lock()
	r.restoreNote = note
	r.mu.Unlock()
	r.doing("putting the restored data in place")
	if err := r.replace(ctx); err != nil {
		return err
	}
	r.say("restored backup %s with %d binary logs: it is at %s, and has everything until %s", m.ID, done.Logs, done.Position, done.Until.Format("2006-01-02 15:04:05 MST"))
	return nil
}

// reached is the number of the last transaction that the server here holds, 0 where it does not run or tell.
func (r *runner) reached(ctx context.Context) uint64 {
	s := r.db()
	if s == nil {
		return 0
	}
	st, err := s.Status(ctx)
	if err != nil {
		return 0
	}
	n, _ := backup.Sequence(st.Position)
	return n
}

// mayReplace refuses to replace tables of the application's without a person's word.
func (r *runner) mayReplace(ctx context.Context, t *state.BackupTask) error {
	if t.Force || r.isEmpty() {
		return nil
	}
	s, err := r.taker("")
	if err != nil {
		return err
	}
	defer s.DB.Close()
	var n int
	if err := s.DB.QueryRowContext(ctx, "SELECT COUNT(*) FROM information_schema.TABLES WHERE TABLE_SCHEMA = ?", r.accounts().Database).Scan(&n); err != nil {
		return fmt.Errorf("looking for tables that the restore would replace: %w", err)
	}
	if n > 0 {
		id := r.Assignment.Farm + "/" + r.Assignment.Role.Name
		return fmt.Errorf("the database holds %d tables: add --overwrite %s if they may be replaced", n, id)
	}
	return nil
}

// restoreFrom is what the restore begins with.
func (r *runner) restoreFrom(ctx context.Context, c backup.Catalog, t *state.BackupTask) (backup.Manifest, error) {
	if t.Snapshot == nil {
		return findBackup(ctx, c, *t)
	}
	return behavior.ManifestOf(*t.Snapshot), nil
}

// findBackup is the backup to begin from: the one that is named, else the newest that does not go beyond where to restore to.
func findBackup(ctx context.Context, c backup.Catalog, t state.BackupTask) (backup.Manifest, error) {
	if t.Position == "" || t.Backup != "" {
		return c.Find(ctx, t.Backup, t.Until)
	}
	all, err := c.Fulls(ctx)
	if err != nil {
		return backup.Manifest{}, err
	}
	for i := len(all) - 1; i >= 0; i-- {
		if ok, err := gtid.Covers(all[i].Flavor, t.Position, all[i].Position); err == nil && ok {
			return all[i], nil
		}
	}
	return backup.Manifest{}, fmt.Errorf("of %d backups none is from before %s: %w", len(all), t.Position, backup.ErrNotFound)
}
