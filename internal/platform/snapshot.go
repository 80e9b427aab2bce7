package platform

import (
	"context"
	"fmt"
	"regexp"
	"time"
)

// Snapshotter is a platform that takes snapshots of data volumes and makes volumes of them.
type Snapshotter interface {
	// TakeSnapshot begins a snapshot of the volume of an instance that has one, running or not, or finds the one of that name:
	// calling twice yields one. It shows the volume as it was at one moment during the first call, as a loss of power would have left
	// it: what was on the disk before is in it. It returns without waiting for the rest; see SnapshotState. ErrInvalid where the
	// instance has no volume, or the name is not one (see CheckSnapshotName); ErrUnavailable where it is to be tried again.
	//
	// Where the farm's own process does the work (Docker), the end of that process ends it: a snapshot that was pending is then not
	// listed any more, and taking it again begins it anew.
	TakeSnapshot(ctx context.Context, role, instance, name string) (Snapshot, error)
	// ListSnapshots returns the farm's, oldest first, in one call or few. What other than TakeSnapshot made is not among them.
	ListSnapshots(ctx context.Context) ([]Snapshot, error)
	// DeleteSnapshot removes, failed and pending ones too; unknown ids are no error. Volumes that were made of it stay. ErrUnavailable
	// while one is being made of it.
	DeleteSnapshot(ctx context.Context, id string) error
	// EnsureVolumeOf is EnsureVolume, but makes the volume of a snapshot that is done where the index has none yet. ErrInvalid if there is
	// no such snapshot, ErrUnavailable while the snapshot or the volume is not whole: ask again. Nothing half-made is ever returned, and
	// what a crash left half-made is not found by EnsureVolume either.
	EnsureVolumeOf(ctx context.Context, role, instance, snapshot string) (string, error)
}

// SnapshotState is how far a snapshot is.
type SnapshotState string

const (
	SnapshotPending SnapshotState = "pending" // its moment is past; it is being stored
	SnapshotDone    SnapshotState = "done"
	SnapshotFailed  SnapshotState = "failed" // of no use; Text says why
)

// Snapshot is one of a data volume.
type Snapshot struct {
	ID       string // the platform's own
	Name     string // the caller's: letters, digits and '-'; unique within the farm
	Role     string
	Instance string    // whose volume it shows
	At       time.Time // the moment that it shows, by the platform's clock
	State    SnapshotState
	Text     string // progress, or why it failed
	Bytes    int64  // what the platform says that it takes, 0 where it does not
}

// snapshotName is short enough for a tag and for the name of a volume.
var snapshotName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9-]{0,127}$`)

// CheckSnapshotName returns an ErrInvalid for what cannot be a snapshot's name.
func CheckSnapshotName(name string) error {
	if !snapshotName.MatchString(name) {
		return fmt.Errorf("%q is no name for a snapshot: write up to 128 letters, digits and '-': %w", name, ErrInvalid)
	}
	return nil
}
