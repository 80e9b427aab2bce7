package elb

import (
	"fmt"
	"slices"
	"sort"
	"strconv"

	"github.com/farmhand/terraform-provider-farmhand/internal/awstest/wire"
)

type (
	describeGroups struct {
		LoadBalancerArn string
		TargetGroupArns []string
		Names           []string
		Marker          string
		PageSize        int
	}
	groupOut struct {
		TargetGroupArn, TargetGroupName, Protocol, VpcId, HealthCheckProtocol, HealthCheckPort, HealthCheckPath, TargetType, ProtocolVersion, IpAddressType string
		Port, HealthCheckIntervalSeconds, HealthCheckTimeoutSeconds, HealthyThresholdCount, UnhealthyThresholdCount                                         int
		HealthCheckEnabled                                                                                                                                  bool
		Matcher                                                                                                                                             struct{ HttpCode string }
		LoadBalancerArns                                                                                                                                    []string
	}
	groupsOut struct {
		TargetGroups []groupOut
		NextMarker   string
	}
	targetIn struct {
		Id               string `q:",required"`
		Port             *int
		AvailabilityZone string
	}
	change struct {
		TargetGroupArn string     `q:",required"`
		Targets        []targetIn `q:",required"`
	}
	nothing        struct{}
	describeHealth struct {
		TargetGroupArn string `q:",required"`
		Targets        []targetIn
		Include        []string
	}
	targetOut struct {
		Id               string
		Port             int
		AvailabilityZone string
	}
	healthOut struct {
		HealthCheckPort string
		Target          targetOut
		TargetHealth    struct{ State, Reason, Description string }
	}
	healthsOut struct {
		TargetHealthDescriptions []healthOut
	}
	groupARN struct {
		TargetGroupArn string `q:",required"`
	}
	keyValue      struct{ Key, Value string }
	attributesOut struct {
		Attributes []keyValue
	}
	describeTags struct {
		ResourceArns []string `q:",required"`
	}
	tagsOf struct {
		ResourceArn string
		Tags        []keyValue
	}
	tagsOut struct {
		TagDescriptions []tagsOf
	}
)

func (s *Service) register() {
	wire.On(s.Query, "DescribeTargetGroups", s.describeGroups)
	wire.On(s.Query, "RegisterTargets", s.registerTargets)
	wire.On(s.Query, "DeregisterTargets", s.deregisterTargets)
	wire.On(s.Query, "DescribeTargetHealth", s.describeHealth)
	wire.On(s.Query, "DescribeTargetGroupAttributes", s.attributes)
	wire.On(s.Query, "DescribeTags", s.describeTags)
}

func (s *Service) group(arn string) (*Group, error) {
	if g, ok := s.groups[arn]; ok {
		s.settle(g)
		return g, nil
	}
	if len(arn) < 20 || arn[:4] != "arn:" {
		return nil, wire.Errorf("ValidationError", "'%s' is not a valid target group ARN", arn)
	}
	return nil, wire.Errorf("TargetGroupNotFound", "Target groups '%s' not found", arn)
}

func (s *Service) describeGroups(_ *wire.Context, in *describeGroups) (*groupsOut, error) {
	for _, arn := range in.TargetGroupArns {
		if _, err := s.group(arn); err != nil {
			return nil, err
		}
	}
	var all []*Group
	for _, g := range s.groups {
		if (len(in.TargetGroupArns) == 0 || slices.Contains(in.TargetGroupArns, g.ARN)) && (len(in.Names) == 0 || slices.Contains(in.Names, g.Name)) {
			all = append(all, g)
		}
	}
	if len(in.Names) > len(all) {
		return nil, wire.Errorf("TargetGroupNotFound", "One or more target groups not found")
	}
	size, werr := s.world.Size(in.PageSize, 1, 400)
	if werr != nil {
		return nil, wire.Errorf("ValidationError", "%s", werr.Message)
	}
	page, next, werr := wire.Page(all, func(g *Group) string { return g.serial }, "groups", in.Marker, size)
	if werr != nil {
		return nil, wire.Errorf("ValidationError", "Invalid marker")
	}
	out := &groupsOut{NextMarker: next}
	for _, g := range page {
		o := groupOut{TargetGroupArn: g.ARN, TargetGroupName: g.Name, Protocol: g.Protocol, Port: g.Port, VpcId: g.VPC, HealthCheckProtocol: "HTTP", HealthCheckPort: "traffic-port",
			HealthCheckPath: g.Path, TargetType: g.Type, ProtocolVersion: "HTTP1", IpAddressType: "ipv4", HealthCheckIntervalSeconds: 30, HealthCheckTimeoutSeconds: 5,
			HealthyThresholdCount: 5, UnhealthyThresholdCount: 2, HealthCheckEnabled: true}
		o.Matcher.HttpCode = "200"
		if !g.unused {
			o.LoadBalancerArns = []string{s.world.ARN("elasticloadbalancing", s.world.Region, "loadbalancer/app/farm/0123456789abcdef")}
		}
		out.TargetGroups = append(out.TargetGroups, o)
	}
	return out, nil
}

func (g *Group) port(t targetIn) int {
	if t.Port != nil {
		return *t.Port
	}
	return g.Port
}

func (s *Service) registerTargets(_ *wire.Context, in *change) (*nothing, error) {
	g, err := s.group(in.TargetGroupArn)
	if err != nil {
		return nil, err
	}
	for _, t := range in.Targets {
		if p := g.port(t); p < 1 || p > 65535 {
			return nil, wire.Errorf("ValidationError", "The port '%d' is not valid", p)
		}
		if g.Type != "instance" {
			continue
		}
		i, ok := s.ec2.Lookup(t.Id)
		if !ok {
			return nil, wire.Errorf("InvalidTarget", "The following targets are not valid instances: '%s'", t.Id)
		}
		if i.State != "running" {
			return nil, wire.Errorf("InvalidTarget", "The following targets are not in a running state and cannot be registered: '%s'", t.Id)
		}
	}
	for _, t := range in.Targets {
		key := fmt.Sprintf("%s:%d", t.Id, g.port(t))
		if have, ok := g.targets[key]; ok && have.draining.IsZero() {
			continue
		}
		zone := t.AvailabilityZone
		if i, ok := s.ec2.Lookup(t.Id); ok {
			zone = i.Zone
		}
		g.targets[key] = &target{id: t.Id, port: g.port(t), zone: zone, since: s.world.Now()}
	}
	return &nothing{}, nil
}

func (s *Service) deregisterTargets(_ *wire.Context, in *change) (*nothing, error) {
	g, err := s.group(in.TargetGroupArn)
	if err != nil {
		return nil, err
	}
	// Without a port, every registration of the target is meant. A target that is not registered is no error.
	for _, t := range in.Targets {
		for _, have := range g.targets {
			if have.id == t.Id && (t.Port == nil || *t.Port == have.port) && have.draining.IsZero() {
				have.draining = s.world.Now()
			}
		}
	}
	return &nothing{}, nil
}

func (s *Service) describeHealth(_ *wire.Context, in *describeHealth) (*healthsOut, error) {
	g, err := s.group(in.TargetGroupArn)
	if err != nil {
		return nil, err
	}
	out := &healthsOut{}
	add := func(t *target) {
		h := healthOut{HealthCheckPort: strconv.Itoa(t.port), Target: targetOut{t.id, t.port, t.zone}}
		h.TargetHealth.State, h.TargetHealth.Reason, h.TargetHealth.Description = s.health(g, t)
		out.TargetHealthDescriptions = append(out.TargetHealthDescriptions, h)
	}
	keys := make([]string, 0, len(g.targets))
	for k := range g.targets {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	if len(in.Targets) == 0 {
		for _, k := range keys {
			add(g.targets[k])
		}
		return out, nil
	}
	for _, t := range in.Targets {
		if have, ok := g.targets[fmt.Sprintf("%s:%d", t.Id, g.port(t))]; ok {
			add(have)
			continue
		}
		h := healthOut{Target: targetOut{Id: t.Id, Port: g.port(t)}}
		h.TargetHealth.State, h.TargetHealth.Reason, h.TargetHealth.Description = "unused", "Target.NotRegistered", "Target is not registered to the target group"
		out.TargetHealthDescriptions = append(out.TargetHealthDescriptions, h)
	}
	return out, nil
}

func (s *Service) attributes(_ *wire.Context, in *groupARN) (*attributesOut, error) {
	g, err := s.group(in.TargetGroupArn)
	if err != nil {
		return nil, err
	}
	return &attributesOut{[]keyValue{
		{"deregistration_delay.timeout_seconds", strconv.Itoa(int(g.DeregistrationDelay.Seconds()))},
		{"stickiness.enabled", "false"}, {"stickiness.type", "lb_cookie"}, {"load_balancing.algorithm.type", "round_robin"}, {"slow_start.duration_seconds", "0"},
	}}, nil
}

func (s *Service) describeTags(_ *wire.Context, in *describeTags) (*tagsOut, error) {
	out := &tagsOut{}
	for _, arn := range in.ResourceArns {
		g, err := s.group(arn)
		if err != nil {
			return nil, err
		}
		t := tagsOf{ResourceArn: arn}
		for k, v := range g.tags {
			t.Tags = append(t.Tags, keyValue{k, v})
		}
		out.TagDescriptions = append(out.TagDescriptions, t)
	}
	return out, nil
}
