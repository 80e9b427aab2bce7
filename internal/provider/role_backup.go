package provider

import (
	"context"
	"fmt"
	"maps"
	"reflect"

	"github.com/hashicorp/terraform-plugin-framework-validators/int64validator"
	"github.com/hashicorp/terraform-plugin-framework-validators/stringvalidator"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/farmhand/terraform-provider-farmhand/internal/backup"
	"github.com/farmhand/terraform-provider-farmhand/internal/behavior"
	"github.com/farmhand/terraform-provider-farmhand/internal/spec"
	"github.com/farmhand/terraform-provider-farmhand/internal/state"
)

// backupModel is a role's backup. Nothing in it is computed: what is left out has the sidecar's defaults.
type backupModel struct {
	To         types.String `tfsdk:"to"`
	Cron       types.String `tfsdk:"cron"`
	Zone       types.String `tfsdk:"zone"`
	Window     text         `tfsdk:"window"`
	Keep       types.Object `tfsdk:"keep"`
	BinaryLogs types.Bool   `tfsdk:"binary_logs"`
	LogEvery   text         `tfsdk:"log_every"`
	Drill      types.Object `tfsdk:"drill"`
	Snapshots  types.Object `tfsdk:"snapshots"`
}

type backupKeepModel struct {
	Daily   types.Int64 `tfsdk:"daily"`
	Weekly  types.Int64 `tfsdk:"weekly"`
	Monthly types.Int64 `tfsdk:"monthly"`
}

type backupDrillModel struct {
	Cron  types.String `tfsdk:"cron"`
	Query types.String `tfsdk:"query"`
	On    types.String `tfsdk:"on"`
}

type backupSnapshotsModel struct {
	Cron types.String `tfsdk:"cron"`
	Keep types.Int64  `tfsdk:"keep"`
}

func roleBackupSchema() schema.SingleNestedAttribute {
	number := func(what string, n int) schema.Int64Attribute {
		return schema.Int64Attribute{Optional: true, Validators: []validator.Int64{int64validator.Between(0, 1000)},
			MarkdownDescription: fmt.Sprintf("%s that keep their newest backup. Default, where none of the three is given: `%d`.", what, n)}
	}
	word := func(description string) schema.StringAttribute {
		return schema.StringAttribute{Optional: true, MarkdownDescription: description}
	}
	duration := func(description string) schema.StringAttribute {
		return schema.StringAttribute{Optional: true, CustomType: textType{in: durationNotation}, MarkdownDescription: description}
	}
	return schema.SingleNestedAttribute{
		Optional: true,
		MarkdownDescription: "How the database is backed up: full backups by schedule, its binary logs as they are written, and rehearsed restores. " +
			"For behaviors that replicate (`mysql`). A change replaces no server.",
		Attributes: map[string]schema.Attribute{
			"to":     schema.StringAttribute{Required: true, MarkdownDescription: "`s3://bucket/prefix`, or `file:///folder` of the machine that the sidecar runs on. Never deleted with the role."},
			"cron":   word("When a full backup is due: five fields. Default: `" + spec.DefaultBackupCron + "`."),
			"zone":   word("Time zone of schedules and of the days that are kept. Default: `" + spec.DefaultBackupZone + "`."),
			"window": duration("How long after it fell due a backup may begin. One that is missed is an event. Default: `" + spec.DefaultBackupWindow.String() + "`."),
			"keep": schema.SingleNestedAttribute{Optional: true, MarkdownDescription: "What is kept. The newest backup is always kept, and the newest that a drill found well.",
				Attributes: map[string]schema.Attribute{
					"daily": number("Days", spec.DefaultBackupDaily), "weekly": number("Weeks", spec.DefaultBackupWeekly), "monthly": number("Months", spec.DefaultBackupMonthly),
				}},
			"binary_logs": schema.BoolAttribute{Optional: true, MarkdownDescription: "Whether binary logs are stored, so that every transaction can be restored to. Default: `true`."},
			"log_every":   duration("How often at most: what a disaster that takes every server costs. Default: `" + spec.DefaultLogEvery.String() + "`."),
			"drill": schema.SingleNestedAttribute{Optional: true, MarkdownDescription: "Restores the newest backup for practice, checks every table, counts rows, and throws it away.",
				Attributes: map[string]schema.Attribute{
					"cron":  word("When. Default: `" + spec.DefaultDrillCron + "`."),
					"query": word("Asked of the restored database; its first row is reported, and no row fails the drill."),
					"on": schema.StringAttribute{Optional: true, Validators: []validator.String{stringvalidator.OneOf(spec.DrillPlaces...)},
						MarkdownDescription: "Where: `" + spec.DrillOnInstance + "`, launched for it and ended after it, or `" + spec.DrillOnReplica + "`, beside a running server, on its volume. Default: `" + spec.DrillOnInstance + "`."},
				}},
			"snapshots": schema.SingleNestedAttribute{Optional: true, MarkdownDescription: "Takes snapshots of a replica's data volume beside the full backups: EBS snapshots on EC2, copies on Docker. " +
				"A new replica's volume is made of the newest where that is nearer than a stream from another server, and a drill rehearses the newest, too. They end with the role's volumes (`volume.on_destroy`).",
				Attributes: map[string]schema.Attribute{
					"cron": word("When, in `zone` and within `window`. Default: `" + spec.DefaultSnapshotCron + "`."),
					"keep": schema.Int64Attribute{Optional: true, Validators: []validator.Int64{int64validator.Between(1, spec.MaxSnapshotKeep)},
						MarkdownDescription: fmt.Sprintf("How many are kept, besides those asked for by `farmhand backup --snapshot` within a month. Default: `%d`.", spec.DefaultSnapshotKeep)},
				}},
		},
	}
}

func backupKeySchema() schema.StringAttribute {
	return schema.StringAttribute{
		Optional: true, WriteOnly: true,
		MarkdownDescription: "Key that backups are encrypted with, as `farmhand backup-key` prints one. Keep it elsewhere, too: without it no backup comes back. " +
			"It rests in no plan and no state: raise `backup_key_wo_version` with it.",
		Validators: []validator.String{stringvalidator.AlsoRequires(path.MatchRoot("backup_key_wo_version"))},
	}
}

func backupKeyVersionSchema() schema.Int64Attribute {
	return schema.Int64Attribute{
		Optional:            true,
		MarkdownDescription: "Version of `backup_key_wo`. Changing it takes over another key; older backups still need the one that they were made with.",
		Validators:          []validator.Int64{int64validator.AtLeast(1)},
	}
}

// backupSpec is the declared backup, nil for none.
func (m *roleModel) backupSpec(ctx context.Context, diags *diag.Diagnostics) *spec.Backup {
	d := decode[backupModel](ctx, m.Backup, diags)
	if d == nil {
		return nil
	}
	b := &spec.Backup{To: d.To.ValueString(), Cron: d.Cron.ValueString(), Zone: d.Zone.ValueString(), Window: d.Window.duration(), LogEvery: d.LogEvery.duration(),
		KeyVersion: m.BackupKeyVersion.ValueInt64(), Encrypted: m.BackupKeyVersion.ValueInt64() != 0}
	if !d.BinaryLogs.IsNull() && !d.BinaryLogs.IsUnknown() && !d.BinaryLogs.ValueBool() {
		b.NoLogs = true
	}
	if k := decode[backupKeepModel](ctx, d.Keep, diags); k != nil {
		b.Daily, b.Weekly, b.Monthly = int(k.Daily.ValueInt64()), int(k.Weekly.ValueInt64()), int(k.Monthly.ValueInt64())
	}
	if r := decode[backupDrillModel](ctx, d.Drill, diags); r != nil {
		b.DrillCron, b.DrillQuery, b.DrillOn = r.Cron.ValueString(), r.Query.ValueString(), r.On.ValueString()
		if b.DrillCron == "" {
			b.DrillCron = spec.DefaultDrillCron
		}
	}
	if s := decode[backupSnapshotsModel](ctx, d.Snapshots, diags); s != nil {
		b.Snapshots = &spec.Snapshots{Cron: s.Cron.ValueString(), Keep: int(s.Keep.ValueInt64())}
	}
	b.SetDefaults()
	return b
}

// fillBackup takes over what b says, where the model does not say the same already.
func (m *roleModel) fillBackup(ctx context.Context, b *spec.Backup, diags *diag.Diagnostics) {
	if b != nil && b.KeyVersion != 0 {
		m.BackupKeyVersion = types.Int64Value(b.KeyVersion)
	}
	if own := m.backupSpec(ctx, diags); own != nil && b != nil && reflect.DeepEqual(*own, *b) {
		return
	}
	var d *backupModel
	if b != nil {
		keep := &backupKeepModel{types.Int64Value(int64(b.Daily)), types.Int64Value(int64(b.Weekly)), types.Int64Value(int64(b.Monthly))}
		var drill *backupDrillModel
		if b.DrillCron != "" {
			drill = &backupDrillModel{types.StringValue(b.DrillCron), optionalString(b.DrillQuery), optionalString(b.DrillOn)}
		}
		var snapshots *backupSnapshotsModel
		if s := b.Snapshots; s != nil {
			snapshots = &backupSnapshotsModel{types.StringValue(s.Cron), types.Int64Value(int64(s.Keep))}
		}
		d = &backupModel{To: types.StringValue(b.To), Cron: types.StringValue(b.Cron), Zone: types.StringValue(b.Zone), Window: durationText(b.Window),
			BinaryLogs: types.BoolValue(!b.NoLogs), LogEvery: text{StringValue: types.StringNull(), in: durationNotation}}
		if !b.NoLogs {
			d.LogEvery = durationText(b.LogEvery)
		}
		attributes := roleBackupSchema().Attributes
		d.Keep = encodeObject(ctx, attributes["keep"], keep, diags)
		d.Drill = encodeObject(ctx, attributes["drill"], drill, diags)
		d.Snapshots = encodeObject(ctx, attributes["snapshots"], snapshots, diags)
	}
	m.Backup = encodeObject(ctx, roleBackupSchema(), d, diags)
}

// encodeObject is v, or null, as the attribute's object.
func encodeObject[T any](ctx context.Context, a schema.Attribute, v *T, diags *diag.Diagnostics) types.Object {
	t := a.GetType().(types.ObjectType).AttrTypes //nolint:forcetypeassert // of an object attribute made in this file
	if v == nil {
		return types.ObjectNull(t)
	}
	o, d := types.ObjectValueFrom(ctx, t, v)
	diags.Append(d...)
	return o
}

// allSecrets are the declared secrets with the backup key.
func (m *roleModel) allSecrets(ctx context.Context, diags *diag.Diagnostics) map[string]string {
	all := map[string]string{}
	maps.Copy(all, m.secrets(ctx, diags))
	if key := m.BackupKey.ValueString(); key != "" {
		all[state.BackupKey] = key
	}
	return all
}

func keyVersion(r spec.Role) int64 {
	if r.Backup == nil {
		return 0
	}
	return r.Backup.KeyVersion
}

// backupProblems is what is wrong with a role's backup. farm is nil if it is not made yet.
func backupProblems(role spec.Role, farm *spec.Farm, traits behavior.Traits) []spec.Problem {
	b := role.Backup
	if b == nil {
		return nil
	}
	problems := b.Validate()
	if !traits.Replicated {
		problems = append(problems, spec.Problem{Attribute: "backup", Summary: fmt.Sprintf("behavior %s is no database that could be backed up", role.Behavior), Advice: "Remove it, or declare it of a mysql role"})
	}
	if place, err := spec.ParseBackupTarget(b.To); err == nil && place.Bucket == "" && farm != nil && farm.AWS != nil {
		problems = append(problems, spec.Problem{Attribute: "backup.to", Summary: "servers on EC2 reach no folder of another machine", Advice: "Write s3://bucket/prefix"})
	}
	return problems
}

// checkBackupKey finds a key that is none, without showing it, and warns where there is none.
func checkBackupKey(config roleModel, role spec.Role, diags *diag.Diagnostics) {
	at := path.Root("backup_key_wo")
	if !config.BackupKey.IsUnknown() && config.BackupKey.ValueString() != "" {
		if _, err := backup.ParseKey(config.BackupKey.ValueString()); err != nil {
			diags.AddAttributeError(at, "Not a backup key", "The value is no age identity (AGE-SECRET-KEY-1…). Make one with farmhand backup-key, or age-keygen.")
		}
	}
	switch {
	case role.Backup == nil:
	case !role.Backup.Encrypted:
		diags.AddAttributeWarning(path.Root("backup"), "Backups are not encrypted", "Whoever reads their place reads the database. Declare backup_key_wo and backup_key_wo_version; farmhand backup-key makes a key.")
	case config.BackupKey.IsNull():
		diags.AddAttributeError(at, "The backup key is missing", "backup_key_wo_version is declared: declare backup_key_wo, too.")
	}
}
