package spec

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
)

const (
	// FirstAddress is the first host number given to instances: those below are the gateway's and the platform's.
	FirstAddress = 10

	minSubnetBits = 16 // more is no farm but a mistake in a digit
	maxSubnetBits = 28 // leaves five addresses from the tenth on
)

func (c *checker) subnet(attribute, cidr string) {
	p, err := netip.ParsePrefix(cidr)
	switch {
	case err != nil:
		c.wrong(attribute, fmt.Sprintf("%q is not a subnet", cidr), `Write address and prefix length, as in "10.99.0.0/24"`)
	case !p.Addr().Is4():
		c.wrong(attribute, fmt.Sprintf("%q is not IPv4", cidr), `Write one as in "10.99.0.0/24"`)
	case p != p.Masked():
		c.wrong(attribute, fmt.Sprintf("%q is an address within a subnet", cidr), "Write "+p.Masked().String())
	case p.Bits() < minSubnetBits || p.Bits() > maxSubnetBits:
		c.wrong(attribute, fmt.Sprintf("a /%d has %d addresses", p.Bits(), 1<<(32-p.Bits())), fmt.Sprintf("A farm's network takes from a /%d to a /%d", maxSubnetBits, minSubnetBits))
	case !p.Addr().IsPrivate():
		c.warn(attribute, p.String()+" is not a private range: addresses of the internet in it cannot be reached from the farm", "Choose one within 10.0.0.0/8, 172.16.0.0/12 or 192.168.0.0/16")
	}
}

// Addresses is how many instances the subnet has room for: the host numbers from FirstAddress to the one before the
// broadcast address. 0 if the subnet cannot be read.
func Addresses(cidr string) int {
	p, err := netip.ParsePrefix(cidr)
	if err != nil || !p.Addr().Is4() {
		return 0
	}
	return max(0, 1<<(32-p.Bits())-1-FirstAddress)
}

// ValidateRoom checks that the farm's subnet holds every role's max, and one server more for each: a new generation
// comes up before the old one goes. The problem is about the subnet as the farm's declaration names it; to whom it
// is shown in a role's plan, the same numbers speak.
func (f Farm) ValidateRoom(roles []Role) []Problem {
	attribute, cidr := "docker.subnet", ""
	switch {
	case f.Docker != nil:
		cidr = f.Docker.Subnet
	case f.Simulated != nil:
		attribute, cidr = "simulated.subnet", f.Simulated.Subnet
	}
	room := Addresses(cidr)
	if room == 0 { // Validate tells what is wrong with it
		return nil
	}
	need := 0
	for _, r := range roles {
		need += r.Max + 1
	}
	if need <= room {
		return nil
	}
	return []Problem{{
		Attribute: attribute,
		Summary:   fmt.Sprintf("%s has room for %d instances, and the %d roles of farm %s may have %d at their max, one more each during a roll-out included", cidr, room, len(roles), f.Name, need),
		Advice:    "Lower a role's max or give the farm a larger subnet",
	}}
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
