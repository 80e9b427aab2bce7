package exporter

import (
	"cmp"

	"github.com/farmhand/terraform-provider-farmhand/internal/state"
)

var (
	buildInfo = gauge("build_info", "Always 1; version is that of who answers.", "version")
	storeUp   = gauge("store_up", "Whether the store could be read (1) or not (0); then nothing else is exported.")

	sidecarInfo = gauge("sidecar_info", "Always 1, for each sidecar that says in a store that others reach that it runs; sidecar is its farmhand_sidecar.", "holder", "sidecar", "version", "host")
	sidecarSeen = gauge("sidecar_seen_timestamp_seconds", "When that sidecar last said so, every ten seconds.", "holder")

	farmInfo       = gauge("farm_info", "Always 1, for each farm that is declared.", "farm", "platform", "zone")
	farmDeleting   = gauge("farm_deleting", "Whether the farm is being destroyed.", "farm")
	farmKept       = gauge("farm_kept", "Whether a sidecar holds the farm's lease, by the clock of who answers.", "farm")
	farmLease      = gauge("farm_lease_info", "Always 1; holder is the sidecar that holds the farm's lease. Absent while nobody does.", "farm", "holder")
	farmUnreadable = gauge("farm_unreadable_records", "Records of the farm that could not be read, as another version may have written them; what they say is absent.", "farm")
)

// sidecars exports those that live. What an ended one left expires in the store.
func (s *samples) sidecars(alive []state.Alive) {
	for _, a := range alive {
		if a.Lives(s.now) {
			s.put(sidecarInfo, 1, a.Holder, cmp.Or(a.Sidecar, "none"), a.Version, a.Host)
			s.at(sidecarSeen, a.Seen, a.Holder)
		}
	}
}

// farm exports all of a farm; one that has ended has nothing to tell.
func (s *samples) farm(f *farm) {
	s.put(farmUnreadable, float64(f.unreadable), f.name)
	if f.declared == nil || f.declared.Ended {
		return
	}
	s.put(farmInfo, 1, f.name, f.declared.Spec.Platform(), f.declared.Spec.Zone)
	s.flag(farmDeleting, f.declared.Deleting, f.name)
	kept := f.lease.Holder != "" && s.now.Before(f.lease.Expires)
	s.flag(farmKept, kept, f.name)
	if kept {
		s.put(farmLease, 1, f.name, f.lease.Holder)
	}
	for name, r := range f.roles {
		s.role(f, name, r)
	}
	for name, i := range f.servers {
		s.server(f, name, i)
	}
}
