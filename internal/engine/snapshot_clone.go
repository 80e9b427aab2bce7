package engine

import (
	"fmt"
	"slices"
	"time"

	"github.com/farmhand/terraform-provider-farmhand/internal/gtid"
)

// What a new replica's way to the primary's position takes. Measured with real servers (docs/benchmarks-mysql.md): a stream of 260 MB
// takes five seconds with its preparation; replicas that apply in parallel do a thousand durable transactions a second.
const (
	streamRate  = 60e6  // bytes a second
	snapRate    = 250e6 // a copy on the platform; a cloud's is there at once and read as it is needed
	applyRate   = 1000  // transactions a second
	snapWorth   = time.Second
	logsReachTo = 36 * time.Hour // servers keep binary logs for 48: a snapshot that is older cannot catch up
)

// snapshotFor is the snapshot that a new replica's volume is best made of, and why; "" for none: then its data is streamed
// from another server.
func (p *pass) snapshotFor() (id, why string) {
	db := p.role.Database
	b := p.role.Backups
	if p.database == nil || db == nil || db.Primary == "" || db.Failover != nil || b == nil || !p.role.SnapshotsListed || p.restoreTask() != nil {
		return "", ""
	}
	r := p.database.primary.report()
	if r == nil || r.Position == "" {
		return "", ""
	}
	stream := seconds(float64(r.Bytes) / streamRate)
	for i := len(b.Snapshots) - 1; i >= 0; i-- {
		s := b.Snapshots[i]
		listed := p.snapshotNamed(s.Name)
		if listed == nil || !listed.Done || s.Failed || s.Position == "" || p.since(s.At) > logsReachTo {
			continue
		}
		if b.Restored != nil && !s.At.After(b.Restored.At) {
			return "", "" // it is of another history, as are all before it
		}
		missing, err := gtid.Missing(r.Flavor, s.Position, r.Position)
		if covers, e := gtid.Covers(r.Flavor, r.Position, s.Position); err != nil || e != nil || !covers {
			continue
		}
		snap := seconds(float64(r.Bytes)/snapRate + float64(missing)/applyRate)
		if snap+snapWorth > stream {
			return "", "" // older ones are farther
		}
		return s.ID, fmt.Sprintf("; its volume is made of snapshot %s, %s old: that and %d transactions take about %s, a stream of %s about %s",
			s.Name, brief(p.since(s.At)), missing, brief(snap), megabytes(r.Bytes), brief(stream))
	}
	return "", ""
}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }

// fromSnapshot lets the launch of a new replica take its data from a snapshot, where that is nearer. An index that had a server
// before has its volume.
func (p *pass) fromSnapshot(d *Decision) {
	if !p.role.Replicated || p.database == nil || slices.Contains(p.database.db.Known, d.Instance) {
		return
	}
	var why string
	if d.Snapshot, why = p.snapshotFor(); d.Snapshot != "" {
		d.Reason += why
	}
}

// knowCopies: what comes of a snapshot is the role's own data, so that it is cloned anew by stream if it does not fit.
func (d *database) knowCopies() {
	for i := range d.members {
		if m := &d.members[i]; m.Snapshot != "" && m.standing != gone {
			d.known(m.Name())
		}
	}
}
