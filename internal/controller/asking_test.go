package controller

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/farmhand/terraform-provider-farmhand/internal/metric/source"
	"github.com/farmhand/terraform-provider-farmhand/internal/spec"
	"github.com/farmhand/terraform-provider-farmhand/internal/state"
	"github.com/farmhand/terraform-provider-farmhand/internal/store"
)

// policy declares one that keeps a metric of a role at 10.
func (w *world) policy(role, name string, m spec.Metric) spec.Policy {
	ten := 10.0
	p := spec.Policy{Farm: farmName, Role: role, Name: name, Metric: &m, Target: &ten}
	p.SetDefaults()
	w.put(state.PolicyKey(farmName, role, name), p)
	return p
}

// running tells whether so many instances serve, of whatever roles.
func (w *world) running(n int) func() bool {
	return func() bool {
		for _, r := range w.records() {
			if r.Phase != state.Running {
				return false
			}
		}
		return len(w.records()) == n
	}
}

func (w *world) measures(instance string) (keys []string) {
	w.t.Helper()
	a, _, err := store.GetJSON[state.Assignment](w.ctx, w.store, state.AssignmentKey(farmName, instance))
	if err != nil {
		w.t.Fatal(err)
	}
	for _, m := range a.Measures {
		keys = append(keys, m.Key)
	}
	return keys
}

// TestAgentsAreAskedForWhatPoliciesMeasure: and for nothing else; balancers for the roles that they use.
func TestAgentsAreAskedForWhatPoliciesMeasure(t *testing.T) {
	w := newWorld(t, newMemory())
	w.declare(spec.Role{Name: "web", Behavior: "apache", Min: 1, Max: 3})
	w.declare(spec.Role{Name: "other", Behavior: "apache", Min: 1, Max: 3})
	w.declare(spec.Role{Name: "lb", Behavior: "haproxy", Min: 1, Max: 1, Uses: []string{farmName + "/web"}})
	w.policy("web", "cpu", spec.Metric{Kind: spec.CPU})
	w.policy("web", "busy", spec.Metric{Kind: spec.BusyWorkers})
	w.policy("web", "slow", spec.Metric{Kind: spec.ResponseTime})
	w.policy("web", "queue", spec.Metric{Kind: spec.QueueDepth})
	w.policy("other", "queue", spec.Metric{Kind: spec.QueueDepth})
	w.until("all serve", w.running(3))
	for instance, want := range map[string]string{"web-1": "busy", "other-1": "", "lb-1": "queue@web rtp95/15s@web"} {
		if got := strings.Join(w.measures(instance), " "); got != want {
			t.Errorf("%s is asked for %q, want %q", instance, got, want)
		}
	}
	if err := w.store.Delete(w.ctx, state.PolicyKey(farmName, "web", "busy")); err != nil {
		t.Fatal(err)
	}
	w.tick()
	if got := w.measures("web-1"); got != nil {
		t.Errorf("without the policy web-1 is asked for %q", got)
	}
}

// TestAnswersFromElsewhere are kept in the store until their policy is gone, and say what stands in their way.
func TestAnswersFromElsewhere(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer t0ken" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		fmt.Fprint(w, 20)
	}))
	defer server.Close()
	w := newWorld(t, newMemory())
	w.declare(spec.Role{Name: "web", Behavior: "base", Min: 1, Max: 3})
	w.policy("web", "sql", spec.Metric{Kind: spec.SQLValue, SQL: &spec.SQLMetric{Role: farmName + "/mysql", Query: "SELECT 1"}})
	w.policy("web", "open", spec.Metric{Kind: spec.HTTPValue, HTTP: &spec.HTTPMetric{URL: server.URL}})
	closed := w.policy("web", "closed", spec.Metric{Kind: spec.HTTPValue, HTTP: &spec.HTTPMetric{URL: server.URL}, SecretVersion: 1})
	w.put(state.PolicySecretKey(farmName, "web", "closed"), state.PolicySecret{Secret: "t0ken"})
	w.put(state.SeriesKey(farmName, "web", "former"), state.Series{Key: "http:of a policy that is gone"})
	w.until("it serves", w.serves(1, 0))
	defer func() { w.keeper.stopAsking() }()

	await := func(policy, what string, ok func(state.Series) bool) {
		t.Helper()
		for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
			s, _, err := store.GetJSON[state.Series](w.ctx, w.store, state.SeriesKey(farmName, "web", policy))
			if err == nil && ok(s) {
				return
			}
			if time.Now().After(deadline) {
				t.Fatalf("%s: %+v, %v; want %s", policy, s, err, what)
			}
		}
	}
	await("closed", "an answer", func(s state.Series) bool {
		return s.Key == closed.Metric.Key() && len(s.Points) > 0 && s.Points[0].Value == 20
	})
	await("open", "no answer without the token", func(s state.Series) bool { return strings.Contains(s.Problem, "401") && len(s.Points) == 0 })
	await("sql", "no role", func(s state.Series) bool { return strings.Contains(s.Problem, "role shop/mysql is not declared") })
	if _, err := w.store.Get(w.ctx, state.SeriesKey(farmName, "web", "former")); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("the series of a policy that is gone is kept: %v", err)
	}

	// Its secret is no agent's business, and goes with the role.
	deleting[spec.Role](w, state.RoleKey(farmName, "web"))
	w.until("the role has ended", func() bool {
		d, _, err := store.GetJSON[state.Declared[spec.Role]](w.ctx, w.store, state.RoleKey(farmName, "web"))
		return err == nil && d.Ended
	})
	for _, prefix := range []string{state.SeriesPrefix(farmName), state.PolicySecretPrefix(farmName)} {
		if left, err := w.store.List(w.ctx, prefix); err != nil || len(left) > 0 {
			t.Errorf("after the role's end: %v, %v", left, err)
		}
	}
}

// TestWhereADatabaseIs: at the server that serves, with what its behavior hands out.
func TestWhereADatabaseIs(t *testing.T) {
	w := newWorld(t, newMemory())
	w.declare(spec.Role{Name: "mysql", Behavior: "mysql", Min: 1, Max: 1, Settings: map[string]string{"database": "shop"}})
	w.declare(spec.Role{Name: "web", Behavior: "base", Min: 1, Max: 3})
	m := spec.Metric{Kind: spec.SQLValue, SQL: &spec.SQLMetric{Role: farmName + "/mysql", Query: "SELECT 1"}}
	w.until("both serve", w.running(2))
	seen, err := w.keeper.observe(w.ctx, w.now())
	if err != nil {
		t.Fatal(err)
	}
	seen.roles["web"].policies = []spec.Policy{{Farm: farmName, Role: "web", Name: "sql", Metric: &m}}
	questions, err := w.keeper.questions(w.ctx, seen)
	if err != nil || len(questions) != 1 {
		t.Fatalf("questions %+v, %v", questions, err)
	}
	q := questions[0]
	want := source.Database{Address: seen.records["mysql-1"].Address + ":3306", User: "app", Password: q.Database.Password, Name: "shop"}
	if q.Database != want || q.Database.Password == "" || q.Problem != "" {
		t.Errorf("asked at %+v (%s), want %+v", q.Database, q.Problem, want)
	}
	for name, rec := range seen.records {
		if rec.Role == "mysql" {
			delete(seen.records, name)
		}
	}
	if questions, err = w.keeper.questions(w.ctx, seen); err != nil || !strings.Contains(questions[0].Problem, "no server of role shop/mysql") {
		t.Errorf("without a server: %+v, %v", questions, err)
	}
	m.SQL = &spec.SQLMetric{Role: farmName + "/web", Query: "SELECT 1"}
	if questions, err = w.keeper.questions(w.ctx, seen); err != nil || !strings.Contains(questions[0].Problem, "is no database") {
		t.Errorf("of a role without one: %+v, %v", questions, err)
	}
	if slices.ContainsFunc(w.events(), func(e state.Event) bool { return strings.Contains(e.Reason, q.Database.Password) }) {
		t.Error("the password is in the events")
	}
}
