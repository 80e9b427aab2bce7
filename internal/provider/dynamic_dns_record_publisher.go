package provider

import (
	"context"
	"slices"

	"github.com/hashicorp/terraform-plugin-framework-validators/int64validator"
	"github.com/hashicorp/terraform-plugin-framework-validators/stringvalidator"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/planmodifier"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/stringdefault"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/tfsdk"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/farmhand/terraform-provider-farmhand/internal/spec"
	"github.com/farmhand/terraform-provider-farmhand/internal/state"
	"github.com/farmhand/terraform-provider-farmhand/internal/store"
)

// Where a record is published, if not in its farm's zone.

type recordRoute53Model struct {
	HostedZoneID types.String `tfsdk:"hosted_zone_id"`
}

type recordRFC2136Model struct {
	Server        types.String `tfsdk:"server"`
	Zone          text         `tfsdk:"zone"`
	KeyName       text         `tfsdk:"tsig_name"`
	KeyAlgorithm  types.String `tfsdk:"tsig_algorithm"`
	Secret        types.String `tfsdk:"tsig_secret_wo"`
	SecretVersion types.Int64  `tfsdk:"tsig_secret_wo_version"`
}

type recordWebhookModel struct {
	URL           types.String `tfsdk:"url"`
	Method        types.String `tfsdk:"method"`
	Headers       types.Map    `tfsdk:"headers"`
	Body          types.String `tfsdk:"body"`
	Expect        types.String `tfsdk:"expect"`
	Secret        types.String `tfsdk:"secret_wo"`
	SecretVersion types.Int64  `tfsdk:"secret_wo_version"`
}

// recordPublishers are the attributes that say where.
func recordPublishers() map[string]schema.Attribute {
	block := func(description string, attributes map[string]schema.Attribute) schema.Attribute {
		return schema.SingleNestedAttribute{Optional: true, MarkdownDescription: description, Attributes: attributes}
	}
	secret := func(description, version string) schema.Attribute {
		return schema.StringAttribute{
			Optional: true, WriteOnly: true,
			MarkdownDescription: description + " It never rests in Terraform's plan or state: raise `" + version + "` when it changes.",
			Validators:          []validator.String{stringvalidator.AlsoRequires(path.MatchRelative().AtParent().AtName(version))},
		}
	}
	version := func(of string) schema.Attribute {
		return schema.Int64Attribute{Optional: true, MarkdownDescription: "Version of `" + of + "`.", Validators: []validator.Int64{int64validator.AtLeast(1)}}
	}
	return map[string]schema.Attribute{
		"route53": block("Publish in a hosted zone of Route 53, private or public, with the AWS credentials that the sidecar has. Each change is one atomic batch. "+
			"Only records that the farm made are touched: a TXT record `_farmhand.<name>` marks them.",
			map[string]schema.Attribute{
				"hosted_zone_id": schema.StringAttribute{Required: true, MarkdownDescription: "Id of the hosted zone, as `aws_route53_zone.<name>.zone_id` gives it."},
			}),
		"rfc2136": block("Publish by dynamic updates (RFC 2136) on any nameserver that takes them, such as BIND, Knot or PowerDNS. Each change is one update, carried out whole or not at all. "+
			"Only records that the farm made are touched: a TXT record `_farmhand.<name>` marks them.",
			map[string]schema.Attribute{
				"server": schema.StringAttribute{Required: true, MarkdownDescription: "The zone's primary nameserver, `host` or `host:port`, as the sidecar reaches it (TCP)."},
				"zone": schema.StringAttribute{Required: true, CustomType: textType{in: nameNotation}, MarkdownDescription: "The zone that is updated, such as `example.com`.",
					PlanModifiers: []planmodifier.String{keepEquivalent{nameNotation}}},
				"tsig_name": schema.StringAttribute{Optional: true, CustomType: textType{in: nameNotation}, MarkdownDescription: "Name of the TSIG key that updates are signed with.",
					PlanModifiers: []planmodifier.String{keepEquivalent{nameNotation}}},
				"tsig_algorithm": schema.StringAttribute{Optional: true, Computed: true, Default: stringdefault.StaticString(spec.TSIGAlgorithms[0]),
					MarkdownDescription: "Algorithm of the key. Default: `" + spec.TSIGAlgorithms[0] + "`.",
					Validators:          []validator.String{stringvalidator.OneOf(spec.TSIGAlgorithms...)}},
				"tsig_secret_wo":         secret("Secret of the key, in base64 as `tsig-keygen` writes it.", "tsig_secret_wo_version"),
				"tsig_secret_wo_version": version("tsig_secret_wo"),
			}),
		"webhook": block("Tell a provider of dynamic DNS, such as DNS Made Easy, by an HTTP request when the address changes. In `url`, `headers` and `body` may stand `{name}`, `{type}` (`A` or `AAAA`), "+
			"`{address}` (the first), `{addresses}` and `{old}` (with commas), `{ttl}` (seconds) and `{secret}`. Such a provider is not told that nobody serves, nor that the record is destroyed.",
			map[string]schema.Attribute{
				"url":               schema.StringAttribute{Required: true, MarkdownDescription: "What is asked, such as `https://cp.dnsmadeeasy.com/servlet/updateip?id=1007&password={secret}&ip={address}`. Redirections are not followed."},
				"method":            schema.StringAttribute{Optional: true, Computed: true, Default: stringdefault.StaticString(spec.WebhookMethods[0]), MarkdownDescription: "Default: `" + spec.WebhookMethods[0] + "`.", Validators: []validator.String{stringvalidator.OneOf(spec.WebhookMethods...)}},
				"headers":           schema.MapAttribute{Optional: true, ElementType: types.StringType, MarkdownDescription: "Headers of the request, such as `{ Authorization = \"Bearer {secret}\" }`."},
				"body":              schema.StringAttribute{Optional: true, MarkdownDescription: "Body of the request."},
				"expect":            schema.StringAttribute{Optional: true, MarkdownDescription: "What a good answer holds, for providers that answer 200 to everything: `success` with DNS Made Easy. Default: any answer of status 2xx is good.", Validators: []validator.String{stringvalidator.LengthAtLeast(1)}},
				"secret_wo":         secret("What `{secret}` stands for.", "secret_wo_version"),
				"secret_wo_version": version("secret_wo"),
			}),
	}
}

// publisher fills in where the record is published; what is unknown is left out.
func (m *dynamicDNSRecordModel) publisher(ctx context.Context, d *spec.DNSRecord, diags *diag.Diagnostics) {
	if r := decode[recordRoute53Model](ctx, m.Route53, diags); r != nil {
		d.Route53 = &spec.Route53{HostedZoneID: r.HostedZoneID.ValueString()}
	}
	if r := decode[recordRFC2136Model](ctx, m.RFC2136, diags); r != nil {
		d.RFC2136 = &spec.RFC2136{Server: r.Server.ValueString(), Zone: r.Zone.normal(), KeyName: r.KeyName.normal(),
			KeyAlgorithm: r.KeyAlgorithm.ValueString(), SecretVersion: r.SecretVersion.ValueInt64()}
	}
	if w := decode[recordWebhookModel](ctx, m.Webhook, diags); w != nil {
		d.Webhook = &spec.Webhook{URL: w.URL.ValueString(), Method: w.Method.ValueString(), Body: w.Body.ValueString(),
			Expect: w.Expect.ValueString(), SecretVersion: w.SecretVersion.ValueInt64()}
		if !w.Headers.IsNull() && !w.Headers.IsUnknown() {
			diags.Append(w.Headers.ElementsAs(ctx, &d.Webhook.Headers, false)...)
		}
	}
}

// readPublisher is the way back. What is the same in other words stays as the state has it.
func (m *dynamicDNSRecordModel) readPublisher(ctx context.Context, d spec.DNSRecord, diags *diag.Diagnostics) {
	var route53 *recordRoute53Model
	if d.Route53 != nil {
		route53 = &recordRoute53Model{HostedZoneID: types.StringValue(d.Route53.HostedZoneID)}
	}
	var rfc2136 *recordRFC2136Model
	if r := d.RFC2136; r != nil {
		rfc2136 = &recordRFC2136Model{Server: types.StringValue(r.Server), Zone: nameText(r.Zone), KeyName: optionalName(r.KeyName),
			KeyAlgorithm: types.StringValue(r.KeyAlgorithm), SecretVersion: optionalInt(int(r.SecretVersion))}
	}
	var webhook *recordWebhookModel
	if w := d.Webhook; w != nil {
		webhook = &recordWebhookModel{URL: types.StringValue(w.URL), Method: types.StringValue(w.Method), Headers: types.MapNull(types.StringType),
			Body: optionalString(w.Body), Expect: optionalString(w.Expect), SecretVersion: optionalInt(int(w.SecretVersion))}
		if w.Headers != nil {
			headers, moreDiags := types.MapValueFrom(ctx, types.StringType, w.Headers)
			diags.Append(moreDiags...)
			webhook.Headers = headers
		}
	}
	m.Route53 = encode(ctx, m.Route53, route53, diags)
	m.RFC2136 = encode(ctx, m.RFC2136, rfc2136, diags)
	m.Webhook = encode(ctx, m.Webhook, webhook, diags)
}

func optionalName(s string) text {
	if s == "" {
		return text{StringValue: types.StringNull(), in: nameNotation}
	}
	return nameText(s)
}

// recordSecret is the write-only secret, which is in the configuration only; null where there is none.
func recordSecret(ctx context.Context, config tfsdk.Config, d spec.DNSRecord, diags *diag.Diagnostics) (secret types.String, at path.Path) {
	switch {
	case d.RFC2136 != nil:
		at = path.Root("rfc2136").AtName("tsig_secret_wo")
	case d.Webhook != nil:
		at = path.Root("webhook").AtName("secret_wo")
	default:
		return types.StringNull(), at
	}
	diags.Append(config.GetAttribute(ctx, at, &secret)...)
	if d.RFC2136 != nil && !secret.IsNull() && !secret.IsUnknown() {
		if wrong := spec.TSIGSecret(secret.ValueString()); wrong != "" {
			addProblems(diags, []spec.Problem{{Attribute: "rfc2136.tsig_secret_wo", Summary: "the key's secret cannot be used: " + wrong,
				Advice: "Copy what stands between the quotes of secret \"...\" in the key's file"}})
		}
	}
	return secret, at
}

// putSecret takes the secret over. A former one stays until the sidecar has withdrawn what was published with it.
func (r *dynamicDNSRecordResource) putSecret(ctx context.Context, s store.Store, d spec.DNSRecord, config tfsdk.Config, diags *diag.Diagnostics) {
	secret, _ := recordSecret(ctx, config, d, diags)
	if d.SecretVersion() == 0 || secret.IsNull() || diags.HasError() {
		return // raised without a new one: the former stays
	}
	if _, err := store.PutJSON(ctx, s, state.DNSSecretKey(d.Farm, d.Name), state.DNSSecret{Secret: secret.ValueString()}); err != nil {
		diags.AddError("The record's secret cannot be kept", sentence(err.Error()))
	}
}

// planSecret refuses a version that comes without a secret where there is none yet.
func (r *dynamicDNSRecordResource) planSecret(ctx context.Context, req resource.ModifyPlanRequest, d spec.DNSRecord, diags *diag.Diagnostics) {
	secret, at := recordSecret(ctx, req.Config, d, diags)
	if d.SecretVersion() == 0 || !secret.IsNull() || diags.HasError() {
		return
	}
	if s, err := r.openExisting(ctx); err == nil {
		if _, err := s.Get(ctx, state.DNSSecretKey(d.Farm, d.Name)); err == nil {
			return
		}
	}
	addProblems(diags, []spec.Problem{{Attribute: at.String(), Summary: "there is a version and no secret, and none was kept before", Advice: "Set it beside its version"}})
}

func withoutWarnings(problems []spec.Problem) []spec.Problem {
	return slices.DeleteFunc(problems, func(p spec.Problem) bool { return p.Warning })
}
