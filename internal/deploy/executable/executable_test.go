package executable

import (
	"debug/elf"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// elfFile is the shortest file that is read as a static executable of the machine.
func elfFile(t *testing.T, path string, machine elf.Machine) string {
	t.Helper()
	h := elf.Header64{Type: uint16(elf.ET_EXEC), Machine: uint16(machine), Version: 1, Ehsize: 64}
	copy(h.Ident[:], "\x7fELF\x02\x01\x01")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := binary.Write(f, binary.LittleEndian, h); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestWhereExecutablesAreFound(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("FARMHAND_LINUX_AMD64", "")
	t.Setenv("FARMHAND_LINUX_ARM64", "")
	own := elfFile(t, filepath.Join(dir, "terraform-provider-farmhand"), elf.EM_X86_64)
	found, err := Linux(own)
	if err != nil || found["amd64"].Path != own || len(found) != 1 {
		t.Fatalf("%v, %v; want the running one", found, err)
	}
	if err := Missing(found, own, "arm64"); err == nil || !strings.Contains(err.Error(), "farmhand_linux_arm64") || !strings.Contains(err.Error(), "there is one for amd64") {
		t.Errorf("missing: %v", err)
	}
	if err := Missing(found, own, "amd64"); err != nil {
		t.Errorf("it is there: %v", err)
	}

	beside := elfFile(t, filepath.Join(dir, "farmhand_linux_arm64"), elf.EM_AARCH64)
	if found, err = Linux(own); err != nil || found["arm64"].Path != beside {
		t.Errorf("%v, %v; want the one beside", found, err)
	}
	named := elfFile(t, filepath.Join(t.TempDir(), "x"), elf.EM_AARCH64)
	t.Setenv("FARMHAND_LINUX_ARM64", named)
	if found, err = Linux(own); err != nil || found["arm64"].Path != named {
		t.Errorf("%v, %v; want the one that is named", found, err)
	}
	t.Setenv("FARMHAND_LINUX_AMD64", named)
	if _, err = Linux(own); err == nil || !strings.Contains(err.Error(), "made for arm64 and not for amd64") {
		t.Errorf("one of another architecture: %v", err)
	}

	t.Setenv("FARMHAND_LINUX_AMD64", "")
	mac := filepath.Join(dir, "mac")
	if err := os.WriteFile(mac, []byte("\xcf\xfa\xed\xfe a Mach-O file"), 0o755); err != nil {
		t.Fatal(err)
	}
	if found, err = Linux(mac); err != nil || len(found) != 1 || found["arm64"].Path != named {
		t.Errorf("on a Mac: %v, %v; want those named and beside only", found, err)
	}
	if _, err := Read(mac); !errors.Is(err, ErrUnsuitable) {
		t.Errorf("a Mac's executable: %v", err)
	}
}

func TestArchitecturesOfInstanceTypes(t *testing.T) {
	for name, want := range map[string]string{
		"t4g.nano": "arm64", "c7gn.xlarge": "arm64", "a1.medium": "arm64", "g5g.xlarge": "arm64", "im4gn.large": "arm64",
		"t3.micro": "amd64", "g4dn.xlarge": "amd64", "m7i-flex.large": "amd64", "c6a.large": "amd64", "u-6tb1.metal": "amd64",
	} {
		if got := OfInstanceType(name); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
}
