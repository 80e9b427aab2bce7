package engine_test

import (
	"fmt"
	"slices"
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
	// did are the decisions that are not notes, "launch mysql-0 snap-1".
	did []string
	// stuck: temporary instances do not come up.
	stuck bool
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
	w.said, w.did = nil, nil
	for _, decided := range out.Decisions {
		if decided.Kind == "backup" {
			w.said = append(w.said, decided.Level+": "+decided.Reason)
		}
		if decided.Action != engine.Note {
			w.did = append(w.did, strings.Join(strings.Fields(fmt.Sprint(decided.Action, " ", decided.Instance, " ", decided.Snapshot)), " "))
		}
	}
	w.carryOut(out)
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

// carryOut does to the temporary instance what is decided of it.
func (w *backupWorld) carryOut(out engine.Outcome) {
	r := w.role()
	for _, d := range out.Decisions {
		i := slices.IndexFunc(r.Instances, func(in engine.Instance) bool { return in.Index == 0 })
		switch {
		case d.Action == engine.Launch && d.Index == 0 && i < 0:
			in := engine.Instance{Instance: state.Instance{Role: "mysql", Token: "t0", Phase: state.Planned, Since: w.view.Now, Created: w.view.Now, Task: out.Backups["mysql"].Task.ID, Snapshot: d.Snapshot, Address: "10.0.0.99"}}
			if !w.stuck {
				in.Phase, in.Machine = state.Launching, &engine.Machine{ID: "mt0", Token: "t0"}
				in.Report = &state.Report{Token: "t0", At: w.view.Now, Boot: state.Boot{Done: true}, Backup: &state.BackupReport{}}
			}
			r.Instances = append(r.Instances, in)
		case d.Instance != "mysql-0" || i < 0:
		case d.Action == engine.Move:
			r.Instances[i].Phase = d.Phase
		case d.Action == engine.Terminate:
			r.Instances[i].Phase, r.Instances[i].Machine = state.Terminating, nil
		case d.Action == engine.Forget:
			r.Instances = slices.Delete(r.Instances, i, i+1)
		}
	}
}

func (w *backupWorld) does(want ...string) {
	w.t.Helper()
	if !slices.Equal(w.did, want) {
		w.t.Errorf("%s: did %q, want %q", w.view.Now.Format(time.TimeOnly), w.did, want)
	}
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
	if b = w.pass(3 * time.Hour); b.Task == nil || b.Task.Kind != state.BackupDrill || b.Task.Server != "mysql-0" {
		t.Fatalf("no drill: %+v", b)
	}
	w.does("launch mysql-0")
	w.says("info: drill begins on an instance that is launched for it: due since 2026-03-02 07:00:00 UTC")
	w.pass(time.Second)
	w.does("move mysql-0")
	w.pass(time.Second)
	w.does()
	w.done("20260302T030000Z")
	w.pass(time.Minute)
	w.says("info: the restore of backup 20260302T030000Z was rehearsed in 12s: 14 tables, 5012 rows")
	w.does("terminate mysql-0")
	w.pass(time.Second)
	w.does("forget mysql-0")
	if b = w.pass(time.Hour); b.Task != nil || b.Drill == nil || len(w.role().Instances) != 3 {
		t.Errorf("%+v", b)
	}
	w.does()
}

// TestDrillOnReplica: as declared, beside a running server.
func TestDrillOnReplica(t *testing.T) {
	w := newBackupWorld(t, func(b *spec.Backup) { b.DrillCron, b.DrillOn = "0 7 * * *", spec.DrillOnReplica })
	w.logged()
	w.pass(0)
	w.pass(time.Hour)
	w.done("20260302T030000Z")
	w.pass(time.Minute)
	if b := w.pass(4 * time.Hour); b.Task == nil || b.Task.Server != "mysql-3" || b.Task.Temporary {
		t.Fatalf("%+v", b.Task)
	}
	w.does()
}

// TestNoTemporary: what keeps the instance from coming up is no verdict on the backup, and nothing of it stays.
func TestNoTemporary(t *testing.T) {
	w := newBackupWorld(t, func(b *spec.Backup) { b.DrillCron = "0 7 * * *" })
	w.logged()
	w.pass(0)
	w.pass(time.Hour)
	w.done("20260302T030000Z")
	w.pass(time.Minute)
	w.stuck = true
	w.pass(4 * time.Hour)
	w.does("launch mysql-0")
	w.pass(15 * time.Second)
	w.does("relaunch mysql-0")
	w.role().Instances[3].Failure = &state.Failure{Step: "launch", Error: "no room in the subnet"}
	w.role().Instances[3].Phase = state.Failed
	w.pass(time.Second)
	w.says(`error: the restore could not be rehearsed: the instance for it did not come up, in step "launch": no room in the subnet. Try it with farmhand backup shop/mysql --drill`)
	w.does("forget mysql-0")
	if b := w.pass(time.Hour); b.Task != nil || len(w.role().Instances) != 3 || b.DrillFailed == nil {
		t.Errorf("%+v, drill failed: %+v", b.Task, b.DrillFailed)
	}
}

// TestTemporaryEndsWithItsRole: also where the role has no backups any more.
func TestTemporaryEndsWithItsRole(t *testing.T) {
	for name, change := range map[string]func(*engine.View){
		"farm":    func(v *engine.View) { v.Deleting = true },
		"role":    func(v *engine.View) { v.Roles[0].Deleting = true },
		"backups": func(v *engine.View) { v.Roles[0].Spec.Backup = nil },
	} {
		w := newBackupWorld(t, nil)
		w.logged()
		w.role().Backups = &state.Backups{Since: w.view.Now, Full: &state.BackupDone{ID: "a", At: w.view.Now}}
		w.role().BackupWish = &state.BackupTask{ID: "drill-1", Kind: state.BackupDrill, By: "ada"}
		w.pass(0)
		w.role().BackupWish = nil
		w.pass(time.Second)
		change(&w.view)
		w.view.Now = w.view.Now.Add(time.Second)
		out := engine.Decide(w.view)
		if !slices.ContainsFunc(out.Decisions, func(d engine.Decision) bool { return d.Action == engine.Terminate && d.Instance == "mysql-0" }) {
			t.Errorf("%s: it goes on: %+v", name, out.Decisions)
		}
		if d := out.Memory["mysql"].Desired; d != 3 && name == "backups" {
			t.Errorf("it is counted: %d", d)
		}
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
	// The next one falls due: the former is as late as before.
	if b = w.pass(20 * time.Hour); !b.Overdue || w.view.Now.Hour() != 3 {
		t.Errorf("%s: %+v", w.view.Now, b)
	}
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
	w.pass(time.Second)
	w.report(state.BackupReport{Error: "CHECK TABLE app.orders: Corrupt"})
	w.pass(time.Minute)
	w.says("error: the rehearsed restore failed: CHECK TABLE app.orders: Corrupt. The backup may be of no use")
	if b := w.pass(time.Hour); b.Task != nil {
		t.Errorf("the same drill again: %+v", b.Task)
	} else if f := b.DrillFailed; f == nil || f.Text != "CHECK TABLE app.orders: Corrupt" || f.Server == "" {
		t.Errorf("the failed drill is noted as %+v", f)
	}
	w.role().BackupWish = &state.BackupTask{ID: "again", Kind: state.BackupDrill, By: "ada"}
	w.pass(time.Minute)
	w.role().BackupWish = nil
	w.pass(time.Minute)
	w.done("20260302T030000Z")
	if b := w.pass(time.Minute); b.DrillFailed != nil || b.Drill == nil {
		t.Errorf("after one that went well: %+v, failed %+v", b.Drill, b.DrillFailed)
	}
}
