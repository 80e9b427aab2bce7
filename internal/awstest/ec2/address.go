package ec2

import (
	"fmt"
	"slices"

	"github.com/farmhand/terraform-provider-farmhand/internal/awstest/wire"
)

// address is an Elastic IP.
type address struct {
	PublicIp, AllocationId, AssociationId, Domain, InstanceId, NetworkInterfaceId, PrivateIpAddress, NetworkBorderGroup, PublicIpv4Pool string
	Tag                                                                                                                                 []Tag
	serial                                                                                                                              string
}

// free takes an address from its instance.
func (a *address) free() {
	a.AssociationId, a.InstanceId, a.NetworkInterfaceId, a.PrivateIpAddress = "", "", "", ""
}

type (
	allocateAddress struct {
		Address, Domain, NetworkBorderGroup, PublicIpv4Pool string
		TagSpecification                                    []TagSpecification
	}
	allocated struct {
		PublicIp, AllocationId, Domain, NetworkBorderGroup, PublicIpv4Pool string
	}
	associateAddress struct {
		AllocationId, InstanceId, NetworkInterfaceId, PrivateIpAddress, PublicIp string
		AllowReassociation                                                       bool
	}
	associated struct {
		Return        bool
		AssociationId string
	}
	disassociateAddress struct{ AssociationId, PublicIp string }
	releaseAddress      struct{ AllocationId, PublicIp, NetworkBorderGroup string }
	describeAddresses   struct {
		AllocationId []string
		PublicIp     []string
		Filter       []wire.Filter
	}
	addressesOut struct {
		Address []address `x:"addressesSet"`
	}
)

// mostAddresses is the default quota of Elastic IPs in a region.
const mostAddresses = 5

// AddressQuota sets how many Elastic IPs the account may have; the default is EC2's, 5.
func (s *Service) AddressQuota(n int) {
	s.world.Lock()
	defer s.world.Unlock()
	s.addressQuota = n
}

func (s *Service) onAddresses() {
	s.addressQuota = mostAddresses
	wire.On(s.Query, "AllocateAddress", s.allocateAddress)
	wire.On(s.Query, "AssociateAddress", s.associateAddress)
	wire.On(s.Query, "DisassociateAddress", s.disassociateAddress)
	wire.On(s.Query, "ReleaseAddress", s.releaseAddress)
	wire.On(s.Query, "DescribeAddresses", s.describeAddresses)
}

func (s *Service) allocateAddress(c *wire.Context, in *allocateAddress) (*allocated, error) {
	if in.Domain != "" && in.Domain != "vpc" {
		return nil, wire.Errorf("InvalidParameterValue", "Value (%s) for parameter domain is invalid.", in.Domain)
	}
	if err := checkTags(in.TagSpecification, "elastic-ip"); err != nil {
		return nil, err
	}
	if err := c.Commit(); err != nil {
		return nil, err
	}
	if len(s.addresses) >= s.addressQuota {
		return nil, wire.Errorf("AddressLimitExceeded", "The maximum number of addresses has been reached.")
	}
	a := &address{AllocationId: s.world.ID("eipalloc"), Domain: "vpc", NetworkBorderGroup: s.world.Region, PublicIpv4Pool: "amazon", serial: s.world.Serial()}
	s.allocations++
	a.PublicIp = fmt.Sprintf("198.51.100.%d", s.allocations)
	s.addresses[a.AllocationId] = a
	s.tagNew(a.AllocationId, "elastic-ip", in.TagSpecification)
	return &allocated{a.PublicIp, a.AllocationId, a.Domain, a.NetworkBorderGroup, a.PublicIpv4Pool}, nil
}

func (s *Service) allocation(id, ip string) (*address, error) {
	for _, a := range s.addresses {
		if id != "" && a.AllocationId == id || id == "" && a.PublicIp == ip {
			return a, nil
		}
	}
	if id != "" {
		return nil, wire.Errorf("InvalidAllocationID.NotFound", "The allocation ID '%s' does not exist", id)
	}
	return nil, wire.Errorf("InvalidAddress.NotFound", "Address '%s' not found.", ip)
}

func (s *Service) associateAddress(c *wire.Context, in *associateAddress) (*associated, error) {
	a, err := s.allocation(in.AllocationId, in.PublicIp)
	if err != nil {
		return nil, err
	}
	if in.InstanceId == "" {
		return nil, wire.Errorf("MissingParameter", "Either instance ID or network interface id must be specified")
	}
	found, err := s.find([]string{in.InstanceId})
	if err != nil {
		return nil, err
	}
	i := found[0]
	if i.State != "running" && i.State != "stopped" {
		return nil, wire.Errorf("InvalidInstanceID", "The pending instance '%s' is not in a valid state for this operation", i.ID)
	}
	if a.InstanceId != "" && a.InstanceId != i.ID && !in.AllowReassociation {
		return nil, wire.Errorf("Resource.AlreadyAssociated", "resource %s is already associated with associate-id %s", a.AllocationId, a.AssociationId)
	}
	if err := c.Commit(); err != nil {
		return nil, err
	}
	if was := s.instances[a.InstanceId]; was != nil && was != i {
		was.Public = ""
	}
	for _, other := range s.addresses {
		if other.InstanceId == i.ID && other != a {
			other.free()
		}
	}
	a.AssociationId, a.InstanceId, a.NetworkInterfaceId, a.PrivateIpAddress = s.world.ID("eipassoc"), i.ID, "eni-"+i.ID[2:], i.Address
	i.Public = a.PublicIp
	return &associated{true, a.AssociationId}, nil
}

func (s *Service) disassociateAddress(c *wire.Context, in *disassociateAddress) (*done, error) {
	for _, a := range s.addresses {
		if in.AssociationId != "" && a.AssociationId == in.AssociationId || in.PublicIp != "" && a.PublicIp == in.PublicIp {
			if err := c.Commit(); err != nil {
				return nil, err
			}
			if i := s.instances[a.InstanceId]; i != nil {
				i.Public = ""
			}
			a.free()
			return yes, nil
		}
	}
	return nil, wire.Errorf("InvalidAssociationID.NotFound", "The association ID '%s' does not exist", in.AssociationId)
}

func (s *Service) releaseAddress(c *wire.Context, in *releaseAddress) (*done, error) {
	if in.AllocationId == "" {
		return nil, wire.Errorf("MissingParameter", "The request must contain the parameter AllocationId")
	}
	a, err := s.allocation(in.AllocationId, "")
	if err != nil {
		return nil, err
	}
	s.settleAll()
	if a.AssociationId != "" {
		return nil, wire.Errorf("InvalidIPAddress.InUse", "Address '%s' is in use.", a.PublicIp)
	}
	if err := c.Commit(); err != nil {
		return nil, err
	}
	delete(s.addresses, a.AllocationId)
	delete(s.tags, a.AllocationId)
	return yes, nil
}

func (s *Service) describeAddresses(_ *wire.Context, in *describeAddresses) (*addressesOut, error) {
	for _, id := range in.AllocationId {
		if _, err := s.allocation(id, ""); err != nil {
			return nil, err
		}
	}
	for _, ip := range in.PublicIp {
		if _, err := s.allocation("", ip); err != nil {
			return nil, err
		}
	}
	s.settleAll()
	var all []address
	for _, a := range s.addresses {
		ok, err := wire.Pass(in.Filter, s.tags[a.AllocationId], func(name string) ([]string, bool) {
			return pick(name, map[string]string{"allocation-id": a.AllocationId, "association-id": a.AssociationId, "instance-id": a.InstanceId, "public-ip": a.PublicIp,
				"private-ip-address": a.PrivateIpAddress, "network-interface-id": a.NetworkInterfaceId, "network-border-group": a.NetworkBorderGroup, "domain": a.Domain})
		})
		if err != nil {
			return nil, err
		}
		asked := len(in.AllocationId)+len(in.PublicIp) == 0 || slices.Contains(in.AllocationId, a.AllocationId) || slices.Contains(in.PublicIp, a.PublicIp)
		if ok && asked {
			c := *a
			c.Tag = s.tagsOf(a.AllocationId)
			all = append(all, c)
		}
	}
	slices.SortFunc(all, func(a, b address) int {
		if a.serial < b.serial {
			return -1
		}
		return 1
	})
	return &addressesOut{all}, nil
}
