package executable

import (
	"debug/elf"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// What instances run: the small executable beside the running one where there is one, of each architecture.
func TestWhereAgentsAreFound(t *testing.T) {
	machines := map[string]elf.Machine{"amd64": elf.EM_X86_64, "arm64": elf.EM_AARCH64}
	here, ok := machines[runtime.GOARCH]
	if !ok {
		t.Skip("no instances are of " + runtime.GOARCH)
	}
	dir := t.TempDir()
	t.Setenv("FARMHAND_LINUX_AMD64", "")
	t.Setenv("FARMHAND_LINUX_ARM64", "")
	own := elfFile(t, filepath.Join(dir, "terraform-provider-farmhand"), here)
	if path, err := Agent(own); err != nil || path != own {
		t.Errorf("%s, %v; with none beside, want the running one", path, err)
	}
	for a, m := range machines {
		elfFile(t, filepath.Join(dir, AgentName(a)), m)
	}
	found, err := Agents(own)
	if err != nil || len(found) != 2 || found["amd64"].Path != filepath.Join(dir, "farmhand-agent_linux_amd64") || found["arm64"].Path != filepath.Join(dir, "farmhand-agent_linux_arm64") {
		t.Errorf("%v, %v; want the two beside", found, err)
	}
	installed := elfFile(t, InstalledAgent(own, runtime.GOARCH), here)
	if path, err := Agent(own); err != nil || path != installed {
		t.Errorf("%s, %v; want the copy's own", path, err)
	}
	named := elfFile(t, filepath.Join(t.TempDir(), "x"), here)
	t.Setenv(Variable(runtime.GOARCH), named)
	if path, err := Agent(own); err != nil || path != named {
		t.Errorf("%s, %v; want the one that is named", path, err)
	}
	t.Setenv(Variable(runtime.GOARCH), "")
	if err := os.WriteFile(installed, []byte("cut short"), 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := Agent(own); err == nil || !strings.Contains(err.Error(), installed) {
		t.Errorf("one that is broken: %v; want it named", err)
	}
}
