package controller

import (
	"context"
	"fmt"
	"time"

	"github.com/farmhand/terraform-provider-farmhand/internal/engine"
	"github.com/farmhand/terraform-provider-farmhand/internal/platform"
	"github.com/farmhand/terraform-provider-farmhand/internal/state"
)

// balancePatience bounds the question to the platform's load balancers: healing does not wait for them.
const balancePatience = 5 * time.Second

// balance registers what serves with the target groups of its role, takes out what drains or reboots, and notes what the
// balancers think of each machine. When they cannot be asked nothing is known of targets: that condemns nobody.
func (k *keeper) balance(ctx context.Context, s *sight) {
	balancer, ok := k.platform.(platform.Balancer)
	if !ok || !s.listed {
		return
	}
	targets := map[string][]string{}
	for name, r := range s.roles {
		if r.Spec.AWS == nil || s.onlyRole != "" && name != s.onlyRole {
			continue
		}
		for _, group := range r.Spec.AWS.TargetGroupARNs {
			targets[group] = append(targets[group], s.registered(name)...)
		}
	}
	for group := range k.balanced {
		if _, ok := targets[group]; !ok {
			targets[group] = nil // its role is gone or has given it up: what we registered there goes
		}
	}
	if len(targets) == 0 {
		return
	}
	for group := range targets {
		k.balanced[group] = true
	}
	ctx, cancel := context.WithTimeout(ctx, balancePatience)
	defer cancel()
	found, err := balancer.Balance(ctx, targets)
	if err != nil {
		k.eventOnce(ctx, state.Event{Kind: "balancer", Level: "warning", Reason: fmt.Sprintf("the platform's load balancers: %v; trying again", err)})
		return
	}
	k.forgetOnce("", "balancer")
	s.targets = map[string]map[string]engine.Target{}
	for group, of := range found {
		for machine, t := range of {
			if s.targets[machine] == nil {
				s.targets[machine] = map[string]engine.Target{}
			}
			s.targets[machine][group] = engine.Target{State: t.State, Reason: t.Reason}
		}
	}
}

// registered are the machines of a role that its balancers send to: those that serve by their own account, so that one that is
// coming up proves itself to the balancer before it counts.
func (s *sight) registered(role string) []string {
	ids := []string{}
	for _, rec := range s.records {
		if rec.Role != role || rec.machine == nil || rec.machine.Status != platform.Up {
			continue
		}
		serves := rec.report != nil && rec.report.Serving() && rec.report.Rebooting.IsZero()
		if rec.Phase == state.Running && (rec.report == nil || rec.report.Rebooting.IsZero()) || (rec.Phase == state.Booting || rec.Phase == state.Launching) && serves {
			ids = append(ids, rec.machine.ID)
		}
	}
	return ids
}
