package provider

import (
	"context"
	"maps"

	"github.com/hashicorp/terraform-plugin-framework/datasource"
	"github.com/hashicorp/terraform-plugin-framework/ephemeral"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/provider"
	"github.com/hashicorp/terraform-plugin-framework/provider/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/farmhand/terraform-provider-farmhand/internal/store/dynamodb"
	"github.com/farmhand/terraform-provider-farmhand/internal/store/s3blobs"
)

var _ provider.ProviderWithEphemeralResources = (*farmhandProvider)(nil)

type farmhandProvider struct{ version string }

type providerModel struct {
	StateDir types.String `tfsdk:"state_dir"`
	Store    types.Object `tfsdk:"store"`
	providerAWSModel
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
		Blocks: providerAWSBlocks(),
		Attributes: withProviderAttributes(providerAWSAttributes(), map[string]schema.Attribute{
			"state_dir": schema.StringAttribute{
				Optional: true,
				MarkdownDescription: "Folder that holds the store, the applications' releases and the sidecar's own files. Default: " +
					"`$FARMHAND_STATE_DIR`, else `$XDG_STATE_HOME/farmhand`, else `~/.local/state/farmhand`.",
			},
		}),
	}
}

func withProviderAttributes(a, b map[string]schema.Attribute) map[string]schema.Attribute {
	maps.Copy(a, b)
	return a
}

// Configure opens nothing: the folder may not be known yet, and a plan that only validates needs no store.
func (p *farmhandProvider) Configure(ctx context.Context, req provider.ConfigureRequest, resp *provider.ConfigureResponse) {
	var m providerModel
	resp.Diagnostics.Append(req.Config.Get(ctx, &m)...)
	if resp.Diagnostics.HasError() {
		return
	}
	b := &backend{version: p.version, dir: m.StateDir.ValueString(), unknown: m.StateDir.IsUnknown()}
	b.cloud.config = m.config(ctx, &resp.Diagnostics)
	// Of what leads to a store in AWS, one part that is not known makes the whole unknown; a store in a file needs none of it.
	b.cloud.unknown = m.Store.IsUnknown() || !m.Store.IsNull() && !req.Config.Raw.IsFullyKnown()
	if s := decode[storeModel](ctx, m.Store, &resp.Diagnostics); s != nil {
		b.cloud.table, b.cloud.bucket = s.Table.ValueString(), s.Bucket.ValueString()
		if b.cloud.table != "" {
			if err := dynamodb.CheckTable(b.cloud.table); err != nil {
				resp.Diagnostics.AddAttributeError(path.Root("store"), "The store cannot have this table", "store.table: "+sentence(err.Error()))
			}
		}
		if b.cloud.bucket != "" {
			if err := s3blobs.CheckBucket(b.cloud.bucket); err != nil {
				resp.Diagnostics.AddAttributeError(path.Root("store"), "The store cannot have this bucket", "store.bucket: "+sentence(err.Error()))
			}
		}
	}
	if err := b.cloud.config.Check(); err != nil {
		resp.Diagnostics.AddError("The provider's block cannot be used", sentence(err.Error()))
	}
	if resp.Diagnostics.HasError() {
		return
	}
	resp.ResourceData = b
	resp.DataSourceData = b
	resp.EphemeralResourceData = b
}

// EphemeralResources implements provider.ProviderWithEphemeralResources.
func (p *farmhandProvider) EphemeralResources(context.Context) []func() ephemeral.EphemeralResource {
	return []func() ephemeral.EphemeralResource{newDatabaseCredentials}
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
