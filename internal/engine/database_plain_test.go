package engine_test

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/farmhand/terraform-provider-farmhand/internal/engine"
)

// During an upgrade servers of an older version run beside those that speak TLS. Only an agent's own word makes a server one of them, and
// no order is given anew for it.
func TestServersOfAnOlderVersionAreNamed(t *testing.T) {
	w := newBackupWorld(t, nil)
	said := func() (all []string) {
		for _, d := range engine.Decide(w.view).Decisions {
			if strings.Contains(d.Reason, "not encrypted") {
				all = append(all, d.Reason)
			}
		}
		return all
	}
	if got := said(); len(got) != 1 || !strings.Contains(got[0], "replication from mysql-1, mysql-2 and mysql-3") {
		t.Errorf("of what is in plain text it is said %q", got)
	}
	w.pass(time.Second)
	orders := maps.Clone(w.role().Database.Orders)
	expect := func(what string, want ...string) {
		t.Helper()
		w.pass(time.Second)
		if got := said(); len(got) > 0 {
			t.Errorf("%s: it is said again: %q", what, got)
		}
		if got := w.role().Database.Plain; !slices.Equal(got, want) {
			t.Errorf("%s: %v are said to know no TLS, want %v", what, got, want)
		}
		if !maps.Equal(orders, w.role().Database.Orders) {
			t.Errorf("%s: the orders became %+v", what, w.role().Database.Orders)
		}
	}
	expect("all are older", "10.0.0.1", "10.0.0.2", "10.0.0.3")
	servers := w.role().Instances
	servers[2].Report.Database.TLS = true
	expect("one is replaced", "10.0.0.1", "10.0.0.2")
	servers[0].Report.Database.TLS = true
	expect("another one is replaced", "10.0.0.2")
	silent := *servers[1].Report
	silent.Database = nil
	servers[1].Report = &silent
	expect("the last one's successor has not said anything of its database yet")
}
