package provider

import (
	"testing"

	"github.com/hashicorp/terraform-plugin-framework/attr/xattr"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/planmodifier"
	"github.com/hashicorp/terraform-plugin-framework/types"
)

func TestTextsThatMeanTheSame(t *testing.T) {
	for _, c := range []struct {
		in   *notation
		a, b string
		same bool
	}{
		{durationNotation, "60s", "1m", true},
		{durationNotation, "1h", "60m0s", true},
		{durationNotation, "1.5s", "1500ms", true},
		{durationNotation, "0", "0s", true},
		{durationNotation, "60s", "61s", false},
		{nameNotation, "Shop.Internal.", "shop.internal", true},
		{nameNotation, "shop/Web", "shop/web", true},
		{nameNotation, "web", "web1", false},
		{subnetNotation, "10.99.0.7/24", "10.99.0.0/24", true},
		{subnetNotation, "10.99.0.0/24", "10.99.0.0/25", false},
	} {
		a, b := text{StringValue: types.StringValue(c.a), in: c.in}, text{StringValue: types.StringValue(c.b), in: c.in}
		if same, _ := a.StringSemanticEquals(t.Context(), b); same != c.same {
			t.Errorf("as a %s, %q and %q are the same: %v, want %v", c.in.name, c.a, c.b, same, c.same)
		}
		// The plan keeps the state's words, or takes the configuration's.
		resp := planmodifier.StringResponse{PlanValue: b.StringValue}
		keepEquivalent{c.in}.PlanModifyString(t.Context(), planmodifier.StringRequest{StateValue: a.StringValue, PlanValue: b.StringValue}, &resp)
		if kept := resp.PlanValue.Equal(a.StringValue); kept != (c.same || c.a == c.b) {
			t.Errorf("as a %s, %q in the state and %q in the configuration are planned as %s", c.in.name, c.a, c.b, resp.PlanValue)
		}
	}
}

func TestTextsWithoutAMeaning(t *testing.T) {
	for _, c := range []struct {
		in    *notation
		value types.String
		valid bool
	}{
		{durationNotation, types.StringValue("90s"), true},
		{durationNotation, types.StringNull(), true},
		{durationNotation, types.StringUnknown(), true},
		{durationNotation, types.StringValue(""), false},
		{durationNotation, types.StringValue("90"), false},
		{durationNotation, types.StringValue("-1s"), false},
		{subnetNotation, types.StringValue("10.0.0.0/8"), true},
		{subnetNotation, types.StringValue("10.0.0.0"), false},
		{subnetNotation, types.StringValue("10.0.0.0/40"), false},
	} {
		var resp xattr.ValidateAttributeResponse
		text{StringValue: c.value, in: c.in}.ValidateAttribute(t.Context(), xattr.ValidateAttributeRequest{Path: path.Root("a")}, &resp)
		if valid := !resp.Diagnostics.HasError(); valid != c.valid {
			t.Errorf("%s as a %s is valid: %v, want %v", c.value, c.in.name, valid, c.valid)
		}
	}
}
