package engine

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/farmhand/terraform-provider-farmhand/internal/state"
)

const (
	// snapshotLimit is how long the platform may take to store a snapshot: a terabyte's first one takes hours.
	snapshotLimit = 12 * time.Hour
	// manualSnapshotFor is how long a snapshot that a person asked for is kept whatever the number says; as of backups.
	manualSnapshotFor = 30 * 24 * time.Hour
	// Names of snapshots say who wanted them, since the platform keeps nothing else of ours.
	scheduledSnapshot = "auto-"
	manualSnapshot    = "manual-"
)

// SnapshotName is the name of a snapshot that is begun at t: "auto-20261121t060000z".
func SnapshotName(t time.Time, manual bool) string {
	prefix := scheduledSnapshot
	if manual {
		prefix = manualSnapshot
	}
	return prefix + strings.ToLower(t.UTC().Format("20060102T150405Z"))
}

// Snapshot is one that the platform holds; see platform.Snapshot.
type Snapshot struct {
	ID       string    `json:"id"`
	Name     string    `json:"name"`
	Instance string    `json:"instance"`
	At       time.Time `json:"at"`
	Done     bool      `json:"done,omitempty"`
	Failed   string    `json:"failed,omitempty"` // why it is of no use
	Progress string    `json:"progress,omitempty"`
}

// keepSnapshots decides on the snapshots of a role's data volumes: one at a time, of the server that backups are taken on, when
// they fall due or are asked for; and on which are discarded.
func (p *pass) keepSnapshots(b *state.Backups) {
	declared := p.role.Spec.Backup.Snapshots
	if !p.role.SnapshotsListed {
		return
	}
	if b.Snapshotting != nil {
		p.followSnapshot(b)
	}
	p.countSnapshots(b)
	if b.Snapshotting == nil {
		p.nextSnapshot(b)
	}
	if declared != nil {
		p.discardSnapshots(b, declared.Keep)
	}
}

func (p *pass) snapshotNamed(name string) *Snapshot {
	for i := range p.role.Snapshots {
		if s := &p.role.Snapshots[i]; s.Name == name {
			return s
		}
	}
	return nil
}

// followSnapshot looks how far the snapshot under way has come. Until the platform lists it, it is asked for.
func (p *pass) followSnapshot(b *state.Backups) {
	t := b.Snapshotting
	s := p.snapshotNamed(t.ID)
	switch {
	case s == nil && p.since(t.At) > snapshotLimit:
		p.snapshotFailed(b, fmt.Sprintf("the platform has not taken it up for %s", brief(p.since(t.At))))
	case s == nil:
		p.decide(Decision{Action: TakeSnapshot, Instance: t.Server, Snapshot: t.ID, Reason: "the snapshot is not there yet"})
	case s.Failed != "":
		p.snapshotFailed(b, s.Failed)
		p.discard(s)
	case s.Done:
		b.Snapshot = &state.BackupDone{ID: t.ID, At: s.At, Took: p.since(t.At), Server: t.Server}
		done := state.Snapshot{Name: t.ID, ID: s.ID, Instance: s.Instance, At: s.At, Position: t.Position, Manual: t.By != ""}
		if m := p.memberNamed(t.Server); m != nil && m.Report != nil && m.Report.Database != nil {
			done.Flavor, done.Bytes = m.Report.Database.Flavor, m.Report.Database.Bytes
			b.Snapshot.Bytes = done.Bytes
		}
		b.Snapshots = append(slices.Clone(b.Snapshots), done)
		b.Snapshotting, b.SnapshotFailure, b.SnapshotRetryAt = nil, "", time.Time{}
		p.noteBackup(info, t.Server, fmt.Sprintf("snapshot %s of the volume of %s is done, %s after it was begun", t.ID, t.Server, brief(p.since(t.At))))
	case p.since(t.At) > snapshotLimit:
		p.snapshotFailed(b, fmt.Sprintf("it is not done after %s (%s)", brief(p.since(t.At)), orElse(s.Progress, "the platform does not say how far it is")))
		p.discard(s)
	}
}

func (p *pass) snapshotFailed(b *state.Backups, why string) {
	t := b.Snapshotting
	b.Snapshotting, b.SnapshotFailure, b.SnapshotRetryAt = nil, why, p.now.Add(backupLastRetry)
	again := ""
	if t.By == "" {
		b.SnapshotTried = time.Time{}
		again = fmt.Sprintf("; trying again in %s, within its window", brief(backupLastRetry))
	}
	p.noteBackup(warning, t.Server, fmt.Sprintf("snapshot %s of the volume of %s failed: %s%s", t.ID, t.Server, why, again))
}

// countSnapshots brings what is recorded in line with what the platform lists: one that somebody deleted is gone, and one of a
// role of this name from before is the role's.
func (p *pass) countSnapshots(b *state.Backups) {
	var all []state.Snapshot
	for i := range p.role.Snapshots {
		s := &p.role.Snapshots[i]
		if !s.Done || b.Snapshotting != nil && b.Snapshotting.ID == s.Name {
			continue
		}
		known := slices.IndexFunc(b.Snapshots, func(k state.Snapshot) bool { return k.Name == s.Name })
		if known >= 0 {
			all = append(all, b.Snapshots[known])
			continue
		}
		all = append(all, state.Snapshot{Name: s.Name, ID: s.ID, Instance: s.Instance, At: s.At, Manual: strings.HasPrefix(s.Name, manualSnapshot)})
	}
	slices.SortFunc(all, func(a, b state.Snapshot) int { return a.At.Compare(b.At) })
	b.Snapshots = all
}

// nextSnapshot begins the one that a person asks for, else the one that is due.
func (p *pass) nextSnapshot(b *state.Backups) {
	if w := p.role.BackupWish; w != nil && w.Kind == state.BackupSnapshot {
		p.beginSnapshot(b, *w, "asked for by "+orElse(w.By, "somebody"))
		return
	}
	declared := p.role.Spec.Backup
	last, _ := declared.SnapshotDue(p.now)
	if last.IsZero() || !last.After(b.Since) || !last.After(b.SnapshotTried) || p.now.Before(b.SnapshotRetryAt) {
		return
	}
	if p.since(last) > declared.Window.Std() {
		b.SnapshotTried = last
		p.noteBackup(failure, "", fmt.Sprintf("the snapshot due at %s was not taken within its window of %s: %s", last.Format(backupTime), declared.Window,
			orElse(b.SnapshotFailure, "no server was there whose volume could be taken")))
		return
	}
	if p.beginSnapshot(b, state.BackupTask{ID: SnapshotName(p.now, false), Kind: state.BackupSnapshot}, "due since "+last.Format(backupTime)) {
		b.SnapshotTried = last
	}
}

// beginSnapshot notes the snapshot before the platform is asked for it. What its server has applied now is on its disk, so that the
// snapshot holds it.
func (p *pass) beginSnapshot(b *state.Backups, t state.BackupTask, why string) bool {
	m := p.backupServer()
	if m == nil {
		return false
	}
	t.Server, t.At, t.Position = m.Name(), p.now, m.Report.Database.Position
	b.Snapshotting = &t
	p.noteBackup(info, m.Name(), fmt.Sprintf("snapshot %s of the volume of %s begins: %s", t.ID, m.Name(), why))
	p.decide(Decision{Action: TakeSnapshot, Instance: m.Name(), Snapshot: t.ID, Reason: why})
	return true
}

// discardSnapshots keeps the newest so many and those that a person asked for in the last month; and the newest that was
// rehearsed well, as with backups.
func (p *pass) discardSnapshots(b *state.Backups, keep int) {
	kept, proven := 0, false
	for i := len(b.Snapshots) - 1; i >= 0; i-- {
		s := b.Snapshots[i]
		switch {
		case p.inUse(b, s):
		case s.Manual && p.since(s.At) < manualSnapshotFor:
		case kept < keep && !s.Manual:
			kept++
		case s.Drill != "" && !s.Failed && !proven:
		default:
			if listed := p.snapshotNamed(s.Name); listed != nil {
				p.discard(listed)
			}
		}
		proven = proven || s.Drill != "" && !s.Failed
	}
	for i := range p.role.Snapshots {
		if s := &p.role.Snapshots[i]; s.Failed != "" {
			p.discard(s)
		}
	}
}

// inUse tells that a volume is being made of a snapshot.
func (p *pass) inUse(b *state.Backups, s state.Snapshot) bool {
	if b.Task != nil && b.Task.Snapshot != nil && b.Task.Snapshot.Name == s.Name {
		return true
	}
	return slices.ContainsFunc(p.role.Instances, func(i Instance) bool { return i.Snapshot == s.ID && i.PlatformID == "" })
}

// discard deletes a snapshot; the decision is taken again until it is listed no more.
func (p *pass) discard(s *Snapshot) {
	if s.ID != "" {
		p.decide(Decision{Action: DropSnapshot, Instance: s.Instance, Machine: s.ID, Snapshot: s.Name, Reason: "snapshot " + s.Name + " is kept no longer"})
	}
}
