package backup

import (
	"context"
	"strings"
	"time"
)

// abandonedAfter is how old data without a manifest must be to be what an interrupted backup left, and not one under way.
const abandonedAfter = 24 * time.Hour

// Prune deletes what Keep does not name: fulls, binary logs that no kept full needs, and what interrupted backups left. It
// returns the ids of the fulls deleted. The manifest goes first: half of a backup is none.
func (c Catalog) Prune(ctx context.Context, r Retention, now time.Time) ([]string, error) {
	all, err := c.Fulls(ctx)
	if err != nil {
		return nil, err
	}
	kept := r.Keep(all, now)
	var gone []string
	oldest := now
	var holds uint64 // what the oldest one kept holds
	known := map[string]bool{}
	for _, m := range all {
		known[m.ID] = true
		if kept[m.ID] {
			if m.Began.Before(oldest) {
				oldest = m.Began
				holds, _ = Sequence(m.Position)
			}
			continue
		}
		for _, part := range []string{"manifest.json", "drill.json", "data"} {
			if err := c.Target.Delete(ctx, c.at("full", m.ID, part)); err != nil {
				return gone, err
			}
		}
		gone = append(gone, m.ID)
	}
	if len(all) == 0 {
		return nil, nil // nothing to measure the logs by: they may be all there is
	}
	objects, err := c.Target.List(ctx, c.at()+"/")
	if err != nil {
		return gone, err
	}
	for _, o := range objects {
		rest := strings.TrimPrefix(o.Name, c.at()+"/")
		drop := false
		if name, ok := strings.CutPrefix(rest, "log/"); ok {
			l, err := parseLog(name)
			drop = err == nil && l.Last.Before(oldest) && (!l.Numbered() || l.End <= holds)
		} else if id, ok := strings.CutPrefix(rest, "full/"); ok {
			id, _, _ = strings.Cut(id, "/")
			drop = !known[id] && now.Sub(o.At) > abandonedAfter
		}
		if drop {
			if err := c.Target.Delete(ctx, o.Name); err != nil {
				return gone, err
			}
		}
	}
	return gone, nil
}
