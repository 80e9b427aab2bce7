package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/farmhand/terraform-provider-farmhand/internal/daemon"
	"github.com/farmhand/terraform-provider-farmhand/internal/e2e/live"
)

// lamp is the story's farm.
type lamp struct {
	world
	*live.Farm
	record     *live.Record
	url        string
	nameserver string
}

// TestLamp is the life of one farm: each part finds it as the former one left it.
func TestLamp(t *testing.T) {
	w := enter(t)
	t.Parallel()
	dir := stateDir(t)
	l := &lamp{world: w, Farm: w.farm(t, "e2e", w.subnet(t), dir)}
	must(t, l.UseExample())

	chapters := []struct {
		name string
		run  func(*testing.T)
	}{
		{"apply", l.apply},
		{"pages come from every web server", l.pages},
		{"the database keeps an order and memcached counts it", l.orders},
		{"names follow the farm", l.names},
		{"it grows under load and the plan stays empty", l.grow},
		// While the load average of the first farm falls.
		{"a second farm lives beside it", l.secondFarm},
		{"it shrinks when the load is gone", l.shrink},
		{"a killed server is replaced", l.heal},
		{"a killed sidecar shows in the plan and its instances live on", l.sidecar},
		{"destroy with a dead sidecar leaves nothing", l.destroy},
	}
	for _, c := range chapters {
		if !t.Run(c.name, c.run) {
			t.Fatalf("the farm's story ends here: %s", c.name)
		}
	}
}

func (l *lamp) apply(t *testing.T) {
	out, err := l.Apply(t.Context())
	must(t, err)
	if strings.Contains(out, "db_password") {
		t.Error("the apply's output holds a secret")
	}
	outputs, err := l.Outputs(t.Context())
	must(t, err)
	l.url, l.nameserver = outputs["url"], outputs["nameserver"]
	l.record, err = l.Open(t.Context())
	must(t, err)

	// Apply waits until each role serves, so that there is nothing to wait for here.
	page, err := live.Get(t.Context(), l.url)
	must(t, err)
	if page.Status != http.StatusOK || !strings.Contains(page.Body, "served by") {
		t.Fatalf("GET %s straight after the apply: status %d\n%s", l.url, page.Status, page.Body)
	}
	l.planIsEmpty(t)
}

func (l *lamp) planIsEmpty(t *testing.T) {
	t.Helper()
	changes, out, err := l.Plan(t.Context())
	must(t, err)
	if changes {
		t.Errorf("the plan is not empty:\n%s", out)
	}
}

func (l *lamp) pages(t *testing.T) {
	want := []string{"web-1", "web-2"}
	seen := map[string]bool{}
	eventually(t, "an answer by each web server", func(ctx context.Context) (bool, string) {
		page, err := live.Get(ctx, l.url)
		if err != nil {
			return false, err.Error()
		}
		seen[page.Server] = true
		got := slices.Sorted(maps.Keys(seen))
		return slices.Equal(got, want), fmt.Sprint("answered: ", got)
	})

	status, err := l.Farmhand(t.Context(), "status", "--json")
	must(t, err)
	if !json.Valid([]byte(status)) || !strings.Contains(status, "web-2") {
		t.Errorf("farmhand status --json is not JSON that tells of web-2:\n%s", status)
	}
	events, err := l.Farmhand(t.Context(), "events", l.Name)
	must(t, err)
	for _, instance := range []string{"lb-1", "web-1", "web-2", "mysql-1", "memcached-1"} {
		if !strings.Contains(events, instance) {
			t.Errorf("farmhand events tells nothing of %s:\n%s", instance, events)
		}
	}
}

func (l *lamp) orders(t *testing.T) {
	page, err := live.Post(t.Context(), l.url, url.Values{"customer": {"Ada & Sons"}, "item": {"nine pumpkins"}})
	must(t, err)
	if page.Status != http.StatusSeeOther {
		t.Fatalf("placing an order: status %d\n%s", page.Status, page.Body)
	}
	// Whichever server answers, the order is there, and the second look at the count is the cache's.
	seen := map[string]bool{}
	eventually(t, "the order shown by both servers, counted by memcached", func(ctx context.Context) (bool, string) {
		page, err := live.Get(ctx, l.url)
		if err != nil {
			return false, err.Error()
		}
		if strings.Contains(page.Body, "nine pumpkins") && strings.Contains(page.Body, "Ada &amp; Sons") &&
			strings.Contains(page.Body, "counted by memcached") {
			seen[page.Server] = true
		}
		return len(seen) == 2, page.Body
	})
}

// ask asks the farm's nameserver for addresses.
func (l *lamp) ask(name string) (rcode int, addresses []string, err error) {
	query := new(dns.Msg).SetQuestion(dns.Fqdn(name), dns.TypeA)
	answer, _, err := new(dns.Client).Exchange(query, l.nameserver)
	if err != nil {
		return 0, nil, err
	}
	for _, rr := range answer.Answer {
		if a, ok := rr.(*dns.A); ok {
			addresses = append(addresses, a.A.String())
		}
	}
	slices.Sort(addresses)
	return answer.Rcode, addresses, nil
}

func (l *lamp) names(t *testing.T) {
	instances, err := l.record.Instances(t.Context(), l.Name, "")
	must(t, err)
	address := map[string]string{}
	for _, i := range instances {
		address[i.Name()] = i.Address
	}
	zone := l.Name + ".internal"
	both := []string{address["web-1"], address["web-2"]}
	slices.Sort(both)
	for name, want := range map[string][]string{
		"web." + zone:       both,
		"web-2.web." + zone: {address["web-2"]},
		"db." + zone:        {address["mysql-1"]},
		"lb." + zone:        {address["lb-1"]},
	} {
		rcode, got, err := l.ask(name)
		must(t, err)
		if rcode != dns.RcodeSuccess || !slices.Equal(got, want) {
			t.Errorf("%s is %v (%s), want %v", name, got, dns.RcodeToString[rcode], want)
		}
	}
	if rcode, _, err := l.ask("nobody." + zone); err != nil || rcode != dns.RcodeNameError {
		t.Errorf("nobody.%s: %s, %v; want NXDOMAIN", zone, dns.RcodeToString[rcode], err)
	}

	containers, err := l.engine.Running(t.Context(), l.Name)
	must(t, err)
	out, err := l.engine.Exec(t.Context(), containers["web-1"], "getent", "hosts", "db."+zone)
	must(t, err)
	if got, _, _ := strings.Cut(out, " "); got != address["mysql-1"] {
		t.Errorf("inside web-1, db.%s is %q, want %s", zone, out, address["mysql-1"])
	}
}

func (l *lamp) secondFarm(t *testing.T) {
	second := l.farm(t, "e2e-b", l.subnet(t), l.StateDir)
	must(t, second.UseExample())
	_, err := second.Apply(t.Context())
	must(t, err)
	outputs, err := second.Outputs(t.Context())
	must(t, err)
	page, err := live.Get(t.Context(), outputs["url"])
	must(t, err)
	if page.Status != http.StatusOK || strings.Contains(page.Body, "nine pumpkins") {
		t.Errorf("the second farm's page: status %d, or it shows the first one's orders\n%s", page.Status, page.Body)
	}

	_, err = second.Destroy(t.Context())
	must(t, err)
	left, err := l.engine.Leftovers(t.Context(), second.Name)
	must(t, err)
	if len(left) > 0 {
		t.Errorf("destroying the second farm left %v", left)
	}
	page, err = live.Get(t.Context(), l.url)
	must(t, err)
	if page.Status != http.StatusOK {
		t.Errorf("after the second farm's end the first one answers %d", page.Status)
	}
	if _, err := daemon.Find(t.Context(), l.StateDir); err != nil {
		t.Errorf("the sidecar should go on for the first farm: %v", err)
	}
	l.planIsEmpty(t)
}

// reasons asks for an event of a kind on a role, after a time, and fails the test if its reason is missing.
func (l *lamp) reasons(t *testing.T, role, kind string, after time.Time) func(context.Context) (bool, string) {
	return func(ctx context.Context) (bool, string) {
		events, err := l.record.Events(ctx, l.Name)
		if err != nil {
			return false, err.Error()
		}
		var last string
		for _, e := range events {
			if e.Reason == "" {
				t.Errorf("event %s %s of %s has no reason", e.Kind, e.ID, e.Instance)
			}
			if e.At.After(after) && e.Role == role {
				last = fmt.Sprintf("%s %s: %s", e.Kind, e.Instance, e.Reason)
				if e.Kind == kind {
					t.Log(last)
					return true, last
				}
			}
		}
		return false, last
	}
}

func (l *lamp) grow(t *testing.T) {
	start := time.Now()
	stop := live.Load(t.Context(), l.url, 30)
	defer stop()
	eventually(t, "a scale-out of web", l.reasons(t, "web", "scale-out", start))
	eventually(t, "a third web server", func(ctx context.Context) (bool, string) {
		instances, err := l.record.Instances(ctx, l.Name, "web")
		return err == nil && len(instances) >= 3, fmt.Sprintf("%d, %v", len(instances), err)
	})
	stop()
	l.planIsEmpty(t)
	eventually(t, "web-3 serving", func(ctx context.Context) (bool, string) {
		page, err := live.Get(ctx, l.url)
		return err == nil && page.Server == "web-3", fmt.Sprint(page.Server, err)
	})
}

func (l *lamp) shrink(t *testing.T) {
	eventually(t, "web back at its minimum", running(t, l.record, l.Name, "web", 2))
	eventually(t, "an event on the scale-in", l.reasons(t, "web", "scale-in", time.Time{}))
	l.planIsEmpty(t)
}

func (l *lamp) heal(t *testing.T) {
	before, err := l.engine.Running(t.Context(), l.Name)
	must(t, err)
	victim := before["web-1"]
	killed := time.Now()
	must(t, l.engine.Kill(t.Context(), victim))
	eventually(t, "another container serving as web-1", func(ctx context.Context) (bool, string) {
		now, err := l.engine.Running(ctx, l.Name)
		if err != nil {
			return false, err.Error()
		}
		page, err := live.Get(ctx, l.url)
		return now["web-1"] != "" && now["web-1"] != victim && err == nil && page.Status == http.StatusOK && page.Server == "web-1",
			fmt.Sprintf("containers %v, page by %q, %v", slices.Sorted(maps.Keys(now)), page.Server, err)
	})
	t.Logf("served again by a new web-1 %s after the kill", time.Since(killed).Round(100*time.Millisecond))
	eventually(t, "an event on the launch", l.reasons(t, "web", "launch", killed))
}

// killSidecar ends it the hard way and waits until its lock is free.
func (l *lamp) killSidecar(t *testing.T) {
	t.Helper()
	s, err := daemon.Find(t.Context(), l.StateDir)
	must(t, err)
	must(t, syscall.Kill(s.PID, syscall.SIGKILL))
	eventually(t, "the sidecar's end", func(ctx context.Context) (bool, string) {
		_, err := daemon.Find(ctx, l.StateDir)
		return errors.Is(err, daemon.ErrNotRunning), fmt.Sprint(err)
	})
}

func (l *lamp) sidecar(t *testing.T) {
	before, err := l.engine.Running(t.Context(), l.Name)
	must(t, err)
	l.killSidecar(t)

	page, err := live.Get(t.Context(), l.url)
	must(t, err)
	if page.Status != http.StatusOK {
		t.Errorf("with its sidecar dead the farm answers %d", page.Status)
	}
	changes, out, err := l.Plan(t.Context())
	must(t, err)
	if !changes || !strings.Contains(out, "farmhand_sidecar.here") {
		t.Errorf("the plan does not show the dead sidecar:\n%s", out)
	}

	_, err = l.Apply(t.Context())
	must(t, err)
	l.planIsEmpty(t)
	eventually(t, "the nameserver back at its address", func(context.Context) (bool, string) {
		rcode, got, err := l.ask("db." + l.Name + ".internal")
		return err == nil && rcode == dns.RcodeSuccess && len(got) == 1 && net.ParseIP(got[0]) != nil, fmt.Sprint(rcode, got, err)
	})
	eventually(t, "all web servers running in the new sidecar's records", running(t, l.record, l.Name, "web", 2))
	after, err := l.engine.Running(t.Context(), l.Name)
	must(t, err)
	if !maps.Equal(before, after) {
		t.Errorf("the new sidecar did not adopt what ran:\nbefore %v\nafter  %v", before, after)
	}
}

func (l *lamp) destroy(t *testing.T) {
	l.killSidecar(t)
	must(t, l.record.Close())
	_, err := l.Destroy(t.Context())
	must(t, err)

	left, err := l.engine.Leftovers(t.Context(), l.Name)
	must(t, err)
	if len(left) > 0 {
		t.Errorf("destroy left %v", left)
	}
	if _, err := daemon.Find(t.Context(), l.StateDir); !errors.Is(err, daemon.ErrNotRunning) {
		t.Errorf("destroy left the sidecar: %v", err)
	}
	if processes := alive(l.StateDir); len(processes) > 0 {
		t.Errorf("destroy left processes: %v", processes)
	}
	// What was the sidecar's is gone with it: store, releases, executable, log.
	if files, err := os.ReadDir(l.StateDir); err == nil && len(files) > 0 {
		t.Errorf("destroy left files: %v", files)
	} else if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
}
