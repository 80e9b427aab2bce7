package controller

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/farmhand/terraform-provider-farmhand/internal/engine"
	"github.com/farmhand/terraform-provider-farmhand/internal/platform"
	"github.com/farmhand/terraform-provider-farmhand/internal/spec"
	"github.com/farmhand/terraform-provider-farmhand/internal/state"
	"github.com/farmhand/terraform-provider-farmhand/internal/store"
)

// shotPlatform is a platform that takes snapshots: they are done when they are listed a second time.
type shotPlatform struct {
	*fakePlatform
	shots   []platform.Snapshot
	made    map[string]string // snapshot that a volume was made of, by volume
	refused error             // of the next one
}

func (p *shotPlatform) TakeSnapshot(_ context.Context, role, instance, name string) (platform.Snapshot, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.refused; err != nil {
		p.refused = nil
		return platform.Snapshot{}, err
	}
	for _, s := range p.shots {
		if s.Name == name {
			return s, nil
		}
	}
	if _, ok := p.volumes["volume-"+instance]; !ok {
		p.complain("a snapshot of %s, which has no volume", instance)
	}
	s := platform.Snapshot{ID: "snap-" + name, Name: name, Role: role, Instance: instance, At: p.now(), State: platform.SnapshotPending}
	p.shots = append(p.shots, s)
	return s, nil
}

func (p *shotPlatform) ListSnapshots(context.Context) ([]platform.Snapshot, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	all := slices.Clone(p.shots)
	for i := range p.shots {
		p.shots[i].State = platform.SnapshotDone
	}
	return all, nil
}

func (p *shotPlatform) DeleteSnapshot(_ context.Context, id string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.shots = slices.DeleteFunc(p.shots, func(s platform.Snapshot) bool { return s.ID == id })
	return nil
}

func (p *shotPlatform) EnsureVolumeOf(ctx context.Context, role, instance, snapshot string) (string, error) {
	p.mu.Lock()
	known := slices.ContainsFunc(p.shots, func(s platform.Snapshot) bool { return s.ID == snapshot })
	_, there := p.volumes["volume-"+instance]
	p.mu.Unlock()
	if !known && !there {
		return "", fmt.Errorf("there is no snapshot %s: %w", snapshot, platform.ErrInvalid)
	}
	id, err := p.EnsureVolume(ctx, role, instance)
	p.mu.Lock()
	defer p.mu.Unlock()
	if !there {
		p.made[id] = snapshot
	}
	return id, err
}

// crashShots is a shotPlatform on which a sidecar dies.
type crashShots struct {
	crashPlatform
	shots *shotPlatform
}

func (p crashShots) TakeSnapshot(ctx context.Context, role, instance, name string) (s platform.Snapshot, err error) {
	err = p.crash.do("taking a snapshot", func() (err error) {
		s, err = p.shots.TakeSnapshot(ctx, role, instance, name)
		return err
	})
	return s, err
}

func (p crashShots) ListSnapshots(ctx context.Context) ([]platform.Snapshot, error) {
	if p.crash.dead() {
		return nil, errCrashed
	}
	return p.shots.ListSnapshots(ctx)
}

func (p crashShots) DeleteSnapshot(ctx context.Context, id string) error {
	return p.crash.do("deleting a snapshot", func() error { return p.shots.DeleteSnapshot(ctx, id) })
}

func (p crashShots) EnsureVolumeOf(ctx context.Context, role, instance, snapshot string) (id string, err error) {
	err = p.crash.do("making a volume of a snapshot", func() (err error) {
		id, err = p.shots.EnsureVolumeOf(ctx, role, instance, snapshot)
		return err
	})
	return id, err
}

func newShotWorld(t testing.TB) *world {
	w := newWorld(t, newMemory())
	w.platform.database = true
	w.shots = &shotPlatform{fakePlatform: w.platform, made: map[string]string{}}
	return w
}

func (w *world) backups() state.Backups {
	w.t.Helper()
	b, _, err := store.GetJSON[state.Backups](w.ctx, w.store, state.BackupsKey(farmName, "db"))
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		w.t.Fatal(err)
	}
	return b
}

// wish asks for something as the command does.
func (w *world) wish(t state.BackupTask) {
	w.t.Helper()
	t.By, t.At = "ada", w.now()
	w.put(state.BackupWishKey(farmName, "db"), t)
}

func database(n int) spec.Role {
	return spec.Role{Name: "db", Behavior: "mysql", Min: n, Max: 3, Backup: &spec.Backup{To: "s3://b", Cron: "0 0 1 1 *", NoLogs: true, Window: spec.Duration(time.Hour), Zone: "UTC"}}
}

// noTemporary tells that nothing of a temporary instance is left.
func (w *world) noTemporary() bool {
	_, volume := w.platform.volumes["volume-db-0"]
	_, record := w.records()["db-0"]
	_, up := w.platform.up()["db-0"]
	return !volume && !record && !up
}

// snapshotStory: a snapshot by hand, a replica made of it, a drill, a restore, and the end of all.
func snapshotStory(w *world) {
	w.declare(database(2))
	w.until("two serve", w.serves(0, 2))
	name := engine.SnapshotName(w.now(), true)
	w.wish(state.BackupTask{ID: name, Kind: state.BackupSnapshot})
	w.until("a snapshot", func() bool { return len(w.backups().Snapshots) == 1 })
	if s := w.backups().Snapshots[0]; s.Name != name || s.Position == "" || len(w.shots.shots) != 1 {
		w.t.Fatalf("%+v of %+v", s, w.shots.shots)
	}
	w.declare(database(3))
	w.until("three serve", w.serves(0, 3))
	if w.shots.made["volume-db-3"] != "snap-"+name {
		w.t.Fatalf("volumes were made of %v", w.shots.made)
	}
	w.wish(state.BackupTask{ID: "drill-1", Kind: state.BackupDrill, Backup: name})
	w.until("a drill, and nothing left of it", func() bool {
		b := w.backups()
		return len(b.Snapshots) == 1 && b.Snapshots[0].Drill != "" && b.Task == nil && w.noTemporary()
	})
	if w.shots.made["volume-db-0"] != "snap-"+name {
		w.t.Fatalf("volumes were made of %v", w.shots.made)
	}
	w.wish(state.BackupTask{ID: "restore-1", Kind: state.BackupRestore, Backup: name, Force: true})
	w.until("a restore, and nothing left of it", func() bool {
		b := w.backups()
		return b.Restored != nil && b.Task == nil && w.noTemporary()
	})
	w.until("three serve", w.serves(0, 3))
	deleting[spec.Farm](w, state.FarmKey(farmName))
	w.until("the farm has ended", func() bool {
		ended, err := FarmEnded(w.ctx, w.store, farmName)
		return err == nil && ended
	})
	if len(w.platform.volumes) > 0 || len(w.shots.shots) > 0 || len(w.records()) > 0 {
		w.t.Fatalf("left: %v, %v, %v", w.platform.volumes, w.shots.shots, w.records())
	}
	w.sound()
}

func TestSnapshotStory(t *testing.T) { snapshotStory(newShotWorld(t)) }

// TestACrashAmongSnapshots lives the story once for each step at which the sidecar can die.
func TestACrashAmongSnapshots(t *testing.T) { crashAnywhere(t, 100, newShotWorld, snapshotStory) }

// TestSnapshotRefused: what the platform refuses for good fails the snapshot, in its words.
func TestSnapshotRefused(t *testing.T) {
	w := newShotWorld(t)
	w.declare(database(2))
	w.until("two serve", w.serves(0, 2))
	w.shots.refused = fmt.Errorf("the account may have no more: %w", platform.ErrCapacity)
	w.wish(state.BackupTask{ID: "manual-1", Kind: state.BackupSnapshot})
	w.until("a failure", func() bool { return strings.Contains(w.backups().SnapshotFailure, "no more") })
	if b := w.backups(); b.Snapshotting != nil {
		t.Errorf("%+v", b)
	}
}

// TestSnapshotGone: a replica whose snapshot is deleted in between is cloned by stream.
func TestSnapshotGone(t *testing.T) {
	w := newShotWorld(t)
	w.declare(database(2))
	w.until("two serve", w.serves(0, 2))
	w.wish(state.BackupTask{ID: "manual-1", Kind: state.BackupSnapshot})
	w.until("a snapshot", func() bool { return len(w.backups().Snapshots) == 1 })
	w.shots.shots = nil // the listing is a moment old
	w.declare(database(3))
	w.until("three serve", w.serves(0, 3))
	if len(w.shots.made) > 0 || !slices.ContainsFunc(w.events(), func(e state.Event) bool {
		return e.Instance == "db-3" && strings.Contains(e.Reason, "is streamed from another server")
	}) {
		t.Errorf("%v\n%s", w.shots.made, w.describe())
	}
}
