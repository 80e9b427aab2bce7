package e2e

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/farmhand/terraform-provider-farmhand/internal/e2e/live"
)

// The demo's shop with three databases, and between each of its web servers and them a proxy.
const ordersHCL = farmHCL + `
resource "farmhand_application" "site" {
  name   = "${var.farm}-site"
  source = %q
}

resource "farmhand_role" "lb" {
  farm     = farmhand_farm.f.name
  name     = "lb"
  behavior = "haproxy"
  min      = 1
  max      = 1
  uses     = [farmhand_role.web.id]
}

resource "farmhand_role" "web" {
  farm         = farmhand_farm.f.name
  name         = "web"
  behavior     = "apache"
  min          = 2
  max          = 2
  application  = farmhand_application.site.id
  uses         = [farmhand_role.mysql.id]
  mysql_proxy  = %s
  health_check = { http = { path = "/healthz" }, interval = "2s", unhealthy_after = 5, grace = "30s" }
}

resource "farmhand_role" "mysql" {
  farm     = farmhand_farm.f.name
  name     = "mysql"
  behavior = "mysql"
  min      = 3
  max      = 3
  settings = { flap_minutes = "0" }
  volume   = { on_destroy = "delete" }
}
`

// clients is how many place orders at a time.
const clients = 4

// TestOrders: the shop takes orders while its database's primary is changed as planned, killed, paused and cut off in turn. No order that
// was taken is lost; what the application itself saw of it is counted. Then the same shop, unchanged, goes on through HAProxy's ports.
func TestOrders(t *testing.T) {
	w := enter(t)
	t.Parallel()
	f := w.farm(t, "e2eorders", w.subnet(t), stateDir(t))
	project, err := live.Project()
	must(t, err)
	site := filepath.Join(project, "examples/lamp/site")
	must(t, f.UseHCL(fmt.Sprintf(ordersHCL, site, "{}")))
	_, err = f.Apply(t.Context())
	must(t, err)
	w.tellOnFailure(t, f, f.Name+"/mysql", f.Name+"/web")
	rec, err := f.Open(t.Context())
	must(t, err)
	defer rec.Close()
	whole := func() {
		t.Helper()
		eventually(t, "three servers, of which two acknowledge", func(ctx context.Context) (bool, string) {
			lacks, err := rec.Replicated(ctx, f.Name, "mysql", 3)
			if err != nil {
				lacks = err.Error()
			}
			return lacks == "", lacks
		})
	}
	whole()
	balancers, err := rec.Instances(t.Context(), f.Name, "lb")
	must(t, err)
	shop := "http://" + balancers[0].Address + "/"
	eventually(t, "the first order", func(ctx context.Context) (bool, string) {
		first := live.PlaceOrders(ctx, shop, 1, time.Hour)
		first.Stop()
		return len(first.Customers()) == 1, fmt.Sprint(first.Errors(time.Time{}))
	})
	primary := func() (container string, term int64) {
		t.Helper()
		d, err := rec.Database(t.Context(), f.Name, "mysql")
		must(t, err)
		ids, err := w.engine.Running(t.Context(), f.Name)
		must(t, err)
		return ids[d.Primary], d.Term
	}
	orders := live.PlaceOrders(t.Context(), shop, clients, 50*time.Millisecond)
	goesOn := func() {
		t.Helper()
		began := time.Now()
		eventually(t, "forty orders more", func(context.Context) (bool, string) {
			errors := orders.Errors(began)
			return orders.Taken(began) > 40, fmt.Sprintf("%d orders, %d errors, the last: %v", orders.Taken(began), len(errors), errors[max(0, len(errors)-1):])
		})
	}
	// disturb does something to the primary, waits until another one is there and orders are taken, and tells what clients saw.
	disturb := func(what string, mostErrors int, do func(ctx context.Context, container string) error) {
		t.Helper()
		goesOn()
		container, term := primary()
		began := time.Now()
		must(t, do(t.Context(), container))
		eventually(t, "another primary after it was "+what, func(ctx context.Context) (bool, string) {
			d, err := rec.Database(ctx, f.Name, "mysql")
			return err == nil && d.Term > term && d.Failover == nil, fmt.Sprintf("term %d, %v", d.Term, err)
		})
		goesOn()
		errors := orders.Errors(began)
		t.Logf("primary %s: %d orders taken since, %d errors, longest time without an order %s", what, orders.Taken(began), len(errors), orders.Gap(began).Round(time.Millisecond))
		for _, e := range errors {
			t.Logf("  %s after: %s: %s", e.At.Sub(began).Round(time.Millisecond), e.Customer, strings.TrimSpace(e.What))
		}
		if len(errors) > mostErrors {
			t.Errorf("primary %s: the application saw %d errors, and at most %d can have been under way", what, len(errors), mostErrors)
		}
		whole()
	}
	disturb("changed as planned", 0, func(ctx context.Context, _ string) error {
		_, err := f.Farmhand(ctx, "failover", f.Name+"/mysql", "--wait")
		return err
	})
	// What was under way at a server that is lost has an outcome that nobody knows: the application is told so, once for each client.
	disturb("killed", clients, w.engine.Kill)
	disturb("paused", clients, w.engine.Pause)
	disturb("cut off", clients, w.engine.Cut)
	orders.Stop()

	// Asked at the primary itself, not through the proxy.
	container, _ := primary()
	out, err := w.engine.Exec(t.Context(), container, "mariadb", "-N", "-e", "SELECT customer FROM app.orders")
	must(t, err)
	have := map[string]bool{}
	for _, line := range strings.Split(out, "\n") {
		have[line] = true
	}
	lost := 0
	for _, c := range orders.Customers() {
		if !have[c] {
			lost++
		}
	}
	if taken := len(orders.Customers()); lost > 0 {
		t.Errorf("%d of %d orders that were taken are lost", lost, taken)
	} else {
		t.Logf("%d orders were taken, none is lost", taken)
	}

	// The other mode, in place: no server is replaced.
	before, err := w.engine.Running(t.Context(), f.Name)
	must(t, err)
	must(t, f.UseHCL(fmt.Sprintf(ordersHCL, site, `{ mode = "ports", port = 3310, read_port = 3311 }`)))
	_, err = f.Apply(t.Context())
	must(t, err)
	eventually(t, "HAProxy's ports in the application's environment", func(ctx context.Context) (bool, string) {
		out, err := w.engine.Exec(ctx, before["web-1"], "sh", "-c", ". /etc/farmhand/env; echo $DB_HOST:$DB_PORT $DB_READ_HOST:$DB_READ_PORT")
		return err == nil && strings.TrimSpace(out) == "127.0.0.1:3310 127.0.0.1:3311", fmt.Sprint(out, err)
	})
	orders = live.PlaceOrders(t.Context(), shop, clients, 50*time.Millisecond)
	goesOn()
	container, term := primary()
	began := time.Now()
	must(t, w.engine.Kill(t.Context(), container))
	eventually(t, "another primary", func(ctx context.Context) (bool, string) {
		d, err := rec.Database(ctx, f.Name, "mysql")
		return err == nil && d.Term > term && d.Failover == nil, fmt.Sprintf("term %d, %v", d.Term, err)
	})
	goesOn()
	orders.Stop()
	t.Logf("through HAProxy, primary killed: %d orders taken since, %d errors, longest time without an order %s", orders.Taken(began), len(orders.Errors(began)), orders.Gap(began).Round(time.Millisecond))
	replica, err := w.engine.Exec(t.Context(), before["web-1"], "sh", "-c", `. /etc/farmhand/env; mariadb -h $DB_READ_HOST -P $DB_READ_PORT -u $DB_USER -p"$DB_PASSWORD" -N -e 'SELECT @@read_only'`)
	must(t, err)
	if strings.TrimSpace(replica) != "1" {
		t.Errorf("the port of reads leads to a server whose read_only is %q", replica)
	}
	after, err := w.engine.Running(t.Context(), f.Name)
	must(t, err)
	for _, name := range []string{"web-1", "web-2", "lb-1"} {
		if before[name] != after[name] {
			t.Errorf("%s was replaced, and nothing of it had changed but its proxy", name)
		}
	}

	w.destroy(t, f)
}
