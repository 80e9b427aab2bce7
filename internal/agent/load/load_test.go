package load

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/procfs"
)

func near(a, b float64) bool { return math.Abs(a-b) < 1e-9 }

func TestAverageDecaysAsTheKernels(t *testing.T) {
	var everySecond average
	for range 60 {
		everySecond.add(1, time.Second)
	}
	// One task for a minute is 1-1/e in the 1-minute average, and 1-exp(-1/5) in the next.
	if !near(everySecond.one, 1-1/math.E) || !near(everySecond.five, 1-math.Exp(-0.2)) || !near(everySecond.fifteen, 1-math.Exp(-1.0/15)) {
		t.Errorf("after a minute of one task: %+v", everySecond)
	}
	var late average
	late.add(1, 60*time.Second)
	if !near(late.one, everySecond.one) || !near(late.fifteen, everySecond.fifteen) {
		t.Errorf("a look after a minute says %+v, sixty looks say %+v", late, everySecond)
	}
}

// write makes a file of a pretended /proc or /sys.
func write(t *testing.T, content string, path ...string) {
	t.Helper()
	name := filepath.Join(path...)
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

// stat is a line of /proc/PID/stat: 52 fields.
func stat(pid int, state string) string {
	s := fmt.Sprintf("%d (a (b) c) %s", pid, state)
	for range 49 {
		s += " 0"
	}
	return s + "\n"
}

func TestTasksAreThreadsThatRunOrWaitForTheDisk(t *testing.T) {
	proc := t.TempDir()
	for pid, threads := range map[int][]string{
		1:  {"R", "R"},           // the agent itself: not counted
		20: {"S", "R", "D", "S"}, // a database
		30: {"R"},
		31: {"Z"},
		32: {"T"},
	} {
		for i, state := range threads {
			write(t, stat(pid+i, state), proc, fmt.Sprint(pid), "task", fmt.Sprint(pid+i), "stat")
		}
	}
	fs, err := procfs.NewFS(proc)
	if err != nil {
		t.Fatal(err)
	}
	n, err := tasks(fs, 1)()
	if err != nil || n != 3 {
		t.Errorf("%d tasks, %v; want 3", n, err)
	}
}

func TestCgroups(t *testing.T) {
	v1, v1Quota, v2, v2Quota := t.TempDir(), t.TempDir(), t.TempDir(), t.TempDir()
	write(t, "2500000000\n", v1, "cpuacct", "cpuacct.usage")
	write(t, "-1\n", v1, "cpu", "cpu.cfs_quota_us")
	write(t, "100000\n", v1, "cpu", "cpu.cfs_period_us")
	write(t, "2500000000\n", v1Quota, "cpu,cpuacct", "cpuacct.usage")
	write(t, "50000\n", v1Quota, "cpu,cpuacct", "cpu.cfs_quota_us")
	write(t, "100000\n", v1Quota, "cpu,cpuacct", "cpu.cfs_period_us")
	write(t, "usage_usec 2500000\nuser_usec 1\n", v2, "cpu.stat")
	write(t, "max 100000\n", v2, "cpu.max")
	write(t, "usage_usec 2500000\nuser_usec 1\n", v2Quota, "cpu.stat")
	write(t, "25000 100000\n", v2Quota, "cpu.max")
	for name, c := range map[string]struct {
		root  string
		cores float64
	}{
		"version 1": {v1, allCores()}, "version 1 with a quota": {v1Quota, 0.5},
		"version 2": {v2, allCores()}, "version 2 with a quota": {v2Quota, 0.25},
	} {
		cpu := cgroupCPU(c.root)
		if cpu == nil {
			t.Errorf("%s is not recognised", name)
			continue
		}
		used, cores, err := cpu()
		if err != nil || used != 2500*time.Millisecond || cores != c.cores {
			t.Errorf("%s: %v used of %v cores, %v; want 2.5s of %v", name, used, cores, err, c.cores)
		}
	}
	if cgroupCPU(t.TempDir()) != nil {
		t.Error("a cgroup is seen where there is none")
	}
}

func TestSamplerKeepsAMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		s := New(Sources{
			Tasks: func() (int, error) { return 4, nil },
			// Of two cores, half of one is busy.
			CPU: func() (time.Duration, float64, error) { return time.Since(began) / 2, 2, nil },
		})
		ctx, stop := context.WithCancel(t.Context())
		go s.Run(ctx)
		time.Sleep(3*time.Minute + time.Millisecond)
		stop()
		got := s.Samples()
		if len(got) != keep {
			t.Fatalf("%d samples, want %d", len(got), keep)
		}
		for i, sample := range got {
			if i > 0 && sample.At.Sub(got[i-1].At) != 2*time.Second {
				t.Errorf("sample %d is %v behind the former", i, sample.At.Sub(got[i-1].At))
			}
			if !near(sample.CPU, 0.25) {
				t.Errorf("sample %d: %v of the processor, want a quarter", i, sample.CPU)
			}
		}
		last := got[len(got)-1]
		if last.At.Sub(began) != 3*time.Minute || !near(last.Load1, 4*(1-math.Exp(-3))) {
			t.Errorf("the last sample is %+v", last)
		}
	})
}

func TestWhatCannotBeReadMakesNoSample(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var broken atomic.Bool
		s := New(Sources{
			Averages: func() (float64, float64, float64, error) { return 1, 2, 3, nil },
			CPU: func() (time.Duration, float64, error) {
				if broken.Load() {
					return 0, 0, errors.New("gone")
				}
				return 0, 1, nil
			},
		})
		ctx, stop := context.WithCancel(t.Context())
		go s.Run(ctx)
		time.Sleep(10*time.Second + time.Millisecond)
		whole := len(s.Samples())
		broken.Store(true)
		time.Sleep(10 * time.Second)
		if n := len(s.Samples()); n != whole || whole != 5 {
			t.Errorf("%d samples before, %d after the counter broke; want 5 and no more", whole, n)
		}
		broken.Store(false)
		time.Sleep(10 * time.Second)
		// The first after the gap has no former reading to compare with.
		if n := len(s.Samples()); n != whole+4 {
			t.Errorf("%d samples after it was mended, want %d", n, whole+4)
		}
		stop()
	})
}
