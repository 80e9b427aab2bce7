package sidecar

import (
	"strings"
	"testing"
	"time"

	"github.com/farmhand/terraform-provider-farmhand/internal/spec"
	"github.com/farmhand/terraform-provider-farmhand/internal/state"
	"github.com/farmhand/terraform-provider-farmhand/internal/store"
	"github.com/farmhand/terraform-provider-farmhand/internal/store/sqlite"
)

// TestFailoverWish: the wish is written beside what is decided, and what came of it is told.
func TestFailoverWish(t *testing.T) {
	ctx := t.Context()
	s, err := sqlite.Open(ctx, t.TempDir()+"/farmhand.db")
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	put := func(key string, v any) {
		t.Helper()
		if _, err := store.PutJSON(ctx, s, key, v); err != nil {
			t.Fatal(err)
		}
	}
	put(state.RoleKey("shop", "mysql"), state.Declared[spec.Role]{Spec: spec.Role{Farm: "shop", Name: "mysql"}})
	wish := state.FailoverWish{ID: "w1", To: "mysql-2"}
	if err := wishFailover(ctx, s, "shop", "mysql", wish); err == nil || !strings.Contains(err.Error(), "no replicated database") {
		t.Fatalf("a wish about nothing: %v", err)
	}
	put(state.DatabaseKey("shop", "mysql"), state.Database{Term: 3, Primary: "mysql-1"})
	if err := wishFailover(ctx, s, "shop", "mysql", wish); err != nil {
		t.Fatal(err)
	}
	db, _, err := store.GetJSON[state.Database](ctx, s, state.DatabaseKey("shop", "mysql"))
	if err != nil || db.Term != 3 || db.Wish == nil || *db.Wish != wish {
		t.Fatalf("%+v, %v", db, err)
	}
	began := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	db.Wish, db.Last = nil, &state.Failover{Wish: "w1", Planned: true, Reason: "ada asked for it", Step: state.StepDone, Began: began,
		History: []state.FailoverPast{{Step: state.StepFreeze, At: began, Text: "mysql-1 becomes read-only"}, {Step: state.StepDone, At: began.Add(310 * time.Millisecond), Text: "mysql-2 takes writes"}}}
	put(state.DatabaseKey("shop", "mysql"), db)
	change, err := awaitFailover(ctx, s, "shop", "mysql", "w1")
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	if err := printFailover(&b, change, false); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(b.String(), "+310ms") || !strings.Contains(b.String(), "mysql-2 takes writes") {
		t.Fatalf("%s", b.String())
	}
	change.Step = state.StepAborted
	if printFailover(&b, change, true) == nil {
		t.Fatal("a change that was called off ends well")
	}
	if _, err := serverOf("mysql", "primary"); err == nil {
		t.Fatal("--to primary is accepted")
	}
}
