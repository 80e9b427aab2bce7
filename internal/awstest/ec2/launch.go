package ec2

import (
	"encoding/base64"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/farmhand/terraform-provider-farmhand/internal/awstest/wire"
)

// launchSpec is what an instance is made from: parameters of RunInstances and contents of launch templates alike.
type launchSpec struct {
	BlockDeviceMapping                []blockDevice
	CpuOptions                        *struct{ CoreCount, ThreadsPerCore int }
	CreditSpecification               *struct{ CpuCredits string }
	DisableApiStop                    *bool
	DisableApiTermination             *bool
	EbsOptimized                      *bool
	IamInstanceProfile                *profileRef
	ImageId                           string
	InstanceInitiatedShutdownBehavior string
	InstanceMarketOptions             *marketOptions
	InstanceType                      string
	KeyName                           string
	MaintenanceOptions                *struct{ AutoRecovery string }
	MetadataOptions                   *metadataRequest
	Monitoring                        *struct{ Enabled bool }
	NetworkInterface                  []networkInterface
	Placement                         *placement
	PrivateDnsNameOptions             *struct {
		HostnameType                    string
		EnableResourceNameDnsARecord    bool
		EnableResourceNameDnsAAAARecord bool
	}
	SecurityGroup    []string
	SecurityGroupId  []string
	TagSpecification []TagSpecification
	UserData         string
}

type blockDevice struct {
	DeviceName, VirtualName string
	NoDevice                *string
	Ebs                     *ebs
}

type ebs struct {
	DeleteOnTermination      *bool
	Encrypted                *bool
	Iops                     int
	KmsKeyId, SnapshotId     string
	Throughput               int
	VolumeSize               int
	VolumeType               string
	VolumeInitializationRate int
}

type profileRef struct{ Arn, Name string }

type marketOptions struct {
	MarketType  string
	SpotOptions *struct {
		BlockDurationMinutes                                     int
		InstanceInterruptionBehavior, MaxPrice, SpotInstanceType string
		ValidUntil                                               string
	}
}

type metadataRequest struct {
	HttpTokens, HttpEndpoint, HttpProtocolIpv6, InstanceMetadataTags string
	HttpPutResponseHopLimit                                          int
}

type networkInterface struct {
	AssociatePublicIpAddress       *bool
	DeleteOnTermination            *bool
	Description                    string
	DeviceIndex                    *int
	SecurityGroupId                []string `x:"groupSet"`
	SubnetId                       string
	PrivateIpAddress               string
	InterfaceType                  string
	NetworkInterfaceId             string
	Ipv6AddressCount               int
	SecondaryPrivateIpAddressCount int
	NetworkCardIndex               int
}

type placement struct {
	AvailabilityZone, AvailabilityZoneId, Affinity, GroupName, GroupId, HostId, Tenancy string
	PartitionNumber                                                                     int
}

// plan is a launch that has been checked: everything is known but how many.
type plan struct {
	spec     launchSpec
	kind     Type
	image    image
	subnet   *subnet
	groups   []string
	spot     bool
	public   bool
	profile  [2]string // name, ARN
	userData string
	tags     []TagSpecification
	template []Tag // tags that say which launch template was used
}

// check resolves a launch, or says what is wrong with it. SubnetID stands above what the spec says.
func (s *Service) check(spec launchSpec, subnetID string) (*plan, error) {
	p := &plan{spec: spec, tags: spec.TagSpecification}
	if spec.ImageId == "" {
		return nil, wire.Errorf("MissingParameter", "The request must contain the parameter ImageId")
	}
	var err error
	if p.image, err = s.image(spec.ImageId); err != nil {
		for _, i := range s.images {
			if i.ImageId == spec.ImageId {
				return nil, wire.Errorf("AuthFailure", "Not authorized for images: [%s]", spec.ImageId)
			}
		}
		return nil, err
	}
	if spec.InstanceType == "" {
		return nil, wire.Errorf("MissingParameter", "The request must contain the parameter InstanceType")
	}
	if p.kind, err = s.typeOf(spec.InstanceType); err != nil {
		return nil, wire.Errorf("InvalidParameterValue", "Invalid value '%s' for InstanceType.", spec.InstanceType)
	}
	if p.kind.Architecture != p.image.Architecture {
		return nil, wire.Errorf("InvalidParameterValue", "The architecture '%s' of the specified instance type does not match the architecture '%s' of the specified AMI. Specify an instance type and an AMI that have matching architectures, and try again. You can use 'describe-instance-types' or 'describe-images' to discover the architecture of the instance type or AMI.", p.kind.Architecture, p.image.Architecture)
	}
	if spec.KeyName != "" {
		if err := s.keyExists(spec.KeyName); err != nil {
			return nil, err
		}
	}
	if err := s.checkNetwork(p, subnetID); err != nil {
		return nil, err
	}
	if err := s.checkRest(p); err != nil {
		return nil, err
	}
	return p, nil
}

func (s *Service) checkNetwork(p *plan, subnetID string) error {
	groups := p.spec.SecurityGroupId
	if n := p.spec.NetworkInterface; len(n) > 0 {
		if len(groups) > 0 || len(p.spec.SecurityGroup) > 0 || subnetID != "" && n[0].SubnetId != "" && subnetID != n[0].SubnetId {
			return wire.Errorf("InvalidParameterCombination", "Network interfaces and an instance-level security groups may not be specified on the same request")
		}
		if n[0].DeviceIndex == nil {
			return wire.Errorf("MissingParameter", "Each network interface requires a device index.")
		}
		groups = n[0].SecurityGroupId
		if n[0].SubnetId != "" {
			subnetID = n[0].SubnetId
		}
		if n[0].AssociatePublicIpAddress != nil {
			p.public = *n[0].AssociatePublicIpAddress
		}
	}
	if len(p.spec.SecurityGroup) > 0 {
		return wire.Errorf("InvalidParameterCombination", "The parameter groupName cannot be used with the parameter subnet")
	}
	if subnetID == "" {
		return wire.Errorf("MissingInput", "No subnets found for the default VPC. Please specify a subnet.")
	}
	var err error
	if p.subnet, err = s.subnet(subnetID); err != nil {
		return err
	}
	if pl := p.spec.Placement; pl != nil && pl.AvailabilityZone != "" && pl.AvailabilityZone != p.subnet.AvailabilityZone {
		return wire.Errorf("InvalidParameterValue", "The availability zone '%s' does not match the subnet's '%s'.", pl.AvailabilityZone, p.subnet.AvailabilityZone)
	}
	if n := p.spec.NetworkInterface; len(n) == 0 || n[0].AssociatePublicIpAddress == nil {
		p.public = p.subnet.MapPublicIpOnLaunch
	}
	for _, id := range groups {
		g, err := s.groupOf(id)
		if err != nil {
			return err
		}
		if g.VpcId != p.subnet.VpcId {
			return wire.Errorf("InvalidParameter", "Security group %s and subnet %s belong to different networks.", id, p.subnet.SubnetId)
		}
	}
	if len(groups) == 0 {
		for id, g := range s.groups {
			if g.VpcId == p.subnet.VpcId && g.GroupName == "default" {
				groups = []string{id}
			}
		}
	}
	p.groups = slices.Clone(groups)
	return nil
}

func (s *Service) checkRest(p *plan) error {
	if ref := p.spec.IamInstanceProfile; ref != nil {
		if ref.Arn != "" && ref.Name != "" {
			return wire.Errorf("InvalidParameterCombination", "The parameter 'iamInstanceProfile.name' may not be used in combination with 'iamInstanceProfile.arn'")
		}
		name, arn, ok := s.options.Profile(ref.Name + ref.Arn)
		if !ok {
			if ref.Arn != "" {
				return wire.Errorf("InvalidParameterValue", "Value (%s) for parameter iamInstanceProfile.arn is invalid. Invalid IAM Instance Profile ARN", ref.Arn)
			}
			return wire.Errorf("InvalidParameterValue", "Value (%s) for parameter iamInstanceProfile.name is invalid. Invalid IAM Instance Profile name", ref.Name)
		}
		p.profile = [2]string{name, arn}
	}
	if m := p.spec.InstanceMarketOptions; m != nil {
		if m.MarketType != "spot" && m.MarketType != "capacity-block" {
			return wire.Errorf("InvalidParameterValue", "Invalid market type '%s'", m.MarketType)
		}
		p.spot = m.MarketType == "spot"
	}
	if b := p.spec.InstanceInitiatedShutdownBehavior; b != "" && b != "stop" && b != "terminate" {
		return wire.Errorf("InvalidParameterValue", "Value (%s) for parameter instanceInitiatedShutdownBehavior is invalid.", b)
	}
	if m := p.spec.MetadataOptions; m != nil {
		if m.HttpTokens != "" && m.HttpTokens != "required" && m.HttpTokens != "optional" {
			return wire.Errorf("InvalidParameterValue", "Value (%s) for parameter HttpTokens is invalid.", m.HttpTokens)
		}
		if m.HttpPutResponseHopLimit < 0 || m.HttpPutResponseHopLimit > 64 {
			return wire.Errorf("InvalidParameterValue", "Value (%d) for parameter HttpPutResponseHopLimit is invalid.", m.HttpPutResponseHopLimit)
		}
	}
	plain, err := base64.StdEncoding.DecodeString(p.spec.UserData)
	if err != nil {
		return wire.Errorf("InvalidUserData.Malformed", "Invalid BASE64 encoding of user data")
	}
	if len(plain) > 16<<10 {
		return wire.Errorf("InvalidParameterValue", "User data is limited to 16384 bytes")
	}
	p.userData = string(plain)
	for _, d := range p.spec.BlockDeviceMapping {
		if d.DeviceName == "" {
			return wire.Errorf("MissingParameter", "The request must contain the parameter deviceName")
		}
		if d.Ebs == nil {
			continue
		}
		if d.Ebs.VolumeType != "" || d.Ebs.VolumeSize != 0 {
			size := d.Ebs.VolumeSize
			if d.DeviceName == p.image.RootDeviceName {
				size = max(size, 1)
				if d.Ebs.VolumeSize != 0 && d.Ebs.VolumeSize < p.image.BlockDeviceMapping[0].Ebs.VolumeSize {
					return wire.Errorf("InvalidBlockDeviceMapping", "Volume of size %dGB is smaller than snapshot '%s', expect size >= %dGB", d.Ebs.VolumeSize, p.image.BlockDeviceMapping[0].Ebs.SnapshotId, p.image.BlockDeviceMapping[0].Ebs.VolumeSize)
				}
			} else if d.Ebs.VolumeSize == 0 && d.Ebs.SnapshotId == "" {
				return wire.Errorf("InvalidBlockDeviceMapping", "Missing volume size for %s", d.DeviceName)
			}
			if err := checkVolume(d.Ebs.VolumeType, max(size, 1), d.Ebs.Iops, d.Ebs.Throughput); err != nil {
				return err
			}
		}
	}
	return checkTags(p.tags, "instance", "volume", "network-interface", "spot-instances-request")
}

func (p *plan) market() string {
	if p.spot {
		return "spot"
	}
	return "on-demand"
}

// shortage is why not even one instance of a plan can be had, or nil.
func (s *Service) shortage(p *plan) *wire.Error {
	for _, t := range []string{"", p.kind.Name} {
		for _, z := range []string{"", p.subnet.AvailabilityZone} {
			for _, m := range []string{"", p.market()} {
				if !s.noCapacity[pool{t, z, m}] {
					continue
				}
				if p.spot {
					return wire.Errorf("InsufficientInstanceCapacity", "There is no Spot capacity available that matches your request.").With(500)
				}
				return wire.Errorf("InsufficientInstanceCapacity", "We currently do not have sufficient %s capacity in the Availability Zone you requested (%s). Our system will be working on provisioning additional capacity.", p.kind.Name, p.subnet.AvailabilityZone).With(500)
			}
		}
	}
	if p.subnet.AvailableIpAddressCount <= 0 {
		return wire.Errorf("InsufficientFreeAddressesInSubnet", "There are not enough free addresses in subnet '%s' to satisfy the requested number of instances.", p.subnet.SubnetId)
	}
	if s.room() == 0 {
		if p.spot {
			return wire.Errorf("MaxSpotInstanceCountExceeded", "Max spot instance count exceeded")
		}
		return wire.Errorf("VcpuLimitExceeded", "You have requested more vCPU capacity than your current vCPU limit allows for the instance bucket that the specified instance type belongs to. Please visit http://aws.amazon.com/contact-us/ec2-request to request an adjustment to this limit.")
	}
	return nil
}

// room is the number of instances that the quota leaves.
func (s *Service) room() int {
	if s.quota < 0 {
		return 1 << 30
	}
	n := 0
	for _, i := range s.instances {
		if i.State == "pending" || i.State == "running" {
			n++
		}
	}
	return max(s.quota-n, 0)
}

// make launches n instances of one reservation.
func (s *Service) make(p *plan, n int, token string, extra ...Tag) []*Instance {
	var made []*Instance
	reservation := s.world.ID("r")
	for index := range n {
		i := &Instance{
			ID: s.world.ID("i"), Reservation: reservation, Token: token, Type: p.kind.Name, Image: p.image.ImageId, Architecture: p.image.Architecture,
			Zone: p.subnet.AvailabilityZone, Subnet: p.subnet.SubnetId, Address: p.subnet.address(), Key: p.spec.KeyName,
			ProfileName: p.profile[0], ProfileARN: p.profile[1], UserData: p.userData, Groups: p.groups, Spot: p.spot, Launched: s.world.Now(),
			ShutdownBehavior: p.spec.InstanceInitiatedShutdownBehavior, Index: index, SystemStatus: "ok", InstanceStatus: "ok",
			Metadata: MetadataOptions{State: "applied", HttpTokens: "optional", HttpPutResponseHopLimit: 1, HttpEndpoint: "enabled", HttpProtocolIpv6: "disabled", InstanceMetadataTags: "disabled"},
			serial:   s.world.Serial(), public: p.public, devices: map[string]string{}, root: p.image.RootDeviceName,
			monitored: p.spec.Monitoring != nil && p.spec.Monitoring.Enabled,
			Protected: p.spec.DisableApiTermination != nil && *p.spec.DisableApiTermination,
		}
		if i.ShutdownBehavior == "" {
			i.ShutdownBehavior = "stop"
		}
		if p.spot {
			i.requestID = "sir-" + strings.ToLower(s.world.Letters(8))
		}
		if m := p.spec.MetadataOptions; m != nil {
			set(&i.Metadata.HttpTokens, m.HttpTokens)
			set(&i.Metadata.HttpEndpoint, m.HttpEndpoint)
			set(&i.Metadata.HttpProtocolIpv6, m.HttpProtocolIpv6)
			set(&i.Metadata.InstanceMetadataTags, m.InstanceMetadataTags)
			if m.HttpPutResponseHopLimit != 0 {
				i.Metadata.HttpPutResponseHopLimit = m.HttpPutResponseHopLimit
			}
		}
		s.instances[i.ID] = i
		s.tagNew(i.ID, "instance", p.tags)
		s.setTags(i.ID, p.template)
		s.setTags(i.ID, extra)
		s.makeVolumes(p, i)
		s.start(i)
		made = append(made, i)
	}
	return made
}

func set(to *string, v string) {
	if v != "" {
		*to = v
	}
}

// makeVolumes makes the image's root volume and what the mappings add.
func (s *Service) makeVolumes(p *plan, i *Instance) {
	devices := map[string]ebs{}
	for _, d := range p.image.BlockDeviceMapping {
		yes := true
		devices[d.DeviceName] = ebs{DeleteOnTermination: &yes, VolumeSize: d.Ebs.VolumeSize, VolumeType: d.Ebs.VolumeType, SnapshotId: d.Ebs.SnapshotId}
	}
	for _, d := range p.spec.BlockDeviceMapping {
		if d.Ebs == nil {
			if d.NoDevice != nil {
				delete(devices, d.DeviceName)
			}
			continue
		}
		have := devices[d.DeviceName]
		set(&have.VolumeType, d.Ebs.VolumeType)
		set(&have.SnapshotId, d.Ebs.SnapshotId)
		set(&have.KmsKeyId, d.Ebs.KmsKeyId)
		have.VolumeSize = max(have.VolumeSize, d.Ebs.VolumeSize)
		have.Iops, have.Throughput = d.Ebs.Iops, d.Ebs.Throughput
		if d.Ebs.Encrypted != nil {
			have.Encrypted = d.Ebs.Encrypted
		}
		if d.Ebs.DeleteOnTermination != nil || have.DeleteOnTermination == nil {
			yes := d.Ebs.DeleteOnTermination == nil || *d.Ebs.DeleteOnTermination
			have.DeleteOnTermination = &yes
		}
		devices[d.DeviceName] = have
	}
	for _, name := range slices.Sorted(maps.Keys(devices)) {
		d := devices[name]
		v := s.newVolume(i.Zone, d.VolumeType, d.VolumeSize, d.Iops, d.Throughput)
		v.SnapshotId, v.KmsKeyId, v.Encrypted = d.SnapshotId, d.KmsKeyId, d.Encrypted != nil && *d.Encrypted
		v.attached = &attachment{VolumeId: v.VolumeId, InstanceId: i.ID, Device: name, Status: "attached", AttachTime: i.Launched, DeleteOnTermination: *d.DeleteOnTermination}
		s.tagNew(v.VolumeId, "volume", p.tags)
		i.devices[name] = v.VolumeId
	}
}

// privateName is the DNS name that a VPC gives an address.
func (s *Service) privateName(address string) string {
	return fmt.Sprintf("ip-%s.%s.compute.internal", strings.ReplaceAll(address, ".", "-"), s.world.Region)
}

func (s *Service) publicName(address string) string {
	if address == "" {
		return ""
	}
	return fmt.Sprintf("ec2-%s.%s.compute.amazonaws.com", strings.ReplaceAll(address, ".", "-"), s.world.Region)
}

func itoa(n int) string { return strconv.Itoa(n) }
