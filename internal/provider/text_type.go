package provider

import (
	"context"
	"fmt"
	"net/netip"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/attr/xattr"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/planmodifier"
	"github.com/hashicorp/terraform-plugin-framework/types"
	"github.com/hashicorp/terraform-plugin-framework/types/basetypes"
	"github.com/hashicorp/terraform-plugin-go/tftypes"

	"github.com/farmhand/terraform-provider-farmhand/internal/spec"
)

var (
	_ basetypes.StringTypable                    = textType{}
	_ basetypes.StringValuableWithSemanticEquals = text{}
	_ xattr.ValidateableAttribute                = text{}
	_ planmodifier.String                        = keepEquivalent{}
)

// notation is a way of writing values in which several texts mean the same: "60s" and "1m", "Shop" and "shop".
type notation struct {
	name string
	// normal returns the one text that stands for all that mean the same, or why s has no meaning.
	normal func(s string) (string, error)
}

var (
	durationNotation = &notation{"duration", func(s string) (string, error) {
		d, err := spec.ParseDuration(s)
		return d.String(), err
	}}
	// nameNotation: names become DNS labels, and DNS compares without regard to case or a final dot.
	nameNotation = &notation{"name", func(s string) (string, error) {
		return strings.TrimSuffix(strings.ToLower(s), "."), nil
	}}
	subnetNotation = &notation{"subnet", func(s string) (string, error) {
		p, err := netip.ParsePrefix(s)
		if err != nil {
			return s, fmt.Errorf("%q is not a subnet: write it as address/bits, such as \"10.99.0.0/24\"", s)
		}
		return p.Masked().String(), nil
	}}
)

// textType is the type of attributes in a notation.
type textType struct {
	basetypes.StringType
	in *notation
}

func (t textType) Equal(o attr.Type) bool {
	other, ok := o.(textType)
	return ok && t.in == other.in
}

func (t textType) String() string { return t.in.name }

func (t textType) ValueFromString(_ context.Context, v basetypes.StringValue) (basetypes.StringValuable, diag.Diagnostics) {
	return text{StringValue: v, in: t.in}, nil
}

func (t textType) ValueFromTerraform(ctx context.Context, v tftypes.Value) (attr.Value, error) {
	s, err := t.StringType.ValueFromTerraform(ctx, v)
	if err != nil {
		return nil, err
	}
	plain, ok := s.(basetypes.StringValue)
	if !ok {
		return nil, fmt.Errorf("a %s is a string, not %T", t.in.name, s)
	}
	return text{StringValue: plain, in: t.in}, nil
}

func (t textType) ValueType(context.Context) attr.Value { return text{in: t.in} }

// text is a value in a notation. Its zero value is null.
type text struct {
	basetypes.StringValue
	in *notation
}

func durationText(d spec.Duration) text {
	return text{StringValue: types.StringValue(d.String()), in: durationNotation}
}
func nameText(s string) text {
	return text{StringValue: types.StringValue(s), in: nameNotation}
}
func subnetText(s string) text {
	return text{StringValue: types.StringValue(s), in: subnetNotation}
}

func (v text) Type(context.Context) attr.Type { return textType{in: v.in} }

func (v text) Equal(o attr.Value) bool {
	other, ok := o.(text)
	return ok && v.StringValue.Equal(other.StringValue)
}

// normal is the text that stands for all that mean the same; "" for null and unknown.
func (v text) normal() string {
	s := v.ValueString()
	if v.in == nil || s == "" {
		return s
	}
	n, err := v.in.normal(s)
	if err != nil {
		return s
	}
	return n
}

// duration is the value of a text in durationNotation; 0 for null and unknown. Validation has refused all else.
func (v text) duration() spec.Duration {
	d, _ := spec.ParseDuration(v.ValueString())
	return d
}

// keepZero makes field zero where v says zero: to a declaration that only means "not said", and it took the default.
func keepZero(field *spec.Duration, v text) {
	if !v.IsNull() && !v.IsUnknown() && v.duration() == 0 {
		*field = 0
	}
}

func (v text) StringSemanticEquals(_ context.Context, o basetypes.StringValuable) (bool, diag.Diagnostics) {
	other, ok := o.(text)
	return ok && v.normal() == other.normal(), nil
}

func (v text) ValidateAttribute(_ context.Context, req xattr.ValidateAttributeRequest, resp *xattr.ValidateAttributeResponse) {
	if v.in == nil || v.IsNull() || v.IsUnknown() {
		return
	}
	if _, err := v.in.normal(v.ValueString()); err != nil {
		resp.Diagnostics.AddAttributeError(req.Path, "Invalid "+v.in.name, fmt.Sprintf("%s: %s.", req.Path, err))
	}
}

// keepEquivalent keeps the text of the state where the configuration now says the same in other words. Semantic
// equality of the type alone covers what a resource returns, not a difference between configuration and state.
type keepEquivalent struct{ in *notation }

func (keepEquivalent) Description(context.Context) string {
	return "values that mean the same make no difference"
}
func (m keepEquivalent) MarkdownDescription(ctx context.Context) string { return m.Description(ctx) }

func (m keepEquivalent) PlanModifyString(_ context.Context, req planmodifier.StringRequest, resp *planmodifier.StringResponse) {
	if req.StateValue.IsNull() || req.PlanValue.IsNull() || req.PlanValue.IsUnknown() {
		return
	}
	planned := text{StringValue: req.PlanValue, in: m.in}
	former := text{StringValue: req.StateValue, in: m.in}
	if planned.normal() == former.normal() {
		resp.PlanValue = req.StateValue
	}
}

// keepText is v as a name, in former's words where they mean the same.
func keepText(former text, v string) text {
	if !former.IsNull() && !former.IsUnknown() && former.normal() == v {
		return former
	}
	return nameText(v)
}
