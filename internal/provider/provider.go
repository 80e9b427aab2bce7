package provider

import (
	"context"

	"github.com/hashicorp/terraform-plugin-framework/datasource"
	"github.com/hashicorp/terraform-plugin-framework/provider"
	"github.com/hashicorp/terraform-plugin-framework/provider/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/types"
)

var _ provider.Provider = (*farmhandProvider)(nil)

type farmhandProvider struct{ version string }

type providerModel struct {
	StateDir types.String `tfsdk:"state_dir"`
}

// New returns a factory of the provider; version is also that of the sidecar that it deploys.
func New(version string) func() provider.Provider {
	return func() provider.Provider { return &farmhandProvider{version: version} }
}

func (p *farmhandProvider) Metadata(_ context.Context, _ provider.MetadataRequest, resp *provider.MetadataResponse) {
	resp.TypeName = "farmhand"
	resp.Version = p.version
}

func (p *farmhandProvider) Schema(_ context.Context, _ provider.SchemaRequest, resp *provider.SchemaResponse) {
	resp.Schema = schema.Schema{
		MarkdownDescription: "Farmhand runs self-healing, self-scaling server farms: what is declared here is written to a " +
			"store, and a sidecar keeps the farm as declared from then on.",
		Attributes: map[string]schema.Attribute{
			"state_dir": schema.StringAttribute{
				Optional: true,
				MarkdownDescription: "Folder that holds the store, the applications' releases and the sidecar's own files. Default: " +
					"`$FARMHAND_STATE_DIR`, else `$XDG_STATE_HOME/farmhand`, else `~/.local/state/farmhand`.",
			},
		},
	}
}

// Configure opens nothing: the folder may not be known yet, and a plan that only validates needs no store.
func (p *farmhandProvider) Configure(ctx context.Context, req provider.ConfigureRequest, resp *provider.ConfigureResponse) {
	var m providerModel
	resp.Diagnostics.Append(req.Config.Get(ctx, &m)...)
	if resp.Diagnostics.HasError() {
		return
	}
	b := &backend{version: p.version, dir: m.StateDir.ValueString(), unknown: m.StateDir.IsUnknown()}
	resp.ResourceData = b
	resp.DataSourceData = b
}

func (p *farmhandProvider) Resources(context.Context) []func() resource.Resource {
	return []func() resource.Resource{
		newSidecarResource,
		newFarmResource,
		newRoleResource,
		newScalingPolicyResource,
		newDynamicDNSRecordResource,
		newApplicationResource,
	}
}

func (p *farmhandProvider) DataSources(context.Context) []func() datasource.DataSource {
	return []func() datasource.DataSource{
		newFarmDataSource,
		newInstancesDataSource,
		newSimulationDataSource,
	}
}
