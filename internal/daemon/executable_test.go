package daemon

import (
	"os"
	"path/filepath"
	"runtime"
	"testing"

	locate "github.com/farmhand/terraform-provider-farmhand/internal/deploy/executable"
)

// The agents' executable goes with the copy, is replaced with it, and is not kept where the original has none any more.
func TestTheAgentIsCopiedBesideTheSidecar(t *testing.T) {
	t.Setenv("FARMHAND_LINUX_AMD64", "")
	t.Setenv("FARMHAND_LINUX_ARM64", "")
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := locate.Read(self); err != nil {
		t.Skipf("the test's executable is none that instances run: %v", err)
	}
	from, stateDir := t.TempDir(), t.TempDir()
	own := filepath.Join(from, "terraform-provider-farmhand")
	if err := os.WriteFile(own, []byte("a provider of some other system"), 0o755); err != nil {
		t.Fatal(err)
	}
	agent := filepath.Join(from, locate.AgentName(runtime.GOARCH))
	if err := copyFile(self, agent); err != nil {
		t.Fatal(err)
	}
	path, err := Install(stateDir, own, "1.0.0")
	if err != nil {
		t.Fatal(err)
	}
	want, err := locate.Read(agent)
	if err != nil {
		t.Fatal(err)
	}
	found, err := locate.Agents(path)
	if err != nil || found[runtime.GOARCH].SHA256 != want.SHA256 || found[runtime.GOARCH].Path == agent {
		t.Fatalf("the copy finds %v, %v; want its own copy of the agent", found, err)
	}
	if err := os.Remove(agent); err != nil {
		t.Fatal(err)
	}
	if _, err := Install(stateDir, own, "1.0.0"); err != nil {
		t.Fatal(err)
	}
	if found, err := locate.Agents(path); err != nil || len(found) != 0 {
		t.Errorf("the copy finds %v, %v; want nothing, as the original", found, err)
	}
}
