package agent

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"sync"
	"time"

	"github.com/farmhand/terraform-provider-farmhand/internal/backup"
	"github.com/farmhand/terraform-provider-farmhand/internal/behavior"
	"github.com/farmhand/terraform-provider-farmhand/internal/state"
)

// keepsBackups carries out what the assignment says of backups: a task, and the storing of binary logs. Each is begun when it appears
// and cut off when it goes; a task that is done is done, whatever becomes of the agent: its backup's manifest tells.
type keepsBackups struct {
	*agent
	runner behavior.BackupRunner
	ctx    context.Context

	mu      sync.Mutex
	report  state.BackupReport
	trouble string // that holds up the task
	task    *state.BackupTask
	archive *state.Archive
	stop    [2]context.CancelFunc // of the task and of the archive
	working sync.WaitGroup
}

// attachBackups begins to follow the assignment, if the instance is a database's.
func (a *agent) attachBackups(ctx context.Context) {
	r, ok := a.runner.(behavior.BackupRunner)
	if !ok {
		return
	}
	k := &keepsBackups{agent: a, runner: r, ctx: ctx}
	a.backups.Store(k)
	k.follow(a.assigned())
}

// follow takes over what the assignment says now.
func (k *keepsBackups) follow(as state.Assignment) {
	if k == nil {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.ctx.Err() != nil {
		return
	}
	if as.Backup != nil && as.Backup.Kind == state.BackupRestore && !as.Temporary() {
		as.Backup = nil // comes as an order
	}
	if !sameTask(k.task, as.Backup) {
		k.begin(0, as.Backup != nil, func(ctx context.Context) { k.do(ctx, *as.Backup, as) })
		k.trouble = ""
		if k.task = as.Backup; k.task != nil {
			k.report = state.BackupReport{Task: k.task.ID, Doing: "beginning", Log: k.report.Log, LogError: k.report.LogError, Looked: k.report.Looked, Gap: k.report.Gap}
		}
	}
	if !reflect.DeepEqual(k.archive, as.Archive) {
		k.begin(1, as.Archive != nil, func(ctx context.Context) { k.keepLogs(ctx, *as.Archive, as) })
		k.archive = as.Archive
	}
}

func sameTask(a, b *state.BackupTask) bool { return a == b || a != nil && b != nil && a.ID == b.ID }

// begin cuts off what was done and begins something else. With k.mu.
func (k *keepsBackups) begin(what int, something bool, work func(context.Context)) {
	if k.stop[what] != nil {
		k.stop[what]()
		k.stop[what] = nil
	}
	if !something {
		return
	}
	ctx, cancel := context.WithCancel(k.ctx)
	k.stop[what] = cancel
	k.working.Go(func() { defer cancel(); work(ctx) })
}

// wait returns when all is cut off and the last binary logs are stored, after k.ctx ended.
func (k *keepsBackups) wait() {
	if k != nil {
		k.working.Wait()
	}
}

// change changes the report of a task, unless another one has begun.
func (k *keepsBackups) change(task string, at bool, change func(*state.BackupReport)) {
	k.mu.Lock()
	mine := k.report.Task == task
	if mine {
		change(&k.report)
	}
	k.mu.Unlock()
	if mine && at {
		poke(k.wake)
	}
}

// backupReport is nil where there is nothing to say.
func (a *agent) backupReport() *state.BackupReport {
	k := a.backups.Load()
	if k == nil {
		return nil
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.report == (state.BackupReport{}) {
		return nil
	}
	r := k.report
	if k.trouble != "" && r.Doing != "" {
		r.Doing += ": " + k.trouble
	}
	return &r
}

// openBackups opens the place of the role's backups: through the gateway where there is one, with the machine's own credentials else.
func (a *agent) openBackups(ctx context.Context, to string) (backup.Target, error) {
	if g, ok := a.farm.(interface{ Backups() backup.Target }); ok {
		return g.Backups(), nil
	}
	return a.places.Open(ctx, to)
}

// openRestoreSource opens what an ordered restore is from, likewise.
func (a *agent) openRestoreSource(ctx context.Context, to string) (backup.Target, error) {
	if g, ok := a.farm.(interface{ RestoreSource() backup.Target }); ok {
		return g.RestoreSource(), nil
	}
	return a.places.Open(ctx, to)
}

// open is the role's catalog and key, read anew each time: a key may change.
func (k *keepsBackups) open(ctx context.Context, as state.Assignment, archive state.Archive) (c backup.Catalog, key backup.Key, err error) {
	secret, err := readJSON[map[string]string](ctx, k.farm, state.SecretKey(as.Farm, as.Role.Name))
	if err != nil {
		return c, key, fmt.Errorf("reading the role's backup key: %w", err)
	}
	if key, err = backup.ParseKey(secret[state.BackupKey]); err != nil {
		return c, key, fmt.Errorf("the role's backup_key_wo: %w", err)
	}
	if declared := as.Role.Backup; declared != nil && declared.Encrypted && key.Public() == "" {
		return c, key, errors.New("the role's backups are to be encrypted, and its key is not there yet")
	}
	target, err := k.openBackups(ctx, archive.To)
	return backup.Catalog{Target: target, Farm: as.Farm, Role: as.Role.Name, UID: archive.UID}, key, err
}

func (k *keepsBackups) do(ctx context.Context, t state.BackupTask, as state.Assignment) {
	began := time.Now()
	var done state.BackupDone
	err := guarded("backing up", func() (err error) {
		if t.Kind == state.BackupRestore { // of a temporary instance, which gives out what it has
			done = state.BackupDone{ID: t.Backup, At: time.Now().UTC(), Text: "it gives out what the snapshot holds"}
			return nil
		}
		c, key, err := k.open(ctx, as, t.Archive)
		if err != nil {
			return err
		}
		c.Target = backup.Patient{Target: c.Target, Tell: func(trouble string) {
			k.mu.Lock()
			defer k.mu.Unlock()
			if k.trouble = ""; ctx.Err() == nil {
				k.trouble = trouble
			}
		}}
		switch t.Kind {
		case state.BackupFull:
			done, err = k.full(ctx, c, key, t, as)
		case state.BackupDrill:
			done, err = k.drill(ctx, c, key, t)
		default:
			err = fmt.Errorf("this agent does not know what %q means", t.Kind)
		}
		return err
	})
	if ctx.Err() != nil {
		return // taken back, or the instance ends: whoever has it next begins anew
	}
	if done.Took == 0 {
		done.Took = time.Since(began)
	}
	k.change(t.ID, true, func(r *state.BackupReport) {
		r.Doing = ""
		if err != nil {
			r.Error, r.Transient = err.Error(), errors.Is(err, backup.ErrUnavailable)
			return
		}
		r.Done, r.Result = true, &done
	})
}

func (k *keepsBackups) full(ctx context.Context, c backup.Catalog, key backup.Key, t state.BackupTask, as state.Assignment) (state.BackupDone, error) {
	all, err := c.Fulls(ctx)
	if err != nil {
		return state.BackupDone{}, err
	}
	for _, m := range all {
		if m.ID == t.ID { // before the agent, or the sidecar, started anew
			return backupDone(m), nil
		}
	}
	m := backup.Manifest{ID: t.ID, Farm: c.Farm, Role: c.Role, Began: time.Now().UTC(), Manual: t.By != ""}
	err = k.runner.TakeBackup(ctx, c, key, &m, func(n int64) {
		k.change(t.ID, false, func(r *state.BackupReport) { r.Doing, r.Bytes = "taking it", n })
	})
	if err != nil {
		return state.BackupDone{}, err
	}
	if b := as.Role.Backup; b != nil {
		zone, err := time.LoadLocation(b.Zone)
		if err != nil {
			zone = time.UTC // no zone data here: days begin a few hours off
		}
		k.change(t.ID, false, func(r *state.BackupReport) { r.Doing = "deleting what is kept no longer" })
		// The backup is whole whatever comes of that; the next one tries again.
		if gone, err := c.Prune(ctx, backup.Retention{Daily: b.Daily, Weekly: b.Weekly, Monthly: b.Monthly, Zone: zone}, time.Now()); err != nil {
			k.Log.Warn("deleting old backups", "error", err)
		} else if len(gone) > 0 {
			k.Log.Info("old backups are deleted", "ids", gone)
		}
	}
	return backupDone(m), nil
}

func backupDone(m backup.Manifest) state.BackupDone {
	return state.BackupDone{ID: m.ID, At: m.Ended, Took: m.Ended.Sub(m.Began), Bytes: m.Stored, Server: m.Instance}
}

// rehearsed is what a drill restores.
func rehearsed(ctx context.Context, c backup.Catalog, t state.BackupTask) (backup.Manifest, error) {
	if t.Snapshot == nil {
		return c.Find(ctx, t.Backup, time.Time{})
	}
	m := behavior.ManifestOf(*t.Snapshot)
	m.InPlace = true
	return m, nil
}

func (k *keepsBackups) drill(ctx context.Context, c backup.Catalog, key backup.Key, t state.BackupTask) (state.BackupDone, error) {
	if err := c.CheckOwn(ctx); err != nil {
		return state.BackupDone{}, err
	}
	m, err := rehearsed(ctx, c, t)
	if err != nil {
		return state.BackupDone{}, err
	}
	d := m.Drill
	if d == nil || d.Began.Before(t.At) {
		one, err := k.runner.Rehearse(ctx, c, m, key, t.Query, func(doing string) {
			k.change(t.ID, false, func(r *state.BackupReport) { r.Doing = doing })
		})
		if err != nil {
			return state.BackupDone{}, err
		}
		if !m.InPlace { // of a snapshot the sidecar notes it
			if err := c.StoreDrill(ctx, one); err != nil {
				return state.BackupDone{}, err
			}
		}
		d = &one
	}
	if !d.OK {
		return state.BackupDone{}, fmt.Errorf("%s: %s", m.ID, d.Error)
	}
	text := fmt.Sprintf("%d tables, %d rows, everything until %s", d.Tables, d.Rows, d.Until.UTC().Format("2006-01-02 15:04:05 MST"))
	if d.Query != "" {
		text += ", query: " + d.Answer
	}
	return state.BackupDone{ID: m.ID, At: d.Began.Add(d.Took), Took: d.Took, Bytes: m.Stored, Server: d.Instance, Text: text}, nil
}
