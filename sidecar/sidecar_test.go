package sidecar

import (
	"bytes"
	"context"
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/farmhand/terraform-provider-farmhand/internal/controller"
	"github.com/farmhand/terraform-provider-farmhand/internal/daemon"
	"github.com/farmhand/terraform-provider-farmhand/internal/spec"
	"github.com/farmhand/terraform-provider-farmhand/internal/state"
	"github.com/farmhand/terraform-provider-farmhand/internal/store"
	"github.com/farmhand/terraform-provider-farmhand/internal/store/sqlite"
)

// declare writes a simulated farm with a role of min servers into the store of a new state directory, as the
// provider would.
func declare(t *testing.T, min, max int) (dir string, s store.Store) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "state")
	if err := daemon.EnsureStateDir(dir); err != nil {
		t.Fatal(err)
	}
	s, err := sqlite.Open(t.Context(), daemon.DatabasePath(dir))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	farm := spec.Farm{Name: "shop", Sidecar: "local", Zone: "shop.internal", Tick: spec.Duration(200 * time.Millisecond),
		Simulated: &spec.Simulated{BootTime: spec.Duration(300 * time.Millisecond), Subnet: "10.201.5.0/24"}}
	role := spec.Role{Farm: "shop", Name: "web", Behavior: "base", Min: min, Max: max, Drain: spec.Duration(200 * time.Millisecond),
		LaunchTimeout: spec.Duration(time.Minute), ScaleIn: "newest",
		HealthCheck: spec.HealthCheck{Interval: spec.Duration(time.Second), Timeout: spec.Duration(time.Second), UnhealthyAfter: 2, SilentAfter: spec.Duration(10 * time.Second)}}
	put(t, s, state.FarmKey("shop"), state.Declared[spec.Farm]{Spec: farm})
	put(t, s, state.RoleKey("shop", "web"), state.Declared[spec.Role]{Spec: role})
	put(t, s, state.FarmIndexKey("shop"), state.FarmEntry{Name: "shop", Sidecar: "local", Created: time.Now()})
	return dir, s
}

func put(t *testing.T, s store.Store, key string, v any) {
	t.Helper()
	if _, err := store.PutJSON(t.Context(), s, key, v); err != nil {
		t.Fatal(err)
	}
}

// farmhand runs the command and returns its exit status and what it printed.
func farmhand(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, err bytes.Buffer
	code = execute(t.Context(), args, "1.2.3", &out, &err)
	return code, out.String(), err.String()
}

// background runs the sidecar until the test ends or stop is called.
func background(t *testing.T, dir string, flags ...string) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan int, 1)
	var log bytes.Buffer
	go func() {
		done <- execute(ctx, append([]string{"run", "--state-dir", dir}, flags...), "1.2.3", &log, &log)
	}()
	stop = func() {
		cancel()
		if done == nil {
			return
		}
		if code := <-done; code != 0 {
			t.Errorf("the sidecar ended with %d:\n%s", code, log.String())
		}
		done = nil
		if t.Failed() {
			t.Logf("the sidecar's log:\n%s", log.String())
		}
	}
	t.Cleanup(stop)
	return stop
}

// seen polls the status until ok says so.
func seen(t *testing.T, dir, what string, ok func(status) bool) status {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for {
		_, out, stderr := farmhand(t, "status", "--json", "--state-dir", dir)
		var st status
		if err := json.Unmarshal([]byte(out), &st); err == nil && ok(st) {
			return st
		}
		if time.Now().After(deadline) {
			_, events, _ := farmhand(t, "events", "--state-dir", dir)
			t.Fatalf("%s was not seen; status: %s%s\nevents:\n%s", what, out, stderr, events)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func serving(n int) func(status) bool {
	return func(st status) bool {
		running := 0
		for _, f := range st.Farms {
			for _, i := range f.Instances {
				if i.Phase == state.Running {
					running++
				}
			}
		}
		return running == n && len(st.Farms) == 1 && len(st.Farms[0].Roles) == 1 && st.Farms[0].Roles[0].Serving == n
	}
}

func TestASimulatedFarmFromDeclarationToEnd(t *testing.T) {
	dir, s := declare(t, 2, 4)
	if code, _, stderr := farmhand(t, "status", "--state-dir", dir); code != ExitAbsent || !strings.Contains(stderr, "no sidecar runs here") {
		t.Errorf("status without a sidecar: %d, %s", code, stderr)
	}
	stop := background(t, dir)
	st := seen(t, dir, "a farm of two", serving(2))
	if a := st.Farms[0].Instances[0].Address; a != "10.201.5.10" {
		t.Errorf("web-1 has address %q", a)
	}

	if code, _, stderr := farmhand(t, "simulated", "kill", "shop", "web-2", "--state-dir", dir); code != 0 {
		t.Fatalf("kill: %d, %s", code, stderr)
	}
	old := st.Farms[0].Instances[1].Created
	seen(t, dir, "the replacement of web-2", func(st status) bool {
		return serving(2)(st) && st.Farms[0].Instances[1].Created.After(old)
	})

	// A sidecar that ends leaves the servers, and the next one takes them over.
	stop()
	background(t, dir)
	seen(t, dir, "the farm adopted", func(st status) bool { return serving(2)(st) && st.Farms[0].Kept })
	code, out, _ := farmhand(t, "events", "shop", "--state-dir", dir)
	if code != 0 || !strings.Contains(out, "2 instances adopted") {
		t.Errorf("events: %d\n%s", code, out)
	}
	t.Log("\n" + out)
	code, out, _ = farmhand(t, "status", "--state-dir", dir)
	if code != 0 || !strings.Contains(out, "web-2") {
		t.Errorf("status: %d\n%s", code, out)
	}
	t.Log("\n" + out)

	farm, _, err := store.GetJSON[state.Declared[spec.Farm]](t.Context(), s, state.FarmKey("shop"))
	if err != nil {
		t.Fatal(err)
	}
	farm.Deleting = true
	put(t, s, state.FarmKey("shop"), farm)
	deadline := time.Now().Add(20 * time.Second)
	for {
		ended, err := controller.FarmEnded(t.Context(), s, "shop")
		if err != nil {
			t.Fatal(err)
		}
		if ended {
			break
		}
		if time.Now().After(deadline) {
			_, out, _ := farmhand(t, "events", "shop", "--state-dir", dir)
			t.Fatalf("the farm did not end; events:\n%s", out)
		}
		time.Sleep(20 * time.Millisecond)
	}
	if err := controller.Erase(t.Context(), s, "shop"); err != nil {
		t.Fatal(err)
	}
	if code, _, _ := farmhand(t, "status", "shop", "--state-dir", dir); code != ExitAbsent {
		t.Errorf("status of the erased farm: %d, want %d", code, ExitAbsent)
	}
}
