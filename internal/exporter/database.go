package exporter

import (
	"time"

	"github.com/farmhand/terraform-provider-farmhand/internal/spec"
	"github.com/farmhand/terraform-provider-farmhand/internal/state"
)

var (
	dbTerm        = gauge("database_term", "How many primaries the role has had.", "farm", "role")
	dbHasPrimary  = gauge("database_has_primary", "Whether some server is to take writes. 0 while a primary is being replaced.", "farm", "role")
	dbPromoted    = gauge("database_promoted_timestamp_seconds", "When the present primary was promoted. Absent before the first.", "farm", "role")
	dbSuspected   = gauge("database_primary_suspected", "Whether the primary seems to be dead and it is not certain yet.", "farm", "role")
	dbFailover    = gauge("database_failover_in_progress", "Whether the primary is being replaced, planned or not.", "farm", "role")
	dbBegan       = gauge("database_failover_started_timestamp_seconds", "When the replacement under way began. Absent if there is none.", "farm", "role")
	dbRefused     = gauge("database_failover_refused", "Whether the replacement under way waits for a person, as it would lose acknowledged writes.", "farm", "role")
	dbSemiSyncOff = gauge("database_semi_sync_degraded", "Whether the primary takes writes alone: no replica acknowledges them. Absent where min is below 2, and while the primary is being replaced.", "farm", "role")
	dbPlain       = gauge("database_plaintext_servers", "Servers of the role that are followed and cloned from in plain text, as their agent is of a version without TLS.", "farm", "role")

	dbPrimary    = gauge("database_primary", "Whether the server is the one that is to take writes.", "farm", "role", "server")
	dbReads      = gauge("database_in_read_pool", "Whether the server is read from: a replica that keeps up.", "farm", "role", "server")
	dbWritable   = gauge("database_writable", "Whether the server takes writes, as it says itself.", "farm", "role", "server")
	dbReplicates = gauge("database_replication_running", "Whether a replica receives from its primary and applies what it receives. Absent of a primary, of a server that is being cloned, and while the primary is being replaced.", "farm", "role", "server")
	dbLag        = gauge("database_replication_lag_seconds", "How far a replica is behind. Absent of a primary, and where it is not known.", "farm", "role", "server")
	dbAcks       = gauge("database_acknowledging_replicas", "Replicas that acknowledge the primary's commits. Absent of a replica.", "farm", "role", "server")
	dbWaiting    = gauge("database_commits_waiting", "Whether commits wait for an acknowledgement that does not come. Absent of a replica.", "farm", "role", "server")
	dbDiverged   = gauge("database_diverged", "Whether the server holds what its primary does not, so that it is to be cloned anew.", "farm", "role", "server")
	dbDiskUsed   = gauge("database_disk_used_ratio", "How full the file system of the database is, 0 to 1. Absent where it is not known.", "farm", "role", "server")
	dbBytes      = gauge("database_data_bytes", "Size of the database's files. Absent where it is not known.", "farm", "role", "server")
	dbPending    = gauge("database_order_pending", "Whether the server has not carried out yet what it is to be.", "farm", "role", "server")
)

// database exports what is decided of a role's servers, and what they say themselves.
func (s *samples) database(f *farm, name string, r *role) {
	d := r.database
	if d == nil {
		return
	}
	s.put(dbTerm, float64(d.Term), f.name, name)
	s.flag(dbHasPrimary, d.Primary != "", f.name, name)
	s.at(dbPromoted, d.PromotedAt, f.name, name)
	s.flag(dbSuspected, d.Suspect != nil, f.name, name)
	s.flag(dbFailover, d.Failover != nil, f.name, name)
	s.flag(dbRefused, d.Failover != nil && d.Failover.Step == state.StepRefused, f.name, name)
	s.put(dbPlain, float64(len(d.Plain)), f.name, name)
	if d.Failover != nil {
		s.at(dbBegan, d.Failover.Began, f.name, name)
	}
	order, ordered := d.Orders[d.Primary]
	if ordered && d.Failover == nil && r.declared.Spec.Min > 1 {
		s.flag(dbSemiSyncOff, order.Alone, f.name, name)
	}
	reads := map[string]bool{}
	for _, server := range d.Reads {
		reads[server] = true
	}
	for server, i := range f.servers {
		if i.Role != name || i.Temporary() {
			continue
		}
		labels := []string{f.name, name, server}
		s.flag(dbPrimary, server == d.Primary, labels...)
		s.flag(dbReads, reads[server], labels...)
		if report, heard := f.reports[server]; heard && report.Database != nil && s.fresh(r.declared.Spec, report.At) {
			s.databaseServer(d, d.Orders[server], server, report.Database, labels)
		}
	}
}

// fresh tells whether a report still counts: what a server that has fallen silent said last is not how it is.
func (s *samples) fresh(role spec.Role, at time.Time) bool {
	silence := role.HealthCheck.SilentAfter
	if silence <= 0 {
		silence = spec.DefaultSilentAfter
	}
	return s.now.Sub(at) <= silence.Std()
}

func (s *samples) databaseServer(d *state.Database, order state.DatabaseOrder, server string, r *state.DatabaseReport, labels []string) {
	done := r.Done >= order.Seq
	s.flag(dbWritable, r.Writable, labels...)
	s.flag(dbDiverged, r.Diverged != "", labels...)
	s.flag(dbPending, !done, labels...)
	if server == d.Primary {
		s.put(dbAcks, float64(r.SemiSync), labels...)
		s.flag(dbWaiting, r.Waiting, labels...)
	} else if order.Office == state.OfficeReplica && !r.Empty {
		s.flag(dbReplicates, r.Receiving && r.Applying, labels...)
		if r.LagKnown {
			s.put(dbLag, r.Lag, labels...)
		}
	}
	if r.DiskUsed > 0 {
		s.put(dbDiskUsed, r.DiskUsed, labels...)
	}
	if r.Bytes > 0 {
		s.put(dbBytes, float64(r.Bytes), labels...)
	}
}
