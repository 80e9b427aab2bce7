package docker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/moby/moby/api/types/container"

	"github.com/farmhand/terraform-provider-farmhand/internal/platform"
	"github.com/farmhand/terraform-provider-farmhand/internal/spec"
)

func TestCandidates(t *testing.T) {
	env := func(vars map[string]string) func(string) string { return func(k string) string { return vars[k] } }
	for _, c := range []struct {
		name, host string
		env        map[string]string
		want       []string
	}{
		{"declared wins and is alone", "unix:///a.sock", map[string]string{"DOCKER_HOST": "unix:///b.sock"}, []string{"unix:///a.sock"}},
		{"DOCKER_HOST is alone", "", map[string]string{"DOCKER_HOST": "unix:///b.sock", "HOME": "/h"}, []string{"unix:///b.sock"}},
		{"the usual sockets", "", map[string]string{"XDG_RUNTIME_DIR": "/run/user/7", "HOME": "/h"}, []string{
			"unix:///var/run/docker.sock", "unix:///run/podman/podman.sock",
			"unix:///run/user/7/podman/podman.sock", "unix:///run/user/7/docker.sock",
			"unix:///h/.docker/run/docker.sock", "unix:///h/.docker/desktop/docker.sock",
		}},
	} {
		if got := candidates(c.host, env(c.env)); !slices.Equal(got, c.want) {
			t.Errorf("%s: got %v, want %v", c.name, got, c.want)
		}
	}
}

func TestConnectSaysWhatWasTriedAndHowToStart(t *testing.T) {
	_, err := connect(t.Context(), "unix://"+filepath.Join(t.TempDir(), "no.sock"))
	if !errors.Is(err, platform.ErrUnavailable) || !strings.Contains(err.Error(), "no.sock (no such socket)") || !strings.Contains(err.Error(), "systemctl start docker") {
		t.Errorf("got %v", err)
	}
}

func TestIsRemote(t *testing.T) {
	for host, want := range map[string]bool{
		"unix:///var/run/docker.sock": false, "tcp://127.0.0.1:2375": false, "tcp://localhost:2375": false,
		"tcp://192.0.2.7:2376": true, "ssh://ops@build.example": true,
	} {
		if got := isRemote(host); got != want {
			t.Errorf("isRemote(%s) is %v", host, got)
		}
	}
}

func TestExplain(t *testing.T) {
	for _, c := range []struct {
		err   error
		class error
		says  string
	}{
		{errors.New("write /var/lib/docker/x: no space left on device"), platform.ErrCapacity, "docker system df"},
		{errors.New("could not find an available, non-overlapping IPv4 address pool among the defaults"), platform.ErrCapacity, "docker.subnet"},
		{errors.New("Pool overlaps with other one on this address space"), platform.ErrInvalid, "docker.subnet"},
		{errors.New("Address already in use"), platform.ErrCapacity, "network inspect"},
		{errors.New("exec /usr/local/bin/farmhand: exec format error"), platform.ErrInvalid, "processor"},
		{errors.New("dial unix /var/run/docker.sock: connect: connection refused"), platform.ErrUnavailable, "systemctl status docker"},
		{fmt.Errorf("waiting: %w", context.DeadlineExceeded), platform.ErrUnavailable, "in time"},
		{fmt.Errorf("x: %w", platform.ErrInvalid), platform.ErrInvalid, "launching web-1: x"},
		{context.Canceled, context.Canceled, "launching web-1"},
		{errors.New("something new"), nil, "launching web-1: something new"},
	} {
		got := explain(c.err, "launching web-1")
		if c.class != nil && !errors.Is(got, c.class) || !strings.Contains(got.Error(), c.says) || !errors.Is(got, c.err) {
			t.Errorf("explain(%v) is %v; want class %v, the cause, and %q", c.err, got, c.class, c.says)
		}
		if c.class == nil && (errors.Is(got, platform.ErrInvalid) || errors.Is(got, platform.ErrCapacity) || errors.Is(got, platform.ErrUnavailable)) {
			t.Errorf("explain(%v) claims to know its class: %v", c.err, got)
		}
	}
	if explain(nil, "x") != nil {
		t.Error("no error became one")
	}
}

func TestExitText(t *testing.T) {
	for status, want := range map[string]string{
		"Exited (0) 3 seconds ago":      "exit status 0",
		"Exited (3) About a minute ago": "exit status 3",
		"Exited (137) 2 hours ago":      "exit status 137, killed",
		"Exited (139) 1 second ago":     "exit status 139, SIGSEGV",
		"Dead":                          "dead",
	} {
		if got := exitOfStatus(status); got != want {
			t.Errorf("%q reads %q, want %q", status, got, want)
		}
	}
	if got := exitText(137, true, ""); got != "exit status 137, out of memory" {
		t.Errorf("got %q", got)
	}
}

func TestStatusOf(t *testing.T) {
	for state, want := range map[container.ContainerState]platform.Status{
		"created": platform.Pending, "running": platform.Up, "paused": platform.Up, "restarting": platform.Pending,
		"removing": platform.Ending, "exited": platform.Stopped, "dead": platform.Stopped, "stopped": platform.Stopped,
	} {
		if got := statusOf(state); got != want {
			t.Errorf("%s is %s, want %s", state, got, want)
		}
	}
}

func TestParseRoutes(t *testing.T) {
	if first, _ := hostOrder("0000630A"); first != [4]byte{10, 99, 0, 0} {
		t.Skip("the sample is a little-endian machine's")
	}
	const table = `Iface	Destination	Gateway 	Flags	RefCnt	Use	Metric	Mask		MTU	Window	IRTT
eth0	00000000	010200C0	0003	0	0	0	00000000	0	0	0
br-1	0000630A	00000000	0001	0	0	0	00FFFFFF	0	0	0
tun0	0000100A	00000000	0001	0	0	0	0000F0FF	0	0	0
`
	var got []string
	for _, r := range parseRoutes([]byte(table)) {
		got = append(got, r.String())
	}
	want := []string{"the route to 10.99.0.0/24 by br-1", "the route to 10.16.0.0/12 by tun0"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestReadAgentRefusesWhatCannotRunInAnImage(t *testing.T) {
	script := filepath.Join(t.TempDir(), "agent")
	if err := os.WriteFile(script, []byte("#!/bin/sh\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := readAgent(script); !errors.Is(err, platform.ErrInvalid) || !strings.Contains(err.Error(), "CGO_ENABLED=0") {
		t.Errorf("a script: got %v", err)
	}
	if _, err := readAgent(filepath.Join(t.TempDir(), "nothing")); !errors.Is(err, platform.ErrInvalid) || !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no file: got %v", err)
	}
	if _, err := readAgent(""); !errors.Is(err, platform.ErrInvalid) {
		t.Errorf("no name: got %v", err)
	}
	a, err := readAgent(testAgent(t))
	if err != nil {
		t.Fatalf("a static executable: %v", err)
	}
	if err := a.suits("x", baseImage{architecture: "vax"}); !errors.Is(err, platform.ErrInvalid) {
		t.Errorf("an image for another processor: got %v", err)
	}
}

func TestContainerNamesDiffer(t *testing.T) {
	a := platform.Launch{Farm: "shop", Instance: "web-1", Token: "0123456789-a"}
	b := a
	b.Token = "0123456789-b"
	if containerName(a) == containerName(b) {
		t.Errorf("tokens that share their first letters share name %s", containerName(a))
	}
}

func TestAContainerAsksForNothingSpecial(t *testing.T) {
	d, err := New(Options{Farm: spec.Farm{Name: "shop", Docker: &spec.Docker{}}})
	if err != nil {
		t.Fatal(err)
	}
	l := platform.Launch{
		Farm: "shop", Role: "web", Instance: "web-1", Token: "t", Address: "10.99.0.10", Volume: "v", VolumePath: "/data",
		Bootstrap: platform.Bootstrap{Gateway: "10.99.0.1:7000", Secret: "hush"},
	}
	o, err := d.createOptions(l, platform.Network{ListenHost: "10.99.0.1", AdvertiseHost: "10.99.0.1"}, "image")
	if err != nil {
		t.Fatal(err)
	}
	h := o.HostConfig
	if h.Privileged || len(h.CapAdd) > 0 || h.Ulimits != nil || len(h.SecurityOpt) > 0 || len(h.PortBindings) > 0 || len(h.Binds) > 0 || len(h.ExtraHosts) > 0 {
		t.Errorf("it asks for more than a plain container: %+v", h)
	}
	if h.RestartPolicy.Name != container.RestartPolicyDisabled {
		t.Errorf("the engine restarts it by itself: %+v", h.RestartPolicy)
	}
	if h.LogConfig.Type != "json-file" || h.LogConfig.Config["max-size"] == "" {
		t.Errorf("its log may grow for ever: %+v", h.LogConfig)
	}
	if o.Config.Hostname != "web-1" || len(o.Config.Env) > 0 || !strings.HasPrefix(o.Name, "farmhand-shop-web-1-") {
		t.Errorf("hostname %q, environment %v, name %q", o.Config.Hostname, o.Config.Env, o.Name)
	}
	asked, err := json.Marshal(o)
	if err != nil || strings.Contains(string(asked), "hush") {
		t.Errorf("the engine is told the secret: %s, %v", asked, err)
	}

	o, err = d.createOptions(l, platform.Network{ListenHost: "127.0.0.1", AdvertiseHost: desktopHost}, "image")
	if err != nil || !slices.Equal(o.HostConfig.ExtraHosts, []string{"host.docker.internal:host-gateway"}) {
		t.Errorf("with Docker Desktop it knows hosts %v, %v", o.HostConfig.ExtraHosts, err)
	}
}

// An address that this machine does not have is a virtual machine's: Docker Desktop's way is taken.
func TestReach(t *testing.T) {
	if n := reach(netip.MustParsePrefix("127.0.0.0/24")); n.ListenHost != "127.0.0.1" || n.AdvertiseHost != "127.0.0.1" {
		t.Errorf("where the gateway can be bound: %+v", n)
	}
	if n := reach(netip.MustParsePrefix("203.0.113.0/24")); n.ListenHost != "127.0.0.1" || n.AdvertiseHost != desktopHost {
		t.Errorf("where it cannot: %+v", n)
	}
}

func TestNewRefusesAFarmOfAnotherPlatform(t *testing.T) {
	if _, err := New(Options{Farm: spec.Farm{Name: "shop"}}); !errors.Is(err, platform.ErrInvalid) {
		t.Errorf("got %v", err)
	}
}
