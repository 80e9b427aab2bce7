package ec2

import (
	"fmt"
	"strings"

	"github.com/farmhand/terraform-provider-farmhand/internal/awstest/wire"
)

// What every stand-in has from the start.
const (
	VPC           = "vpc-0aaaaaaaaaaaaaaa1" // 10.0.0.0/16, not the default VPC
	SubnetA       = "subnet-0aaaaaaaaaaaaaaa1"
	SubnetB       = "subnet-0aaaaaaaaaaaaaaa2"
	SubnetC       = "subnet-0aaaaaaaaaaaaaaa3"
	SubnetForeign = "subnet-0ffffffffffffffff" // of another account: not to be seen
	DefaultGroup  = "sg-0aaaaaaaaaaaaaaa0"     // the VPC's default group
	Group         = "sg-0aaaaaaaaaaaaaaa1"     // "farm"
	ImageAMD64    = "ami-0aaaaaaaaaaaaaaa1"    // public, x86_64, root device /dev/xvda of 8 GiB
	ImageARM64    = "ami-0aaaaaaaaaaaaaaa2"    // public, arm64
	ImageForeign  = "ami-0ffffffffffffffff"    // another account's, private
	KeyPair       = "farm-key"                 // an ed25519 key pair
	DebianOwner   = "136693071363"             // owner of the public images
)

func (s *Service) seed() {
	s.vpcs = []vpc{{VpcId: VPC, State: "available", CidrBlock: "10.0.0.0/16", DhcpOptionsId: "dopt-0aaaaaaaaaaaaaaa1", InstanceTenancy: "default", OwnerId: s.world.Account}}
	for i, zone := range s.world.Zones() {
		s.subnets = append(s.subnets, &subnet{
			SubnetId: []string{SubnetA, SubnetB, SubnetC}[i], VpcId: VPC, State: "available", AvailabilityZone: zone,
			AvailabilityZoneId: zoneID(s.world.Region, i), CidrBlock: fmt.Sprintf("10.0.%d.0/20", 16*i), AvailableIpAddressCount: 4091,
			OwnerId: s.world.Account,
		})
	}
	everything := []permission{{IpProtocol: "-1", IpRanges: []ipRange{{CidrIp: "0.0.0.0/0"}}}}
	s.groups[DefaultGroup] = &group{GroupId: DefaultGroup, GroupName: "default", GroupDescription: "default VPC security group", VpcId: VPC, OwnerId: s.world.Account, Egress: everything}
	s.groups[Group] = &group{GroupId: Group, GroupName: "farm", GroupDescription: "instances of farms", VpcId: VPC, OwnerId: s.world.Account, Egress: everything}
	s.images = []image{
		debian(ImageAMD64, "debian-12-amd64", "x86_64", DebianOwner, true),
		debian(ImageARM64, "debian-12-arm64", "arm64", DebianOwner, true),
		debian(ImageForeign, "private-of-another", "x86_64", "999999999999", false),
	}
	s.keys = []keyPair{{KeyPairId: "key-0aaaaaaaaaaaaaaa1", KeyName: KeyPair, KeyType: "ed25519", KeyFingerprint: "wXyZ0123456789abcdefghijklmnopqrstuvwxyzABC="}}
	s.types = catalogue()
}

// zoneID is the id of a zone that is the same in all accounts ("euw1-az1").
func zoneID(region string, i int) string {
	f := strings.Split(region, "-")
	if len(f) != 3 {
		return fmt.Sprintf("use1-az%d", i+1)
	}
	return fmt.Sprintf("%s%s%s-az%d", f[0], f[1][:1], f[2], i+1)
}

func debian(id, name, arch, owner string, public bool) image {
	return image{
		ImageId: id, ImageState: "available", ImageOwnerId: owner, IsPublic: public, Architecture: arch, ImageType: "machine", Name: name,
		ImageLocation: owner + "/" + name, RootDeviceType: "ebs", RootDeviceName: "/dev/xvda", VirtualizationType: "hvm", Hypervisor: "xen",
		EnaSupport: true, CreationDate: "2026-01-01T00:00:00.000Z", PlatformDetails: "Linux/UNIX",
		BlockDeviceMapping: []imageDevice{{DeviceName: "/dev/xvda", Ebs: imageEBS{SnapshotId: "snap-0aaaaaaaaaaaaaaa1", VolumeSize: 8, VolumeType: "gp3", DeleteOnTermination: true}}},
	}
}

// AddImage adds an AMI of the account, of an architecture ("x86_64", "arm64"), and returns its id.
func (s *Service) AddImage(name, architecture string) string {
	s.world.Lock()
	defer s.world.Unlock()
	i := debian(s.world.ID("ami"), name, architecture, s.world.Account, false)
	s.images = append(s.images, i)
	return i.ImageId
}

// Type is an instance type as far as anyone asks.
type Type struct {
	Name         string
	Architecture string // "x86_64", "arm64"
	VCPUs        int
	MiB          int
}

// catalogue are the instance types of the families t, m, c and r, in sizes up to 4xlarge.
func catalogue() []Type {
	var all []Type
	for _, f := range strings.Fields("t3 t3a t4g m5 m5a m6g m6i m7g m7i c5 c6g c6i c7g r5 r6g r7g") {
		arch := "x86_64"
		if f[len(f)-1] == 'g' {
			arch = "arm64"
		}
		if f[0] == 't' {
			for i, size := range []string{"nano", "micro", "small", "medium"} {
				all = append(all, Type{f + "." + size, arch, 2, 512 << i})
			}
		}
		perCPU := map[byte]int{'t': 4096, 'm': 4096, 'c': 2048, 'r': 8192}[f[0]]
		for i, size := range []string{"large", "xlarge", "2xlarge", "4xlarge"} {
			if f[0] == 't' && size == "4xlarge" {
				continue
			}
			cpus := 2 << i
			all = append(all, Type{f + "." + size, arch, cpus, cpus * perCPU})
		}
	}
	return all
}

func (s *Service) typeOf(name string) (Type, error) {
	for _, t := range s.types {
		if t.Name == name {
			return t, nil
		}
	}
	return Type{}, wire.Errorf("InvalidInstanceType", "The following supplied instance types do not exist: [%s]", name)
}
