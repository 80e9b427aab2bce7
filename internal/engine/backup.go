package engine

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/farmhand/terraform-provider-farmhand/internal/state"
)

const (
	// backupLimit is how long one task may take: a terabyte at 25 MB/s.
	backupLimit = 12 * time.Hour
	// backupFirstRetry doubles with each failure up to backupLastRetry.
	backupFirstRetry = time.Minute
	backupLastRetry  = 30 * time.Minute
	// backupLate is how much longer than its window a backup may take before its absence is worth waking somebody.
	backupLate = time.Hour
	// logLate is how many of its intervals the storing of binary logs may fall behind, and logLateLeast that long at least.
	logLate      = 5
	logLateLeast = 5 * time.Minute
	backupTime   = "2006-01-02 15:04:05 MST"
)

// keepBackups decides what is done about a role's backups: one task at a time, full backups from a replica when they fall due, the
// drill after them, binary logs from whoever is the primary. What fails is tried again within its window; what is missed or
// overdue is said, once.
func (p *pass) keepBackups() {
	declared := p.role.Spec.Backup
	if declared == nil || p.ending() || !p.role.Replicated {
		return
	}
	b := state.Backups{Since: p.now}
	if p.role.Backups != nil {
		b = *p.role.Backups
	}
	p.followTask(&b)
	p.followLog(&b)
	p.followGap(&b)
	p.keepSnapshots(&b)
	if b.Task == nil && (!p.now.Before(b.RetryAt) || p.backupWish() != nil) {
		p.nextTask(&b)
	}
	p.watchOverdue(&b)
	b.Archiver = ""
	if d := p.role.Database; d != nil && d.Primary != "" && !declared.NoLogs {
		b.Archiver = d.Primary
	}
	p.backups = &b
}

// followTask looks how far the task under way has come.
func (p *pass) followTask(b *state.Backups) {
	t := b.Task
	if t == nil {
		return
	}
	if t.Kind == state.BackupRestore {
		p.followRestoring(b)
		return
	}
	m := p.memberNamed(t.Server)
	if t.Temporary {
		m = p.temporary
		if why := p.temporaryFailed(t); why != "" {
			p.notRehearsed(b, why)
			return
		}
		if m == nil || m.Task != t.ID {
			return // it is being launched
		}
	}
	switch {
	case !t.Temporary && (m == nil || m.standing == gone || m.standing == leaving || p.absent(m)):
		p.taskFailed(b, t.Server+" is gone", false)
	case m.Report == nil || m.Report.Backup == nil || m.Report.Backup.Task != t.ID:
		if p.since(t.At) > backupLimit {
			p.taskFailed(b, fmt.Sprintf("%s has not said anything of it for %s", t.Server, brief(p.since(t.At))), false)
		}
	case m.Report.Backup.Error != "":
		p.taskFailed(b, m.Report.Backup.Error, m.Report.Backup.Transient)
	case m.Report.Backup.Done && m.Report.Backup.Result != nil:
		p.taskDone(b, *m.Report.Backup.Result)
	case p.since(t.At) > backupLimit:
		p.taskFailed(b, fmt.Sprintf("it is not done after %s", brief(p.since(t.At))), false)
	}
}

func (p *pass) taskDone(b *state.Backups, done state.BackupDone) {
	t := b.Task
	done.Server, done.Asked = cmp.Or(done.Server, t.Server), t.Asked
	switch t.Kind {
	case state.BackupDrill:
		b.Drill = &done
		noteDrill(b, t, done.Text, false)
		if t.Snapshot == nil {
			b.DrillFailed = nil
		}
		p.noteBackup(info, t.Server, fmt.Sprintf("the restore of %s %s was rehearsed in %s: %s", whatOf(t), done.ID, brief(done.Took), done.Text))
	default:
		b.Full, b.Overdue = &done, false
		p.noteBackup(info, t.Server, fmt.Sprintf("backup %s is stored, %s in %s", done.ID, megabytes(done.Bytes), brief(done.Took)))
	}
	b.Task, b.Tries, b.Failure, b.RetryAt = nil, 0, "", time.Time{}
}

// taskFailed gives a try up. transient: the cause may pass.
func (p *pass) taskFailed(b *state.Backups, why string, transient bool) {
	t := b.Task
	b.Task, b.Failure = nil, why
	if transient && (t.Kind == state.BackupDrill || t.By != "") && p.tryAgain(b, *t) {
		p.noteBackup(warning, t.Server, fmt.Sprintf("the %s could not be done: %s; trying again in %s", t.Kind, why, brief(b.RetryAt.Sub(p.now))))
		return
	}
	if t.Kind == state.BackupDrill {
		// A backup that does not come back is what the drill is there to find. It is not tried again until the next one: the
		// same backup would fail the same way.
		noteDrill(b, t, why, true)
		p.drillFailed(b, t, why)
		p.noteBackup(failure, t.Server, fmt.Sprintf("the rehearsed restore failed: %s. The %s may be of no use: look at it, and take another one with farmhand backup", why, whatOf(t)))
		return
	}
	b.Tries++
	wait := min(backupFirstRetry<<min(b.Tries-1, 10), backupLastRetry)
	b.RetryAt = p.now.Add(wait)
	if t.By != "" {
		p.noteBackup(failure, t.Server, fmt.Sprintf("the backup asked for by %s failed: %s", t.By, why))
		return
	}
	p.noteBackup(warning, t.Server, fmt.Sprintf("the backup failed: %s; trying again in %s", why, brief(wait)))
}

// notRehearsed gives a drill up whose instance did not come up: nothing is known of the backup.
func (p *pass) notRehearsed(b *state.Backups, why string) {
	t := b.Task
	b.Task, b.Failure = nil, why
	p.drillFailed(b, t, why)
	p.noteBackup(failure, t.Server, fmt.Sprintf("the restore could not be rehearsed: %s. Try it with farmhand backup %s --drill", why, p.role.Spec.ID()))
}

// drillFailed notes that the last rehearsal of a full backup did not go well. A snapshot's says nothing of it, either way.
func (p *pass) drillFailed(b *state.Backups, t *state.BackupTask, why string) {
	if t.Snapshot == nil {
		b.DrillFailed = &state.BackupDone{ID: t.Backup, At: p.now, Server: t.Server, Text: why}
	}
}

// whatOf is what a drill is about.
func whatOf(t *state.BackupTask) string {
	if t.Snapshot != nil {
		return "snapshot"
	}
	return "backup"
}

// noteDrill notes with a snapshot what its rehearsal found. A full backup's report lies beside it.
func noteDrill(b *state.Backups, t *state.BackupTask, text string, failed bool) {
	if t.Snapshot == nil {
		return
	}
	b.Snapshots = slices.Clone(b.Snapshots)
	for i := range b.Snapshots {
		if s := &b.Snapshots[i]; s.Name == t.Snapshot.Name {
			s.Drill, s.Failed = text, failed
		}
	}
}

// nextTask begins what a person asks for, else what is due.
func (p *pass) nextTask(b *state.Backups) {
	declared := p.role.Spec.Backup
	if w := p.backupWish(); w != nil && w.Kind == state.BackupRestore {
		p.beginRestore(b, *w)
		return
	}
	if w := p.backupWish(); w != nil {
		p.begin(b, *w, "asked for by "+orElse(w.By, "somebody"))
		return
	}
	if b.Again != nil {
		p.beginAgain(b)
		return
	}
	if r := b.Restored; r != nil && !taken(b.Full, r.At) && p.since(r.At) <= declared.Window.Std() && p.settled(r.At) {
		// What it writes is a history of its own: no backup of before leads to it.
		if p.begin(b, state.BackupTask{ID: p.now.UTC().Format("20060102T150405Z"), Kind: state.BackupFull}, "the first one of the restored data") {
			return
		}
	}
	if last, _ := declared.Due(p.now); !last.IsZero() && last.After(b.Since) && !taken(b.Full, last) {
		if p.since(last) <= declared.Window.Std() {
			// Its id is its own moment and not the due one: a second try is another backup.
			p.begin(b, state.BackupTask{ID: p.now.UTC().Format("20060102T150405Z"), Kind: state.BackupFull}, "due since "+last.Format(backupTime))
			return
		}
		if b.Missed.Before(last) {
			b.Missed, b.Tries = last, 0
			p.noteBackup(failure, "", fmt.Sprintf("the backup due at %s was not taken within its window of %s: %s. Take one with farmhand backup %s", last.Format(backupTime), declared.Window,
				orElse(b.Failure, "no server could take it"), p.role.Spec.ID()))
		}
	}
	if last, _ := declared.DrillDue(p.now); !last.IsZero() && last.After(b.Since) && last.After(b.DrillTried) && b.Full != nil {
		if p.begin(b, state.BackupTask{ID: "drill-" + last.UTC().Format("20060102T150405Z"), Kind: state.BackupDrill, Query: declared.DrillQuery}, "due since "+last.Format(backupTime)) {
			b.DrillTried = last
			return
		}
	}
	if last, _ := declared.DrillDue(p.now); declared.Snapshots != nil && !last.IsZero() && last.After(b.Since) && last.After(b.SnapshotDrilled) && len(b.Snapshots) > 0 {
		t := state.BackupTask{ID: "drill-" + last.UTC().Format("20060102T150405Z") + "-snapshot", Kind: state.BackupDrill, Backup: b.Snapshots[len(b.Snapshots)-1].Name, Query: declared.DrillQuery}
		if p.begin(b, t, "due since "+last.Format(backupTime)) {
			b.SnapshotDrilled = last
		}
	}
}

// backupWish is what a person asks for of backups proper; see nextSnapshot.
func (p *pass) backupWish() *state.BackupTask {
	if w := p.role.BackupWish; w == nil || w.Kind != state.BackupSnapshot {
		return w
	}
	return nil
}

func taken(full *state.BackupDone, due time.Time) bool { return full != nil && !full.At.Before(due) }

// begin gives the task to the server that it disturbs least, and tells whether there was one.
func (p *pass) begin(b *state.Backups, t state.BackupTask, why string) bool {
	if p.onTemporary(b, &t) {
		t.At, b.Task = p.now, &t
		p.noteBackup(info, t.Server, fmt.Sprintf("%s begins on an instance that is launched for it: %s", t.Kind, why))
		return true
	}
	m := p.backupServer()
	if m == nil {
		return false
	}
	t.Server, t.At = m.Name(), p.now
	b.Task = &t
	on := "on " + m.Name()
	if d := p.role.Database; d != nil && d.Primary == m.Name() {
		on += ", the primary, since no replica is at hand"
	}
	p.noteBackup(info, m.Name(), fmt.Sprintf("%s begins %s: %s", t.Kind, on, why))
	return true
}

// followLog notes how far binary logs are stored.
func (p *pass) followLog(b *state.Backups) {
	if m := p.memberNamed(b.Archiver); m != nil && m.Report != nil && m.Report.Backup != nil && m.Report.Backup.Log.After(b.Log) {
		b.Log = m.Report.Backup.Log
	}
}

// watchOverdue says, once, that the last backup or the last stored binary log is older than it should ever be.
func (p *pass) watchOverdue(b *state.Backups) {
	declared := p.role.Spec.Backup
	why := ""
	// The newest that is late by now: a next one that falls due makes nothing better.
	if last, _ := declared.Due(p.now.Add(-declared.Window.Std() - backupLate - 1)); !last.IsZero() && last.After(b.Since) && !taken(b.Full, last) {
		why = "there is no backup yet"
		if b.Full != nil {
			why = fmt.Sprintf("the newest backup, %s, is %s old", b.Full.ID, brief(p.since(b.Full.At)))
		}
	}
	if late := max(logLate*declared.LogEvery.Std(), logLateLeast); why == "" && !declared.NoLogs && b.Archiver != "" && p.since(later(b.Log, b.Since)) > late {
		why = fmt.Sprintf("binary logs are stored up to %s ago only", brief(p.since(later(b.Log, b.Since))))
		if m := p.memberNamed(b.Archiver); m != nil && m.Report != nil && m.Report.Backup != nil && m.Report.Backup.LogError != "" {
			why += ": " + m.Report.Backup.LogError
		}
	}
	switch {
	case why != "" && !b.Overdue:
		p.noteBackup(failure, "", why+"; a disaster now would cost all since then")
	case why == "" && b.Overdue:
		p.noteBackup(info, "", "backups are up to date again")
	}
	b.Overdue = why != ""
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func (p *pass) noteBackup(level, instance, reason string) {
	p.decide(Decision{Action: Note, Instance: instance, Kind: "backup", Level: level, Reason: reason})
}

func (p *pass) memberNamed(name string) *member {
	for i := range p.members {
		if name != "" && p.members[i].Name() == name {
			return &p.members[i]
		}
	}
	return nil
}

func megabytes(n int64) string { return fmt.Sprintf("%.1f MB", float64(n)/1e6) }
