package agent

import (
	"os"
	"runtime/debug"
	"strings"

	"github.com/prometheus/procfs"
	"golang.org/x/sys/unix"
)

const (
	// memoryLimit and gcPercent keep the agent small beside the service that the machine is for: it handles
	// little, so that collecting early costs next to nothing. The limit stands well above what it holds, for near
	// it the collector would do nothing else.
	memoryLimit = 20 << 20
	gcPercent   = 25
)

func limitMemory() {
	debug.SetGCPercent(gcPercent)
	debug.SetMemoryLimit(memoryLimit)
}

// shedMemory gives back what starting up and booting took and the rest of the life does not need.
//
// Initialisation touches much of the executable that an agent never looks at again, the more where it is the provider's. Pages of
// its code and constants can be dropped at any time: they are unchanged, and one that is needed after all is found in the kernel's
// page cache, which all instances on a machine share. Writable mappings are left alone: dropping those would lose what was written.
func shedMemory() {
	debug.FreeOSMemory()
	self, err := os.Executable()
	if err != nil {
		return
	}
	proc, err := procfs.Self()
	if err != nil {
		return
	}
	maps, err := proc.ProcMaps()
	if err != nil {
		return
	}
	for _, m := range maps {
		if m.Perms.Write || !m.Perms.Private || strings.TrimSuffix(m.Pathname, " (deleted)") != self {
			continue
		}
		// As a bare system call: the wrapper wants a slice, and this is no memory of Go's.
		_, _, _ = unix.Syscall(unix.SYS_MADVISE, m.StartAddr, m.EndAddr-m.StartAddr, unix.MADV_DONTNEED)
	}
}
