package dbbackup

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/farmhand/terraform-provider-farmhand/internal/backup"
)

// replayed applies the file $1 from the position $2 on; further arguments say where to stop.
const replayed = `file=$1; from=$2; socket=$3; said=$4; shift 4
{ TZ=UTC mariadb-binlog --start-position="$from" "$@" "$file" 2>"$said" || { tail -n 3 "$said" >&2; echo "SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'the binary log could not be read';"; }; } | mariadb --no-defaults --socket="$socket" --user=root --binary-mode --max-allowed-packet=1G`

// replay applies the stored binary logs behind the backup, in the order of their transactions. Logs of several servers overlap where
// one took over from the other: what was applied is not applied again. A gap is an error: half of a history is none.
func (r Restorer) replay(ctx context.Context, c backup.Catalog, m backup.Manifest, key backup.Key, to Point, server *Temporary, done *Restored) error {
	m.Position = done.Position
	logs, limit, err := within(ctx, c, m, to)
	if err != nil {
		return err
	}
	if at, err := backup.Sequence(done.Position); err == nil && limit > 0 && at > limit {
		return fmt.Errorf("backup %s is of %s already, behind %s: restore from an earlier one", m.ID, done.Position, to.Position)
	}
	for _, l := range logs {
		if !to.Time.IsZero() && !l.First.Before(to.Time) {
			continue
		}
		at, err := backup.Sequence(done.Position)
		if err != nil {
			return err
		}
		if limit > 0 && at >= limit {
			break
		}
		if l.Numbered() && l.End <= at {
			continue // of another server, or of the history that a restore ended
		}
		file := filepath.Join(r.Scratch, l.File)
		span, err := r.fetchLog(ctx, c, l, key, file, to.Time)
		if err != nil {
			return fmt.Errorf("binary log %s of %s: %w", l.File, l.Server, err)
		}
		if span.Before > at {
			if span.Begin > at+1 {
				return crossing(m, backup.Gap{First: at + 1, Last: span.Begin - 1, From: done.Until, To: span.First})
			}
			r.doing(fmt.Sprintf("replaying %s of %s, up to %s", l.File, l.Server, span.Last.Format(time.DateTime)))
			var stop []string
			switch {
			case limit > 0 && span.Before > limit:
				stop = append(stop, "--stop-position="+to.Position)
			case span.past:
				stop = append(stop, "--stop-position="+span.BeforePosition)
			}
			args := append([]string{"-c", replayed, "sh", file, done.Position, server.socket, filepath.Join(r.Scratch, "said")}, stop...)
			if err := r.Run.Run(ctx, "sh", args...); err != nil {
				return fmt.Errorf("replaying binary log %s of %s (transactions %d to %d) from %s on: %w", l.File, l.Server, span.Begin, span.Before, done.Position, printed(err))
			}
			if done.Position, err = server.position(ctx); err != nil {
				return err
			}
			done.Logs++
			if done.Until = span.Last; !to.Time.IsZero() && to.Time.Before(span.Last) {
				done.Until = to.Time
			}
		}
		if span.past {
			break // what comes later lies behind the moment too, whichever server wrote it
		}
		if err := os.Remove(file); err != nil {
			return err
		}
	}
	if at, err := backup.Sequence(done.Position); err == nil && limit > at {
		return fmt.Errorf("the stored binary logs end at %s, before %s", done.Position, to.Position)
	}
	return nil
}

// within are the stored logs that a restore of m may need, in the order in which they are replayed, and the number of the transaction
// that it ends with, 0 for none. A gap that they are known to have on the way is an error: before anything was fetched.
func within(ctx context.Context, c backup.Catalog, m backup.Manifest, to Point) (logs []backup.Log, limit uint64, err error) {
	if to.Position != "" {
		if limit, err = backup.Sequence(to.Position); err != nil {
			return nil, 0, err
		}
	}
	// Clocks of two servers differ by less than this, or replication would have other troubles.
	const slack = time.Hour
	if logs, err = c.Logs(ctx, m.Began.Add(-slack)); err != nil {
		return nil, 0, err
	}
	if g := backup.Crossed(m, logs, to.Time, limit); g != nil {
		return nil, 0, crossing(m, *g)
	}
	return logs, limit, nil
}

func crossing(m backup.Manifest, g backup.Gap) error {
	return fmt.Errorf("%s: from backup %s a restore can reach %s; restore to before then, or from a later backup", g, m.ID, g.From.UTC().Format(time.DateTime))
}

func (r Restorer) fetchLog(ctx context.Context, c backup.Catalog, l backup.Log, key backup.Key, file string, until time.Time) (Span, error) {
	from, err := c.OpenLog(ctx, l, key)
	if err != nil {
		return Span{}, err
	}
	defer from.Close()
	f, err := os.OpenFile(file, os.O_CREATE|os.O_RDWR|os.O_TRUNC, 0o600)
	if err != nil {
		return Span{}, err
	}
	defer f.Close()
	if _, err := io.Copy(f, from); err != nil {
		return Span{}, err
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return Span{}, err
	}
	return Scan(f, until)
}

// printed is what a script said where it failed, without the script.
func printed(err error) error {
	var ended interface{ Printed() []string }
	if errors.As(err, &ended) && len(ended.Printed()) > 0 {
		return errors.New(strings.Join(ended.Printed(), " / "))
	}
	return err
}
