package docker

import (
	"crypto/sha256"
	"debug/elf"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/farmhand/terraform-provider-farmhand/internal/platform"
)

// agentPath is where the agent stands in a container; its entrypoint is `farmhand agent`.
const agentPath = "/usr/local/bin/farmhand"

// agentBinary is the executable that machines run.
type agentBinary struct {
	path         string
	size         int64
	modified     time.Time
	hash         string // SHA-256, hex
	architecture string // GOARCH's word
}

var readAgents sync.Map // path to agentBinary: hashing tens of megabytes at every launch would show

// readAgent checks and hashes an agent's executable, once for as long as the file stays as it is.
func readAgent(path string) (agentBinary, error) {
	doing := "agent binary " + path
	if path == "" {
		return agentBinary{}, fmt.Errorf("no agent binary is named; machines cannot be launched without: %w", platform.ErrInvalid)
	}
	info, err := os.Stat(path)
	if err != nil {
		return agentBinary{}, fmt.Errorf("%s: %w: %w", doing, err, platform.ErrInvalid)
	}
	known, _ := readAgents.Load(path)
	if a, ok := known.(agentBinary); ok && a.size == info.Size() && a.modified.Equal(info.ModTime()) {
		return a, nil
	}
	f, err := os.Open(path)
	if err != nil {
		return agentBinary{}, fmt.Errorf("%s: %w: %w", doing, err, platform.ErrInvalid)
	}
	defer f.Close()
	a := agentBinary{path: path, size: info.Size(), modified: info.ModTime()}
	if a.architecture, err = staticLinux(f); err != nil {
		return agentBinary{}, fmt.Errorf("%s: %w: build it with CGO_ENABLED=0 GOOS=linux: %w", doing, err, platform.ErrInvalid)
	}
	sum := sha256.New()
	if _, err := io.Copy(sum, f); err != nil {
		return agentBinary{}, fmt.Errorf("%s: %w", doing, err)
	}
	a.hash = hex.EncodeToString(sum.Sum(nil))
	readAgents.Store(path, a)
	return a, nil
}

// staticLinux returns the architecture of a static ELF executable. A dynamic one would look for this machine's
// C library inside an image that may have another, and die with "no such file or directory".
func staticLinux(f *os.File) (architecture string, err error) {
	e, err := elf.NewFile(f)
	if err != nil {
		return "", fmt.Errorf("it is no Linux executable")
	}
	for _, p := range e.Progs {
		if p.Type == elf.PT_INTERP {
			return "", fmt.Errorf("it is not linked statically")
		}
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return "", err
	}
	switch e.Machine {
	case elf.EM_X86_64:
		return "amd64", nil
	case elf.EM_AARCH64:
		return "arm64", nil
	case elf.EM_ARM:
		return "arm", nil
	case elf.EM_386:
		return "386", nil
	case elf.EM_RISCV:
		return "riscv64", nil
	case elf.EM_PPC64:
		return "ppc64le", nil
	case elf.EM_S390:
		return "s390x", nil
	}
	return "", fmt.Errorf("it is made for %s", e.Machine)
}

// suits tells whether the agent runs in the image.
func (a agentBinary) suits(ref string, base baseImage) error {
	if base.architecture == "" || base.architecture == a.architecture {
		return nil
	}
	return fmt.Errorf("image %q is made for %s and the agent for %s: %s: %w", ref, base.architecture, a.architecture, imageAdvice, platform.ErrInvalid)
}
