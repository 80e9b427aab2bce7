package ec2

import (
	"slices"
	"strconv"
	"time"

	"github.com/farmhand/terraform-provider-farmhand/internal/awstest/wire"
)

type describeInstances struct {
	paged
	InstanceId []string
	Filter     []wire.Filter
}

type instancesOut struct {
	Reservation []reservation
	NextToken   string
}

type stateOut struct {
	Code int
	Name string
}

type groupOut struct{ GroupId, GroupName string }

type deviceOut struct {
	DeviceName string
	Ebs        struct {
		VolumeId, Status    string
		AttachTime          time.Time
		DeleteOnTermination bool
	}
}

type instanceOut struct {
	InstanceId, ImageId, PrivateDnsName, DnsName, Reason, KeyName, InstanceType, SubnetId, VpcId, PrivateIpAddress, IpAddress string
	Architecture, RootDeviceType, RootDeviceName, VirtualizationType, InstanceLifecycle, ClientToken, Hypervisor              string
	SpotInstanceRequestId, PlatformDetails                                                                                    string
	InstanceState                                                                                                             stateOut
	AmiLaunchIndex                                                                                                            int
	LaunchTime                                                                                                                time.Time
	Placement                                                                                                                 struct{ AvailabilityZone, AvailabilityZoneId, GroupName, Tenancy string }
	Monitoring                                                                                                                struct{ State string }
	SourceDestCheck, EbsOptimized, EnaSupport                                                                                 bool
	Group                                                                                                                     []groupOut
	StateReason                                                                                                               *struct{ Code, Message string }
	BlockDeviceMapping                                                                                                        []deviceOut `x:"blockDeviceMapping"`
	IamInstanceProfile                                                                                                        *struct{ Arn, Id string }
	MetadataOptions                                                                                                           MetadataOptions
	NetworkInterface                                                                                                          []interfaceOut
	Tag                                                                                                                       []Tag
}

type interfaceOut struct {
	NetworkInterfaceId, SubnetId, VpcId, OwnerId, Status, PrivateIpAddress, PrivateDnsName, InterfaceType string
	Group                                                                                                 []groupOut
	Attachment                                                                                            struct {
		AttachmentId, Status string
		DeviceIndex          int
		DeleteOnTermination  bool
	}
	Association *struct{ PublicIp, IpOwnerId string }
}

// describe is what EC2 tells of an instance. A terminated one has no network left.
func (s *Service) describe(i *Instance) instanceOut {
	o := instanceOut{
		InstanceId: i.ID, ImageId: i.Image, KeyName: i.Key, InstanceType: i.Type, Architecture: i.Architecture, RootDeviceType: "ebs", RootDeviceName: i.root,
		VirtualizationType: "hvm", ClientToken: i.Token, Hypervisor: "xen", SpotInstanceRequestId: i.requestID, PlatformDetails: "Linux/UNIX", Reason: i.Reason,
		InstanceState: stateOut{codes[i.State], i.State}, AmiLaunchIndex: i.Index, LaunchTime: i.Launched, EnaSupport: true, MetadataOptions: i.Metadata, Tag: s.tagsOf(i.ID),
	}
	if i.Spot {
		o.InstanceLifecycle = "spot"
	}
	o.Placement.AvailabilityZone, o.Placement.Tenancy = i.Zone, "default"
	o.Placement.AvailabilityZoneId = zoneID(s.world.Region, slices.Index(s.world.Zones(), i.Zone))
	o.Monitoring.State = "disabled"
	if i.monitored {
		o.Monitoring.State = "enabled"
	}
	if i.ReasonCode != "" {
		o.StateReason = &struct{ Code, Message string }{i.ReasonCode, i.Reason}
	}
	if i.ProfileARN != "" {
		o.IamInstanceProfile = &struct{ Arn, Id string }{i.ProfileARN, "AIPA" + i.ID[2:18]}
	}
	if i.State == "terminated" {
		return o
	}
	n, _ := s.subnet(i.Subnet)
	o.SubnetId, o.VpcId, o.PrivateIpAddress, o.IpAddress, o.SourceDestCheck = i.Subnet, n.VpcId, i.Address, i.Public, true
	o.PrivateDnsName, o.DnsName = s.privateName(i.Address), s.publicName(i.Public)
	for _, id := range i.Groups {
		name := ""
		if g, ok := s.groups[id]; ok {
			name = g.GroupName
		}
		o.Group = append(o.Group, groupOut{id, name})
	}
	for device, id := range i.devices {
		v := s.volumes[id]
		if v == nil || v.attached == nil {
			continue
		}
		d := deviceOut{DeviceName: device}
		d.Ebs.VolumeId, d.Ebs.Status, d.Ebs.AttachTime, d.Ebs.DeleteOnTermination = id, v.attached.Status, v.attached.AttachTime, v.attached.DeleteOnTermination
		o.BlockDeviceMapping = append(o.BlockDeviceMapping, d)
	}
	slices.SortFunc(o.BlockDeviceMapping, func(a, b deviceOut) int {
		if a.DeviceName < b.DeviceName {
			return -1
		}
		return 1
	})
	nic := interfaceOut{NetworkInterfaceId: "eni-" + i.ID[2:], SubnetId: i.Subnet, VpcId: n.VpcId, OwnerId: s.world.Account, Status: "in-use", PrivateIpAddress: i.Address,
		PrivateDnsName: o.PrivateDnsName, InterfaceType: "interface", Group: o.Group}
	nic.Attachment.AttachmentId, nic.Attachment.Status, nic.Attachment.DeleteOnTermination = "eni-attach-"+i.ID[2:], "attached", true
	if i.Public != "" {
		nic.Association = &struct{ PublicIp, IpOwnerId string }{i.Public, "amazon"}
	}
	o.NetworkInterface = []interfaceOut{nic}
	return o
}

// field is a value of an instance by the name of a filter.
func (s *Service) field(i *Instance, name string) ([]string, bool) {
	switch name {
	case "instance.group-id", "network-interface.group-id":
		return i.Groups, true
	case "block-device-mapping.volume-id", "block-device-mapping.device-name":
		var v []string
		for device, id := range i.devices {
			if name == "block-device-mapping.volume-id" {
				v = append(v, id)
			} else {
				v = append(v, device)
			}
		}
		return v, true
	}
	lifecycle := []string{}
	if i.Spot {
		lifecycle = []string{"spot"}
	}
	if name == "instance-lifecycle" {
		return lifecycle, true
	}
	vpcID := ""
	if n, err := s.subnet(i.Subnet); err == nil {
		vpcID = n.VpcId
	}
	return pick(name, map[string]string{
		"instance-id": i.ID, "instance-state-name": i.State, "instance-state-code": strconv.Itoa(codes[i.State]), "instance-type": i.Type, "image-id": i.Image,
		"architecture": i.Architecture, "availability-zone": i.Zone, "subnet-id": i.Subnet, "vpc-id": vpcID, "private-ip-address": i.Address, "ip-address": i.Public,
		"key-name": i.Key, "client-token": i.Token, "reservation-id": i.Reservation, "iam-instance-profile.arn": i.ProfileARN, "iam-instance-profile.name": i.ProfileName,
		"launch-time": i.Launched.UTC().Format("2006-01-02T15:04:05.000Z"), "launch-index": strconv.Itoa(i.Index), "owner-id": s.world.Account, "tenancy": "default",
		"private-dns-name": s.privateName(i.Address), "dns-name": s.publicName(i.Public), "reason": i.Reason, "state-reason-code": i.ReasonCode,
		"root-device-name": i.root, "root-device-type": "ebs", "spot-instance-request-id": i.requestID, "hypervisor": "xen", "virtualization-type": "hvm",
		"metadata-options.http-tokens": i.Metadata.HttpTokens, "metadata-options.http-endpoint": i.Metadata.HttpEndpoint, "monitoring-state": "disabled",
		"network-interface.subnet-id": i.Subnet, "network-interface.vpc-id": vpcID,
	})
}

// find looks instances up by id: an unknown or not yet listed one is an error that names all of them.
func (s *Service) find(ids []string) ([]*Instance, error) {
	var found []*Instance
	var missing []string
	for _, id := range ids {
		if !wellFormed("i", id) {
			return nil, wire.Errorf("InvalidInstanceID.Malformed", "Invalid id: \"%s\" (expecting \"i-...\")", id)
		}
		i, ok := s.instances[id]
		if ok {
			s.settle(i)
			_, ok = s.instances[id]
		}
		if !ok || !s.listed(i) {
			missing = append(missing, id)
			continue
		}
		found = append(found, i)
	}
	switch len(missing) {
	case 0:
		return found, nil
	case 1:
		return nil, wire.Errorf("InvalidInstanceID.NotFound", "The instance ID '%s' does not exist", missing[0])
	}
	text := missing[0]
	for _, m := range missing[1:] {
		text += ", " + m
	}
	return nil, wire.Errorf("InvalidInstanceID.NotFound", "The instance IDs '%s' do not exist", text)
}

func (s *Service) describeInstances(_ *wire.Context, in *describeInstances) (*instancesOut, error) {
	size, err := in.size(s.world, len(in.InstanceId), 5, 1000)
	if err != nil {
		return nil, err
	}
	if _, err := s.find(in.InstanceId); err != nil {
		return nil, err
	}
	if _, err := wire.Pass(in.Filter, nil, func(name string) ([]string, bool) { return s.field(&Instance{ID: "i-00000000000000000"}, name) }); err != nil {
		return nil, err
	}
	s.settleAll()
	var all []*Instance
	for _, i := range s.sorted() {
		if !s.listed(i) || len(in.InstanceId) > 0 && !slices.Contains(in.InstanceId, i.ID) {
			continue
		}
		ok, err := wire.Pass(in.Filter, s.tags[i.ID], func(name string) ([]string, bool) { return s.field(i, name) })
		if err != nil {
			return nil, err
		}
		if ok {
			all = append(all, i)
		}
	}
	page, next, werr := wire.Page(all, func(i *Instance) string { return i.serial }, "instances", in.NextToken, size)
	if werr != nil {
		return nil, werr
	}
	out := &instancesOut{NextToken: next}
	for _, i := range page {
		if n := len(out.Reservation); n == 0 || out.Reservation[n-1].ReservationId != i.Reservation {
			out.Reservation = append(out.Reservation, reservation{ReservationId: i.Reservation, OwnerId: s.world.Account})
		}
		r := &out.Reservation[len(out.Reservation)-1]
		r.Instance = append(r.Instance, s.describe(i))
	}
	return out, nil
}
