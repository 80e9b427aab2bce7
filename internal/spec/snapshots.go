package spec

import (
	"fmt"
	"time"
)

// Snapshots says when snapshots of a database's data volume are taken and how many are kept. Zone and window are the backup's.
type Snapshots struct {
	Cron string `json:"cron"` // five fields
	Keep int    `json:"keep"` // the newest so many, besides those that a person asked for
}

// Defaults of snapshots: a day's worth, so that the newest is at most six hours away from a new replica.
const (
	DefaultSnapshotCron = "0 */6 * * *"
	DefaultSnapshotKeep = 4
	// MaxSnapshotKeep: an account has 100,000 snapshots a region, and who needs more than these needs full backups.
	MaxSnapshotKeep = 1000
)

// SetDefaults fills in what was left out.
func (s *Snapshots) SetDefaults() {
	orDefault(&s.Cron, DefaultSnapshotCron)
	orDefault(&s.Keep, DefaultSnapshotKeep)
}

func (s Snapshots) validate() []Problem {
	if s.Keep < 1 || s.Keep > MaxSnapshotKeep {
		return []Problem{{Attribute: "backup.snapshots.keep", Summary: fmt.Sprintf("%d snapshots cannot be kept", s.Keep),
			Advice: fmt.Sprintf("Set a number from 1 to %d, or leave snapshots out.", MaxSnapshotKeep)}}
	}
	return nil
}

// SnapshotDue is Due of the snapshots; zero times where none are declared.
func (b Backup) SnapshotDue(now time.Time) (last, next time.Time) {
	if b.Snapshots == nil {
		return last, next
	}
	return firings(b.Snapshots.Cron, b.Zone, now)
}
