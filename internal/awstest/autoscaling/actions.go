package autoscaling

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/farmhand/terraform-provider-farmhand/internal/awstest/wire"
)

type (
	sizes struct {
		MinSize, MaxSize, DesiredCapacity       *int
		VPCZoneIdentifier                       string
		AvailabilityZones                       []string
		LaunchTemplate                          *templateRef
		HealthCheckType                         string
		HealthCheckGracePeriod, DefaultCooldown *int
		DefaultInstanceWarmup                   *int
		TerminationPolicies                     []string
		CapacityRebalance                       *bool
		MaxInstanceLifetime                     *int
		NewInstancesProtectedFromScaleIn        *bool
		InstanceMaintenancePolicy               *struct{ MinHealthyPercentage, MaxHealthyPercentage int }
	}
	create struct {
		AutoScalingGroupName string `q:",required"`
		sizes
		Tags []tag
	}
	update struct {
		AutoScalingGroupName string `q:",required"`
		sizes
	}
	name struct {
		AutoScalingGroupName string `q:",required"`
	}
	remove struct {
		AutoScalingGroupName string `q:",required"`
		ForceDelete          bool
	}
	describe struct {
		AutoScalingGroupNames []string
		Filters               []struct {
			Name   string
			Values []string
		}
		IncludeInstances *bool
		MaxRecords       int
		NextToken        string
	}
	groupsOut struct {
		AutoScalingGroups []groupOut
		NextToken         string
	}
	nothing    struct{}
	setDesired struct {
		AutoScalingGroupName string `q:",required"`
		DesiredCapacity      int    `q:",required"`
		HonorCooldown        bool
	}
	setHealth struct {
		InstanceId               string `q:",required"`
		HealthStatus             string `q:",required"`
		ShouldRespectGracePeriod bool
	}
	startRefresh struct {
		AutoScalingGroupName string `q:",required"`
		Strategy             string
		Preferences          *struct {
			MinHealthyPercentage, MaxHealthyPercentage, InstanceWarmup, CheckpointDelay *int
			SkipMatching, AutoRollback                                                  *bool
			ScaleInProtectedInstances, StandbyInstances                                 string
		}
		DesiredConfiguration *struct{ LaunchTemplate *templateRef }
	}
	refreshID         struct{ InstanceRefreshId string }
	describeRefreshes struct {
		AutoScalingGroupName string `q:",required"`
		InstanceRefreshIds   []string
		MaxRecords           int
		NextToken            string
	}
	refreshesOut struct {
		InstanceRefreshes []refresh
		NextToken         string
	}
	describeActivities struct {
		AutoScalingGroupName string
		ActivityIds          []string
		MaxRecords           int
		NextToken            string
	}
	activitiesOut struct {
		Activities []activity
		NextToken  string
	}
	tagsIn struct {
		Tags []tag `q:",required"`
	}
)

func (s *Service) register() {
	wire.On(s.Query, "CreateAutoScalingGroup", s.create)
	wire.On(s.Query, "UpdateAutoScalingGroup", s.update)
	wire.On(s.Query, "DescribeAutoScalingGroups", s.describe)
	wire.On(s.Query, "DeleteAutoScalingGroup", s.remove)
	wire.On(s.Query, "DescribeScalingActivities", s.describeActivities)
	wire.On(s.Query, "StartInstanceRefresh", s.startRefresh)
	wire.On(s.Query, "DescribeInstanceRefreshes", s.describeRefreshes)
	wire.On(s.Query, "CancelInstanceRefresh", func(_ *wire.Context, in *name) (*refreshID, error) {
		g, err := s.group(in.AutoScalingGroupName)
		if err != nil {
			return nil, err
		}
		if n := len(g.refreshes); n > 0 && g.refreshes[n-1].EndTime.IsZero() {
			r := &g.refreshes[n-1]
			r.Status, r.EndTime = "Cancelled", s.world.Now()
			return &refreshID{r.InstanceRefreshId}, nil
		}
		return nil, wire.Errorf("ActiveInstanceRefreshNotFound", "No in progress or pending Instance Refresh found for Auto Scaling group %s", in.AutoScalingGroupName)
	})
	wire.On(s.Query, "SetDesiredCapacity", func(_ *wire.Context, in *setDesired) (*nothing, error) {
		g, err := s.group(in.AutoScalingGroupName)
		if err != nil {
			return nil, err
		}
		return &nothing{}, s.resize(g, sizes{DesiredCapacity: &in.DesiredCapacity})
	})
	wire.On(s.Query, "SetInstanceHealth", func(_ *wire.Context, in *setHealth) (*nothing, error) {
		for _, g := range s.groups {
			for i := range g.members {
				if g.members[i].InstanceId == in.InstanceId {
					g.members[i].HealthStatus = in.HealthStatus
					s.settle(g)
					return &nothing{}, nil
				}
			}
		}
		return nil, invalid("Instance Id not found - No managed instance found for instance ID: %s", in.InstanceId)
	})
	wire.On(s.Query, "CreateOrUpdateTags", func(_ *wire.Context, in *tagsIn) (*nothing, error) {
		for _, t := range in.Tags {
			g, err := s.group(t.ResourceId)
			if err != nil {
				return nil, err
			}
			g.tag(t)
		}
		return &nothing{}, nil
	})
}

func invalid(format string, a ...any) *wire.Error {
	return wire.Errorf("ValidationError", format, a...)
}

func (s *Service) group(name string) (*group, error) {
	if g, ok := s.groups[name]; ok {
		return g, nil
	}
	return nil, invalid("AutoScalingGroup name not found - AutoScalingGroup '%s' not found", name)
}

func (g *group) tag(t tag) {
	t.ResourceId, t.ResourceType = g.AutoScalingGroupName, "auto-scaling-group"
	g.Tags = append(slices.DeleteFunc(g.Tags, func(have tag) bool { return have.Key == t.Key }), t)
}

// resize changes what is given, checks the whole, and lets the group act.
func (s *Service) resize(g *group, in sizes) error {
	n := g.groupOut
	for to, v := range map[*int]*int{&n.MinSize: in.MinSize, &n.MaxSize: in.MaxSize, &n.DesiredCapacity: in.DesiredCapacity, &n.HealthCheckGracePeriod: in.HealthCheckGracePeriod, &n.DefaultCooldown: in.DefaultCooldown} {
		if v != nil {
			*to = *v
		}
	}
	if in.DesiredCapacity == nil {
		n.DesiredCapacity = min(max(n.DesiredCapacity, n.MinSize), n.MaxSize)
	}
	if n.MinSize > n.MaxSize || n.DesiredCapacity < n.MinSize || n.DesiredCapacity > n.MaxSize {
		return invalid("Desired capacity:%d must be between the specified min size:%d and max size:%d", n.DesiredCapacity, n.MinSize, n.MaxSize)
	}
	if in.VPCZoneIdentifier != "" {
		n.VPCZoneIdentifier, n.AvailabilityZones = in.VPCZoneIdentifier, nil
		for _, subnet := range strings.Split(in.VPCZoneIdentifier, ",") {
			z, err := s.ec2.ZoneOf(subnet)
			if err != nil {
				return invalid("The subnet ID '%s' does not exist", subnet)
			}
			if !slices.Contains(n.AvailabilityZones, z) {
				n.AvailabilityZones = append(n.AvailabilityZones, z)
			}
		}
	}
	if t := in.LaunchTemplate; t != nil {
		id, name, _, err := s.ec2.Template(t.LaunchTemplateId, t.LaunchTemplateName, t.Version)
		if err != nil {
			return invalid("You must use a valid fully-formed launch template. %s", wire.AsError(err).Message)
		}
		n.LaunchTemplate = &templateRef{id, name, t.Version}
	}
	if in.HealthCheckType != "" {
		n.HealthCheckType = in.HealthCheckType
	}
	g.groupOut = n
	s.settle(g)
	return nil
}

func (s *Service) create(c *wire.Context, in *create) (*nothing, error) {
	switch {
	case s.groups[in.AutoScalingGroupName] != nil:
		return nil, wire.Errorf("AlreadyExists", "AutoScalingGroup by this name already exists - A group with the name %s already exists", in.AutoScalingGroupName)
	case in.MinSize == nil || in.MaxSize == nil:
		return nil, invalid("MinSize and MaxSize are required")
	case in.LaunchTemplate == nil:
		return nil, invalid("Valid requests must contain either LaunchTemplate, LaunchConfigurationName, InstanceId or MixedInstancesPolicy parameter.")
	case in.VPCZoneIdentifier == "":
		return nil, invalid("At least one Availability Zone or VPC Subnet is required.")
	}
	g := &group{caller: c.Caller.ARN}
	g.groupOut = groupOut{AutoScalingGroupName: in.AutoScalingGroupName, CreatedTime: s.world.Now(), HealthCheckType: "EC2", DefaultCooldown: 300, TerminationPolicies: []string{"Default"},
		AutoScalingGroupARN: s.world.ARN("autoscaling", s.world.Region, "autoScalingGroup:"+s.world.RequestID()+":autoScalingGroupName/"+in.AutoScalingGroupName)}
	for _, t := range in.Tags {
		if t.ResourceId != "" && t.ResourceId != in.AutoScalingGroupName {
			return nil, invalid("Tag's resource id '%s' is not the group's name", t.ResourceId)
		}
		g.tag(t)
	}
	if err := s.resize(g, in.sizes); err != nil {
		for _, m := range g.members {
			s.ec2.End(m.InstanceId)
		}
		return nil, err
	}
	s.groups[in.AutoScalingGroupName] = g
	return &nothing{}, nil
}

func (s *Service) update(_ *wire.Context, in *update) (*nothing, error) {
	g, err := s.group(in.AutoScalingGroupName)
	if err != nil {
		return nil, err
	}
	return &nothing{}, s.resize(g, in.sizes)
}

func (s *Service) describe(_ *wire.Context, in *describe) (*groupsOut, error) {
	var all []*group
	for _, g := range s.groups {
		s.settle(g)
		pass := len(in.AutoScalingGroupNames) == 0 || slices.Contains(in.AutoScalingGroupNames, g.AutoScalingGroupName)
		for _, f := range in.Filters {
			key, isTag := strings.CutPrefix(f.Name, "tag:")
			switch {
			case isTag:
				pass = pass && slices.ContainsFunc(g.Tags, func(t tag) bool { return t.Key == key && slices.Contains(f.Values, t.Value) })
			case f.Name == "tag-key":
				pass = pass && slices.ContainsFunc(g.Tags, func(t tag) bool { return slices.Contains(f.Values, t.Key) })
			case f.Name == "tag-value":
				pass = pass && slices.ContainsFunc(g.Tags, func(t tag) bool { return slices.Contains(f.Values, t.Value) })
			default:
				return nil, invalid("Filter '%s' is not valid", f.Name)
			}
		}
		if _, still := s.groups[g.AutoScalingGroupName]; pass && still {
			all = append(all, g)
		}
	}
	size, werr := s.world.Size(in.MaxRecords, 1, 100)
	if werr != nil {
		return nil, invalid("%s", werr.Message)
	}
	page, next, werr := wire.Page(all, func(g *group) string { return g.AutoScalingGroupName }, "groups", in.NextToken, size)
	if werr != nil {
		return nil, werr
	}
	out := &groupsOut{NextToken: next}
	for _, g := range page {
		o := g.groupOut
		if g.deleting {
			o.Status = "Delete in progress"
		}
		o.Instances = slices.Clone(g.members)
		out.AutoScalingGroups = append(out.AutoScalingGroups, o)
	}
	return out, nil
}

func (s *Service) remove(_ *wire.Context, in *remove) (*nothing, error) {
	g, err := s.group(in.AutoScalingGroupName)
	if err != nil {
		return nil, err
	}
	if len(g.members) > 0 && !in.ForceDelete {
		return nil, wire.Errorf("ResourceInUse", "You cannot delete an AutoScalingGroup while there are instances or pending Spot instance request(s) still in the group.")
	}
	for _, m := range g.members {
		s.ec2.End(m.InstanceId)
	}
	g.deleting, g.MinSize, g.DesiredCapacity, g.members = true, 0, 0, nil
	s.settle(g)
	return &nothing{}, nil
}

func (s *Service) startRefresh(_ *wire.Context, in *startRefresh) (*refreshID, error) {
	g, err := s.group(in.AutoScalingGroupName)
	if err != nil {
		return nil, err
	}
	if n := len(g.refreshes); n > 0 && g.refreshes[n-1].EndTime.IsZero() {
		return nil, wire.Errorf("InstanceRefreshInProgress", "An Instance Refresh is already in progress and blocks the execution of this Instance Refresh.")
	}
	if d := in.DesiredConfiguration; d != nil {
		if err := s.resize(g, sizes{LaunchTemplate: d.LaunchTemplate}); err != nil {
			return nil, err
		}
	}
	_, _, number, err := s.ec2.Template(g.LaunchTemplate.LaunchTemplateId, "", g.LaunchTemplate.Version)
	if err != nil {
		return nil, err
	}
	r := refresh{InstanceRefreshId: s.world.RequestID(), AutoScalingGroupName: g.AutoScalingGroupName, Status: "Pending", StartTime: s.world.Now()}
	skip := in.Preferences != nil && in.Preferences.SkipMatching != nil && *in.Preferences.SkipMatching
	for _, m := range g.members {
		if !skip || m.LaunchTemplate.Version != number {
			r.left = append(r.left, m.InstanceId)
		}
	}
	r.InstancesToUpdate = len(r.left)
	g.refreshes = append(g.refreshes, r)
	return &refreshID{r.InstanceRefreshId}, nil
}

func (s *Service) describeActivities(_ *wire.Context, in *describeActivities) (*activitiesOut, error) {
	g, err := s.group(in.AutoScalingGroupName)
	if err != nil {
		return nil, err
	}
	s.settle(g)
	size, werr := s.world.Size(in.MaxRecords, 1, 100)
	if werr != nil {
		return nil, invalid("%s", werr.Message)
	}
	var all []activity
	for _, a := range g.activities {
		if len(in.ActivityIds) == 0 || slices.Contains(in.ActivityIds, a.ActivityId) {
			all = append(all, a)
		}
	}
	newest := func(a activity) string { return fmt.Sprintf("%09d", len(g.activities)-slices.Index(g.activities, a)) }
	page, next, werr := wire.Page(all, newest, "activities", in.NextToken, size)
	if werr != nil {
		return nil, werr
	}
	return &activitiesOut{page, next}, nil
}

func (s *Service) describeRefreshes(_ *wire.Context, in *describeRefreshes) (*refreshesOut, error) {
	g, err := s.group(in.AutoScalingGroupName)
	if err != nil {
		return nil, err
	}
	s.settle(g)
	size, werr := s.world.Size(in.MaxRecords, 1, 100)
	if werr != nil {
		return nil, invalid("%s", werr.Message)
	}
	var all []refresh
	for _, r := range g.refreshes {
		if len(in.InstanceRefreshIds) == 0 || slices.Contains(in.InstanceRefreshIds, r.InstanceRefreshId) {
			all = append(all, r)
		}
	}
	newest := func(r refresh) string {
		return strconv.FormatInt(1<<62-r.StartTime.UnixNano(), 10) + r.InstanceRefreshId
	}
	page, next, werr := wire.Page(all, newest, "refreshes", in.NextToken, size)
	if werr != nil {
		return nil, werr
	}
	return &refreshesOut{page, next}, nil
}
