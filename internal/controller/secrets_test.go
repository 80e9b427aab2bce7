package controller

import (
	"maps"
	"testing"

	"github.com/farmhand/terraform-provider-farmhand/internal/authority"
	"github.com/farmhand/terraform-provider-farmhand/internal/spec"
	"github.com/farmhand/terraform-provider-farmhand/internal/state"
	"github.com/farmhand/terraform-provider-farmhand/internal/store"
)

// A role that an older version declared gets what it lacks. What it has is what its servers were made with: it stays, and so do they.
func TestSecretsOfAnOlderVersionAreCompleted(t *testing.T) {
	w := newWorld(t, newMemory())
	older := map[string]string{"db_password": "one", "replica_password": "two", "clone_key": "three", "API_KEY": "users-own"}
	w.put(state.SecretKey(farmName, "db"), older)
	w.declare(spec.Role{Name: "db", Behavior: "mysql", Min: 1, Max: 1, Secrets: []string{"API_KEY"}})
	if err := w.start(); err != nil {
		t.Fatal(err)
	}
	w.until("it serves", w.serves(0, 1))
	read := func() map[string]string {
		t.Helper()
		secret, _, err := store.GetJSON[map[string]string](w.ctx, w.store, state.SecretKey(farmName, "db"))
		if err != nil {
			t.Fatal(err)
		}
		return secret
	}
	instances := func() []store.Entry {
		t.Helper()
		entries, err := w.store.List(w.ctx, state.InstancePrefix(farmName))
		if err != nil || len(entries) != 1 {
			t.Fatalf("%d instances, %v", len(entries), err)
		}
		return entries
	}
	// As the sidecar of before left it.
	w.put(state.SecretKey(farmName, "db"), older)
	w.keeper = nil
	before := string(instances()[0].Value)
	for range 5 {
		w.tick()
	}
	secret := read()
	if _, err := authority.Parse(secret["db_authority"]); err != nil {
		t.Errorf("the role's authority: %v", err)
	}
	rest := maps.Clone(secret)
	delete(rest, "db_authority")
	if !maps.Equal(rest, older) {
		t.Errorf("completing it made %d values of %d, or others", len(rest), len(older))
	}
	if after := string(instances()[0].Value); after != before {
		t.Errorf("the instance was\n%s\nand is\n%s", before, after)
	}
	w.keeper = nil
	w.tick()
	if !maps.Equal(read(), secret) {
		t.Error("another sidecar made another secret")
	}
}
