package docker

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	"github.com/farmhand/terraform-provider-farmhand/internal/platform"
	"github.com/farmhand/terraform-provider-farmhand/internal/spec"
)

// childEnv makes the test binary a process that takes a snapshot, or makes a volume of one, and does nothing else.
const childEnv = "FARMHAND_DOCKER_TEST_CHILD"

// errand is what such a process is to do.
type errand struct {
	Farm           spec.Farm
	Instance, Name string // take this snapshot
	Of             string // or make the instance's volume of this one
}

func (e errand) run(ctx context.Context, d *Docker) error {
	for {
		var err error
		if e.Of != "" {
			_, err = d.EnsureVolumeOf(ctx, "web", e.Instance, e.Of)
		} else {
			var s platform.Snapshot
			if s, err = d.TakeSnapshot(ctx, "web", e.Instance, e.Name); err == nil && s.State == platform.SnapshotPending {
				err = platform.ErrUnavailable
			}
		}
		if !errors.Is(err, platform.ErrUnavailable) || ctx.Err() != nil {
			return err
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func child(asked string) error {
	var e errand
	if err := json.Unmarshal([]byte(asked), &e); err != nil {
		return err
	}
	d, err := New(Options{Farm: e.Farm, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		return err
	}
	defer d.Close()
	return e.run(context.Background(), d)
}

// steps are the engine's events of what copies volumes of the farm, as they happen.
func (f *fixture) steps(ctx context.Context) <-chan string {
	f.Helper()
	events := f.c.Events(ctx, client.EventsListOptions{Filters: client.Filters{}.Add("type", "container", "volume")})
	out := make(chan string, 64)
	go func() {
		defer close(out)
		for {
			select {
			case m := <-events.Messages:
				name := m.Actor.Attributes["name"] + m.Actor.ID
				if strings.Contains(name, f.farm) && !strings.HasPrefix(string(m.Action), "exec") {
					out <- fmt.Sprint(m.Type, " ", m.Action)
				}
			case <-events.Err:
				return
			}
		}
	}()
	return out
}

// Whatever ends the work at whatever step: nobody stays paused, and nothing is half-made. Then it can be done again.
func TestACopyCutOffAtAnyStepLeavesNothing(t *testing.T) {
	f := newVolumeFixture(t)
	m := f.onVolume(0, f.volume("web-1"), "/data")
	f.fill(m, "/data", 32)
	source := f.take(f.d, "source")
	if got := f.ended(f.d, source.ID); got.State != platform.SnapshotDone {
		t.Fatalf("it is %+v", got)
	}
	// Each starts the errand and returns how to cut it off, and what tells its end.
	asks := func(e errand) map[string]func(t *testing.T) (cut func(), end <-chan error) {
		inProcess := func(cut func(d *Docker, cancel context.CancelFunc)) func(t *testing.T) (func(), <-chan error) {
			return func(t *testing.T) (func(), <-chan error) {
				d, err := New(Options{Farm: e.Farm, Log: slog.New(slog.DiscardHandler)})
				if err != nil {
					t.Fatal(err)
				}
				ctx, cancel := context.WithCancel(t.Context())
				end := make(chan error, 1)
				go func() {
					defer d.Close()
					end <- e.run(ctx, d)
				}()
				return func() { cut(d, cancel) }, end
			}
		}
		return map[string]func(t *testing.T) (func(), <-chan error){
			"the process is killed": func(t *testing.T) (func(), <-chan error) { return f.process(t, e) },
			"its context ends":      inProcess(func(_ *Docker, cancel context.CancelFunc) { cancel() }),
			"it is closed": inProcess(func(d *Docker, cancel context.CancelFunc) {
				cancel() // so that it is not begun anew
				d.Close()
			}),
		}
	}
	for what, e := range map[string]errand{
		"taking":  {Farm: f.d.farm, Instance: "web-1", Name: "cut-off"},
		"filling": {Farm: f.d.farm, Instance: "web-2", Of: source.ID},
	} {
		for how, start := range asks(e) {
			t.Run(what+", "+how, func(t *testing.T) {
				g := *f
				g.T = t
				stride := 3 // of the gentle ends every third; FARMHAND_TEST_LONG=1 at all steps
				if strings.Contains(how, "killed") || os.Getenv("FARMHAND_TEST_LONG") != "" {
					stride = 1
				}
				for n := 0; ; n += stride {
					if !g.cutOff(start, n) {
						if n < 5 {
							t.Errorf("it came to its end in %d steps: this test does not see them", n)
						}
						break
					}
					g.settles(m, e, source.ID)
				}
				g.succeeds(e)
				g.settles(m, e, source.ID)
			})
		}
	}
}

// process runs an errand in a process of its own, which cut kills.
func (f *fixture) process(t *testing.T, e errand) (cut func(), end <-chan error) {
	asked, err := json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childEnv+"="+string(asked))
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() {
		err := cmd.Wait()
		if err != nil {
			err = fmt.Errorf("%w: %s", err, out.String())
		}
		ended <- err
	}()
	return func() { cmd.Process.Kill() }, ended
}

// cutOff starts and cuts off after n steps; false where the work came to its end before.
func (f *fixture) cutOff(start func(*testing.T) (func(), <-chan error), n int) bool {
	f.Helper()
	ctx, cancel := context.WithCancel(f.Context())
	defer cancel()
	steps := f.steps(ctx)
	cut, end := start(f.T)
	var seen []string
	for {
		select {
		case s := <-steps:
			if seen = append(seen, s); len(seen) <= n {
				continue
			}
			cut()
			err := <-end
			f.Logf("cut off at step %d, %s: %v", n, s, err)
			return true
		case err := <-end:
			if err != nil {
				f.Fatalf("after %v: %v", seen, err)
			}
			f.Logf("steps: %s", strings.Join(seen, ", "))
			return false
		}
	}
}

// settles waits until another process, which only lists, has brought all back to order: that of before, or of the work done.
func (f *fixture) settles(m platform.Machine, e errand, source string) {
	f.Helper()
	d, err := New(Options{Farm: f.d.farm, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		f.Fatal(err)
	}
	defer d.Close()
	d.abandonedAfter = time.Second // nobody else is at it; only what the engine was asked for last may be under way
	id := d.snapshotID(e.Name)
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		if _, err := d.List(f.Context()); err != nil {
			f.Fatal(err)
		}
		have, err := d.settled(f.Context(), f.c)
		if err != nil {
			f.Fatal(err)
		}
		copiers, err := d.copiers(f.Context(), f.c)
		if err != nil {
			f.Fatal(err)
		}
		if have.whole() && len(copiers) == 0 && !f.state(m.ID).Paused {
			break
		}
		if time.Now().After(deadline) {
			f.Fatalf("nobody brings this to order: %+v, %d containers, the machine is %s", have, len(copiers), f.state(m.ID).Status)
		}
	}
	f.whole(d, e, id, source)
}

// whole checks what there is, and takes away what the errand made.
func (f *fixture) whole(d *Docker, e errand, id, source string) {
	f.Helper()
	snapshots, err := d.ListSnapshots(f.Context())
	if err != nil {
		f.Fatal(err)
	}
	want := []string{source}
	for _, s := range snapshots {
		if s.ID != source && (s.ID != id || s.State != platform.SnapshotDone || s.Bytes < 32<<20) {
			f.Errorf("there is %+v", s)
		}
		if s.ID == id {
			want = append(want, id)
		}
	}
	f.nothingHalfMade(want...)
	volumes, err := d.ListVolumes(f.Context())
	if err != nil {
		f.Fatal(err)
	}
	for _, v := range volumes {
		if v.Instance == "web-2" {
			if n := f.size(v.ID); n != 32<<20 {
				f.Errorf("the volume of web-2 has %d bytes", n)
			}
			err = errors.Join(err, d.DeleteVolume(f.Context(), v.ID))
		}
	}
	if slices.Contains(want, id) {
		err = errors.Join(err, d.DeleteSnapshot(f.Context(), id))
	}
	if err != nil {
		f.Error(err)
	}
}

// size is the filler's size on a volume.
func (f *fixture) size(volume string) int64 {
	f.Helper()
	r, err := f.c.ContainerCreate(f.Context(), client.ContainerCreateOptions{
		Config:     &container.Config{Image: testImage, Cmd: []string{"/nothing"}},
		HostConfig: &container.HostConfig{Mounts: mountsOf(volume, "/data")},
	})
	if err != nil {
		f.Fatal(err)
	}
	defer f.remove(r.ID)
	h, _ := copyOut(f.T, f.c, r.ID, "/data/filler")
	return h.Size
}

// succeeds does the errand to its end.
func (f *fixture) succeeds(e errand) {
	f.Helper()
	d, err := New(Options{Farm: e.Farm, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		f.Fatal(err)
	}
	defer d.Close()
	if err := e.run(f.Context(), d); err != nil {
		f.Error(err)
	}
}
