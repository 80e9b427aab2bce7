package docker

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/client"

	"github.com/farmhand/terraform-provider-farmhand/internal/platform"
)

// desktopHost is the name by which containers reach the machine where the gateway address of their network
// is not this machine's own: Docker Desktop and other engines inside a virtual machine.
const desktopHost = "host.docker.internal"

// Open makes the farm's network or finds it, and checks the agent's binary.
func (d *Docker) Open(ctx context.Context) (platform.Network, error) {
	doing := "opening network " + networkName(d.farm.Name)
	c, err := d.client(ctx)
	if err != nil {
		return platform.Network{}, err
	}
	if isRemote(c.DaemonHost()) {
		return platform.Network{}, fmt.Errorf("%s: the engine at %s is on another machine, whose containers cannot reach this sidecar: "+
			"run terraform there, or use an engine of this machine: %w", doing, c.DaemonHost(), platform.ErrInvalid)
	}
	if d.agentBinary != "" {
		if _, err := readAgent(d.agentBinary); err != nil {
			return platform.Network{}, err
		}
	}
	subnet, err := platform.ParseSubnet(d.farm.Docker.Subnet)
	if err != nil {
		return platform.Network{}, fmt.Errorf("docker.subnet: %w", err)
	}
	if err := d.ensureNetwork(ctx, c, subnet); err != nil {
		return platform.Network{}, explain(err, doing)
	}
	if _, err := d.settled(ctx, c); err != nil {
		return platform.Network{}, explain(err, doing)
	}
	n := reach(subnet)
	d.mu.Lock()
	d.net = &n
	d.mu.Unlock()
	return n, nil
}

// opened returns the network of the last Open, opening if there was none.
func (d *Docker) opened(ctx context.Context) (platform.Network, error) {
	d.mu.Lock()
	n := d.net
	d.mu.Unlock()
	if n != nil {
		return *n, nil
	}
	return d.Open(ctx)
}

// forgetNetworkIf makes the next launch open the network again if err says that it was removed behind our back.
func (d *Docker) forgetNetworkIf(err error) {
	if !isMissingNetwork(err) {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.net = nil
}

// ensureNetwork finds or makes the network. Two that do so at once meet at the engine's check for overlapping
// addresses: the second finds the first one's.
func (d *Docker) ensureNetwork(ctx context.Context, c *client.Client, subnet netip.Prefix) error {
	found, err := d.findNetwork(ctx, c, subnet)
	if found || err != nil {
		return err
	}
	_, createErr := c.NetworkCreate(ctx, networkName(d.farm.Name), client.NetworkCreateOptions{
		Driver: "bridge",
		Labels: d.labels(nil),
		IPAM:   &network.IPAM{Driver: "default", Config: []network.IPAMConfig{{Subnet: subnet, Gateway: gatewayOf(subnet)}}},
	})
	if createErr == nil {
		return nil
	}
	if found, err := d.findNetwork(ctx, c, subnet); found || err != nil {
		return err
	}
	if who := d.overlapping(ctx, c, subnet); who != "" {
		return fmt.Errorf("subnet %s overlaps with %s: choose another docker.subnet: %w", subnet, who, platform.ErrInvalid)
	}
	return createErr
}

// findNetwork looks for the farm's network. One of that name that is not the farm's, or has other addresses, is an error.
func (d *Docker) findNetwork(ctx context.Context, c *client.Client, subnet netip.Prefix) (bool, error) {
	name := networkName(d.farm.Name)
	list, err := c.NetworkList(ctx, client.NetworkListOptions{Filters: client.Filters{}.Add("name", name)})
	if err != nil {
		return false, err
	}
	for _, n := range list.Items {
		if n.Name != name { // the filter matches parts of names
			continue
		}
		if n.Labels[labelFarm] != d.farm.Name {
			return false, fmt.Errorf("a network of that name exists and is not the farm's: remove it (`docker network rm %s`) or rename the farm: %w", name, platform.ErrInvalid)
		}
		if has := subnetsOf(n.Network); !slices.Contains(has, subnet) {
			return false, fmt.Errorf("it exists with subnet %s, not %s: set docker.subnet back, or destroy the farm first: %w", joined(has), subnet, platform.ErrInvalid)
		}
		return true, nil
	}
	return false, nil
}

// overlapping names the network of the engine that shares addresses with subnet, "" for none.
func (d *Docker) overlapping(ctx context.Context, c *client.Client, subnet netip.Prefix) string {
	list, err := c.NetworkList(ctx, client.NetworkListOptions{})
	if err != nil {
		return ""
	}
	return overlappingNetwork(list.Items, subnet, d.farm.Name)
}

// overlappingNetwork is overlapping over a list already read; the farm's own network does not count.
func overlappingNetwork(list []network.Summary, subnet netip.Prefix, farm string) string {
	for _, n := range list {
		if n.Labels[labelFarm] == farm {
			continue
		}
		for _, s := range subnetsOf(n.Network) {
			if s.Overlaps(subnet) {
				return fmt.Sprintf("network %s (%s)", n.Name, s)
			}
		}
	}
	return ""
}

// Destroy removes the farm's network, what was left half-made, and the agent images that no container uses any more. Snapshots stay, as
// volumes do.
func (d *Docker) Destroy(ctx context.Context) error {
	doing := "destroying farm " + d.farm.Name + "'s network"
	c, err := d.client(ctx)
	if err != nil {
		return err
	}
	left, err := d.List(ctx)
	if err != nil {
		return err
	}
	if len(left) > 0 {
		names := make([]string, len(left))
		for i, m := range left {
			names[i] = m.Instance
		}
		return fmt.Errorf("%s: %d machines are still there (%s): end them first", doing, len(left), strings.Join(names, ", "))
	}
	d.endCopies()
	if _, err := d.settle(ctx, c, 0); err != nil {
		return explain(err, doing)
	}
	list, err := c.NetworkList(ctx, client.NetworkListOptions{Filters: d.mine()})
	if err != nil {
		return explain(err, doing)
	}
	for _, n := range list.Items {
		if _, err := c.NetworkRemove(ctx, n.ID, client.NetworkRemoveOptions{}); err != nil && !errdefs.IsNotFound(err) {
			return explain(d.attached(ctx, c, n.ID, err), doing)
		}
	}
	d.mu.Lock()
	d.net = nil
	d.mu.Unlock()
	return d.removeAgentImages(ctx, c)
}

// attached names the containers that keep a network from being removed: they are not the farm's, so a person must.
func (d *Docker) attached(ctx context.Context, c *client.Client, id string, err error) error {
	n, inspectErr := c.NetworkInspect(ctx, id, client.NetworkInspectOptions{})
	if inspectErr != nil || len(n.Network.Containers) == 0 {
		return err
	}
	var names []string
	for _, e := range n.Network.Containers {
		names = append(names, e.Name)
	}
	slices.Sort(names)
	return fmt.Errorf("containers that are not the farm's are attached to it: %s: `docker network disconnect -f %s %s`, then try again: %w",
		strings.Join(names, ", "), n.Network.Name, names[0], err)
}

// reach finds how machines reach the sidecar: by the network's gateway address if this machine has it, else as
// Docker Desktop does it, which forwards its host name to what listens on the loopback address here.
func reach(subnet netip.Prefix) platform.Network {
	gateway := gatewayOf(subnet).String()
	n := platform.Network{Subnet: subnet.String(), ListenHost: gateway, AdvertiseHost: gateway}
	l, err := net.Listen("tcp", net.JoinHostPort(gateway, "0"))
	if err != nil {
		n.ListenHost, n.AdvertiseHost = "127.0.0.1", desktopHost
		return n
	}
	l.Close()
	return n
}

// gatewayOf is the subnet's first address: the engine's own choice, made explicit.
func gatewayOf(subnet netip.Prefix) netip.Addr { return subnet.Masked().Addr().Next() }

func subnetsOf(n network.Network) []netip.Prefix {
	var all []netip.Prefix
	for _, c := range n.IPAM.Config {
		if c.Subnet.IsValid() {
			all = append(all, c.Subnet.Masked())
		}
	}
	return all
}

func joined(ps []netip.Prefix) string {
	s := make([]string, len(ps))
	for i, p := range ps {
		s[i] = p.String()
	}
	return strings.Join(s, ", ")
}
