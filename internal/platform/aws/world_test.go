package aws

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"
	"testing"
	"time"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"

	"github.com/farmhand/terraform-provider-farmhand/internal/awstest"
	"github.com/farmhand/terraform-provider-farmhand/internal/awstest/ec2"
	"github.com/farmhand/terraform-provider-farmhand/internal/platform"
	"github.com/farmhand/terraform-provider-farmhand/internal/spec"
	"github.com/farmhand/terraform-provider-farmhand/internal/state"
	"github.com/farmhand/terraform-provider-farmhand/internal/store"
	"github.com/farmhand/terraform-provider-farmhand/internal/store/sqlite"
)

// world is a stand-in for AWS, a store and a clock that only the test moves.
type world struct {
	*testing.T
	aws   *awstest.Server
	store store.Store
	farm  spec.Farm
	p     *AWS
	size  int32 // of db-1's volume, as a test expects it

	mu  sync.Mutex
	now time.Time
}

func newWorld(t *testing.T, change ...func(*awstest.Options)) *world {
	t.Helper()
	w := &world{T: t, now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC), store: openStore(t), farm: farmSpec("shop")}
	o := awstest.Options{Now: w.clock, InProcess: true}
	for _, c := range change {
		c(&o)
	}
	w.aws = awstest.New(o)
	t.Cleanup(w.aws.Close)
	withProfile(t, w.aws)
	w.p = w.process()
	return w
}

// profile is the instance profile of the tests' farms.
const profile = "farmhand-test"

func withProfile(t *testing.T, server *awstest.Server) {
	t.Helper()
	c := iam.NewFromConfig(server.Config())
	if _, err := c.CreateInstanceProfile(t.Context(), &iam.CreateInstanceProfileInput{InstanceProfileName: awssdk.String(profile)}); err != nil {
		t.Fatal(err)
	}
}

// process is the platform as another process has it.
func (w *world) process() *AWS {
	w.Helper()
	p, err := New(Options{Farm: w.farm, Store: w.store, Log: slog.New(slog.DiscardHandler), Now: w.clock,
		Config: func(context.Context) (awssdk.Config, error) { return w.config(), nil }})
	if err != nil {
		w.Fatal(err)
	}
	return p
}

// config tries each call once: what is refused is to be seen.
func (w *world) config() awssdk.Config {
	cfg := w.aws.Config()
	cfg.RetryMaxAttempts = 1
	return cfg
}

func (w *world) clock() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now
}

func (w *world) pass(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now = w.now.Add(d)
}

func openStore(t *testing.T) store.Store {
	t.Helper()
	s, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "farmhand.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func farmSpec(name string) spec.Farm {
	return spec.Farm{Name: name, Zone: name + ".internal", AWS: &spec.AWS{
		Region: "eu-west-1", SubnetIDs: []string{ec2.SubnetA, ec2.SubnetB, ec2.SubnetC}, SecurityGroupIDs: []string{ec2.Group},
		AMI: ec2.ImageARM64, InstanceProfile: profile, InstanceTypes: []string{"m7g.large", "m6g.large"}, Tags: map[string]string{"team": "web"},
		Store: "dynamodb://farmhand?region=eu-west-1&bucket=farmhand-123456789012-eu-west-1",
		Agent: map[string]string{"arm64": "sha256-" + fmt.Sprintf("%064d", 7)},
	}}
}

func (w *world) launch(n int) platform.Launch {
	return platform.Launch{Farm: w.farm.Name, Role: "web", Instance: state.InstanceName("web", n), Token: fmt.Sprintf("token-%d", n), Generation: "g1", Image: w.farm.AWS.AMI}
}

func (w *world) launches(n int) []platform.Launch {
	var ls []platform.Launch
	for i := range n {
		ls = append(ls, w.launch(i+1))
	}
	return ls
}

// all launches and fails on any error.
func (w *world) all(p *AWS, ls []platform.Launch) []platform.Machine {
	w.Helper()
	var ms []platform.Machine
	for i, r := range p.LaunchAll(w.Context(), ls) {
		if r.Err != nil {
			w.Fatalf("launching %s: %v", ls[i].Instance, r.Err)
		}
		ms = append(ms, r.Machine)
	}
	return ms
}

func (w *world) list(p *AWS) []platform.Machine {
	w.Helper()
	ms, err := p.List(w.Context())
	if err != nil {
		w.Fatalf("List: %v", err)
	}
	return ms
}

func (w *world) keep(p *AWS, generation string, roles ...spec.Role) {
	w.Helper()
	generations := map[string]string{}
	for _, r := range roles {
		generations[r.Name] = generation
	}
	if err := p.Keep(w.Context(), roles, generations); err != nil {
		w.Fatalf("Keep: %v", err)
	}
}
