package docker

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/client"

	"github.com/farmhand/terraform-provider-farmhand/internal/platform"
	"github.com/farmhand/terraform-provider-farmhand/internal/spec"
)

// Preflight tells at plan time what would stop the farm from running here: no engine, a subnet that overlaps,
// an image that does not exist. It changes nothing. Attributes are paths as in HCL ("docker.subnet").
func Preflight(ctx context.Context, farm spec.Farm) []spec.Problem {
	var problems []spec.Problem
	subnet, err := platform.ParseSubnet(farm.Docker.Subnet)
	if err != nil {
		problems = append(problems, spec.Problem{Attribute: "docker.subnet", Summary: plain(err)})
	}
	c, err := connect(ctx, farm.Docker.Host)
	if err != nil {
		at := "docker"
		if farm.Docker.Host != "" {
			at = "docker.host"
		}
		return append(problems, spec.Problem{Attribute: at, Summary: plain(err)})
	}
	defer c.Close()
	if isRemote(c.DaemonHost()) {
		problems = append(problems, spec.Problem{Attribute: "docker.host", Summary: "the engine at " + c.DaemonHost() + " is on another machine, whose containers cannot reach the sidecar here",
			Advice: "run terraform there, or use an engine of this machine"})
	}
	if subnet.IsValid() {
		if who := takenBy(ctx, c, farm.Name, subnet); who != "" {
			problems = append(problems, spec.Problem{Attribute: "docker.subnet", Summary: fmt.Sprintf("%s overlaps with %s", subnet, who),
				Advice: "Choose another private subnet, such as " + freeSubnet(ctx, c, farm.Name).String()})
		}
	}
	if farm.Docker.Image != "" {
		problems = append(problems, preflightImage(ctx, c, farm.Docker.Image, "docker.image")...)
	}
	return problems
}

func preflightImage(ctx context.Context, c *client.Client, image, attribute string) []spec.Problem {
	_, err := localImage(ctx, c, image)
	if errdefs.IsNotFound(err) {
		err = askRegistry(ctx, c, image)
	}
	if err != nil {
		return []spec.Problem{{Attribute: attribute, Summary: plain(err)}}
	}
	return nil
}

// takenBy names the network of the engine, or the interface or route of this machine, that shares addresses with
// subnet; "" for none. The farm's own network does not count.
func takenBy(ctx context.Context, c *client.Client, farm string, subnet netip.Prefix) string {
	list, err := c.NetworkList(ctx, client.NetworkListOptions{})
	if err != nil {
		return ""
	}
	if who := overlappingNetwork(list.Items, subnet, farm); who != "" {
		return who
	}
	for _, n := range list.Items {
		if n.Labels[labelFarm] == farm && slices.Contains(subnetsOf(n.Network), subnet) {
			return "" // its bridge is the interface that would be found below
		}
	}
	for _, h := range hostSubnets() {
		if h.Prefix.Overlaps(subnet) {
			return h.String()
		}
	}
	return ""
}

// freeSubnet finds a /24 of 10.0.0.0/8 that nothing here uses, from 10.99.0.0/24 on.
func freeSubnet(ctx context.Context, c *client.Client, farm string) netip.Prefix {
	candidate := netip.MustParsePrefix("10.99.0.0/24")
	for second := 99; second < 255; second++ {
		candidate = netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(second), 0, 0}), 24)
		if takenBy(ctx, c, farm, candidate) == "" {
			break
		}
	}
	return candidate
}

// plain is an error's text without the class at its end, which is for programs.
func plain(err error) string {
	text := err.Error()
	for _, class := range []error{platform.ErrInvalid, platform.ErrUnavailable, platform.ErrCapacity} {
		if suffix := ": " + class.Error(); errors.Is(err, class) && len(text) > len(suffix) && text[len(text)-len(suffix):] == suffix {
			return text[:len(text)-len(suffix)]
		}
	}
	return text
}
