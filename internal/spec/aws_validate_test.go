package spec

import (
	"strings"
	"testing"
)

func awsFarm() Farm {
	f := Farm{Name: "shop", Zone: "shop.internal", AWS: &AWS{
		Region: "eu-west-1", SubnetIDs: []string{"subnet-0123456789abcdef0", "subnet-1123456789abcdef0"}, AMI: "ami-0123456789abcdef0", InstanceTypes: []string{"t4g.small"},
		HostedZoneID: "Z0123456789ABC", Tags: map[string]string{"team": "web"},
	}}
	f.SetDefaults()
	return f
}

func TestAFarmOnEC2(t *testing.T) {
	if p := awsFarm().Validate(); len(p) != 0 {
		t.Errorf("a sound farm has problems: %v", p)
	}
	for name, c := range map[string]struct {
		change func(*Farm)
		want   string
	}{
		"two platforms":      {func(f *Farm) { f.Docker = &Docker{Subnet: "10.99.0.0/24", Image: "x"} }, "aws: docker and aws are both set"},
		"no region":          {func(f *Farm) { f.AWS.Region = "" }, "aws.region: no region"},
		"no subnet":          {func(f *Farm) { f.AWS.SubnetIDs = nil }, "aws.subnet_ids: no subnet"},
		"another thing's id": {func(f *Farm) { f.AWS.SubnetIDs = []string{"vpc-1"} }, "aws.subnet_ids[0]: \"vpc-1\" is not"},
		"a subnet twice":     {func(f *Farm) { f.AWS.SubnetIDs = []string{"subnet-1", "subnet-1"} }, "twice"},
		"no image":           {func(f *Farm) { f.AWS.AMI = "" }, "aws.ami: no image"},
		"a docker image":     {func(f *Farm) { f.AWS.AMI = DefaultImage }, "aws.ami:"},
		"no type":            {func(f *Farm) { f.AWS.InstanceTypes = nil }, "aws.instance_types: no instance type"},
		"a type that isn't":  {func(f *Farm) { f.AWS.InstanceTypes = []string{"small"} }, "aws.instance_types[0]"},
		"a zone's name":      {func(f *Farm) { f.AWS.HostedZoneID = "shop.internal" }, "aws.hosted_zone_id"},
		"a profile's ARN":    {func(f *Farm) { f.AWS.InstanceProfile = "arn:aws:iam::1:instance-profile/x" }, "aws.instance_profile"},
		"a tag of AWS' own":  {func(f *Farm) { f.AWS.Tags = map[string]string{"AWS:x": "y"} }, "aws.tags"},
		"a tag of farmhand":  {func(f *Farm) { f.AWS.Tags = map[string]string{"farmhand:farm": "y"} }, "aws.tags"},
		"a long name":        {func(f *Farm) { f.Name = strings.Repeat("a", 47) }, "name: 47 characters"},
	} {
		f := awsFarm()
		c.change(&f)
		expectProblem(t, name, f.Validate(), c.want)
	}
}

func TestARoleOnEC2(t *testing.T) {
	role := func() Role {
		r := Role{Farm: "shop", Name: "web", Behavior: "apache", Max: 3,
			AWS:    &RoleAWS{Spot: 50, OnDemandBase: 1, TargetGroupARNs: []string{"arn:aws:elasticloadbalancing:eu-west-1:123456789012:targetgroup/web/0123456789abcdef"}},
			Volume: &Volume{SizeGB: 20, Type: "io2", IOPS: 3000}}
		r.SetDefaults()
		return r
	}
	if p := append(role().Validate(), awsFarm().ValidateRole(role())...); len(p) != 0 {
		t.Errorf("a sound role has problems: %v", p)
	}
	for name, c := range map[string]struct {
		change func(*Role)
		want   string
	}{
		"more than all":     {func(r *Role) { r.AWS.Spot = 101 }, "aws.spot: 101"},
		"less than none":    {func(r *Role) { r.AWS.Spot = -1 }, "aws.spot: -1"},
		"spot only of none": {func(r *Role) { r.AWS.Spot, r.AWS.SpotOnly = 0, true }, "aws.spot_only"},
		"a negative base":   {func(r *Role) { r.AWS.OnDemandBase = -1 }, "aws.on_demand_base"},
		"a negative pool":   {func(r *Role) { r.AWS.WarmPool = -1 }, "aws.warm_pool"},
		"a balancer's ARN": {func(r *Role) {
			r.AWS.TargetGroupARNs[0] = "arn:aws:elasticloadbalancing:eu-west-1:1:loadbalancer/app/x/1"
		}, "aws.target_group_arns[0]"},
		"a type of no disk":         {func(r *Role) { r.Volume.Type = "ssd" }, "volume.type"},
		"io2 without IOPS":          {func(r *Role) { r.Volume.IOPS = 0 }, "volume.iops"},
		"IOPS of st1":               {func(r *Role) { r.Volume.Type = "st1" }, "volume.iops"},
		"throughput of io2":         {func(r *Role) { r.Volume.Throughput = 200 }, "volume.throughput"},
		"a disk of less than none":  {func(r *Role) { r.Volume.SizeGB = -1 }, "volume.size_gb"},
		"a limit below its size":    {func(r *Role) { r.Volume.SizeGB, r.Volume.MaxSizeGB = 40, 30 }, "volume.max_size_gb: 30 GiB is not between the disk's 40"},
		"a limit below the default": {func(r *Role) { r.Volume.SizeGB, r.Volume.MaxSizeGB = 0, 9 }, "volume.max_size_gb: 9 GiB is not between the disk's 10"},
		"a docker image":            {func(r *Role) { r.Image = DefaultImage }, "image:"},
	} {
		r := role()
		c.change(&r)
		expectProblem(t, name, append(r.Validate(), awsFarm().ValidateRole(r)...), c.want)
	}
	onDocker := Farm{Name: "shop", Docker: &Docker{}}
	expectProblem(t, "aws on docker", onDocker.ValidateRole(role()), "aws: farm shop runs on docker")
}

func expectProblem(t *testing.T, name string, problems []Problem, want string) {
	t.Helper()
	var all []string
	for _, p := range problems {
		text := p.Attribute + ": " + p.Summary
		if strings.Contains(text, want) {
			return
		}
		all = append(all, text)
	}
	t.Errorf("%s: want %q, got %q", name, want, all)
}
