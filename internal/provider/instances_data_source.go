package provider

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/datasource"
	"github.com/hashicorp/terraform-plugin-framework/datasource/schema"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/farmhand/terraform-provider-farmhand/internal/state"
	"github.com/farmhand/terraform-provider-farmhand/internal/store"
)

var _ datasource.DataSourceWithConfigure = (*instancesDataSource)(nil)

type instancesDataSource struct{ dataSourceBackend }

type instancesDataModel struct {
	Farm      text           `tfsdk:"farm"`
	Role      text           `tfsdk:"role"`
	Instances []instanceData `tfsdk:"instances"`
}

type instanceData struct {
	Name       types.String `tfsdk:"name"`
	Role       types.String `tfsdk:"role"`
	Index      types.Int64  `tfsdk:"index"`
	Phase      types.String `tfsdk:"phase"`
	Since      types.String `tfsdk:"since"`
	Serving    types.Bool   `tfsdk:"serving"`
	Primary    types.Bool   `tfsdk:"primary"`
	Address    types.String `tfsdk:"address"`
	Platform   types.String `tfsdk:"platform_id"`
	Generation types.String `tfsdk:"generation"`
	Reason     types.String `tfsdk:"reason"`
	Failure    types.String `tfsdk:"failure"`
}

func newInstancesDataSource() datasource.DataSource { return &instancesDataSource{} }

func (d *instancesDataSource) Metadata(_ context.Context, _ datasource.MetadataRequest, resp *datasource.MetadataResponse) {
	resp.TypeName = "farmhand_instances"
}

func (d *instancesDataSource) Schema(_ context.Context, _ datasource.SchemaRequest, resp *datasource.SchemaResponse) {
	text := func(description string) schema.StringAttribute {
		return schema.StringAttribute{Computed: true, MarkdownDescription: description}
	}
	resp.Schema = schema.Schema{
		MarkdownDescription: "The instances of a farm as they are now. It answers at once, also while the sidecar is dead. The list is the " +
			"sidecar's and moves: what is derived from it moves from plan to plan.",
		Attributes: map[string]schema.Attribute{
			"farm": schema.StringAttribute{Required: true, CustomType: textType{in: nameNotation}, MarkdownDescription: "Name of the farm."},
			"role": schema.StringAttribute{Optional: true, CustomType: textType{in: nameNotation},
				MarkdownDescription: "Name or id of a role, to list its instances only."},
			"instances": schema.ListNestedAttribute{
				Computed:            true,
				MarkdownDescription: "By role and index.",
				NestedObject: schema.NestedAttributeObject{Attributes: map[string]schema.Attribute{
					"name":  text("`web-2`."),
					"role":  text("Name of its role."),
					"index": schema.Int64Attribute{Computed: true, MarkdownDescription: "From 1; the lowest free one is taken."},
					"phase": text("`planned`, `launching`, `booting`, `running`, `draining`, `terminating` or `failed`."),
					"since": text("When it entered the phase, in RFC 3339."),
					"serving": schema.BoolAttribute{Computed: true,
						MarkdownDescription: "Whether its boot is done and every check passes, by its agent's last report."},
					"primary":     schema.BoolAttribute{Computed: true, MarkdownDescription: "Whether it is its role's primary."},
					"address":     text("In the farm's network."),
					"platform_id": text("The platform's own id: the container's."),
					"generation":  text("What it was made from, as a hash."),
					"reason":      text("Why it was launched; once it leaves, why it ends."),
					"failure":     text("Why it did not come up; empty if it did."),
				}},
			},
		},
	}
}

func (d *instancesDataSource) Read(ctx context.Context, req datasource.ReadRequest, resp *datasource.ReadResponse) {
	var m instancesDataModel
	resp.Diagnostics.Append(req.Config.Get(ctx, &m)...)
	if resp.Diagnostics.HasError() {
		return
	}
	farm, role := m.Farm.normal(), m.Role.normal()
	if owner, name, isID := strings.Cut(role, "/"); isID {
		if owner != farm {
			resp.Diagnostics.AddAttributeError(path.Root("role"), "The role is of another farm", fmt.Sprintf("role: %s is not of farm %s.", role, farm))
			return
		}
		role = name
	}
	s, err := d.openExisting(ctx)
	if err == nil {
		_, err = s.Get(ctx, state.FarmKey(farm))
	}
	if isGone(err) {
		resp.Diagnostics.AddAttributeError(path.Root("farm"), "There is no such farm",
			fmt.Sprintf("farm: no farm %q is declared in this store. To read one that this configuration makes, refer to its name attribute.", farm))
		return
	}
	if err == nil {
		m.Instances, err = instancesLive(ctx, s, farm, role)
	}
	if err != nil {
		addReadError(&resp.Diagnostics, "list of instances of farm "+farm, err)
		return
	}
	resp.Diagnostics.Append(resp.State.Set(ctx, m)...)
}

func instancesLive(ctx context.Context, s store.Store, farm, role string) ([]instanceData, error) {
	records, err := store.ListJSON[state.Instance](ctx, s, state.InstancePrefix(farm))
	if err != nil {
		return nil, err
	}
	slices.SortFunc(records, func(a, b store.Item[state.Instance]) int {
		if c := strings.Compare(a.Value.Role, b.Value.Role); c != 0 {
			return c
		}
		return a.Value.Index - b.Value.Index
	})
	instances := []instanceData{}
	for _, r := range records {
		i := r.Value
		if role != "" && i.Role != role || i.Temporary() {
			continue
		}
		report, _, err := store.GetJSON[state.Report](ctx, s, state.ReportKey(farm, i.Name()))
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return nil, err
		}
		live := instanceData{
			Name: types.StringValue(i.Name()), Role: types.StringValue(i.Role), Index: types.Int64Value(int64(i.Index)),
			Phase: types.StringValue(string(i.Phase)), Since: types.StringValue(i.Since.UTC().Format(time.RFC3339)),
			Serving: types.BoolValue(i.Phase == state.Running && report.Token == i.Token && report.Serving()), Primary: types.BoolValue(i.Primary),
			Address: types.StringValue(i.Address), Platform: types.StringValue(i.PlatformID), Generation: types.StringValue(i.Generation),
			Reason: types.StringValue(i.Reason), Failure: types.StringValue(""),
		}
		if i.Failure != nil {
			live.Failure = types.StringValue(i.Failure.Step + ": " + i.Failure.Error)
		}
		instances = append(instances, live)
	}
	return instances, nil
}
