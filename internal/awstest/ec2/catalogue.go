package ec2

import (
	"slices"
	"strconv"

	"github.com/farmhand/terraform-provider-farmhand/internal/awstest/wire"
)

type imageEBS struct {
	SnapshotId, VolumeType string
	VolumeSize             int
	DeleteOnTermination    bool
	Encrypted              bool
}

type imageDevice struct {
	DeviceName string
	Ebs        imageEBS
}

type image struct {
	ImageId, ImageLocation, ImageState, ImageOwnerId, Architecture, ImageType, Name, RootDeviceType, RootDeviceName string
	VirtualizationType, Hypervisor, CreationDate, PlatformDetails                                                   string
	IsPublic, EnaSupport                                                                                            bool
	BlockDeviceMapping                                                                                              []imageDevice `x:"blockDeviceMapping"`
	Tag                                                                                                             []Tag
}

type keyPair struct {
	KeyPairId, KeyName, KeyType, KeyFingerprint string
	Tag                                         []Tag
}

type describeImages struct {
	paged
	ImageId           []string
	Owner             []string
	ExecutableBy      []string
	IncludeDeprecated bool
	IncludeDisabled   bool
	Filter            []wire.Filter
}

type describeKeyPairs struct {
	KeyName          []string
	KeyPairId        []string
	IncludePublicKey bool
	Filter           []wire.Filter
}

type describeTypes struct {
	paged
	InstanceType []string
	Filter       []wire.Filter
}

type describeOfferings struct {
	paged
	LocationType string
	Filter       []wire.Filter
}

type (
	imagesOut struct {
		Image     []image `x:"imagesSet"`
		NextToken string
	}
	keyPairsOut struct {
		KeyPair []keyPair `x:"keySet"`
	}
	typeInfo struct {
		InstanceType                  string
		CurrentGeneration             bool
		BareMetal                     bool
		BurstablePerformanceSupported bool
		Hypervisor                    string
		SupportedUsageClasses         []string `x:"supportedUsageClasses"`
		SupportedRootDeviceTypes      []string `x:"supportedRootDeviceTypes"`
		SupportedVirtualizationTypes  []string `x:"supportedVirtualizationTypes"`
		ProcessorInfo                 struct {
			SupportedArchitectures []string `x:"supportedArchitectures"`
		}
		VCPUInfo struct {
			DefaultVCpus int
		} `x:"vCpuInfo"`
		MemoryInfo struct {
			SizeInMiB int
		}
	}
	typesOut struct {
		InstanceType []typeInfo
		NextToken    string
	}
	offering     struct{ InstanceType, LocationType, Location string }
	offeringsOut struct {
		Offering  []offering `x:"instanceTypeOfferingSet"`
		NextToken string
	}
	describeAttributes struct {
		AttributeName []string
	}
	attributeValue struct{ AttributeValue string }
	attribute      struct {
		AttributeName  string
		AttributeValue []attributeValue
	}
	attributesOut struct {
		Attribute []attribute `x:"accountAttributeSet"`
	}
)

func (s *Service) onCatalogue() {
	wire.On(s.Query, "DescribeImages", s.describeImages)
	wire.On(s.Query, "DescribeKeyPairs", s.describeKeyPairs)
	wire.On(s.Query, "DescribeInstanceTypes", s.describeTypes)
	wire.On(s.Query, "DescribeInstanceTypeOfferings", s.describeOfferings)
	wire.On(s.Query, "DescribeAccountAttributes", func(_ *wire.Context, in *describeAttributes) (*attributesOut, error) {
		values := map[string]string{"supported-platforms": "VPC", "default-vpc": "none", "max-instances": "20", "vpc-max-security-groups-per-interface": "5", "max-elastic-ips": "5", "vpc-max-elastic-ips": "5"}
		out := &attributesOut{}
		for name, v := range values {
			if len(in.AttributeName) == 0 || slices.Contains(in.AttributeName, name) {
				out.Attribute = append(out.Attribute, attribute{name, []attributeValue{{v}}})
			}
		}
		return out, nil
	})
}

// image finds an AMI that the account may describe.
func (s *Service) image(id string) (image, error) {
	if !wellFormed("ami", id) {
		return image{}, wire.Errorf("InvalidAMIID.Malformed", "Invalid id: \"%s\" (expecting \"ami-...\")", id)
	}
	for _, i := range s.images {
		if i.ImageId == id && (i.IsPublic || i.ImageOwnerId == s.world.Account) {
			return i, nil
		}
	}
	return image{}, wire.Errorf("InvalidAMIID.NotFound", "The image id '[%s]' does not exist", id)
}

func (s *Service) describeImages(_ *wire.Context, in *describeImages) (*imagesOut, error) {
	for _, id := range in.ImageId {
		if _, err := s.image(id); err != nil {
			return nil, err
		}
	}
	size, err := in.size(s.world, 0, 1, 1000)
	if err != nil {
		return nil, err
	}
	var all []image
	for _, i := range s.images {
		ok, err := wire.Pass(in.Filter, s.tags[i.ImageId], func(name string) ([]string, bool) {
			return pick(name, map[string]string{"image-id": i.ImageId, "name": i.Name, "architecture": i.Architecture, "state": i.ImageState, "owner-id": i.ImageOwnerId,
				"is-public": strconv.FormatBool(i.IsPublic), "root-device-type": i.RootDeviceType, "virtualization-type": i.VirtualizationType,
				"image-type": i.ImageType, "root-device-name": i.RootDeviceName, "hypervisor": i.Hypervisor, "creation-date": i.CreationDate,
				"ena-support": strconv.FormatBool(i.EnaSupport), "block-device-mapping.volume-type": i.BlockDeviceMapping[0].Ebs.VolumeType})
		})
		if err != nil {
			return nil, err
		}
		visible := i.IsPublic || i.ImageOwnerId == s.world.Account
		owned := len(in.Owner) == 0 || slices.Contains(in.Owner, i.ImageOwnerId) || slices.Contains(in.Owner, "self") && i.ImageOwnerId == s.world.Account
		if ok && visible && owned && (len(in.ImageId) == 0 || slices.Contains(in.ImageId, i.ImageId)) {
			i.Tag = s.tagsOf(i.ImageId)
			all = append(all, i)
		}
	}
	page, next, werr := wire.Page(all, func(i image) string { return i.ImageId }, "images", in.NextToken, size)
	if werr != nil {
		return nil, werr
	}
	return &imagesOut{page, next}, nil
}

func (s *Service) keyExists(name string) error {
	if slices.ContainsFunc(s.keys, func(k keyPair) bool { return k.KeyName == name }) {
		return nil
	}
	return wire.Errorf("InvalidKeyPair.NotFound", "The key pair '%s' does not exist", name)
}

func (s *Service) describeKeyPairs(_ *wire.Context, in *describeKeyPairs) (*keyPairsOut, error) {
	for _, name := range in.KeyName {
		if err := s.keyExists(name); err != nil {
			return nil, err
		}
	}
	out := &keyPairsOut{}
	for _, k := range s.keys {
		ok, err := wire.Pass(in.Filter, s.tags[k.KeyPairId], func(name string) ([]string, bool) {
			return pick(name, map[string]string{"key-name": k.KeyName, "key-pair-id": k.KeyPairId, "fingerprint": k.KeyFingerprint})
		})
		if err != nil {
			return nil, err
		}
		if ok && (len(in.KeyName) == 0 || slices.Contains(in.KeyName, k.KeyName)) && (len(in.KeyPairId) == 0 || slices.Contains(in.KeyPairId, k.KeyPairId)) {
			out.KeyPair = append(out.KeyPair, k)
		}
	}
	return out, nil
}

func (s *Service) describeTypes(_ *wire.Context, in *describeTypes) (*typesOut, error) {
	for _, name := range in.InstanceType {
		if _, err := s.typeOf(name); err != nil {
			return nil, err
		}
	}
	size, err := in.size(s.world, 0, 5, 100)
	if err != nil {
		return nil, err
	}
	var all []typeInfo
	for _, t := range s.types {
		ok, err := wire.Pass(in.Filter, nil, func(name string) ([]string, bool) {
			return pick(name, map[string]string{"instance-type": t.Name, "processor-info.supported-architecture": t.Architecture, "current-generation": "true",
				"vcpu-info.default-vcpus": strconv.Itoa(t.VCPUs), "memory-info.size-in-mib": strconv.Itoa(t.MiB), "bare-metal": "false",
				"burstable-performance-supported": strconv.FormatBool(t.Name[0] == 't'), "supported-usage-class": "on-demand", "hypervisor": "nitro"})
		})
		if err != nil {
			return nil, err
		}
		if !ok || len(in.InstanceType) > 0 && !slices.Contains(in.InstanceType, t.Name) {
			continue
		}
		i := typeInfo{InstanceType: t.Name, CurrentGeneration: true, Hypervisor: "nitro", BurstablePerformanceSupported: t.Name[0] == 't',
			SupportedUsageClasses: []string{"on-demand", "spot"}, SupportedRootDeviceTypes: []string{"ebs"}, SupportedVirtualizationTypes: []string{"hvm"}}
		i.ProcessorInfo.SupportedArchitectures = []string{t.Architecture}
		i.VCPUInfo.DefaultVCpus = t.VCPUs
		i.MemoryInfo.SizeInMiB = t.MiB
		all = append(all, i)
	}
	page, next, werr := wire.Page(all, func(i typeInfo) string { return i.InstanceType }, "types", in.NextToken, size)
	if werr != nil {
		return nil, werr
	}
	return &typesOut{page, next}, nil
}

func (s *Service) describeOfferings(_ *wire.Context, in *describeOfferings) (*offeringsOut, error) {
	locations := map[string][]string{"": {s.world.Region}, "region": {s.world.Region}, "availability-zone": s.world.Zones()}
	where, ok := locations[in.LocationType]
	if in.LocationType == "availability-zone-id" {
		ok = true
		for i := range s.world.Zones() {
			where = append(where, zoneID(s.world.Region, i))
		}
	}
	if !ok {
		return nil, wire.Errorf("InvalidParameterValue", "The location type '%s' is invalid", in.LocationType)
	}
	if in.LocationType == "" {
		in.LocationType = "region"
	}
	size, err := in.size(s.world, 0, 5, 1000)
	if err != nil {
		return nil, err
	}
	var all []offering
	for _, t := range s.types {
		for _, l := range where {
			ok, err := wire.Pass(in.Filter, nil, func(name string) ([]string, bool) {
				return pick(name, map[string]string{"instance-type": t.Name, "location": l})
			})
			if err != nil {
				return nil, err
			}
			if ok {
				all = append(all, offering{t.Name, in.LocationType, l})
			}
		}
	}
	page, next, werr := wire.Page(all, func(o offering) string { return o.InstanceType + " " + o.Location }, "offerings", in.NextToken, size)
	if werr != nil {
		return nil, werr
	}
	return &offeringsOut{page, next}, nil
}
