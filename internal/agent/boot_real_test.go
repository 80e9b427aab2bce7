package agent_test

import (
	"fmt"
	"os/exec"
	"strings"
	"testing"

	"github.com/farmhand/terraform-provider-farmhand/internal/spec"
	"github.com/farmhand/terraform-provider-farmhand/internal/state"
)

// TestProcessOne is the agent as a container's first process: with orphans, and with a script that fails.
func TestProcessOne(t *testing.T) {
	f := newFarm(t)
	f.declare(spec.Role{Name: "worker", Behavior: "base", BootScript: `
for i in 1 2 3 4 5; do (setsid sleep 0.$i &); done
(setsid sleep 1000 &)
sleep 1`})
	f.declare(spec.Role{Name: "broken", Behavior: "base", BootScript: "echo no thing here; exit 3"})
	at := f.launch("worker", 1, 11, nil)
	f.launch("broken", 1, 12, nil)
	f.awaitServing("worker-1", at)

	f.eventually("all orphans are buried", func() error {
		// Those of process 1: what it did not bury would stay a zombie for good.
		if z := f.exec("worker-1", "sh", "-c", "ps -eo stat=,ppid=,args= | awk '$1 ~ /^Z/ && $2 == 1'"); z != "" {
			return fmt.Errorf("zombies: %s", z)
		}
		return nil
	})
	if left := f.exec("worker-1", "sh", "-c", "ps -eo ppid=,args= | grep -c '^ *1 sleep'"); left != "1" {
		t.Errorf("%s of the script's daemons run; the one that was to stay should", left)
	}

	r := f.await("broken-1", "failed", func(r state.Report) bool { return r.Boot.Failed != "" })
	if r.Boot.Step != "boot script" || r.Boot.Failed != "boot script exited 3" || !strings.Contains(strings.Join(r.Boot.Log, "\n"), "no thing here") {
		t.Errorf("the report is %+v", r.Boot)
	}
	f.await("broken-1", "reporting on", func(next state.Report) bool { return next.At.After(r.At) })

	t.Logf("worker-1 ended in %.1f s", f.end("worker-1").Seconds())
}

// TestPackagesAreInstalledWhereTheImageLacksThem has no memcached in its image.
func TestPackagesAreInstalledWhereTheImageLacksThem(t *testing.T) {
	const image = "farmhand-agenttest-without-memcached"
	f := newFarm(t)
	if out, err := exec.Command("docker", "run", "--rm", testImage, "timeout", "30", "apt-get", "update").CombinedOutput(); err != nil {
		t.Skipf("no Debian mirror can be reached from a container: %v: %.300s", err, out)
	}
	build := exec.Command("docker", "build", "-t", image, "-")
	build.Stdin = strings.NewReader("FROM " + testImage + "\nRUN dpkg --purge --force-depends memcached && rm -f /usr/sbin/policy-rc.d\n")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("building an image without memcached: %v: %s", err, out)
	}
	t.Cleanup(func() {
		f.remove() // its containers and their image hold this one
		if out, err := exec.Command("docker", "rmi", image).CombinedOutput(); err != nil {
			t.Errorf("cleaning up: %v: %s", err, out)
		}
	})
	f.declare(spec.Role{Name: "cache", Behavior: "memcached", Image: image})
	at := f.launch("cache", 1, 11, nil)
	f.awaitServing("cache-1", at)
	if out := f.printed("cache-1"); !strings.Contains(out, "Setting up memcached") {
		t.Errorf("nothing was installed:\n%s", out)
	}
	// Only the agent started it: with the farm's own address and port.
	if n := f.exec("cache-1", "sh", "-c", "ps -C memcached -o args= | grep -vc -- '-l 0.0.0.0'; test ! -e /usr/sbin/policy-rc.d || echo left"); n != "0" {
		t.Errorf("another memcached runs, or policy-rc.d is left: %s", n)
	}
}
