package agent_test

import (
	"context"
	"fmt"
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/farmhand/terraform-provider-farmhand/internal/spec"
	"github.com/farmhand/terraform-provider-farmhand/internal/state"
	"github.com/farmhand/terraform-provider-farmhand/internal/store"
)

// The application says what it finds: its environment, the database's rows, what the cache kept.
const page1 = `<?php
set_exception_handler(function ($e) { http_response_code(500); echo $e->getMessage(); });
$db = new mysqli(getenv('DB_HOST'), getenv('DB_USER'), getenv('DB_PASSWORD'), getenv('DB_NAME'), (int)getenv('DB_PORT'));
$db->query('CREATE TABLE IF NOT EXISTS visits (id INT AUTO_INCREMENT PRIMARY KEY, who VARCHAR(64)) ENGINE=InnoDB');
if (isset($_GET['write'])) {
	$s = $db->prepare('INSERT INTO visits (who) VALUES (?)');
	$s->bind_param('s', $_GET['write']);
	$s->execute();
}
$rows = [];
foreach ($db->query('SELECT who FROM visits ORDER BY id') as $r) { $rows[] = $r['who']; }
$cache = new Memcached();
foreach (explode(',', getenv('MEMCACHED_SERVERS')) as $s) { [$host, $port] = explode(':', $s); $cache->addServer($host, (int)$port); }
$cache->add('seen', 0);
echo json_encode(['by' => getenv('FARMHAND_INSTANCE'), 'odd' => getenv('ODD'), 'secret' => $_SERVER['SECRET'], 'rows' => $rows, 'seen' => $cache->increment('seen')]);
`

const oddValue = `a "quoted" $${x} \back\slash ${HOME} $(id) 'single' # %{x} <b>é`

func lamp(t *testing.T) (*farm, *spec.Application) {
	f := newFarm(t)
	use := func(roles ...string) (ids []string) {
		for _, r := range roles {
			ids = append(ids, f.name+"/"+r)
		}
		return ids
	}
	check := spec.HealthCheck{Interval: spec.Duration(time.Second), Timeout: spec.Duration(2 * time.Second), UnhealthyAfter: 2}
	httpCheck := check
	httpCheck.HTTP = &spec.HTTPCheck{Path: "/healthz.php"}
	f.declare(spec.Role{Name: "mysql", Behavior: "mysql", HealthCheck: check})
	f.declare(spec.Role{Name: "cache", Behavior: "memcached", HealthCheck: check})
	f.declare(spec.Role{Name: "web", Behavior: "apache", HealthCheck: httpCheck, Uses: use("mysql", "cache"),
		Environment: map[string]string{"ODD": oddValue}, Secrets: []string{"SECRET"}})
	f.declare(spec.Role{Name: "lb", Behavior: "haproxy", HealthCheck: check, Uses: use("web")})
	_, err := store.PutJSON(t.Context(), f.store, state.SecretKey(f.name, "web"), map[string]string{"SECRET": "s3cret", "OTHER": "not named"})
	f.must(err)
	return f, f.release(map[string]string{"public/index.php": page1, "public/healthz.php": "ok", "private.txt": "not served"}, "public")
}

// TestLAMP is a whole farm of Debian's own programs, through what a farm's life brings.
func TestLAMP(t *testing.T) {
	f, app := lamp(t)
	started := map[string]time.Time{
		"mysql-1": f.launch("mysql", 1, 11, nil),
		"cache-1": f.launch("cache", 1, 12, nil),
		"web-1":   f.launch("web", 1, 21, app),
		"web-2":   f.launch("web", 2, 22, app),
		"lb-1":    f.launch("lb", 1, 31, nil),
	}
	for name, at := range started {
		f.awaitServing(name, at)
	}
	url := "http://" + f.address("lb-1") + "/"

	t.Run("without a server the balancer says so", func(t *testing.T) {
		body, _, err := page(t.Context(), url)
		if err == nil || !strings.Contains(err.Error(), "503") || !strings.Contains(err.Error(), "No server is ready") {
			t.Errorf("got %q, %v; want a 503 with a plain page", body, err)
		}
	})

	f.serving("mysql", 1)
	f.serving("cache", 1)
	f.serving("web", 1, 2)

	t.Run("the page reads environment, database and cache", func(t *testing.T) {
		f.eventually("the page", func() error {
			body, header, err := page(t.Context(), url+"?write=first")
			if err != nil {
				return err
			}
			for _, want := range []string{`"secret":"s3cret"`, `"rows":["first"`, `"seen":`, `"by":"` + header.Get("X-Served-By") + `"`} {
				if !strings.Contains(body, want) {
					return fmt.Errorf("%q is not in %s", want, body)
				}
			}
			return nil
		})
		got := f.exec("web-1", "php", "-r", `echo json_decode(file_get_contents("http://127.0.0.1/"))->odd;`)
		if got != oddValue {
			t.Errorf("a value of the environment arrives as\n%s\ninstead of\n%s", got, oddValue)
		}
		if body, _, err := page(t.Context(), url+"private.txt"); err == nil {
			t.Errorf("a file beside the document root is served: %s", body)
		}
		if _, _, err := page(t.Context(), url+".htaccess"); err == nil {
			t.Error(".htaccess is served")
		}
	})
	t.Run("files of secrets are root's alone", func(t *testing.T) {
		modes := f.exec("web-1", "sh", "-c", "stat -c %a%U /etc/farmhand/env /etc/farmhand/env.json /etc/farmhand/apache2.conf | sort -u")
		if modes != "600root" {
			t.Errorf("modes are %q", modes)
		}
		got := f.exec("web-1", "sh", "-c", `. /etc/farmhand/env; printf %s "$ODD"`)
		if got != oddValue {
			t.Errorf("a shell reads\n%s\ninstead of\n%s", got, oddValue)
		}
	})
	t.Run("no request is lost when servers leave and come back", func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		counts, wait := drive(ctx, t, url)
		for range 5 {
			f.serving("web", 1)
			f.awaitServers(t, counts, "web-1")
			f.serving("web", 2)
			f.awaitServers(t, counts, "web-2")
			f.serving("web", 1, 2)
			f.awaitServers(t, counts, "web-1", "web-2")
		}
		stop()
		wait()
	})
	t.Run("a configuration that haproxy refuses is kept out", func(t *testing.T) {
		f.change(func(top state.Topology) {
			of := top.Roles["web"]
			of.Instances = append(of.Instances[:2:2], state.Member{Name: "web-9", Index: 9, Address: "no-such-host.invalid"})
			top.Roles["web"] = of
		})
		r := f.await("lb-1", "refusing the change", func(r state.Report) bool { return r.ApplyError != "" })
		if !strings.Contains(r.ApplyError, "no-such-host.invalid") || !r.Serving() {
			t.Errorf("serving %v, with the error %q; want it serving, and the error naming the address", r.Serving(), r.ApplyError)
		}
		if _, _, err := page(t.Context(), url); err != nil {
			t.Errorf("the former configuration is not in force: %v", err)
		}
		f.serving("web", 1, 2)
		f.await("lb-1", "taking the mended topology over", func(r state.Report) bool { return r.ApplyError == "" })
	})
	t.Run("a killed server is noticed by the balancer and costs no page", func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		counts, wait := drive(ctx, t, url)
		f.awaitServers(t, counts, "web-1", "web-2")
		f.kill("web-2")
		f.awaitServers(t, counts, "web-1")
		stop()
		wait()
		at := f.launch("web", 2, 22, app)
		f.awaitServing("web-2", at)
	})
	// What MariaDB prints when it was not ended cleanly.
	const recovered = "Starting crash recovery"
	t.Run("the database comes back on its volume after a kill, with all that it said yes to", func(t *testing.T) {
		if _, _, err := page(t.Context(), url+"?write=last"); err != nil {
			t.Fatal(err)
		}
		f.kill("mysql-1")
		at := f.launch("mysql", 1, 11, nil)
		f.awaitServing("mysql-1", at)
		if out := f.printed("mysql-1"); !strings.Contains(out, recovered) {
			t.Errorf("it recovered nothing, so it was not killed:\n%s", out)
		}
		f.eventually("the page", func() error {
			body, _, err := page(t.Context(), url)
			if err == nil && (!strings.Contains(body, `"rows":["first"`) || !strings.Contains(body, `"last"]`)) {
				err = fmt.Errorf("a row is gone: %s", body)
			}
			return err
		})
	})
	t.Run("the farm serves on while the sidecar is away", func(t *testing.T) {
		_, port, _ := net.SplitHostPort(f.gateway)
		f.stopGate()
		for range 20 {
			if _, _, err := page(t.Context(), url); err != nil {
				t.Fatal(err)
			}
		}
		f.openGateway(port)
		f.serving("web", 2)
		revision := int64(f.publish())
		f.await("lb-1", "caught up", func(r state.Report) bool { return r.Applied >= revision && r.Serving() })
	})
	t.Run("agents are small", func(t *testing.T) {
		const limit = 25 << 10
		for name := range started {
			rss, err := strconv.Atoi(f.exec(name, "sh", "-c", "awk '/^VmRSS/ {print $2}' /proc/1/status"))
			f.must(err)
			t.Logf("%s: the agent's resident size is %.1f MB (%s)", name, float64(rss)/1024, f.exec(name, "sh", "-c", "awk '/^Rss|^VmHWM/ {printf \"%s %s kB \", $1, $2}' /proc/1/status"))
			if rss > limit {
				t.Errorf("%s: the agent took %d kB; its limit is %d", name, rss, limit)
			}
		}
	})
	t.Run("a told end is a clean one", func(t *testing.T) {
		t.Logf("mysql-1 ended in %.1f s", f.end("mysql-1").Seconds())
		at := f.launch("mysql", 1, 11, nil)
		f.awaitServing("mysql-1", at)
		if out := f.printed("mysql-1"); strings.Contains(out, recovered) {
			t.Errorf("after a clean end there was something to recover:\n%s", out)
		}
		for _, name := range []string{"web-1", "cache-1", "lb-1"} {
			t.Logf("%s ended in %.1f s", name, f.end(name).Seconds())
		}
	})
}

// counts are who answered since they were last looked at.
type counts struct {
	sync.Mutex
	by map[string]int
}

// drive asks for url over and over until ctx ends; every page that fails is an error of the test.
func drive(ctx context.Context, t *testing.T, url string) (c *counts, wait func()) {
	c = &counts{by: map[string]int{}}
	var all sync.WaitGroup
	var total int
	for range 8 {
		all.Go(func() {
			for ctx.Err() == nil {
				_, header, err := page(t.Context(), url)
				if err != nil {
					t.Errorf("a page was lost: %v", err)
					return
				}
				c.Lock()
				c.by[header.Get("X-Served-By")]++
				total++
				c.Unlock()
			}
		})
	}
	return c, func() { all.Wait(); t.Logf("%d pages, none lost", total) }
}

// awaitServers waits until just these servers answer: all of them, and in a whole look nobody else.
func (f *farm) awaitServers(t *testing.T, c *counts, names ...string) {
	t.Helper()
	f.eventually("who answers", func() error {
		c.Lock()
		seen := c.by
		c.by = map[string]int{}
		c.Unlock()
		for _, n := range names {
			if seen[n] == 0 {
				return fmt.Errorf("%s does not answer: %v", n, seen)
			}
		}
		if len(seen) != len(names) {
			return fmt.Errorf("others than %v answer: %v", names, seen)
		}
		return nil
	})
}
