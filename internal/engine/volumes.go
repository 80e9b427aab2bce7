package engine

import (
	"fmt"

	"github.com/farmhand/terraform-provider-farmhand/internal/spec"
)

const (
	// volumeFull is the share of a data volume from which on it grows, where its role lets it, and is warned of.
	volumeFull = 0.85
	// A full volume grows by a quarter, at least 5 GiB: EBS lets it grow again after six hours only, and until then there is to be room.
	growShare = 4
	growLeast = 5
)

// VolumeSize is what a data volume of size GiB is to be, as it is declared and as full as it is (0..1; 0: not known). It never shrinks.
func VolumeSize(declared spec.Volume, size int, used float64) int {
	want := max(size, declared.SizeGB)
	if used >= volumeFull && declared.MaxSizeGB > want {
		want = min(declared.MaxSizeGB, want+max(want/growShare, growLeast))
	}
	return want
}

// heedVolumes tells of data volumes that are nearly full. Of a database's own the database tells.
func (p *pass) heedVolumes() {
	declared := p.role.Spec.Volume
	for i := range p.members {
		m := &p.members[i]
		if m.Report == nil || m.standing == gone || m.standing == leaving || m.Report.VolumeUsed < volumeFull {
			continue
		}
		then := "raise volume.size_gb, or let it grow by volume.max_size_gb"
		if declared != nil && declared.MaxSizeGB > 0 {
			then = fmt.Sprintf("it may grow up to %d GB, once in six hours", declared.MaxSizeGB)
		}
		p.hold("disk:"+m.Name(), warning, fmt.Sprintf("the data volume of %s is %.0f %% full: %s", m.Name(), m.Report.VolumeUsed*100, then), nil)
	}
}
