package provider

import (
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdkdynamodb "github.com/aws/aws-sdk-go-v2/service/dynamodb"
	dynamodbtypes "github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	awsec2 "github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/plancheck"
	"github.com/hashicorp/terraform-plugin-testing/terraform"

	"github.com/farmhand/terraform-provider-farmhand/internal/awsconfig"
	"github.com/farmhand/terraform-provider-farmhand/internal/awstest/ec2"
	"github.com/farmhand/terraform-provider-farmhand/internal/deploy"
	"github.com/farmhand/terraform-provider-farmhand/internal/deploy/policy"
	"github.com/farmhand/terraform-provider-farmhand/internal/spec"
	"github.com/farmhand/terraform-provider-farmhand/internal/state"
	"github.com/farmhand/terraform-provider-farmhand/internal/store"
	"github.com/farmhand/terraform-provider-farmhand/internal/store/dynamodb"
)

// The acceptance suite on AWS, or on whatever $AWS_ENDPOINT_URL points to, with what the environment says of credentials and region. What
// it launches from is found in the account unless it is named:
//
//	FARMHAND_ACC_SUBNETS         subnet ids, with commas; default: the default subnets, else those of the first VPC
//	FARMHAND_ACC_AMI             image; default: Debian's newest 12, else the first that there is
//	FARMHAND_ACC_INSTANCE_TYPE   default: the smallest t3 or t4g, by the image's architecture
//	FARMHAND_ACC_AGENTS          "played": instances run nothing, as with an emulator, and the test reports for them. Default: played where
//	                             $AWS_ENDPOINT_URL is set, else "real"
//	FARMHAND_ACC_VERSION         version of the executables that $FARMHAND_LINUX_AMD64 and $FARMHAND_LINUX_ARM64 name
const accSuite = "FARMHAND_ACC_AWS"

// TestAccAWS runs with make testacc-aws. It costs money where AWS is real: three small instances and a sidecar for some minutes.
func TestAccAWS(t *testing.T) {
	if os.Getenv(accSuite) == "" {
		t.Skip("the acceptance suite on AWS runs by make testacc-aws: it costs money")
	}
	a := newAccAWS(t)
	a.run()
}

// TestAccAWSOnTheStandIn keeps the suite itself, and the sweeper, from rotting.
func TestAccAWSOnTheStandIn(t *testing.T) {
	w := newAWSWorld(t)
	for name, value := range map[string]string{"AWS_ENDPOINT_URL": w.aws.URL, "AWS_ENDPOINT_URL_DYNAMODB": w.table.URL, "AWS_REGION": "eu-west-1",
		"AWS_ACCESS_KEY_ID": "AKIAEXAMPLE", "AWS_SECRET_ACCESS_KEY": "a-secret-that-is-nowhere", "AWS_SHARED_CREDENTIALS_FILE": os.DevNull, "AWS_CONFIG_FILE": os.DevNull, "AWS_EC2_METADATA_DISABLED": "true"} {
		t.Setenv(name, value)
	}
	a := newAccAWS(t)
	a.run()
	w.must(w.left())

	// What a suite leaves that is killed in its midst.
	a = newAccAWS(t)
	a.beginAndLeave()
	before := w.left()
	if before == nil {
		t.Fatal("a suite that is killed leaves nothing: then there is nothing to sweep")
	}
	if _, err := sweep(t.Context(), a.cfg); err != nil {
		t.Error(err)
	}
	w.must(w.left())
	w.eventually("no table and no bucket is left", func() bool { // a table takes a moment to go
		tables, err := sdkdynamodb.NewFromConfig(a.cfg).ListTables(t.Context(), nil)
		w.must(err)
		return len(tables.TableNames) == 0 && len(w.aws.S3.Buckets()) == 0
	})
}

// accAWS is one run of the suite.
type accAWS struct {
	*world
	cfg               aws.Config
	name, table       string
	subnets           []string
	ami, instanceType string
	played            bool
	version           string
}

func newAccAWS(t *testing.T) *accAWS {
	t.Helper()
	a := &accAWS{world: newLoneWorld(t), name: accPrefix + strings.ToLower(rand.Text()[:6]), version: testVersion}
	a.table = "farmhand-" + a.name
	cfg, err := awsconfig.Load(t.Context(), awsconfig.Config{})
	a.must(err)
	a.cfg = cfg
	agents := os.Getenv("FARMHAND_ACC_AGENTS")
	a.played = agents == "played" || agents == "" && os.Getenv("AWS_ENDPOINT_URL") != ""
	if v := os.Getenv("FARMHAND_ACC_VERSION"); v != "" {
		a.version = v
	}
	t.Setenv(versionVariable, a.version) // that of the sidecar here, a copy of this binary
	a.findNetwork()
	a.findImage()
	t.Logf("suite %s in %s: subnets %v, image %s, type %s, agents played: %v", a.name, cfg.Region, a.subnets, a.ami, a.instanceType, a.played)
	return a
}

func (a *accAWS) findNetwork() {
	a.t.Helper()
	if named := os.Getenv("FARMHAND_ACC_SUBNETS"); named != "" {
		a.subnets = strings.Split(named, ",")
		return
	}
	out, err := awsec2.NewFromConfig(a.cfg).DescribeSubnets(a.t.Context(), &awsec2.DescribeSubnetsInput{})
	a.must(err)
	slices.SortStableFunc(out.Subnets, func(x, y types.Subnet) int { // default ones first
		switch {
		case aws.ToBool(x.DefaultForAz) == aws.ToBool(y.DefaultForAz):
			return strings.Compare(aws.ToString(x.AvailabilityZone), aws.ToString(y.AvailabilityZone))
		case aws.ToBool(x.DefaultForAz):
			return -1
		}
		return 1
	})
	for _, s := range out.Subnets {
		if aws.ToString(s.VpcId) == aws.ToString(out.Subnets[0].VpcId) && len(a.subnets) < 2 {
			a.subnets = append(a.subnets, aws.ToString(s.SubnetId))
		}
	}
	if len(a.subnets) == 0 {
		a.t.Fatal("there is no subnet in this region: name some by FARMHAND_ACC_SUBNETS")
	}
}

func (a *accAWS) findImage() {
	a.t.Helper()
	c := awsec2.NewFromConfig(a.cfg)
	a.ami = os.Getenv("FARMHAND_ACC_AMI")
	in := &awsec2.DescribeImagesInput{Owners: []string{ec2.DebianOwner}}
	if a.ami != "" {
		in = &awsec2.DescribeImagesInput{ImageIds: []string{a.ami}}
	}
	out, err := c.DescribeImages(a.t.Context(), in)
	a.must(err)
	if len(out.Images) == 0 { // an emulator without Debian
		out, err = c.DescribeImages(a.t.Context(), &awsec2.DescribeImagesInput{})
		a.must(err)
	}
	slices.SortFunc(out.Images, func(x, y types.Image) int {
		return strings.Compare(aws.ToString(y.CreationDate), aws.ToString(x.CreationDate))
	})
	for _, image := range out.Images {
		debian := strings.HasPrefix(aws.ToString(image.Name), "debian-12-")
		types := map[types.ArchitectureValues]string{types.ArchitectureValuesX8664: "t3.small", types.ArchitectureValuesArm64: "t4g.small"}
		if t := types[image.Architecture]; t != "" && (a.instanceType == "" || debian) {
			a.ami, a.instanceType = aws.ToString(image.ImageId), t
			if debian {
				break
			}
		}
	}
	if t := os.Getenv("FARMHAND_ACC_INSTANCE_TYPE"); t != "" {
		a.instanceType = t
	}
	if a.ami == "" || a.instanceType == "" {
		a.t.Fatal("there is no image for x86_64 or arm64 in this region: name one by FARMHAND_ACC_AMI")
	}
}

// hcl is the configuration: a farm of n servers with a volume each for those of db, kept by a sidecar here, and another sidecar on EC2.
func (a *accAWS) hcl(n int, instanceType string) string {
	subnets := `"` + strings.Join(a.subnets, `", "`) + `"`
	return fmt.Sprintf(`
provider "farmhand" {
  state_dir = %[1]q
  store     = { table = %[2]q, bucket = %[2]q }
  default_tags {
    tags = { purpose = "farmhand-acceptance" }
  }
}

resource "farmhand_sidecar" "here" {
  local = {}
}

resource "farmhand_sidecar" "there" {
  aws = {
    name          = %[3]q
    subnet_ids    = [%[4]s]
    ami           = %[5]q
    instance_type = %[6]q
  }
}

resource "farmhand_farm" "f" {
  name    = %[3]q
  sidecar = farmhand_sidecar.here.id
  zone    = "acceptance.internal"
  tick    = "2s"
  aws = {
    subnet_ids     = [%[4]s]
    ami            = %[5]q
    instance_types = [%[7]q]
  }
}

resource "farmhand_role" "web" {
  farm     = farmhand_farm.f.name
  name     = "web"
  behavior = "base"
  min      = %[8]d
  max      = 4
  drain    = "0s"
}

resource "farmhand_role" "data" {
  farm     = farmhand_farm.f.name
  name     = "data"
  behavior = "base"
  min      = 1
  max      = 1
  drain    = "0s"
  volume   = { path = "/data", size_gb = 1, on_destroy = "delete" }
}
`, a.dir, a.table, a.name, subnets, a.ami, a.sidecarType(), instanceType, n)
}

func (a *accAWS) sidecarType() string { return strings.Replace(a.instanceType, "small", "nano", 1) }

// instances are those of the farm that pend or run, by role.
func (a *accAWS) instances(ctx context.Context) (map[string][]types.Instance, error) {
	all := map[string][]types.Instance{}
	pages := awsec2.NewDescribeInstancesPaginator(awsec2.NewFromConfig(a.cfg), &awsec2.DescribeInstancesInput{
		Filters: []types.Filter{{Name: aws.String("tag:" + policy.FarmTag), Values: []string{a.name}}, {Name: aws.String("instance-state-name"), Values: []string{"pending", "running"}}}})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		for _, r := range page.Reservations {
			for _, i := range r.Instances {
				for _, tag := range i.Tags {
					if aws.ToString(tag.Key) == "farmhand:role" {
						all[*tag.Value] = append(all[*tag.Value], i)
					}
				}
			}
		}
	}
	return all, nil
}

// has waits until the role web has n instances of a type, none of them the former, and returns one.
func (a *accAWS) has(n int, instanceType, former string) (one string) {
	a.t.Helper()
	a.eventually(fmt.Sprintf("%d instances of type %s, not %q", n, instanceType, former), func() bool {
		all, err := a.instances(a.t.Context())
		a.must(err)
		good := len(all["web"]) == n
		for _, i := range all["web"] {
			one = aws.ToString(i.InstanceId)
			good = good && string(i.InstanceType) == instanceType && one != former
		}
		return good
	})
	return one
}

// volume is the data role's, which stays with its index.
func (a *accAWS) volume() string {
	a.t.Helper()
	out, err := awsec2.NewFromConfig(a.cfg).DescribeVolumes(a.t.Context(), &awsec2.DescribeVolumesInput{
		Filters: []types.Filter{{Name: aws.String("tag:farmhand:role"), Values: []string{"data"}}, {Name: aws.String("tag:" + policy.FarmTag), Values: []string{a.name}}}})
	a.must(err)
	for _, v := range out.Volumes {
		if aws.ToInt32(v.Size) == 1 {
			if !aws.ToBool(v.Encrypted) {
				a.t.Errorf("volume %s is not encrypted", *v.VolumeId)
			}
			return *v.VolumeId
		}
	}
	a.t.Errorf("the data role's index has none of the volumes %v", out.Volumes)
	return ""
}

// play reports for instances and for the sidecar on EC2, where they run nothing.
func (a *accAWS) play() {
	if !a.played {
		return
	}
	playAgents(a.t, a.cfg, a.table, func(ctx context.Context, s store.Store) error {
		all, err := a.instances(ctx)
		if err != nil {
			return err
		}
		declared, err := store.ListJSON[state.Instance](ctx, s, state.InstancePrefix(a.name))
		if err != nil {
			return err
		}
		for _, d := range declared {
			if slices.ContainsFunc(all[d.Value.Role], func(i types.Instance) bool { return aws.ToString(i.InstanceId) == d.Value.PlatformID }) {
				if err := serves(ctx, s, a.name, d.Value, nil); err != nil {
					return err
				}
			}
		}
		group, err := deploy.NewSidecars(a.cfg).Look(ctx, a.name)
		if err != nil {
			return err
		}
		for _, id := range group.Instances {
			alive := state.Alive{Holder: id, Sidecar: a.name, Version: a.version, Seen: time.Now()}
			if _, err := store.PutJSON(ctx, s, state.AliveKey(id), alive, store.Expires(time.Now().Add(time.Minute))); err != nil {
				return err
			}
		}
		return nil
	})
}

// tagTable does what an emulator of DynamoDB does not that drops the tags of CreateTable; on AWS it changes nothing.
func (a *accAWS) tagTable() {
	c := sdkdynamodb.NewFromConfig(a.cfg)
	table, err := c.DescribeTable(a.t.Context(), &sdkdynamodb.DescribeTableInput{TableName: &a.table})
	a.must(err)
	_, err = c.TagResource(a.t.Context(), &sdkdynamodb.TagResourceInput{ResourceArn: table.Table.TableArn, Tags: []dynamodbtypes.Tag{{Key: aws.String(dynamodb.TagStore), Value: &a.table}}})
	a.must(err)
}

// run is the suite: apply, nothing to do, scale, an instance that is lost, another type, destroy; at its end nothing is there that
// carries its tags or names.
func (a *accAWS) run() {
	a.play()
	other := strings.Replace(a.instanceType, "small", "micro", 1)
	var lost, volume string
	step := func(config string, s resource.TestStep) resource.TestStep {
		s.Config, s.ProtoV6ProviderFactories = config, providers(a.version)
		return s
	}
	resource.Test(a.t, resource.TestCase{
		Steps: []resource.TestStep{
			step(a.hcl(2, a.instanceType), resource.TestStep{ConfigPlanChecks: planned("farmhand_role.web", plancheck.ResourceActionCreate), Check: func(*terraform.State) error {
				lost = a.has(2, a.instanceType, "")
				volume = a.volume()
				a.tagTable()
				return nil
			}}),
			step(a.hcl(2, a.instanceType), resource.TestStep{ConfigPlanChecks: nothingPlanned}),
			step(a.hcl(3, a.instanceType), resource.TestStep{ConfigPlanChecks: planned("farmhand_role.web", plancheck.ResourceActionUpdate), Check: func(*terraform.State) error {
				a.has(3, a.instanceType, "")
				_, err := awsec2.NewFromConfig(a.cfg).TerminateInstances(a.t.Context(), &awsec2.TerminateInstancesInput{InstanceIds: []string{lost}})
				a.must(err)
				a.has(3, a.instanceType, lost)
				return nil
			}}),
			step(a.hcl(3, other), resource.TestStep{ConfigPlanChecks: planned("farmhand_farm.f", plancheck.ResourceActionUpdate), Check: func(*terraform.State) error {
				a.has(3, other, "")
				a.eventually("the volume is with the index's new instance", func() bool {
					all, err := a.instances(a.t.Context())
					a.must(err)
					return len(all["data"]) == 1 && string(all["data"][0].InstanceType) == other && a.volume() == volume
				})
				return nil
			}}),
		},
		CheckDestroy: func(*terraform.State) error {
			swept, err := sweep(a.t.Context(), a.cfg)
			if err == nil && len(swept) > 0 {
				err = fmt.Errorf("destroy left %v", swept)
			}
			return err
		},
	})
}

// beginAndLeave makes what a suite makes and destroys nothing, as one that is killed.
func (a *accAWS) beginAndLeave() {
	a.t.Helper()
	ctx := a.t.Context()
	b := &backend{version: a.version, dir: a.dir, cloud: cloud{table: a.table, bucket: a.table}}
	defer b.close()
	s := spec.Sidecar{ID: a.name, AWS: &spec.SidecarAWS{Region: a.cfg.Region, SubnetIDs: a.subnets, AMI: a.ami, InstanceType: a.sidecarType(), Version: a.version}}
	s.SetDefaults()
	if err := b.deploySidecar(ctx, &s, false, time.Second); err == nil {
		a.t.Error("a sidecar that nobody runs was waited for in vain, and nobody says so")
	}
	tags := []types.Tag{{Key: aws.String(policy.FarmTag), Value: &a.name}}
	_, err := awsec2.NewFromConfig(a.cfg).CreateVolume(ctx, &awsec2.CreateVolumeInput{AvailabilityZone: aws.String(a.cfg.Region + "a"), Size: aws.Int32(1), Encrypted: aws.Bool(true),
		TagSpecifications: []types.TagSpecification{{ResourceType: types.ResourceTypeVolume, Tags: tags}}})
	a.must(err)
}
