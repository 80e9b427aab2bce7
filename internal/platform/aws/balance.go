package aws

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"

	"github.com/farmhand/terraform-provider-farmhand/internal/platform"
	"github.com/farmhand/terraform-provider-farmhand/internal/store"
)

const (
	// healthFor is how long an answer about a target group's health is used.
	healthFor = 5 * time.Second
	// targetsAtOnce is how many targets one call names.
	targetsAtOnce = 100
)

type healthCache struct {
	at      time.Time
	targets map[string]platform.Target // by target id: a machine's, or its address
}

// dealing is what was registered in a target group. It outlives the process, so that a group that is given up while no sidecar runs is
// left by the farm's machines all the same, and so is an address whose machine is gone: EC2 no longer says whose it was.
type dealing struct {
	Group     string            `json:"group"`
	Addresses map[string]string `json:"addresses,omitempty"` // machine's id, by address: of groups whose targets are addresses
}

func (p *AWS) dealPrefix() string { return p.farm.Name + "/targets/" }

func (p *AWS) dealKey(group string) string {
	sum := sha256.Sum256([]byte(group))
	return p.dealPrefix() + hex.EncodeToString(sum[:8])
}

func (p *AWS) readDealt(ctx context.Context) error {
	if p.dealt != nil {
		return nil
	}
	items, err := store.ListJSON[dealing](ctx, p.store, p.dealPrefix())
	if err != nil {
		return storeSays(err, "reading what is registered at load balancers")
	}
	p.dealt = map[string]dealing{}
	for _, i := range items {
		p.dealt[i.Value.Group] = i.Value
	}
	return nil
}

func (p *AWS) noteDealt(ctx context.Context, d dealing) error {
	if _, err := store.PutJSON(ctx, p.store, p.dealKey(d.Group), d); err != nil {
		return storeSays(err, "writing what is registered at load balancers")
	}
	p.dealt[d.Group] = d
	return nil
}

func (p *AWS) forgetDealt(ctx context.Context, group string) error {
	if err := p.store.Delete(ctx, p.dealKey(group)); err != nil {
		return storeSays(err, "forgetting target group "+short(group))
	}
	delete(p.dealt, group)
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.groups, group)
	delete(p.health, group)
	return nil
}

// Balance registers exactly the given machines of the farm in each target group; targets that are not the farm's are left alone. It is
// a call for each group when nothing changes. A group that cannot be reached is an error, and does not hold up the others.
// A group with nil, or one that was named before and no longer is, is given up: the farm's machines leave it, and then it is
// forgotten. That it does not exist any more is no error then.
func (p *AWS) Balance(ctx context.Context, targets map[string][]string) (map[string]map[string]platform.Target, error) {
	p.dealing.Lock()
	defer p.dealing.Unlock()
	if err := p.readDealt(ctx); err != nil {
		return nil, err
	}
	all := map[string][]string{}
	for group := range p.dealt {
		all[group] = nil
	}
	for group, machines := range targets {
		if _, known := p.dealt[group]; known || machines != nil {
			all[group] = machines
		}
	}
	if len(all) == 0 {
		return nil, nil
	}
	s, err := p.look(ctx, oneTick)
	if err != nil {
		return nil, err
	}
	found := map[string]map[string]platform.Target{}
	var errs []error
	for _, group := range sortedKeys(all) {
		given := all[group] == nil
		health, err := p.balance(ctx, group, all[group], s)
		switch {
		case given && (code(err) == "TargetGroupNotFound" || err == nil && len(health) == 0):
			err = p.forgetDealt(ctx, group)
		case health != nil:
			found[group] = health
		}
		if err != nil {
			errs = append(errs, err)
		}
	}
	return found, errors.Join(errs...)
}

func (p *AWS) balance(ctx context.Context, group string, want []string, s *sight) (map[string]platform.Target, error) {
	kind, err := p.targetType(ctx, group)
	if err != nil {
		return nil, err
	}
	deal, known := p.dealt[group]
	if !known {
		deal.Group = group
		if err := p.noteDealt(ctx, deal); err != nil {
			return nil, err
		}
	}
	health, err := p.targetHealth(ctx, group)
	if err != nil {
		return nil, err
	}
	// A target is named by its machine's id or by its address.
	machineOf, nameOf, runs := map[string]string{}, map[string]string{}, map[string]bool{}
	maps.Copy(machineOf, deal.Addresses)
	for _, h := range s.hosts {
		name := h.id
		if kind == types.TargetTypeEnumIp {
			name = h.address
		}
		if name != "" && !(kind == types.TargetTypeEnumIp && h.gone()) {
			machineOf[name], nameOf[h.id] = h.id, name
			runs[name] = h.state == ec2types.InstanceStateNameRunning
		}
	}
	var in, out []string
	wanted := map[string]bool{}
	for _, id := range want {
		name := nameOf[id]
		if name == "" {
			continue // gone meanwhile
		}
		wanted[name] = true
		// One that does not run would make the call fail for all.
		if t, registered := health[name]; (!registered || t.State == draining) && runs[name] {
			in = append(in, name)
		}
	}
	for name, t := range health {
		if machineOf[name] != "" && !wanted[name] && t.State != draining {
			out = append(out, name)
		}
	}
	if kind == types.TargetTypeEnumIp {
		if err := p.noteAddresses(ctx, deal, in, machineOf, nameOf, health); err != nil {
			return nil, err
		}
	}
	if len(in)+len(out) > 0 {
		if err := p.register(ctx, group, in, out); err != nil {
			return ownOf(health, machineOf), err
		}
		if health, err = p.askHealth(ctx, group); err != nil {
			return nil, err
		}
	}
	return ownOf(health, machineOf), nil
}

// noteAddresses writes down which addresses are the farm's before they are registered. One that neither the balancer knows nor a machine
// has any more goes: somebody else may get it.
func (p *AWS) noteAddresses(ctx context.Context, deal dealing, in []string, machineOf, nameOf map[string]string, health map[string]platform.Target) error {
	next := dealing{Group: deal.Group, Addresses: map[string]string{}}
	for name, id := range machineOf {
		_, registered := health[name]
		_, noted := deal.Addresses[name]
		if registered || noted && nameOf[id] == name || slices.Contains(in, name) {
			next.Addresses[name] = id
		}
	}
	if maps.Equal(next.Addresses, deal.Addresses) {
		return nil
	}
	return p.noteDealt(ctx, next)
}

// ownOf is the health of the farm's targets, by machine.
func ownOf(health map[string]platform.Target, machineOf map[string]string) map[string]platform.Target {
	own := map[string]platform.Target{}
	for name, t := range health {
		if id := machineOf[name]; id != "" {
			own[id] = t
		}
	}
	return own
}

func (p *AWS) register(ctx context.Context, group string, in, out []string) error {
	_, c, err := p.clients(ctx)
	if err != nil {
		return err
	}
	for part := range slices.Chunk(slices.Sorted(slices.Values(in)), targetsAtOnce) {
		if _, err := c.RegisterTargets(ctx, &elb.RegisterTargetsInput{TargetGroupArn: awssdk.String(group), Targets: described(part)}); err != nil {
			return explain(err, "registering machines in target group "+short(group))
		}
	}
	for part := range slices.Chunk(slices.Sorted(slices.Values(out)), targetsAtOnce) {
		if _, err := c.DeregisterTargets(ctx, &elb.DeregisterTargetsInput{TargetGroupArn: awssdk.String(group), Targets: described(part)}); err != nil {
			return explain(err, "taking machines out of target group "+short(group))
		}
	}
	return nil
}

func described(names []string) []types.TargetDescription {
	var ts []types.TargetDescription
	for _, n := range names {
		ts = append(ts, types.TargetDescription{Id: awssdk.String(n)})
	}
	return ts
}

// targetType is how a group names its targets; that never changes.
func (p *AWS) targetType(ctx context.Context, group string) (types.TargetTypeEnum, error) {
	p.mu.Lock()
	kind := p.groups[group]
	p.mu.Unlock()
	if kind != "" {
		return types.TargetTypeEnum(kind), nil
	}
	_, c, err := p.clients(ctx)
	if err != nil {
		return "", err
	}
	out, err := c.DescribeTargetGroups(ctx, &elb.DescribeTargetGroupsInput{TargetGroupArns: []string{group}})
	if err != nil {
		return "", explain(err, "looking target group "+short(group)+" up")
	}
	if len(out.TargetGroups) != 1 {
		return "", fmt.Errorf("target group %s does not exist: check aws.target_group_arns: %w", short(group), platform.ErrInvalid)
	}
	found := out.TargetGroups[0].TargetType
	if found != types.TargetTypeEnumInstance && found != types.TargetTypeEnumIp {
		return "", fmt.Errorf("target group %s takes targets of type %s: aws.target_group_arns must name groups for instances or IP addresses: %w", short(group), found, platform.ErrInvalid)
	}
	p.mu.Lock()
	p.groups[group] = string(found)
	p.mu.Unlock()
	return found, nil
}

func (p *AWS) targetHealth(ctx context.Context, group string) (map[string]platform.Target, error) {
	p.mu.Lock()
	cached := p.health[group]
	p.mu.Unlock()
	if !cached.at.IsZero() && p.now().Sub(cached.at) < healthFor {
		return cached.targets, nil
	}
	return p.askHealth(ctx, group)
}

// askHealth is one call: DescribeTargetHealth has no pages.
func (p *AWS) askHealth(ctx context.Context, group string) (map[string]platform.Target, error) {
	_, c, err := p.clients(ctx)
	if err != nil {
		return nil, err
	}
	out, err := c.DescribeTargetHealth(ctx, &elb.DescribeTargetHealthInput{TargetGroupArn: awssdk.String(group)})
	if err != nil {
		return nil, explain(err, "asking for the health of target group "+short(group))
	}
	targets := map[string]platform.Target{}
	for _, d := range out.TargetHealthDescriptions {
		if d.Target == nil || d.TargetHealth == nil {
			continue
		}
		t := platform.Target{State: stateOf(d.TargetHealth.State), Reason: awssdk.ToString(d.TargetHealth.Description)}
		if t.Reason == "" {
			t.Reason = string(d.TargetHealth.Reason)
		}
		targets[awssdk.ToString(d.Target.Id)] = t
	}
	p.mu.Lock()
	p.health[group] = healthCache{at: p.now(), targets: targets}
	p.mu.Unlock()
	return targets, nil
}

const draining = "draining"

// stateOf maps ELB's states to those of platform.Target, which has all but two
// (https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_TargetHealth.html).
func stateOf(s types.TargetHealthStateEnum) string {
	switch s {
	case "unhealthy.draining": // still registered; its connections are given time
		return "unhealthy"
	case "unavailable": // health checks are off: nothing is known
		return "unused"
	}
	return string(s)
}

// short is "name/id" of a target group's ARN.
func short(arn string) string {
	if _, name, ok := strings.Cut(arn, ":targetgroup/"); ok {
		return name
	}
	return arn
}
