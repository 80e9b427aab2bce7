package live

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/moby/moby/api/pkg/stdcopy"
	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/client"

	"github.com/farmhand/terraform-provider-farmhand/internal/dockertest"
)

// Labels that tell whose a container, network or volume is.
const (
	labelFarm     = "farmhand.farm"
	labelInstance = "farmhand.instance"
)

// Engine is the container engine, seen from outside.
type Engine struct{ c *client.Client }

// OpenEngine finds the engine that Farmhand would use. Its error is why there is none.
func OpenEngine(ctx context.Context) (*Engine, error) {
	hosts := []string{"unix:///var/run/docker.sock", "unix:///run/podman/podman.sock"}
	if run := os.Getenv("XDG_RUNTIME_DIR"); run != "" {
		hosts = append(hosts, "unix://"+filepath.Join(run, "podman/podman.sock"), "unix://"+filepath.Join(run, "docker.sock"))
	}
	if h := os.Getenv("DOCKER_HOST"); h != "" {
		hosts = []string{h}
	}
	var failures error
	for _, h := range hosts {
		c, err := client.New(client.WithTLSClientConfigFromEnv(), client.WithHost(h))
		if err != nil {
			return nil, err
		}
		ping, cancel := context.WithTimeout(ctx, 5*time.Second)
		_, err = c.Ping(ping, client.PingOptions{NegotiateAPIVersion: true})
		cancel()
		if err == nil {
			return &Engine{c}, nil
		}
		_ = c.Close()
		failures = errors.Join(failures, err)
	}
	return nil, fmt.Errorf("none answers: %w", failures)
}

// Close frees the connection.
func (e *Engine) Close() error { return e.c.Close() }

func ofFarm(farm string) client.Filters { return client.Filters{}.Add("label", labelFarm+"="+farm) }

// Running are the ids of the farm's running containers, by instance name.
func (e *Engine) Running(ctx context.Context, farm string) (map[string]string, error) {
	list, err := e.c.ContainerList(ctx, client.ContainerListOptions{Filters: ofFarm(farm)})
	if err != nil {
		return nil, err
	}
	ids := map[string]string{}
	for _, c := range list.Items {
		ids[c.Labels[labelInstance]] = c.ID
	}
	return ids, nil
}

// PIDs are the process ids, on the engine's machine, of the first process of each of the farm's running containers.
func (e *Engine) PIDs(ctx context.Context, farm string) (map[string]int, error) {
	containers, err := e.Running(ctx, farm)
	if err != nil {
		return nil, err
	}
	pids := map[string]int{}
	for name, id := range containers {
		c, err := e.c.ContainerInspect(ctx, id, client.ContainerInspectOptions{})
		if err != nil {
			return nil, err
		}
		pids[name] = c.Container.State.Pid
	}
	return pids, nil
}

// Kill kills a container as `docker kill` does.
func (e *Engine) Kill(ctx context.Context, id string) error {
	_, err := e.c.ContainerKill(ctx, id, client.ContainerKillOptions{Signal: "KILL"})
	return err
}

// Exec runs a command in a container to its end and returns what it printed; a status other than 0 is an error.
func (e *Engine) Exec(ctx context.Context, id string, command ...string) (string, error) {
	made, err := e.c.ExecCreate(ctx, id, client.ExecCreateOptions{AttachStdout: true, AttachStderr: true, Cmd: command})
	if err != nil {
		return "", err
	}
	stream, err := e.c.ExecAttach(ctx, made.ID, client.ExecAttachOptions{})
	if err != nil {
		return "", err
	}
	defer stream.Close()
	var out bytes.Buffer
	if _, err := stdcopy.StdCopy(&out, &out, stream.Reader); err != nil {
		return "", err
	}
	done, err := e.c.ExecInspect(ctx, made.ID, client.ExecInspectOptions{})
	if err == nil && done.ExitCode != 0 {
		err = fmt.Errorf("%s: exit status %d: %s", strings.Join(command, " "), done.ExitCode, out.String())
	}
	return out.String(), err
}

// Logs are the last lines that the farm's machines printed, also those that have ended, by container.
func (e *Engine) Logs(ctx context.Context, farm string, lines int) (map[string]string, error) {
	list, err := e.c.ContainerList(ctx, client.ContainerListOptions{All: true, Filters: ofFarm(farm)})
	if err != nil {
		return nil, err
	}
	logs := map[string]string{}
	for _, c := range list.Items {
		stream, err := e.c.ContainerLogs(ctx, c.ID, client.ContainerLogsOptions{ShowStdout: true, ShowStderr: true, Tail: strconv.Itoa(lines)})
		if err != nil {
			return logs, err
		}
		var out bytes.Buffer
		_, err = stdcopy.StdCopy(&out, &out, stream)
		_ = stream.Close()
		if err != nil {
			return logs, err
		}
		logs[strings.Join(c.Names, " ")+" ("+c.Status+")"] = out.String()
	}
	return logs, nil
}

// Leftovers names every container (also stopped), network and volume that bears the farm's label.
func (e *Engine) Leftovers(ctx context.Context, farm string) ([]string, error) {
	var found []string
	containers, err := e.c.ContainerList(ctx, client.ContainerListOptions{All: true, Filters: ofFarm(farm)})
	if err != nil {
		return nil, err
	}
	for _, c := range containers.Items {
		found = append(found, "container "+strings.Join(c.Names, " "))
	}
	networks, err := e.c.NetworkList(ctx, client.NetworkListOptions{Filters: ofFarm(farm)})
	if err != nil {
		return nil, err
	}
	for _, n := range networks.Items {
		found = append(found, "network "+n.Name)
	}
	volumes, err := e.c.VolumeList(ctx, client.VolumeListOptions{Filters: ofFarm(farm)})
	if err != nil {
		return nil, err
	}
	for _, v := range volumes.Items {
		found = append(found, "volume "+v.Name)
	}
	return found, nil
}

// Clear removes by force whatever bears the farm's label: for the end of a test that failed half-way.
func (e *Engine) Clear(ctx context.Context, farm string) error {
	var failures error
	containers, err := e.c.ContainerList(ctx, client.ContainerListOptions{All: true, Filters: ofFarm(farm)})
	failures = errors.Join(failures, err)
	for _, c := range containers.Items {
		_, err := e.c.ContainerRemove(ctx, c.ID, client.ContainerRemoveOptions{Force: true})
		failures = errors.Join(failures, err)
	}
	networks, err := e.c.NetworkList(ctx, client.NetworkListOptions{Filters: ofFarm(farm)})
	failures = errors.Join(failures, err)
	for _, n := range networks.Items {
		_, err := e.c.NetworkRemove(ctx, n.ID, client.NetworkRemoveOptions{})
		failures = errors.Join(failures, err)
	}
	volumes, err := e.c.VolumeList(ctx, client.VolumeListOptions{Filters: ofFarm(farm)})
	failures = errors.Join(failures, err)
	for _, v := range volumes.Items {
		_, err := e.c.VolumeRemove(ctx, v.Name, client.VolumeRemoveOptions{Force: true})
		failures = errors.Join(failures, err)
	}
	return failures
}

// FreeSubnet is a /27 that nothing has, away from the engines' defaults and from the demo's.
func (e *Engine) FreeSubnet(ctx context.Context) (string, error) {
	subnet, err := dockertest.FreeSubnet(ctx, e.c, "10.201.0.0/16", 27)
	return subnet.String(), err
}

// Network makes a plain network that is no farm's, and returns how to remove it.
func (e *Engine) Network(ctx context.Context, name, subnet string) (remove func() error, err error) {
	prefix, err := netip.ParsePrefix(subnet)
	if err != nil {
		return nil, err
	}
	made, err := e.c.NetworkCreate(ctx, name, client.NetworkCreateOptions{
		Driver: "bridge",
		IPAM:   &network.IPAM{Config: []network.IPAMConfig{{Subnet: prefix}}},
	})
	if err != nil {
		return nil, err
	}
	return func() error {
		_, err := e.c.NetworkRemove(context.WithoutCancel(ctx), made.ID, client.NetworkRemoveOptions{})
		return err
	}, nil
}
