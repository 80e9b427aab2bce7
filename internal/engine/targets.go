package engine

import (
	"maps"
	"slices"
	"strings"
	"time"
)

// deregistersWithin is the longest deregistration delay that a target group of Elastic Load Balancing can have (an hour).
const deregistersWithin = time.Hour

// States of a target that matter here; see platform.Target.
const (
	targetUnhealthy = "unhealthy"
	targetInitial   = "initial"
	targetDraining  = "draining"
)

// groups are the target groups of a machine in a stable order.
func (m *member) groups() []string {
	if m.Machine == nil || len(m.Machine.Targets) == 0 {
		return nil
	}
	return slices.Sorted(maps.Keys(m.Machine.Targets))
}

// badTarget is the first target group whose balancer finds the machine unhealthy, as a person reads it; "" for none. What no
// balancer has said anything of is not bad: one that cannot be asked condemns nobody.
func (m *member) badTarget() (string, Target) {
	for _, g := range m.groups() {
		if t := m.Machine.Targets[g]; t.State == targetUnhealthy {
			return "target group " + groupName(g), t
		}
	}
	return "", Target{}
}

// unreadyTarget is the first target group that does not send anything to the machine yet; "" for none.
func (m *member) unreadyTarget() string {
	for _, g := range m.groups() {
		if s := m.Machine.Targets[g].State; s == targetInitial || s == targetUnhealthy {
			return groupName(g)
		}
	}
	return ""
}

// deregistering tells whether a balancer still lets the machine's connections end.
func (p *pass) deregistering(m *member) bool {
	if p.view.Deleting || p.role.Deleting || p.since(m.Since) > p.drainTime()+deregistersWithin {
		return false
	}
	for _, g := range m.groups() {
		if m.Machine.Targets[g].State == targetDraining {
			return true
		}
	}
	return false
}

// groupName is the name within the ARN arn:aws:elasticloadbalancing:REGION:ACCOUNT:targetgroup/NAME/ID.
func groupName(arn string) string {
	if _, rest, ok := strings.Cut(arn, ":targetgroup/"); ok {
		name, _, _ := strings.Cut(rest, "/")
		return name
	}
	return arn
}
