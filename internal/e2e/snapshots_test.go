package e2e

import (
	"context"
	"fmt"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/farmhand/terraform-provider-farmhand/internal/backup"
)

// TestSnapshots: a snapshot of a database's volume under load; a new replica whose volume is made of it; a drill of it on an instance of its
// own; a restore of it to a transaction. It ends with nothing left.
func TestSnapshots(t *testing.T) {
	w := enter(t)
	t.Parallel()
	f := w.farm(t, "e2esnap", w.subnet(t), stateDir(t))
	key, err := backup.NewKey()
	must(t, err)
	hcl := fmt.Sprintf(databaseHCL, filepath.Join(t.TempDir(), "backups"), key.Secret())
	servers := func(n int) {
		t.Helper()
		must(t, f.UseHCL(strings.NewReplacer("= 3", fmt.Sprintf("= %d", n)).Replace(hcl)))
		_, err := f.Apply(t.Context())
		must(t, err)
	}
	servers(2)
	rec, err := f.Open(t.Context())
	must(t, err)
	defer rec.Close()
	w.tellOnFailure(t, f, f.Name+"/mysql")
	id := f.Name + "/mysql"
	farmhand := func(args ...string) string {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		out, err := f.Farmhand(ctx, args...)
		must(t, err)
		return out
	}
	whole := func(n int) (primary string) {
		t.Helper()
		eventually(t, fmt.Sprintf("%d servers, of which all but one acknowledge", n), func(ctx context.Context) (bool, string) {
			lacks, err := rec.Replicated(ctx, f.Name, "mysql", n)
			if err != nil {
				lacks = err.Error()
			}
			return lacks == "", lacks
		})
		d, err := rec.Database(t.Context(), f.Name, "mysql")
		must(t, err)
		return d.Primary
	}
	sql := func(instance, statements string) string {
		t.Helper()
		ids, err := w.engine.Running(t.Context(), f.Name)
		must(t, err)
		out, err := w.engine.Exec(t.Context(), ids[instance], "mariadb", "-N", "-e", statements)
		must(t, err)
		return strings.TrimSpace(out)
	}
	primary := whole(2)
	// Enough that a stream would take seconds longer.
	sql(primary, `CREATE TABLE app.acked (id INT PRIMARY KEY); CREATE TABLE app.bulk (id INT AUTO_INCREMENT PRIMARY KEY, b LONGBLOB);
		INSERT INTO app.bulk (b) SELECT REPEAT(MD5(RAND()), 32768) FROM app.seq_1_to_60`)
	whole(2)
	for n := range 20 {
		sql(primary, fmt.Sprintf("INSERT INTO app.acked VALUES (%d)", n))
	}
	said := farmhand("backup", id, "--snapshot", "--wait")
	name := regexp.MustCompile(`manual-[0-9tz]+`).FindString(said)
	if name == "" {
		t.Fatalf("no snapshot: %s", said)
	}
	t.Log(strings.TrimSpace(said))
	sql(primary, "INSERT INTO app.acked VALUES (100)")
	eventually(t, "the primary's word of how much it holds", func(ctx context.Context) (bool, string) {
		r, err := rec.Report(ctx, f.Name, primary)
		must(t, err)
		return r.Database != nil && r.Database.Bytes > 150<<20, fmt.Sprintf("%+v", r.Database)
	})

	servers(3)
	primary = whole(3)
	events := farmhand("events", f.Name)
	if !strings.Contains(events, "its volume is made of snapshot "+name) {
		t.Errorf("the third server was not made of the snapshot:\n%s", events)
	}
	eventually(t, "the rows on the third", func(context.Context) (bool, string) {
		n := sql("mysql-3", "SELECT COUNT(*) FROM app.acked")
		return n == "21", n
	})
	if ids := sql("mysql-3", "SELECT @@server_id") + " " + sql("mysql-2", "SELECT @@server_id"); strings.Fields(ids)[0] == strings.Fields(ids)[1] {
		t.Errorf("two servers of one id: %s", ids)
	}

	t.Log(strings.TrimSpace(farmhand("backup", id, "--drill", "--backup", name, "--wait")))
	if out := farmhand("backups", id); !regexp.MustCompile(name + `.*well: `).MatchString(out) {
		t.Errorf("backups does not tell of the drill:\n%s", out)
	}
	eventually(t, "the end of the drill's instance", func(ctx context.Context) (bool, string) {
		all, err := rec.Instances(ctx, f.Name, "mysql")
		must(t, err)
		ids, err := w.engine.Running(ctx, f.Name)
		must(t, err)
		return len(all) == 3 && ids["mysql-0"] == "", fmt.Sprint(len(all), " instances, running: ", ids)
	})

	gtid, rows := position(t, w, f, primary)
	sql(primary, "DROP TABLE app.acked") // what should not have been done
	t.Log(strings.TrimSpace(farmhand("restore", id, "--backup", name, "--to", gtid, "--overwrite", id, "--wait")))
	primary = whole(3)
	if _, back := position(t, w, f, primary); back != rows {
		t.Errorf("restored to %s the table has %s rows, and it had %s", gtid, back, rows)
	}
	w.destroy(t, f)
}
