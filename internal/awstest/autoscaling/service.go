// Package autoscaling answers for EC2 Auto Scaling as far as a group that keeps its number goes: it launches from its
// launch template, spread over its subnets, replaces what has ended, and renews all by an instance refresh.
package autoscaling

import (
	"slices"
	"strings"
	"time"

	"github.com/farmhand/terraform-provider-farmhand/internal/awstest/ec2"
	"github.com/farmhand/terraform-provider-farmhand/internal/awstest/wire"
)

// Service is Auto Scaling.
type Service struct {
	*wire.Query
	world  *wire.World
	ec2    *ec2.Service
	groups map[string]*group
}

type templateRef struct{ LaunchTemplateId, LaunchTemplateName, Version string }

type tag struct {
	Key, Value, ResourceId, ResourceType string
	PropagateAtLaunch                    bool
}

type member struct {
	InstanceId, AvailabilityZone, LifecycleState, HealthStatus, InstanceType string
	ProtectedFromScaleIn                                                     bool
	LaunchTemplate                                                           *templateRef
}

type groupOut struct {
	AutoScalingGroupName, AutoScalingGroupARN, VPCZoneIdentifier, HealthCheckType, Status string
	MinSize, MaxSize, DesiredCapacity, DefaultCooldown, HealthCheckGracePeriod            int
	CreatedTime                                                                           time.Time
	LaunchTemplate                                                                        *templateRef
	AvailabilityZones                                                                     []string
	TerminationPolicies                                                                   []string
	Instances                                                                             []member
	Tags                                                                                  []tag
}

type activity struct {
	ActivityId, AutoScalingGroupName, Cause, Description, StatusCode, StatusMessage string
	StartTime, EndTime                                                              time.Time
	Progress                                                                        int
}

type group struct {
	groupOut
	activities []activity // the oldest first
	members    []member
	deleting   bool
	refreshes  []refresh
	caller     string
}

type refresh struct {
	InstanceRefreshId, AutoScalingGroupName, Status string
	StartTime, EndTime                              time.Time
	PercentageComplete, InstancesToUpdate           int

	left []string // ids still to be replaced
}

// New returns Auto Scaling.
func New(w *wire.World, instances *ec2.Service) *Service {
	s := &Service{
		Query: &wire.Query{World: w, Version: "2011-01-01", Namespace: "http://autoscaling.amazonaws.com/doc/2011-01-01/", Style: wire.Member},
		world: w, ec2: instances, groups: map[string]*group{},
	}
	s.register()
	return s
}

// Tick lets the groups look after their instances, as they do on every request of theirs; tests call it where nobody asks.
func (s *Service) Tick() {
	s.world.Lock()
	defer s.world.Unlock()
	for _, g := range s.groups {
		s.settle(g)
	}
}

// settle brings a group to its number: what has ended or is unhealthy goes, what is missing is launched.
func (s *Service) settle(g *group) {
	var kept []member
	for _, m := range g.members {
		i, ok := s.ec2.Lookup(m.InstanceId)
		if !ok || i.State == "terminated" || i.State == "shutting-down" {
			continue
		}
		if m.HealthStatus == "Unhealthy" || i.State == "stopped" || i.State == "stopping" {
			s.ec2.End(m.InstanceId)
			continue
		}
		m.LifecycleState = "InService"
		if i.State == "pending" {
			m.LifecycleState = "Pending"
		}
		kept = append(kept, m)
	}
	g.members = kept
	s.refresh(g)
	for len(g.members) > g.DesiredCapacity {
		s.ec2.End(g.members[0].InstanceId)
		g.members = g.members[1:]
	}
	for len(g.members) < g.DesiredCapacity && s.launch(g) {
	}
	if g.deleting && len(g.members) == 0 {
		delete(s.groups, g.AutoScalingGroupName)
	}
}

// launch adds an instance in the zone that has fewest.
func (s *Service) launch(g *group) bool {
	var best, zone string
	least := 1 << 30
	for _, subnet := range strings.Split(g.VPCZoneIdentifier, ",") {
		z, err := s.ec2.ZoneOf(subnet)
		if err != nil {
			continue
		}
		n := 0
		for _, m := range g.members {
			if m.AvailabilityZone == z {
				n++
			}
		}
		if n < least {
			best, zone, least = subnet, z, n
		}
	}
	tags := map[string]string{"aws:autoscaling:groupName": g.AutoScalingGroupName}
	for _, t := range g.Tags {
		if t.PropagateAtLaunch {
			tags[t.Key] = t.Value
		}
	}
	t := g.LaunchTemplate
	id, err := s.ec2.LaunchFrom(t.LaunchTemplateId, "", t.Version, best, tags)
	if err != nil {
		s.note(g, "Launching a new EC2 instance.  Status Reason: "+wire.AsError(err).Message, "Failed", wire.AsError(err).Message)
		return false
	}
	s.note(g, "Launching a new EC2 instance: "+id, "Successful", "")
	_, _, number, _ := s.ec2.Template(t.LaunchTemplateId, "", t.Version)
	i, _ := s.ec2.Lookup(id)
	g.members = append(g.members, member{InstanceId: id, AvailabilityZone: zone, LifecycleState: "Pending", HealthStatus: "Healthy", InstanceType: i.Type,
		LaunchTemplate: &templateRef{t.LaunchTemplateId, t.LaunchTemplateName, number}})
	return true
}

// note adds an activity; one that failed as the one before it did is the same one again.
func (s *Service) note(g *group, description, status, message string) {
	if n := len(g.activities); n > 0 && status == "Failed" && g.activities[n-1].StatusMessage == message {
		return
	}
	now := s.world.Now()
	g.activities = append(g.activities, activity{
		ActivityId: s.world.RequestID(), AutoScalingGroupName: g.AutoScalingGroupName, Description: description, StatusCode: status, StatusMessage: message,
		Cause: "an instance was started in response to a difference between desired and actual capacity", StartTime: now, EndTime: now, Progress: 100,
	})
}

// refresh replaces one more instance of a running refresh, when all others are in service.
func (s *Service) refresh(g *group) {
	if len(g.refreshes) == 0 {
		return
	}
	r := &g.refreshes[len(g.refreshes)-1]
	if r.Status != "InProgress" && r.Status != "Pending" {
		return
	}
	r.Status = "InProgress"
	if len(g.members) < g.DesiredCapacity || slices.ContainsFunc(g.members, func(m member) bool { return m.LifecycleState != "InService" }) {
		return
	}
	if len(r.left) == 0 {
		r.Status, r.EndTime, r.PercentageComplete, r.InstancesToUpdate = "Successful", s.world.Now(), 100, 0
		return
	}
	id := r.left[0]
	r.left = r.left[1:]
	r.InstancesToUpdate = len(r.left)
	if g.DesiredCapacity > 0 {
		r.PercentageComplete = 100 * (g.DesiredCapacity - len(r.left) - 1) / g.DesiredCapacity
	}
	s.ec2.End(id)
	g.members = slices.DeleteFunc(g.members, func(m member) bool { return m.InstanceId == id })
}
