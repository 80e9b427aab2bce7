package engine

import (
	"fmt"

	"github.com/farmhand/terraform-provider-farmhand/internal/spec"
	"github.com/farmhand/terraform-provider-farmhand/internal/state"
)

// A temporary instance is launched for one task on backups and ends with it: to rehearse a restore on, or to give out what a snapshot
// holds. It has index 0, is none of the role's servers, and never serves; its volume ends with it.

// temporaryTask is the task that needs one now, nil for none.
func (p *pass) temporaryTask() *state.BackupTask {
	if p.backups == nil || p.backups.Task == nil || !p.backups.Task.Temporary || p.ending() {
		return nil
	}
	return p.backups.Task
}

// keepTemporary launches the instance that a task needs and ends the one that none needs any more.
func (p *pass) keepTemporary() {
	t, m := p.temporaryTask(), p.temporary
	name := state.InstanceName(p.role.Spec.Name, 0)
	switch {
	case m == nil && t == nil:
	case m == nil:
		if s := p.strayAt(0); s != nil {
			p.hold("stray:"+s.Name, warning, fmt.Sprintf("%s is not launched before machine %s, which has its name and which no record knows, is absent", s.Name, s.ID), nil)
			return
		}
		d := Decision{Action: Launch, Instance: name, Generation: p.role.Generation, Kind: "launch", Reason: fmt.Sprintf("for the %s alone; it ends with it", t.Kind)}
		if t.Snapshot != nil {
			d.Snapshot = t.Snapshot.ID
			d.Reason = fmt.Sprintf("for the %s of snapshot %s alone; it ends with it", t.Kind, t.Snapshot.Name)
		}
		p.decide(d)
	case t == nil || m.Task != t.ID:
		p.endTemporary(m)
	case m.Phase == state.Planned && p.absent(m) && p.since(m.Since) > relaunchAfter:
		p.decide(m.about(Relaunch, "", info, "the platform has no machine for it "+brief(p.since(m.Created))+" after the intent: calling again"))
	case m.Phase == state.Launching && m.Report != nil:
		p.step(m, state.Booting, "its agent reports")
	}
}

// endTemporary ends it, and forgets it, with its volume, once it is absent.
func (p *pass) endTemporary(m *member) {
	const why = "the task that it was launched for has ended"
	switch {
	case p.absent(m) && (m.Phase != state.Planned || p.since(m.Since) > relaunchAfter):
		p.decide(m.about(Forget, "gone", info, why))
	case p.absent(m):
	case m.Phase == state.Terminating || m.Phase == state.Failed:
		p.terminate(m, "", why)
	default:
		p.terminate(m, "terminate", why)
	}
}

// temporaryFailed says why the temporary instance will not do its task, "" if it may yet.
func (p *pass) temporaryFailed(t *state.BackupTask) string {
	m := p.temporary
	switch {
	case m == nil && p.since(t.At) > p.role.Spec.LaunchTimeout.Std():
		return fmt.Sprintf("no instance was launched for it within %s", brief(p.since(t.At)))
	case m == nil || m.Task != t.ID:
		return "" // it is about to be launched, when the former one is gone
	case m.Failure != nil:
		return fmt.Sprintf("the instance for it did not come up, in step %q: %s", m.Failure.Step, m.Failure.Error)
	case m.Report != nil && m.Report.Boot.Failed != "":
		return fmt.Sprintf("the instance for it did not come up, in step %q: %s", m.Report.Boot.Step, m.Report.Boot.Failed)
	case m.Machine != nil && (m.Machine.Stopped || m.Machine.Ending), m.Phase == state.Terminating:
		return "the instance for it is ended: " + orElse(exitOf(m), "no reason given")
	case p.absent(m) && m.Phase != state.Planned && p.since(m.Since) > appearsWithin:
		return "the machine of the instance for it is gone"
	case m.Report == nil && p.since(m.Created) > p.role.Spec.LaunchTimeout.Std():
		return fmt.Sprintf("the agent of the instance for it has not reported for %s", brief(p.since(m.Created)))
	}
	return ""
}

func exitOf(m *member) string {
	if m.Machine == nil {
		return ""
	}
	return m.Machine.Exit
}

// onTemporary gives a task to a temporary instance, if it is one for such: a drill, unless it is declared to be on a replica, and whatever
// begins with a snapshot.
func (p *pass) onTemporary(b *state.Backups, t *state.BackupTask) bool {
	if t.Kind == state.BackupDrill && t.Backup != "" {
		t.Snapshot = snapshotCalled(b.Snapshots, t.Backup)
	}
	if t.Kind != state.BackupDrill || t.Snapshot == nil && p.role.Spec.Backup.DrillOn == spec.DrillOnReplica {
		return false
	}
	t.Temporary, t.Server = true, state.InstanceName(p.role.Spec.Name, 0)
	return true
}

// snapshotCalled is the recorded snapshot of that name, nil if there is none.
func snapshotCalled(all []state.Snapshot, name string) *state.Snapshot {
	for _, s := range all {
		if s.Name == name {
			return &s
		}
	}
	return nil
}

// snapshotOf is the snapshot that a restore names, of the role itself or the one that it is from.
func (p *pass) snapshotOf(b *state.Backups, t state.BackupTask) *state.Snapshot {
	if t.Backup == "" || t.FromFarm != "" || t.FromTo != "" {
		return nil
	}
	if t.From == "" {
		return snapshotCalled(b.Snapshots, t.Backup)
	}
	for i := range p.view.Roles {
		if r := &p.view.Roles[i]; r.Spec.Name == t.From && r.Backups != nil {
			return snapshotCalled(r.Backups.Snapshots, t.Backup)
		}
	}
	return nil
}
