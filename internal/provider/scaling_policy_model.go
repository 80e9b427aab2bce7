package provider

import (
	"context"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/farmhand/terraform-provider-farmhand/internal/spec"
	"github.com/farmhand/terraform-provider-farmhand/internal/state"
)

// defaultPolicy is what a policy is where nothing is said.
func defaultPolicy() spec.Policy {
	target := 1.0
	p := spec.Policy{Metric: &spec.Metric{Kind: spec.LoadAverage}, Target: &target}
	p.SetDefaults()
	return p
}

// spec is the declaration, with defaults for what is null or unknown.
func (m *scalingPolicyModel) spec(ctx context.Context, diags *diag.Diagnostics) spec.Policy {
	farm, role, _ := strings.Cut(m.Role.normal(), "/")
	p := spec.Policy{Farm: farm, Role: role, Name: m.Name.normal(), Cooldown: m.Cooldown.duration(), Tolerance: m.Tolerance.ValueFloat64()}
	if !m.Target.IsNull() && !m.Target.IsUnknown() {
		v := m.Target.ValueFloat64()
		p.Target = &v
	}
	p.Metric = metricSpec(ctx, m.Metric, diags)
	if !m.Step.IsNull() && !m.Step.IsUnknown() {
		var steps []stepModel
		diags.Append(m.Step.ElementsAs(ctx, &steps, false)...)
		for _, s := range steps {
			p.Steps = append(p.Steps, spec.Step{From: s.From.ValueFloat64Pointer(), To: s.To.ValueFloat64Pointer(), Add: int(s.Add.ValueInt64())})
		}
	}
	m.specKinds(ctx, &p, diags)
	p.SetDefaults()
	keepZero(&p.Cooldown, m.Cooldown)
	if !m.Tolerance.IsNull() && !m.Tolerance.IsUnknown() {
		p.Tolerance = m.Tolerance.ValueFloat64()
	}
	return p
}

// key is where the store holds it.
func (m *scalingPolicyModel) key() string {
	farm, role, _ := strings.Cut(m.Role.normal(), "/")
	return state.PolicyKey(farm, role, m.Name.normal())
}

// fill takes over what p says.
func (m *scalingPolicyModel) fill(ctx context.Context, p spec.Policy, diags *diag.Diagnostics) {
	m.ID = types.StringValue(p.ID())
	m.Role = nameText(p.Farm + "/" + p.Role)
	m.Name = nameText(p.Name)
	m.Target = types.Float64PointerValue(p.Target)

	m.Metric = metricObject(ctx, m.Metric, p.Metric, diags)
	m.Step = fillSteps(ctx, m.Step, p.Steps, diags)

	m.fillKinds(ctx, p, diags)
	m.Cooldown = cooldownText(p)
	m.Tolerance = toleranceValue(p)
}

// cooldownText and toleranceValue are null where they have no meaning for the policy's kind.
func cooldownText(p spec.Policy) text {
	if p.Metric == nil && p.Cooldown == 0 {
		return text{StringValue: types.StringNull(), in: durationNotation}
	}
	return durationText(p.Cooldown)
}

func toleranceValue(p spec.Policy) types.Float64 {
	if p.Target == nil && p.Queue == nil && p.Tolerance == 0 {
		return types.Float64Null()
	}
	return types.Float64Value(p.Tolerance)
}

func fillSteps(ctx context.Context, former types.List, steps []spec.Step, diags *diag.Diagnostics) types.List {
	element := former.ElementType(ctx)
	if len(steps) == 0 {
		return types.ListNull(element)
	}
	values := make([]attr.Value, 0, len(steps))
	for _, s := range steps {
		values = append(values, encodeAs(ctx, attributeTypes(element), &stepModel{
			From: types.Float64PointerValue(s.From), To: types.Float64PointerValue(s.To), Add: types.Int64Value(int64(s.Add)),
		}, diags))
	}
	list, d := types.ListValue(element, values)
	diags.Append(d...)
	return list
}

// planDefaults makes defaults known where the configuration leaves them out.
func (m *scalingPolicyModel) planDefaults(ctx context.Context, config scalingPolicyModel, p spec.Policy, diags *diag.Diagnostics) {
	if config.Name.IsNull() && !config.Metric.IsUnknown() && !config.Schedule.IsUnknown() && !config.Forecast.IsUnknown() {
		m.Name = nameText(p.Name)
	}
	if !m.Role.IsUnknown() && !m.Name.IsUnknown() {
		m.ID = types.StringValue(p.ID())
	}
	if fullyKnown(ctx, config.Metric, diags) && !config.Threshold.IsUnknown() && !config.Queue.IsUnknown() {
		m.Metric = settled(ctx, m.Metric, p.Metric, diags)
	}
	m.planKinds(ctx, config, p, diags)
	if config.Target.IsUnknown() || config.Metric.IsUnknown() {
		return
	}
	if config.Cooldown.IsNull() {
		m.Cooldown = cooldownText(p)
	}
	if config.Tolerance.IsNull() {
		m.Tolerance = toleranceValue(p)
	}
}

func intPointer(v types.Int64) *int {
	if v.IsNull() || v.IsUnknown() {
		return nil
	}
	n := int(v.ValueInt64())
	return &n
}

func int64Pointer(n *int) types.Int64 {
	if n == nil {
		return types.Int64Null()
	}
	return types.Int64Value(int64(*n))
}
