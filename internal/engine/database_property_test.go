package engine_test

import (
	"fmt"
	"os"
	"reflect"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/farmhand/terraform-provider-farmhand/internal/engine"
	"github.com/farmhand/terraform-provider-farmhand/internal/spec"
	"github.com/farmhand/terraform-provider-farmhand/internal/state"
)

// TestDatabases lets machines die, hang and be cut off, agents fall silent, replicas lag, persons ask for another primary,
// and the sidecar die before and after it has written a step. Never do two servers take writes at once, never is one
// promoted under no_loss that lacks an acknowledged write, terms only grow; and when everything is well again, the role
// comes to a primary and replicas that follow it.
func TestDatabases(t *testing.T) {
	if os.Getenv("FARMHAND_TEST_LONG") == "" && os.Getenv("FARMHAND_RAPID_CHECKS") == "" {
		t.Setenv("FARMHAND_RAPID_CHECKS", "20000") // 20 courses of events: each is some minutes of a farm, in steps of 100 ms
	}
	checkMany(t, 1000, func(t *rapid.T) {
		w := newWorld()
		n := rapid.IntRange(1, 4).Draw(t, "servers")
		role := w.addRole(spec.Role{Name: "mysql", Behavior: "mysql", Min: n, Max: n, Drain: spec.Duration(4 * time.Second),
			Settings: map[string]string{"flap_minutes": fmt.Sprint(rapid.SampledFrom([]int{0, 1}).Draw(t, "flap minutes"))}})
		role.stateful = true
		role.replicate()
		looks := 0
		w.record = func(v engine.View) { // the ledger's record of a look decides as the look did
			if looks++; looks%50 != 0 {
				return
			}
			is, was := engine.Decide(engine.Reduce(v, "mysql")), engine.Decide(v)
			if !reflect.DeepEqual(is.Decisions, was.Decisions) || !reflect.DeepEqual(is.Databases, was.Databases) {
				t.Fatalf("reduced, it decides %+v %+v and not %+v %+v", is.Decisions, is.Databases, was.Decisions, was.Databases)
			}
		}
		var log []string
		term := int64(0)
		sound := func() {
			if db := role.servers.record; db != nil {
				if db.Term < term {
					t.Fatalf("term %d after %d\n%v", db.Term, term, log)
				}
				term = db.Term
				w.checkOrders(t, db)
			}
			if len(w.broken) > 0 {
				t.Fatalf("%v\n%v", w.broken, log)
			}
		}
		watch := func(d time.Duration) {
			log = append(log, w.watchFor(d))
			sound()
		}
		watch(20 * time.Second)
		for range rapid.IntRange(1, 12).Draw(t, "events") {
			event := rapid.SampledFrom([]string{"kill", "hang", "resume", "cut", "join", "mute", "speak", "slow", "quick", "wish", "crash", "half-crash", "silent", "answers"}).Draw(t, "event")
			name := state.InstanceName("mysql", rapid.IntRange(1, n).Draw(t, "of"))
			log = append(log, fmt.Sprintf("%s: %s %s\n", w.now.Sub(w.start), event, name))
			m := w.machineOf(name)
			switch event {
			case "wish":
				if role.servers.record != nil {
					db := *role.servers.record
					db.Wish = &state.FailoverWish{ID: "w", At: w.now, To: rapid.SampledFrom([]string{"", name}).Draw(t, "to")}
					role.servers.record = &db
				}
			case "crash":
				engine.Decide(w.view())
			case "half-crash":
				for _, db := range engine.Decide(w.view()).Databases {
					role.servers.record = &db
				}
			case "silent", "answers":
				w.unlisted = event == "silent"
			default:
				if m != nil {
					w.befall(m, event)
				}
			}
			watch(time.Duration(rapid.IntRange(1, 120).Draw(t, "tenths of a second")) * 100 * time.Millisecond)
		}
		w.unlisted = false
		for _, m := range w.machines {
			for _, relief := range []string{"resume", "join", "speak", "quick"} {
				w.befall(m, relief)
			}
		}
		log = append(log, "all is well\n")
		whole := func() bool {
			db := role.servers.record
			if db == nil || db.Primary == "" || db.Failover != nil || len(w.serversOf(role)) != n {
				return false
			}
			for _, m := range w.serversOf(role) {
				if primary := m.Name == db.Primary; m.db.writable != primary || !primary && !m.db.receiving {
					return false
				}
			}
			return true
		}
		for range 24 {
			if watch(10 * time.Second); whole() {
				break
			}
		}
		db := role.servers.record
		if db.Primary == "" || db.Failover != nil {
			t.Fatalf("no primary came of it: %s%v", w.databaseWords(role), log)
		}
		for _, m := range w.serversOf(role) {
			if primary := m.Name == db.Primary; m.db.writable != primary || !primary && !m.db.receiving {
				t.Fatalf("%s is not what it should be:\n%s%v", m.Name, w.databaseWords(role), log)
			}
		}
		if got := len(w.serversOf(role)); got != n {
			t.Fatalf("%d servers of %d: %v", got, n, log)
		}
	})
}

func (w *world) befall(m *machineWorld, event string) {
	switch event {
	case "kill":
		m.Stopped, m.Exit = true, "killed"
	case "hang", "resume":
		m.db.hung = event == "hang"
	case "cut", "join":
		m.db.cut = event == "cut"
	case "mute", "speak":
		m.mute = event == "mute"
	case "slow", "quick":
		m.db.slow = event == "slow"
	}
}

// checkOrders: one server at most is ordered to take writes, in the newest term, and it is the one that is said to.
func (w *world) checkOrders(t *rapid.T, db *state.Database) {
	n := 0
	for name, o := range db.Orders {
		if o.Office != state.OfficePrimary {
			continue
		}
		n++
		if name != db.Primary || o.Term != db.Term || o.Token != db.PrimaryToken {
			t.Fatalf("%s is ordered to take writes in term %d, and %s is the primary of term %d", name, o.Term, orRole(db.Primary, "nobody"), db.Term)
		}
	}
	if n > 1 {
		t.Fatalf("%d servers are ordered to take writes", n)
	}
}
