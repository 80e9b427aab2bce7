package docker

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/moby/moby/client"

	"github.com/farmhand/terraform-provider-farmhand/internal/platform"
)

// fillPatience is how long EnsureVolumeOf waits for the copy that it has begun, before it lets its caller ask again. It is called for a
// launch, beside the farm's ticks.
const fillPatience = 20 * time.Second

// EnsureVolumeOf copies the snapshot to a volume of the instance's. The copy goes on after fillPatience, with ErrUnavailable as the
// answer; Close gives it up. A mark on the instance is made before the volume and removed when all is on the disk: while it is there, so is
// no volume for anybody.
func (d *Docker) EnsureVolumeOf(ctx context.Context, role, instance, snapshot string) (string, error) {
	doing := fmt.Sprintf("making the volume of %s of snapshot %s", instance, snapshot)
	c, err := d.client(ctx)
	if err != nil {
		return "", err
	}
	w, id, err := d.filling(ctx, c, role, instance, snapshot)
	if err != nil || id != "" {
		return id, explain(err, doing)
	}
	patience := time.NewTimer(fillPatience)
	defer patience.Stop()
	select {
	case <-w.done:
		if w.err != nil {
			return "", explain(w.err, doing)
		}
	case <-patience.C:
	case <-ctx.Done():
	}
	have, err := d.holdings(context.WithoutCancel(ctx), c)
	if err != nil {
		return "", err
	}
	if id := have.volumeOf(instance); id != "" {
		return id, nil
	}
	return "", fmt.Errorf("%s: it is being copied: ask again: %w", doing, platform.ErrUnavailable)
}

// filling returns the instance's volume, or the copy that is under way.
func (d *Docker) filling(ctx context.Context, c *client.Client, role, instance, snapshot string) (*copying, string, error) {
	mark := d.markOf(instance)
	defer d.taking.lock(mark)()
	have, err := d.settled(ctx, c)
	if err != nil {
		return nil, "", err
	}
	if id := have.volumeOf(instance); id != "" {
		return nil, id, nil
	}
	if w := d.underWay(mark); w != nil {
		return w, "", nil
	}
	if _, marked := have.marks[instance]; marked {
		return nil, "", fmt.Errorf("another process is at it: ask again: %w", platform.ErrUnavailable)
	}
	if err := usable(have, snapshot); err != nil {
		return nil, "", err
	}
	base, err := findImage(ctx, c, d.farm.Docker.Image)
	if err != nil {
		return nil, "", err
	}
	w := d.begin(ctx, mark)
	if w == nil { // begun by a call that has just ended
		return nil, "", fmt.Errorf("it is just being ended: ask again: %w", platform.ErrUnavailable)
	}
	f := &filler{d: d, c: c, w: w, base: base, mark: mark, from: snapshot, role: role, instance: instance}
	if err := w.inSteps(ctx, f.reserve, f.create, f.start); err != nil {
		f.undo(ctx, err)
		d.end(mark, w, err)
		return nil, "", err
	}
	go f.finish()
	return w, "", nil
}

// usable tells whether volumes can be made of a snapshot.
func usable(have holdings, id string) error {
	for _, s := range have.snapshots() {
		switch {
		case s.ID != id:
		case s.State == platform.SnapshotDone:
			return nil
		case s.State == platform.SnapshotPending:
			return fmt.Errorf("the snapshot is not whole yet: ask again: %w", platform.ErrUnavailable)
		default:
			return fmt.Errorf("the snapshot has failed (%s): %w", s.Text, platform.ErrInvalid)
		}
	}
	return fmt.Errorf("there is no such snapshot: %w", platform.ErrInvalid)
}

// filler is a volume being made of a snapshot.
type filler struct {
	d    *Docker
	c    *client.Client
	w    *copying
	base baseImage

	mark, from, role, instance string
	to                         string // once it is made
	copier                     *copier
}

// reserve makes the mark.
func (f *filler) reserve(ctx context.Context) error {
	labels := map[string]string{labelFilling: f.instance, labelRole: f.role, labelAt: stamp(time.Now())}
	_, err := f.c.VolumeCreate(ctx, client.VolumeCreateOptions{Name: f.mark, Labels: f.d.labels(labels)})
	return err
}

// create makes the volume.
func (f *filler) create(ctx context.Context) (err error) {
	f.to, err = f.d.createVolume(ctx, f.c, f.role, f.instance, f.from)
	return err
}

// start starts the container, and lets the copy begin.
func (f *filler) start(ctx context.Context) (err error) {
	f.copier, err = f.d.startCopier(ctx, f.c, f.base, copyOrder{
		name: f.mark, from: f.from, to: f.to, labels: map[string]string{labelFilling: f.instance},
		toLabels: f.d.volumeLabels(f.role, f.instance, f.from),
	})
	if err != nil {
		return err
	}
	if err := f.copier.say("pause"); err != nil { // there is nobody to be paused
		return err
	}
	if _, err := f.copier.await(ctx, "pausing"); err != nil {
		return err
	}
	return f.copier.say("copy")
}

// finish waits for the copy and takes the mark off.
func (f *filler) finish() {
	ctx := f.w.own
	err := func() error {
		ctx, cancel := context.WithTimeoutCause(ctx, copyWithin, errEndless)
		defer cancel()
		if _, err := f.copier.await(ctx, "copied"); err != nil {
			return err
		}
		if err := f.copier.say("resumed"); err != nil {
			return err
		}
		_, err := f.copier.stored(ctx)
		return err
	}()
	if err == nil {
		err = f.d.removeVolumes(ctx, f.c, f.mark)
	}
	if err != nil {
		f.d.log.Warn("a volume was not made of a snapshot", "instance", f.instance, "snapshot", f.from, "error", err)
		if errors.Is(err, errClosed) {
			err = fmt.Errorf("%w: %w", err, platform.ErrUnavailable)
		}
		f.undo(ctx, err)
	} else {
		f.copier.hangUp()
		if err := f.d.removeCopier(ctx, f.c, f.copier.id); err != nil {
			f.d.log.Warn("a container that has copied could not be removed; it is tried again", "container", f.copier.name, "error", err)
		}
	}
	f.d.end(f.mark, f.w, err)
}

// undo takes back what was begun, the mark last. Where the engine may yet make the volume, the mark stays, which hides it: it is removed with
// the volume when it is older.
func (f *filler) undo(ctx context.Context, why error) {
	var err error
	if f.copier != nil {
		f.copier.hangUp()
		err = f.d.removeCopier(ctx, f.c, f.copier.id)
	}
	var names []string
	if f.to != "" {
		names = append(names, f.to)
	}
	if f.copier != nil || !isUnanswered(why) {
		names = append(names, f.mark)
	}
	if err == nil {
		err = f.d.removeVolumes(ctx, f.c, names...)
	}
	if err != nil {
		f.d.log.Warn("a volume that is not whole could not be removed; it is tried again", "instance", f.instance, "error", err)
	}
}
