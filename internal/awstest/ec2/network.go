package ec2

import (
	"net/netip"
	"slices"
	"strconv"

	"github.com/farmhand/terraform-provider-farmhand/internal/awstest/wire"
)

type vpc struct {
	VpcId, State, CidrBlock, DhcpOptionsId, InstanceTenancy, OwnerId string
	IsDefault                                                        bool
	Tag                                                              []Tag
}

type subnet struct {
	SubnetId, VpcId, State, AvailabilityZone, AvailabilityZoneId, CidrBlock, OwnerId string
	AvailableIpAddressCount                                                          int
	DefaultForAz, MapPublicIpOnLaunch                                                bool
	Tag                                                                              []Tag

	next int // the next free host number
}

// address is the next free private address of a subnet; the first four are AWS' own.
func (n *subnet) address() string {
	p := netip.MustParsePrefix(n.CidrBlock)
	a := p.Addr()
	b := a.As4()
	v := int(b[2])<<8 + int(b[3]) + 4 + n.next
	n.next++
	n.AvailableIpAddressCount--
	b[2], b[3] = byte(v>>8), byte(v)
	return netip.AddrFrom4(b).String()
}

type ipRange struct{ CidrIp, Description string }
type groupPair struct{ UserId, GroupId, Description string }

type permission struct {
	IpProtocol string
	FromPort   *int
	ToPort     *int
	Groups     []groupPair `x:"groups"`
	IpRanges   []ipRange   `x:"ipRanges"`
	Ipv6Ranges []struct{ CidrIpv6, Description string }
}

type group struct {
	GroupId, GroupName, GroupDescription, VpcId, OwnerId string
	Ingress                                              []permission `x:"ipPermissions"`
	Egress                                               []permission `x:"ipPermissionsEgress"`
	Tag                                                  []Tag
}

type describeVpcs struct {
	paged
	VpcId  []string
	Filter []wire.Filter
}

type describeSubnets struct {
	paged
	SubnetId []string
	Filter   []wire.Filter
}

type describeGroups struct {
	paged
	GroupId   []string
	GroupName []string
	Filter    []wire.Filter
}

type describeZones struct {
	ZoneName             []string
	ZoneId               []string
	AllAvailabilityZones bool
	Filter               []wire.Filter
}

type zone struct {
	ZoneName, ZoneId, ZoneState, RegionName, ZoneType, OptInStatus, GroupName string
}

type createGroup struct {
	GroupName        string `q:",required"`
	GroupDescription string `q:",required"`
	VpcId            string
	TagSpecification []TagSpecification
}

type changeGroup struct {
	GroupId          string `q:",required"`
	IpPermissions    []permission
	TagSpecification []TagSpecification
}

type deleteGroup struct{ GroupId, GroupName string }

type (
	vpcsOut struct {
		Vpc       []vpc
		NextToken string
	}
	subnetsOut struct {
		Subnet    []subnet
		NextToken string
	}
	groupsOut struct {
		SecurityGroup []group `x:"securityGroupInfo"`
		NextToken     string
	}
	zonesOut struct {
		Zone []zone `x:"availabilityZoneInfo"`
	}
	groupCreated struct {
		Return  bool
		GroupId string
		Tag     []Tag
	}
)

func (s *Service) onNetwork() {
	wire.On(s.Query, "DescribeVpcs", s.describeVpcs)
	wire.On(s.Query, "DescribeSubnets", s.describeSubnets)
	wire.On(s.Query, "DescribeSecurityGroups", s.describeGroups)
	wire.On(s.Query, "DescribeAvailabilityZones", s.describeZones)
	wire.On(s.Query, "CreateSecurityGroup", s.createGroup)
	wire.On(s.Query, "DeleteSecurityGroup", s.deleteGroup)
	wire.On(s.Query, "AuthorizeSecurityGroupEgress", func(c *wire.Context, in *changeGroup) (*done, error) { return s.changeGroup(c, in, true, true) })
	wire.On(s.Query, "AuthorizeSecurityGroupIngress", func(c *wire.Context, in *changeGroup) (*done, error) { return s.changeGroup(c, in, false, true) })
	wire.On(s.Query, "RevokeSecurityGroupEgress", func(c *wire.Context, in *changeGroup) (*done, error) { return s.changeGroup(c, in, true, false) })
	wire.On(s.Query, "RevokeSecurityGroupIngress", func(c *wire.Context, in *changeGroup) (*done, error) { return s.changeGroup(c, in, false, false) })
}

func (s *Service) describeVpcs(_ *wire.Context, in *describeVpcs) (*vpcsOut, error) {
	for _, id := range in.VpcId {
		if !slices.ContainsFunc(s.vpcs, func(v vpc) bool { return v.VpcId == id }) {
			return nil, wire.Errorf("InvalidVpcID.NotFound", "The vpc ID '%s' does not exist", id)
		}
	}
	size, err := in.size(s.world, 0, 5, 1000)
	if err != nil {
		return nil, err
	}
	var all []vpc
	for _, v := range s.vpcs {
		ok, err := wire.Pass(in.Filter, s.tags[v.VpcId], func(name string) ([]string, bool) {
			return pick(name, map[string]string{"vpc-id": v.VpcId, "state": v.State, "cidr": v.CidrBlock, "cidr-block-association.cidr-block": v.CidrBlock,
				"is-default": strconv.FormatBool(v.IsDefault), "isDefault": strconv.FormatBool(v.IsDefault), "owner-id": v.OwnerId, "dhcp-options-id": v.DhcpOptionsId})
		})
		if err != nil {
			return nil, err
		}
		if ok && (len(in.VpcId) == 0 || slices.Contains(in.VpcId, v.VpcId)) {
			v.Tag = s.tagsOf(v.VpcId)
			all = append(all, v)
		}
	}
	page, next, werr := wire.Page(all, func(v vpc) string { return v.VpcId }, "vpcs", in.NextToken, size)
	if werr != nil {
		return nil, werr
	}
	return &vpcsOut{page, next}, nil
}

// pick finds a filter's value among a thing's.
func pick(name string, values map[string]string) ([]string, bool) {
	v, ok := values[name]
	return []string{v}, ok
}

func (s *Service) subnet(id string) (*subnet, error) {
	for _, n := range s.subnets {
		if n.SubnetId == id {
			return n, nil
		}
	}
	return nil, wire.Errorf("InvalidSubnetID.NotFound", "The subnet ID '%s' does not exist", id)
}

func (s *Service) describeSubnets(_ *wire.Context, in *describeSubnets) (*subnetsOut, error) {
	for _, id := range in.SubnetId {
		if _, err := s.subnet(id); err != nil {
			return nil, err
		}
	}
	size, err := in.size(s.world, 0, 5, 1000)
	if err != nil {
		return nil, err
	}
	var all []subnet
	for _, n := range s.subnets {
		ok, err := wire.Pass(in.Filter, s.tags[n.SubnetId], func(name string) ([]string, bool) {
			return pick(name, map[string]string{"subnet-id": n.SubnetId, "vpc-id": n.VpcId, "state": n.State, "availability-zone": n.AvailabilityZone,
				"availabilityZone": n.AvailabilityZone, "availability-zone-id": n.AvailabilityZoneId, "cidr-block": n.CidrBlock, "cidr": n.CidrBlock,
				"default-for-az": strconv.FormatBool(n.DefaultForAz), "map-public-ip-on-launch": strconv.FormatBool(n.MapPublicIpOnLaunch),
				"owner-id": n.OwnerId, "available-ip-address-count": strconv.Itoa(n.AvailableIpAddressCount)})
		})
		if err != nil {
			return nil, err
		}
		if ok && (len(in.SubnetId) == 0 || slices.Contains(in.SubnetId, n.SubnetId)) {
			c := *n
			c.Tag = s.tagsOf(n.SubnetId)
			all = append(all, c)
		}
	}
	page, next, werr := wire.Page(all, func(n subnet) string { return n.SubnetId }, "subnets", in.NextToken, size)
	if werr != nil {
		return nil, werr
	}
	return &subnetsOut{page, next}, nil
}

func (s *Service) groupOf(id string) (*group, error) {
	if !wellFormed("sg", id) {
		return nil, wire.Errorf("InvalidGroupId.Malformed", "Invalid id: \"%s\" (expecting \"sg-...\")", id)
	}
	if g, ok := s.groups[id]; ok {
		return g, nil
	}
	return nil, wire.Errorf("InvalidGroup.NotFound", "The security group '%s' does not exist", id)
}

func (s *Service) describeGroups(_ *wire.Context, in *describeGroups) (*groupsOut, error) {
	for _, id := range in.GroupId {
		if _, err := s.groupOf(id); err != nil {
			return nil, err
		}
	}
	if len(in.GroupName) > 0 {
		return nil, wire.Errorf("InvalidGroup.NotFound", "The security group '%s' does not exist in default VPC", in.GroupName[0])
	}
	size, err := in.size(s.world, 0, 5, 1000)
	if err != nil {
		return nil, err
	}
	var all []group
	for _, g := range s.groups {
		ok, err := wire.Pass(in.Filter, s.tags[g.GroupId], func(name string) ([]string, bool) {
			return pick(name, map[string]string{"group-id": g.GroupId, "group-name": g.GroupName, "vpc-id": g.VpcId, "description": g.GroupDescription, "owner-id": g.OwnerId})
		})
		if err != nil {
			return nil, err
		}
		if ok && (len(in.GroupId) == 0 || slices.Contains(in.GroupId, g.GroupId)) {
			c := *g
			c.Tag = s.tagsOf(g.GroupId)
			all = append(all, c)
		}
	}
	page, next, werr := wire.Page(all, func(g group) string { return g.GroupId }, "groups", in.NextToken, size)
	if werr != nil {
		return nil, werr
	}
	return &groupsOut{page, next}, nil
}

func (s *Service) describeZones(_ *wire.Context, in *describeZones) (*zonesOut, error) {
	out := &zonesOut{}
	for i, name := range s.world.Zones() {
		z := zone{ZoneName: name, ZoneId: zoneID(s.world.Region, i), ZoneState: "available", RegionName: s.world.Region, ZoneType: "availability-zone", OptInStatus: "opt-in-not-required", GroupName: s.world.Region}
		ok, err := wire.Pass(in.Filter, nil, func(f string) ([]string, bool) {
			return pick(f, map[string]string{"zone-name": name, "zone-id": z.ZoneId, "state": z.ZoneState, "region-name": z.RegionName, "zone-type": z.ZoneType, "opt-in-status": z.OptInStatus, "group-name": z.GroupName})
		})
		if err != nil {
			return nil, err
		}
		if ok && (len(in.ZoneName) == 0 || slices.Contains(in.ZoneName, name)) && (len(in.ZoneId) == 0 || slices.Contains(in.ZoneId, z.ZoneId)) {
			out.Zone = append(out.Zone, z)
		}
	}
	for _, name := range in.ZoneName {
		if !slices.Contains(s.world.Zones(), name) {
			return nil, wire.Errorf("InvalidParameterValue", "Invalid availability zone: [%s]", name)
		}
	}
	return out, nil
}

func (s *Service) createGroup(c *wire.Context, in *createGroup) (*groupCreated, error) {
	if err := checkTags(in.TagSpecification, "security-group"); err != nil {
		return nil, err
	}
	if in.VpcId == "" {
		return nil, wire.Errorf("VPCIdNotSpecified", "No default VPC for this user")
	}
	if !slices.ContainsFunc(s.vpcs, func(v vpc) bool { return v.VpcId == in.VpcId }) {
		return nil, wire.Errorf("InvalidVpcID.NotFound", "The vpc ID '%s' does not exist", in.VpcId)
	}
	for _, g := range s.groups {
		if g.VpcId == in.VpcId && g.GroupName == in.GroupName {
			return nil, wire.Errorf("InvalidGroup.Duplicate", "The security group '%s' already exists for VPC '%s'", in.GroupName, in.VpcId)
		}
	}
	if err := c.Commit(); err != nil {
		return nil, err
	}
	g := &group{GroupId: s.world.ID("sg"), GroupName: in.GroupName, GroupDescription: in.GroupDescription, VpcId: in.VpcId, OwnerId: s.world.Account,
		Egress: []permission{{IpProtocol: "-1", IpRanges: []ipRange{{CidrIp: "0.0.0.0/0"}}}}}
	s.groups[g.GroupId] = g
	s.tagNew(g.GroupId, "security-group", in.TagSpecification)
	return &groupCreated{true, g.GroupId, s.tagsOf(g.GroupId)}, nil
}

func (s *Service) deleteGroup(c *wire.Context, in *deleteGroup) (*done, error) {
	g, err := s.groupOf(in.GroupId)
	if err != nil {
		return nil, err
	}
	s.settleAll()
	for _, i := range s.instances {
		if i.State != "terminated" && slices.Contains(i.Groups, g.GroupId) {
			return nil, wire.Errorf("DependencyViolation", "resource %s has a dependent object", g.GroupId)
		}
	}
	if g.GroupName == "default" {
		return nil, wire.Errorf("CannotDelete", "the specified group: \"%s\" name: \"default\" cannot be deleted by a user", g.GroupId)
	}
	if err := c.Commit(); err != nil {
		return nil, err
	}
	delete(s.groups, g.GroupId)
	delete(s.tags, g.GroupId)
	return yes, nil
}

func (s *Service) changeGroup(c *wire.Context, in *changeGroup, egress, add bool) (*done, error) {
	g, err := s.groupOf(in.GroupId)
	if err != nil {
		return nil, err
	}
	if len(in.IpPermissions) == 0 {
		return nil, wire.Errorf("MissingParameter", "The request must contain the parameter ipPermissions")
	}
	if err := c.Commit(); err != nil {
		return nil, err
	}
	rules := &g.Ingress
	if egress {
		rules = &g.Egress
	}
	for _, p := range in.IpPermissions {
		at := slices.IndexFunc(*rules, func(r permission) bool { return samePermission(r, p) })
		switch {
		case add && at >= 0:
			return nil, wire.Errorf("InvalidPermission.Duplicate", "the specified rule already exists")
		case add:
			*rules = append(*rules, p)
		case at < 0:
			return nil, wire.Errorf("InvalidPermission.NotFound", "The specified rule does not exist in this security group.")
		default:
			*rules = slices.Delete(*rules, at, at+1)
		}
	}
	return yes, nil
}

func samePermission(a, b permission) bool {
	port := func(p *int) int {
		if p == nil {
			return -1
		}
		return *p
	}
	return a.IpProtocol == b.IpProtocol && port(a.FromPort) == port(b.FromPort) && port(a.ToPort) == port(b.ToPort) &&
		slices.Equal(a.IpRanges, b.IpRanges) && slices.Equal(a.Groups, b.Groups)
}
