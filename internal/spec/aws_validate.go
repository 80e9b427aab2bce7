package spec

import (
	"fmt"
	"slices"
	"strings"
)

// Limits of AWS, with their sources.
const (
	// maxRoleNameIAM is the longest name of an IAM role; a farm's is farmhand-FARM-instance.
	// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
	maxRoleNameIAM = 64
	maxFarmOnAWS   = maxRoleNameIAM - len("farmhand--instance")
	// maxTags leaves room for farmhand's own beside the 50 that a thing may have.
	// https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/Using_Tags.html
	maxTags     = 40
	maxTagKey   = 128
	maxTagValue = 256
	// DefaultVolumeGB is the size of a data volume that declares none, in GiB.
	DefaultVolumeGB = 10
	// maxVolumeGB is the largest of any volume type, in GiB. https://docs.aws.amazon.com/ebs/latest/userguide/ebs-volume-types.html
	maxVolumeGB = 65_536
	// maxTypes is how many instance types and subnets one Fleet request has room for when they are multiplied.
	// https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/fleet-quotas.html (launch specifications)
	maxTypes = 50
)

// VolumeTypes are those that EBS has.
func VolumeTypes() []string { return []string{"gp3", "gp2", "io1", "io2", "st1", "sc1", "standard"} }

// platforms are the names of those that are set.
func (f Farm) platforms() (set []string) {
	if f.Docker != nil {
		set = append(set, "docker")
	}
	if f.Simulated != nil {
		set = append(set, "simulated")
	}
	if f.AWS != nil {
		set = append(set, "aws")
	}
	return set
}

func (a AWS) validate(c *checker, farm string) {
	if a.Region == "" {
		c.wrong("aws.region", "no region is named", `Write it in the provider's block, region = "eu-west-1", or set AWS_REGION`)
	}
	if len(a.SubnetIDs) == 0 {
		c.wrong("aws.subnet_ids", "no subnet is named", "Name at least one; with one in each of several zones, servers are spread over them")
	}
	c.awsIDs("aws.subnet_ids", "subnet-", a.SubnetIDs)
	c.awsIDs("aws.security_group_ids", "sg-", a.SecurityGroupIDs)
	if a.AMI == "" {
		c.wrong("aws.ami", "no image is named", "Name an AMI of Debian or Ubuntu in the region, or one of your own with the behaviors' packages")
	} else {
		c.awsID("aws.ami", "ami-", a.AMI)
	}
	if len(a.InstanceTypes) == 0 {
		c.wrong("aws.instance_types", "no instance type is named", `Name one or several in order of preference, as in ["t4g.small", "t4g.medium"]`)
	}
	c.instanceTypes("aws.instance_types", a.InstanceTypes)
	if a.HostedZoneID != "" && (!strings.HasPrefix(a.HostedZoneID, "Z") || !upperAlphanumeric(a.HostedZoneID)) {
		c.wrong("aws.hosted_zone_id", fmt.Sprintf("%q is not the id of a hosted zone", a.HostedZoneID), `It begins with a Z, as in aws_route53_zone.NAME.zone_id`)
	}
	if a.InstanceProfile == "" && len(farm) > maxFarmOnAWS {
		c.wrong("name", fmt.Sprintf("%d characters are too many for the name of the IAM role farmhand-%s-instance, which has %d at most", len(farm), farm, maxRoleNameIAM),
			fmt.Sprintf("Shorten it to %d, or name a profile of your own by aws.instance_profile", maxFarmOnAWS))
	}
	if strings.Contains(a.InstanceProfile, "/") {
		c.wrong("aws.instance_profile", fmt.Sprintf("%q is not the name of an instance profile", a.InstanceProfile), "Write its name and not its ARN, as in aws_iam_instance_profile.NAME.name")
	}
	c.tags("aws.tags", a.Tags)
}

func (a RoleAWS) validate(c *checker) {
	c.instanceTypes("aws.instance_types", a.InstanceTypes)
	c.awsIDs("aws.subnet_ids", "subnet-", a.SubnetIDs)
	c.awsIDs("aws.security_group_ids", "sg-", a.SecurityGroupIDs)
	if a.Spot < 0 || a.Spot > 100 {
		c.wrong("aws.spot", fmt.Sprintf("%d is no percentage", a.Spot), "Write 0 for none to 100 for all above on_demand_base")
	}
	if a.SpotOnly && a.Spot == 0 {
		c.wrong("aws.spot_only", "no instance is asked for on the Spot market that could go without a replacement from elsewhere", "Set spot = 100, or leave spot_only out")
	}
	if a.OnDemandBase < 0 || a.OnDemandBase > MaxServers {
		c.wrong("aws.on_demand_base", fmt.Sprintf("%d is no number of servers", a.OnDemandBase), fmt.Sprintf("It goes from 0 to %d", MaxServers))
	}
	if a.WarmPool < 0 || a.WarmPool > MaxServers {
		c.wrong("aws.warm_pool", fmt.Sprintf("%d is no number of servers", a.WarmPool), fmt.Sprintf("It goes from 0 to %d", MaxServers))
	}
	if a.RootVolumeGB < 0 || a.RootVolumeGB > maxVolumeGB {
		c.wrong("aws.root_volume_gb", fmt.Sprintf("%d GiB is no size of a disk", a.RootVolumeGB), "Leave it out for the AMI's own")
	}
	for i, arn := range a.TargetGroupARNs {
		if parts := strings.SplitN(arn, ":", 6); len(parts) != 6 || parts[0] != "arn" || parts[2] != "elasticloadbalancing" || !strings.HasPrefix(parts[5], "targetgroup/") {
			c.wrong(fmt.Sprintf("aws.target_group_arns[%d]", i), fmt.Sprintf("%q is not the ARN of a target group", arn), "Write aws_lb_target_group.NAME.arn")
		}
	}
	c.once("aws.target_group_arns", a.TargetGroupARNs)
}

// validateDisk checks what holds where volumes are disks.
func (v Volume) validateDisk(c *checker) {
	if v.SizeGB < 0 || v.SizeGB > maxVolumeGB {
		c.wrong("volume.size_gb", fmt.Sprintf("%d GiB is no size of a disk", v.SizeGB), fmt.Sprintf("It goes from 1 to %d; leave it out for the platform's default", maxVolumeGB))
	}
	size := max(v.SizeGB, 1)
	if v.SizeGB == 0 {
		size = DefaultVolumeGB
	}
	if v.MaxSizeGB != 0 && (v.MaxSizeGB < size || v.MaxSizeGB > maxVolumeGB) {
		c.wrong("volume.max_size_gb", fmt.Sprintf("%d GiB is not between the disk's %d and %d", v.MaxSizeGB, size, maxVolumeGB), "Write up to which size it may grow, or leave it out: then it does not")
	}
	if v.Type != "" && !slices.Contains(VolumeTypes(), v.Type) {
		c.wrong("volume.type", fmt.Sprintf("%q is no type of a disk", v.Type), "Choose one of "+strings.Join(VolumeTypes(), ", "))
	}
	provisioned := v.Type == "" || v.Type == "gp3" || v.Type == "io1" || v.Type == "io2"
	switch {
	case v.IOPS < 0:
		c.wrong("volume.iops", fmt.Sprintf("%d is negative", v.IOPS), "Leave it out for the type's own")
	case v.IOPS > 0 && !provisioned:
		c.wrong("volume.iops", "disks of type "+v.Type+" have no IOPS to choose", "Take type gp3, io1 or io2, or leave it out")
	case v.IOPS == 0 && (v.Type == "io1" || v.Type == "io2"):
		c.wrong("volume.iops", "disks of type "+v.Type+" are bought by their IOPS, and none is said", "Write it, as in iops = 3000")
	}
	switch {
	case v.Throughput < 0:
		c.wrong("volume.throughput", fmt.Sprintf("%d is negative", v.Throughput), "Leave it out for the type's own")
	case v.Throughput > 0 && v.Type != "" && v.Type != "gp3":
		c.wrong("volume.throughput", "disks of type "+v.Type+" have no throughput to choose", "Take type gp3, or leave it out")
	}
}

// ValidateRole checks what a role says of a platform against the farm's own. Both are sound by themselves.
func (f Farm) ValidateRole(r Role) []Problem {
	var c checker
	switch {
	case f.AWS == nil && r.AWS != nil:
		c.wrong("aws", fmt.Sprintf("farm %s runs on %s and not on EC2", f.Name, f.Platform()), "Leave it out, or give the farm aws = { ... }")
	case f.AWS != nil && r.Image != "":
		c.awsID("image", "ami-", r.Image)
	}
	return c.problems
}

func (c *checker) awsIDs(attribute, prefix string, ids []string) {
	for i, id := range ids {
		c.awsID(fmt.Sprintf("%s[%d]", attribute, i), prefix, id)
	}
	c.once(attribute, ids)
}

// awsID takes what EC2's ids look like: a prefix and 8 or 17 digits and letters. Stand-ins have others; letters and
// digits are all that is asked.
func (c *checker) awsID(attribute, prefix, id string) {
	rest, ok := strings.CutPrefix(id, prefix)
	if !ok || rest == "" || strings.Trim(rest, "0123456789abcdefghijklmnopqrstuvwxyz-") != "" {
		c.wrong(attribute, fmt.Sprintf("%q is not an id of EC2's", id), fmt.Sprintf("It begins with %q, as in %s0123456789abcdef0", prefix, prefix))
	}
}

func (c *checker) instanceTypes(attribute string, names []string) {
	for i, t := range names {
		family, size, ok := strings.Cut(t, ".")
		if !ok || family == "" || size == "" || strings.Trim(t, "0123456789abcdefghijklmnopqrstuvwxyz.-") != "" {
			c.wrong(fmt.Sprintf("%s[%d]", attribute, i), fmt.Sprintf("%q is not an instance type", t), `Write it as EC2 does, as in "t4g.small"`)
		}
	}
	if len(names) > maxTypes {
		c.wrong(attribute, fmt.Sprintf("%d types are more than the %d that one request takes", len(names), maxTypes), "Name fewer")
	}
	c.once(attribute, names)
}

func (c *checker) once(attribute string, values []string) {
	seen := map[string]bool{}
	for _, v := range values {
		if seen[v] {
			c.wrong(attribute, fmt.Sprintf("%q stands there twice", v), "Remove one of them")
			return
		}
		seen[v] = true
	}
}

func (c *checker) tags(attribute string, tags map[string]string) {
	if len(tags) > maxTags {
		c.wrong(attribute, fmt.Sprintf("%d tags are more than %d", len(tags), maxTags), "AWS takes 50 on a thing, and some are farmhand's own")
	}
	for _, key := range sortedKeys(tags) {
		switch {
		case key == "" || len(key) > maxTagKey || len(tags[key]) > maxTagValue:
			c.wrong(attribute, fmt.Sprintf("the tag %q is too long, or has no name", key), fmt.Sprintf("Names have %d characters at most, and values %d", maxTagKey, maxTagValue))
		case strings.HasPrefix(strings.ToLower(key), "aws:"), strings.HasPrefix(key, "farmhand:"):
			c.wrong(attribute, fmt.Sprintf("the tag %q has a name that is not yours to give", key), "Names that begin with aws: are AWS' own, and with farmhand: farmhand's")
		}
	}
}

func upperAlphanumeric(s string) bool {
	return strings.Trim(s, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ") == ""
}
