package platformtest

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/farmhand/terraform-provider-farmhand/internal/platform"
)

// snapshotter is the platform as one that takes snapshots; the case is skipped where it is none.
func (s *suite) snapshotter() platform.Snapshotter {
	s.Helper()
	p, ok := s.platform.(platform.Snapshotter)
	if !ok {
		s.Skip("the platform takes no snapshots")
	}
	if s.h.NoSnapshots != "" {
		s.Skip(s.h.NoSnapshots)
	}
	return p
}

func (s *suite) volume(instance string) string {
	s.Helper()
	id, err := s.platform.EnsureVolume(s.ctx, "web", instance)
	if err != nil {
		s.Fatalf("EnsureVolume(%s): %v", instance, err)
	}
	return id
}

func (s *suite) take(p platform.Snapshotter, instance, name string) platform.Snapshot {
	s.Helper()
	var shot platform.Snapshot
	eventually(s.T, "snapshot "+name+" of "+instance, func() (bool, string) {
		var err error
		shot, err = p.TakeSnapshot(s.ctx, "web", instance, name)
		if err != nil && !errors.Is(err, platform.ErrUnavailable) {
			s.Fatalf("TakeSnapshot(%s, %s): %v", instance, name, err)
		}
		return err == nil, fmt.Sprint(err)
	})
	return shot
}

func (s *suite) snapshots(p platform.Snapshotter) []platform.Snapshot {
	s.Helper()
	all, err := p.ListSnapshots(s.ctx)
	if err != nil {
		s.Fatalf("ListSnapshots: %v", err)
	}
	return all
}

// done waits until a snapshot is done.
func (s *suite) done(p platform.Snapshotter, id string) platform.Snapshot {
	s.Helper()
	var shot platform.Snapshot
	eventually(s.T, "snapshot "+id+" is done", func() (bool, string) {
		all := s.snapshots(p)
		i := slices.IndexFunc(all, func(one platform.Snapshot) bool { return one.ID == id })
		if i < 0 {
			s.Fatalf("snapshot %s is not among %+v", id, all)
		}
		shot = all[i]
		if shot.State == platform.SnapshotFailed {
			s.Fatalf("it failed: %+v", shot)
		}
		return shot.State == platform.SnapshotDone, fmt.Sprintf("%+v", shot)
	})
	return shot
}

// volumeOf makes an instance's volume of a snapshot.
func (s *suite) volumeOf(p platform.Snapshotter, instance, snapshot string) string {
	s.Helper()
	var id string
	eventually(s.T, "a volume of snapshot "+snapshot, func() (bool, string) {
		var err error
		id, err = p.EnsureVolumeOf(s.ctx, "web", instance, snapshot)
		if err != nil && !errors.Is(err, platform.ErrUnavailable) {
			s.Fatalf("EnsureVolumeOf(%s, %s): %v", instance, snapshot, err)
		}
		return err == nil, fmt.Sprint(err)
	})
	return id
}

// running launches the machine of the n-th index on a volume.
func (s *suite) running(n int, volume string) platform.Machine {
	s.Helper()
	l := s.request(s.farm, n)
	l.Volume, l.VolumePath = volume, "/data"
	m := s.launch(s.platform, l)
	return s.becomes(s.platform, m.ID, platform.Up)
}

func snapshotShowsItsMoment(s *suite) {
	p := s.snapshotter()
	before := time.Now().Add(-time.Minute)
	m := s.running(0, s.volume("web-1"))
	if s.h.WriteFile != nil {
		s.h.WriteFile(s.T, m, "/data/before", "written before")
	}
	shot := s.take(p, "web-1", "Nightly-1")
	if s.h.WriteFile != nil {
		s.h.WriteFile(s.T, m, "/data/after", "written after")
	}
	listed := s.done(p, shot.ID)
	want := platform.Snapshot{ID: shot.ID, Name: "Nightly-1", Role: "web", Instance: "web-1", At: shot.At, State: platform.SnapshotDone, Text: listed.Text, Bytes: listed.Bytes}
	if !listed.At.Equal(shot.At) || shot.At.Before(before) || shot.At.After(time.Now().Add(time.Minute)) {
		s.Errorf("its moment is %s, first it was %s", listed.At, shot.At)
	}
	if want.At = listed.At; listed != want {
		s.Errorf("it is listed as\n %+v, want\n %+v", listed, want)
	}
	if got := s.one(s.platform, m.ID); got.Status != platform.Up || len(s.list(s.platform)) != 1 {
		s.Errorf("the snapshot did this to the machines: %+v", s.list(s.platform))
	}
	if got := s.volumes(s.platform); len(got) != 1 || got[0].Instance != "web-1" {
		s.Errorf("with a snapshot, ListVolumes gives %+v", got)
	}

	volume := s.volumeOf(p, "web-2", shot.ID)
	if err := p.DeleteSnapshot(s.ctx, shot.ID); err != nil {
		s.Fatalf("DeleteSnapshot: %v", err)
	}
	copied := s.running(1, volume)
	if s.h.Files != nil {
		if got := s.h.Files(s.T, copied, "/data"); !slices.Contains(got, "before") || slices.Contains(got, "after") {
			s.Errorf("the volume that was made of it holds %v", got)
		}
		if got := s.h.ReadFile(s.T, copied, "/data/before"); got != "written before" {
			s.Errorf("it reads %q there", got)
		}
	}
	if got := s.volumes(s.platform); len(got) != 2 {
		s.Errorf("without the snapshot there are volumes %+v", got)
	}
}

func snapshotTakenOnce(s *suite) {
	p := s.snapshotter()
	s.volume("web-1")
	first := s.take(p, "web-1", "a")
	if again := s.take(p, "web-1", "a"); again.ID != first.ID || !again.At.Equal(first.At) {
		s.Errorf("taken again it is %+v, it was %+v", again, first)
	}
	s.done(p, first.ID)
	if again := s.take(p, "web-1", "a"); again.ID != first.ID || !again.At.Equal(first.At) || again.State != platform.SnapshotDone {
		s.Errorf("taken again once it was done it is %+v, it was %+v", again, first)
	}
	other := s.open(s.farm).(platform.Snapshotter)
	if again := s.take(other, "web-1", "a"); again.ID != first.ID {
		s.Errorf("taken again by another process it is %+v, it was %+v", again, first)
	}
	s.volume("web-2")
	s.volume("web-3")
	// A platform may tell moments by the millisecond: within one, their order is their names'.
	later := func(than platform.Snapshot) {
		eventually(s.T, "a later moment", func() (bool, string) {
			return time.Now().After(than.At.Add(time.Millisecond)), than.At.String()
		})
	}
	later(first)
	second := s.take(p, "web-2", "B")
	later(second)
	third := s.take(other, "web-3", "0")
	s.done(p, second.ID)
	s.done(other, third.ID)
	var names []string
	for _, shot := range s.snapshots(s.open(s.farm).(platform.Snapshotter)) {
		names = append(names, shot.Name)
	}
	if got := strings.Join(names, " "); got != "a B 0" {
		s.Errorf("they are listed as %s, want the oldest first: a B 0", got)
	}
	for _, id := range []string{second.ID, second.ID, "no-such-snapshot", ""} {
		if err := p.DeleteSnapshot(s.ctx, id); err != nil {
			s.Errorf("DeleteSnapshot(%q): %v", id, err)
		}
	}
	for _, by := range []platform.Snapshotter{p, s.open(s.farm).(platform.Snapshotter)} {
		all := s.snapshots(by)
		if slices.ContainsFunc(all, func(shot platform.Snapshot) bool { return shot.ID == second.ID }) || len(all) == 0 {
			s.Errorf("with one deleted there are %+v", all)
		}
	}
	if got := s.volumes(s.platform); len(got) != 3 {
		s.Errorf("there are volumes %+v", got)
	}
}

func snapshotOfNothing(s *suite) {
	p := s.snapshotter()
	for _, c := range []struct{ instance, name string }{{"web-1", "a"}, {"web-1", "no_name"}, {"web-1", ""}} {
		if c.name != "a" {
			s.volume("web-1")
		}
		if shot, err := p.TakeSnapshot(s.ctx, "web", c.instance, c.name); !errors.Is(err, platform.ErrInvalid) || !strings.Contains(err.Error(), c.instance) {
			s.Errorf("TakeSnapshot(%s, %q) gives %+v, %v; want an ErrInvalid that names the instance", c.instance, c.name, shot, err)
		}
	}
	if got := s.snapshots(p); len(got) != 0 {
		s.Errorf("there are snapshots %+v", got)
	}
}

func volumesOfSnapshots(s *suite) {
	p := s.snapshotter()
	source := s.volume("web-1")
	shot := s.take(p, "web-1", "a")
	s.done(p, shot.ID)
	if id, err := p.EnsureVolumeOf(s.ctx, "web", "web-2", "no-such-snapshot"); !errors.Is(err, platform.ErrInvalid) || !strings.Contains(err.Error(), "no-such-snapshot") {
		s.Errorf("of no snapshot: %q, %v; want an ErrInvalid that names it", id, err)
	}
	if got := s.volumes(s.platform); len(got) != 1 {
		s.Errorf("that left volumes %+v", got)
	}
	id := s.volumeOf(p, "web-2", shot.ID)
	if again := s.volumeOf(p, "web-2", shot.ID); again != id {
		s.Errorf("made again it is %s, it was %s", again, id)
	}
	if again := s.volume("web-2"); again != id {
		s.Errorf("EnsureVolume gives %s, made of the snapshot it was %s", again, id)
	}
	if again := s.volumeOf(p, "web-1", shot.ID); again != source {
		s.Errorf("an index that has volume %s got %s", source, again)
	}
	if err := p.DeleteSnapshot(s.ctx, shot.ID); err != nil {
		s.Fatalf("DeleteSnapshot: %v", err)
	}
	if again := s.volumeOf(p, "web-2", shot.ID); again != id {
		s.Errorf("once the snapshot is gone, it has volume %s, not %s", again, id)
	}
	if got := s.volumes(s.platform); len(got) != 2 {
		s.Errorf("there are volumes %+v", got)
	}
	if err := s.platform.DeleteVolume(s.ctx, source); err != nil {
		s.Errorf("DeleteVolume: %v", err)
	}
}

func snapshotsOutlive(s *suite) {
	p := s.snapshotter()
	source := s.volume("web-1")
	shot := s.take(p, "web-1", "a")
	s.done(p, shot.ID)
	if err := s.platform.DeleteVolume(s.ctx, source); err != nil {
		s.Fatalf("DeleteVolume: %v", err)
	}
	if err := s.platform.Destroy(s.ctx); err != nil {
		s.Fatalf("Destroy: %v", err)
	}
	other := s.open(s.farm + "-other").(platform.Snapshotter)
	if got := s.snapshots(other); len(got) != 0 {
		s.Errorf("another farm lists %+v", got)
	}
	if err := other.DeleteSnapshot(s.ctx, shot.ID); err != nil {
		s.Errorf("DeleteSnapshot of one of another farm, which is unknown there: %v", err)
	}
	if id, err := other.EnsureVolumeOf(s.ctx, "web", "web-1", shot.ID); !errors.Is(err, platform.ErrInvalid) {
		s.Errorf("another farm makes volume %q of it, %v", id, err)
	}
	next := s.open(s.farm)
	if got := s.snapshots(next.(platform.Snapshotter)); len(got) != 1 || got[0].ID != shot.ID {
		s.Errorf("without its volume and its farm's machines, the snapshots are %+v", got)
	}
	id := s.volumeOf(next.(platform.Snapshotter), "web-1", shot.ID)
	if got := s.volumes(next); len(got) != 1 || got[0].ID != id {
		s.Errorf("made of it, there are volumes %+v", got)
	}
}
