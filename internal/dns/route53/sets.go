package route53

import (
	"cmp"
	"context"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	api "github.com/aws/aws-sdk-go-v2/service/route53"
	"github.com/aws/aws-sdk-go-v2/service/route53/types"

	"github.com/farmhand/terraform-provider-farmhand/internal/dns"
)

// recordSets are a hosted zone's, by plain name and type. Several of one name and type (weighted, by region, ...) are
// never ours, and only known to be there.
type recordSets struct {
	byName map[string]map[types.RRType][]types.ResourceRecordSet
}

func newSets() *recordSets {
	return &recordSets{byName: map[string]map[types.RRType][]types.ResourceRecordSet{}}
}

// list reads the whole zone, page by page.
func (p *Publisher) list(ctx context.Context) (*recordSets, error) {
	sets := newSets()
	pages := api.NewListResourceRecordSetsPaginator(p.client, &api.ListResourceRecordSetsInput{HostedZoneId: &p.opts.HostedZoneID})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		for _, s := range page.ResourceRecordSets {
			sets.add(s)
		}
	}
	return sets, nil
}

func (z *recordSets) add(s types.ResourceRecordSet) {
	name := plain(aws.ToString(s.Name))
	if z.byName[name] == nil {
		z.byName[name] = map[types.RRType][]types.ResourceRecordSet{}
	}
	z.byName[name][s.Type] = append(z.byName[name][s.Type], s)
}

func (z *recordSets) remove(s types.ResourceRecordSet) {
	delete(z.byName[plain(aws.ToString(s.Name))], s.Type)
}

// owners are the names that some ownership text claims.
func (z *recordSets) owners() map[string]string {
	owners := map[string]string{}
	for at, byType := range z.byName {
		name, ok := strings.CutPrefix(at, "_farmhand.")
		if !ok {
			continue
		}
		if rest, any := strings.CutPrefix(name, "_any."); any {
			name = "*." + rest
		}
		for _, s := range byType[types.RRTypeTxt] {
			if owner, ok := ownerOf(s); ok {
				owners[name] = owner
			}
		}
	}
	return owners
}

func ownerOf(s types.ResourceRecordSet) (string, bool) {
	if len(s.ResourceRecords) != 1 {
		return "", false
	}
	return dns.OwnerIn(strings.Trim(aws.ToString(s.ResourceRecords[0].Value), `"`))
}

// addressTypes are the types that are published.
var addressTypes = [...]types.RRType{types.RRTypeA, types.RRTypeAaaa}

// held is what stands at a name.
func (z *recordSets) held(name string) dns.Held {
	h := dns.Held{Record: dns.Record{Name: name}}
	for _, s := range z.byName[dns.OwnershipName(name)][types.RRTypeTxt] {
		if owner, ok := ownerOf(s); ok {
			h.Owner, h.Owned = owner, true
		} else {
			h.Other = "another TXT record " + dns.OwnershipName(name)
		}
	}
	for _, t := range addressTypes {
		for _, s := range z.byName[name][t] {
			if s.AliasTarget != nil || s.SetIdentifier != nil {
				h.Other = "an alias or a record with a routing policy"
				continue
			}
			h.TTL = time.Duration(aws.ToInt64(s.TTL)) * time.Second
			for _, r := range s.ResourceRecords {
				if a, err := netip.ParseAddr(aws.ToString(r.Value)); err == nil {
					h.Addresses = append(h.Addresses, a)
				}
			}
		}
	}
	if len(z.byName[name][types.RRTypeCname]) > 0 {
		h.Other = "a CNAME record"
	}
	return h
}

// step is a dns.Step as changes of record sets.
type step struct {
	dns.Step
	changes []types.Change
}

// step makes the changes of one name: a set that stays as it is has none.
func (z *recordSets) step(s dns.Step, owner string) step {
	st := step{Step: s}
	ownership := dns.OwnershipName(s.Name)
	if s.Withdraw {
		for _, set := range z.byName[ownership][types.RRTypeTxt] {
			st.changes = append(st.changes, types.Change{Action: types.ChangeActionDelete, ResourceRecordSet: &set})
		}
	}
	if s.Claim {
		st.changes = append(st.changes, create(ownership, types.RRTypeTxt, dns.DefaultTTL, []string{strconv.Quote(dns.OwnershipText(owner))}))
	}
	for _, t := range addressTypes {
		var values []string
		if !s.Withdraw {
			values = valuesOf(s.New.Addresses, t)
		}
		old := z.byName[s.Name][t]
		if len(old) == 1 && same(old[0], s.New.TTL, values) {
			continue
		}
		for _, set := range old {
			st.changes = append(st.changes, types.Change{Action: types.ChangeActionDelete, ResourceRecordSet: &set})
		}
		if len(values) > 0 {
			st.changes = append(st.changes, create(s.Name, t, s.New.TTL, values))
		}
	}
	return st
}

func same(s types.ResourceRecordSet, ttl time.Duration, values []string) bool {
	var has []string
	for _, r := range s.ResourceRecords {
		has = append(has, aws.ToString(r.Value))
	}
	slices.Sort(has)
	return aws.ToInt64(s.TTL) == int64(ttl.Seconds()) && slices.Equal(has, slices.Sorted(slices.Values(values)))
}

func valuesOf(addresses []netip.Addr, t types.RRType) []string {
	var values []string
	for _, a := range addresses {
		if a.Unmap().Is4() == (t == types.RRTypeA) {
			values = append(values, a.Unmap().String())
		}
	}
	return values
}

func create(name string, t types.RRType, ttl time.Duration, values []string) types.Change {
	set := &types.ResourceRecordSet{Name: aws.String(name + "."), Type: t, TTL: aws.Int64(int64(ttl.Seconds()))}
	for _, v := range values {
		set.ResourceRecords = append(set.ResourceRecords, types.ResourceRecord{Value: aws.String(v)})
	}
	return types.Change{Action: types.ChangeActionCreate, ResourceRecordSet: set}
}

// plain is a name as we write it: Route 53 lists it with a final dot and with octal escapes ("\052" for an asterisk).
func plain(name string) string {
	var b strings.Builder
	for i := 0; i < len(name); i++ {
		if name[i] == '\\' && i+3 < len(name) {
			if n, err := strconv.ParseUint(name[i+1:i+4], 8, 8); err == nil {
				b.WriteByte(byte(n))
				i += 3
				continue
			}
		}
		b.WriteByte(name[i])
	}
	return strings.ToLower(strings.TrimSuffix(b.String(), "."))
}

// batches groups steps so that each group is within Route 53's limits for one request: 1,000 resource records, and
// 32,000 characters of values. What belongs to one name is never parted.
func batches(steps []step) [][]step {
	const mostRecords, mostCharacters = 1000, 32000
	var all [][]step
	records, characters := mostRecords, mostCharacters
	for _, s := range steps {
		r, c := 0, 0
		for _, change := range s.changes {
			for _, record := range change.ResourceRecordSet.ResourceRecords {
				r, c = r+1, c+len(aws.ToString(record.Value))
			}
		}
		if records+r > mostRecords || characters+c > mostCharacters {
			all, records, characters = append(all, nil), 0, 0
		}
		all[len(all)-1] = append(all[len(all)-1], s)
		records, characters = records+r, characters+c
	}
	return all
}

// change carries the steps out, in one batch where the limits allow. Withdrawals go last if there are several.
func (p *Publisher) change(ctx context.Context, steps []step) (done []dns.Change, err error) {
	slices.SortStableFunc(steps, func(a, b step) int { return cmp.Compare(bit(a.Withdraw), bit(b.Withdraw)) })
	steps = slices.DeleteFunc(steps, func(s step) bool { return len(s.changes) == 0 })
	for _, batch := range batches(steps) {
		var changes []types.Change
		for _, s := range batch {
			changes = append(changes, s.changes...)
		}
		_, err := p.client.ChangeResourceRecordSets(ctx, &api.ChangeResourceRecordSetsInput{
			HostedZoneId: &p.opts.HostedZoneID,
			ChangeBatch:  &types.ChangeBatch{Comment: aws.String("farmhand " + p.opts.Owner), Changes: changes},
		})
		if err != nil {
			return done, err
		}
		for _, c := range changes {
			if c.Action == types.ChangeActionDelete {
				p.sets.remove(*c.ResourceRecordSet)
			}
		}
		for _, c := range changes {
			if c.Action == types.ChangeActionCreate {
				p.sets.add(*c.ResourceRecordSet)
			}
		}
		for _, s := range batch {
			done = append(done, s.Change())
		}
	}
	return done, nil
}

func bit(b bool) int {
	if b {
		return 1
	}
	return 0
}
