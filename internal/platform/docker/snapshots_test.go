package docker

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/mount"
	"github.com/moby/moby/client"

	"github.com/farmhand/terraform-provider-farmhand/internal/platform"
)

// newVolumeFixture is a fixture on an engine that can copy volumes.
func newVolumeFixture(t *testing.T) *fixture {
	t.Helper()
	var f *fixture
	t.Cleanup(func() { f.dropVolumes() }) // once its machines are gone
	f = newFixture(t)
	if _, err := localImage(t.Context(), f.c, copyImage); err != nil {
		t.Skipf("no image %s, whose cp copies volumes (make image): %v", copyImage, err)
	}
	f.d.farm.Docker.Image = copyImage
	return f
}

// onVolume launches the machine of the n-th index on its volume, which is mounted at a path.
func (f *fixture) onVolume(n int, volume, at string) platform.Machine {
	f.Helper()
	l := f.request(n)
	l.Image, l.Volume, l.VolumePath = testImage, volume, at
	m, err := f.d.Launch(f.Context(), l)
	if err != nil {
		f.Fatal(err)
	}
	return m
}

func (f *fixture) volume(instance string) string {
	f.Helper()
	id, err := f.d.EnsureVolume(f.Context(), "web", instance)
	if err != nil {
		f.Fatal(err)
	}
	return id
}

// fill writes megabytes of data to a file of a container.
func (f *fixture) fill(m platform.Machine, dir string, megabytes int) {
	f.Helper()
	const mega = 1 << 20
	r, w := io.Pipe()
	go func() {
		archive := tar.NewWriter(w)
		err := archive.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: "filler", Mode: 0o600, Size: int64(megabytes) * mega})
		block := bytes.Repeat([]byte("data that is not all zeros. "), mega/28+1)[:mega]
		for range megabytes {
			if err == nil {
				_, err = archive.Write(block)
			}
		}
		w.CloseWithError(errors.Join(err, archive.Close()))
	}()
	if _, err := f.c.CopyToContainer(f.Context(), m.ID, client.CopyToContainerOptions{DestinationPath: dir, Content: r}); err != nil {
		f.Fatal(err)
	}
}

func (f *fixture) take(d *Docker, name string) platform.Snapshot {
	f.Helper()
	s, err := d.TakeSnapshot(f.Context(), "web", "web-1", name)
	if err != nil {
		f.Fatal(err)
	}
	return s
}

// ended waits until a snapshot is pending no more.
func (f *fixture) ended(d *Docker, id string) platform.Snapshot {
	f.Helper()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		all, err := d.ListSnapshots(f.Context())
		if err != nil {
			f.Fatal(err)
		}
		i := slices.IndexFunc(all, func(s platform.Snapshot) bool { return s.ID == id })
		if i < 0 || all[i].State != platform.SnapshotPending {
			if i < 0 {
				return platform.Snapshot{}
			}
			return all[i]
		}
		if time.Now().After(deadline) {
			f.Fatalf("still pending: %+v", all[i])
		}
	}
}

func (f *fixture) state(id string) container.State {
	f.Helper()
	r, err := f.c.ContainerInspect(f.Context(), id, client.ContainerInspectOptions{})
	if err != nil {
		f.Fatal(err)
	}
	return *r.Container.State
}

// nothingHalfMade checks that nobody is paused, nothing copies, and that volumes are those of instances, and snapshots with their records.
func (f *fixture) nothingHalfMade(snapshots ...string) {
	f.Helper()
	for _, item := range f.containers() {
		if item.State == container.StatePaused || item.Labels[labelCopies] != "" {
			f.Errorf("container %s is %s", nameOf(item), item.State)
		}
	}
	want := []string{}
	for _, id := range snapshots {
		want = append(want, id, recordOf(id))
	}
	list, err := f.c.VolumeList(f.Context(), client.VolumeListOptions{Filters: f.d.mine()})
	if err != nil {
		f.Fatal(err)
	}
	var got []string
	for _, v := range list.Items {
		if strings.Contains(v.Name, ".") {
			got = append(got, v.Name)
		}
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		f.Errorf("beside instances' volumes there are %v, want %v", got, want)
	}
}

func (f *fixture) dropVolumes() {
	if f == nil {
		return
	}
	ctx := context.WithoutCancel(f.Context())
	list, err := f.c.VolumeList(ctx, client.VolumeListOptions{Filters: f.d.mine()})
	if err != nil {
		f.Error(err)
	}
	for _, v := range list.Items {
		if _, err := f.c.VolumeRemove(ctx, v.Name, client.VolumeRemoveOptions{}); err != nil {
			f.Error(err)
		}
	}
}

func mountsOf(volume, at string) []mount.Mount {
	return []mount.Mount{{Type: mount.TypeVolume, Source: volume, Target: at}}
}

// numbers reads what the test agent wrote to a volume, file by file.
func (f *fixture) numbers(volume string) []int {
	f.Helper()
	r, err := f.c.ContainerCreate(f.Context(), client.ContainerCreateOptions{
		Config:     &container.Config{Image: testImage, Cmd: []string{"/nothing"}},
		HostConfig: &container.HostConfig{Mounts: mountsOf(volume, "/records")},
	})
	if err != nil {
		f.Fatal(err)
	}
	defer f.remove(r.ID)
	out, err := f.c.CopyFromContainer(f.Context(), r.ID, client.CopyFromContainerOptions{SourcePath: "/records"})
	if err != nil {
		f.Fatal(err)
	}
	defer out.Content.Close()
	var all []int
	for archive := tar.NewReader(out.Content); ; {
		h, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			f.Fatal(err)
		}
		if strings.HasSuffix(h.Name, "filler") {
			continue
		}
		content, err := io.ReadAll(archive)
		if err != nil {
			f.Fatal(err)
		}
		for line := range strings.Lines(string(content)) {
			n, err := strconv.Atoi(strings.TrimSuffix(line, "\n"))
			if err != nil || !strings.HasSuffix(line, "\n") {
				f.Errorf("%s holds %q: %v", h.Name, line, err)
			}
			all = append(all, n)
		}
	}
}

// A writer that never rests writes to several files by turns. Each snapshot holds all that it wrote up to one number, and no more.
func TestASnapshotUnderAWriterHoldsAPrefix(t *testing.T) {
	f := newVolumeFixture(t)
	m := f.onVolume(0, f.volume("web-1"), "/records")
	f.fill(m, "/records", 64) // so that copying takes a while
	last := 0
	for i := range 5 {
		shot := f.take(f.d, fmt.Sprintf("s%d", i))
		if got := f.ended(f.d, shot.ID); got.State != platform.SnapshotDone || got.Bytes < 64<<20 {
			t.Fatalf("it is %+v", got)
		}
		all := f.numbers(shot.ID)
		slices.Sort(all)
		for n, got := range all {
			if got != n+1 {
				t.Fatalf("snapshot %d holds %d numbers, with %d in place of %d: it shows more than one moment", i, len(all), got, n+1)
			}
		}
		if len(all) <= last {
			t.Errorf("snapshot %d holds %d numbers, the one before held %d", i, len(all), last)
		}
		last = len(all)
	}
	if s := f.state(m.ID); s.Paused || !s.Running {
		t.Errorf("the machine is %s", s.Status)
	}
}

// Who was paused by somebody stays so, and what he has written is in the snapshot.
func TestASnapshotLeavesOthersPausesAlone(t *testing.T) {
	f := newVolumeFixture(t)
	m := f.onVolume(0, f.volume("web-1"), "/data")
	if _, err := f.c.ContainerPause(t.Context(), m.ID, client.ContainerPauseOptions{}); err != nil {
		t.Fatal(err)
	}
	shot := f.take(f.d, "a")
	if got := f.ended(f.d, shot.ID); got.State != platform.SnapshotDone {
		t.Errorf("it is %+v", got)
	}
	if !f.state(m.ID).Paused {
		t.Error("the machine was unpaused")
	}
}

// A machine is paused for no longer than it may be: then the snapshot has failed, and says what to do instead.
func TestACopyThatTakesTooLongIsGivenUp(t *testing.T) {
	f := newVolumeFixture(t)
	m := f.onVolume(0, f.volume("web-1"), "/data")
	f.fill(m, "/data", 64)
	f.d.pauseMost = time.Millisecond
	shot := f.take(f.d, "a")
	got := f.ended(f.d, shot.ID)
	if got.State != platform.SnapshotFailed || !strings.Contains(got.Text, "use backups") || !got.At.Equal(shot.At) {
		t.Errorf("it is %+v, first it was %+v", got, shot)
	}
	if f.state(m.ID).Paused {
		t.Error("the machine is paused")
	}
	if again := f.take(f.d, "a"); again.State != platform.SnapshotFailed {
		t.Errorf("taken again it is %+v", again)
	}
	if _, err := f.d.EnsureVolumeOf(t.Context(), "web", "web-2", shot.ID); !errors.Is(err, platform.ErrInvalid) {
		t.Errorf("a volume of it: %v", err)
	}
	if err := f.d.DeleteSnapshot(t.Context(), shot.ID); err != nil {
		t.Error(err)
	}
	f.nothingHalfMade()
}

// A container that is not the farm's is not paused; while it may write, no snapshot can be of one moment.
func TestASnapshotPausesNoStranger(t *testing.T) {
	f := newVolumeFixture(t)
	volume := f.volume("web-1")
	image, err := f.d.agentImage(t.Context(), f.c, testImage)
	if err != nil {
		t.Fatal(err)
	}
	mounted := func(readOnly bool) string {
		r, err := f.c.ContainerCreate(t.Context(), client.ContainerCreateOptions{
			Name: fmt.Sprintf("stranger-%s-%v", f.farm, readOnly), Config: &container.Config{Image: image},
			HostConfig: &container.HostConfig{NetworkMode: "none", Mounts: []mount.Mount{{Type: mount.TypeVolume, Source: volume, Target: "/x", ReadOnly: readOnly}}},
		})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.c.ContainerStart(t.Context(), r.ID, client.ContainerStartOptions{}); err != nil {
			t.Fatal(err)
		}
		return r.ID
	}
	reader := mounted(true)
	defer f.remove(reader)
	if got := f.ended(f.d, f.take(f.d, "a").ID); got.State != platform.SnapshotDone {
		t.Errorf("beside one who reads it is %+v", got)
	}
	writer := mounted(false)
	defer f.remove(writer)
	if _, err := f.d.TakeSnapshot(t.Context(), "web", "web-1", "b"); !errors.Is(err, platform.ErrInvalid) || !strings.Contains(err.Error(), "stranger-") {
		t.Errorf("beside one who writes: %v; want an ErrInvalid that names him", err)
	}
	f.nothingHalfMade(f.d.snapshotID("a"))
}

// What a machine writes that is started while its volume is copied may be in the copy, or half of it.
func TestAMachineStartedMeanwhileSpoilsTheSnapshot(t *testing.T) {
	f := newVolumeFixture(t)
	volume := f.volume("web-1")
	m := f.onVolume(0, volume, "/data")
	f.fill(m, "/data", 200)
	if err := f.d.Terminate(t.Context(), m.ID, time.Second); err != nil {
		t.Fatal(err)
	}
	shot := f.take(f.d, "a")
	if _, err := f.c.ContainerPause(t.Context(), shot.ID, client.ContainerPauseOptions{}); err != nil { // it copies for as long as this takes
		t.Fatal(err)
	}
	l := f.request(0)
	l.Token, l.Image, l.Volume, l.VolumePath = "another", testImage, volume, "/data"
	if _, err := f.d.Launch(t.Context(), l); err != nil {
		t.Fatal(err)
	}
	if _, err := f.c.ContainerUnpause(t.Context(), shot.ID, client.ContainerUnpauseOptions{}); err != nil {
		t.Fatal(err)
	}
	got := f.ended(f.d, shot.ID)
	if got.State != platform.SnapshotFailed || !strings.Contains(got.Text, "was started on volume") {
		t.Errorf("it is %+v", got)
	}
}
