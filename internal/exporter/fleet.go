package exporter

import (
	"strings"

	"github.com/farmhand/terraform-provider-farmhand/internal/state"
)

var (
	roleInfo      = gauge("role_info", "Always 1, for each role that is declared.", "farm", "role", "behavior")
	roleDeleting  = gauge("role_deleting", "Whether the role is being destroyed. If so, of its other metrics only farmhand_role_instances is there.", "farm", "role")
	roleInstances = gauge("role_instances", "Servers of the role by phase of their life; those launched for a single task are left out.", "farm", "role", "phase")
	roleTemporary = gauge("role_temporary_instances", "Servers of the role that are launched for a single task, a restore or its rehearsal.", "farm", "role")
	roleMin       = gauge("role_instances_min", "The least servers of the role, schedules applied.", "farm", "role")
	roleMax       = gauge("role_instances_max", "The most servers of the role, schedules applied.", "farm", "role")
	roleDesired   = gauge("role_instances_desired", "How many servers the role is to have by the last decision. Absent before the first.", "farm", "role")
	roleManual    = gauge("role_instances_manual", "How many servers somebody asked for by farmhand scale. Absent where nobody did.", "farm", "role")
	roleDecided   = gauge("role_decided_timestamp_seconds", "When the role's number was last decided on, as the ledger has it: of a sidecar at work at most some minutes ago. Absent before the first decision.", "farm", "role")
	roleScaled    = gauge("role_scaled_timestamp_seconds", "When the number last grew (direction out) or shrank (in). Absent if never.", "farm", "role", "direction")
	roleFailures  = gauge("role_consecutive_launch_failures", "Launches of the role that failed in a row; 0 again when one succeeds.", "farm", "role")
	roleHolds     = gauge("role_holds", "Standing reasons for not doing what one would expect, by their kind, as farmhand explain tells them; max is a role at its max whose policies want more.", "farm", "role", "hold")

	instanceCreated  = gauge("instance_created_timestamp_seconds", "When the launch of the server was decided on.", "farm", "role", "server")
	instanceServing  = gauge("instance_serving", "Whether the server is running and healthy by its agent's last report. Absent before the first report.", "farm", "role", "server")
	instanceReported = gauge("instance_report_timestamp_seconds", "When the server's agent last reported, every two seconds. Absent before the first report.", "farm", "role", "server")
	instanceVolume   = gauge("instance_volume_used_ratio", "How full the file system of the server's data volume is, 0 to 1. Absent where it has none.", "farm", "role", "server")
)

// phases are those that a record can have.
var phases = []state.Phase{state.Planned, state.Launching, state.Booting, state.Running, state.Draining, state.Terminating, state.Failed}

func (s *samples) role(f *farm, name string, r *role) {
	count, temporary := map[state.Phase]int{}, 0
	for _, i := range f.servers {
		switch {
		case i.Role != name:
		case i.Temporary():
			temporary++
		default:
			count[i.Phase]++
		}
	}
	for _, p := range phases {
		s.put(roleInstances, float64(count[p]), f.name, name, string(p))
	}
	deleting := f.ending(r)
	s.flag(roleDeleting, deleting, f.name, name)
	if deleting {
		return
	}
	declared := r.declared.Spec
	s.put(roleInfo, 1, f.name, name, declared.Behavior)
	s.put(roleTemporary, float64(temporary), f.name, name)
	least, most := declared.Min, declared.Max
	if r.record != nil {
		a := r.record.Account
		least, most = a.Min, a.Max
		s.put(roleDesired, float64(a.Desired), f.name, name)
		s.at(roleDecided, r.record.Until, f.name, name)
	}
	s.put(roleMin, float64(least), f.name, name)
	s.put(roleMax, float64(most), f.name, name)
	s.memory(f, name, r.memory)
	s.database(f, name, r)
	s.backups(f, name, r)
}

// ending tells of a role that is being destroyed, with its farm or alone.
func (f *farm) ending(r *role) bool {
	return r.declared == nil || r.declared.Deleting || f.declared.Deleting
}

func (s *samples) memory(f *farm, role string, m *state.Memory) {
	if m == nil {
		return
	}
	s.put(roleFailures, float64(m.LaunchFailures), f.name, role)
	s.at(roleScaled, m.LastScaleOut, f.name, role, state.Out)
	s.at(roleScaled, m.LastScaleIn, f.name, role, state.In)
	if m.Manual.Active(s.now) {
		s.put(roleManual, float64(m.Manual.N), f.name, role)
	}
	for kind, n := range holdsOf(m.Hold) {
		s.put(roleHolds, float64(n), f.name, role, kind)
	}
}

// holdsOf counts the holds of a Memory.Hold, "disk:mysql-1; disk:mysql-2; max", by kind: what is behind a colon names a server or
// a policy, but for the database's and the backups' own, whose kinds have a colon in them.
func holdsOf(hold string) map[string]int {
	kinds := map[string]int{}
	for _, key := range strings.Split(hold, "; ") {
		parts := strings.Split(key, ":")
		n := 1
		if parts[0] == "database" || parts[0] == "backup" {
			n = 2
		}
		if key != "" {
			kinds[strings.Join(parts[:min(n, len(parts))], ":")]++
		}
	}
	return kinds
}

func (s *samples) server(f *farm, name string, i state.Instance) {
	if r := f.roles[i.Role]; f.ending(r) || i.Temporary() {
		return
	}
	labels := []string{f.name, i.Role, name}
	s.at(instanceCreated, i.Created, labels...)
	report, heard := f.reports[name]
	if !heard {
		return
	}
	s.at(instanceReported, report.At, labels...)
	s.flag(instanceServing, i.Phase == state.Running && report.Serving(), labels...)
	if report.VolumeUsed > 0 {
		s.put(instanceVolume, report.VolumeUsed, labels...)
	}
}
