package docker

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"path"
	"strings"
	"time"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/mount"
	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/client"

	"github.com/farmhand/terraform-provider-farmhand/internal/platform"
)

const (
	// launchWithin bounds the engine's part of a launch, which takes half a second on an idle machine: past it the
	// engine hangs, and the caller should know.
	launchWithin = 2 * time.Minute
	// cleanUpWithin bounds the removal of a half-made container. It runs on although the caller's ctx has ended.
	cleanUpWithin = 20 * time.Second
)

// Launch makes and starts the machine's container. The engine refuses a second container of one name, and the name
// follows from the token, so that a token is launched once whoever calls, and whatever was interrupted before.
func (d *Docker) Launch(ctx context.Context, l platform.Launch) (platform.Machine, error) {
	doing := "launching " + l.Instance
	if err := d.checkLaunch(l); err != nil {
		return platform.Machine{}, fmt.Errorf("%s: %w", doing, err)
	}
	defer d.launches.lock(l.Token)()

	c, err := d.client(ctx)
	if err != nil {
		return platform.Machine{}, fmt.Errorf("%s: %w", doing, err)
	}
	n, err := d.opened(ctx)
	if err != nil {
		return platform.Machine{}, fmt.Errorf("%s: %w", doing, err)
	}
	image, err := d.agentImage(ctx, c, d.imageOf(l.Image))
	if err != nil {
		return platform.Machine{}, fmt.Errorf("%s: %w", doing, err)
	}

	bounded, cancel := context.WithTimeout(ctx, launchWithin)
	defer cancel()
	id, err := d.create(bounded, c, l, n, image)
	switch {
	case isNameTaken(err):
		return d.adopt(bounded, c, l, err)
	case isMissingImage(err): // removed since it was last seen
		d.forgetAgentImage(image)
		if image, err = d.agentImage(ctx, c, d.imageOf(l.Image)); err == nil {
			id, err = d.create(bounded, c, l, n, image)
		}
	}
	if err != nil {
		d.forgetNetworkIf(err)
		return platform.Machine{}, explain(err, doing)
	}
	return d.start(bounded, c, l, id)
}

// checkLaunch refuses what the engine would misunderstand rather than refuse.
func (d *Docker) checkLaunch(l platform.Launch) error {
	if l.Farm != d.farm.Name {
		return fmt.Errorf("it belongs to farm %q, not %q: %w", l.Farm, d.farm.Name, platform.ErrInvalid)
	}
	if l.Token == "" || l.Instance == "" {
		return fmt.Errorf("it has no token or no name: %w", platform.ErrInvalid)
	}
	if l.Volume != "" && !path.IsAbs(l.VolumePath) {
		return fmt.Errorf("volume.path %q is not an absolute path: %w", l.VolumePath, platform.ErrInvalid)
	}
	if l.Address == "" {
		return nil
	}
	subnet, err := platform.ParseSubnet(d.farm.Docker.Subnet)
	if err != nil {
		return err
	}
	if a, err := netip.ParseAddr(l.Address); err != nil || !subnet.Contains(a) {
		return fmt.Errorf("address %s is not in subnet %s: %w", l.Address, subnet, platform.ErrInvalid)
	}
	return nil
}

// imageOf is the image of a role that may name none.
func (d *Docker) imageOf(role string) string {
	if role != "" {
		return role
	}
	return d.farm.Docker.Image
}

// create makes the container.
func (d *Docker) create(ctx context.Context, c *client.Client, l platform.Launch, n platform.Network, image string) (id string, err error) {
	o, err := d.createOptions(l, n, image)
	if err != nil {
		return "", err
	}
	created, err := c.ContainerCreate(ctx, o)
	return created.ID, err
}

// createOptions is what a machine's container is to be. It sets no ulimits, asks for no capability and is restarted
// by nobody but the farm.
func (d *Docker) createOptions(l platform.Launch, n platform.Network, image string) (client.ContainerCreateOptions, error) {
	endpoint := &network.EndpointSettings{}
	if l.Address != "" {
		a, err := netip.ParseAddr(l.Address)
		if err != nil {
			return client.ContainerCreateOptions{}, fmt.Errorf("address %q: %w: %w", l.Address, err, platform.ErrInvalid)
		}
		endpoint.IPAMConfig = &network.EndpointIPAMConfig{IPv4Address: a}
	}
	host := &container.HostConfig{
		NetworkMode:   container.NetworkMode(networkName(d.farm.Name)),
		RestartPolicy: container.RestartPolicy{Name: container.RestartPolicyDisabled},
		// Two small files: after a rotation the last lines are still there to be shown.
		LogConfig: container.LogConfig{Type: "json-file", Config: map[string]string{"max-size": "1m", "max-file": "2"}},
	}
	if n.AdvertiseHost == desktopHost {
		host.ExtraHosts = []string{desktopHost + ":host-gateway"}
	}
	if l.Volume != "" {
		host.Mounts = []mount.Mount{{
			Type: mount.TypeVolume, Source: l.Volume, Target: l.VolumePath,
			// Empty when new, as a blank disk is elsewhere. The labels are those that EnsureVolume gave it; they
			// stand here for an engine that had to make the volume anew.
			VolumeOptions: &mount.VolumeOptions{NoCopy: true, Labels: d.labels(map[string]string{labelRole: l.Role, labelInstance: l.Instance})},
		}}
	}
	return client.ContainerCreateOptions{
		Name: containerName(l),
		Config: &container.Config{
			Image:      image,
			Hostname:   l.Instance,
			User:       "0:0", // whatever the image says: the agent installs packages and binds port 80
			WorkingDir: "/",
			Entrypoint: []string{agentPath, "agent"},
			StopSignal: "SIGTERM",
			Labels: d.labels(map[string]string{
				labelRole: l.Role, labelInstance: l.Instance, labelToken: l.Token, labelGeneration: l.Generation,
			}),
		},
		HostConfig:       host,
		NetworkingConfig: &network.NetworkingConfig{EndpointsConfig: map[string]*network.EndpointSettings{networkName(d.farm.Name): endpoint}},
	}, nil
}

// start hands the bootstrap over and starts a created container; one that does not start is removed again.
func (d *Docker) start(ctx context.Context, c *client.Client, l platform.Launch, id string) (platform.Machine, error) {
	doing := "launching " + l.Instance
	err := func() error {
		archive, err := bootstrapArchive(l.Bootstrap)
		if err != nil {
			return err
		}
		if _, err := c.CopyToContainer(ctx, id, client.CopyToContainerOptions{DestinationPath: "/", Content: archive}); err != nil {
			return fmt.Errorf("writing %s: %w", platform.BootstrapPath, err)
		}
		_, err = c.ContainerStart(ctx, id, client.ContainerStartOptions{})
		return err
	}()
	if err == nil {
		return platform.Machine{
			ID: id, Farm: l.Farm, Role: l.Role, Instance: l.Instance, Token: l.Token, Generation: l.Generation,
			Status: platform.Up, Address: l.Address, Launched: time.Now(),
		}, nil
	}
	d.forgetNetworkIf(err)
	detached, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanUpWithin)
	defer cancel()
	if _, rmErr := c.ContainerRemove(detached, id, client.ContainerRemoveOptions{Force: true, RemoveVolumes: true}); rmErr != nil && !errdefs.IsNotFound(rmErr) {
		d.log.Warn("a container that did not start could not be removed", "container", id, "error", rmErr)
	}
	return platform.Machine{}, explain(err, doing)
}

// adopt takes over the container that an earlier launch of the same token made. One that was created but never
// started is started now; one that has run and stopped stays so: the same intent is the same machine.
func (d *Docker) adopt(ctx context.Context, c *client.Client, l platform.Launch, conflict error) (platform.Machine, error) {
	doing := "launching " + l.Instance
	found, err := c.ContainerInspect(ctx, containerName(l), client.ContainerInspectOptions{})
	if errdefs.IsNotFound(err) { // gone between the two calls
		return platform.Machine{}, fmt.Errorf("%s: %w: try again: %w", doing, conflict, platform.ErrUnavailable)
	}
	if err != nil {
		return platform.Machine{}, explain(err, doing)
	}
	has := found.Container
	if has.Config == nil || has.Config.Labels[labelFarm] != l.Farm || has.Config.Labels[labelToken] != l.Token {
		return platform.Machine{}, fmt.Errorf("%s: a container named %s exists and is not the farm's: remove it (`docker rm -f %[2]s`): %w",
			doing, strings.TrimPrefix(has.Name, "/"), platform.ErrInvalid)
	}
	if has.State != nil && has.State.Status == container.StateCreated {
		d.log.Info("starting a container that an interrupted launch left", "instance", l.Instance)
		m, err := d.start(ctx, c, l, has.ID)
		if m.Address == "" && err == nil {
			m.Address = addressIn(has.NetworkSettings)
		}
		return m, err
	}
	m := machineOf(has.Config.Labels)
	m.ID = has.ID
	m.Address = addressIn(has.NetworkSettings)
	m.Launched, _ = time.Parse(time.RFC3339Nano, has.Created)
	if has.State != nil {
		m.Status = statusOf(has.State.Status)
		if m.Status == platform.Stopped {
			m.Exit = exitText(has.State.ExitCode, has.State.OOMKilled, has.State.Error)
		}
	}
	return m, nil
}

// bootstrapArchive is the agent's bootstrap file as CopyToContainer wants it. Its folder is root's alone, too.
func bootstrapArchive(b platform.Bootstrap) (*bytes.Reader, error) {
	content, err := json.Marshal(b)
	if err != nil {
		return nil, fmt.Errorf("encoding the bootstrap: %w", err)
	}
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	file := strings.TrimPrefix(platform.BootstrapPath, "/")
	for _, h := range []*tar.Header{
		{Typeflag: tar.TypeDir, Name: path.Dir(file) + "/", Mode: 0o700},
		{Typeflag: tar.TypeReg, Name: file, Mode: 0o600, Size: int64(len(content))},
	} {
		if err := w.WriteHeader(h); err != nil {
			return nil, fmt.Errorf("packing the bootstrap: %w", err)
		}
	}
	if _, err := w.Write(content); err != nil {
		return nil, fmt.Errorf("packing the bootstrap: %w", err)
	}
	if err := w.Close(); err != nil {
		return nil, fmt.Errorf("packing the bootstrap: %w", err)
	}
	return bytes.NewReader(buf.Bytes()), nil
}
