package e2e

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/farmhand/terraform-provider-farmhand/internal/awstest"
	"github.com/farmhand/terraform-provider-farmhand/internal/awstest/ec2"
	"github.com/farmhand/terraform-provider-farmhand/internal/awstest/elb"
	"github.com/farmhand/terraform-provider-farmhand/internal/dbserver/mariadbtest"
	"github.com/farmhand/terraform-provider-farmhand/internal/e2e/live"
	"github.com/farmhand/terraform-provider-farmhand/internal/spec"
	"github.com/farmhand/terraform-provider-farmhand/internal/store/dynamodb/dynalitetest"
)

const ec2Variables = `
farm               = %q
site               = %q
target_group_arns  = [%q]
database           = { host = %q, name = "app", user = "app" }
subnet_ids         = ["` + ec2.SubnetA + `", "` + ec2.SubnetB + `"]
security_group_ids = ["` + ec2.Group + `"]
ami                = "` + ec2.ImageAMD64 + `"
instance_types     = ["t3.small"]
sidecar_ami        = "` + ec2.ImageAMD64 + `"
sidecar_type       = "t3.nano"
`

// TestEC2: examples/lamp-ec2 with a database that is there already, all the way of a farm on EC2, of which EC2 itself alone is a stand-in and its instances are containers, the sidecar's as well:
// nothing of farmhand runs on this machine. User data fetches
// the agent with the instance profile's credentials from the metadata service, the agent logs in to the store with them, pages are
// served through targets that the balancer finds healthy by asking them, a container that is killed is an instance that crashed and is
// replaced, and a destroy leaves nothing.
func TestEC2(t *testing.T) {
	w := enter(t)
	name := fmt.Sprintf("e2eec2-%d", os.Getpid()%10000)
	const image = spec.DefaultImage + "-cloud"
	if err := w.engine.WithPython(t.Context(), spec.DefaultImage, image); err != nil {
		t.Skip("no image that is like a cloud's: ", err) // containers here do not reach Debian's mirror
	}
	instances, err := live.NewInstances(t.Context(), w.engine, name, w.subnet(t), image)
	must(t, err)
	aws := awstest.New(awstest.Options{Listen: instances.Gateway() + ":0", Backing: instances})
	t.Cleanup(aws.Close)
	aws.ELB.Probe(true)
	aws.ELB.Configure(aws.TargetGroup(), func(g *elb.Group) { g.DeregistrationDelay = time.Second })
	metadata, stop, err := instances.Serve(aws.Metadata(instances.Who))
	must(t, err)
	t.Cleanup(stop)
	instances.Endpoint = metadata
	table := dynalitetest.StartAt(t, instances.Gateway())

	// The database that is there already, as RDS would be.
	rds := mariadbtest.StartAt(t, mariadbtest.Folder(t), instances.Gateway()+":3306", 1)
	rds.Exec("SET GLOBAL read_only = 0", "CREATE DATABASE app", "CREATE USER app@'%'", "GRANT ALL ON app.* TO app@'%'")

	f := w.farm(t, "unused", "", stateDir(t))
	f.Name, f.Platform = "", ""
	// The farm's web servers, and the sidecar's instance.
	servers := func() (ids []string) {
		for _, id := range aws.EC2.Alive() {
			if tags := aws.EC2.Tags(id); tags["farmhand:farm"] == name && tags["farmhand:role"] == "web" {
				ids = append(ids, id)
			}
		}
		return ids
	}
	sidecar := func() string {
		for _, id := range aws.EC2.Alive() {
			if aws.EC2.Tags(id)["farmhand:sidecar"] == name {
				return id
			}
		}
		return ""
	}
	project, err := live.Project()
	must(t, err)
	must(t, f.UseExampleOf("lamp-ec2"))
	must(t, os.WriteFile(filepath.Join(f.Dir, "terraform.tfvars"), []byte(fmt.Sprintf(ec2Variables, name, filepath.Join(project, "examples/lamp/site"), aws.TargetGroup(), instances.Gateway())), 0o600))
	f.Env = []string{"AWS_ENDPOINT_URL=" + aws.URL, "AWS_ENDPOINT_URL_DYNAMODB=" + table.URL, "AWS_ACCESS_KEY_ID=AKIAEXAMPLE", "AWS_SECRET_ACCESS_KEY=a-secret",
		"AWS_CONFIG_FILE=" + os.DevNull, "AWS_SHARED_CREDENTIALS_FILE=" + os.DevNull, "AWS_EC2_METADATA_DISABLED=true"}
	edit := func(from, to string) { // the role web's, which comes first
		t.Helper()
		main := filepath.Join(f.Dir, "main.tf")
		hcl, err := os.ReadFile(main)
		must(t, err)
		if !strings.Contains(string(hcl), from) {
			t.Fatalf("the example has no %q", from)
		}
		must(t, os.WriteFile(main, []byte(strings.Replace(string(hcl), from, to, 1)), 0o600))
	}
	t.Cleanup(func() {
		if t.Failed() {
			logs, _ := w.engine.Logs(context.Background(), name, 40)
			for machine, log := range logs {
				t.Logf("last of %s:\n%s", machine, log)
			}
		}
	})
	began := time.Now()
	_, err = f.Apply(t.Context())
	must(t, err)
	t.Logf("from nothing to a farm that serves: %s", time.Since(began).Round(100*time.Millisecond))

	// served are the instances that answer through the target group, by name.
	served := func(ctx context.Context) (names []string) {
		for _, target := range aws.ELB.Targets(aws.TargetGroup()) {
			for _, i := range aws.EC2.Instances() {
				if i.ID != target {
					continue
				}
				if page, err := live.Get(ctx, "http://"+i.Address+"/"); err == nil && page.Status == http.StatusOK {
					names = append(names, page.Server)
				}
			}
		}
		slices.Sort(names)
		return names
	}
	serves := func(want ...string) {
		t.Helper()
		eventually(t, fmt.Sprintf("pages from %v through the balancer", want), func(ctx context.Context) (bool, string) {
			got := served(ctx)
			return slices.Equal(got, want), fmt.Sprintf("%v by targets %v of instances %v", got, aws.ELB.Targets(aws.TargetGroup()), servers())
		})
	}
	serves("web-1", "web-2")
	for _, i := range aws.EC2.Instances() {
		if slices.Contains(servers(), i.ID) {
			_, err := live.Post(t.Context(), "http://"+i.Address+"/", url.Values{"customer": {"the hen"}, "item": {"corn"}})
			must(t, err)
		}
	}
	var orders int
	must(t, rds.Root.QueryRowContext(t.Context(), "SELECT COUNT(*) FROM app.orders").Scan(&orders))
	if orders != 2 {
		t.Errorf("two servers took %d orders", orders)
	}
	changes, out, err := f.Plan(t.Context())
	must(t, err)
	if changes {
		t.Errorf("the plan after the apply is not empty:\n%s", out)
	}

	edit("min          = 2\n", "min          = 3\n")
	_, err = f.Apply(t.Context())
	must(t, err)
	serves("web-1", "web-2", "web-3")

	// The sidecar's own instance is lost first: Auto Scaling brings another, which takes the farm over.
	former := sidecar()
	must(t, w.engine.Kill(t.Context(), instances.Container(former)))
	eventually(t, "another instance of the sidecar", func(ctx context.Context) (bool, string) {
		aws.AutoScaling.Tick() // nobody asks it anything meanwhile
		now := sidecar()
		return now != "" && now != former, now
	})
	victim := servers()[0]
	killed := time.Now()
	must(t, w.engine.Kill(t.Context(), instances.Container(victim)))
	eventually(t, "another instance in its place", func(ctx context.Context) (bool, string) {
		alive := servers()
		return len(alive) == 3 && !slices.Contains(alive, victim), strings.Join(alive, ", ")
	})
	t.Logf("replaced %s after the kill", time.Since(killed).Round(100*time.Millisecond))
	// The new one is web-1 again, or web-4 if EC2 had the dead one still as shutting down when it was launched.
	eventually(t, "pages from three", func(ctx context.Context) (bool, string) {
		got := served(ctx)
		return len(slices.Compact(got)) == 3, fmt.Sprint(got)
	})
	t.Logf("all serve again %s after the kill", time.Since(killed).Round(100*time.Millisecond))

	edit("min          = 3\n", "min          = 2\n")
	edit("max          = 6\n", "max          = 2\n") // else the policy takes its time
	_, err = f.Apply(t.Context())
	must(t, err)
	eventually(t, "pages from two", func(ctx context.Context) (bool, string) {
		got := served(ctx)
		return len(slices.Compact(got)) == 2, fmt.Sprint(got)
	})

	_, err = f.Destroy(t.Context())
	must(t, err)
	if alive := aws.EC2.Alive(); len(alive) > 0 {
		t.Errorf("destroy left instances %v", alive)
	}
	if roles, profiles := aws.IAM.Names(); len(roles)+len(profiles) > 0 {
		t.Errorf("destroy left %v and %v in IAM", roles, profiles)
	}
	if targets := aws.ELB.Targets(aws.TargetGroup()); len(targets) > 0 {
		t.Errorf("destroy left targets %v", targets)
	}
	left, err := w.engine.Leftovers(t.Context(), name)
	must(t, err)
	left = slices.DeleteFunc(left, func(what string) bool { return strings.HasPrefix(what, "network ") }) // the test's own
	if len(left) > 0 {
		t.Errorf("destroy left %v", left)
	}
}
