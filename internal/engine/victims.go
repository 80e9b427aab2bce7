package engine

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/farmhand/terraform-provider-farmhand/internal/spec"
)

// victim is the next server to leave: of the oldest generation first, then the unhealthy, then by the role's order;
// never the primary, unless none is to stay at all. nil if nobody may. The order is total, so the same view names the
// same victim.
func (p *pass) victim() *member {
	var may []*member
	for i := range p.members {
		m := &p.members[i]
		if (m.standing == serving || m.standing == sick) && !m.chosen && (!m.Primary || p.account.Desired == 0) {
			may = append(may, m)
		}
	}
	if len(may) == 0 {
		return nil
	}
	return slices.MinFunc(may, func(a, b *member) int {
		return cmp.Or(
			compareBool(b.old, a.old),
			compareBool(b.standing == sick, a.standing == sick),
			p.byAge(a, b),
		)
	})
}

// byAge is the role's order of victims among the equally worthy.
func (p *pass) byAge(a, b *member) int {
	if p.role.Stateful || p.role.InPlace { // the highest index, whatever its age: those that stay are 1 to n
		return cmp.Compare(b.Index, a.Index)
	}
	age := cmp.Or(a.Created.Compare(b.Created), cmp.Compare(a.Index, b.Index))
	if p.role.Spec.ScaleIn == spec.ScaleInOldest {
		return age
	}
	return -age
}

func (p *pass) whyVictim(m *member, desired int) string {
	switch {
	case m.old && desired >= p.role.Memory.Desired && p.role.Memory.Desired > 0:
		return fmt.Sprintf("generation %s takes the place of %s", short(p.role.Generation), short(m.Generation))
	case p.account.Reason != "" && desired < p.role.Memory.Desired:
		return p.account.Reason
	case m.standing == sick:
		return fmt.Sprintf("role %s is to have %s, and it is sick: %s", p.role.Spec.Name, servers(desired), m.ailment.reason)
	}
	return fmt.Sprintf("role %s is to have %s", p.role.Spec.Name, servers(desired))
}
