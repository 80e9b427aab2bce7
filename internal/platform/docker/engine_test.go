package docker

import (
	"archive/tar"
	"bytes"
	"context"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"github.com/moby/moby/client"

	"github.com/farmhand/terraform-provider-farmhand/internal/dockertest"
	"github.com/farmhand/terraform-provider-farmhand/internal/spec"
)

// testImage is an image without a single program, so that tests need no other image: the agent is static.
const testImage = "farmhand-platform-test:empty"

// copyImage has what copies volumes.
const copyImage = spec.DefaultImage

// engine returns a client of this machine's engine, or skips the test.
func engine(t *testing.T) *client.Client {
	t.Helper()
	c, err := connect(t.Context(), "")
	if err != nil {
		t.Skipf("no container engine: %v", err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// importTestImage makes testImage and removes it after the test.
func importTestImage(t *testing.T, c *client.Client) {
	t.Helper()
	var archive bytes.Buffer
	w := tar.NewWriter(&archive)
	if err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: "tmp/", Mode: 0o1777}); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	r, err := c.ImageImport(t.Context(), client.ImageImportSource{Source: &archive, SourceName: "-"}, testImage, client.ImageImportOptions{})
	if err != nil {
		t.Fatalf("importing an empty image: %v", err)
	}
	defer r.Close()
	if _, err := bytes.NewBuffer(nil).ReadFrom(r); err != nil {
		t.Fatalf("importing an empty image: %v", err)
	}
	t.Cleanup(func() {
		if _, err := c.ImageRemove(context.WithoutCancel(t.Context()), testImage, client.ImageRemoveOptions{PruneChildren: true}); err != nil {
			t.Errorf("removing %s: %v", testImage, err)
		}
	})
}

var buildAgent = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "farmhand-test-agent")
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "agent")
	cmd := exec.Command("go", "build", "-trimpath", "-o", path, "./testdata/agent")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w: %s", err, out)
	}
	return path, nil
})

// testAgent builds the stand-in agent once per run.
func testAgent(t *testing.T) string {
	t.Helper()
	path, err := buildAgent()
	if err != nil {
		t.Fatalf("building the test agent: %v", err)
	}
	return path
}

func TestMain(m *testing.M) {
	if asked := os.Getenv(childEnv); asked != "" {
		if err := child(asked); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	code := m.Run()
	if path, err := buildAgent(); err == nil {
		os.RemoveAll(filepath.Dir(path))
	}
	os.Exit(code)
}

// subnets hands out /28s of a /24 that nothing on this machine uses, one per farm.
type subnets struct {
	mu    sync.Mutex
	block netip.Prefix
	given map[string]netip.Prefix
}

func newSubnets(t *testing.T, c *client.Client) *subnets {
	t.Helper()
	block, err := dockertest.FreeSubnet(t.Context(), c, "10.202.0.0/16", 24)
	if err != nil {
		t.Fatal(err)
	}
	return &subnets{block: block, given: map[string]netip.Prefix{}}
}

// of returns the farm's subnet. After sixteen farms it starts over: those of earlier tests are gone by then.
func (s *subnets) of(farm string) netip.Prefix {
	s.mu.Lock()
	defer s.mu.Unlock()
	p, ok := s.given[farm]
	if !ok {
		base := s.block.Addr().As4()
		base[3] = byte(len(s.given) % 16 * 16)
		p = netip.PrefixFrom(netip.AddrFrom4(base), 28)
		s.given[farm] = p
	}
	return p
}

// address is the n-th address for machines.
func (s *subnets) address(farm string, n int) string {
	a := s.of(farm).Addr()
	for range 10 + n {
		a = a.Next()
	}
	return a.String()
}

// farmSpec declares a farm on this engine.
func (s *subnets) farmSpec(farm string) spec.Farm {
	return spec.Farm{Name: farm, Zone: farm + ".internal", Docker: &spec.Docker{Subnet: s.of(farm).String(), Image: testImage}}
}
