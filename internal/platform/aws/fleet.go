package aws

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/farmhand/terraform-provider-farmhand/internal/platform"
)

// fleet makes one call of CreateFleet. A fleet of type "instant" answers at once with the machines that it launched and the
// reasons why there are no more, and manages nothing afterwards
// (https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instant-fleet.html). What had no room is remembered; an error is one that
// no other pool mends, and then nothing was launched, except for ErrUnavailable, which tells nothing.
func (p *AWS) fleet(ctx context.Context, b batch) ([]host, error) {
	c, err := p.compute(ctx)
	if err != nil {
		return nil, err
	}
	doing := fmt.Sprintf("launching %d of role %s", b.OnDemand+b.Spot, b.Role)
	out, err := c.CreateFleet(ctx, p.fleetInput(b))
	if strings.HasPrefix(code(err), "InvalidLaunchTemplateId") {
		p.forgetTemplate(b.Template) // somebody has deleted it
		return nil, refused{fmt.Errorf("%s: %w: the launch template is gone, and is made again: %w", doing, err, platform.ErrUnavailable)}
	}
	if err != nil {
		return nil, p.refusedAll(b, p.late(explain(err, doing)))
	}
	hosts := p.launched(b, out.Instances)
	if len(hosts) >= b.OnDemand+b.Spot {
		return hosts, nil
	}
	fatal := p.refusedSome(b, out.Errors, doing)
	if fatal != nil && len(hosts) == 0 {
		return nil, refused{p.late(fatal)}
	}
	return hosts, nil
}

// refused is an answer by which nothing was launched: the call is not to be repeated by its token, which would give the same answer.
type refused struct{ error }

// Unwrap gives the reason.
func (r refused) Unwrap() error { return r.error }

// outcomeUnknown tells that a call may have launched machines though it gave an error.
func outcomeUnknown(ctx context.Context, err error) bool {
	return !errors.As(err, new(refused)) && (errors.Is(err, platform.ErrUnavailable) || ctx.Err() != nil)
}

// profileLate is how long EC2 may not know an instance profile that was just made. IAM says "seconds"
// (https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot.html, "Changes that I make are not always immediately visible").
const profileLate = 2 * time.Minute

// late takes an unknown profile for one that is not known yet where the farm has its own made, as long as the farm may be new.
func (p *AWS) late(err error) error {
	var e *explained
	if !errors.As(err, &e) || e.advice != profileAdvice || p.farm.AWS.InstanceProfile != "" || p.now().Sub(p.since) > profileLate {
		return err
	}
	return &explained{summary: e.summary, advice: "the farm's instance profile was just made, and EC2 does not know it yet; it is tried again", class: platform.ErrUnavailable}
}

func (p *AWS) fleetInput(b batch) *ec2.CreateFleetInput {
	overrides := make([]types.FleetLaunchTemplateOverridesRequest, 0, len(b.Pools))
	ranks := []string{}
	for _, of := range b.Pools {
		if !slices.Contains(ranks, of.Type) {
			ranks = append(ranks, of.Type)
		}
		overrides = append(overrides, types.FleetLaunchTemplateOverridesRequest{
			InstanceType: types.InstanceType(of.Type), SubnetId: awssdk.String(of.Subnet),
			Priority: awssdk.Float64(float64(slices.Index(ranks, of.Type))), // the lowest comes first
		})
	}
	in := &ec2.CreateFleetInput{
		Type:        types.FleetTypeInstant,
		ClientToken: awssdk.String(b.ID),
		LaunchTemplateConfigs: []types.FleetLaunchTemplateConfigRequest{{
			LaunchTemplateSpecification: &types.FleetLaunchTemplateSpecificationRequest{LaunchTemplateId: awssdk.String(b.Template), Version: awssdk.String("1")},
			Overrides:                   overrides,
		}},
		TargetCapacitySpecification: &types.TargetCapacitySpecificationRequest{
			TotalTargetCapacity:       awssdk.Int32(int32(b.OnDemand + b.Spot)),
			OnDemandTargetCapacity:    awssdk.Int32(int32(b.OnDemand)),
			SpotTargetCapacity:        awssdk.Int32(int32(b.Spot)),
			DefaultTargetCapacityType: types.DefaultTargetCapacityTypeOnDemand,
		},
		TagSpecifications: tagged(p.tags(tagRole, b.Role, tagGeneration, b.Generation, tagBatch, b.ID),
			types.ResourceTypeFleet, types.ResourceTypeInstance, types.ResourceTypeVolume, types.ResourceTypeNetworkInterface),
	}
	// The order of instance_types is kept on demand; on the Spot market AWS advises to weigh price and the risk of interruption
	// (https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/ec2-fleet-allocation-strategy.html).
	if b.OnDemand > 0 {
		in.OnDemandOptions = &types.OnDemandOptionsRequest{AllocationStrategy: types.FleetOnDemandAllocationStrategyPrioritized}
	}
	if b.Spot > 0 {
		in.TargetCapacitySpecification.DefaultTargetCapacityType = types.DefaultTargetCapacityTypeSpot
		in.SpotOptions = &types.SpotOptionsRequest{AllocationStrategy: types.SpotAllocationStrategyPriceCapacityOptimized}
	}
	return in
}

// launched are the machines of an answer. They are listed from now on, whether EC2 lists them yet or not.
func (p *AWS) launched(b batch, instances []types.CreateFleetInstance) []host {
	var hosts []host
	for _, i := range instances {
		h := host{role: b.Role, generation: b.Generation, batch: b.ID, state: types.InstanceStateNamePending, launched: p.now(),
			kind: string(i.InstanceType), spot: i.Lifecycle == types.InstanceLifecycleSpot, disks: map[string]string{}}
		if o := i.LaunchTemplateAndOverrides; o != nil && o.Overrides != nil {
			h.subnet = awssdk.ToString(o.Overrides.SubnetId)
		}
		for _, of := range b.Pools {
			if of.Subnet == h.subnet || len(b.Pools) == 1 || h.zone == "" && h.subnet == "" {
				h.zone = of.Zone
			}
		}
		market := onDemand
		if h.spot {
			market = spot
		}
		p.pools.give(pool{Type: h.kind, Zone: h.zone}, market)
		for _, id := range i.InstanceIds {
			one := h
			one.id = id
			hosts = append(hosts, one)
		}
	}
	p.mu.Lock()
	for _, h := range hosts {
		p.fresh[h.id] = h
	}
	p.mu.Unlock()
	return hosts
}

// refusedAll notes that the whole call was refused for want of room; the error stays where it is another.
func (p *AWS) refusedAll(b batch, err error) error {
	if !errors.Is(err, platform.ErrCapacity) {
		return err
	}
	for _, of := range b.Pools {
		for _, market := range b.markets() {
			p.pools.refuse(of, market, err)
		}
	}
	return nil
}

// refusedSome notes which pools had no room, and returns a refusal of another kind. Where EC2 gives fewer and no reason, all that
// were asked count as having no room: else they would be asked for ever.
func (p *AWS) refusedSome(b batch, refused []types.CreateFleetError, doing string) (fatal error) {
	noted := false
	for _, e := range refused {
		var err error = explainCode(awssdk.ToString(e.ErrorCode), awssdk.ToString(e.ErrorMessage), doing, 0)
		unfit := awssdk.ToString(e.ErrorCode) == "Unsupported" // "your requested instance type is not supported in your requested Availability Zone"
		if !errors.Is(err, platform.ErrCapacity) && !unfit {
			fatal = err
			continue
		}
		market := onDemand
		if e.Lifecycle == types.InstanceLifecycleSpot {
			market = spot
		}
		for _, of := range b.Pools {
			if o := e.LaunchTemplateAndOverrides; o == nil || o.Overrides == nil ||
				(o.Overrides.InstanceType == "" || string(o.Overrides.InstanceType) == of.Type) &&
					(o.Overrides.SubnetId == nil || *o.Overrides.SubnetId == of.Subnet) {
				p.pools.refuse(of, market, err)
				noted = true
			}
		}
	}
	if fatal == nil && !noted {
		err := fmt.Errorf("%s: EC2 gave fewer than asked for and no reason: %w", doing, platform.ErrCapacity)
		for _, of := range b.Pools {
			for _, market := range b.markets() {
				p.pools.refuse(of, market, err)
			}
		}
	}
	return fatal
}

func (b batch) markets() []string {
	var ms []string
	if b.OnDemand > 0 {
		ms = append(ms, onDemand)
	}
	if b.Spot > 0 {
		ms = append(ms, spot)
	}
	return ms
}
