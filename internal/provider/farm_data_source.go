package provider

import (
	"context"
	"errors"
	"fmt"

	"github.com/hashicorp/terraform-plugin-framework/datasource"
	"github.com/hashicorp/terraform-plugin-framework/datasource/schema"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/farmhand/terraform-provider-farmhand/internal/controller"
	"github.com/farmhand/terraform-provider-farmhand/internal/spec"
	"github.com/farmhand/terraform-provider-farmhand/internal/state"
	"github.com/farmhand/terraform-provider-farmhand/internal/store"
)

var _ datasource.DataSourceWithConfigure = (*farmDataSource)(nil)

type farmDataSource struct{ dataSourceBackend }

type farmDataModel struct {
	Name       text                    `tfsdk:"name"`
	Zone       types.String            `tfsdk:"zone"`
	Platform   types.String            `tfsdk:"platform"`
	State      types.String            `tfsdk:"state"`
	Sidecar    types.String            `tfsdk:"sidecar"`
	Nameserver types.String            `tfsdk:"nameserver"`
	Roles      map[string]roleLiveData `tfsdk:"roles"`
}

type roleLiveData struct {
	Behavior types.String `tfsdk:"behavior"`
	Min      types.Int64  `tfsdk:"min"`
	Max      types.Int64  `tfsdk:"max"`
	Serving  types.Int64  `tfsdk:"serving"`
	Coming   types.Int64  `tfsdk:"coming"`
	Desired  types.Int64  `tfsdk:"desired"`
	Reason   types.String `tfsdk:"reason"`
}

func newFarmDataSource() datasource.DataSource { return &farmDataSource{} }

func (d *farmDataSource) Metadata(_ context.Context, _ datasource.MetadataRequest, resp *datasource.MetadataResponse) {
	resp.TypeName = "farmhand_farm"
}

func (d *farmDataSource) Schema(_ context.Context, _ datasource.SchemaRequest, resp *datasource.SchemaResponse) {
	resp.Schema = schema.Schema{
		MarkdownDescription: "A farm as it is now. It answers at once, and a farm in trouble is an answer and not an error. Its numbers are the " +
			"sidecar's and move: what is derived from them moves from plan to plan.",
		Attributes: map[string]schema.Attribute{
			"name":       schema.StringAttribute{Required: true, CustomType: textType{in: nameNotation}, MarkdownDescription: "Name of the farm."},
			"zone":       schema.StringAttribute{Computed: true, MarkdownDescription: "Its DNS zone."},
			"platform":   schema.StringAttribute{Computed: true, MarkdownDescription: "`docker` or `simulated`."},
			"state":      schema.StringAttribute{Computed: true, MarkdownDescription: "`kept`; `alone` while no sidecar runs; `deleting`."},
			"sidecar":    schema.StringAttribute{Computed: true, MarkdownDescription: "Id of the sidecar that keeps it."},
			"nameserver": schema.StringAttribute{Computed: true, MarkdownDescription: "`address:port` of its nameserver; empty before it is first opened."},
			"roles": schema.MapNestedAttribute{
				Computed:            true,
				MarkdownDescription: "Its roles, by name.",
				NestedObject: schema.NestedAttributeObject{Attributes: map[string]schema.Attribute{
					"behavior": schema.StringAttribute{Computed: true, MarkdownDescription: "What the servers are."},
					"min":      schema.Int64Attribute{Computed: true, MarkdownDescription: "Fewest servers, schedules applied."},
					"max":      schema.Int64Attribute{Computed: true, MarkdownDescription: "Most servers, schedules applied."},
					"serving":  schema.Int64Attribute{Computed: true, MarkdownDescription: "Servers that serve."},
					"coming":   schema.Int64Attribute{Computed: true, MarkdownDescription: "Servers that are planned, launching or booting."},
					"desired":  schema.Int64Attribute{Computed: true, MarkdownDescription: "Servers that the sidecar wants."},
					"reason":   schema.StringAttribute{Computed: true, MarkdownDescription: "Why it wants that many, or changes nothing."},
				}},
			},
		},
	}
}

func (d *farmDataSource) Read(ctx context.Context, req datasource.ReadRequest, resp *datasource.ReadResponse) {
	var m farmDataModel
	resp.Diagnostics.Append(req.Config.Get(ctx, &m)...)
	if resp.Diagnostics.HasError() {
		return
	}
	name := m.Name.normal()
	s, err := d.openExisting(ctx)
	var farm state.Declared[spec.Farm]
	if err == nil {
		farm, _, err = store.GetJSON[state.Declared[spec.Farm]](ctx, s, state.FarmKey(name))
	}
	if isGone(err) {
		resp.Diagnostics.AddAttributeError(path.Root("name"), "There is no such farm",
			fmt.Sprintf("name: no farm %q is declared in this store. To read one that this configuration makes, refer to its name attribute.", name))
		return
	}
	if err != nil {
		addReadError(&resp.Diagnostics, "farm "+name, err)
		return
	}
	m.Zone, m.Platform, m.Sidecar = types.StringValue(farm.Spec.Zone), types.StringValue(farm.Spec.Platform()), types.StringValue(farm.Spec.Sidecar)
	switch {
	case farm.Deleting:
		m.State = types.StringValue("deleting")
	case d.sidecarRuns(ctx) != nil:
		m.State = types.StringValue("alone")
	default:
		m.State = types.StringValue("kept")
	}
	runtime, _, err := store.GetJSON[state.Runtime](ctx, s, state.RuntimeKey(name))
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		addReadError(&resp.Diagnostics, "farm "+name, err)
		return
	}
	m.Nameserver = types.StringValue(runtime.Nameserver)
	if m.Roles, err = rolesLive(ctx, s, name); err != nil {
		addReadError(&resp.Diagnostics, "farm "+name, err)
		return
	}
	resp.Diagnostics.Append(resp.State.Set(ctx, m)...)
}

// rolesLive counts from the records, which are now; the wish and its reason are the newest decision's.
func rolesLive(ctx context.Context, s store.Store, farm string) (map[string]roleLiveData, error) {
	declared, err := store.ListJSON[state.Declared[spec.Role]](ctx, s, state.RolePrefix(farm))
	if err != nil {
		return nil, err
	}
	instances, err := store.ListJSON[state.Instance](ctx, s, state.InstancePrefix(farm))
	if err != nil {
		return nil, err
	}
	roles := map[string]roleLiveData{}
	for _, it := range declared {
		role := it.Value.Spec
		var serving, coming int64
		for _, i := range instances {
			if i.Value.Role != role.Name || i.Value.Temporary() {
				continue
			}
			switch i.Value.Phase {
			case state.Running:
				serving++
			case state.Planned, state.Launching, state.Booting:
				coming++
			}
		}
		live := roleLiveData{
			Behavior: types.StringValue(role.Behavior), Min: types.Int64Value(int64(role.Min)), Max: types.Int64Value(int64(role.Max)),
			Serving: types.Int64Value(serving), Coming: types.Int64Value(coming),
			Desired: types.Int64Value(serving + coming), Reason: types.StringValue("no decision yet"),
		}
		record, err := controller.LatestRecord(ctx, s, farm, role.Name)
		switch {
		case err == nil:
			a := record.Account
			live.Min, live.Max = types.Int64Value(int64(a.Min)), types.Int64Value(int64(a.Max))
			live.Desired, live.Reason = types.Int64Value(int64(a.Desired)), types.StringValue(a.Reason)
		case !errors.Is(err, store.ErrNotFound):
			return nil, err
		}
		roles[role.Name] = live
	}
	return roles, nil
}
