package engine

import (
	"fmt"
	"time"

	"github.com/farmhand/terraform-provider-farmhand/internal/state"
)

// followGap says, once, that transactions are in no stored binary log: found when somebody restores, it would be too late.
func (p *pass) followGap(b *state.Backups) {
	m := p.memberNamed(b.Archiver)
	if m == nil || m.Report == nil || m.Report.Backup == nil || m.Report.Backup.Looked.IsZero() {
		return
	}
	g := m.Report.Backup.Gap
	former := b.Gap
	b.Gap = g
	switch {
	case g != nil && (former == nil || former.First != g.First || former.Last != g.Last):
		level, what := failure, fmt.Sprintf("Backups do not lead across it: take one now with farmhand backup %s", p.role.Spec.ID())
		if g.Whole != "" {
			level, what = warning, fmt.Sprintf("Moments of that time cannot be restored; what came later can, from backup %s on", g.Whole)
		}
		p.noteBackup(level, m.Name(), fmt.Sprintf("%s. %s", g.Text, what))
	case g == nil && former != nil && m.Report.Backup.Looked.After(former.To):
		p.noteBackup(info, m.Name(), fmt.Sprintf("the binary logs of between %s and %s are whole again, or needed no longer", former.From.UTC().Format(time.DateTime), former.To.UTC().Format(time.DateTime)))
	}
}
