package controller

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/farmhand/terraform-provider-farmhand/internal/engine"
	"github.com/farmhand/terraform-provider-farmhand/internal/platform"
	"github.com/farmhand/terraform-provider-farmhand/internal/state"
	"github.com/farmhand/terraform-provider-farmhand/internal/store"
)

const (
	// snapshotsApart is how often at most the platform is asked for snapshots of which none is under way.
	snapshotsApart = 30 * time.Second
	// snapshotPatience bounds one call about a snapshot.
	snapshotPatience = time.Minute
)

// snapshots is what a run knows of the platform's snapshots.
type snapshots struct {
	at      time.Time // of listed
	listed  []platform.Snapshot
	refused refusals // calls that no repetition mends, by name
}

// observeSnapshots lists the platform's snapshots, where a role has or wants any.
func (k *keeper) observeSnapshots(ctx context.Context, s *sight) {
	p, ok := k.platform.(platform.Snapshotter)
	if !ok {
		return
	}
	wanted, pending := false, false
	for _, r := range s.roles {
		b := r.backups
		wanted = wanted || r.Spec.Backup != nil && (r.Spec.Backup.Snapshots != nil || b != nil && len(b.Snapshots) > 0 || r.backupWish != nil && r.backupWish.Kind == state.BackupSnapshot)
		pending = pending || b != nil && (b.Snapshotting != nil || b.Task != nil && b.Task.Snapshot != nil)
	}
	if !wanted && !pending {
		return
	}
	if k.snapshots.at.IsZero() || pending && s.now.Sub(k.snapshots.at) >= k.tickEvery || s.now.Sub(k.snapshots.at) >= snapshotsApart {
		ctx, cancel := context.WithTimeout(ctx, listPatience)
		defer cancel()
		listed, err := p.ListSnapshots(ctx)
		if err != nil {
			k.eventOnce(ctx, state.Event{Kind: "snapshots", Level: "warning", Reason: fmt.Sprintf("the platform cannot list its snapshots (%v); none is taken or deleted until it can", err)})
			return
		}
		k.forgetOnce("", "snapshots")
		k.snapshots.at, k.snapshots.listed = s.now, listed
	}
	s.snapshots, s.snapshotsListed = map[string][]engine.Snapshot{}, true
	for _, l := range k.snapshots.listed {
		e := engine.Snapshot{ID: l.ID, Name: l.Name, Instance: l.Instance, At: l.At, Done: l.State == platform.SnapshotDone}
		switch l.State {
		case platform.SnapshotFailed:
			e.Failed = orElse(l.Text, "the platform does not say why")
		case platform.SnapshotPending:
			e.Progress = l.Text
		}
		s.snapshots[l.Role] = append(s.snapshots[l.Role], e)
	}
	for name, r := range s.roles {
		if r.backups == nil || r.backups.Snapshotting == nil {
			continue
		}
		if why := k.snapshots.refused.of(r.backups.Snapshotting.ID); why != "" {
			s.snapshots[name] = append(s.snapshots[name], engine.Snapshot{Name: r.backups.Snapshotting.ID, Instance: r.backups.Snapshotting.Server, Failed: why})
		}
	}
}

func orElse(s, fallback string) string {
	if s == "" {
		return fallback
	}
	return s
}

// snapshotCall has the platform take a snapshot.
func (k *keeper) snapshotCall(d engine.Decision) func() {
	p, ok := k.platform.(platform.Snapshotter)
	if !ok {
		return nil
	}
	return func() {
		k.jobs.start(k.jobsCtx, k.ends, "snapshot "+d.Snapshot, func(ctx context.Context) error {
			ctx, cancel := context.WithTimeout(ctx, snapshotPatience)
			defer cancel()
			if !k.lease.Held() {
				return store.ErrFenced
			}
			_, err := p.TakeSnapshot(ctx, d.Role, d.Instance, d.Snapshot)
			if err != nil && !errors.Is(err, platform.ErrUnavailable) && ctx.Err() == nil {
				k.snapshots.refused.note(d.Snapshot, err)
				return nil
			}
			return err
		})
	}
}

// dropCall has the platform delete a snapshot.
func (k *keeper) dropCall(d engine.Decision) func() {
	p, ok := k.platform.(platform.Snapshotter)
	if !ok {
		return nil
	}
	return func() {
		k.jobs.start(k.jobsCtx, k.ends, "drop snapshot "+d.Machine, func(ctx context.Context) error {
			ctx, cancel := context.WithTimeout(ctx, snapshotPatience)
			defer cancel()
			if !k.lease.Held() {
				return store.ErrFenced
			}
			err := p.DeleteSnapshot(ctx, d.Machine)
			if err != nil {
				k.eventOnce(ctx, state.Event{Role: d.Role, Kind: "snapshots", Level: "warning", Reason: fmt.Sprintf("deleting snapshot %s: %v; trying again", d.Snapshot, err)})
				return err
			}
			k.forgetOnce(d.Role, "snapshots")
			return nil
		})
	}
}

// ensureVolume makes an instance's volume or finds it, of a snapshot where the launch says so. A replica whose snapshot is gone gets
// an empty one: it is then cloned by stream.
func (k *keeper) ensureVolume(ctx context.Context, l platform.Launch, snapshot string) (string, error) {
	p, ok := k.platform.(platform.Snapshotter)
	if !ok || snapshot == "" {
		return k.platform.EnsureVolume(ctx, l.Role, l.Instance)
	}
	id, err := p.EnsureVolumeOf(ctx, l.Role, l.Instance, snapshot)
	if !errors.Is(err, platform.ErrInvalid) || l.Instance == state.InstanceName(l.Role, 0) {
		return id, err
	}
	if err := k.event(ctx, state.Event{Role: l.Role, Instance: l.Instance, Kind: "volume", Level: "warning",
		Reason: fmt.Sprintf("its volume cannot be made of snapshot %s (%v): it is empty, and its data is streamed from another server", snapshot, err)}); err != nil {
		return "", err
	}
	return k.platform.EnsureVolume(ctx, l.Role, l.Instance)
}

// endSnapshots deletes the role's snapshots with its volumes; it returns how many were kept.
func (k *keeper) endSnapshots(ctx context.Context, name string, keep bool) (kept int, err error) {
	p, ok := k.platform.(platform.Snapshotter)
	if !ok {
		return 0, nil
	}
	all, err := p.ListSnapshots(ctx)
	if err != nil {
		return 0, err
	}
	for _, s := range all {
		switch {
		case s.Role != name:
		case keep:
			kept++
		default:
			if err := p.DeleteSnapshot(ctx, s.ID); err != nil {
				return kept, err
			}
			if err := k.event(ctx, state.Event{Role: name, Instance: s.Instance, Kind: "volume", Level: "info",
				Reason: "snapshot " + s.Name + " deleted with its role; volume.on_destroy = \"keep\" would have kept it"}); err != nil {
				return kept, err
			}
		}
	}
	return kept, nil
}
