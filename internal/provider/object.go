package provider

import (
	"context"
	"maps"
	"slices"

	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/types"
	"github.com/hashicorp/terraform-plugin-framework/types/basetypes"
)

// decode reads a nested attribute; nil where it is null or unknown.
func decode[T any](ctx context.Context, o types.Object, diags *diag.Diagnostics) *T {
	if o.IsNull() || o.IsUnknown() {
		return nil
	}
	var v T
	diags.Append(o.As(ctx, &v, basetypes.ObjectAsOptions{})...)
	return &v
}

// encode makes a nested attribute of v; null where v is nil. like has its type.
func encode[T any](ctx context.Context, like types.Object, v *T, diags *diag.Diagnostics) types.Object {
	return encodeAs(ctx, like.AttributeTypes(ctx), v, diags)
}

func encodeAs[T any](ctx context.Context, attributes map[string]attr.Type, v *T, diags *diag.Diagnostics) types.Object {
	if v == nil {
		return types.ObjectNull(attributes)
	}
	o, d := types.ObjectValueFrom(ctx, attributes, v)
	diags.Append(d...)
	return o
}

// optionalInt and optionalString are null for the zero value, which stands for "not said" in a spec.
func optionalInt(n int) types.Int64 {
	if n == 0 {
		return types.Int64Null()
	}
	return types.Int64Value(int64(n))
}

func optionalString(s string) types.String {
	if s == "" {
		return types.StringNull()
	}
	return types.StringValue(s)
}

// attributeTypes are those of a nested attribute's type.
func attributeTypes(t attr.Type) map[string]attr.Type {
	if o, ok := t.(attr.TypeWithAttributeTypes); ok {
		return o.AttributeTypes()
	}
	return nil
}

// sortedNames are the members of a set, in order.
func sortedNames(set map[string]bool) []string { return slices.Sorted(maps.Keys(set)) }
