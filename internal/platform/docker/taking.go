package docker

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strconv"
	"time"

	"github.com/moby/moby/client"

	"github.com/farmhand/terraform-provider-farmhand/internal/platform"
)

// errTooSlow is why a copy was given up that a machine was paused for.
var errTooSlow = fmt.Errorf("the copy was not made within the %s that a machine may be paused for: snapshots of this engine are for small volumes; use backups, or take it while the instance does not run", pauseMost)

// taking is a snapshot being taken.
type taking struct {
	d        *Docker
	c        *client.Client
	w        *copying
	base     baseImage
	id, from string            // volumes: its own, and the one that it shows
	labels   map[string]string // of its volume

	users   []user    // of the volume at the moment
	toPause []user    // of those
	paused  []user    // of those, who is so now
	since   time.Time // when the pause began
	unsure  bool      // whether the engine has paused somebody
	copier  *copier
	free    func() // lets others copy the volume
}

// start starts the container that is to copy.
func (t *taking) start(ctx context.Context) error {
	// Two that pause one machine would unpause it under one another's hands.
	t.free = t.d.pausing.lock(t.from)
	var err error
	if t.users, err = t.d.users(ctx, t.c, t.from); err != nil {
		return err
	}
	if t.toPause, err = toPause(t.users, t.from); err != nil {
		return err
	}
	labels := maps.Clone(t.labels)
	labels[labelPauses] = idsOf(t.toPause)
	toLabels := t.d.labels(t.labels)
	toLabels[labelFrom], toLabels[labelAt] = t.from, stamp(time.Now())
	t.copier, err = t.d.startCopier(ctx, t.c, t.base, copyOrder{name: t.id, from: t.from, to: t.id, labels: labels, toLabels: toLabels})
	return err
}

// announce tells the container that machines are about to be paused: where this process ends from here on, they are to be unpaused.
func (t *taking) announce(ctx context.Context) error {
	if err := t.copier.say("pause"); err != nil {
		return err
	}
	_, err := t.copier.await(ctx, "pausing")
	return err
}

// pause pauses the machines, which is the moment, and lets the copy begin.
func (t *taking) pause(ctx context.Context) (err error) {
	t.since = time.Now()
	if t.paused, err = t.d.pause(ctx, t.c, t.toPause); err != nil {
		t.unsure = isUnanswered(err)
		return err
	}
	for i := range t.users {
		t.users[i].paused = true
	}
	now := time.Now()
	t.w.moment.Store(&now)
	if len(t.paused) == 0 {
		t.release()
	}
	return t.copier.say("copy")
}

// release lets others copy the volume.
func (t *taking) release() {
	if t.free != nil {
		t.free()
		t.free = nil
	}
}

// finish waits for the copy, unpauses and makes it a snapshot.
func (t *taking) finish() {
	ctx, cancel := context.WithTimeoutCause(t.w.own, copyWithin, errEndless)
	defer cancel()
	err := t.copied(ctx)
	if resumed := t.resume(ctx); err == nil {
		err = resumed
	}
	var bytes int64
	if err == nil {
		bytes, err = t.copier.stored(ctx)
	}
	record := map[string]string{labelRecord: string(platform.SnapshotDone), labelBytes: strconv.FormatInt(bytes, 10)}
	if err != nil {
		record = map[string]string{labelRecord: string(platform.SnapshotFailed), labelText: plain(explain(err, "copying "+t.from))}
	}
	if !errors.Is(err, errClosed) {
		if recordErr := t.record(ctx, record); recordErr != nil {
			err = recordErr
		}
	}
	if err == nil {
		t.copier.hangUp()
		if err := t.d.removeCopier(ctx, t.c, t.copier.id); err != nil {
			t.d.log.Warn("a container that has copied could not be removed; it is tried again", "container", t.copier.name, "error", err)
		}
	} else {
		t.d.log.Warn("a snapshot was not taken", "snapshot", t.id, "error", err)
		t.undo(ctx)
	}
	t.d.end(t.id, t.w, err)
}

// copied waits until all is copied and makes sure that nobody has written meanwhile.
func (t *taking) copied(ctx context.Context) error {
	if len(t.paused) > 0 {
		bounded, cancel := context.WithDeadlineCause(ctx, t.since.Add(t.d.pauseMost), errTooSlow)
		defer cancel()
		ctx = bounded
	}
	if _, err := t.copier.await(ctx, "copied"); err != nil {
		return err
	}
	if err := t.d.undisturbed(ctx, t.c, t.from, t.users); err != nil {
		return fmt.Errorf("%w, so that the copy may show two moments: take it again", orCause(ctx, err))
	}
	return nil
}

// resume lets the machines go on, and the volume's next snapshot be taken.
func (t *taking) resume(ctx context.Context) error {
	defer t.release()
	if err := t.d.unpause(ctx, t.c, t.paused); err != nil {
		return err
	}
	if len(t.paused) > 0 {
		t.d.log.Info("a machine was paused for a snapshot", "snapshot", t.id, "for", time.Since(t.since).Round(time.Millisecond))
	}
	t.paused = nil
	return t.copier.say("resumed")
}

// record makes the record, which makes the copy a snapshot.
func (t *taking) record(ctx context.Context, labels map[string]string) error {
	labels[labelAt] = stamp(*t.w.moment.Load())
	maps.Copy(labels, t.labels)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanUpWithin)
	defer cancel()
	_, err := t.c.VolumeCreate(ctx, client.VolumeCreateOptions{Name: recordOf(t.id), Labels: t.d.labels(labels)})
	return err
}

// undo takes back what was begun. What it cannot is tidied up later: then the container stays, which tells what is to be done.
func (t *taking) undo(ctx context.Context) {
	defer t.release()
	err := t.d.unpause(ctx, t.c, t.paused)
	if t.copier == nil {
		return // nothing was made; or it was and nobody was told, which settle sees to
	}
	t.copier.hangUp()
	if err != nil || t.unsure {
		return
	}
	if err = t.d.removeCopier(ctx, t.c, t.copier.id); err == nil {
		err = t.d.removeVolumes(ctx, t.c, t.id)
	}
	if err != nil {
		t.d.log.Warn("a copy that was given up could not be removed; it is tried again", "snapshot", t.id, "error", err)
	}
}
