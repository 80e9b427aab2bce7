package agent

import (
	"bytes"
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/farmhand/terraform-provider-farmhand/internal/agent/ec2"
	"github.com/farmhand/terraform-provider-farmhand/internal/behavior"
	"github.com/farmhand/terraform-provider-farmhand/internal/spec"
	"github.com/farmhand/terraform-provider-farmhand/internal/state"
	"github.com/farmhand/terraform-provider-farmhand/internal/store"
	"github.com/farmhand/terraform-provider-farmhand/internal/store/dirblobs"
	"github.com/farmhand/terraform-provider-farmhand/internal/store/dynamodb"
	"github.com/farmhand/terraform-provider-farmhand/internal/store/dynamodb/dynalitetest"
)

// machine is i-1, which has a Spot notice and reboots whenever it stops.
type machine struct {
	mu      sync.Mutex
	mounted []string
}

func (*machine) Identity(context.Context) (ec2.Identity, error) {
	return ec2.Identity{ID: "i-1", Zone: "eu-west-1a", Address: "10.0.0.1"}, nil
}

func (*machine) Notices(context.Context) ([]state.Notice, error) {
	return []state.Notice{{Kind: "spot interruption"}}, nil
}
func (*machine) Rebooting(context.Context) bool { return true }

func (m *machine) Grow(context.Context, string, string) (bool, error) { return false, nil }

func (m *machine) Mount(_ context.Context, volume, path string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.mounted = append(m.mounted, volume+" at "+path)
	return nil
}

// TestLifeOnEC2 is the life of a machine on EC2 with the store on DynamoDB: in stock, then an instance, then rebooting.
func TestLifeOnEC2(t *testing.T) {
	server := dynalitetest.Start(t)
	log := slog.New(slog.DiscardHandler)
	open := func(mode dynamodb.Mode) *dynamodb.Store {
		s, err := dynamodb.Open(t.Context(), server.Config(t), dynamodb.Options{Table: "farmhand", Mode: mode, Log: log})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	s := open(dynamodb.Create)
	defer s.Close()
	put := func(key string, v any) {
		t.Helper()
		if _, err := store.PutJSON(t.Context(), s, key, v); err != nil {
			t.Fatal(err)
		}
	}
	report := func(id string, what string, is func(state.Report) bool) {
		t.Helper()
		deadline := time.Now().Add(time.Minute)
		for {
			r, _, err := store.GetJSON[state.Report](t.Context(), s, state.ReportKey("shop", id))
			if err == nil && is(r) {
				return
			}
			if time.Now().After(deadline) {
				t.Fatalf("%s is not reported to be %s: %+v, %v", id, what, r, err)
			}
			time.Sleep(20 * time.Millisecond)
		}
	}
	role := spec.Role{Farm: "shop", Name: "web", Behavior: "scripted", Volume: &spec.Volume{Path: "/data"}}
	role.HealthCheck.Interval, role.HealthCheck.UnhealthyAfter = spec.Duration(10*time.Millisecond), 3
	put(state.RoleKey("shop", "web"), state.Declared[spec.Role]{Spec: role})
	put(state.TopologyKey("shop"), state.Topology{Farm: "shop"})
	put(state.MachineKey("shop", "i-1"), state.Machine{Warm: "web"})

	root := t.TempDir()
	if err := os.MkdirAll(filepath.Join(root, "etc"), 0o755); err != nil {
		t.Fatal(err)
	}
	blobs, err := dirblobs.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	m := &machine{}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	ended := make(chan error, 1)
	go func() {
		ended <- Run(ctx, Options{
			Version: "test", Store: "dynamodb://farmhand", Farm: "shop", Machine: m, Root: root, Names: "127.0.0.1:0",
			Open:     func(context.Context, string) (Farm, error) { return opened{open(dynamodb.Trusting), blobs}, nil },
			Behavior: func(name string) (behavior.Behavior, bool) { return &scripted{}, name == "scripted" },
			Output:   &bytes.Buffer{}, Log: log,
		})
	}()
	report("i-1", "warm", func(r state.Report) bool { return r.Warm })
	put(state.AssignmentKey("shop", "web-1"), state.Assignment{Farm: "shop", Zone: "shop.internal", Role: role, Index: 1, Address: "127.0.0.1", Token: "t1", Nameserver: "127.0.0.1:1"})
	put(state.MachineKey("shop", "i-1"), state.Machine{Instance: "web-1", Volume: "vol-1"})
	report("web-1", "serving, with its notice", func(r state.Report) bool { return r.Serving() && len(r.Notices) == 1 && r.Token == "t1" })
	m.mu.Lock()
	mounted := slices.Clone(m.mounted)
	m.mu.Unlock()
	if !slices.Equal(mounted, []string{"vol-1 at /data"}) {
		t.Fatalf("mounted %q", mounted)
	}
	stop()
	if err := <-ended; err != nil {
		t.Fatalf("Run: %v", err)
	}
	report("web-1", "rebooting", func(r state.Report) bool { return !r.Rebooting.IsZero() })
	a := &agent{Options: Options{Root: root}}
	if a.takeRebooted().IsZero() || !a.takeRebooted().IsZero() {
		t.Fatal("the next start is to know of the reboot, and the one after not")
	}
	kept, err := os.ReadFile(filepath.Join(root, rememberedPath))
	if err != nil || !strings.Contains(string(kept), "shop/assignment/web-1") {
		t.Fatalf("remembered %s, error %v", kept, err)
	}
	if info, err := os.Stat(filepath.Join(root, rememberedPath)); err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("remembered with %v, error %v", info.Mode(), err)
	}
}
