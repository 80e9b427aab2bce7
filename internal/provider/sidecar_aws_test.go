package provider

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/knownvalue"
	"github.com/hashicorp/terraform-plugin-testing/plancheck"
	"github.com/hashicorp/terraform-plugin-testing/statecheck"
	"github.com/hashicorp/terraform-plugin-testing/terraform"
	"github.com/hashicorp/terraform-plugin-testing/tfjsonpath"

	"github.com/farmhand/terraform-provider-farmhand/internal/awstest"
	"github.com/farmhand/terraform-provider-farmhand/internal/awstest/ec2"
	"github.com/farmhand/terraform-provider-farmhand/internal/deploy/executable"
	"github.com/farmhand/terraform-provider-farmhand/internal/state"
	"github.com/farmhand/terraform-provider-farmhand/internal/store"
)

// sidecarProcesses make each instance of a sidecar a process of this test binary that runs what its user data says.
type sidecarProcesses struct {
	t           *testing.T
	credentials string
	service     *ec2.Service

	mu      sync.Mutex
	running map[string]*exec.Cmd // by instance
	started int
	dir     string
}

func (p *sidecarProcesses) Bind(s *ec2.Service) { p.service = s }

// what a container would run: a line for each variable, and one that executes.
var (
	exported = regexp.MustCompile(`(?m)^  export (\S+)='(.*)'$`)
	executed = regexp.MustCompile(`(?m)^  exec \S+ (.*)$`)
	quoted   = regexp.MustCompile(`'([^']*)'`)
)

func (p *sidecarProcesses) Start(m ec2.Machine) (string, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.started++
	address := fmt.Sprintf("10.0.0.%d", 10+p.started)
	line := executed.FindStringSubmatch(m.UserData)
	if line == nil {
		return address, nil // a farm's server: a record
	}
	own, err := os.Executable()
	if err != nil {
		return "", err
	}
	var args []string
	for _, a := range quoted.FindAllStringSubmatch(line[1], -1) {
		args = append(args, a[1])
	}
	dir := filepath.Join(p.dir, m.ID)
	cmd := exec.Command(own, args...)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "FARMHAND_STATE_DIR=" + dir, "AWS_EC2_METADATA_DISABLED=true", "AWS_CONFIG_FILE=" + os.DevNull,
		"AWS_SHARED_CREDENTIALS_FILE=" + p.credentials, versionVariable + "=" + p.service.Tags(m.ID)["farmhand:version"]}
	for _, v := range exported.FindAllStringSubmatch(m.UserData, -1) {
		cmd.Env = append(cmd.Env, v[1]+"="+v[2])
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", err
	}
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		return "", err
	}
	defer log.Close()
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		return "", err
	}
	p.running[m.ID] = cmd
	return address, nil
}

// end ends the process of an instance as an instance's end does, or as a crash.
func (p *sidecarProcesses) end(instance string, by os.Signal) {
	p.mu.Lock()
	cmd := p.running[instance]
	delete(p.running, instance)
	p.mu.Unlock()
	if cmd == nil {
		return
	}
	_ = cmd.Process.Signal(by)
	_ = cmd.Wait()
	if p.t.Failed() {
		log, _ := os.ReadFile(filepath.Join(p.dir, instance, "log"))
		p.t.Logf("%s said:\n%s", instance, log)
	}
}

func (p *sidecarProcesses) Stop(m ec2.Machine)                 { p.end(m.ID, syscall.SIGTERM) }
func (p *sidecarProcesses) Terminate(m ec2.Machine)            { p.end(m.ID, syscall.SIGTERM) }
func (p *sidecarProcesses) Reboot(ec2.Machine)                 {}
func (p *sidecarProcesses) Attach(ec2.Machine, string, string) {}
func (p *sidecarProcesses) Detach(ec2.Machine, string)         {}
func (p *sidecarProcesses) Console(ec2.Machine) string         { return "" }

func (p *sidecarProcesses) Close() {
	p.mu.Lock()
	var all []string
	for id := range p.running {
		all = append(all, id)
	}
	p.mu.Unlock()
	for _, id := range all {
		p.end(id, syscall.SIGKILL)
	}
}

// newWorldOfSidecars is an awsWorld in which sidecars run.
func newWorldOfSidecars(t *testing.T) (*awsWorld, *sidecarProcesses) {
	t.Helper()
	p := &sidecarProcesses{t: t, running: map[string]*exec.Cmd{}, dir: t.TempDir()}
	w := newAWSWorldWith(t, awstest.Options{Backing: p})
	p.credentials = w.credentials("AKIAINSTANCE")
	return w, p
}

const sidecarOnEC2HCL = `
resource "farmhand_sidecar" "main" {
  aws = {
    name       = "main"
    subnet_ids = ["` + ec2.SubnetA + `", "` + ec2.SubnetB + `"]
    ami        = "%s"
    size       = %d
    log_group  = "farmhand"
  }
}

resource "farmhand_farm" "shop" {
  name      = "shop"
  sidecar   = farmhand_sidecar.main.id
  zone      = "shop.internal"
  tick      = "200ms"
  simulated = { boot_time = "100ms" }
}

resource "farmhand_role" "web" {
  farm     = farmhand_farm.shop.name
  name     = "web"
  behavior = "base"
  min      = 1
  max      = 2
}
`

// A sidecar on EC2, whose instances are processes that run what their user data says: it keeps a farm, comes back when its instance is
// lost, shows in the plan when it does not run, is upgraded without the farm noticing, has another beside it, and leaves nothing.
func TestASidecarOnEC2(t *testing.T) {
	w, processes := newWorldOfSidecars(t)
	w.aws.Logs.AddGroup("farmhand")
	const address = "farmhand_sidecar.main"
	farm := func(size int) string { return fmt.Sprintf(sidecarOnEC2HCL, ec2.ImageARM64, size) }
	status := func(want string) statecheck.StateCheck {
		return statecheck.ExpectKnownValue(address, tfjsonpath.New("status"), knownvalue.StringExact(want))
	}
	// alive are the sidecars that say that they run.
	alive := func() (all []state.Alive) {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		b := w.backend()
		defer b.close()
		all, err := b.sidecarsAlive(ctx)
		w.must(err)
		return all
	}
	listen := freePort(t)
	withMetrics := strings.Replace(farm(1), "  aws = {", "  metrics_listen = \""+listen+"\"\n  aws = {", 1)
	var first, role string
	w.run(
		resource.TestStep{
			Config: farm(1), ConfigPlanChecks: planned(address, plancheck.ResourceActionCreate),
			ConfigStateChecks: []statecheck.StateCheck{
				status("running"),
				statecheck.ExpectKnownValue(address, tfjsonpath.New("id"), knownvalue.StringExact("main")),
				statecheck.ExpectKnownValue(address, tfjsonpath.New("version"), knownvalue.StringExact(testVersion)),
				statecheck.ExpectKnownValue(address, tfjsonpath.New("aws").AtMapKey("instance_type"), knownvalue.StringExact("t4g.nano")),
			},
			Check: func(*terraform.State) error {
				first = w.alive()[0].ID
				i := w.alive()[0]
				if n := len(w.alive()); n != 1 || i.Type != "t4g.nano" || strings.Contains(i.UserData, "a-secret-that-is-nowhere") {
					return fmt.Errorf("%d instances, the first is %+v", n, i)
				}
				if all := alive(); len(all) != 1 || all[0].Sidecar != "main" {
					return fmt.Errorf("alive are %+v, want main", all)
				}
				return nil
			},
		},
		resource.TestStep{PreConfig: w.tagTable, Config: farm(1), ConfigPlanChecks: nothingPlanned},
		resource.TestStep{Config: farm(1), ResourceName: address, ImportState: true, ImportStateVerify: true},
		resource.TestStep{ // its instance is lost: Auto Scaling brings another
			PreConfig: func() {
				lost := time.Now()
				w.aws.EC2.Terminate(first)
				w.eventually("another instance runs it, and says so itself", func() bool {
					w.aws.AutoScaling.Tick()
					all, said := w.alive(), alive()
					return len(all) == 1 && all[0].ID != first && len(said) == 1 && said[0].Started.After(lost)
				})
			},
			Config: farm(1), ConfigPlanChecks: nothingPlanned,
		},
		resource.TestStep{ // it ends and its instance stays: the plan shows it, the apply replaces the instance
			PreConfig: func() {
				first = w.alive()[0].ID
				processes.end(first, syscall.SIGTERM)
			},
			Config: farm(1), ConfigPlanChecks: planned(address, plancheck.ResourceActionUpdate), ConfigStateChecks: []statecheck.StateCheck{status("running")},
			Check: func(*terraform.State) error {
				if all := w.alive(); len(all) != 1 || all[0].ID == first {
					return fmt.Errorf("after the apply there are %v", all)
				}
				role = w.role()
				return nil
			},
		},
		resource.TestStep{ // an upgrade that does not come to its end, whose executable is in the bucket
			PreConfig: func() {
				w.newExecutables()
				w.aws.Fail("autoscaling:UpdateAutoScalingGroup", "ValidationFailure", 1)
			},
			ProtoV6ProviderFactories: providers("1.0.5"),
			Config:                   farm(1), ExpectError: says("The sidecar does not start", "changing its Auto Scaling group"),
		},
		resource.TestStep{ // another version: a change in place, the farm stays as it is
			PreConfig:                w.newExecutables,
			ProtoV6ProviderFactories: providers("1.1.0"),
			Config:                   farm(1), ConfigPlanChecks: planned(address, plancheck.ResourceActionUpdate),
			ConfigStateChecks: []statecheck.StateCheck{statecheck.ExpectKnownValue(address, tfjsonpath.New("version"), knownvalue.StringExact("1.1.0"))},
			Check: func(*terraform.State) error {
				if now := w.role(); now != role {
					return fmt.Errorf("the upgrade replaced %s by %s", role, now)
				}
				if all := alive(); len(all) != 1 || all[0].Version != "1.1.0" {
					return fmt.Errorf("alive are %+v", all)
				}
				if n := len(w.aws.S3.Keys("my-bucket")); n != 1 {
					return fmt.Errorf("the bucket has %d executables, want the new one only", n)
				}
				return nil
			},
		},
		resource.TestStep{ // metrics are served: its instance is another
			PreConfig:                func() { first = w.alive()[0].ID },
			ProtoV6ProviderFactories: providers("1.1.0"),
			Config:                   withMetrics, ConfigPlanChecks: planned(address, plancheck.ResourceActionUpdate),
			Check: func(*terraform.State) error {
				if all := w.alive(); len(all) != 1 || all[0].ID == first {
					return fmt.Errorf("after the apply there are %v", all)
				}
				return servesMetrics(listen, "farmhand_farm_kept{farm=\"shop\"} 1", "sidecar=\"main\"")
			},
		},
		resource.TestStep{
			ProtoV6ProviderFactories: providers("1.1.0"),
			Config:                   withMetrics, ResourceName: address, ImportState: true, ImportStateVerify: true,
		},
		resource.TestStep{ // one more that stands by
			ProtoV6ProviderFactories: providers("1.1.0"),
			Config:                   farm(2), ConfigPlanChecks: planned(address, plancheck.ResourceActionUpdate),
			Check: func(*terraform.State) error {
				if n := len(alive()); n != 2 {
					return fmt.Errorf("%d sidecars say that they run, want 2", n)
				}
				return nil
			},
		},
	)
	if buckets := w.aws.S3.Buckets(); len(buckets) > 0 {
		t.Errorf("destroy left buckets %v", buckets)
	}
	said := fmt.Sprint(w.aws.Logs.Lines("farmhand"))
	for _, want := range []string{"main/", "sidecar started", "farm opened", "sidecar stopped"} {
		if !strings.Contains(said, want) {
			t.Errorf("the log group has no %q: %.2000s", want, said)
		}
	}
}

// A farm moves from the sidecar on this machine to one on EC2 and does not notice: the second beside the first, then the first goes.
func TestAFarmMovesToASidecarOnEC2(t *testing.T) {
	w, _ := newWorldOfSidecars(t)
	w.aws.Logs.AddGroup("farmhand")
	onEC2 := fmt.Sprintf(sidecarOnEC2HCL, ec2.ImageARM64, 1)
	const name = "sidecar   = farmhand_sidecar.main.id"
	if !strings.Contains(onEC2, name) {
		t.Fatalf("no %q in %s", name, onEC2)
	}
	_, farm, _ := strings.Cut(onEC2, "resource \"farmhand_farm\"")
	here := strings.Replace("resource \"farmhand_farm\""+farm, name, "sidecar   = farmhand_sidecar.here.id", 1)
	var role string
	w.run(
		resource.TestStep{Config: sidecarHCL + here, Check: func(*terraform.State) error {
			role = w.role()
			w.tagTable()
			return nil
		}},
		resource.TestStep{Config: sidecarHCL + onEC2, ConfigPlanChecks: planned("farmhand_farm.shop", plancheck.ResourceActionUpdate)},
		resource.TestStep{Config: onEC2, ConfigPlanChecks: planned("farmhand_sidecar.here", plancheck.ResourceActionDestroy), Check: func(*terraform.State) error {
			if now := w.role(); now != role {
				return fmt.Errorf("the move replaced %s by %s", role, now)
			}
			if _, err := os.Stat(filepath.Join(w.dir, "sidecar.log")); !os.IsNotExist(err) {
				return fmt.Errorf("the sidecar of this machine left its log, or: %w", cmp.Or(err, os.ErrExist))
			}
			return nil
		}},
		resource.TestStep{Config: onEC2, ConfigPlanChecks: nothingPlanned},
	)
}

// role is the machine of the farm's first web server.
func (w *awsWorld) role() string {
	w.t.Helper()
	b := w.backend()
	defer b.close()
	s, err := b.openExisting(w.t.Context())
	w.must(err)
	i, _, err := store.GetJSON[state.Instance](w.t.Context(), s, state.InstanceKey("shop", "web-1"))
	w.must(err)
	return i.PlatformID
}

// What stands in a sidecar's way is said in the plan, or by an apply that leaves nothing.
func TestBadInputOfASidecarOnEC2(t *testing.T) {
	w := newAWSWorld(t)
	sidecar := func(lines string) string {
		return "resource \"farmhand_sidecar\" \"main\" {\n  aws = {\n" + lines + "\n  }\n}\n"
	}
	const whole = `name = "main"` + "\n" + `subnet_ids = ["` + ec2.SubnetA + `"]` + "\n" + `ami = "` + ec2.ImageARM64 + `"`
	bad := func(config string, parts ...string) resource.TestStep {
		return resource.TestStep{Config: config, PlanOnly: true, ExpectError: says(parts...)}
	}
	local := strings.Replace(w.block, `store                    = { table = "farmhand", bucket = "my-bucket" }`, "", 1)
	w.run(
		bad("resource \"farmhand_sidecar\" \"main\" {}\n", "local", "aws"),
		bad(sidecar(strings.Replace(whole, `"main"`, `"local"`, 1)), "aws.name", "is the name of the sidecar on this machine"),
		bad(sidecar(strings.Replace(whole, ec2.SubnetA, ec2.SubnetForeign, 1)), "aws.subnet_ids", ec2.SubnetForeign),
		bad(sidecar(strings.Replace(whole, ec2.ImageARM64, ec2.ImageAMD64, 1)), "t4g.nano", "arm64"),
		resource.TestStep{
			PreConfig: func() { t.Setenv(executable.Variable("arm64"), "") }, // this test's binary itself may be one for amd64
			Config:    sidecar(whole), PlanOnly: true, ExpectError: says("aws.instance_type", "Linux executable for arm64"),
		},
		resource.TestStep{PreConfig: w.newExecutables, Config: sidecar(whole), PlanOnly: true, ExpectNonEmptyPlan: true},
		bad(sidecar(whole+"\nsize = 3"), "aws.size", "Write 1 or 2"),
		bad(sidecar(whole+"\ninstance_profile = \"lost\""), "aws.instance_profile", "lost"),
		bad(sidecar(whole+"\nsecurity_group_ids = [\"sg-0123456789abcdef0\"]"), "aws.security_group_ids", "sg-0123456789abcdef0"),
		bad(sidecar(whole+"\nkey_name = \"lost\""), "aws.key_name", "lost"),
		bad(sidecar(whole+"\nlog_group = \"lost\""), "aws.log_group", "there is no log group lost"),
		bad(sidecar(whole+"\nlog_group = \"a b\""), "aws.log_group", "is not the name of a log group"),
		bad(local+sidecar(whole), "cannot reach a store that is a file", "store = { table"),
		resource.TestStep{ // it cannot be launched: why is said, and nothing stays
			PreConfig: func() { w.aws.EC2.Quota(0) },
			Config:    sidecar(whole + "\n}\ntimeouts = {\n create = \"5s\""), ExpectError: says("Auto Scaling says", "vCPU"),
		},
		resource.TestStep{
			PreConfig: func() {
				w.aws.EC2.Quota(-1)
				w.must(w.left())
			},
			Config: sidecar(whole), PlanOnly: true, ExpectNonEmptyPlan: true,
		},
	)
}
