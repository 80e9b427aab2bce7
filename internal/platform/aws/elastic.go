package aws

import (
	"context"
	"errors"
	"time"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/farmhand/terraform-provider-farmhand/internal/spec"
	"github.com/farmhand/terraform-provider-farmhand/internal/state"
)

// addressesEvery is how often addresses are listed while nothing calls for it.
const addressesEvery = time.Minute

type elasticCache struct {
	at  time.Time
	all []types.Address
}

// keepAddresses gives each index of the roles that want it an Elastic IP of its own, lets it follow the index to its next machine, and
// releases those of indexes and roles that are no more.
func (p *AWS) keepAddresses(ctx context.Context, roles []spec.Role, s *sight, b *budget) error {
	wanting := map[string]bool{}
	for _, r := range roles {
		if r.AWS != nil && r.AWS.ElasticIP {
			wanting[r.Name] = true
		}
	}
	all, err := p.addresses(ctx, len(wanting) > 0)
	if err != nil {
		return err
	}
	byInstance, spare := addressesByInstance(all)
	used := map[string]bool{}
	var waiting []host
	for _, id := range sortedKeys(s.keys) {
		key := s.keys[id]
		h, ok := s.host(id)
		if !ok || !wanting[h.role] || key.Instance == "" || !key.Ended.IsZero() || h.gone() {
			continue
		}
		used[key.Instance] = true
		if a, has := byInstance[key.Instance]; !has || h.state == types.InstanceStateNameRunning && awssdk.ToString(a.InstanceId) != h.id {
			waiting = append(waiting, h)
		}
	}
	var errs []error
	for _, h := range turned(waiting, p.turn) {
		key := s.keys[h.id]
		a, has := byInstance[key.Instance]
		if !has {
			if !b.take() {
				break
			}
			if a, err = p.allocate(ctx, h.role, key.Instance); err != nil {
				errs = append(errs, err)
				continue
			}
		}
		if !b.take() {
			break
		}
		errs = append(errs, p.associate(ctx, h, key, a))
	}
	for instance, a := range byInstance {
		// An index that is away for a while keeps its address; one that the role no longer has does not.
		if !used[instance] && (!wanting[tag(a.Tags, tagRole)] || beyondMax(roles, instance)) {
			spare = append(spare, a)
		}
	}
	for _, a := range spare {
		if !b.take() || a.AssociationId != nil && !b.take() {
			break
		}
		errs = append(errs, p.release(ctx, a))
	}
	return errors.Join(errs...)
}

// addresses lists the farm's: once a minute, or when one was changed.
func (p *AWS) addresses(ctx context.Context, wanted bool) ([]types.Address, error) {
	p.mu.Lock()
	cached := p.elastic
	p.mu.Unlock()
	every := addressesEvery
	if !wanted {
		every *= 10
	}
	if !cached.at.IsZero() && p.now().Sub(cached.at) < every {
		return cached.all, nil
	}
	all, err := p.askAddresses(ctx)
	if err != nil {
		return nil, err
	}
	p.mu.Lock()
	p.elastic = elasticCache{at: p.now(), all: all}
	p.mu.Unlock()
	return all, nil
}

// askAddresses is one call: DescribeAddresses has no pages.
func (p *AWS) askAddresses(ctx context.Context) ([]types.Address, error) {
	c, err := p.compute(ctx)
	if err != nil {
		return nil, err
	}
	out, err := c.DescribeAddresses(ctx, &ec2.DescribeAddressesInput{Filters: []types.Filter{p.ours()}})
	if err != nil {
		return nil, explain(err, "listing the Elastic IP addresses of farm "+p.farm.Name)
	}
	return out.Addresses, nil
}

// addressesByInstance is each index's address, and those that it has too many: AllocateAddress has no client token, and one that is
// not listed yet is allocated again. The one in use is kept, else the first by id.
func addressesByInstance(all []types.Address) (of map[string]types.Address, spare []types.Address) {
	of = map[string]types.Address{}
	for _, a := range all {
		instance := tag(a.Tags, tagInstance)
		kept, twice := of[instance]
		switch {
		case !twice:
			of[instance] = a
		case kept.AssociationId == nil && (a.AssociationId != nil || awssdk.ToString(a.AllocationId) < awssdk.ToString(kept.AllocationId)):
			of[instance] = a
			spare = append(spare, kept)
		default:
			spare = append(spare, a)
		}
	}
	return of, spare
}

func (p *AWS) allocate(ctx context.Context, role, instance string) (types.Address, error) {
	c, err := p.compute(ctx)
	if err != nil {
		return types.Address{}, err
	}
	tags := p.tags(tagRole, role, tagInstance, instance, tagName, p.farm.Name+" "+instance)
	out, err := c.AllocateAddress(ctx, &ec2.AllocateAddressInput{Domain: types.DomainTypeVpc, TagSpecifications: tagged(tags, types.ResourceTypeElasticIp)})
	if err != nil {
		return types.Address{}, explain(err, "allocating an Elastic IP address to "+instance)
	}
	a := types.Address{AllocationId: out.AllocationId, PublicIp: out.PublicIp, Tags: tags}
	p.mu.Lock()
	p.elastic.all = append(p.elastic.all, a) // it may not be listed at once
	p.mu.Unlock()
	return a, nil
}

// associate gives a running machine its index's address, also where the former machine still has it.
func (p *AWS) associate(ctx context.Context, h host, key state.Machine, a types.Address) error {
	if h.state != types.InstanceStateNameRunning || awssdk.ToString(a.InstanceId) == h.id {
		return nil
	}
	c, err := p.compute(ctx)
	if err != nil {
		return err
	}
	out, err := c.AssociateAddress(ctx, &ec2.AssociateAddressInput{AllocationId: a.AllocationId, InstanceId: awssdk.String(h.id), AllowReassociation: awssdk.Bool(true)})
	if err != nil {
		return explain(err, "associating the Elastic IP address of "+key.Instance)
	}
	p.mu.Lock()
	for i := range p.elastic.all {
		if awssdk.ToString(p.elastic.all[i].AllocationId) == awssdk.ToString(a.AllocationId) {
			p.elastic.all[i].InstanceId, p.elastic.all[i].AssociationId = awssdk.String(h.id), out.AssociationId
		}
	}
	p.mu.Unlock()
	key.Address = awssdk.ToString(a.PublicIp)
	return p.setKey(ctx, h.id, key)
}

// release gives an address back. One that is associated is taken away first.
func (p *AWS) release(ctx context.Context, a types.Address) error {
	c, err := p.compute(ctx)
	if err != nil {
		return err
	}
	doing := "releasing Elastic IP address " + awssdk.ToString(a.PublicIp)
	if a.AssociationId != nil {
		_, err := c.DisassociateAddress(ctx, &ec2.DisassociateAddressInput{AssociationId: a.AssociationId})
		if err != nil && !isUnknown(err) {
			return explain(err, doing)
		}
	}
	_, err = c.ReleaseAddress(ctx, &ec2.ReleaseAddressInput{AllocationId: a.AllocationId})
	if err != nil && !isUnknown(err) {
		return explain(err, doing)
	}
	p.mu.Lock()
	p.elastic.at = time.Time{}
	p.mu.Unlock()
	return nil
}

// beyondMax tells that the instance's role has no such index any more.
func beyondMax(roles []spec.Role, instance string) bool {
	for _, r := range roles {
		if r.Name == roleOf(instance) {
			for i := 1; i <= r.Max; i++ {
				if state.InstanceName(r.Name, i) == instance {
					return false
				}
			}
			return true
		}
	}
	return false
}
