package ledger_test

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/farmhand/terraform-provider-farmhand/internal/engine"
	"github.com/farmhand/terraform-provider-farmhand/internal/ledger"
	"github.com/farmhand/terraform-provider-farmhand/internal/simulate/trace"
	"github.com/farmhand/terraform-provider-farmhand/internal/state"
	"github.com/farmhand/terraform-provider-farmhand/internal/store"
)

// TestEveryRecordReplays: whatever a farm lives through, each of its records, read back, gives the same account and
// decisions when the engine is asked again; none holds a secret, and all numbers that were ever wanted are in them.
func TestEveryRecordReplays(t *testing.T) {
	for _, kind := range trace.Shapes() {
		t.Run(kind, func(t *testing.T) {
			m := &memory{}
			ticks := live(t, kind, 7, 6*time.Hour, m.put)
			all, err := ledger.Last(t.Context(), m, "shop", "web", 0)
			if err != nil {
				t.Fatal(err)
			}
			folded := 0
			for i := range all {
				r := &all[i]
				if p := r.Replay(engine.Decide); !p.Same {
					t.Errorf("record %s: %s", r.ID, p.Why)
				}
				folded += r.Ticks
				if i%9 == 0 {
					asked(t, r)
				}
				if i > 0 && !r.Since.After(all[i-1].Until) {
					t.Errorf("record %s begins at %s, and the one before holds until %s", r.ID, r.Since, all[i-1].Until)
				}
				if id := ledger.ID(r.Since, 1)[:26]; r.ID[:26] != id {
					t.Errorf("record %s began at %s", r.ID, r.Since)
				}
			}
			// The ticks of the last minute before another record began are not written down.
			if folded > ticks || folded < ticks-30*len(all)-30 || len(all) < 6 {
				t.Errorf("%d ticks, %d of them in %d records", ticks, folded, len(all))
			}
			for key, value := range m.values {
				if r, _ := ledger.Decode(value); bytes.Contains([]byte(fmt.Sprintf("%+v", r)), []byte("secret")) {
					t.Fatalf("%s holds a secret", key)
				}
			}
			t.Logf("%d ticks, %d records, %d bytes", ticks, len(all), size(m))
		})
	}
}

// asked: whatever is asked about a record has an answer, and what was done is not among what was not.
func asked(t *testing.T, r *ledger.Record) {
	t.Helper()
	reader := ledger.Reader{Now: r.Until}
	if text := r.Words(reader); strings.Contains(text, "%!") || !strings.Contains(text, "What was done") {
		t.Errorf("record %s says:\n%s", r.ID, text)
	}
	was, is := r.Role().Memory.Desired, r.Began().Desired
	for _, action := range ledger.Actions {
		w, err := r.Ask(action, reader, engine.Decide)
		if err != nil {
			t.Errorf("record %s, why not %s: %v", r.ID, action, err)
			continue
		}
		done := action == ledger.ScaleOut && is > was || action == ledger.ScaleIn && is < was
		if scaling := action == ledger.ScaleOut || action == ledger.ScaleIn; scaling && w.Done != done {
			t.Errorf("record %s went from %d to %d, and %s was done is %t", r.ID, was, is, action, w.Done)
		}
		if text := w.Words(reader); strings.Contains(text, "%!") || !w.Done && len(w.Against) == 0 {
			t.Errorf("record %s, why not %s:\n%s", r.ID, action, text)
		}
		// The role has two to twelve servers and a policy on what they measure: something always leads there.
		if !w.Done && len(w.Otherwise) == 0 {
			t.Errorf("record %s: nothing would lead to %s:\n%s\n%s", r.ID, action, w.Words(reader), r.Words(reader))
		}
	}
}

func size(m *memory) (n int) {
	for key, v := range m.values {
		n += len(key) + len(v)
	}
	return n
}

func TestTheRecordInForce(t *testing.T) {
	m := &memory{}
	live(t, "daily", 3, 6*time.Hour, m.put)
	ctx := t.Context()
	all, err := ledger.Last(ctx, m, "shop", "web", 0)
	if err != nil {
		t.Fatal(err)
	}
	for i := range len(all) - 1 {
		middle := all[i].Since.Add(all[i+1].Since.Sub(all[i].Since) / 2)
		for _, at := range []time.Time{all[i].Since, middle, all[i+1].Since.Add(-1)} {
			r, next, err := ledger.InForce(ctx, m, "shop", "web", at)
			if err != nil || r.ID != all[i].ID || !next.Equal(all[i+1].Since) {
				t.Fatalf("at %s record %s until %s (%v) was in force, want %s until %s", at, r.ID, next, err, all[i].ID, all[i+1].Since)
			}
		}
	}
	last := all[len(all)-1]
	if r, next, err := ledger.InForce(ctx, m, "shop", "web", last.Until.Add(time.Hour)); err != nil || r.ID != last.ID || !next.IsZero() {
		t.Errorf("now record %s is in force until %s (%v), want %s", r.ID, next, err, last.ID)
	}
	if _, _, err := ledger.InForce(ctx, m, "shop", "web", all[0].Since.Add(-time.Second)); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("before the first record: %v", err)
	}
	if _, _, err := ledger.InForce(ctx, m, "shop", "db", last.Until); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("of a role without a ledger: %v", err)
	}
	since, err := ledger.Since(ctx, m, "shop", "web", all[3].Since.Add(time.Second))
	if err != nil || len(since) != len(all)-3 || since[0].ID != all[3].ID {
		t.Errorf("from the fourth record on there are %d of %d (%v)", len(since), len(all), err)
	}
	if r, err := ledger.Get(ctx, m, "shop", "web", all[2].ID); err != nil || r.ID != all[2].ID {
		t.Errorf("by its id: %s, %v", r.ID, err)
	}
}

func TestRecordsOfBeforeAndAfter(t *testing.T) {
	old := `{"id":"20260302T090002.000000000Z-000001","since":"2026-03-02T09:00:02Z","until":"2026-03-02T09:10:00Z","ticks":300,
		"account":{"role":"web","serving":2,"coming":0,"min":2,"max":6,"votes":null,"desired":2,"reason":"no policy asks for more than min 2"}}`
	r, err := ledger.Decode([]byte(old))
	if err != nil || r.Account.Desired != 2 || r.Ticks != 300 {
		t.Errorf("a record of a former version: %+v, %v", r, err)
	}
	if p := r.Replay(engine.Decide); p.Same || p.Why == "" {
		t.Errorf("it replays: %+v", p)
	}
	for _, b := range []string{"", "\x01", "\x01nonsense", "\x02later", "{", "null"} {
		if _, err := ledger.Decode([]byte(b)); err == nil {
			t.Errorf("%q decodes", b)
		}
	}
	if _, err := ledger.TimeOf("yesterday"); err == nil {
		t.Error("an id without a time")
	}
}

// TestALargeRoleFits: what a record cannot hold it says.
func TestALargeRoleFits(t *testing.T) {
	v := view(10_000)
	var book ledger.Book
	pages := book.Tick(v, engine.Decide(v))
	if len(pages) != 1 {
		t.Fatalf("%d pages", len(pages))
	}
	b, err := ledger.Encode(pages[0].Record)
	if err != nil || len(b) > store.MaxValue {
		t.Fatalf("%d bytes, %v", len(b), err)
	}
	r, err := ledger.Decode(b)
	if err != nil || r.LeftOut == "" || r.Account.Desired != pages[0].Record.Account.Desired {
		t.Errorf("read back: left out %q, desired %d, %v", r.LeftOut, r.Account.Desired, err)
	}
	if len(pages[0].Record.View.Roles[0].Instances) != 10_000 {
		t.Error("encoding changed the record")
	}
	if words := r.Words(ledger.Reader{Now: r.Until}); words == "" {
		t.Error("no words")
	}
}

// TestNoiseIsBounded: votes that tremble about a line for a day cost no more than the tank lets through.
func TestNoiseIsBounded(t *testing.T) {
	v := view(6)
	var book ledger.Book
	bytes, records := 0, 0
	for i := range 24 * 1800 {
		v.Now = v.Now.Add(2 * time.Second)
		out := engine.Decide(v)
		a := out.Accounts["web"]
		a.Votes = []engine.Vote{{Policy: "load", Kind: "target", Want: a.Desired - i%2, Reason: "it trembles"}}
		out.Accounts["web"], out.Decisions = a, nil
		for _, p := range book.Tick(v, out) {
			b, err := ledger.Encode(p.Record)
			if err != nil {
				t.Fatal(err)
			}
			if p.Revision == 0 {
				records++
				bytes += len(b)
			}
			book.Wrote(p, store.Revision(i+1), len(b))
		}
	}
	if most := 64<<10 + 4*86_400; bytes > most || records < 24 {
		t.Errorf("%d records of %d bytes in a day, want at most %d", records, bytes, most)
	}
	t.Logf("%d records, %d bytes", records, bytes)
}

// view is a role of n servers at peace.
func view(n int) engine.View {
	now := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	v := engine.View{Now: now, MachinesListed: true, Roles: []engine.Role{{Generation: "g1", Memory: state.Memory{Desired: n}}}}
	r := &v.Roles[0]
	r.Spec.Farm, r.Spec.Name, r.Spec.Behavior, r.Spec.Min, r.Spec.Max = "shop", "web", "apache", n, n
	r.Spec.SetDefaults()
	r.Spec.Max = n
	for i := range n {
		served := now.Add(-time.Hour - time.Duration(n-i)*7919*time.Millisecond)
		in := engine.Instance{Instance: state.Instance{Role: "web", Index: i + 1, Generation: "g1", Phase: state.Running, Since: served, Created: served.Add(-41 * time.Second), ServedAt: served,
			Token: fmt.Sprintf("%x", uint64(i+1)*0x9E3779B97F4A7C15)}}
		in.Machine = &engine.Machine{ID: fmt.Sprintf("%x%x", uint64(i+1)*0xBF58476D1CE4E5B9, uint64(i+1)*0x94D049BB133111EB)}
		in.Report = &state.Report{At: now.Add(-time.Duration(i%2000) * time.Millisecond), Boot: state.Boot{Step: "serving", Done: true}}
		r.Instances = append(r.Instances, in)
	}
	return v
}

// TestManyRoles: those that go on take turns, and within two minutes each is written again.
func TestManyRoles(t *testing.T) {
	one := view(3)
	v := one
	v.Roles = nil
	for i := range 500 {
		r := one.Roles[0]
		r.Spec.Name = fmt.Sprintf("web%03d", i)
		r.Spec.Min, r.Spec.Max = 3, 3
		v.Roles = append(v.Roles, r)
	}
	for i := range v.Roles {
		v.Roles[i].Instances = slices.Clone(v.Roles[i].Instances)
		for k := range v.Roles[i].Instances {
			v.Roles[i].Instances[k].Role = v.Roles[i].Spec.Name
		}
	}
	var book ledger.Book
	last := map[string]time.Time{}
	for tick := range 120 {
		pages := book.Tick(v, engine.Decide(v))
		if most := 500; tick > 0 && len(pages) > most/20 {
			t.Fatalf("tick %d writes %d pages", tick, len(pages))
		}
		for _, p := range pages {
			last[p.Role] = v.Now
			book.Wrote(p, 1, 300)
			if p.Record.View.Elsewhere.Serving != 499*3 {
				t.Fatalf("elsewhere %+v", p.Record.View.Elsewhere)
			}
		}
		v.Now = v.Now.Add(2 * time.Second)
		for i := range v.Roles {
			for k := range v.Roles[i].Instances {
				report := *v.Roles[i].Instances[k].Report
				report.At = v.Now
				v.Roles[i].Instances[k].Report = &report
			}
		}
		for role, at := range last {
			if v.Now.Sub(at) > 2*time.Minute {
				t.Fatalf("%s was written %s ago", role, v.Now.Sub(at))
			}
		}
	}
}
