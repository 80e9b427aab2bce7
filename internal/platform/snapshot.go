package platform

import (
	"context"
	"time"
)

// Snapshotter is a platform that takes snapshots of data volumes and makes volumes of them.
type Snapshotter interface {
	// TakeSnapshot begins a snapshot of the volume of an instance that has one, running or not, or finds the one of that name:
	// calling twice yields one. It shows the volume as it was at one moment during the first call, as a loss of power would have left
	// it: what was on the disk before is in it. It returns without waiting for the rest; see SnapshotState. ErrInvalid where the
	// instance has no volume.
	TakeSnapshot(ctx context.Context, role, instance, name string) (Snapshot, error)
	// ListSnapshots returns the farm's, oldest first, in one call or few. What other than TakeSnapshot made is not among them.
	ListSnapshots(ctx context.Context) ([]Snapshot, error)
	// DeleteSnapshot removes; unknown ids are no error. Volumes that were made of it stay.
	DeleteSnapshot(ctx context.Context, id string) error
	// EnsureVolumeOf is EnsureVolume, but makes the volume of a snapshot that is done where the index has none yet. ErrInvalid if there is
	// no such snapshot. Nothing half-made is ever returned, and what a crash left half-made is not found by EnsureVolume either.
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
