package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/farmhand/terraform-provider-farmhand/internal/backup"
	"github.com/farmhand/terraform-provider-farmhand/internal/e2e/live"
)

// bulkMB is how much a database holds whose replicas, backups and restores are timed.
const bulkMB = 260

// bulkHCL is a database of n servers that is backed up to a folder.
const bulkHCL = `
  settings = { flap_minutes = "0" }
  volume   = { on_destroy = "delete" }
  backup   = { to = "file://%s" }
  backup_key_wo         = %q
  backup_key_wo_version = 1
}
`

// feat is one thing that is done with all of the data, and how long it took each time.
type feat struct {
	what, aim string
	took      []time.Duration
}

// bulk times what is done with a database of 260 MB under writing, so many times, each on a farm of its own.
func bulk(ctx context.Context, rounds, rate int) ([]feat, error) {
	var all []feat
	for round := range rounds {
		took, err := bulkRound(ctx, rate)
		for i, f := range took {
			if round == 0 {
				all = append(all, f)
			} else {
				all[i].took = append(all[i].took, f.took...)
			}
			fmt.Printf("%d MB, round %d: %s: %s\n", bulkMB, round+1, f.what, f.took[0].Round(10*time.Millisecond))
		}
		if err != nil {
			return all, fmt.Errorf("%d MB, round %d: %w", bulkMB, round+1, err)
		}
	}
	return all, nil
}

func bulkRound(ctx context.Context, rate int) (done []feat, err error) {
	key, err := backup.NewKey()
	if err != nil {
		return nil, err
	}
	places, err := os.MkdirTemp("", "farmhand-bench-backups-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(places)
	hcl := func(n int) string {
		head, _, _ := strings.Cut(hcl, "  settings =")
		head = strings.NewReplacer("min      = 3", fmt.Sprintf("min      = %d", n), "max      = 3", "max      = 4").Replace(head)
		return head + strings.TrimLeft(fmt.Sprintf(bulkHCL, filepath.Join(places, "b"), key.Secret()), "\n")
	}
	b, err := begin(ctx, hcl(2), rate)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, b.end(context.WithoutCancel(ctx))) }()
	if err := b.whole(ctx, 2); err != nil {
		return nil, err
	}
	if err := b.fill(ctx); err != nil {
		return nil, err
	}
	var name, gtid string
	timed := func(what, aim string, do func() error) {
		if err != nil {
			return
		}
		began := time.Now()
		if err = do(); err != nil {
			events, _ := b.farm.Farmhand(ctx, "events", b.farm.Name)
			err = fmt.Errorf("%s: %w\n%s", what, err, events)
			return
		}
		done = append(done, feat{what, aim, []time.Duration{time.Since(began)}})
	}
	id := b.farm.Name + "/" + role
	farmhand := func(args ...string) (string, error) { return b.farm.Farmhand(ctx, args...) }
	timed("a full backup of a replica (`farmhand backup --wait`)", "≤ 15 s", func() error { _, err := farmhand("backup", id, "--wait"); return err })
	timed("a third server, streamed from a replica: from its launch to being read from", "≤ 20 s", func() error { return b.joins(ctx, hcl(3), "mysql-3") })
	timed("a snapshot of a replica's volume (`farmhand backup --snapshot --wait`)", "", func() error {
		said, err := farmhand("backup", id, "--snapshot", "--wait")
		name = regexp.MustCompile(`manual-[0-9tz]+`).FindString(said)
		return err
	})
	timed("a fourth server, its volume made of the snapshot: from its launch to being read from", "≤ 20 s", func() error { return b.joins(ctx, hcl(4), "mysql-4") })
	if err == nil {
		var events string
		if events, err = farmhand("events", b.farm.Name); err == nil && !strings.Contains(events, "its volume is made of snapshot "+name) {
			err = errors.New("the fourth server was not made of the snapshot: " + events)
		}
	}
	timed("a drill of the backup, on an instance that is launched for it", "", func() error { _, err := farmhand("backup", id, "--drill", "--wait"); return err })
	timed("a drill of the snapshot, likewise", "", func() error {
		_, err := farmhand("backup", id, "--drill", "--backup", name, "--wait")
		return err
	})
	if err == nil {
		gtid, err = b.mark(ctx)
	}
	timed("a restore to a transaction, from the backup and the binary logs (`farmhand restore --wait`)", "", func() error {
		_, err := farmhand("restore", id, "--to", gtid, "--overwrite", id, "--wait")
		return err
	})
	if err == nil {
		err = b.exact(ctx)
	}
	return done, err
}

// sql asks an instance's server as its administrator.
func (b *bench) sql(ctx context.Context, instance, statements string) (string, error) {
	ids, err := b.engine.Running(ctx, b.farm.Name)
	if err != nil {
		return "", err
	}
	out, err := b.engine.Exec(ctx, ids[instance], "mariadb", "-N", "-e", statements)
	return strings.TrimSpace(out), err
}

func (b *bench) primaryName(ctx context.Context) (string, error) {
	d, err := b.rec.Database(ctx, b.farm.Name, role)
	return d.Primary, err
}

// fill makes the data, of rows that do not compress, and waits until the servers say that they hold it.
func (b *bench) fill(ctx context.Context) error {
	primary, err := b.primaryName(ctx)
	if err != nil {
		return err
	}
	// Four of 32 parts are chance and in hexadecimal: it compresses to an eighth.
	_, err = b.sql(ctx, primary, fmt.Sprintf(`CREATE TABLE app.bulk (id INT AUTO_INCREMENT PRIMARY KEY, b VARBINARY(1024));
		INSERT INTO app.bulk (b) SELECT CONCAT(MD5(RAND()), MD5(RAND()), MD5(RAND()), REPEAT(MD5(RAND()), 29)) FROM app.seq_1_to_%d`, bulkMB*1000))
	if err != nil {
		return err
	}
	if err := b.whole(ctx, 2); err != nil {
		return err
	}
	// The replica's binary log of it would be most of its volume; servers throw theirs away after two days.
	for _, instance := range []string{"mysql-1", "mysql-2"} {
		if instance == primary {
			continue
		}
		if _, err := b.sql(ctx, instance, "FLUSH BINARY LOGS; PURGE BINARY LOGS BEFORE NOW()"); err != nil {
			return err
		}
	}
	until, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	return live.Until(until, time.Second, func(ctx context.Context) (bool, string) {
		r, err := b.rec.Report(ctx, b.farm.Name, primary)
		return err == nil && r.Database != nil && r.Database.Bytes > bulkMB<<20, "the primary does not say that it holds the data"
	})
}

// joins applies a farm with one server more and waits until that is read from. The clock of the caller runs from before the apply,
// which takes a second of its own.
func (b *bench) joins(ctx context.Context, hcl, instance string) error {
	if err := b.farm.UseHCL(hcl); err != nil {
		return err
	}
	applied := make(chan error, 1)
	go func() { _, err := b.farm.Apply(ctx); applied <- err }()
	until, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	err := live.Until(until, 20*time.Millisecond, func(ctx context.Context) (bool, string) {
		d, err := b.rec.Database(ctx, b.farm.Name, role)
		return err == nil && slices.Contains(d.Reads, instance), instance + " is not read from"
	})
	return errors.Join(err, <-applied)
}

// mark is the position of a transaction that a table of one row is of, behind which there is another one.
func (b *bench) mark(ctx context.Context) (string, error) {
	primary, err := b.primaryName(ctx)
	if err != nil {
		return "", err
	}
	b.writers.Stop() // so that the position is the mark's own
	if _, err := b.sql(ctx, primary, "CREATE TABLE app.mark (n INT); INSERT INTO app.mark VALUES (1)"); err != nil {
		return "", err
	}
	gtid, err := b.sql(ctx, primary, "SELECT @@gtid_binlog_pos")
	if err != nil {
		return "", err
	}
	_, err = b.sql(ctx, primary, "INSERT INTO app.mark VALUES (2)")
	return gtid, err
}

// exact tells whether the restore went to the mark and no further.
func (b *bench) exact(ctx context.Context) error {
	primary, err := b.primaryName(ctx)
	if err != nil {
		return err
	}
	found, err := b.sql(ctx, primary, "SELECT GROUP_CONCAT(n) FROM app.mark; SELECT COUNT(*) FROM app.bulk")
	if want := fmt.Sprintf("1\n%d", bulkMB*1000); err == nil && found != want {
		err = fmt.Errorf("the restored database holds %q, and not %q", found, want)
	}
	return err
}
