package load

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/procfs"
)

// Here are the sources of this machine: of the container where the agent is in one, else of the machine.
func Here(container bool) (Sources, error) {
	fs, err := procfs.NewDefaultFS()
	if err != nil {
		return Sources{}, fmt.Errorf("opening /proc: %w", err)
	}
	if !container {
		return Sources{Averages: averages(fs), CPU: machineCPU(fs)}, nil
	}
	s := Sources{Tasks: tasks(fs, os.Getpid()), CPU: machineCPU(fs)}
	if cpu := cgroupCPU("/sys/fs/cgroup"); cpu != nil {
		s.CPU = cpu
	}
	return s, nil
}

// averages reads the kernel's own.
func averages(fs procfs.FS) func() (float64, float64, float64, error) {
	return func() (float64, float64, float64, error) {
		l, err := fs.LoadAvg()
		if err != nil {
			return 0, 0, 0, err
		}
		return l.Load1, l.Load5, l.Load15, nil
	}
}

// tasks counts threads that run or wait for a core (R), or for a disk (D). The agent's own are left out: it is
// running whenever it looks.
func tasks(fs procfs.FS, self int) func() (int, error) {
	return func() (int, error) {
		procs, err := fs.AllProcs()
		if err != nil {
			return 0, err
		}
		n := 0
		for _, p := range procs {
			if p.PID == self {
				continue
			}
			threads, err := fs.AllThreads(p.PID)
			if err != nil {
				continue // ended meanwhile
			}
			for _, t := range threads {
				if s, err := t.Stat(); err == nil && (s.State == "R" || s.State == "D") {
					n++
				}
			}
		}
		return n, nil
	}
}

// machineCPU reads /proc/stat.
func machineCPU(fs procfs.FS) func() (time.Duration, float64, error) {
	return func() (time.Duration, float64, error) {
		s, err := fs.Stat()
		if err != nil {
			return 0, 0, err
		}
		t := s.CPUTotal
		used := t.User + t.Nice + t.System + t.IRQ + t.SoftIRQ + t.Steal
		return time.Duration(used * float64(time.Second)), float64(len(s.CPU)), nil
	}
}

// cgroupCPU reads the container's cgroup as it is mounted in it, version 2 or 1; nil if there is neither.
func cgroupCPU(root string) func() (time.Duration, float64, error) {
	stat := filepath.Join(root, "cpu.stat")
	if _, err := usageV2(stat); err == nil {
		return func() (time.Duration, float64, error) {
			used, err := usageV2(stat)
			return used, coresV2(root), err
		}
	}
	for _, dir := range []string{"cpuacct", "cpu,cpuacct"} {
		usage := filepath.Join(root, dir, "cpuacct.usage")
		if _, err := number(usage); err != nil {
			continue
		}
		return func() (time.Duration, float64, error) {
			ns, err := number(usage)
			return time.Duration(ns), coresV1(root), err
		}
	}
	return nil
}

// usageV2 reads usage_usec.
func usageV2(path string) (time.Duration, error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if v, ok := strings.CutPrefix(lines.Text(), "usage_usec "); ok {
			us, err := strconv.ParseInt(v, 10, 64)
			return time.Duration(us) * time.Microsecond, err
		}
	}
	return 0, errors.New(path + " holds no usage_usec")
}

// coresV2 reads cpu.max, "quota period" in microseconds, or "max period" for no limit.
func coresV2(root string) float64 {
	b, err := os.ReadFile(filepath.Join(root, "cpu.max"))
	if err != nil {
		return allCores()
	}
	var quota, period float64
	if _, err := fmt.Sscan(string(b), &quota, &period); err != nil {
		return allCores()
	}
	return cores(quota, period)
}

// coresV1 reads the quota, -1 for none, and its period.
func coresV1(root string) float64 {
	for _, dir := range []string{"cpu", "cpu,cpuacct"} {
		quota, err1 := number(filepath.Join(root, dir, "cpu.cfs_quota_us"))
		period, err2 := number(filepath.Join(root, dir, "cpu.cfs_period_us"))
		if err1 == nil && err2 == nil {
			return cores(float64(quota), float64(period))
		}
	}
	return allCores()
}

func cores(quota, period float64) float64 {
	if quota <= 0 || period <= 0 {
		return allCores()
	}
	return min(quota/period, allCores())
}

// allCores is how many the kernel lets this process run on; GOMAXPROCS is set lower for the agent's own sake.
func allCores() float64 { return float64(runtime.NumCPU()) }

func number(path string) (int64, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return 0, err
	}
	return strconv.ParseInt(strings.TrimSpace(string(b)), 10, 64)
}
