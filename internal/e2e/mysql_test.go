package e2e

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/farmhand/terraform-provider-farmhand/internal/backup"
	"github.com/farmhand/terraform-provider-farmhand/internal/e2e/live"
)

// mysqlImage is built by scripts/mysql-image.sh, which nothing else calls.
const mysqlImage = "farmhand-mysql:sid"

const mysqlHCL = farmHCL + `
resource "farmhand_role" "mysql" {
  farm     = farmhand_farm.f.name
  name     = "mysql"
  behavior = "mysql"
  image    = "` + mysqlImage + `"
  min      = 3
  max      = 3
  settings = { flap_minutes = "0", "server.long_query_time" = "0.5" }
  volume   = { on_destroy = "delete" }
  backup   = { to = "file://%s" }

  backup_key_wo         = %q
  backup_key_wo_version = 1
}
`

// TestMySQL: TestDatabase's kill and planned change where the image's server is MySQL.
func TestMySQL(t *testing.T) {
	w := enter(t)
	if err := exec.CommandContext(t.Context(), "docker", "image", "inspect", mysqlImage).Run(); err != nil {
		t.Skipf("no image %s: scripts/mysql-image.sh builds it", mysqlImage)
	}
	t.Parallel()
	f := w.farm(t, "e2emy", w.subnet(t), stateDir(t))
	key, err := backup.NewKey()
	must(t, err)
	must(t, f.UseHCL(fmt.Sprintf(mysqlHCL, filepath.Join(t.TempDir(), "backups"), key.Secret())))
	_, err = f.Apply(t.Context())
	must(t, err)
	rec, err := f.Open(t.Context())
	must(t, err)
	defer rec.Close()
	id := f.Name + "/mysql"
	w.tellOnFailure(t, f, id)
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
	defer writers.Stop()
	nothingLost := func(after string) {
		t.Helper()
		began := time.Now()
		eventually(t, "a hundred rows more after "+after, func(context.Context) (bool, string) {
			return writers.Since(began) > 100, fmt.Sprintf("%d rows", writers.Since(began))
		})
		lost, err := writers.Lost(t.Context())
		must(t, err)
		if acked, _ := writers.Acked(); lost > 0 {
			t.Errorf("after %s %d of %d acknowledged rows are lost", after, lost, acked)
		}
	}
	nothingLost("the beginning")

	before, err := rec.Database(t.Context(), f.Name, "mysql")
	must(t, err)
	ids, err := w.engine.Running(t.Context(), f.Name)
	must(t, err)
	version, err := w.engine.Exec(t.Context(), ids[before.Primary], "mysql", "-N", "-e", "SELECT VERSION(), @@long_query_time")
	must(t, err)
	if !strings.HasSuffix(strings.TrimSpace(version), "\t0.500000") || strings.Contains(version, "MariaDB") {
		t.Errorf("the server says %q", version)
	}
	killed := time.Now()
	must(t, w.engine.Kill(t.Context(), ids[before.Primary]))
	eventually(t, "another primary", func(ctx context.Context) (bool, string) {
		d, err := rec.Database(ctx, f.Name, "mysql")
		return err == nil && d.Term > before.Term && d.Failover == nil, fmt.Sprintf("term %d, %v", d.Term, err)
	})
	nothingLost("the kill")
	t.Logf("MySQL %s: longest gap between acknowledged writes after the kill: %s", strings.Fields(version)[0], writers.Gap(killed).Round(time.Millisecond))
	whole()

	out, err := f.Farmhand(t.Context(), "failover", id, "--wait")
	if err != nil {
		t.Errorf("a planned change: %v\n%s", err, out)
	}
	nothingLost("the planned change")
	whole()
	writers.Stop()

	out, err = f.Farmhand(t.Context(), "backup", id, "--wait")
	if err == nil || !strings.Contains(out+err.Error(), "this image's server is MySQL") {
		t.Errorf("a backup that cannot be taken: %v\n%s", err, out)
	}
	if out, err := f.Farmhand(t.Context(), "events", f.Name); err != nil || !strings.Contains(out, "this image's server is MySQL") {
		t.Errorf("events do not tell of it: %v\n%s", err, out)
	}

	w.destroy(t, f)
}
