package exporter

import (
	"strconv"
	"time"

	"github.com/farmhand/terraform-provider-farmhand/internal/spec"
	"github.com/farmhand/terraform-provider-farmhand/internal/state"
)

var (
	backupInfo    = gauge("backup_info", "Always 1, for each role whose backups are declared. All that follows is of those only.", "farm", "role", "encrypted")
	backupWindow  = gauge("backup_window_seconds", "How long after it fell due a backup or snapshot may still begin.", "farm", "role")
	backupDue     = gauge("backup_due_timestamp_seconds", "When it last fell due, by its schedule: task is backup, drill or snapshot. Absent if it has not since backups were declared.", "farm", "role", "task")
	backupLate    = gauge("backup_expected_timestamp_seconds", "When it last fell due so long ago that its window has passed: the newest one that is older is late.", "farm", "role", "task")
	backupNextDue = gauge("backup_next_due_timestamp_seconds", "When it falls due next.", "farm", "role", "task")
	backupTask    = gauge("backup_task_started_timestamp_seconds", "When the task under way began: backup, drill, restore or snapshot. Absent if there is none.", "farm", "role", "task")

	backupFull      = gauge("backup_full_timestamp_seconds", "The moment that the newest full backup shows. Absent before the first.", "farm", "role")
	backupFullBytes = gauge("backup_full_size_bytes", "Size of the newest full backup as it is stored.", "farm", "role")
	backupFullTook  = gauge("backup_full_duration_seconds", "How long the newest full backup took.", "farm", "role")
	backupOverdue   = gauge("backup_overdue", "Whether the newest backup or the newest stored binary log is older than it should ever be. Absent before a sidecar has looked.", "farm", "role")
	backupFailing   = gauge("backup_failing", "Whether the last task failed, be it a backup, a drill or a restore; 0 again when one goes well.", "farm", "role")
	backupTries     = gauge("backup_failed_tries", "Failures of the backup that is due.", "farm", "role")
	backupMissed    = gauge("backup_missed_timestamp_seconds", "When the last backup fell due that was not taken within its window. Absent if none was missed.", "farm", "role")

	backupLog         = gauge("backup_log_timestamp_seconds", "Everything committed until then is stored in binary logs. Absent before the first, and where they are not stored.", "farm", "role")
	backupLogInterval = gauge("backup_log_interval_seconds", "How often binary logs are to be stored. Absent where they are not.", "farm", "role")

	backupGap = gauge("backup_log_gap", "Whether transactions are in no stored binary log and no full backup was taken since: no restore leads across them. Absent where binary logs are not stored.", "farm", "role")

	backupDrill        = gauge("backup_drill_timestamp_seconds", "When the newest rehearsal of a restore ended that went well. Absent before the first.", "farm", "role")
	backupDrillFailing = gauge("backup_drill_failing", "Whether the newest rehearsal of a full backup's restore, or of the newest rehearsed snapshot's, failed. Absent before the first.", "farm", "role")

	snapshots       = gauge("backup_snapshots", "Snapshots of the role's data volumes that there are. Absent where none are declared and none are there.", "farm", "role")
	snapshotAt      = gauge("backup_snapshot_timestamp_seconds", "The moment that the newest snapshot shows. Absent if there is none.", "farm", "role")
	snapshotFailing = gauge("backup_snapshot_failing", "Whether the last snapshot failed. Absent where none are declared.", "farm", "role")
)

// backups exports how those of a role stand, where they are declared.
func (s *samples) backups(f *farm, name string, r *role) {
	declared := r.declared.Spec.Backup
	if declared == nil {
		return
	}
	s.put(backupInfo, 1, f.name, name, strconv.FormatBool(declared.Encrypted))
	s.put(backupWindow, declared.Window.Std().Seconds(), f.name, name)
	if !declared.NoLogs {
		s.put(backupLogInterval, declared.LogEvery.Std().Seconds(), f.name, name)
	}
	s.due(f.name, name, declared, r.backups)
	b := r.backups
	if b == nil {
		return
	}
	if b.Full != nil {
		s.at(backupFull, b.Full.At, f.name, name)
		s.put(backupFullBytes, float64(b.Full.Bytes), f.name, name)
		s.put(backupFullTook, b.Full.Took.Seconds(), f.name, name)
	}
	s.flag(backupOverdue, b.Overdue, f.name, name)
	s.flag(backupFailing, b.Failure != "", f.name, name)
	s.put(backupTries, float64(b.Tries), f.name, name)
	s.at(backupMissed, b.Missed, f.name, name)
	if !declared.NoLogs {
		s.flag(backupGap, b.Gap != nil && b.Gap.Whole == "", f.name, name)
		s.at(backupLog, b.Log, f.name, name)
	}
	for _, task := range []*state.BackupTask{b.Task, b.Snapshotting} {
		if task != nil {
			s.at(backupTask, task.At, f.name, name, string(task.Kind))
		}
	}
	s.drills(f.name, name, b)
	s.snapshots(f.name, name, declared, b)
}

// due exports the schedule, so that an alert needs to know none. Nothing older than Backups.Since was due.
func (s *samples) due(farm, role string, declared *spec.Backup, b *state.Backups) {
	for task, due := range map[state.BackupKind]func(time.Time) (last, next time.Time){
		state.BackupFull: declared.Due, state.BackupDrill: declared.DrillDue, state.BackupSnapshot: declared.SnapshotDue,
	} {
		last, next := due(s.now)
		s.at(backupNextDue, next, farm, role, string(task))
		if b == nil {
			continue
		}
		if last.After(b.Since) {
			s.at(backupDue, last, farm, role, string(task))
		}
		if late, _ := due(s.now.Add(-declared.Window.Std())); late.After(b.Since) {
			s.at(backupLate, late, farm, role, string(task))
		}
	}
}

func (s *samples) drills(farm, role string, b *state.Backups) {
	if b.Drill != nil {
		s.at(backupDrill, b.Drill.At, farm, role)
	}
	failed, known := b.DrillFailed != nil, b.Drill != nil || b.DrillFailed != nil
	for i := len(b.Snapshots) - 1; i >= 0; i-- {
		if b.Snapshots[i].Drill != "" {
			failed, known = failed || b.Snapshots[i].Failed, true
			break
		}
	}
	if known {
		s.flag(backupDrillFailing, failed, farm, role)
	}
}

func (s *samples) snapshots(farm, role string, declared *spec.Backup, b *state.Backups) {
	if declared.Snapshots != nil {
		s.flag(snapshotFailing, b.SnapshotFailure != "", farm, role)
	}
	if declared.Snapshots == nil && len(b.Snapshots) == 0 {
		return
	}
	s.put(snapshots, float64(len(b.Snapshots)), farm, role)
	if n := len(b.Snapshots); n > 0 {
		s.at(snapshotAt, b.Snapshots[n-1].At, farm, role)
	}
}
