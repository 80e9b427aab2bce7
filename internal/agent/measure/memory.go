package measure

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/procfs"
)

// memory measures the share of memory that programs can still have. Page cache that can be dropped counts as free, as
// in the kernel's own MemAvailable. In a container with a limit, it is about that.
type memory struct {
	root      string
	container bool
}

func (m *memory) measure(context.Context, time.Time) (float64, error) {
	fs, err := procfs.NewFS(filepath.Join(m.root, "proc"))
	if err != nil {
		return 0, fmt.Errorf("opening /proc: %w", err)
	}
	info, err := fs.Meminfo()
	if err != nil {
		return 0, err
	}
	if info.MemTotalBytes == nil || info.MemAvailableBytes == nil || *info.MemTotalBytes == 0 {
		return 0, errors.New("/proc/meminfo does not tell what is available")
	}
	total := float64(*info.MemTotalBytes)
	if m.container {
		limit, used, ok := m.cgroup()
		if ok && limit > 0 && limit < total {
			return max(0, min(1, (limit-used)/limit)), nil
		}
	}
	return float64(*info.MemAvailableBytes) / total, nil
}

// cgroup reads limit and use of the container's own group, version 2 or 1; ok is false if there is no limit.
func (m *memory) cgroup() (limit, used float64, ok bool) {
	for _, v := range []struct{ dir, limit, used, cache string }{
		{"sys/fs/cgroup", "memory.max", "memory.current", "inactive_file"},
		{"sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"},
	} {
		dir := filepath.Join(m.root, v.dir)
		limit, err := readNumber(filepath.Join(dir, v.limit)) // "max": no limit, and no number
		if err != nil {
			continue
		}
		used, err := readNumber(filepath.Join(dir, v.used))
		if err != nil {
			continue
		}
		return limit, used - statistic(filepath.Join(dir, "memory.stat"), v.cache), true
	}
	return 0, 0, false
}

// statistic is a line of memory.stat; 0 if it is not there.
func statistic(path, name string) float64 {
	f, err := os.Open(path)
	if err != nil {
		return 0
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if v, ok := strings.CutPrefix(lines.Text(), name+" "); ok {
			n, _ := strconv.ParseFloat(v, 64)
			return n
		}
	}
	return 0
}

func readNumber(path string) (float64, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return 0, err
	}
	return strconv.ParseFloat(strings.TrimSpace(string(b)), 64)
}
