package aws

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"

	"github.com/farmhand/terraform-provider-farmhand/internal/platform"
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

// Balance registers exactly the given machines of the farm in each target group; targets that are not the farm's are left alone. It is
// a call for each group when nothing changes. A group that cannot be reached is an error, and does not hold up the others.
func (p *AWS) Balance(ctx context.Context, targets map[string][]string) (map[string]map[string]platform.Target, error) {
	targets = maps.Clone(targets)
	if targets == nil {
		targets = map[string][]string{}
	}
	p.mu.Lock()
	for group := range p.groups { // one that no role names any more is left by the farm's machines
		if _, named := targets[group]; !named {
			targets[group] = nil
		}
	}
	p.mu.Unlock()
	if len(targets) == 0 {
		return nil, nil
	}
	s, err := p.look(ctx, oneTick)
	if err != nil {
		return nil, err
	}
	found := map[string]map[string]platform.Target{}
	var errs []error
	for _, group := range slices.Sorted(maps.Keys(targets)) {
		health, err := p.balance(ctx, group, targets[group], s)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		found[group] = health
	}
	return found, errors.Join(errs...)
}

func (p *AWS) balance(ctx context.Context, group string, want []string, s *sight) (map[string]platform.Target, error) {
	kind, err := p.targetType(ctx, group)
	if err != nil {
		return nil, err
	}
	// A target is named by its machine's id or by its address.
	machineOf, nameOf := map[string]string{}, map[string]string{}
	for _, h := range s.hosts {
		name := h.id
		if kind == types.TargetTypeEnumIp {
			name = h.address
		}
		if name != "" && !(kind == types.TargetTypeEnumIp && h.gone()) {
			machineOf[name], nameOf[h.id] = h.id, name
		}
	}
	health, err := p.targetHealth(ctx, group)
	if err != nil {
		return nil, err
	}
	var in, out []string
	wanted := map[string]bool{}
	for _, id := range want {
		name := nameOf[id]
		if name == "" {
			continue // gone meanwhile
		}
		wanted[name] = true
		if t, registered := health[name]; !registered || t.State == "draining" {
			in = append(in, name)
		}
	}
	for name, t := range health {
		if machineOf[name] != "" && !wanted[name] && t.State != "draining" {
			out = append(out, name)
		}
	}
	if len(in)+len(out) > 0 {
		if err := p.register(ctx, group, in, out); err != nil {
			return nil, err
		}
		if health, err = p.askHealth(ctx, group); err != nil {
			return nil, err
		}
	}
	own := map[string]platform.Target{}
	for name, t := range health {
		if id := machineOf[name]; id != "" {
			own[id] = t
		}
	}
	return own, nil
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
		t := platform.Target{State: string(d.TargetHealth.State), Reason: awssdk.ToString(d.TargetHealth.Description)}
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

// short is "name/id" of a target group's ARN.
func short(arn string) string {
	if _, name, ok := strings.Cut(arn, ":targetgroup/"); ok {
		return name
	}
	return arn
}
