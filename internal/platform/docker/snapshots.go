package docker

import (
	"context"
	"fmt"

	"github.com/farmhand/terraform-provider-farmhand/internal/platform"
)

var _ platform.Snapshotter = (*Docker)(nil)

// TakeSnapshot copies the instance's volume to one of its own. A machine that runs on it is paused meanwhile, for pauseMost at most: so the
// copy shows one moment. The container that copies is started before, so that the pause is as long as the copy and no longer. The copy is
// made after TakeSnapshot has returned, by this value: Close gives it up. What a process that died has left is found by its labels, and
// tidied up by whoever looks next (see settle): a machine stays paused until then.
//
// ErrInvalid also where a container that is not the farm's may write to the volume; ErrUnavailable where the machine is just being started or ended.
func (d *Docker) TakeSnapshot(ctx context.Context, role, instance, name string) (platform.Snapshot, error) {
	doing := "taking snapshot " + name + " of " + instance
	if err := platform.CheckSnapshotName(name); err != nil {
		return platform.Snapshot{}, fmt.Errorf("%s: %w", doing, err)
	}
	c, err := d.client(ctx)
	if err != nil {
		return platform.Snapshot{}, err
	}
	id := d.snapshotID(name)
	defer d.taking.lock(id)()
	have, err := d.settled(ctx, c)
	if err != nil {
		return platform.Snapshot{}, err
	}
	if s, ok := have.snapshot(name); ok {
		return d.seenHere(s), nil
	}
	from := have.volumeOf(instance)
	if from == "" {
		return platform.Snapshot{}, fmt.Errorf("%s: it has no volume: %w", doing, platform.ErrInvalid)
	}
	base, err := findImage(ctx, c, d.farm.Docker.Image)
	if err != nil {
		return platform.Snapshot{}, fmt.Errorf("%s: %w", doing, err)
	}
	w := d.begin(ctx, id)
	if w == nil { // it has just ended, and is not listed yet
		return platform.Snapshot{}, fmt.Errorf("%s: one of that name is just being ended: %w", doing, platform.ErrUnavailable)
	}
	t := &taking{d: d, c: c, w: w, base: base, id: id, from: from, labels: map[string]string{labelSnapshot: name, labelRole: role, labelInstance: instance}}
	if err := w.inSteps(ctx, t.start, t.announce, t.pause); err != nil {
		if isNameTaken(err) {
			err = fmt.Errorf("%w: another process is just taking it: %w", err, platform.ErrUnavailable)
		}
		t.undo(ctx)
		d.end(id, w, err)
		return platform.Snapshot{}, explain(err, doing)
	}
	go t.finish()
	return platform.Snapshot{ID: id, Name: name, Role: role, Instance: instance, At: *w.moment.Load(), State: platform.SnapshotPending, Text: copyingText}, nil
}

// seenHere is a listed snapshot as this process knows it, which may be just taking it: then the moment is known already, and it is not done
// before its container is gone.
func (d *Docker) seenHere(s platform.Snapshot) platform.Snapshot {
	w := d.underWay(s.ID)
	if w == nil {
		return s
	}
	if at := w.moment.Load(); at != nil {
		s.At = *at
	}
	s.State, s.Text, s.Bytes = platform.SnapshotPending, copyingText, 0
	return s
}

// ListSnapshots returns the farm's, oldest first: one call, and some where something was left half-made.
func (d *Docker) ListSnapshots(ctx context.Context) ([]platform.Snapshot, error) {
	c, err := d.client(ctx)
	if err != nil {
		return nil, err
	}
	have, err := d.settled(ctx, c)
	if err != nil {
		return nil, err
	}
	all := have.snapshots()
	for i := range all {
		all[i] = d.seenHere(all[i])
	}
	return all, nil
}

// DeleteSnapshot removes a snapshot, or gives it up where this process is taking it.
func (d *Docker) DeleteSnapshot(ctx context.Context, id string) error {
	doing := "deleting snapshot " + id
	c, err := d.client(ctx)
	if err != nil {
		return err
	}
	if w := d.underWay(id); w != nil {
		w.cancel(errClosed)
		select {
		case <-w.done:
		case <-ctx.Done():
			return explain(ctx.Err(), doing)
		}
	}
	defer d.taking.lock(id)()
	have, err := d.settled(ctx, c)
	if err != nil {
		return err
	}
	for _, s := range have.snapshots() {
		if s.ID != id {
			continue
		}
		busy, err := d.copiers(ctx, c)
		if err != nil {
			return explain(err, doing)
		}
		for _, h := range busy {
			if h.Labels[labelFrom] == id || h.Labels[labelCopies] == id {
				return fmt.Errorf("%s: container %s is copying it: try again: %w", doing, nameOf(h), platform.ErrUnavailable)
			}
		}
		// The record first: without it the rest is no snapshot, and is tidied up in any case.
		return explain(d.removeVolumes(ctx, c, recordOf(id), id), doing)
	}
	return nil
}
