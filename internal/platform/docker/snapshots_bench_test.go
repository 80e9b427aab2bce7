package docker

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"testing"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	"github.com/farmhand/terraform-provider-farmhand/internal/platform"
	"github.com/farmhand/terraform-provider-farmhand/internal/spec"
)

// BenchmarkSnapshot is a snapshot of 260 MB under a machine that runs: until TakeSnapshot returns, until it is done, and for how long the
// machine is paused. Cold is what the engine's machine has to read from its disk, as a database's files that bypass its memory.
func BenchmarkSnapshot(b *testing.B) {
	c, err := connect(b.Context(), "")
	if err != nil {
		b.Skipf("no container engine: %v", err)
	}
	defer c.Close()
	if _, err := localImage(b.Context(), c, copyImage); err != nil {
		b.Skipf("no image %s: %v", copyImage, err)
	}
	farm := spec.Farm{Name: fmt.Sprintf("fhbench-%d", os.Getpid()), Docker: &spec.Docker{Subnet: "10.99.0.0/24", Image: copyImage}}
	d, err := New(Options{Farm: farm, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		b.Fatal(err)
	}
	defer d.Close()
	id, err := d.EnsureVolume(b.Context(), "db", "db-1")
	if err != nil {
		b.Fatal(err)
	}
	defer d.DeleteVolume(context.WithoutCancel(b.Context()), id)
	const files = "for i in $(seq 26); do dd if=/dev/urandom of=/data/$i bs=1M count=10 conv=fsync status=none; done; exec sleep 1000000"
	m, err := c.ContainerCreate(b.Context(), client.ContainerCreateOptions{
		Config:     &container.Config{Image: copyImage, Entrypoint: []string{"sh", "-c", files}, Labels: d.labels(map[string]string{labelRole: "db", labelInstance: "db-1"})},
		HostConfig: &container.HostConfig{NetworkMode: "none", Mounts: mountsOf(id, "/data")},
	})
	if err != nil {
		b.Fatal(err)
	}
	defer c.ContainerRemove(context.WithoutCancel(b.Context()), m.ID, client.ContainerRemoveOptions{Force: true})
	if _, err := c.ContainerStart(b.Context(), m.ID, client.ContainerStartOptions{}); err != nil {
		b.Fatal(err)
	}
	command(b, c, m.ID, "until [ $(du -sm /data | cut -f 1) -ge 260 ]; do sleep 0.2; done; sync -f /data")
	for _, kind := range []string{"warm", "cold"} {
		b.Run(kind, func(b *testing.B) { benchmarkSnapshot(b, d, c, m.ID, kind == "cold") })
	}
}

func benchmarkSnapshot(b *testing.B, d *Docker, c *client.Client, machine string, cold bool) {
	var returned, paused time.Duration
	for n := 0; b.Loop(); n++ {
		b.StopTimer()
		if cold {
			command(b, c, machine, "for f in /data/*; do dd if=$f iflag=nocache count=0 status=none; done")
		}
		began := time.Now()
		b.StartTimer()
		s, err := d.TakeSnapshot(b.Context(), "db", "db-1", fmt.Sprint("n", n))
		if err != nil {
			b.Fatal(err)
		}
		returned += time.Since(began)
		w := d.underWay(s.ID)
		<-w.done
		b.StopTimer()
		paused += pauseOf(b, c, machine, began)
		all, err := d.ListSnapshots(b.Context())
		if err != nil || len(all) != 1 || all[0].State != platform.SnapshotDone {
			b.Fatalf("there is %+v, %v", all, err)
		}
		if err := d.DeleteSnapshot(b.Context(), s.ID); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
	}
	b.ReportMetric(float64(returned.Milliseconds())/float64(b.N), "ms-to-return/op")
	b.ReportMetric(float64(paused.Milliseconds())/float64(b.N), "ms-paused/op")
}

// pauseOf is for how long the engine says that a container was paused since.
func pauseOf(b *testing.B, c *client.Client, id string, since time.Time) time.Duration {
	stamp := func(t time.Time) string { return fmt.Sprintf("%d.%09d", t.Unix(), t.Nanosecond()) }
	stream := c.Events(b.Context(), client.EventsListOptions{
		Since: stamp(since), Until: stamp(time.Now()), Filters: client.Filters{}.Add("container", id).Add("event", "pause", "unpause"),
	})
	at := map[string]int64{}
	for {
		select {
		case m := <-stream.Messages:
			at[string(m.Action)] = m.TimeNano
		case <-stream.Err:
			return time.Duration(at["unpause"] - at["pause"])
		}
	}
}

// command runs a shell's command in a container, and waits for its end.
func command(b *testing.B, c *client.Client, id, script string) {
	b.Helper()
	made, err := c.ExecCreate(b.Context(), id, client.ExecCreateOptions{Cmd: []string{"sh", "-c", script}, AttachStdout: true})
	if err != nil {
		b.Fatal(err)
	}
	out, err := c.ExecAttach(b.Context(), made.ID, client.ExecAttachOptions{})
	if err != nil {
		b.Fatal(err)
	}
	defer out.Close()
	if _, err := io.Copy(io.Discard, out.Reader); err != nil {
		b.Fatal(err)
	}
}
