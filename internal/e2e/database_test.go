package e2e

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/farmhand/terraform-provider-farmhand/internal/backup"
	"github.com/farmhand/terraform-provider-farmhand/internal/e2e/live"
)

const databaseHCL = farmHCL + `
resource "farmhand_role" "mysql" {
  farm     = farmhand_farm.f.name
  name     = "mysql"
  behavior = "mysql"
  min      = 3
  max      = 3
  settings = { flap_minutes = "0" }
  volume   = { on_destroy = "delete" }
  backup   = { to = "file://%s" }

  backup_key_wo         = %q
  backup_key_wo_version = 1
}
`

// TestDatabase: three servers from one apply; their primary is killed under load and nothing that was acknowledged is lost; a
// planned change; a backup, a drill, and a restore to a transaction. It ends with nothing left.
func TestDatabase(t *testing.T) {
	w := enter(t)
	t.Parallel()
	f := w.farm(t, "e2edb", w.subnet(t), stateDir(t))
	key, err := backup.NewKey()
	must(t, err)
	must(t, f.UseHCL(fmt.Sprintf(databaseHCL, filepath.Join(t.TempDir(), "backups"), key.Secret())))
	_, err = f.Apply(t.Context())
	must(t, err)
	rec, err := f.Open(t.Context())
	must(t, err)
	defer rec.Close()
	whole := func() {
		t.Helper()
		eventually(t, "three servers, of which two acknowledge", func(ctx context.Context) (bool, string) {
			lacks, err := rec.Replicated(ctx, f.Name, "mysql", 3)
			if err != nil {
				lacks = err.Error()
			}
			return lacks == "", lacks
		})
	}
	whole()
	writers, err := live.Write(t.Context(), rec, f.Name, "mysql", 4, 200)
	must(t, err)
	goesOn := func() {
		t.Helper()
		began := time.Now()
		eventually(t, "a hundred rows more", func(context.Context) (bool, string) {
			return writers.Since(began) > 100, fmt.Sprintf("%d rows", writers.Since(began))
		})
	}
	nothingLost := func(after string) {
		t.Helper()
		lost, err := writers.Lost(t.Context())
		must(t, err)
		if acked, _ := writers.Acked(); lost > 0 {
			t.Errorf("after %s %d of %d acknowledged rows are lost", after, lost, acked)
		}
	}
	farmhand := func(args ...string) string {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		out, err := f.Farmhand(ctx, args...)
		must(t, err)
		return out
	}
	w.tellOnFailure(t, f, f.Name+"/mysql")
	id := f.Name + "/mysql"

	goesOn()
	before, err := rec.Database(t.Context(), f.Name, "mysql")
	must(t, err)
	ids, err := w.engine.Running(t.Context(), f.Name)
	must(t, err)
	killed := time.Now()
	must(t, w.engine.Kill(t.Context(), ids[before.Primary]))
	eventually(t, "another primary", func(ctx context.Context) (bool, string) {
		d, err := rec.Database(ctx, f.Name, "mysql")
		return err == nil && d.Term > before.Term && d.Failover == nil, fmt.Sprintf("term %d, %v", d.Term, err)
	})
	goesOn()
	t.Logf("longest gap between acknowledged writes after the kill: %s", writers.Gap(killed).Round(time.Millisecond))
	nothingLost("the kill")
	whole()
	if out := farmhand("explain", id); !strings.Contains(out, "fence") || !strings.Contains(out, "takes writes") {
		t.Errorf("explain does not tell the steps:\n%s", out)
	}

	farmhand("failover", id, "--wait")
	goesOn()
	nothingLost("the planned change")
	whole()

	farmhand("backup", id, "--wait")
	goesOn()
	d, err := rec.Database(t.Context(), f.Name, "mysql")
	must(t, err)
	writers.Stop()
	gtid, rows := position(t, w, f, d.Primary)
	ids, err = w.engine.Running(t.Context(), f.Name)
	must(t, err)
	_, err = w.engine.Exec(t.Context(), ids[d.Primary], "mariadb", "-e", "DROP TABLE app.acked") // what should not have been done
	must(t, err)
	farmhand("backup", id, "--drill", "--wait")
	if out := farmhand("backups", id); !strings.Contains(out, "drill") && !strings.Contains(out, "DRILL") {
		t.Errorf("backups does not tell of the drill:\n%s", out)
	}
	farmhand("restore", id, "--to", gtid, "--overwrite", id, "--wait")
	whole()
	d, err = rec.Database(t.Context(), f.Name, "mysql")
	must(t, err)
	if _, back := position(t, w, f, d.Primary); back != rows {
		t.Errorf("restored to %s the table has %s rows, and it had %s", gtid, back, rows)
	}

	w.destroy(t, f)
}

// position is where a server is, and how many rows the table has there.
func position(t *testing.T, w world, f *live.Farm, instance string) (gtid, rows string) {
	t.Helper()
	ids, err := w.engine.Running(t.Context(), f.Name)
	must(t, err)
	out, err := w.engine.Exec(t.Context(), ids[instance], "mariadb", "-N", "-e", "SELECT COALESCE(NULLIF(@@gtid_binlog_pos, ''), @@gtid_slave_pos), COUNT(*) FROM app.acked")
	must(t, err)
	fields := strings.Fields(out)
	if len(fields) != 2 {
		t.Fatalf("the server says %q", out)
	}
	return fields[0], fields[1]
}
