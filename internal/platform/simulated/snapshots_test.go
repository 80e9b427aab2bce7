package simulated

import (
	"errors"
	"testing"

	"github.com/farmhand/terraform-provider-farmhand/internal/platform"
	"github.com/farmhand/terraform-provider-farmhand/internal/spec"
)

// A snapshot that was asked to fail does, once, and is of no use; the next one is done.
func TestASnapshotIsMadeToFail(t *testing.T) {
	w := newWorld(t, spec.Simulated{})
	for _, instance := range []string{"db-1", "db-2"} {
		if _, err := w.p.EnsureVolume(t.Context(), "db", instance); err != nil {
			t.Fatal(err)
		}
	}
	if err := FailSnapshot(t.Context(), w.store, farmName, "db-1"); err != nil {
		t.Fatal(err)
	}
	states := map[string]platform.SnapshotState{}
	for _, c := range []struct{ instance, name string }{{"db-2", "a"}, {"db-1", "b"}, {"db-1", "b"}, {"db-1", "c"}} {
		s, err := w.p.TakeSnapshot(t.Context(), "db", c.instance, c.name)
		if err != nil {
			t.Fatal(err)
		}
		states[c.name] = s.State
		if _, err := w.p.EnsureVolumeOf(t.Context(), "db", "db-3", s.ID); s.State == platform.SnapshotFailed && (s.Text == "" || !errors.Is(err, platform.ErrInvalid)) {
			t.Errorf("of %+v a volume is made: %v", s, err)
		}
		if err := w.p.DeleteVolume(t.Context(), "vol-"+farmName+"-db-3"); err != nil {
			t.Fatal(err)
		}
	}
	if states["a"] != platform.SnapshotDone || states["b"] != platform.SnapshotFailed || states["c"] != platform.SnapshotDone {
		t.Errorf("the snapshots are %v", states)
	}

	if err := FailSnapshot(t.Context(), w.store, farmName, "db-2"); err != nil {
		t.Fatal(err)
	}
	if err := w.p.Destroy(t.Context()); err != nil {
		t.Fatal(err)
	}
	if s, err := w.p.TakeSnapshot(t.Context(), "db", "db-2", "d"); err != nil || s.State != platform.SnapshotDone {
		t.Errorf("a fault outlived its farm: %+v, %v", s, err)
	}
}
