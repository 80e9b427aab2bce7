package engine

import (
	"time"

	"github.com/farmhand/terraform-provider-farmhand/internal/state"
)

// clonesAwaited is how long the first backup of restored data waits for the other servers to be cloned.
const clonesAwaited = time.Hour

// backupServer is the replica of highest index that keeps up, else the primary, else nil: the lowest indexes are the likeliest to be
// promoted.
func (p *pass) backupServer() *member {
	d := p.role.Database
	if d == nil || d.Failover != nil {
		return nil
	}
	var primary *member
	for i := len(p.members) - 1; i >= 0; i-- {
		m := &p.members[i]
		if m.standing != serving || m.Report == nil || m.Report.Database == nil {
			continue
		}
		if m.Name() == d.Primary {
			primary = m
			continue
		}
		if r := m.Report.Database; !p.toBeCloned(m) && r.Applying && r.Receiving && r.LagKnown && r.Diverged == "" {
			return m
		}
	}
	if p.count(serving, sick, coming) > 1 && primary != nil && p.role.Database.PromotedAt.After(p.now.Add(-backupFirstRetry)) {
		return nil // its replicas are only just being repointed
	}
	return primary
}

// settled tells whether the servers have the data that was restored at a moment: a backup would hold up the clones that are under way.
func (p *pass) settled(at time.Time) bool {
	if p.since(at) > clonesAwaited {
		return true
	}
	for i := range p.members {
		if p.toBeCloned(&p.members[i]) {
			return false
		}
	}
	return p.since(at) > 0
}

// toBeCloned tells whether the server's data is still that of before.
func (p *pass) toBeCloned(m *member) bool {
	if p.role.Database == nil {
		return false
	}
	o, ok := p.role.Database.Orders[m.Name()]
	return ok && m.standing != gone && o.Token == m.Token && o.Office == state.OfficeClone && (m.report() == nil || m.report().Done < o.Seq)
}
