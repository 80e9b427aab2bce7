package provider

import (
	"context"
	"fmt"
	"maps"

	"github.com/hashicorp/terraform-plugin-framework/datasource/schema"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	resourceschema "github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/types"
	"github.com/hashicorp/terraform-plugin-framework/types/basetypes"
	"github.com/hashicorp/terraform-plugin-go/tftypes"
)

// policyArguments are those of farmhand_scaling_policy but for what names its role: whatever can be declared can be
// tried out, in the same words.
func policyArguments(ctx context.Context) map[string]schema.Attribute {
	var resp resource.SchemaResponse
	(&scalingPolicyResource{}).Schema(ctx, resource.SchemaRequest{}, &resp)
	all := arguments(resp.Schema.Attributes)
	delete(all, "role")
	return all
}

// arguments are a resource's attributes that can be set, as a data source's: what is computed where it is not said is
// only optional here.
func arguments(of map[string]resourceschema.Attribute) map[string]schema.Attribute {
	out := map[string]schema.Attribute{}
	for name, a := range of {
		if a.IsRequired() || a.IsOptional() {
			out[name] = argument(name, a)
		}
	}
	return out
}

func argument(name string, a resourceschema.Attribute) schema.Attribute {
	required, optional, sensitive := a.IsRequired(), a.IsOptional(), a.IsSensitive()
	description, markdown := a.GetDescription(), a.GetMarkdownDescription()
	switch a := a.(type) {
	case resourceschema.StringAttribute:
		return schema.StringAttribute{Required: required, Optional: optional, Sensitive: sensitive, Description: description, MarkdownDescription: markdown, CustomType: a.CustomType, Validators: a.Validators}
	case resourceschema.Int64Attribute:
		return schema.Int64Attribute{Required: required, Optional: optional, Sensitive: sensitive, Description: description, MarkdownDescription: markdown, CustomType: a.CustomType, Validators: a.Validators}
	case resourceschema.Float64Attribute:
		return schema.Float64Attribute{Required: required, Optional: optional, Sensitive: sensitive, Description: description, MarkdownDescription: markdown, CustomType: a.CustomType, Validators: a.Validators}
	case resourceschema.BoolAttribute:
		return schema.BoolAttribute{Required: required, Optional: optional, Sensitive: sensitive, Description: description, MarkdownDescription: markdown, CustomType: a.CustomType, Validators: a.Validators}
	case resourceschema.ListAttribute:
		return schema.ListAttribute{Required: required, Optional: optional, Sensitive: sensitive, Description: description, MarkdownDescription: markdown, CustomType: a.CustomType, Validators: a.Validators, ElementType: a.ElementType}
	case resourceschema.SetAttribute:
		return schema.SetAttribute{Required: required, Optional: optional, Sensitive: sensitive, Description: description, MarkdownDescription: markdown, CustomType: a.CustomType, Validators: a.Validators, ElementType: a.ElementType}
	case resourceschema.MapAttribute:
		return schema.MapAttribute{Required: required, Optional: optional, Sensitive: sensitive, Description: description, MarkdownDescription: markdown, CustomType: a.CustomType, Validators: a.Validators, ElementType: a.ElementType}
	case resourceschema.SingleNestedAttribute:
		return schema.SingleNestedAttribute{Required: required, Optional: optional, Sensitive: sensitive, Description: description, MarkdownDescription: markdown, CustomType: a.CustomType, Validators: a.Validators, Attributes: arguments(a.Attributes)}
	case resourceschema.ListNestedAttribute:
		return schema.ListNestedAttribute{Required: required, Optional: optional, Sensitive: sensitive, Description: description, MarkdownDescription: markdown, CustomType: a.CustomType, Validators: a.Validators,
			NestedObject: schema.NestedAttributeObject{Attributes: arguments(a.NestedObject.Attributes), Validators: a.NestedObject.Validators}}
	}
	panic(fmt.Sprintf("attribute %s of farmhand_scaling_policy has a type that a data source cannot have: add it here", name))
}

// policyModel is a farmhand_scaling_policy of the arguments in o: what they lack of it is null.
func policyModel(ctx context.Context, o types.Object, diags *diag.Diagnostics) scalingPolicyModel {
	var m scalingPolicyModel
	values, attributes := maps.Clone(o.Attributes()), o.AttributeTypes(ctx)
	var resp resource.SchemaResponse
	(&scalingPolicyResource{}).Schema(ctx, resource.SchemaRequest{}, &resp)
	for name, a := range resp.Schema.Attributes {
		if _, there := attributes[name]; there {
			continue
		}
		null, err := a.GetType().ValueFromTerraform(ctx, tftypes.NewValue(a.GetType().TerraformType(ctx), nil))
		if err != nil {
			diags.AddError("A policy cannot be read", sentence(err.Error()))
			return m
		}
		values[name], attributes[name] = null, a.GetType()
	}
	whole, d := types.ObjectValue(attributes, values)
	diags.Append(d...)
	diags.Append(whole.As(ctx, &m, basetypes.ObjectAsOptions{})...)
	return m
}
