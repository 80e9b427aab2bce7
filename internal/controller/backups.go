package controller

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"strings"

	"github.com/farmhand/terraform-provider-farmhand/internal/backup"
	"github.com/farmhand/terraform-provider-farmhand/internal/state"
	"github.com/farmhand/terraform-provider-farmhand/internal/store"
)

// observeBackups reads how the roles' backups stand and what people wish.
func (k *keeper) observeBackups(ctx context.Context, s *sight) error {
	declared := false
	for _, r := range s.roles {
		declared = declared || r.Spec.Backup != nil
	}
	if !declared {
		return nil
	}
	standing, err := store.ListJSON[state.Backups](ctx, k.store, state.BackupsPrefix(k.farm))
	if err != nil {
		return fmt.Errorf("reading how backups stand: %w", err)
	}
	for i := range standing {
		if r := s.roles[strings.TrimPrefix(standing[i].Key, state.BackupsPrefix(k.farm))]; r != nil {
			r.backups, r.backupsRev = &standing[i].Value, standing[i].Revision
		}
	}
	wishes, err := store.ListJSON[state.BackupTask](ctx, k.store, state.BackupWishPrefix(k.farm))
	if err != nil {
		return fmt.Errorf("reading what is wished of backups: %w", err)
	}
	for i := range wishes {
		if r := s.roles[strings.TrimPrefix(wishes[i].Key, state.BackupWishPrefix(k.farm))]; r != nil {
			r.backupWish, r.backupWishRev = &wishes[i].Value, wishes[i].Revision
		}
	}
	return nil
}

// writeBackups writes how backups stand now, where that changed. A wish goes when its task stands: a crash in between has it taken up
// again under the same id.
func (k *keeper) writeBackups(ctx context.Context, s *sight, backups map[string]state.Backups) error {
	for name, b := range backups {
		r := s.roles[name]
		if r == nil {
			continue
		}
		if r.backups == nil || !reflect.DeepEqual(*r.backups, b) {
			// Before it is written that the restore has ended: a crash in between has it done again.
			if w := r.backups; w != nil && (w.Task.HoldsKey() || w.Again.HoldsKey()) && !b.Task.HoldsKey() && !b.Again.HoldsKey() {
				if err := SetRestoreKey(ctx, k.store, k.farm, name, ""); err != nil {
					return fmt.Errorf("removing the key that %s was restored with: %w", name, err)
				}
			}
			condition := store.Absent()
			if r.backups != nil {
				condition = store.At(r.backupsRev)
			}
			revision, err := store.PutJSON(ctx, k.store, state.BackupsKey(k.farm, name), b, store.If(condition))
			if err != nil {
				return fmt.Errorf("writing how backups of %s stand: %w", name, err)
			}
			r.backups, r.backupsRev = &b, revision
		}
		if w := r.backupWish; w != nil && (b.Task != nil && b.Task.ID == w.ID || b.Snapshotting != nil && b.Snapshotting.ID == w.ID) {
			err := k.store.Delete(ctx, state.BackupWishKey(k.farm, name), store.If(store.At(r.backupWishRev)))
			if err != nil && !errors.Is(err, store.ErrConflict) {
				return fmt.Errorf("taking up what is wished of backups of %s: %w", name, err)
			}
		}
	}
	return nil
}

// farmUID tells farms of one name apart.
func (s *sight) farmUID() string { return strconv.FormatInt(s.entry.Created.UnixNano(), 36) }

// assignBackups puts into an assignment what of the role's backups the instance does.
func (s *sight) assignBackups(a *state.Assignment, rec *recordSight, role *roleSight) {
	if role.Spec.Backup == nil || role.backups == nil || role.Deleting {
		return
	}
	if rec.Temporary() && (role.backups.Task == nil || role.backups.Task.ID != rec.Task) {
		return // it is on its way out
	}
	archive := state.Archive{To: role.Spec.Backup.To, UID: s.farmUID(), Every: role.Spec.Backup.LogEvery.Std()}
	if t := role.backups.Task; t != nil && (t.Server == rec.Name() || rec.Temporary()) {
		task := *t
		task.Archive = archive
		a.Backup = &task
	}
	if role.backups.Archiver == rec.Name() {
		a.Archive = &archive
	}
}

// backupsOf opens what an instance may use of where its role's backups lie: it writes in its role's place only, and reads another
// role's where it restores from that.
func (k *keeper) backupsOf(ctx context.Context, instance string) (backup.Target, error) {
	a, _, err := store.GetJSON[state.Assignment](ctx, k.opts.Store, state.AssignmentKey(k.farm, instance))
	if err != nil {
		return nil, err
	}
	if a.Role.Backup == nil {
		return nil, fmt.Errorf("role %s declares no backups: %w", a.Role.Name, store.ErrDenied)
	}
	target, err := k.opts.OpenBackups(ctx, a.Role.Backup.To)
	if err != nil {
		return nil, err
	}
	var read []string
	if d, _, err := store.GetJSON[state.Database](ctx, k.opts.Store, state.DatabaseKey(k.farm, a.Role.Name)); err == nil {
		if o := d.Orders[instance]; o.Restore != nil && o.Restore.From != "" && o.Restore.FromFarm == "" && o.Restore.FromTo == "" {
			read = append(read, k.farm+"/"+o.Restore.From+"/")
		}
	}
	return backup.Scoped(target, k.farm+"/"+a.Role.Name+"/", read...), nil
}

// restoreSourceOf opens what an instance's restore is from, as its order names it, for reading only.
func (k *keeper) restoreSourceOf(ctx context.Context, instance string) (backup.Target, error) {
	a, _, err := store.GetJSON[state.Assignment](ctx, k.opts.Store, state.AssignmentKey(k.farm, instance))
	if err != nil {
		return nil, err
	}
	d, _, err := store.GetJSON[state.Database](ctx, k.opts.Store, state.DatabaseKey(k.farm, a.Role.Name))
	if err != nil {
		return nil, err
	}
	t := d.Orders[instance].Restore
	if t == nil || a.Role.Backup == nil {
		return nil, fmt.Errorf("%s has no order to restore anything: %w", instance, store.ErrDenied)
	}
	farm, role, _, _ := t.Source(k.farm, a.Role.Name)
	target, err := k.opts.OpenBackups(ctx, cmp.Or(t.FromTo, a.Role.Backup.To))
	if err != nil {
		return nil, err
	}
	return backup.Readable(target, farm+"/"+role+"/"), nil
}
