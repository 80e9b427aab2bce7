package engine

import (
	"fmt"
	"time"

	"github.com/farmhand/terraform-provider-farmhand/internal/spec"
	"github.com/farmhand/terraform-provider-farmhand/internal/state"
)

// A restore puts a backup in the place of the role's data: its primary makes the data whole beside what it serves, and swaps; then
// every other server is cloned anew. What each had is kept aside by the server itself.

// restoreTask is the restore that stands recorded, nil for none.
func (p *pass) restoreTask() *state.BackupTask {
	if p.role.Backups == nil || p.role.Backups.Task == nil || p.role.Backups.Task.Kind != state.BackupRestore {
		return nil
	}
	return p.role.Backups.Task
}

// restoring is the restore that the server has still to carry out.
func (d *database) restoring(m *member) *state.BackupTask {
	t := d.restoreTask()
	if t == nil || t.Server != m.Name() || d.db.Restored == t.ID || d.db.Failover != nil {
		return nil
	}
	if r := m.report(); r != nil && r.RestoreFailed == t.ID {
		return nil
	}
	if t.Temporary && !d.givesOut(t) {
		return nil // the instance that has the snapshot's data is coming up
	}
	return t
}

// givesOut tells whether the temporary instance of a restore gives its data out.
func (p *pass) givesOut(t *state.BackupTask) bool {
	m := p.temporary
	return m != nil && m.Task == t.ID && m.Address != "" && m.Report != nil && m.Report.Backup != nil && m.Report.Backup.Task == t.ID && m.Report.Backup.Done
}

// orderRestore puts a restore into the primary's order. It waits for no acknowledgement: nobody else has this data.
func (d *database) orderRestore(m *member, order, was state.DatabaseOrder) state.DatabaseOrder {
	t := d.restoring(m)
	if t == nil {
		return order
	}
	order.Alone, order.Restore = true, t
	if t.Temporary {
		order.CloneFrom = d.temporary.Address
	}
	if was.Restore != nil && was.Restore.ID == t.ID {
		order.Restore = was.Restore
	}
	return order
}

// followRestore has everybody else cloned once the primary's data is restored.
func (d *database) followRestore() {
	m := d.primary
	if m == nil || d.restoring(m) == nil {
		return
	}
	t := d.restoring(m)
	o := d.db.Orders[m.Name()]
	if o.Restore == nil || o.Restore.ID != t.ID || !d.done(m) {
		return
	}
	d.db.Restored, d.db.Ackers = t.ID, nil
	for i := range d.members {
		other := &d.members[i]
		if was, ok := d.db.Orders[other.Name()]; ok && other != m && other.standing != gone {
			d.known(other.Name())
			d.db.Orders[other.Name()] = state.DatabaseOrder{Seq: was.Seq + 1, Term: d.db.Term, Office: state.OfficeClone, Source: d.db.PrimaryAddress, CloneFrom: d.db.PrimaryAddress, Token: other.Token}
		}
	}
}

// beginRestore takes up a person's wish.
func (p *pass) beginRestore(b *state.Backups, t state.BackupTask) {
	d := p.role.Database
	if d == nil || d.Primary == "" || d.Failover != nil || p.memberNamed(d.Primary) == nil {
		p.hold("backup:restore", warning, "a restore is asked for, and waits for the role to have a primary", nil)
		return
	}
	t.Server, t.At = d.Primary, p.now
	if t.Snapshot = p.snapshotOf(b, t); t.Snapshot != nil {
		t.Temporary = true
	}
	b.Task, b.Again = &t, nil
	p.noteBackup(warning, d.Primary, fmt.Sprintf("the restore asked for by %s %sbegins on %s%s; until the data is whole, what is there serves on", orElse(t.By, "somebody"), sourceOf(p.role.Spec, t), d.Primary, tryOf(t)))
}

// followRestoring looks how far the restore under way has come.
func (p *pass) followRestoring(b *state.Backups) {
	t := b.Task
	m := p.memberNamed(t.Server)
	db := p.role.Database
	if p.database != nil {
		db = &p.database.db
	}
	why, transient := "", false
	switch {
	case db != nil && db.Restored == t.ID:
		b.Restored = &state.BackupDone{ID: t.Backup, Asked: t.Asked, At: p.now, Took: p.since(t.At), Server: t.Server}
		if r := m.report(); r != nil && r.RestoreNoted == t.ID {
			b.Restored.Text = r.RestoreNote
		}
		b.Task, b.Failure, b.RetryAt, b.Tries = nil, "", time.Time{}, 0
		p.noteBackup(info, t.Server, fmt.Sprintf("the restore is done in %s; the other servers are cloned from %s, and what data there was is kept aside on its volume", brief(p.since(t.At)), t.Server))
		if b.Restored.Text != "" {
			p.noteBackup(warning, t.Server, "the restored data: "+b.Restored.Text)
		}
		return
	case m != nil && m.report() != nil && m.report().RestoreFailed == t.ID:
		why, transient = m.report().Error, m.report().RestoreTransient
	case db == nil || db.Failover != nil || db.Primary != t.Server:
		why = t.Server + " is the primary no more"
	case p.since(t.At) > backupLimit:
		why = fmt.Sprintf("it is not done after %s", brief(p.since(t.At)))
	case t.Temporary && p.temporaryFailed(t) != "":
		why = p.temporaryFailed(t)
	default:
		return
	}
	b.Task, b.Failure = nil, why
	if transient && p.tryAgain(b, *t) {
		p.noteBackup(warning, t.Server, fmt.Sprintf("the restore failed: %s. The data of before is in force; trying again in %s", why, brief(b.RetryAt.Sub(p.now))))
		return
	}
	p.noteBackup(failure, t.Server, fmt.Sprintf("the restore failed: %s. The data of before is in force", orElse(why, "no reason is given")))
}

// sourceOf is "from blog/db in s3://b " of a restore from elsewhere.
func sourceOf(role spec.Role, t state.BackupTask) string {
	farm, name, to, elsewhere := t.Source(role.Farm, role.Name)
	switch {
	case elsewhere && to != "":
		return fmt.Sprintf("from %s/%s in %s ", farm, name, to)
	case elsewhere || t.From != "":
		return fmt.Sprintf("from %s/%s ", farm, name)
	}
	return ""
}
