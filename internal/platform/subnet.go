package platform

import (
	"fmt"
	"net/netip"
)

// Smallest and largest subnet of a farm. A /28 leaves four addresses above the tenth, from where instances are
// numbered; more than a /16 is no farm but a mistake in a digit.
const (
	minSubnetBits = 16
	maxSubnetBits = 28
)

// ParseSubnet reads the IPv4 subnet of a farm's network. The error, an ErrInvalid, says what to write instead.
func ParseSubnet(cidr string) (netip.Prefix, error) {
	p, err := netip.ParsePrefix(cidr)
	if err != nil {
		return p, fmt.Errorf("%q is not a subnet: write it as in 10.99.0.0/24: %w", cidr, ErrInvalid)
	}
	switch {
	case !p.Addr().Is4():
		return p, fmt.Errorf("%q is not IPv4: write it as in 10.99.0.0/24: %w", cidr, ErrInvalid)
	case p != p.Masked():
		return p, fmt.Errorf("%q is an address within a subnet: write %s: %w", cidr, p.Masked(), ErrInvalid)
	case p.Bits() < minSubnetBits || p.Bits() > maxSubnetBits:
		return p, fmt.Errorf("%q has %d addresses, a farm's network takes from a /%d to a /%d: %w", cidr, 1<<(32-p.Bits()), maxSubnetBits, minSubnetBits, ErrInvalid)
	}
	return p, nil
}
