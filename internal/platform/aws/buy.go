package aws

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/farmhand/terraform-provider-farmhand/internal/platform"
	"github.com/farmhand/terraform-provider-farmhand/internal/spec"
	"github.com/farmhand/terraform-provider-farmhand/internal/state"
)

// zonesAtOnce bounds over how many zones one launch is spread: each is a call. Later launches go to the others.
const zonesAtOnce = 3

// purchase is a number of like machines to be launched.
type purchase struct {
	role       spec.Role
	generation string
	template   string
	zone       string // "" for any
	intents    []state.Machine
	sight      *sight
}

// ask is one call: so many machines out of these pools.
type ask struct {
	zone           string
	onDemand, spot int
	pools          []pool
}

// buy calls EC2 until every intent has a machine, handing each to got. Pools that have no room are left alone for a while,
// and the next choice is tried at once. ErrCapacity says what was tried.
func (p *AWS) buy(ctx context.Context, b purchase, got func(host, state.Machine) error) error {
	wants := p.wants(b.role)
	all, err := p.poolsOf(ctx, b.role, wants, b.zone)
	if err != nil {
		return err
	}
	left := b.intents
	var bought []host // the sight does not know them
	for len(left) > 0 {
		asks := p.choose(len(left), wants, all, b, bought)
		if len(asks) == 0 {
			text, cause := p.pools.refusals(all, wants.markets())
			err := fmt.Errorf("no capacity for %s in %s: %s", b.role.ID(), p.farm.AWS.Region, text)
			if cause != nil {
				err = fmt.Errorf("%w: %w", err, cause)
			}
			if !errors.Is(err, platform.ErrCapacity) {
				err = fmt.Errorf("%w: %w", err, platform.ErrCapacity)
			}
			return err
		}
		for _, a := range asks {
			n := a.onDemand + a.spot
			hosts, err := p.place(ctx, b, a, left[:n], got)
			bought = append(bought, hosts...)
			left = append(slices.Clone(left[n:]), left[min(len(hosts), n):n]...)
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// place writes the call down, makes it and takes the note away once its machines are known by name.
// The note stays where that fails, and settle repeats the call.
func (p *AWS) place(ctx context.Context, b purchase, a ask, intents []state.Machine, got func(host, state.Machine) error) ([]host, error) {
	order := batch{Role: b.role.Name, Generation: b.generation, Template: b.template, OnDemand: a.onDemand, Spot: a.spot, Pools: a.pools, Intents: intents, At: p.now().UTC()}
	order.ID = order.token(p.farm.Name)
	if err := p.noteBatch(ctx, order); err != nil {
		return nil, err
	}
	hosts, err := p.fleet(ctx, order)
	if err != nil {
		if !outcomeUnknown(ctx, err) { // nothing was made
			err = errors.Join(err, p.dropBatch(ctx, order))
		}
		return nil, err
	}
	for i, h := range hosts[:min(len(hosts), len(intents))] {
		if err := got(h, intents[i]); err != nil {
			return nil, err
		}
	}
	return hosts, p.dropBatch(ctx, order)
}

// token names the call: by whom it is for, what it asks, and when it was decided on. It stands in the note that a repetition
// is made from, so that the repetition has the same one. At most 64 characters
// (https://docs.aws.amazon.com/ec2/latest/devguide/ec2-api-idempotency.html).
func (b batch) token(farm string) string {
	var of strings.Builder
	fmt.Fprintf(&of, "%s %s %s %d %d %d", farm, b.Role, b.Generation, b.OnDemand, b.Spot, b.At.UnixNano())
	for _, i := range b.Intents {
		fmt.Fprintf(&of, " %s%s", i.Token, i.Warm)
	}
	for _, p := range b.Pools {
		fmt.Fprintf(&of, " %s/%s", p.Type, p.Subnet)
	}
	sum := sha256.Sum256([]byte(of.String()))
	return hex.EncodeToString(sum[:16])
}

// choose deals the machines over zones and markets: on-demand ones up to the role's share, Spot ones above, each to the zones
// that have fewest, out of pools that have not refused lately. Spot ones go on-demand where Spot has no room.
func (p *AWS) choose(n int, w wants, all []pool, b purchase, bought []host) []ask {
	open := map[string]map[string][]pool{onDemand: byZone(p.pools.open(all, onDemand)), spot: byZone(p.pools.open(all, spot))}
	have := map[string]int{} // by zone
	haveBy := map[string]int{}
	for _, h := range slices.Concat(b.sight.hosts, bought) {
		if h.role != b.role.Name || !h.alive() || b.sight.keys[h.id].Warm != "" {
			continue
		}
		have[h.zone]++
		if h.spot {
			haveBy[spot]++
		} else {
			haveBy[onDemand]++
		}
	}
	number := map[string]int{onDemand: onDemandShare(n, haveBy[onDemand], haveBy[spot], w.base, w.spot)}
	number[spot] = n - number[onDemand]
	if len(open[spot]) == 0 && !w.spotOnly {
		number = map[string]int{onDemand: n}
	}
	asks := map[string]*ask{}
	for _, market := range []string{onDemand, spot} {
		zones := slices.SortedFunc(maps.Keys(open[market]), func(a, b string) int {
			if have[a] != have[b] {
				return have[a] - have[b]
			}
			return strings.Compare(a, b)
		})
		for zone, count := range spread(number[market], firstN(zones, zonesAtOnce), have) {
			have[zone] += count
			key := zone
			if !slices.Equal(open[onDemand][zone], open[spot][zone]) {
				key += " " + market // their pools differ, and a call has one list of them
			}
			a := asks[key]
			if a == nil {
				a = &ask{zone: zone, pools: open[market][zone]}
				asks[key] = a
			}
			if market == spot {
				a.spot = count
			} else {
				a.onDemand = count
			}
		}
	}
	var list []ask
	for _, key := range sortedKeys(asks) {
		if a := asks[key]; a.onDemand+a.spot > 0 {
			list = append(list, *a)
		}
	}
	return list
}

func byZone(ps []pool) map[string][]pool {
	m := map[string][]pool{}
	for _, p := range ps {
		m[p.Zone] = append(m[p.Zone], p)
	}
	return m
}
