package provider

import (
	"context"
	"fmt"
	"time"

	"github.com/hashicorp/terraform-plugin-framework-validators/listvalidator"
	"github.com/hashicorp/terraform-plugin-framework-validators/stringvalidator"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/provider/schema"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/farmhand/terraform-provider-farmhand/internal/awsconfig"
)

// providerAWSModel is what the provider's block says of AWS, named as in the AWS provider's.
type providerAWSModel struct {
	Region                 types.String `tfsdk:"region"`
	Profile                types.String `tfsdk:"profile"`
	SharedConfigFiles      types.List   `tfsdk:"shared_config_files"`
	SharedCredentialsFiles types.List   `tfsdk:"shared_credentials_files"`
	AccessKey              types.String `tfsdk:"access_key"`
	SecretKey              types.String `tfsdk:"secret_key"`
	Token                  types.String `tfsdk:"token"`
	CustomCABundle         types.String `tfsdk:"custom_ca_bundle"`
	UseFIPSEndpoint        types.Bool   `tfsdk:"use_fips_endpoint"`
	UseDualStackEndpoint   types.Bool   `tfsdk:"use_dualstack_endpoint"`
	MaxRetries             types.Int64  `tfsdk:"max_retries"`
	RetryMode              types.String `tfsdk:"retry_mode"`
	AssumeRole             types.List   `tfsdk:"assume_role"`
	DefaultTags            types.List   `tfsdk:"default_tags"`
	Endpoints              types.List   `tfsdk:"endpoints"`
}

type assumeRoleModel struct {
	RoleARN           types.String `tfsdk:"role_arn"`
	SessionName       types.String `tfsdk:"session_name"`
	ExternalID        types.String `tfsdk:"external_id"`
	Duration          types.String `tfsdk:"duration"`
	Policy            types.String `tfsdk:"policy"`
	PolicyARNs        types.Set    `tfsdk:"policy_arns"`
	Tags              types.Map    `tfsdk:"tags"`
	TransitiveTagKeys types.Set    `tfsdk:"transitive_tag_keys"`
	SourceIdentity    types.String `tfsdk:"source_identity"`
}

type defaultTagsModel struct {
	Tags types.Map `tfsdk:"tags"`
}

type storeModel struct {
	Table  types.String `tfsdk:"table"`
	Bucket types.String `tfsdk:"bucket"`
}

func providerAWSAttributes() map[string]schema.Attribute {
	return map[string]schema.Attribute{
		"store": schema.SingleNestedAttribute{
			Optional: true,
			MarkdownDescription: "Keep the store in a DynamoDB table, with releases in an S3 bucket, where sidecars and instances on EC2 reach it. Both are made at the first " +
				"apply if they are not there, and removed with the last sidecar. Default: a file in `state_dir`.",
			Attributes: map[string]schema.Attribute{
				"table":  schema.StringAttribute{Required: true, MarkdownDescription: "Name of the table."},
				"bucket": schema.StringAttribute{Optional: true, MarkdownDescription: "Name of the bucket. Default: `farmhand-<account>-<region>`."},
			},
		},
		"region":                   schema.StringAttribute{Optional: true, MarkdownDescription: "AWS region of the store, of sidecars, and of farms that name none. Default: `$AWS_REGION`, else the profile's."},
		"profile":                  schema.StringAttribute{Optional: true, MarkdownDescription: "Profile of the shared configuration files. Default: `$AWS_PROFILE`."},
		"shared_config_files":      schema.ListAttribute{Optional: true, ElementType: types.StringType, MarkdownDescription: "Shared configuration files. Default: `~/.aws/config`."},
		"shared_credentials_files": schema.ListAttribute{Optional: true, ElementType: types.StringType, MarkdownDescription: "Shared credentials files. Default: `~/.aws/credentials`."},
		"access_key":               schema.StringAttribute{Optional: true, Sensitive: true, MarkdownDescription: "Access key, where there is no better way. It reaches neither state nor store; a local sidecar is given it by its environment."},
		"secret_key":               schema.StringAttribute{Optional: true, Sensitive: true, MarkdownDescription: "Secret key that goes with it."},
		"token":                    schema.StringAttribute{Optional: true, Sensitive: true, MarkdownDescription: "Session token that goes with them."},
		"custom_ca_bundle":         schema.StringAttribute{Optional: true, MarkdownDescription: "File of certificates to trust, in PEM. Default: `$AWS_CA_BUNDLE`."},
		"use_fips_endpoint":        schema.BoolAttribute{Optional: true, MarkdownDescription: "Use FIPS endpoints. Default: `$AWS_USE_FIPS_ENDPOINT`."},
		"use_dualstack_endpoint":   schema.BoolAttribute{Optional: true, MarkdownDescription: "Use endpoints that have IPv6. Default: `$AWS_USE_DUALSTACK_ENDPOINT`."},
		"max_retries":              schema.Int64Attribute{Optional: true, MarkdownDescription: "How often a call is tried again. Default: the SDK's."},
		"retry_mode": schema.StringAttribute{
			Optional: true, MarkdownDescription: "`standard` or `adaptive`, which slows down by itself when AWS throttles. Default: `$AWS_RETRY_MODE`, else `adaptive`.",
			Validators: []validator.String{stringvalidator.OneOf("standard", "adaptive")},
		},
	}
}

func providerAWSBlocks() map[string]schema.Block {
	endpoints := map[string]schema.Attribute{}
	for _, name := range awsconfig.Services() {
		endpoints[name] = schema.StringAttribute{Optional: true, MarkdownDescription: "Address of " + name + ", as in `https://host:port`."}
	}
	return map[string]schema.Block{
		"assume_role": schema.ListNestedBlock{
			MarkdownDescription: "Role to act as.",
			Validators:          []validator.List{listvalidator.SizeAtMost(1)},
			NestedObject: schema.NestedBlockObject{Attributes: map[string]schema.Attribute{
				"role_arn":            schema.StringAttribute{Required: true, MarkdownDescription: "ARN of the role."},
				"session_name":        schema.StringAttribute{Optional: true, MarkdownDescription: "Name of the session, for CloudTrail. Default: `farmhand`."},
				"external_id":         schema.StringAttribute{Optional: true, MarkdownDescription: "External id that the role asks for."},
				"duration":            schema.StringAttribute{Optional: true, MarkdownDescription: "How long a session lasts, as in `1h`; it is renewed by itself."},
				"policy":              schema.StringAttribute{Optional: true, MarkdownDescription: "Policy, as JSON, that narrows the session."},
				"policy_arns":         schema.SetAttribute{Optional: true, ElementType: types.StringType, MarkdownDescription: "Policies that narrow the session."},
				"tags":                schema.MapAttribute{Optional: true, ElementType: types.StringType, MarkdownDescription: "Tags of the session."},
				"transitive_tag_keys": schema.SetAttribute{Optional: true, ElementType: types.StringType, MarkdownDescription: "Session tags that go on to further roles."},
				"source_identity":     schema.StringAttribute{Optional: true, MarkdownDescription: "Source identity, for CloudTrail."},
			}},
		},
		"default_tags": schema.ListNestedBlock{
			MarkdownDescription: "Tags of everything that is made in AWS.",
			Validators:          []validator.List{listvalidator.SizeAtMost(1)},
			NestedObject: schema.NestedBlockObject{Attributes: map[string]schema.Attribute{
				"tags": schema.MapAttribute{Optional: true, ElementType: types.StringType, MarkdownDescription: "Tags."},
			}},
		},
		"endpoints": schema.ListNestedBlock{
			MarkdownDescription: "Addresses of services that are not AWS' own, over `$AWS_ENDPOINT_URL` and `$AWS_ENDPOINT_URL_<SERVICE>`.",
			Validators:          []validator.List{listvalidator.SizeAtMost(1)},
			NestedObject:        schema.NestedBlockObject{Attributes: endpoints},
		},
	}
}

// config is what the block says; what is unknown is left out.
func (m *providerAWSModel) config(ctx context.Context, diags *diag.Diagnostics) awsconfig.Config {
	c := awsconfig.Config{
		Region: m.Region.ValueString(), Profile: m.Profile.ValueString(),
		SharedConfigFiles: stringList(ctx, m.SharedConfigFiles, diags), SharedCredentialsFiles: stringList(ctx, m.SharedCredentialsFiles, diags),
		AccessKey: m.AccessKey.ValueString(), SecretKey: m.SecretKey.ValueString(), Token: m.Token.ValueString(),
		CustomCABundle: m.CustomCABundle.ValueString(), UseFIPSEndpoint: m.UseFIPSEndpoint.ValueBool(), UseDualStackEndpoint: m.UseDualStackEndpoint.ValueBool(),
		MaxRetries: int(m.MaxRetries.ValueInt64()), RetryMode: m.RetryMode.ValueString(),
	}
	if role := onlyOne[assumeRoleModel](ctx, m.AssumeRole, diags); role != nil {
		c.AssumeRole = &awsconfig.AssumeRole{
			RoleARN: role.RoleARN.ValueString(), SessionName: role.SessionName.ValueString(), ExternalID: role.ExternalID.ValueString(),
			Policy: role.Policy.ValueString(), PolicyARNs: stringSet(ctx, role.PolicyARNs, diags), Tags: stringMap(ctx, role.Tags, diags),
			TransitiveTagKeys: stringSet(ctx, role.TransitiveTagKeys, diags), SourceIdentity: role.SourceIdentity.ValueString(),
		}
		if s := role.Duration.ValueString(); s != "" {
			d, err := time.ParseDuration(s)
			if err != nil {
				diags.AddAttributeError(path.Root("assume_role"), "Invalid duration", fmt.Sprintf("assume_role.duration: %q is not a duration: write it as in \"1h\".", s))
			}
			c.AssumeRole.Duration = d
		}
	}
	if tags := onlyOne[defaultTagsModel](ctx, m.DefaultTags, diags); tags != nil {
		c.DefaultTags = stringMap(ctx, tags.Tags, diags)
	}
	if len(m.Endpoints.Elements()) == 1 {
		if o, ok := m.Endpoints.Elements()[0].(types.Object); ok {
			c.Endpoints = map[string]string{}
			for name, v := range o.Attributes() {
				if s, ok := v.(types.String); ok && s.ValueString() != "" {
					c.Endpoints[name] = s.ValueString()
				}
			}
		}
	}
	return c
}

// onlyOne reads a block that there is at most one of; nil where it is not there or not known.
func onlyOne[T any](ctx context.Context, l types.List, diags *diag.Diagnostics) *T {
	if len(l.Elements()) != 1 || l.IsUnknown() {
		return nil
	}
	o, ok := l.Elements()[0].(types.Object)
	if !ok {
		return nil
	}
	return decode[T](ctx, o, diags)
}
