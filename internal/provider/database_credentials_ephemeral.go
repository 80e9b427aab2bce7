package provider

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework/ephemeral"
	"github.com/hashicorp/terraform-plugin-framework/ephemeral/schema"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/farmhand/terraform-provider-farmhand/internal/behavior/behaviors"
	"github.com/farmhand/terraform-provider-farmhand/internal/spec"
	"github.com/farmhand/terraform-provider-farmhand/internal/state"
	"github.com/farmhand/terraform-provider-farmhand/internal/store"
)

var _ ephemeral.EphemeralResourceWithConfigure = (*databaseCredentials)(nil)

// databaseCredentials hands a database role's password to what else is applied in the same run; it reaches neither state nor plan.
type databaseCredentials struct{ *backend }

type databaseCredentialsModel struct {
	Role     text         `tfsdk:"role"`
	Host     types.String `tfsdk:"host"`
	Port     types.Int64  `tfsdk:"port"`
	Database types.String `tfsdk:"database"`
	User     types.String `tfsdk:"user"`
	Password types.String `tfsdk:"password"`
}

func newDatabaseCredentials() ephemeral.EphemeralResource { return &databaseCredentials{} }

func (d *databaseCredentials) Metadata(_ context.Context, _ ephemeral.MetadataRequest, resp *ephemeral.MetadataResponse) {
	resp.TypeName = "farmhand_database_credentials"
}

func (d *databaseCredentials) Schema(_ context.Context, _ ephemeral.SchemaRequest, resp *ephemeral.SchemaResponse) {
	text := func(description string) schema.StringAttribute {
		return schema.StringAttribute{Computed: true, MarkdownDescription: description}
	}
	resp.Schema = schema.Schema{
		MarkdownDescription: "How to log in to a role's database, for other providers and write-only attributes: it stands in no state and no plan. " +
			"Roles that use the database need none of this, they are given it as environment.",
		Attributes: map[string]schema.Attribute{
			"role":     schema.StringAttribute{Required: true, CustomType: textType{in: nameNotation}, MarkdownDescription: "Id of the role, such as `shop/mysql`."},
			"host":     text("The role's name in the farm's zone, or the primary's address in a farm without one."),
			"port":     schema.Int64Attribute{Computed: true, MarkdownDescription: "Where it listens."},
			"database": text("The application's database."),
			"user":     text("The application's user."),
			"password": schema.StringAttribute{Computed: true, Sensitive: true, MarkdownDescription: "Its password, made up by the sidecar."},
		},
	}
}

func (d *databaseCredentials) Configure(_ context.Context, req ephemeral.ConfigureRequest, _ *ephemeral.ConfigureResponse) {
	if b, ok := req.ProviderData.(*backend); ok {
		d.backend = b
	}
}

func (d *databaseCredentials) Open(ctx context.Context, req ephemeral.OpenRequest, resp *ephemeral.OpenResponse) {
	var m databaseCredentialsModel
	resp.Diagnostics.Append(req.Config.Get(ctx, &m)...)
	if resp.Diagnostics.HasError() {
		return
	}
	farm, name, isID := strings.Cut(m.Role.normal(), "/")
	if !isID {
		resp.Diagnostics.AddAttributeError(path.Root("role"), "That is no role's id", fmt.Sprintf("role: %q is not FARM/ROLE. Refer to the id attribute of a farmhand_role.", m.Role.ValueString()))
		return
	}
	exports, err := d.exports(ctx, farm, name)
	switch {
	case isGone(err):
		resp.Diagnostics.AddAttributeError(path.Root("role"), "The role has no database yet",
			fmt.Sprintf("role: %s/%s is not declared in this store, or its sidecar has not made its password yet. Refer to the id attribute of the role that this configuration makes.", farm, name))
		return
	case err != nil:
		resp.Diagnostics.AddAttributeError(path.Root("role"), "The credentials cannot be read", "role: "+sentence(err.Error()))
		return
	}
	port, err := strconv.ParseInt(exports["DB_PORT"], 10, 64)
	if err != nil || exports["DB_PASSWORD"] == "" {
		resp.Diagnostics.AddAttributeError(path.Root("role"), "The role is no database",
			fmt.Sprintf("role: %s/%s is of a behavior that hands out no database. Name a role of behavior mysql.", farm, name))
		return
	}
	m.Host, m.Port = types.StringValue(exports["DB_HOST"]), types.Int64Value(port)
	m.Database, m.User, m.Password = types.StringValue(exports["DB_NAME"]), types.StringValue(exports["DB_USER"]), types.StringValue(exports["DB_PASSWORD"])
	resp.Diagnostics.Append(resp.Result.Set(ctx, m)...)
}

// exports are what roles that use this one are given.
func (d *databaseCredentials) exports(ctx context.Context, farm, name string) (map[string]string, error) {
	s, err := d.openExisting(ctx)
	if err != nil {
		return nil, err
	}
	f, _, err := store.GetJSON[state.Declared[spec.Farm]](ctx, s, state.FarmKey(farm))
	if err != nil {
		return nil, err
	}
	role, _, err := store.GetJSON[state.Declared[spec.Role]](ctx, s, state.RoleKey(farm, name))
	if err != nil {
		return nil, err
	}
	b, ok := behaviors.Get(role.Spec.Behavior)
	if !ok {
		return nil, fmt.Errorf("this provider knows no behavior %q", role.Spec.Behavior)
	}
	secret, _, err := store.GetJSON[map[string]string](ctx, s, state.SecretKey(farm, name))
	if b.NewSecret(role.Spec) == nil {
		return nil, nil // nothing to log in with
	}
	if err != nil {
		return nil, err
	}
	topology, _, err := store.GetJSON[state.Topology](ctx, s, state.TopologyKey(farm))
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return nil, err
	}
	return b.Exports(role.Spec, f.Spec.Zone, topology.Roles[name], secret), nil
}
