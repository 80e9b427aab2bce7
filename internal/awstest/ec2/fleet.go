package ec2

import (
	"slices"
	"strconv"
	"time"

	"github.com/farmhand/terraform-provider-farmhand/internal/awstest/wire"
)

type override struct {
	AvailabilityZone, ImageId, InstanceType, MaxPrice, SubnetId string
	Priority, WeightedCapacity                                  *float64
	Placement                                                   *placement
}

type createFleet struct {
	ClientToken                      string
	Type                             string
	ExcessCapacityTerminationPolicy  string
	ReplaceUnhealthyInstances        bool
	TerminateInstancesWithExpiration bool
	ValidFrom, ValidUntil            time.Time
	TagSpecification                 []TagSpecification
	LaunchTemplateConfigs            []struct {
		LaunchTemplateSpecification *templateRef
		Overrides                   []override
	} `q:",required"`
	TargetCapacitySpecification struct {
		TotalTargetCapacity       int `q:",required"`
		OnDemandTargetCapacity    *int
		SpotTargetCapacity        *int
		DefaultTargetCapacityType string
		TargetCapacityUnitType    string
	} `q:",required"`
	OnDemandOptions *struct {
		AllocationStrategy                         string
		MaxTotalPrice                              string
		MinTargetCapacity                          int
		SingleAvailabilityZone, SingleInstanceType bool
		CapacityReservationOptions                 *struct{ UsageStrategy string }
	}
	SpotOptions *struct {
		AllocationStrategy, InstanceInterruptionBehavior, MaxTotalPrice string
		InstancePoolsToUseCount, MinTargetCapacity                      int
		SingleAvailabilityZone, SingleInstanceType                      bool
		MaintenanceStrategies                                           *struct {
			CapacityRebalance *struct {
				ReplacementStrategy string
				TerminationDelay    int
			}
		}
	}
}

type templateAndOverrides struct {
	LaunchTemplateSpecification struct {
		LaunchTemplateId string
		Version          string
	}
	Overrides struct {
		InstanceType, SubnetId, AvailabilityZone, ImageId, MaxPrice string
		Priority, WeightedCapacity                                  *float64
	}
}

type fleetError struct {
	ErrorCode, ErrorMessage, Lifecycle string
	LaunchTemplateAndOverrides         templateAndOverrides
}

type fleetInstances struct {
	InstanceIds                []string `x:"instanceIds"`
	InstanceType               string
	Lifecycle                  string
	LaunchTemplateAndOverrides templateAndOverrides
}

type fleetOut struct {
	FleetId   string
	Errors    []fleetError     `x:"errorSet"`
	Instances []fleetInstances `x:"fleetInstanceSet"`
}

// choice is one launch template with one override.
type choice struct {
	plan   *plan
	err    *wire.Error
	said   templateAndOverrides
	weight int
	rank   float64
}

func (s *Service) createFleet(c *wire.Context, in *createFleet) (*fleetOut, error) {
	params := *in
	params.ClientToken = ""
	return once(s, c, "CreateFleet", in.ClientToken, params, func() (*fleetOut, error) { return s.fleet(c, in) })
}

func (s *Service) fleet(c *wire.Context, in *createFleet) (*fleetOut, error) {
	if in.Type != "instant" {
		return nil, wire.Errorf("Unsupported", "this stand-in makes fleets of type instant only, not '%s'", in.Type)
	}
	if err := checkTags(in.TagSpecification, "fleet", "instance", "volume", "network-interface", "spot-instances-request"); err != nil {
		return nil, err
	}
	onDemand, spot, err := split(in)
	if err != nil {
		return nil, err
	}
	choices, err := s.choices(in)
	if err != nil {
		return nil, err
	}
	if err := c.Commit(); err != nil {
		return nil, err
	}
	out := &fleetOut{FleetId: "fleet-" + s.world.RequestID()}
	s.tagNew(out.FleetId, "fleet", in.TagSpecification)
	var tags []TagSpecification
	for _, t := range in.TagSpecification {
		if t.ResourceType != "fleet" {
			tags = append(tags, t)
		}
	}
	market := func(n int, spot bool, strategy string, least int, oneZone, oneType bool) {
		if n > 0 {
			s.fill(out, choices, tags, n, spot, strategy, least, oneZone, oneType)
		}
	}
	o, p := in.OnDemandOptions, in.SpotOptions
	if o == nil {
		market(onDemand, false, "lowest-price", 0, false, false)
	} else {
		market(onDemand, false, o.AllocationStrategy, o.MinTargetCapacity, o.SingleAvailabilityZone, o.SingleInstanceType)
	}
	if p == nil {
		market(spot, true, "lowest-price", 0, false, false)
	} else {
		market(spot, true, p.AllocationStrategy, p.MinTargetCapacity, p.SingleAvailabilityZone, p.SingleInstanceType)
	}
	return out, nil
}

// split is the number of on-demand and Spot units that are asked for.
func split(in *createFleet) (onDemand, spot int, err error) {
	t := in.TargetCapacitySpecification
	for _, kind := range []string{t.DefaultTargetCapacityType} {
		if kind != "" && kind != "spot" && kind != "on-demand" {
			return 0, 0, wire.Errorf("InvalidParameterValue", "Invalid value '%s' for DefaultTargetCapacityType.", kind)
		}
	}
	if t.OnDemandTargetCapacity != nil {
		onDemand = *t.OnDemandTargetCapacity
	}
	if t.SpotTargetCapacity != nil {
		spot = *t.SpotTargetCapacity
	}
	rest := t.TotalTargetCapacity - onDemand - spot
	switch {
	case t.TotalTargetCapacity < 1 || onDemand < 0 || spot < 0:
		return 0, 0, wire.Errorf("InvalidParameterValue", "The target capacity must be a positive number.")
	case rest < 0:
		return 0, 0, wire.Errorf("InvalidTargetCapacitySpecification", "The total target capacity must not be less than the sum of on-demand and Spot target capacities.")
	case rest > 0 && t.DefaultTargetCapacityType == "":
		return 0, 0, wire.Errorf("InvalidTargetCapacitySpecification", "DefaultTargetCapacityType is needed where the on-demand and Spot target capacities do not sum up to the total.")
	case t.DefaultTargetCapacityType == "spot":
		spot += rest
	default:
		onDemand += rest
	}
	strategies := map[bool][]string{
		false: {"", "lowest-price", "prioritized"},
		true:  {"", "lowest-price", "diversified", "capacity-optimized", "capacity-optimized-prioritized", "price-capacity-optimized"},
	}
	if o := in.OnDemandOptions; o != nil && !slices.Contains(strategies[false], o.AllocationStrategy) {
		return 0, 0, wire.Errorf("InvalidParameterValue", "Invalid on-demand allocation strategy '%s'.", o.AllocationStrategy)
	}
	if p := in.SpotOptions; p != nil && !slices.Contains(strategies[true], p.AllocationStrategy) {
		return 0, 0, wire.Errorf("InvalidParameterValue", "Invalid Spot allocation strategy '%s'.", p.AllocationStrategy)
	}
	return onDemand, spot, nil
}

// choices are all overrides, resolved. What is wrong with one is an error of the fleet, not of the request; a launch
// template that is not there is one of the request.
func (s *Service) choices(in *createFleet) ([]choice, error) {
	var all []choice
	for _, config := range in.LaunchTemplateConfigs {
		ref := config.LaunchTemplateSpecification
		if ref == nil {
			return nil, wire.Errorf("MissingParameter", "The request must contain the parameter LaunchTemplateSpecification")
		}
		if ref.Version == "" {
			return nil, wire.Errorf("MissingParameter", "The request must contain the parameter LaunchTemplateSpecification.Version")
		}
		spec, tags, err := s.merged(ref, launchSpec{})
		if err != nil {
			return nil, err
		}
		if spec.InstanceMarketOptions != nil {
			return nil, wire.Errorf("InvalidParameterValue", "The launch template must not specify instance market options: the fleet's target capacity does.")
		}
		overrides := config.Overrides
		if len(overrides) == 0 {
			overrides = []override{{}}
		}
		for _, o := range overrides {
			ch := choice{weight: 1, rank: 1e9}
			if o.WeightedCapacity != nil {
				if ch.weight = int(*o.WeightedCapacity); ch.weight < 1 {
					return nil, wire.Errorf("InvalidParameterValue", "The weighted capacity must be at least 1.")
				}
			}
			if o.Priority != nil {
				ch.rank = *o.Priority
			}
			own := spec
			set(&own.InstanceType, o.InstanceType)
			set(&own.ImageId, o.ImageId)
			subnetID := o.SubnetId
			if subnetID != "" && len(own.NetworkInterface) > 0 {
				own.NetworkInterface = slices.Clone(own.NetworkInterface)
				own.NetworkInterface[0].SubnetId = subnetID
			}
			t, _ := s.template(ref.LaunchTemplateId, ref.LaunchTemplateName)
			v, _ := t.version(ref.Version)
			ch.said.LaunchTemplateSpecification.LaunchTemplateId, ch.said.LaunchTemplateSpecification.Version = t.LaunchTemplateId, strconv.Itoa(v.VersionNumber)
			said := &ch.said.Overrides
			said.InstanceType, said.SubnetId, said.AvailabilityZone, said.ImageId, said.MaxPrice = own.InstanceType, subnetID, o.AvailabilityZone, o.ImageId, o.MaxPrice
			said.Priority, said.WeightedCapacity = o.Priority, o.WeightedCapacity
			p, err := s.check(own, subnetID)
			if err != nil {
				ch.err = wire.AsError(err)
			} else {
				p.template, ch.plan = tags, p
			}
			all = append(all, ch)
		}
	}
	return all, nil
}

// fill takes n units of one market from the choices, in the order that the strategy asks for.
func (s *Service) fill(out *fleetOut, choices []choice, tags []TagSpecification, n int, spot bool, strategy string, least int, oneZone, oneType bool) {
	order := slices.Clone(choices)
	if strategy == "prioritized" || strategy == "capacity-optimized-prioritized" {
		slices.SortStableFunc(order, func(a, b choice) int { return int(a.rank) - int(b.rank) })
	}
	lifecycle := "on-demand"
	if spot {
		lifecycle = "spot"
	}
	var usable []choice
	for _, ch := range order {
		e := ch.err
		if e == nil {
			p := *ch.plan
			p.spot, p.tags = spot, mergeTags(p.tags, tags)
			ch.plan = &p
			e = s.shortage(&p)
		}
		if e == nil && len(usable) > 0 {
			first := usable[0].plan
			if oneZone && first.subnet.AvailabilityZone != ch.plan.subnet.AvailabilityZone || oneType && first.kind.Name != ch.plan.kind.Name {
				continue
			}
		}
		if e == nil {
			usable = append(usable, ch)
			continue
		}
		if spot && e.Code == "InsufficientInstanceCapacity" {
			e = wire.Errorf("UnfulfillableCapacity", "Unable to fulfill capacity due to your request configuration. Please adjust your request and try again.")
		}
		out.Errors = append(out.Errors, fleetError{e.Code, e.Message, lifecycle, ch.said})
	}
	if least > 0 && (len(usable) == 0 || s.room() < least) {
		return
	}
	turn := 0
	counts := make([]int, len(usable))
	for got := 0; got < n && len(usable) > 0; {
		if room := s.room(); sum(counts) >= room {
			code, text := "VcpuLimitExceeded", "You have requested more vCPU capacity than your current vCPU limit allows."
			if spot {
				code, text = "MaxSpotInstanceCountExceeded", "Max spot instance count exceeded"
			}
			out.Errors = append(out.Errors, fleetError{code, text, lifecycle, usable[turn].said})
			break
		}
		counts[turn]++
		got += usable[turn].weight
		if strategy == "diversified" {
			turn = (turn + 1) % len(usable)
		}
	}
	for at, count := range counts {
		if count == 0 {
			continue
		}
		f := fleetInstances{InstanceType: usable[at].plan.kind.Name, Lifecycle: lifecycle, LaunchTemplateAndOverrides: usable[at].said}
		for _, i := range s.make(usable[at].plan, count, out.FleetId, Tag{"aws:ec2:fleet-id", out.FleetId}) {
			f.InstanceIds = append(f.InstanceIds, i.ID)
		}
		out.Instances = append(out.Instances, f)
	}
}

func sum(of []int) int {
	n := 0
	for _, v := range of {
		n += v
	}
	return n
}
