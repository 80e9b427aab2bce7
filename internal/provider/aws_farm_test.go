package provider

import (
	"bytes"
	"context"
	"crypto/rand"
	"debug/elf"
	"encoding/binary"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsec2 "github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/hashicorp/terraform-plugin-testing/config"
	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/plancheck"
	"github.com/hashicorp/terraform-plugin-testing/terraform"

	"github.com/farmhand/terraform-provider-farmhand/internal/awsconfig"
	"github.com/farmhand/terraform-provider-farmhand/internal/awstest"
	"github.com/farmhand/terraform-provider-farmhand/internal/awstest/ec2"
	"github.com/farmhand/terraform-provider-farmhand/internal/awstest/elb"
	"github.com/farmhand/terraform-provider-farmhand/internal/deploy/executable"
	"github.com/farmhand/terraform-provider-farmhand/internal/deploy/policy"
	"github.com/farmhand/terraform-provider-farmhand/internal/state"
	"github.com/farmhand/terraform-provider-farmhand/internal/store"
	"github.com/farmhand/terraform-provider-farmhand/internal/store/dynamodb"
	"github.com/farmhand/terraform-provider-farmhand/internal/store/dynamodb/dynalitetest"
)

// awsWorld is a world in which everything of AWS is a stand-in: DynamoDB is dynalite, the rest awstest. Instances are records there and
// run nothing; where they are to serve, the test plays their agents.
type awsWorld struct {
	*world
	aws   *awstest.Server
	table *dynalitetest.Server
	block string
	// volume is the id of the database's, once seen.
	volume string
}

func newAWSWorld(t *testing.T) *awsWorld {
	t.Helper()
	return newAWSWorldWith(t, awstest.Options{})
}

func newAWSWorldWith(t *testing.T, o awstest.Options) *awsWorld {
	t.Helper()
	w := &awsWorld{world: newLoneWorld(t), table: dynalitetest.Start(t), aws: awstest.New(o)}
	t.Cleanup(w.aws.Close)
	w.newExecutables()
	w.block = w.provider("eu-west-1", w.credentials("AKIAEXAMPLE"))
	return w
}

// newExecutables make what instances would run other files than before: two small ones that look like it, which are uploaded and run by
// nobody.
func (w *awsWorld) newExecutables() {
	w.t.Helper()
	for a, machine := range map[string]elf.Machine{"amd64": elf.EM_X86_64, "arm64": elf.EM_AARCH64} {
		header := elf.Header64{Type: uint16(elf.ET_EXEC), Machine: uint16(machine), Version: 1, Ehsize: 64}
		copy(header.Ident[:], "\x7fELF\x02\x01\x01")
		var b bytes.Buffer
		w.must(binary.Write(&b, binary.LittleEndian, header))
		b.WriteString(rand.Text())
		path := filepath.Join(w.t.TempDir(), "farmhand-"+a)
		w.must(os.WriteFile(path, b.Bytes(), 0o755))
		w.t.Setenv(executable.Variable(a), path)
	}
}

// backend is as the provider's block makes it.
func (w *awsWorld) backend() *backend {
	c := awsconfig.Config{Region: "eu-west-1", AccessKey: "AKIAEXAMPLE", SecretKey: "a-secret-that-is-nowhere", Endpoints: map[string]string{"dynamodb": w.table.URL, "s3": w.aws.URL}}
	return &backend{version: testVersion, dir: w.dir, cloud: cloud{table: "farmhand", bucket: "my-bucket", config: c}}
}

func (w *awsWorld) credentials(key string) string {
	w.t.Helper()
	path := filepath.Join(w.t.TempDir(), "credentials-"+key)
	w.must(os.WriteFile(path, []byte("[default]\naws_access_key_id = "+key+"\naws_secret_access_key = a-secret-that-is-nowhere\n"), 0o600))
	return path
}

func (w *awsWorld) provider(region, credentials string) string {
	return fmt.Sprintf(`
provider "farmhand" {
  state_dir                = %q
  region                   = %q
  shared_credentials_files = [%q]
  shared_config_files      = [%q]
  max_retries              = 2
  store                    = { table = "farmhand", bucket = "my-bucket" }
  default_tags {
    tags = { team = "web" }
  }
  endpoints {
    dynamodb    = %q
    s3          = %[6]q
    ec2         = %[6]q
    elbv2       = %[6]q
    iam         = %[6]q
    sts         = %[6]q
    route53     = %[6]q
    autoscaling = %[6]q
    logs        = %[6]q
  }
}
`, w.dir, region, credentials, os.DevNull, w.table.URL, w.aws.URL)
}

// run is world.run, at whose end nothing may be left in AWS either.
func (w *awsWorld) run(steps ...resource.TestStep) {
	w.t.Helper()
	for i := range steps {
		if steps[i].ProtoV6ProviderFactories == nil {
			steps[i].ProtoV6ProviderFactories = providers(testVersion)
		}
		if !strings.Contains(steps[i].Config, "provider \"farmhand\"") {
			steps[i].Config = w.block + steps[i].Config
		}
	}
	resource.Test(w.t, resource.TestCase{Steps: steps, CheckDestroy: func(*terraform.State) error { return w.left() }})
}

// left says what of the farm is still there, nil for nothing.
func (w *awsWorld) left() error {
	var left []string
	for _, i := range w.aws.EC2.Alive() {
		left = append(left, "instance "+i)
	}
	roles, profiles := w.aws.IAM.Names()
	for _, name := range append(roles, profiles...) {
		left = append(left, "IAM's "+name)
	}
	c := awsec2.NewFromConfig(w.aws.Config())
	templates, err := c.DescribeLaunchTemplates(context.Background(), &awsec2.DescribeLaunchTemplatesInput{})
	if err != nil {
		return err
	}
	for _, t := range templates.LaunchTemplates {
		left = append(left, "launch template "+*t.LaunchTemplateName)
	}
	volumes, err := c.DescribeVolumes(context.Background(), &awsec2.DescribeVolumesInput{})
	if err != nil {
		return err
	}
	for _, v := range volumes.Volumes {
		left = append(left, "volume "+*v.VolumeId)
	}
	if targets := w.aws.ELB.Targets(w.aws.TargetGroup()); len(targets) > 0 {
		left = append(left, fmt.Sprintf("targets %v", targets))
	}
	if _, err := os.Stat(w.dir); !os.IsNotExist(err) {
		left = append(left, "the state directory")
	}
	if len(left) > 0 {
		return fmt.Errorf("destroy left %s", strings.Join(left, ", "))
	}
	return nil
}

// alive are the instances that pend or run.
func (w *awsWorld) alive() (all []ec2.Instance) {
	ids := w.aws.EC2.Alive()
	for _, i := range w.aws.EC2.Instances() {
		if slices.Contains(ids, i.ID) {
			all = append(all, i)
		}
	}
	return all
}

func (w *awsWorld) instances(n int, instanceType string) {
	w.t.Helper()
	w.eventually(fmt.Sprintf("there are %d instances of type %s", n, instanceType), func() bool {
		all := w.alive()
		return len(all) == n && !slices.ContainsFunc(all, func(i ec2.Instance) bool { return i.Type != instanceType })
	})
}

const awsFarmHCL = sidecarHCL + `
resource "farmhand_farm" "shop" {
  name    = "shop"
  sidecar = farmhand_sidecar.here.id
  zone    = "shop.internal"
  tick    = "200ms"
  aws = {
    subnet_ids     = ["` + ec2.SubnetA + `", "` + ec2.SubnetB + `"]
    ami            = "%s"
    instance_types = ["%s"]
    key_name       = "` + ec2.KeyPair + `"
  }
}

resource "farmhand_role" "web" {
  farm     = farmhand_farm.shop.name
  name     = "web"
  behavior = "apache"
  min      = %d
  max      = 4
  drain    = "0s"
  aws      = { target_group_arns = ["%s"] }
}

resource "farmhand_role" "mysql" {
  farm     = farmhand_farm.shop.name
  name     = "mysql"
  behavior = "mysql"
  min      = 1
  max      = 1
  volume   = { size_gb = 20, on_destroy = "delete" }
  backup   = { to = "s3://my-backups/databases" }
}
`

// A farm on EC2 from apply to destroy: what is made for it, what a change shows in the plan, that an instance that is gone is replaced,
// and that nothing is left.
func TestAFarmOnEC2(t *testing.T) {
	w := newAWSWorld(t)
	farm := func(ami, instanceType string, n int) string {
		return fmt.Sprintf(awsFarmHCL, ami, instanceType, n, w.aws.TargetGroup())
	}
	w.playAgentsOf("shop")
	w.aws.ELB.Configure(w.aws.TargetGroup(), func(g *elb.Group) { g.DeregistrationDelay = 500 * time.Millisecond }) // AWS' own default is five minutes
	var first string
	w.run(
		resource.TestStep{Config: farm(ec2.ImageAMD64, "t3.small", 2), ConfigPlanChecks: planned("farmhand_role.web", plancheck.ResourceActionCreate)},
		resource.TestStep{
			PreConfig: func() {
				w.instances(3, "t3.small") // two of web, and the database
				zones := map[string]bool{}
				for _, i := range w.alive() {
					zones[i.Zone] = true
					if i.ProfileName != policy.InstanceRole("shop") || i.Key != ec2.KeyPair || i.Image != ec2.ImageAMD64 || i.Metadata.HttpTokens != "required" {
						t.Errorf("an instance is %+v", i)
					}
					if strings.Contains(i.UserData, "a-secret-that-is-nowhere") {
						t.Error("user data holds a secret")
					}
				}
				if len(zones) != 2 {
					t.Errorf("two instances are in %v, want one in each zone", zones)
				}
				if calls := w.aws.Calls(); calls.Count("CreateFleet") == 0 && calls.Count("RunInstances") == 0 {
					t.Error("nobody launched anything")
				}
				policies := fmt.Sprint(w.aws.IAM.Policies(policy.InstanceRole("shop")))
				if !strings.Contains(policies, "shop@agents") || !strings.Contains(policies, "arn:aws:s3:::my-backups/databases/shop/*") {
					t.Errorf("instances may do this: %s; want the farm's partition and its backups", policies)
				}
				w.tagged()
				w.hasVolume()
				w.eventually("both are registered with the balancer", func() bool { return len(w.aws.ELB.Targets(w.aws.TargetGroup())) == 2 })
			},
			Config: farm(ec2.ImageAMD64, "t3.small", 2), ConfigPlanChecks: nothingPlanned,
		},
		resource.TestStep{ // one more
			Config: farm(ec2.ImageAMD64, "t3.small", 3), ConfigPlanChecks: planned("farmhand_role.web", plancheck.ResourceActionUpdate),
			Check: func(*terraform.State) error {
				w.instances(4, "t3.small")
				first = w.aws.ELB.Targets(w.aws.TargetGroup())[0]
				w.aws.EC2.Terminate(first) // behind the farm's back
				w.eventually("one that is gone is replaced", func() bool {
					all := w.alive()
					return len(all) == 4 && !slices.ContainsFunc(all, func(i ec2.Instance) bool { return i.ID == first })
				})
				return nil
			},
		},
		resource.TestStep{ // another type is a change of the farm in place
			Config: farm(ec2.ImageAMD64, "t3.medium", 3), ConfigPlanChecks: planned("farmhand_farm.shop", plancheck.ResourceActionUpdate),
			Check: func(*terraform.State) error {
				w.instances(4, "t3.medium") // replaced, one after the other
				w.hasVolume()               // the same, on the index's next instance
				return nil
			},
		},
		resource.TestStep{PreConfig: func() { w.tagTable() }, Config: farm(ec2.ImageAMD64, "t3.medium", 3), ConfigPlanChecks: nothingPlanned},
	)
	if buckets := w.aws.S3.Buckets(); len(buckets) > 0 {
		t.Errorf("destroy left buckets %v", buckets)
	}
}

// playAgentsOf reports for every instance of a farm whose machine is there that it serves, as its agent would, until stop.
func (w *awsWorld) playAgentsOf(farm string) (stop func()) {
	return playAgents(w.t, w.table.Config(w.t), "farmhand", func(ctx context.Context, s store.Store) error {
		instances, err := store.ListJSON[state.Instance](ctx, s, state.InstancePrefix(farm))
		if err != nil {
			return err
		}
		alive := w.aws.EC2.Alive()
		for _, i := range instances {
			if i := i.Value; slices.Contains(alive, i.PlatformID) {
				var database *state.DatabaseReport
				if i.Role == "mysql" {
					database = w.databaseReport(ctx, s, farm, i)
				}
				if err := serves(ctx, s, farm, i, database); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

// serves reports of an instance that it serves.
func serves(ctx context.Context, s store.Store, farm string, i state.Instance, database *state.DatabaseReport) error {
	_, err := store.PutJSON(ctx, s, state.ReportKey(farm, i.Name()), state.Report{Instance: i.Name(), Token: i.Token, At: time.Now(),
		Boot: state.Boot{Step: "done", Done: true}, Checks: []state.Check{{Name: "behavior", OK: true}}, Database: database})
	return err
}

// playAgents calls turn ten times a second with the store of a table, from when it is there until stop. A turn that fails comes again.
func playAgents(t *testing.T, cfg aws.Config, table string, turn func(context.Context, store.Store) error) (stop func()) {
	ctx, cancel := context.WithCancel(t.Context())
	var done sync.WaitGroup
	stop = func() { cancel(); done.Wait() }
	t.Cleanup(stop)
	done.Go(func() {
		tick := time.NewTicker(100 * time.Millisecond)
		defer tick.Stop()
		var s *dynamodb.Store
		for ; ctx.Err() == nil; <-tick.C {
			if s == nil {
				opened, err := dynamodb.Open(ctx, cfg, dynamodb.Options{Table: table, Mode: dynamodb.Existing, Log: slog.New(slog.DiscardHandler)})
				if err != nil {
					continue // it is not made yet
				}
				s = opened
				defer s.Close()
			}
			_ = turn(ctx, s)
		}
	})
	return stop
}

// databaseReport is that of a server that does what it is ordered.
func (w *awsWorld) databaseReport(ctx context.Context, s store.Store, farm string, i state.Instance) *state.DatabaseReport {
	r := &state.DatabaseReport{Flavor: "mariadb", Version: "10.11", Empty: true}
	d, _, err := store.GetJSON[state.Database](ctx, s, state.DatabaseKey(farm, i.Role))
	o := d.Orders[i.Name()]
	if err != nil || o.Token != i.Token {
		return r
	}
	r.Empty, r.Done, r.Term, r.Position, r.Received = false, o.Seq, o.Term, "0-1-5", "0-1-5"
	if r.Writable = o.Office == state.OfficePrimary; r.Writable {
		r.SemiSync = 2
	} else {
		r.Source, r.Receiving, r.Applying, r.LagKnown, r.Acks = o.Source, true, true, true, true
	}
	return r
}

// tagTable is remoteWorld's: dynalite drops the tags of CreateTable.
func (w *awsWorld) tagTable() { (&remoteWorld{world: w.world, table: w.table}).tagTable() }

// tagged: every instance of the farm has its tags.
func (w *awsWorld) tagged() {
	w.t.Helper()
	out, err := awsec2.NewFromConfig(w.aws.Config()).DescribeInstances(w.t.Context(), &awsec2.DescribeInstancesInput{})
	w.must(err)
	for _, r := range out.Reservations {
		for _, i := range r.Instances {
			tags := map[string]string{}
			for _, t := range i.Tags {
				tags[*t.Key] = *t.Value
			}
			for key, want := range map[string]string{"team": "web", policy.FarmTag: "shop", "farmhand:role": "web mysql"} {
				if tags[key] == "" || !strings.Contains(want, tags[key]) {
					w.t.Errorf("instance %s: tag %s is %q, want it of %q", *i.InstanceId, key, tags[key], want)
				}
			}
		}
	}
}

// hasVolume: the database's index has one data volume, of the size that is declared, encrypted, on its instance.
func (w *awsWorld) hasVolume() {
	w.t.Helper()
	c := awsec2.NewFromConfig(w.aws.Config())
	w.eventually("the database's volume is attached to its instance", func() bool {
		out, err := c.DescribeVolumes(w.t.Context(), &awsec2.DescribeVolumesInput{})
		w.must(err)
		n, attached := 0, ""
		for _, v := range out.Volumes {
			if *v.Size != 20 {
				continue // a root disk
			}
			n++
			if !*v.Encrypted {
				w.t.Errorf("volume %s is not encrypted", *v.VolumeId)
			}
			for _, a := range v.Attachments {
				attached = *a.InstanceId
			}
			if w.volume == "" {
				w.volume = *v.VolumeId
			}
			if *v.VolumeId != w.volume {
				w.t.Fatalf("the database's volume was %s and is %s", w.volume, *v.VolumeId)
			}
		}
		return n == 1 && slices.ContainsFunc(w.alive(), func(i ec2.Instance) bool { return i.ID == attached })
	})
}

// What AWS can tell before anything is made is said in the plan, with what to do; and nothing is made.
func TestBadInputOnEC2IsFoundInThePlan(t *testing.T) {
	w := newAWSWorld(t)
	farm := func(change func(string) string) string {
		return change(fmt.Sprintf(awsFarmHCL, ec2.ImageAMD64, "t3.small", 1, w.aws.TargetGroup()))
	}
	replace := func(old, with string) func(string) string {
		return func(hcl string) string {
			if !strings.Contains(hcl, old) {
				t.Fatalf("%q is not in the configuration", old)
			}
			return strings.ReplaceAll(hcl, old, with)
		}
	}
	same := func(hcl string) string { return hcl }
	t.Setenv(executable.Variable("arm64"), "") // there is one for amd64 only
	t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
	w.aws.InvalidKey("AKIAWRONG")
	bad := func(config string, want *regexp.Regexp) resource.TestStep {
		return resource.TestStep{Config: config, PlanOnly: true, ExpectError: want}
	}
	steps := []resource.TestStep{
		bad(farm(replace(ec2.SubnetB, ec2.SubnetForeign)), says("aws.subnet_ids", ec2.SubnetForeign)),
		bad(farm(replace(ec2.ImageAMD64, ec2.ImageForeign)), says("aws.ami", ec2.ImageForeign)),
		bad(farm(replace(ec2.ImageAMD64, ec2.ImageARM64)), says("arm64", "t3.small")),
		bad(farm(replace(`"`+ec2.KeyPair+`"`, `"lost-key"`)), says("aws.key_name", "lost-key")),
		bad(farm(replace("t3.small", "t9.huge")), says("t9.huge")),
		bad(farm(replace(w.aws.TargetGroup(), "arn:aws:elasticloadbalancing:eu-west-1:123456789012:targetgroup/lost/0123456789abcdef")), says("target_group_arns", "lost")),
		bad(farm(replace("{ target_group_arns", `{ instance_types = ["t4g.small"], target_group_arns`)), says("instance type t4g.small", "Linux executable for arm64")),
		bad(farm(replace("key_name", "security_group_ids = [\"sg-0123456789abcdef0\"]\nkey_name")), says("aws.security_group_ids", "sg-0123456789abcdef0")),
		bad(farm(replace("key_name", "instance_profile = \"lost\"\nkey_name")), says("aws.instance_profile", "lost")),
		bad(w.provider("eu-west-1", w.credentials("AKIAWRONG"))+farm(same), says("credentials")),
		bad(w.provider("eu-west-1", os.DevNull)+farm(same), says("there are no AWS credentials", "AWS_PROFILE")),
		bad(w.provider("eu-wset-1", w.credentials("AKIAEXAMPLE"))+farm(same), says("eu-wset-1")),
		{PreConfig: func() { w.aws.Deny("ec2:RunInstances") }, Config: farm(same), PlanOnly: true, ExpectError: says("ec2:RunInstances")},
		{
			PreConfig: func() {
				w.aws.Allow("ec2:RunInstances")
				if all := w.alive(); len(all) > 0 {
					t.Errorf("plans have launched %v", all)
				}
				if roles, _ := w.aws.IAM.Names(); len(roles) > 0 {
					t.Errorf("plans have made roles %v", roles)
				}
			},
			Config: farm(same), PlanOnly: true, ExpectNonEmptyPlan: true,
		},
		{ // a quota is a warning in the plan, since it may be raised until the launch; the apply says what it waits for, and leaves nothing
			PreConfig: func() { w.aws.EC2.Quota(0) },
			Config:    farm(replace("  behavior =", "  timeouts = { create = \"5s\" }\n  behavior =")), ExpectError: says("VcpuLimitExceeded"),
		},
		{
			PreConfig: func() { w.aws.EC2.Quota(-1) },
			Config:    farm(same), PlanOnly: true, ExpectNonEmptyPlan: true,
		},
	}
	w.run(steps...)
}

// The examples are applied as they are, with endpoints and credentials from the environment alone, as $AWS_ENDPOINT_URL points every
// client.
func TestExamplesOnEC2(t *testing.T) {
	w, _ := newWorldOfSidecars(t)
	w.aws.ELB.Configure(w.aws.TargetGroup(), func(g *elb.Group) { g.DeregistrationDelay = 500 * time.Millisecond })
	for name, value := range map[string]string{
		"AWS_ENDPOINT_URL": w.aws.URL, "AWS_ENDPOINT_URL_DYNAMODB": w.table.URL, "FARMHAND_STATE_DIR": w.dir,
		"AWS_SHARED_CREDENTIALS_FILE": w.credentials("AKIAEXAMPLE"), "AWS_CONFIG_FILE": os.DevNull, "AWS_EC2_METADATA_DISABLED": "true",
		"TF_ACC_PROVIDER_NAMESPACE": "farmhand", // as the examples name it
	} {
		t.Setenv(name, value)
	}
	common := config.Variables{
		"subnet_ids":         config.SetVariable(config.StringVariable(ec2.SubnetA), config.StringVariable(ec2.SubnetB)),
		"security_group_ids": config.SetVariable(config.StringVariable(ec2.Group)),
		"ami":                config.StringVariable(ec2.ImageARM64),
		"sidecar_ami":        config.StringVariable(ec2.ImageARM64),
	}
	site, err := filepath.Abs("../../examples/lamp/site")
	w.must(err)
	with := func(more config.Variables) config.Variables { maps.Copy(more, common); return more }
	for _, c := range []struct {
		name, farm string
		variables  config.Variables
		serving    int // the sidecar's instance among them
	}{
		{"lamp-ec2", "shop", with(config.Variables{"site": config.StringVariable(site), "target_group_arns": config.SetVariable(config.StringVariable(w.aws.TargetGroup()))}), 7},
		{"lamp-ec2", "shop", with(config.Variables{"site": config.StringVariable(site), "target_group_arns": config.SetVariable(config.StringVariable(w.aws.TargetGroup())),
			"database": config.ObjectVariable(map[string]config.Variable{"host": config.StringVariable("db.example.com"), "name": config.StringVariable("app"), "user": config.StringVariable("app")})}), 4},
		{"queue-workers", "jobs", with(config.Variables{"queue_url": config.StringVariable("https://sqs.eu-west-1.amazonaws.com/123456789012/jobs")}), 1},
	} {
		stop := w.playAgentsOf(c.farm)
		resource.Test(t, resource.TestCase{
			Steps: []resource.TestStep{
				{ProtoV6ProviderFactories: providers(testVersion), ConfigDirectory: config.StaticDirectory("../../examples/" + c.name), ConfigVariables: c.variables, Check: func(*terraform.State) error {
					if n := len(w.alive()); n != c.serving {
						return fmt.Errorf("%s has %d instances, want %d", c.name, n, c.serving)
					}
					w.tagTable()
					return nil
				}},
				{ProtoV6ProviderFactories: providers(testVersion), ConfigDirectory: config.StaticDirectory("../../examples/" + c.name), ConfigVariables: c.variables, ConfigPlanChecks: nothingPlanned},
			},
		})
		stop()
		for _, id := range w.aws.EC2.Alive() {
			t.Errorf("%s left instance %s", c.name, id)
		}
	}
}
