package docker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	"github.com/farmhand/terraform-provider-farmhand/internal/platform"
	"github.com/farmhand/terraform-provider-farmhand/internal/spec"
)

// fixture is one farm on a real engine.
type fixture struct {
	*testing.T
	c    *client.Client
	d    *Docker
	nets *subnets
	farm string
}

// newFixture opens a farm of the test's own and removes all of it afterwards; it skips without an engine.
func newFixture(t *testing.T) *fixture {
	t.Helper()
	f := &fixture{T: t, c: engine(t)}
	importTestImage(t, f.c)
	f.nets = newSubnets(t, f.c)
	f.farm = fmt.Sprintf("fhtest-%d-x", os.Getpid())
	f.d = f.platform(f.nets.farmSpec(f.farm))
	if _, err := f.d.Open(t.Context()); err != nil {
		t.Fatalf("Open: %v", err)
	}
	return f
}

func (f *fixture) platform(farm spec.Farm) *Docker {
	f.Helper()
	d, err := New(Options{Farm: farm, AgentBinary: testAgent(f.T), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() {
		ctx := context.WithoutCancel(f.Context())
		machines, err := d.List(ctx)
		if err != nil {
			f.Errorf("cleaning up: %v", err)
		}
		for _, m := range machines {
			if err := d.Terminate(ctx, m.ID, 0); err != nil {
				f.Errorf("cleaning up: %v", err)
			}
		}
		if err := d.Destroy(ctx); err != nil {
			f.Errorf("cleaning up: %v", err)
		}
		d.Close()
	})
	return d
}

func (f *fixture) request(n int) platform.Launch {
	name := fmt.Sprintf("web-%d", n+1)
	return platform.Launch{
		Farm: f.farm, Role: "web", Instance: name, Token: f.farm + name, Generation: "g1", Address: f.nets.address(f.farm, n),
		Bootstrap: platform.Bootstrap{Farm: f.farm, Instance: name, Gateway: "192.0.2.1:1", Secret: "s"},
	}
}

// remove removes a container that the test made itself.
func (f *fixture) remove(id string) {
	f.Helper()
	if _, err := f.c.ContainerRemove(context.WithoutCancel(f.Context()), id, client.ContainerRemoveOptions{Force: true}); err != nil {
		f.Errorf("cleaning up: %v", err)
	}
}

func (f *fixture) deleteVolume(d *Docker, id string) {
	f.Helper()
	if err := d.DeleteVolume(context.WithoutCancel(f.Context()), id); err != nil {
		f.Errorf("cleaning up: %v", err)
	}
}

func (f *fixture) containers() []container.Summary {
	f.Helper()
	r, err := f.c.ContainerList(f.Context(), client.ContainerListOptions{All: true, Filters: f.d.mine()})
	if err != nil {
		f.Fatal(err)
	}
	return r.Items
}

// A process that was killed between create and start left a container that never ran.
func TestLaunchStartsWhatAnInterruptedLaunchCreated(t *testing.T) {
	f := newFixture(t)
	l := f.request(0)
	id := f.createOnly(l)
	if got := f.d.machine(f.containers()[0], time.Now()); got.Status != platform.Pending {
		t.Errorf("just created, it is listed as %s", got.Status)
	}
	if got := f.d.machine(f.containers()[0], time.Now().Add(abandonedAfter+time.Second)); got.Status != platform.Stopped || got.Exit == "" {
		t.Errorf("long after, it is listed as %s (%q): nothing would ever end it", got.Status, got.Exit)
	}
	m, err := f.d.Launch(t.Context(), l)
	if err != nil || m.ID != id || m.Status != platform.Up {
		t.Fatalf("Launch gives %+v, %v; container %s stood created", m, err, id)
	}
	if _, content := copyOut(t, f.c, id, platform.BootstrapPath); !strings.Contains(content, `"secret":"s"`) {
		t.Errorf("it was started without its bootstrap: %s", content)
	}
}

// createOnly does the first half of a launch.
func (f *fixture) createOnly(l platform.Launch) string {
	f.Helper()
	image, err := f.d.agentImage(f.Context(), f.c, testImage)
	if err != nil {
		f.Fatal(err)
	}
	n, err := f.d.opened(f.Context())
	if err != nil {
		f.Fatal(err)
	}
	id, err := f.d.create(f.Context(), f.c, l, n, image)
	if err != nil {
		f.Fatal(err)
	}
	return id
}

func TestLaunchThatCannotStartLeavesNoContainer(t *testing.T) {
	f := newFixture(t)
	if _, err := f.d.Launch(t.Context(), f.request(0)); err != nil {
		t.Fatal(err)
	}
	rival := f.request(1)
	rival.Address = f.request(0).Address
	_, err := f.d.Launch(t.Context(), rival)
	if !errors.Is(err, platform.ErrCapacity) || !strings.Contains(err.Error(), "web-2") {
		t.Errorf("launching on a taken address gives %v, want an ErrCapacity that names web-2", err)
	}
	if all := f.containers(); len(all) != 1 {
		t.Errorf("there are %d containers, want the first alone", len(all))
	}
}

// A paused container hears no signal; it must go all the same.
func TestTerminateEndsAPausedMachine(t *testing.T) {
	f := newFixture(t)
	m, err := f.d.Launch(t.Context(), f.request(0))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.c.ContainerPause(t.Context(), m.ID, client.ContainerPauseOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := f.d.Terminate(t.Context(), m.ID, time.Second); err != nil {
		t.Error(err)
	}
	if all := f.containers(); len(all) != 0 {
		t.Errorf("there are %d containers, the first is %s", len(all), all[0].State)
	}
}

func TestLaunchRefusesAStrangersContainer(t *testing.T) {
	f := newFixture(t)
	l := f.request(0)
	r, err := f.c.ContainerCreate(t.Context(), client.ContainerCreateOptions{Name: containerName(l), Config: &container.Config{Image: testImage, Cmd: []string{"/nothing"}}})
	if err != nil {
		t.Fatal(err)
	}
	defer f.remove(r.ID)
	if _, err := f.d.Launch(t.Context(), l); !errors.Is(err, platform.ErrInvalid) || !strings.Contains(err.Error(), "docker rm") {
		t.Errorf("Launch gives %v, want an ErrInvalid that says how to remove the container", err)
	}
	if _, err := f.c.ContainerInspect(t.Context(), r.ID, client.ContainerInspectOptions{}); err != nil {
		t.Errorf("the stranger's container: %v", err)
	}
}

func TestAgentImageIsMadeOnceAndAgainWhenRemoved(t *testing.T) {
	f := newFixture(t)
	var all sync.WaitGroup
	for n := range 3 {
		all.Go(func() {
			if _, err := f.d.Launch(t.Context(), f.request(n)); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if n := len(f.agentImages()); n != 1 {
		t.Fatalf("three launches at once made %d agent images", n)
	}
	for _, item := range f.containers() {
		if err := f.d.Terminate(t.Context(), item.ID, 0); err != nil {
			t.Fatal(err)
		}
	}
	for _, id := range f.agentImages() { // as another farm's Destroy does
		if _, err := f.c.ImageRemove(t.Context(), id, client.ImageRemoveOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := f.d.Launch(t.Context(), f.request(0)); err != nil {
		t.Errorf("launching after the agent image was removed: %v", err)
	}
}

// agentImages are ids of the images made on testImage with the test's agent.
func (f *fixture) agentImages() []string {
	f.Helper()
	base, err := localImage(f.Context(), f.c, testImage)
	if err != nil {
		f.Fatal(err)
	}
	r, err := f.c.ImageList(f.Context(), client.ImageListOptions{Filters: client.Filters{}.Add("label", labelBase+"="+base.id)})
	if err != nil {
		f.Fatal(err)
	}
	var ids []string
	for _, i := range r.Items {
		ids = append(ids, i.ID)
	}
	return ids
}

func TestARemovedNetworkIsMadeAgain(t *testing.T) {
	f := newFixture(t)
	if _, err := f.c.NetworkRemove(t.Context(), networkName(f.farm), client.NetworkRemoveOptions{}); err != nil {
		t.Fatal(err)
	}
	// The first launch finds out and may fail; by then the farm must be able to go on.
	_, _ = f.d.Launch(t.Context(), f.request(0))
	if _, err := f.d.Launch(t.Context(), f.request(0)); err != nil {
		t.Errorf("the second launch after the network was removed: %v", err)
	}
}

func TestOpenRefusesAnotherSubnetOfItsNetwork(t *testing.T) {
	f := newFixture(t)
	changed := f.nets.farmSpec(f.farm)
	changed.Docker.Subnet = f.nets.of(f.farm + "-elsewhere").String()
	d, err := New(Options{Farm: changed})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if _, err := d.Open(t.Context()); !errors.Is(err, platform.ErrInvalid) || !strings.Contains(err.Error(), f.nets.of(f.farm).String()) {
		t.Errorf("Open gives %v, want an ErrInvalid that names the subnet it has", err)
	}
}

func TestOpenNamesTheNetworkItOverlapsWith(t *testing.T) {
	f := newFixture(t)
	rival := f.nets.farmSpec(f.farm)
	rival.Name += "-rival"
	d, err := New(Options{Farm: rival})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if _, err := d.Open(t.Context()); !errors.Is(err, platform.ErrInvalid) || !strings.Contains(err.Error(), networkName(f.farm)) {
		t.Errorf("Open gives %v, want an ErrInvalid that names %s", err, networkName(f.farm))
	}
}

func TestVolumesOfFarmsWhosePlainNamesCollide(t *testing.T) {
	f := newFixture(t)
	second := f.nets.farmSpec(f.farm + "-a")
	e := f.platform(second)
	first, err := f.d.EnsureVolume(t.Context(), "a-db", "a-db-1")
	if err != nil {
		t.Fatal(err)
	}
	defer f.deleteVolume(f.d, first)
	other, err := e.EnsureVolume(t.Context(), "db", "db-1")
	if err != nil {
		t.Fatal(err)
	}
	defer f.deleteVolume(e, other)
	if first == other {
		t.Errorf("both farms got volume %s", first)
	}
}

func TestDestroyNamesWhatIsAttached(t *testing.T) {
	f := newFixture(t)
	// A farm's container that lost its labels is a stranger's: something a person attached to the network.
	image, err := f.d.agentImage(t.Context(), f.c, testImage)
	if err != nil {
		t.Fatal(err)
	}
	name := fmt.Sprintf("stranger-%d", os.Getpid())
	r, err := f.c.ContainerCreate(t.Context(), client.ContainerCreateOptions{
		Name: name, Config: &container.Config{Image: image}, HostConfig: &container.HostConfig{NetworkMode: container.NetworkMode(networkName(f.farm))},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer f.remove(r.ID)
	if _, err := f.c.ContainerStart(t.Context(), r.ID, client.ContainerStartOptions{}); err != nil {
		t.Fatal(err)
	}
	err = f.d.Destroy(t.Context())
	if err == nil {
		t.Skip("this engine, as Podman does, removes a network with what is attached to it")
	}
	if !strings.Contains(err.Error(), name) || !strings.Contains(err.Error(), "docker network disconnect") {
		t.Errorf("Destroy gives %v, want an error that names %s and the way out", err, name)
	}
}

func TestPreflight(t *testing.T) {
	f := newFixture(t)
	good := f.nets.farmSpec(f.farm)
	free := f.nets.of(f.farm + "-free").String()
	for _, c := range []struct {
		name      string
		change    func(*spec.Farm)
		attribute string // "" for no problem
		says      string
	}{
		{"the farm's own network is no overlap", func(*spec.Farm) {}, "", ""},
		{"a free subnet", func(s *spec.Farm) { s.Name, s.Docker.Subnet = f.farm+"-new", free }, "", ""},
		{"another farm's subnet", func(s *spec.Farm) { s.Name = f.farm + "-new" }, "docker.subnet", networkName(f.farm)},
		{"the machine's own loopback range", func(s *spec.Farm) { s.Docker.Subnet = "127.0.0.0/24" }, "docker.subnet", "interface lo"},
		{"no subnet at all", func(s *spec.Farm) { s.Docker.Subnet = "10.9.9" }, "docker.subnet", "10.99.0.0/24"},
		{"an address, not a subnet", func(s *spec.Farm) { s.Docker.Subnet = "10.9.9.9/24" }, "docker.subnet", "write 10.9.9.0/24"},
		{"a missing image", func(s *spec.Farm) { s.Docker.Image = "farmhand-platform-test:no-such-tag" }, "docker.image", "no-such-tag"},
		{"no engine there", func(s *spec.Farm) { s.Docker.Host = "unix:///nowhere/docker.sock" }, "docker.host", "unix:///nowhere/docker.sock (no such socket)"},
	} {
		t.Run(c.name, func(t *testing.T) {
			farm, d := good, *good.Docker
			farm.Docker = &d
			c.change(&farm)
			problems := Preflight(t.Context(), farm)
			switch {
			case c.attribute == "" && len(problems) > 0:
				t.Errorf("it finds %v", problems)
			case c.attribute == "":
			case len(problems) != 1 || problems[0].Attribute != c.attribute || !strings.Contains(problems[0].Error(), c.says):
				t.Errorf("it finds %v, want one problem of %s that says %q", problems, c.attribute, c.says)
			}
		})
	}
}

// BenchmarkLaunch is the platform's part of replacing a server.
func BenchmarkLaunch(b *testing.B) {
	c, err := connect(b.Context(), "")
	if err != nil {
		b.Skipf("no container engine: %v", err)
	}
	defer c.Close()
	const image = "farmhand-lamp:bookworm"
	if _, err := localImage(b.Context(), c, image); err != nil {
		b.Skipf("no image %s: %v", image, err)
	}
	agent, err := buildAgent()
	if err != nil {
		b.Fatal(err)
	}
	farm := spec.Farm{Name: fmt.Sprintf("fhbench-%d", os.Getpid()), Docker: &spec.Docker{Subnet: freeSubnet(b.Context(), c, "").String(), Image: image}}
	d, err := New(Options{Farm: farm, AgentBinary: agent})
	if err != nil {
		b.Fatal(err)
	}
	defer d.Close()
	if _, err := d.Open(b.Context()); err != nil {
		b.Fatal(err)
	}
	defer func() {
		if err := d.Destroy(context.WithoutCancel(b.Context())); err != nil {
			b.Error(err)
		}
	}()
	address := netip.MustParsePrefix(farm.Docker.Subnet).Addr().Next().Next().String()
	n := 0
	for b.Loop() {
		n++
		m, err := d.Launch(b.Context(), platform.Launch{Farm: farm.Name, Role: "web", Instance: "web-1", Token: fmt.Sprint("token", n), Address: address})
		if err != nil {
			b.Fatal(err)
		}
		b.StopTimer()
		if err := d.Terminate(b.Context(), m.ID, 0); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
	}
}
