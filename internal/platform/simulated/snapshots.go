package simulated

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/farmhand/terraform-provider-farmhand/internal/platform"
	"github.com/farmhand/terraform-provider-farmhand/internal/store"
)

var _ platform.Snapshotter = (*Simulated)(nil)

func snapshotPrefix(farm string) string  { return farm + "/simulated/snapshot/" }
func snapshotKey(farm, id string) string { return snapshotPrefix(farm) + id }

// snapshotFaultKey is there while the next snapshot of an instance is to fail.
func snapshotFaultKey(farm, instance string) string {
	return farm + "/simulated/snapshot-fault/" + instance
}

// TakeSnapshot records a snapshot that is done at once, or has failed where FailSnapshot asked for that.
func (s *Simulated) TakeSnapshot(ctx context.Context, role, instance, name string) (platform.Snapshot, error) {
	doing := "taking snapshot " + name + " of " + instance
	if err := platform.CheckSnapshotName(name); err != nil {
		return platform.Snapshot{}, fmt.Errorf("%s: %w", doing, err)
	}
	shot := platform.Snapshot{ID: "snap-" + s.farm.Name + "-" + name, Name: name, Role: role, Instance: instance, At: s.now(), State: platform.SnapshotDone}
	old, found, err := s.snapshot(ctx, shot.ID)
	if found || err != nil {
		return old, err
	}
	volumes, err := s.ListVolumes(ctx)
	if err != nil {
		return platform.Snapshot{}, err
	}
	if !slices.ContainsFunc(volumes, func(v platform.Volume) bool { return v.Instance == instance }) {
		return platform.Snapshot{}, fmt.Errorf("%s: it has no volume: %w", doing, platform.ErrInvalid)
	}
	fault := snapshotFaultKey(s.farm.Name, instance)
	switch _, err := s.store.Get(ctx, fault); {
	case err == nil:
		shot.State, shot.Text = platform.SnapshotFailed, "simulated: this snapshot was made to fail"
	case !errors.Is(err, store.ErrNotFound):
		return platform.Snapshot{}, unavailable(doing, err)
	}
	_, err = store.PutJSON(ctx, s.store, snapshotKey(s.farm.Name, shot.ID), shot, store.If(store.Absent()))
	if errors.Is(err, store.ErrConflict) { // another process has just taken it
		old, _, err := s.snapshot(ctx, shot.ID)
		return old, err
	}
	if err == nil && shot.State == platform.SnapshotFailed {
		err = s.store.Delete(ctx, fault)
	}
	return shot, unavailable(doing, err)
}

// snapshot reads the record of one; found is false where there is none.
func (s *Simulated) snapshot(ctx context.Context, id string) (shot platform.Snapshot, found bool, err error) {
	shot, _, err = store.GetJSON[platform.Snapshot](ctx, s.store, snapshotKey(s.farm.Name, id))
	if errors.Is(err, store.ErrNotFound) {
		return platform.Snapshot{}, false, nil
	}
	return shot, err == nil, unavailable("reading snapshot "+id, err)
}

// ListSnapshots returns the farm's, oldest first.
func (s *Simulated) ListSnapshots(ctx context.Context) ([]platform.Snapshot, error) {
	items, err := store.ListJSON[platform.Snapshot](ctx, s.store, snapshotPrefix(s.farm.Name))
	if err != nil {
		return nil, unavailable("listing the snapshots of farm "+s.farm.Name, err)
	}
	shots := make([]platform.Snapshot, 0, len(items))
	for _, i := range items {
		shots = append(shots, i.Value)
	}
	slices.SortFunc(shots, func(a, b platform.Snapshot) int { return cmp.Or(a.At.Compare(b.At), cmp.Compare(a.Name, b.Name)) })
	return shots, nil
}

// DeleteSnapshot forgets a snapshot.
func (s *Simulated) DeleteSnapshot(ctx context.Context, id string) error {
	if id == "" {
		return nil
	}
	return unavailable("deleting snapshot "+id, s.store.Delete(ctx, snapshotKey(s.farm.Name, id)))
}

// EnsureVolumeOf records the instance's volume, which holds as little as what it is made of.
func (s *Simulated) EnsureVolumeOf(ctx context.Context, role, instance, snapshot string) (string, error) {
	doing := "making the volume of " + instance + " of snapshot " + snapshot
	volumes, err := s.ListVolumes(ctx)
	if err != nil {
		return "", err
	}
	if i := slices.IndexFunc(volumes, func(v platform.Volume) bool { return v.Instance == instance }); i >= 0 {
		return volumes[i].ID, nil
	}
	shot, found, err := s.snapshot(ctx, snapshot)
	switch {
	case err != nil:
		return "", err
	case !found:
		return "", fmt.Errorf("%s: there is no such snapshot: %w", doing, platform.ErrInvalid)
	case shot.State != platform.SnapshotDone:
		return "", fmt.Errorf("%s: it has failed (%s): %w", doing, shot.Text, platform.ErrInvalid)
	}
	return s.EnsureVolume(ctx, role, instance)
}
