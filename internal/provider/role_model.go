package provider

import (
	"cmp"
	"context"
	"maps"
	"slices"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/types"
	"github.com/hashicorp/terraform-plugin-framework/types/basetypes"

	"github.com/farmhand/terraform-provider-farmhand/internal/behavior/behaviors"
	"github.com/farmhand/terraform-provider-farmhand/internal/spec"
)

// defaultRole is what a role is where nothing is said.
func defaultRole() spec.Role {
	r := spec.Role{Volume: &spec.Volume{}}
	r.SetDefaults()
	return r
}

// spec is the declaration, with defaults for what is null or unknown. Names of secrets are not in it: write-only
// values are in the configuration alone; see secretNames.
func (m *roleModel) spec(ctx context.Context, diags *diag.Diagnostics) spec.Role {
	r := spec.Role{
		Farm: m.Farm.normal(), Name: m.Name.normal(), Behavior: m.Behavior.ValueString(),
		Min: int(m.Min.ValueInt64()), Max: int(m.Max.ValueInt64()),
		Image: m.Image.ValueString(), Application: m.Application.normal(), BootScript: m.BootScript.ValueString(),
		Environment: stringMap(ctx, m.Environment, diags), SecretsVersion: m.SecretVersion.ValueInt64(),
		Uses: stringSet(ctx, m.Uses, diags), Settings: stringMap(ctx, m.Settings, diags),
		Drain: m.Drain.duration(), LaunchTimeout: m.LaunchTimeout.duration(), ScaleIn: m.ScaleIn.ValueString(),
		ShutdownHook: m.ShutdownHook.ValueString(), ShutdownHookTimeout: m.HookTimeout.duration(),
		ReversalsPerHour: int(m.ReversalsPerHour.ValueInt64()),
	}
	if h := decode[healthCheckModel](ctx, m.HealthCheck, diags); h != nil {
		r.HealthCheck = spec.HealthCheck{
			Interval: h.Interval.duration(), Timeout: h.Timeout.duration(), UnhealthyAfter: int(h.UnhealthyAfter.ValueInt64()),
			Grace: h.Grace.duration(), SilentAfter: h.SilentAfter.duration(),
		}
		if c := decode[httpCheckModel](ctx, h.HTTP, diags); c != nil {
			r.HealthCheck.HTTP = &spec.HTTPCheck{Path: c.Path.ValueString(), Port: int(c.Port.ValueInt64())}
		}
		if c := decode[tcpCheckModel](ctx, h.TCP, diags); c != nil {
			r.HealthCheck.TCP = &spec.TCPCheck{Port: int(c.Port.ValueInt64())}
		}
	}
	if v := decode[volumeModel](ctx, m.Volume, diags); v != nil {
		r.Volume = &spec.Volume{
			Path: v.Path.ValueString(), OnDestroy: v.OnDestroy.ValueString(),
			SizeGB: int(v.SizeGB.ValueInt64()), MaxSizeGB: int(v.MaxSizeGB.ValueInt64()), Type: v.Type.ValueString(), IOPS: int(v.IOPS.ValueInt64()),
			Throughput: int(v.Throughput.ValueInt64()), KMSKey: v.KMSKey.ValueString(),
		}
		if b, ok := behaviors.Get(r.Behavior); ok && r.Volume.Path == "" {
			r.Volume.Path = b.Traits().VolumePath
		}
	}
	if a := decode[roleAWSModel](ctx, m.AWS, diags); a != nil {
		r.AWS = a.spec(ctx, diags)
	}
	r.MySQLProxy = m.mysqlProxySpec(ctx, diags)
	r.Backup = m.backupSpec(ctx, diags)
	r.SetDefaults()
	keepZero(&r.Drain, m.Drain)
	keepZero(&r.LaunchTimeout, m.LaunchTimeout)
	keepZero(&r.ShutdownHookTimeout, m.HookTimeout)
	if h := decode[healthCheckModel](ctx, m.HealthCheck, diags); h != nil {
		keepZero(&r.HealthCheck.Interval, h.Interval)
		keepZero(&r.HealthCheck.Timeout, h.Timeout)
		keepZero(&r.HealthCheck.Grace, h.Grace)
		keepZero(&r.HealthCheck.SilentAfter, h.SilentAfter)
	}
	return r
}

// fill takes over what r says. Empty collections and what the behavior decides stay null where the model leaves them out.
func (m *roleModel) fill(ctx context.Context, r spec.Role, diags *diag.Diagnostics) {
	m.ID = types.StringValue(r.ID())
	m.Farm = nameText(r.Farm)
	m.Name = nameText(r.Name)
	m.Behavior = types.StringValue(r.Behavior)
	m.Min = types.Int64Value(int64(r.Min))
	m.Max = types.Int64Value(int64(r.Max))
	m.Image = keepEmpty(m.Image, r.Image)
	m.Application = text{StringValue: optionalString(r.Application), in: nameNotation}
	m.BootScript = keepEmpty(m.BootScript, r.BootScript)
	m.Environment = fillMap(ctx, m.Environment, r.Environment, diags)
	m.SecretVersion = types.Int64Null()
	if r.SecretsVersion != 0 {
		m.SecretVersion = types.Int64Value(r.SecretsVersion)
	}
	m.Uses = fillSet(ctx, m.Uses, r.Uses, diags)
	m.Settings = fillMap(ctx, m.Settings, r.Settings, diags)
	m.fillHealthCheck(ctx, r.HealthCheck, diags)
	m.fillMySQLProxy(ctx, r.MySQLProxy, diags)
	m.fillBackup(ctx, r.Backup, diags)
	var v *volumeModel
	if r.Volume != nil {
		v = &volumeModel{
			Path: types.StringValue(r.Volume.Path), OnDestroy: types.StringValue(r.Volume.OnDestroy),
			SizeGB: optionalInt(r.Volume.SizeGB), MaxSizeGB: optionalInt(r.Volume.MaxSizeGB), Type: optionalString(r.Volume.Type), IOPS: optionalInt(r.Volume.IOPS),
			Throughput: optionalInt(r.Volume.Throughput), KMSKey: optionalString(r.Volume.KMSKey),
		}
	}
	m.Volume = encode(ctx, m.Volume, v, diags)
	var a *roleAWSModel
	if r.AWS != nil {
		if a = decode[roleAWSModel](ctx, m.AWS, diags); a == nil {
			a = emptyRoleAWSModel()
		}
		a.fill(ctx, r.AWS, diags)
	}
	m.AWS = encode(ctx, m.AWS, a, diags)
	m.Drain = durationText(r.Drain)
	m.LaunchTimeout = durationText(r.LaunchTimeout)
	m.ScaleIn = types.StringValue(r.ScaleIn)
	m.ShutdownHook = keepEmpty(m.ShutdownHook, r.ShutdownHook)
	m.HookTimeout = durationText(cmp.Or(r.ShutdownHookTimeout, spec.DefaultShutdownHookTimeout))
	m.ReversalsPerHour = types.Int64Value(int64(cmp.Or(r.ReversalsPerHour, spec.DefaultReversals))) // 0: stored before there was one
}

func (m *roleModel) fillHealthCheck(ctx context.Context, c spec.HealthCheck, diags *diag.Diagnostics) {
	in := m.HealthCheck.AttributeTypes(ctx)
	var http *httpCheckModel
	if c.HTTP != nil {
		http = &httpCheckModel{Path: types.StringValue(c.HTTP.Path), Port: optionalInt(c.HTTP.Port)}
	}
	var tcp *tcpCheckModel
	if c.TCP != nil {
		tcp = &tcpCheckModel{Port: optionalInt(c.TCP.Port)}
	}
	m.HealthCheck = encode(ctx, m.HealthCheck, &healthCheckModel{
		HTTP:           encodeAs(ctx, attributeTypes(in["http"]), http, diags),
		TCP:            encodeAs(ctx, attributeTypes(in["tcp"]), tcp, diags),
		Interval:       durationText(c.Interval),
		Timeout:        durationText(c.Timeout),
		UnhealthyAfter: types.Int64Value(int64(c.UnhealthyAfter)),
		Grace:          durationText(c.Grace),
		SilentAfter:    durationText(c.SilentAfter),
	}, diags)
}

// planDefaults makes defaults known where the configuration leaves them out.
func (m *roleModel) planDefaults(ctx context.Context, config roleModel, r spec.Role, diags *diag.Diagnostics) {
	if !m.Farm.IsUnknown() && !m.Name.IsUnknown() {
		m.ID = types.StringValue(r.ID())
	}
	if config.Drain.IsNull() {
		m.Drain = durationText(r.Drain)
	}
	if config.LaunchTimeout.IsNull() {
		m.LaunchTimeout = durationText(r.LaunchTimeout)
	}
	if config.ScaleIn.IsNull() {
		m.ScaleIn = types.StringValue(r.ScaleIn)
	}
	if config.HookTimeout.IsNull() {
		m.HookTimeout = durationText(r.ShutdownHookTimeout)
	}
	if config.ReversalsPerHour.IsNull() {
		m.ReversalsPerHour = types.Int64Value(int64(r.ReversalsPerHour))
	}
	if config.HealthCheck.IsNull() {
		m.fillHealthCheck(ctx, defaultRole().HealthCheck, diags)
	}
	if h, c := decode[healthCheckModel](ctx, m.HealthCheck, diags), decode[healthCheckModel](ctx, config.HealthCheck, diags); h != nil && c != nil {
		d := r.HealthCheck
		for _, p := range []struct {
			planned *text
			config  text
			value   spec.Duration
		}{
			{&h.Interval, c.Interval, d.Interval}, {&h.Timeout, c.Timeout, d.Timeout},
			{&h.Grace, c.Grace, d.Grace}, {&h.SilentAfter, c.SilentAfter, d.SilentAfter},
		} {
			if p.config.IsNull() {
				*p.planned = durationText(p.value)
			}
		}
		if c.UnhealthyAfter.IsNull() {
			h.UnhealthyAfter = types.Int64Value(int64(d.UnhealthyAfter))
		}
		m.HealthCheck = encode(ctx, m.HealthCheck, h, diags)
	}
	if v, c := decode[volumeModel](ctx, m.Volume, diags), decode[volumeModel](ctx, config.Volume, diags); v != nil && c != nil {
		if c.Path.IsNull() && !m.Behavior.IsUnknown() {
			v.Path = types.StringValue(r.Volume.Path)
		}
		if c.OnDestroy.IsNull() {
			v.OnDestroy = types.StringValue(r.Volume.OnDestroy)
		}
		m.Volume = encode(ctx, m.Volume, v, diags)
	}
}

// secrets are the write-only values of a configuration, and secretNames their names in order; nil for none.
func (m *roleModel) secrets(ctx context.Context, diags *diag.Diagnostics) map[string]string {
	return stringMap(ctx, m.Secret, diags)
}

func (m *roleModel) secretNames() []string {
	if len(m.Secret.Elements()) == 0 {
		return nil
	}
	return slices.Sorted(maps.Keys(m.Secret.Elements()))
}

// waits tells whether create and update wait for the role to serve.
func (m *roleModel) waits() bool {
	return m.WaitUntilServing.IsNull() || m.WaitUntilServing.ValueBool()
}

// stringMap reads a map; nil for null, unknown and empty. Elements that are unknown or null are left out.
func stringMap(ctx context.Context, v types.Map, diags *diag.Diagnostics) map[string]string {
	if len(v.Elements()) == 0 {
		return nil
	}
	var elements map[string]types.String
	diags.Append(v.ElementsAs(ctx, &elements, false)...)
	result := make(map[string]string, len(elements))
	for name, e := range elements {
		if !e.IsNull() && !e.IsUnknown() {
			result[name] = e.ValueString()
		}
	}
	return result
}

// stringSet reads a set, in order; nil for null, unknown and empty.
func stringSet(ctx context.Context, v types.Set, diags *diag.Diagnostics) []string {
	if len(v.Elements()) == 0 {
		return nil
	}
	var elements []types.String
	diags.Append(v.ElementsAs(ctx, &elements, false)...)
	var result []string
	for _, e := range elements {
		if !e.IsNull() && !e.IsUnknown() {
			result = append(result, e.ValueString())
		}
	}
	slices.Sort(result)
	return result
}

// fillMap and fillSet make a value of v; where v is empty, null and an empty value mean the same and stay as they were.
func fillMap(ctx context.Context, former types.Map, v map[string]string, diags *diag.Diagnostics) types.Map {
	if len(v) == 0 && (former.IsNull() || len(former.Elements()) == 0) {
		return former
	}
	if len(v) == 0 {
		return types.MapNull(types.StringType)
	}
	m, d := types.MapValueFrom(ctx, types.StringType, v)
	diags.Append(d...)
	return m
}

func fillSet(ctx context.Context, former types.Set, v []string, diags *diag.Diagnostics) types.Set {
	if len(v) == 0 && (former.IsNull() || len(former.Elements()) == 0) {
		return former
	}
	if len(v) == 0 {
		return types.SetNull(types.StringType)
	}
	s, d := types.SetValueFrom(ctx, types.StringType, v)
	diags.Append(d...)
	return s
}

// keepEmpty is v; where v is empty, null and "" mean the same and stay as they were.
func keepEmpty(former types.String, v string) basetypes.StringValue {
	if v == "" && former.ValueString() == "" {
		return former
	}
	return optionalString(v)
}
