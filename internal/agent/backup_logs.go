package agent

import (
	"context"
	"time"

	"github.com/farmhand/terraform-provider-farmhand/internal/backup"
	"github.com/farmhand/terraform-provider-farmhand/internal/state"
)

const (
	// lastLogs bounds the storing of the last binary logs when another instance takes that over, or this one ends.
	lastLogs = 10 * time.Second
	// logPatience is how long a place that does not answer is asked again for binary logs: the next interval comes.
	logPatience = 30 * time.Second
	// lookEvery is how often what is stored is looked through for gaps: it lists a log a minute of half a year.
	lookEvery = 15 * time.Minute
)

// keepLogs stores binary logs again and again, and once more at the end: what a server committed last is what the next one begins
// after.
func (k *keepsBackups) keepLogs(ctx context.Context, archive state.Archive, as state.Assignment) {
	tick := time.NewTicker(max(archive.Every, time.Second))
	defer tick.Stop()
	var looked time.Time
	for {
		if k.storeLogs(ctx, archive, as) && time.Since(looked) >= lookEvery && k.lookForGaps(ctx, archive, as) {
			looked = time.Now()
		}
		select {
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastLogs)
			defer cancel()
			k.storeLogs(last, archive, as)
			return
		case <-tick.C:
		}
	}
}

// storeLogs tells whether it went well.
func (k *keepsBackups) storeLogs(ctx context.Context, archive state.Archive, as state.Assignment) bool {
	var until time.Time
	err := guarded("storing binary logs", func() error {
		c, key, err := k.open(ctx, as, archive)
		c.Target = backup.Patient{Target: c.Target, For: logPatience}
		if err == nil {
			until, err = k.runner.StoreLogs(ctx, c, key)
		}
		return err
	})
	if ctx.Err() != nil {
		return false
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.report.LogError = ""; err != nil {
		k.report.LogError = err.Error()
		return false
	}
	k.report.Log = until
	return true
}

// lookForGaps looks whether what is stored leads from each backup to now, and tells whether it could.
func (k *keepsBackups) lookForGaps(ctx context.Context, archive state.Archive, as state.Assignment) bool {
	var gap *state.LogGap
	err := guarded("looking for gaps between binary logs", func() error {
		c, _, err := k.open(ctx, as, archive)
		if err != nil {
			return err
		}
		c.Target = backup.Patient{Target: c.Target, For: logPatience}
		gap, err = newestGap(ctx, c)
		return err
	})
	if err != nil {
		if ctx.Err() == nil {
			k.Log.Warn("looking for gaps between the binary logs that are stored", "error", err)
		}
		return false
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.report.Looked, k.report.Gap = time.Now().UTC(), gap
	return true
}

func newestGap(ctx context.Context, c backup.Catalog) (*state.LogGap, error) {
	fulls, err := c.Fulls(ctx)
	if err != nil {
		return nil, err
	}
	logs, err := c.Logs(ctx, time.Time{})
	if err != nil {
		return nil, err
	}
	g := backup.NewHistory(fulls, logs).NewestGap()
	if g == nil {
		return nil, nil
	}
	gap := &state.LogGap{First: g.First, Last: g.Last, From: g.From, To: g.To, Text: g.String()}
	for _, m := range fulls {
		if n, err := backup.Sequence(m.Position); err == nil && n >= g.Last {
			gap.Whole = m.ID
			break
		}
	}
	return gap, nil
}
