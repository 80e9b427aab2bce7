// Package executable finds the Linux executables that machines run: the provider's own where it is one, else files that
// lie beside it. Nothing is downloaded.
package executable

import (
	"crypto/sha256"
	"debug/elf"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
)

// File is a static Linux executable.
type File struct {
	Path         string
	Size         int64
	SHA256       string // hex
	Architecture string // GOARCH's word
	Modified     time.Time
}

// ErrUnsuitable: the file is none that a machine could run. What is wrong with it stands in the message.
var ErrUnsuitable = errors.New("unsuitable executable")

var read sync.Map // path to File: hashing tens of megabytes at every launch would show

// Read checks and hashes an executable, once for as long as the file stays as it is. Safe for concurrent use.
func Read(path string) (File, error) {
	info, err := os.Stat(path)
	if err != nil {
		return File{}, fmt.Errorf("%w: %w", err, ErrUnsuitable)
	}
	known, _ := read.Load(path)
	if f, ok := known.(File); ok && f.Size == info.Size() && f.Modified.Equal(info.ModTime()) {
		return f, nil
	}
	f, err := os.Open(path)
	if err != nil {
		return File{}, fmt.Errorf("%w: %w", err, ErrUnsuitable)
	}
	defer f.Close()
	file := File{Path: path, Size: info.Size(), Modified: info.ModTime()}
	if file.Architecture, err = static(f); err != nil {
		return File{}, fmt.Errorf("%w: build it with CGO_ENABLED=0 GOOS=linux: %w", err, ErrUnsuitable)
	}
	sum := sha256.New()
	if _, err := io.Copy(sum, f); err != nil {
		return File{}, err
	}
	file.SHA256 = hex.EncodeToString(sum.Sum(nil))
	read.Store(path, file)
	return file, nil
}

// static returns the architecture of a static ELF executable. A dynamic one would look for this machine's C library on
// a machine that may have another, and die with "no such file or directory".
func static(f *os.File) (architecture string, err error) {
	e, err := elf.NewFile(f)
	if err != nil {
		return "", errors.New("it is no Linux executable")
	}
	for _, p := range e.Progs {
		if p.Type == elf.PT_INTERP {
			return "", errors.New("it is not linked statically")
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

// Architectures that EC2 has.
func Architectures() []string { return []string{"amd64", "arm64"} }

// Beside is the name of an architecture's executable where the running one is for another system.
func Beside(architecture string) string { return "farmhand_linux_" + architecture }

// Variable is the environment variable that names an architecture's executable, before all else.
func Variable(architecture string) string { return "FARMHAND_LINUX_" + strings.ToUpper(architecture) }

// Linux finds what there is for EC2's architectures: $FARMHAND_LINUX_AMD64, else own if it suits, else
// farmhand_linux_amd64 beside own; the same for arm64. An executable that is named and does not suit is an error; one
// that is not there is just not in the result: see Missing.
func Linux(own string) (map[string]File, error) {
	found := map[string]File{}
	if f, err := Read(own); err == nil {
		found[f.Architecture] = f
	}
	for _, a := range Architectures() {
		path := os.Getenv(Variable(a))
		named := path != ""
		if _, have := found[a]; have && !named {
			continue
		}
		if !named {
			path = filepath.Join(filepath.Dir(own), Beside(a))
		}
		f, err := Read(path)
		switch {
		case err == nil && f.Architecture == a:
			found[a] = f
		case err == nil:
			return nil, fmt.Errorf("%s is made for %s and not for %s", path, f.Architecture, a)
		case named:
			return nil, fmt.Errorf("$%s: %w", Variable(a), err)
		case !errors.Is(err, os.ErrNotExist):
			return nil, fmt.Errorf("%s: %w", path, err)
		}
	}
	for a := range found {
		if !slices.Contains(Architectures(), a) {
			delete(found, a)
		}
	}
	return found, nil
}

// Missing tells what to do where there is none for an architecture that is needed; nil if there is.
func Missing(found map[string]File, own, architecture string) error {
	if _, ok := found[architecture]; ok {
		return nil
	}
	have := "there is none"
	if len(found) > 0 {
		have = "there is one for " + strings.Join(slices.Sorted(maps.Keys(found)), ", ")
	}
	return fmt.Errorf("instances need farmhand's Linux executable for %s, and %s: put it as %s into %s (the release's zip has it), "+
		"or name it by $%s; it is built with CGO_ENABLED=0 GOOS=linux GOARCH=%s go build",
		architecture, have, Beside(architecture), filepath.Dir(own), Variable(architecture), architecture)
}

// OfInstanceType is the architecture of an EC2 instance type, by the letter in its name: Graviton's have a g behind the
// generation's number (t4g, c7gn), and a1 was the first.
// https://docs.aws.amazon.com/ec2/latest/instancetypes/instance-type-names.html
func OfInstanceType(name string) string {
	family, _, _ := strings.Cut(name, ".")
	letters := strings.TrimLeft(family, "abcdefghijklmnopqrstuvwxyz")
	options := strings.TrimLeft(letters, "0123456789")
	if family == "a1" || strings.Contains(options, "g") {
		return "arm64"
	}
	return "amd64"
}
