package mysql

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/farmhand/terraform-provider-farmhand/internal/behavior"
	"github.com/farmhand/terraform-provider-farmhand/internal/behavior/behaviortest"
	"github.com/farmhand/terraform-provider-farmhand/internal/dbserver"
	"github.com/farmhand/terraform-provider-farmhand/internal/state"
)

// A newer order that comes while the server is being started cuts the older one short. The server that runs by then is opened by the
// newer one: it was taken for open once, and the primary failed in itself again and again.
func TestAStartThatANewerOrderCutsShort(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	f := &fake{}
	var ready atomic.Bool
	asked := make(chan struct{}, 1)
	r := newRunner(behavior.Instance{Assignment: state.Assignment{Farm: "shop", Role: database, Index: 1, Token: "t", Address: "127.77.9.2"},
		Root: t.TempDir(), Run: &behaviortest.Commander{}})
	r.lookup = self
	r.open = func(context.Context, string) (dbserver.Server, error) {
		select {
		case asked <- struct{}{}:
		default:
		}
		if !ready.Load() {
			return nil, errors.New("it does not take connections yet")
		}
		return f, nil
	}
	t.Cleanup(func() { _ = r.Stop(context.Background()) })
	set := make(chan error, 1)
	go func() {
		set <- r.Setup(ctx, behavior.Input{Secret: with("one"), Database: alone()}, func(string) {})
	}()
	await := func() {
		t.Helper()
		select {
		case <-asked:
		case <-ctx.Done():
			t.Fatal("nobody asks whether the server takes connections")
		}
	}
	await()
	next := alone()
	o := next.Orders["mysql-1"]
	o.Seq++
	next.Orders["mysql-1"] = o
	r.Ordered(next, time.Now())
	eventually(t, "the newer order under way", func() bool {
		r.mu.Lock()
		defer r.mu.Unlock()
		return r.office.database != nil && r.office.database.Orders["mysql-1"].Seq == o.Seq
	})
	for range 3 { // the older order's own question may be under way
		await()
	}
	ready.Store(true)
	if err := <-set; err != nil {
		t.Fatal(err)
	}
	eventually(t, "the newer order carried out", func() bool { return r.DatabaseReport(t.Context()).Done == o.Seq })
	if err := r.Check(t.Context()); err != nil {
		t.Error(err)
	}
}

// The same order comes again with every change of the farm, read anew. A restore that is under way goes on.
func TestTheSameRestoreAgainCutsNothingShort(t *testing.T) {
	r := newRunner(behavior.Instance{Assignment: state.Assignment{Farm: "shop", Role: database, Index: 1}, Root: t.TempDir()})
	restore := func() *state.Database {
		d := alone()
		o := d.Orders["mysql-1"]
		o.Seq, o.Restore = 2, &state.BackupTask{ID: "restore-1", Kind: state.BackupRestore}
		d.Orders["mysql-1"] = o
		return d
	}
	r.Ordered(restore(), time.Now())
	cut := false
	r.cancelOrder = func(error) { cut = true }
	r.Ordered(restore(), time.Now())
	if cut {
		t.Error("the restore under way was cut short by itself")
	}
	other := restore()
	other.Orders["mysql-1"].Restore.ID = "restore-2"
	if r.Ordered(other, time.Now()); !cut {
		t.Error("another restore did not cut the one under way short")
	}
}
