package provider

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework-validators/int64validator"
	"github.com/hashicorp/terraform-plugin-framework-validators/stringvalidator"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/planmodifier"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/tfsdk"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/farmhand/terraform-provider-farmhand/internal/spec"
	"github.com/farmhand/terraform-provider-farmhand/internal/state"
	"github.com/farmhand/terraform-provider-farmhand/internal/store"
)

var (
	_ resource.ResourceWithConfigure   = (*dynamicDNSRecordResource)(nil)
	_ resource.ResourceWithModifyPlan  = (*dynamicDNSRecordResource)(nil)
	_ resource.ResourceWithImportState = (*dynamicDNSRecordResource)(nil)
)

type dynamicDNSRecordResource struct{ resourceBackend }

type dynamicDNSRecordModel struct {
	ID       types.String `tfsdk:"id"`
	Farm     text         `tfsdk:"farm"`
	Name     text         `tfsdk:"name"`
	Role     text         `tfsdk:"role"`
	PointsTo types.String `tfsdk:"points_to"`
	Index    types.Int64  `tfsdk:"index"`
	TTL      text         `tfsdk:"ttl"`
	Route53  types.Object `tfsdk:"route53"`
	RFC2136  types.Object `tfsdk:"rfc2136"`
	Webhook  types.Object `tfsdk:"webhook"`
}

func newDynamicDNSRecordResource() resource.Resource { return &dynamicDNSRecordResource{} }

func (r *dynamicDNSRecordResource) Metadata(_ context.Context, _ resource.MetadataRequest, resp *resource.MetadataResponse) {
	resp.TypeName = "farmhand_dynamic_dns_record"
}

func (r *dynamicDNSRecordResource) Schema(_ context.Context, _ resource.SchemaRequest, resp *resource.SchemaResponse) {
	d := spec.DNSRecord{}
	d.SetDefaults()
	resp.Schema = schema.Schema{
		MarkdownDescription: "A name in the farm's zone that follows a role: it points to whichever servers serve now, within a second. " +
			"`role.zone` (all servers) and `role-1.role.zone` are there without being declared. The farm's zone is answered by its sidecar; " +
			"on EC2 it is published in the farm's hosted zone, or else answered on every instance by its agent. " +
			"With `route53`, `rfc2136` or `webhook`, at most one of them, the name is published there instead, for whoever asks from outside of the farm.",
		Attributes: map[string]schema.Attribute{
			"id":   computedID("`farm/name`."),
			"farm": requiredName("Name of the farm."),
			"name": requiredName("Name within the farm's zone: `db` is `db.shop.internal`. With `route53`, `rfc2136` or `webhook` the full name: `www.example.com`."),
			"role": schema.StringAttribute{
				Required:            true,
				CustomType:          textType{in: nameNotation},
				MarkdownDescription: "Id of the role, of the same farm.",
				PlanModifiers:       []planmodifier.String{keepEquivalent{nameNotation}},
			},
			"points_to": schema.StringAttribute{
				Optional: true, Computed: true,
				MarkdownDescription: "`all` serving servers, the `primary` (of a replicated database the one that takes writes; of another role the lowest index), its `replicas` " +
					"(of a replicated database those that keep up, while there are none its primary; of another role all but the lowest index), or the server of one `index`. Default: `" + d.PointsTo + "`.",
				Validators: []validator.String{
					stringvalidator.OneOf(spec.PointsToAll, spec.PointsToPrimary, spec.PointsToReplicas, spec.PointsToIndex)},
			},
			"index": schema.Int64Attribute{
				Optional:            true,
				MarkdownDescription: "With `points_to = \"index\"`: which server, from 1.",
				Validators:          []validator.Int64{int64validator.AtLeast(1)},
			},
			"ttl": optionalDuration("How long an answer may be kept. Default: `" + d.TTL.String() + "`."),
		},
	}
	maps.Copy(resp.Schema.Attributes, recordPublishers())
}

// spec is the declaration, with defaults for what is null or unknown.
func (m *dynamicDNSRecordModel) spec(ctx context.Context, diags *diag.Diagnostics) spec.DNSRecord {
	_, role, _ := strings.Cut(m.Role.normal(), "/")
	d := spec.DNSRecord{
		Farm: m.Farm.normal(), Name: m.Name.normal(), Role: role,
		PointsTo: m.PointsTo.ValueString(), Index: int(m.Index.ValueInt64()), TTL: m.TTL.duration(),
	}
	m.publisher(ctx, &d, diags)
	d.SetDefaults()
	keepZero(&d.TTL, m.TTL)
	return d
}

// key is where the store holds it.
func (m *dynamicDNSRecordModel) key() string { return state.DNSKey(m.Farm.normal(), m.Name.normal()) }

func (m *dynamicDNSRecordModel) validate(ctx context.Context, diags *diag.Diagnostics) []spec.Problem {
	problems := m.spec(ctx, diags).Validate()
	farm, _, ok := strings.Cut(m.Role.normal(), "/")
	switch {
	case !ok:
		return []spec.Problem{{Attribute: "role", Summary: fmt.Sprintf("%q is not a role's id", m.Role.ValueString()),
			Advice: "Write farmhand_role.<name>.id, or farm/role"}}
	case farm != m.Farm.normal():
		problems = append(problems, spec.Problem{Attribute: "role", Summary: fmt.Sprintf("role %s is not of farm %s", m.Role.ValueString(), m.Farm.ValueString()),
			Advice: "A record follows a role of its own farm"})
	}
	return problems
}

func (r *dynamicDNSRecordResource) ModifyPlan(ctx context.Context, req resource.ModifyPlanRequest, resp *resource.ModifyPlanResponse) {
	if r.backend == nil || req.Plan.Raw.IsNull() {
		return
	}
	var plan, config dynamicDNSRecordModel
	resp.Diagnostics.Append(req.Plan.Get(ctx, &plan)...)
	resp.Diagnostics.Append(req.Config.Get(ctx, &config)...)
	if resp.Diagnostics.HasError() {
		return
	}
	d := plan.spec(ctx, &resp.Diagnostics)
	if config.PointsTo.IsNull() {
		plan.PointsTo = types.StringValue(d.PointsTo)
	}
	if config.TTL.IsNull() {
		plan.TTL = durationText(d.TTL)
	}
	named := !plan.Farm.IsUnknown() && !plan.Name.IsUnknown()
	if named {
		plan.ID = types.StringValue(d.ID())
	}
	resp.Diagnostics.Append(resp.Plan.Set(ctx, plan)...)
	if named {
		r.planName(ctx, req, state.DNSKey(d.Farm, d.Name), "record", takenRecord(d), &resp.Diagnostics)
	}
	if req.Config.Raw.IsFullyKnown() {
		addProblems(&resp.Diagnostics, plan.validate(ctx, &resp.Diagnostics))
		if !resp.Diagnostics.HasError() {
			r.planSecret(ctx, req, d, &resp.Diagnostics)
		}
	}
}

func takenRecord(d spec.DNSRecord) string {
	return fmt.Sprintf("name: farm %s has a record %q that is not in this configuration's state. Choose another name, or take it over with "+
		"`terraform import farmhand_dynamic_dns_record.<name> %s`.", d.Farm, d.Name, d.ID())
}

func (r *dynamicDNSRecordResource) Create(ctx context.Context, req resource.CreateRequest, resp *resource.CreateResponse) {
	var m dynamicDNSRecordModel
	resp.Diagnostics.Append(req.Plan.Get(ctx, &m)...)
	if r.put(ctx, &m, req.Config, store.Absent(), &resp.Diagnostics) {
		markOwned(ctx, resp.Private, m.key(), &resp.Diagnostics)
		resp.Diagnostics.Append(resp.State.Set(ctx, m)...)
	}
}

func (r *dynamicDNSRecordResource) Update(ctx context.Context, req resource.UpdateRequest, resp *resource.UpdateResponse) {
	var m dynamicDNSRecordModel
	resp.Diagnostics.Append(req.Plan.Get(ctx, &m)...)
	if r.put(ctx, &m, req.Config, store.Always(), &resp.Diagnostics) {
		resp.Diagnostics.Append(resp.State.Set(ctx, m)...)
	}
}

func (r *dynamicDNSRecordResource) put(ctx context.Context, m *dynamicDNSRecordModel, config tfsdk.Config, condition store.Condition, diags *diag.Diagnostics) bool {
	addProblems(diags, withoutWarnings(m.validate(ctx, diags))) // those were said by the plan
	if diags.HasError() {
		return false
	}
	d := m.spec(ctx, diags)
	s, err := r.open(ctx)
	if err != nil {
		diags.AddError("The store cannot be opened", sentence(err.Error()))
		return false
	}
	if !requireRole(ctx, s, d.Farm, d.Role, m.Role, diags) {
		return false
	}
	if r.putSecret(ctx, s, d, config, diags); diags.HasError() { // before the record: the sidecar acts on that at once
		return false
	}
	_, err = store.PutJSON(ctx, s, state.DNSKey(d.Farm, d.Name), d, store.If(condition))
	switch {
	case errors.Is(err, store.ErrConflict):
		addTaken(diags, "record", takenRecord(d))
		return false
	case err != nil:
		diags.AddError("The record cannot be declared", sentence(err.Error()))
		return false
	}
	m.ID = types.StringValue(d.ID())
	return true
}

func (r *dynamicDNSRecordResource) Read(ctx context.Context, req resource.ReadRequest, resp *resource.ReadResponse) {
	var m dynamicDNSRecordModel
	resp.Diagnostics.Append(req.State.Get(ctx, &m)...)
	if resp.Diagnostics.HasError() {
		return
	}
	what := "record " + m.ID.ValueString()
	farm, name, _ := strings.Cut(m.ID.ValueString(), "/")
	key := state.DNSKey(farm, name)
	_, d, ok := readDeclared[spec.DNSRecord](ctx, r.backend, what, key, resp)
	if !ok {
		return
	}
	r.saw(key)
	m.ID = types.StringValue(d.ID())
	m.Farm, m.Name, m.Role = nameText(d.Farm), nameText(d.Name), nameText(d.Farm+"/"+d.Role)
	m.PointsTo, m.Index, m.TTL = types.StringValue(d.PointsTo), optionalInt(d.Index), durationText(d.TTL)
	m.readPublisher(ctx, d, &resp.Diagnostics)
	markOwned(ctx, resp.Private, key, &resp.Diagnostics)
	resp.Diagnostics.Append(resp.State.Set(ctx, m)...)
}

func (r *dynamicDNSRecordResource) Delete(ctx context.Context, req resource.DeleteRequest, resp *resource.DeleteResponse) {
	var m dynamicDNSRecordModel
	resp.Diagnostics.Append(req.State.Get(ctx, &m)...)
	if !resp.Diagnostics.HasError() {
		d := m.spec(ctx, &resp.Diagnostics)
		// Its secret is left to the sidecar, which withdraws the name with it and then removes it.
		r.deleteKey(ctx, "record "+d.ID(), state.DNSKey(d.Farm, d.Name), &resp.Diagnostics)
	}
}

func (r *dynamicDNSRecordResource) ImportState(ctx context.Context, req resource.ImportStateRequest, resp *resource.ImportStateResponse) {
	importPath(ctx, req, resp, "record", "farm/name", "shop/db")
}
