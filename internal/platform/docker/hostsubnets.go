package docker

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math/bits"
	"net"
	"net/netip"
	"os"
	"strings"
)

// hostSubnet is an address range that this machine already reaches in some way.
type hostSubnet struct {
	Prefix    netip.Prefix
	Interface string
	Route     bool // by a route, not by an address of its own
}

func (h hostSubnet) String() string {
	if h.Route {
		return fmt.Sprintf("the route to %s by %s", h.Prefix, h.Interface)
	}
	return fmt.Sprintf("interface %s (%s)", h.Interface, h.Prefix)
}

// hostSubnets lists what this machine's interfaces and routes cover. Default routes cover everything and say nothing.
// Where the system does not tell, the list is short: the engine refuses the network later.
func hostSubnets() []hostSubnet {
	var all []hostSubnet
	interfaces, err := net.Interfaces()
	if err != nil {
		return nil
	}
	for _, i := range interfaces {
		addresses, err := i.Addrs()
		if err != nil {
			continue
		}
		for _, a := range addresses {
			if p, err := netip.ParsePrefix(a.String()); err == nil && p.Addr().Is4() {
				all = append(all, hostSubnet{Prefix: p.Masked(), Interface: i.Name})
			}
		}
	}
	if table, err := os.ReadFile("/proc/net/route"); err == nil {
		all = append(all, parseRoutes(table)...)
	}
	return all
}

// parseRoutes reads the kernel's table of IPv4 routes: words of the machine's byte order, in hex; see proc_pid_net(5).
func parseRoutes(table []byte) []hostSubnet {
	var routes []hostSubnet
	lines := bufio.NewScanner(bytes.NewReader(table))
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		if len(fields) < 8 {
			continue
		}
		destination, ok1 := hostOrder(fields[1])
		mask, ok2 := hostOrder(fields[7])
		ones := bits.OnesCount32(binary.BigEndian.Uint32(mask[:]))
		if !ok1 || !ok2 || ones == 0 {
			continue
		}
		routes = append(routes, hostSubnet{Prefix: netip.PrefixFrom(netip.AddrFrom4(destination), ones).Masked(), Interface: fields[0], Route: true})
	}
	return routes
}

// hostOrder turns "0000630A" of a little-endian machine into 10.99.0.0.
func hostOrder(word string) (address [4]byte, ok bool) {
	b, err := hex.DecodeString(word)
	if err != nil || len(b) != 4 {
		return address, false
	}
	binary.NativeEndian.PutUint32(address[:], binary.BigEndian.Uint32(b))
	return address, true
}
