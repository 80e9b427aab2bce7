package aws

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
)

// Markets on which capacity is bought.
const (
	onDemand = "on-demand"
	spot     = "spot"
)

// pool is where capacity comes from: EC2 has room, or not, by instance type, zone and market.
type pool struct {
	Type   string `json:"type"`
	Subnet string `json:"subnet"`
	Zone   string `json:"zone"`
}

const (
	// refusedFirst is how long a pool that had no room is left alone, doubled with each refusal in a row up to refusedMost.
	// Shortages last for minutes to hours, and a call into one delays the launch elsewhere.
	refusedFirst = 2 * time.Minute
	refusedMost  = 30 * time.Minute
)

type refusal struct {
	at, until time.Time
	wait      time.Duration
	cause     error
}

// pools remembers which had no room. Safe for concurrent use.
type pools struct {
	now func() time.Time
	mu  sync.Mutex
	no  map[string]refusal
}

func poolKey(p pool, market string) string { return p.Type + " " + market + " " + p.Zone }

// refuse notes that a pool had no room.
func (ps *pools) refuse(p pool, market string, cause error) {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	if ps.no == nil {
		ps.no = map[string]refusal{}
	}
	key, now := poolKey(p, market), ps.now()
	last := ps.no[key]
	if last.until.After(now) {
		return // of the same round: two subnets of a zone are one pool
	}
	wait := refusedFirst
	if last.wait > 0 && now.Sub(last.until) < refusedMost {
		wait = min(2*last.wait, refusedMost)
	}
	ps.no[key] = refusal{at: now, until: now.Add(wait), wait: wait, cause: cause}
}

// give notes that a pool had room.
func (ps *pools) give(p pool, market string) {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	delete(ps.no, poolKey(p, market))
}

// open returns those of the pools that have not refused lately.
func (ps *pools) open(all []pool, market string) []pool {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	var open []pool
	for _, p := range all {
		if !ps.no[poolKey(p, market)].until.After(ps.now()) {
			open = append(open, p)
		}
	}
	return open
}

// refusals says in a sentence what was refused where, and returns the last cause.
func (ps *pools) refusals(all []pool, markets []string) (string, error) {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	zones := map[string]map[string]bool{} // "m7g.large on-demand": zones
	var last refusal
	var next time.Time
	for _, p := range all {
		for _, m := range markets {
			r, ok := ps.no[poolKey(p, m)]
			if !ok {
				continue
			}
			name := p.Type + " " + m
			if zones[name] == nil {
				zones[name] = map[string]bool{}
			}
			zones[name][p.Zone] = true
			if last.cause == nil || r.at.After(last.at) {
				last = r
			}
			if next.IsZero() || r.until.Before(next) {
				next = r.until
			}
		}
	}
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(zones)) {
		parts = append(parts, name+" in "+strings.Join(slices.Sorted(maps.Keys(zones[name])), ", "))
	}
	if len(parts) == 0 {
		return "nothing was tried", last.cause
	}
	return fmt.Sprintf("tried %s; the next try is at %s", strings.Join(parts, "; "), next.UTC().Format("15:04:05 UTC")), last.cause
}

// spread deals n out over zones so that they come as near to equal as can be, given how many each has already.
// Ties go to the first by name.
func spread(n int, zones []string, have map[string]int) map[string]int {
	given := map[string]int{}
	if len(zones) == 0 {
		return given
	}
	order := slices.Clone(zones)
	for range n {
		least := slices.MinFunc(order, func(a, b string) int {
			return cmp.Or(cmp.Compare(have[a]+given[a], have[b]+given[b]), cmp.Compare(a, b))
		})
		given[least]++
	}
	return given
}

// onDemandShare is how many of n further machines are to be on-demand ones, of a role that has so many of each.
// Above base, percent of a hundred are asked for on the Spot market; what is left over by rounding is on-demand.
func onDemandShare(n, haveOnDemand, haveSpot, base, percent int) int {
	if percent <= 0 {
		return n
	}
	total := n + haveOnDemand + haveSpot
	above := max(total-base, 0)
	want := min(total, base) + above - above*percent/100
	return min(max(want-haveOnDemand, 0), n)
}
