package aws

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/farmhand/terraform-provider-farmhand/internal/platform"
	"github.com/farmhand/terraform-provider-farmhand/internal/spec"
)

// wants is what a role's machines are, with the farm's values where it has none of its own.
type wants struct {
	types, subnets, groups []string
	key                    string
	publicIP               *bool
	spot, base             int
	spotOnly               bool
	rootGB                 int
}

func (p *AWS) wants(role spec.Role) wants { return wantsOf(*p.farm.AWS, role) }

func wantsOf(farm spec.AWS, role spec.Role) wants {
	w := wants{types: farm.InstanceTypes, subnets: farm.SubnetIDs, groups: farm.SecurityGroupIDs, key: farm.KeyName, publicIP: farm.PublicIP}
	r := role.AWS
	if r == nil {
		return w
	}
	if len(r.InstanceTypes) > 0 {
		w.types = r.InstanceTypes
	}
	if len(r.SubnetIDs) > 0 {
		w.subnets = r.SubnetIDs
	}
	if len(r.SecurityGroupIDs) > 0 {
		w.groups = r.SecurityGroupIDs
	}
	w.key = cmp.Or(r.KeyName, w.key)
	if r.PublicIP != nil {
		w.publicIP = r.PublicIP
	}
	w.spot, w.base, w.spotOnly, w.rootGB = r.Spot, r.OnDemandBase, r.SpotOnly, r.RootVolumeGB
	if w.spotOnly && w.spot == 0 {
		w.spot = 100
	}
	return w
}

func (w wants) markets() []string {
	switch {
	case w.spot <= 0:
		return []string{onDemand}
	case w.spotOnly && w.base == 0 && w.spot >= 100:
		return []string{spot}
	}
	return []string{onDemand, spot}
}

// image is the AMI that the role's machines are made from.
func (p *AWS) image(role spec.Role) string { return cmp.Or(role.Image, p.farm.AWS.AMI) }

// poolsOf are the role's pools in order of preference, of one zone or of all.
func (p *AWS) poolsOf(ctx context.Context, role spec.Role, w wants, zone string) ([]pool, error) {
	subnets, err := p.subnetsOf(ctx, role)
	if err != nil {
		return nil, err
	}
	var all []pool
	for _, t := range w.types {
		for _, s := range subnets {
			if zone == "" || s.zone == zone {
				all = append(all, pool{Type: t, Subnet: s.id, Zone: s.zone})
			}
		}
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("role %s has no subnet in zone %s, where its data is: give aws.subnet_ids one of that zone: %w", role.ID(), zone, platform.ErrInvalid)
	}
	return all, nil
}

// subnet is where machines are put.
type subnet struct{ id, zone, vpc string }

// subnetsOf looks the role's subnets up; once each, a subnet stays where it is.
func (p *AWS) subnetsOf(ctx context.Context, role spec.Role) ([]subnet, error) {
	ids := p.wants(role).subnets
	if len(ids) == 0 {
		return nil, fmt.Errorf("no subnets: set aws.subnet_ids: %w", platform.ErrInvalid)
	}
	p.mu.Lock()
	unknown := slices.ContainsFunc(ids, func(id string) bool { return p.subnets[id].id == "" })
	p.mu.Unlock()
	if unknown {
		c, err := p.compute(ctx)
		if err != nil {
			return nil, err
		}
		out, err := c.DescribeSubnets(ctx, &ec2.DescribeSubnetsInput{SubnetIds: ids})
		if err != nil {
			return nil, explain(err, "looking the subnets of farm "+p.farm.Name+" up")
		}
		p.mu.Lock()
		for _, s := range out.Subnets {
			p.subnets[awssdk.ToString(s.SubnetId)] = subnetOf(s)
		}
		p.mu.Unlock()
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	subnets := make([]subnet, 0, len(ids))
	for _, id := range ids {
		if s, ok := p.subnets[id]; ok {
			subnets = append(subnets, s)
		}
	}
	return subnets, nil
}

func subnetOf(s types.Subnet) subnet {
	return subnet{id: awssdk.ToString(s.SubnetId), zone: awssdk.ToString(s.AvailabilityZone), vpc: awssdk.ToString(s.VpcId)}
}
