package engine

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/farmhand/terraform-provider-farmhand/internal/spec"
)

// victim is the next server to leave: of the oldest generation first, then the unhealthy, then of the zone that has the
// most, then by the role's order. Never the primary or a protected one, unless none is to stay at all or a protected one's generation is over; never
// one whose shutdown hook says wait. nil if nobody may. The order is total, so the same view names the same victim.
func (p *pass) victim() *member {
	shrinks := p.memory.Desired < p.role.Memory.Desired
	var may []*member
	zones := map[string]int{}
	heldUp := !shrinks && p.outdatedWaits()
	for i := range p.members {
		m := &p.members[i]
		if m.standing != serving && m.standing != sick {
			continue
		}
		zones[m.Zone]++
		// A roll-out replaces protected servers, too: otherwise it would never end.
		kept := p.keepsOffice(m) || m.Protected && (shrinks || !m.old)
		if p.waits(m) || heldUp && !m.old {
			continue
		}
		if !m.chosen && (!kept || p.account.Desired == 0) {
			may = append(may, m)
		}
	}
	if len(may) == 0 {
		return nil
	}
	return slices.MinFunc(may, func(a, b *member) int {
		young := 0
		if shrinks { // a promise of a life of some length; a roll-out makes none
			young = compareBool(p.tooYoung(a), p.tooYoung(b))
		}
		indexed := 0
		if p.role.Stateful || p.role.InPlace { // the highest index, whatever else: those that stay are 1 to n
			indexed = cmp.Compare(b.Index, a.Index)
		}
		return cmp.Or(
			young,
			compareBool(b.old, a.old),
			p.byGeneration(a, b),
			compareBool(b.standing == sick, a.standing == sick),
			indexed,
			cmp.Compare(zones[b.Zone], zones[a.Zone]),
			p.byOrder(a, b),
			cmp.Compare(b.Index, a.Index),
		)
	})
}

// byGeneration puts the older of two generations that are both not the role's own first.
func (p *pass) byGeneration(a, b *member) int {
	if !a.old || !b.old || a.Generation == b.Generation {
		return 0
	}
	return p.firstOf(a.Generation).Compare(p.firstOf(b.Generation))
}

// firstOf is when the first of a generation's servers was made.
func (p *pass) firstOf(generation string) time.Time {
	var first time.Time
	for i := range p.members {
		if m := &p.members[i]; m.Generation == generation && (first.IsZero() || m.Created.Before(first)) {
			first = m.Created
		}
	}
	return first
}

// byOrder is the role's order of victims among the equally worthy.
func (p *pass) byOrder(a, b *member) int {
	age := cmp.Or(a.Created.Compare(b.Created), cmp.Compare(a.Index, b.Index))
	switch p.role.Spec.ScaleIn {
	case spec.ScaleInOldest:
		return age
	case spec.ScaleInLeastBusy:
		return cmp.Or(cmp.Compare(busy(a), busy(b)), -age)
	case spec.ScaleInClosestToHour:
		return cmp.Or(cmp.Compare(p.paidFor(a), p.paidFor(b)), -age)
	}
	return -age
}

// busy is a server's latest load, by its processors' use and then by who waits for them; of one that says nothing, as
// if it were the busiest: it is not taken for idle.
func busy(m *member) float64 {
	if m.Report == nil || len(m.Report.Samples) == 0 {
		return math.Inf(1)
	}
	s := m.Report.Samples[len(m.Report.Samples)-1]
	if !sane(s.Load1) || !sane(s.CPU) {
		return math.Inf(1)
	}
	return s.CPU + s.Load1
}

// paidFor is what is left of the hour that a server is paid for, counted from its launch.
func (p *pass) paidFor(m *member) time.Duration {
	return paidHour - max(0, p.since(m.Created))%paidHour
}

// paidHour is what some platforms still sell.
const paidHour = time.Hour

// tooYoung tells that a queue's minimum lifetime keeps the server.
func (p *pass) tooYoung(m *member) bool { return p.since(m.Created) < p.lifetime() }

// lifetime is the longest that a queue of the role lets its servers live.
func (p *pass) lifetime() time.Duration {
	var longest time.Duration
	for i := range p.role.Policies {
		if q := p.role.Policies[i].Spec.Queue; q != nil {
			longest = max(longest, q.MinimumLifetime.Std())
		}
	}
	return longest
}

// removable counts the servers that may be chosen to leave, and says what keeps them if none may.
func (p *pass) removable() (n int, why string) {
	kept, young, waiting := 0, 0, ""
	for i := range p.members {
		m := &p.members[i]
		switch {
		case m.standing != serving && m.standing != sick:
		case p.waits(m):
			waiting = cmp.Or(waiting, p.whyWaits(m))
		case p.keepsOffice(m) || m.Protected:
			kept++
		case p.tooYoung(m):
			young++
		default:
			n++
		}
	}
	switch {
	case waiting != "": // what a roll-out has too many is to leave before the role shrinks
		return n - max(0, p.count(serving, sick)-p.memory.Desired), waiting
	case young > 0:
		return n, fmt.Sprintf("none of its servers has lived for %s yet", brief(p.lifetime()))
	case kept > 0:
		return n, fmt.Sprintf("%s the primary or protected", serversAre(kept))
	}
	return n, "no server is there that could leave"
}

func (p *pass) whyVictim(m *member, desired int) string {
	return p.whyChosen(m, desired) + p.overruled(m)
}

func (p *pass) whyChosen(m *member, desired int) string {
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
