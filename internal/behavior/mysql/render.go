package mysql

import (
	"fmt"
	"net/netip"
	"os"
	"strconv"
	"strings"

	"github.com/farmhand/terraform-provider-farmhand/internal/behavior"
)

// paths are where the server keeps its things.
type paths struct {
	DataDir string // on the volume
	RunDir  string
	Socket  string
	// Authority is what this server and its replicas trust, Certificate its own with its key; see certificates.go.
	Authority, Certificate string
}

type settings struct {
	paths
	Instance, Farm string
	Bind           string
	Port           int
	BufferPoolMB   int
	RedoLogMB      int
	MaxConnections int
	Variables      []option
}

// option is a line of the role's own.
type option struct{ Name, Value string }

// render makes the configuration. It follows from the role's settings, and machineMB where those say nothing of memory.
// Variables that the server takes over while it runs are not in it: they are told to it.
func render(f flavor, in behavior.Instance, p paths, machineMB int) ([]byte, error) {
	role := in.Assignment.Role
	t := Behavior{}.Traits()
	memory := t.Int(role, "memory_mb")
	if memory == 0 {
		memory = machineMB
	}
	s := settings{
		paths:          p,
		Instance:       role.Name + "-" + strconv.Itoa(in.Assignment.Index),
		Farm:           in.Assignment.Farm,
		Bind:           "0.0.0.0",
		Port:           t.Port,
		BufferPoolMB:   f.bufferPoolMB(memory),
		RedoLogMB:      redoLogMB(f.bufferPoolMB(memory)),
		MaxConnections: t.Int(role, "max_connections"),
	}
	// An address of the loopback network is one of several on this machine.
	if a, err := netip.ParseAddr(in.Assignment.Address); err == nil && a.IsLoopback() {
		s.Bind = a.String()
	}
	for _, v := range declared(role.Settings) {
		if !v.dynamic {
			s.Variables = append(s.Variables, option{v.name, v.value})
		}
	}
	var b strings.Builder
	if err := f.configuration().Execute(&b, s); err != nil {
		return nil, fmt.Errorf("rendering the server's configuration: %w", err)
	}
	return []byte(b.String()), nil
}

// redoLogMB is half the buffer pool: longer makes recovery after a crash slow, shorter makes a busy server wait for
// pages to be written, and a backup lose track of what is written meanwhile.
func redoLogMB(poolMB int) int { return max(32, min(poolMB/2, 2048)) }

// containerMemoryMB is the server's in a container where nothing is declared: containers share a machine.
const containerMemoryMB = 128

// machineMemoryMB is 70 % of the memory of a machine that is the server's own.
func machineMemoryMB() int {
	for _, mark := range []string{"/.dockerenv", "/run/.containerenv"} {
		if _, err := os.Stat(mark); err == nil {
			return containerMemoryMB
		}
	}
	b, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return containerMemoryMB
	}
	for line := range strings.Lines(string(b)) {
		if f := strings.Fields(line); len(f) >= 2 && f[0] == "MemTotal:" {
			if kb, err := strconv.Atoi(f[1]); err == nil {
				return max(containerMemoryMB, kb/1024*7/10)
			}
		}
	}
	return containerMemoryMB
}
