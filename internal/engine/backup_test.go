package engine_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/farmhand/terraform-provider-farmhand/internal/engine"
	"github.com/farmhand/terraform-provider-farmhand/internal/spec"
	"github.com/farmhand/terraform-provider-farmhand/internal/state"
)

// backupWorld is a database of three that is well, at a time of the test's choosing.
type backupWorld struct {
	t    *testing.T
	view engine.View
	said []string
}

func newBackupWorld(t *testing.T, change func(*spec.Backup)) *backupWorld {
	now := time.Date(2026, 3, 2, 2, 0, 0, 0, time.UTC)
	role := spec.Role{Farm: "shop", Name: "mysql", Behavior: "mysql", Min: 3, Max: 3, Backup: &spec.Backup{To: "s3://b"}}
	role.SetDefaults()
	if change != nil {
		change(role.Backup)
	}
	r := engine.Role{Spec: role, Generation: "g", Stateful: true, Replicated: true,
		Database: &state.Database{Term: 1, Primary: "mysql-1", PrimaryToken: "t1", PrimaryAddress: "10.0.0.1", PromotedAt: now.Add(-time.Hour), Orders: map[string]state.DatabaseOrder{}}}
	w := &backupWorld{t: t, view: engine.View{Now: now, MachinesListed: true}}
	for i := 1; i <= 3; i++ {
		token := fmt.Sprintf("t%d", i)
		r.Instances = append(r.Instances, engine.Instance{
			Instance: state.Instance{Role: "mysql", Index: i, Token: token, Generation: "g", Phase: state.Running, ServedAt: now.Add(-time.Hour), Primary: i == 1, Address: fmt.Sprintf("10.0.0.%d", i)},
			Machine:  &engine.Machine{ID: "m" + token, Token: token},
			Report: &state.Report{Token: token, At: now, Boot: state.Boot{Done: true}, Backup: &state.BackupReport{},
				Database: &state.DatabaseReport{Flavor: "mariadb", Writable: i == 1, Receiving: i > 1, Applying: i > 1, LagKnown: i > 1, Acks: i > 1, Position: "0-1-10", Term: 1}},
		})
	}
	w.view.Roles = []engine.Role{r}
	return w
}

func (w *backupWorld) role() *engine.Role { return &w.view.Roles[0] }

// pass lets time go by and decides once; every agent has just reported.
func (w *backupWorld) pass(d time.Duration) *state.Backups {
	w.view.Now = w.view.Now.Add(d)
	for i := range w.role().Instances {
		if r := w.role().Instances[i].Report; r != nil {
			r.At = w.view.Now
		}
	}
	out := engine.Decide(w.view)
	w.said = nil
	for _, decided := range out.Decisions {
		if decided.Kind == "backup" {
			w.said = append(w.said, decided.Level+": "+decided.Reason)
		}
	}
	if db, ok := out.Databases["mysql"]; ok {
		w.role().Database = &db
	}
	w.role().Memory = out.Memory["mysql"]
	b, ok := out.Backups["mysql"]
	if !ok {
		w.t.Fatal("nothing is decided of backups")
	}
	w.role().Backups = &b
	return &b
}

func (w *backupWorld) says(want ...string) {
	w.t.Helper()
	if len(w.said) != len(want) {
		w.t.Errorf("%s: said %q, want %q", w.view.Now.Format(time.TimeOnly), w.said, want)
		return
	}
	for i := range want {
		if !strings.Contains(w.said[i], want[i]) {
			w.t.Errorf("%s: said %q, want %q", w.view.Now.Format(time.TimeOnly), w.said, want)
		}
	}
}

// report is what the agent that has the task says next.
func (w *backupWorld) report(r state.BackupReport) {
	t := w.role().Backups.Task
	r.Task = t.ID
	for i := range w.role().Instances {
		if in := &w.role().Instances[i]; in.Name() == t.Server {
			in.Report.Backup = &r
		}
	}
}

func (w *backupWorld) done(id string) {
	w.report(state.BackupReport{Done: true, Result: &state.BackupDone{ID: id, At: w.view.Now, Took: 12 * time.Second, Bytes: 34e6, Text: "14 tables, 5012 rows"}})
}

// logged keeps the binary logs of the primary up to date, so that only what a test is about is overdue.
func (w *backupWorld) logged() {
	w.role().Instances[0].Report.Backup = &state.BackupReport{Log: w.view.Now.Add(48 * time.Hour)}
}

func TestBackupDay(t *testing.T) {
	w := newBackupWorld(t, func(b *spec.Backup) { b.DrillCron = "0 7 * * *" })
	w.logged()
	b := w.pass(0)
	if b.Task != nil || b.Archiver != "mysql-1" {
		t.Fatalf("%+v", b)
	}
	w.says()
	b = w.pass(time.Hour)
	if b.Task == nil || b.Task.Server != "mysql-3" || b.Task.Kind != state.BackupFull {
		t.Fatalf("%+v", b.Task)
	}
	w.says("info: backup begins on mysql-3: due since 2026-03-02 03:00:00 UTC")
	if again := w.pass(time.Second); again.Task == nil || again.Task.At != b.Task.At {
		t.Errorf("begun twice: %+v", again.Task)
	}
	w.says()
	w.done("20260302T030000Z")
	if b = w.pass(time.Minute); b.Task != nil || b.Full == nil || b.Full.Server != "mysql-3" {
		t.Fatalf("%+v", b)
	}
	w.says("info: backup 20260302T030000Z is stored, 34.0 MB in 12s")
	if b = w.pass(time.Hour); b.Task != nil {
		t.Errorf("twice a day: %+v", b.Task)
	}
	if b = w.pass(3 * time.Hour); b.Task == nil || b.Task.Kind != state.BackupDrill {
		t.Fatalf("no drill: %+v", b)
	}
	w.done("20260302T030000Z")
	w.pass(time.Minute)
	w.says("info: the restore of backup 20260302T030000Z was rehearsed in 12s: 14 tables, 5012 rows")
	if b = w.pass(time.Hour); b.Task != nil || b.Drill == nil {
		t.Errorf("%+v", b)
	}
}

func TestBackupFails(t *testing.T) {
	w := newBackupWorld(t, nil)
	w.logged()
	w.pass(0)
	w.pass(time.Hour)
	w.report(state.BackupReport{Error: "storing s3://b/shop: not permitted"})
	w.pass(time.Second)
	w.says("warning: the backup failed: storing s3://b/shop: not permitted; trying again in 1m")
	if b := w.pass(30 * time.Second); b.Task != nil {
		t.Error("tried again too early")
	}
	first := w.view.Now
	b := w.pass(time.Minute)
	if b.Task == nil || b.Task.ID == first.Format("20060102T150405Z") {
		t.Fatalf("%+v", b.Task)
	}
	// Its server is lost in the middle: another one takes over.
	w.role().Instances[2].Machine = nil
	w.pass(time.Second)
	w.says("warning: the backup failed: mysql-3 is gone; trying again in 2m")
	w.role().Instances = w.role().Instances[:2]
	if b = w.pass(2 * time.Minute); b.Task == nil || b.Task.Server != "mysql-2" {
		t.Fatalf("%+v", b.Task)
	}
	// No replica: from the primary, and that is said.
	w.report(state.BackupReport{Error: "mariabackup: exit status 1"})
	w.role().Instances = w.role().Instances[:1]
	w.pass(time.Second)
	if b = w.pass(10 * time.Minute); b.Task == nil || b.Task.Server != "mysql-1" {
		t.Fatalf("%+v", b.Task)
	}
	w.says("on mysql-1, the primary, since no replica is at hand")
	w.report(state.BackupReport{Error: "mariabackup: exit status 1"})
	w.pass(time.Second)
	// Past its window it is missed, once; later overdue, once.
	w.role().Instances[0].Report.Database.Writable = true
	w.role().Instances[0].Report.Database = nil
	w.pass(4 * time.Hour)
	w.says("error: the backup due at 2026-03-02 03:00:00 UTC was not taken within its window of 3h: mariabackup: exit status 1. Take one with farmhand backup shop/mysql", "error: there is no backup yet; a disaster now")
	w.pass(time.Minute)
	w.says()
}

func TestBackupWish(t *testing.T) {
	w := newBackupWorld(t, nil)
	w.logged()
	w.pass(0)
	w.role().BackupWish = &state.BackupTask{ID: "20260302T020001Z", Kind: state.BackupFull, By: "ada@desk"}
	b := w.pass(time.Second)
	if b.Task == nil || b.Task.ID != "20260302T020001Z" {
		t.Fatalf("%+v", b.Task)
	}
	w.says("asked for by ada@desk")
	w.role().BackupWish = nil // the controller has deleted it
	w.done("20260302T020001Z")
	w.pass(time.Second)
	if b = w.pass(time.Hour); b.Task == nil {
		t.Error("one taken before it is due does not stand for one that is due")
	}
}

func TestLogsOverdue(t *testing.T) {
	w := newBackupWorld(t, nil)
	w.role().Instances[0].Report.Backup = &state.BackupReport{Log: w.view.Now, LogError: "no room"}
	w.pass(0)
	w.pass(4 * time.Minute)
	w.says()
	w.pass(2 * time.Minute)
	w.says("error: binary logs are stored up to 6m ago only: no room; a disaster now would cost all since then")
	w.pass(time.Minute)
	w.says()
	w.role().Instances[0].Report.Backup = &state.BackupReport{Log: w.view.Now}
	w.pass(time.Minute)
	w.says("info: backups are up to date again")
}

func TestDrillFails(t *testing.T) {
	w := newBackupWorld(t, func(b *spec.Backup) { b.DrillCron = "0 7 * * *" })
	w.logged()
	w.pass(0)
	w.pass(time.Hour)
	w.done("20260302T030000Z")
	w.pass(time.Minute)
	w.pass(4 * time.Hour)
	w.report(state.BackupReport{Error: "CHECK TABLE app.orders: Corrupt"})
	w.pass(time.Minute)
	w.says("error: the rehearsed restore failed: CHECK TABLE app.orders: Corrupt. The backup may be of no use")
	if b := w.pass(time.Hour); b.Task != nil {
		t.Errorf("the same drill again: %+v", b.Task)
	}
}
