// Package dockertest finds room on a container engine that tests share with whatever else runs there.
package dockertest

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"sync"

	"github.com/moby/moby/client"
)

// given are the ranges that this process handed out: whoever asked makes its network later.
var given struct {
	sync.Mutex
	subnets []netip.Prefix
}

// FreeSubnet is the first range of that many bits within an IPv4 range that overlaps no network of the engine's (a run that was killed
// may have left some) and none that it returned before. Test packages run at once: each looks within a range of its own.
func FreeSubnet(ctx context.Context, c *client.Client, within string, bits int) (netip.Prefix, error) {
	all, err := netip.ParsePrefix(within)
	if err != nil {
		return netip.Prefix{}, err
	}
	networks, err := c.NetworkList(ctx, client.NetworkListOptions{})
	if err != nil {
		return netip.Prefix{}, err
	}
	given.Lock()
	defer given.Unlock()
	taken := slices.Clone(given.subnets)
	for _, n := range networks.Items {
		for _, config := range n.IPAM.Config {
			taken = append(taken, config.Subnet)
		}
	}
	for i := range uint32(1) << (bits - all.Bits()) {
		a := all.Masked().Addr().As4()
		for at, b := range []uint32{24, 16, 8, 0} {
			a[at] |= byte(i << (32 - bits) >> b)
		}
		subnet := netip.PrefixFrom(netip.AddrFrom4(a), bits)
		if !slices.ContainsFunc(taken, subnet.Overlaps) {
			given.subnets = append(given.subnets, subnet)
			return subnet, nil
		}
	}
	return netip.Prefix{}, fmt.Errorf("no /%d is free in %s: remove networks that nobody needs, docker network prune", bits, within)
}
