package provider

import (
	"maps"

	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/planmodifier"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/stringplanmodifier"
)

// computedID is the attribute that other resources refer to. It is known at plan time as soon as the names in it are.
func computedID(description string) schema.StringAttribute {
	return schema.StringAttribute{
		Computed:            true,
		MarkdownDescription: description,
		PlanModifiers:       []planmodifier.String{stringplanmodifier.UseStateForUnknown()},
	}
}

// withAttributes is both together.
func withAttributes(a, b map[string]schema.Attribute) map[string]schema.Attribute {
	maps.Copy(a, b)
	return a
}

// requiredName is a name that a thing keeps for life.
func requiredName(description string) schema.StringAttribute {
	return schema.StringAttribute{
		Required:            true,
		CustomType:          textType{in: nameNotation},
		MarkdownDescription: description + " Changing it makes a new one.",
		PlanModifiers:       []planmodifier.String{keepEquivalent{nameNotation}, stringplanmodifier.RequiresReplace()},
	}
}

// optionalDuration is a duration with a default, which the description names.
func optionalDuration(description string) schema.StringAttribute {
	return schema.StringAttribute{
		Optional:            true,
		Computed:            true,
		CustomType:          textType{in: durationNotation},
		MarkdownDescription: description,
		PlanModifiers:       []planmodifier.String{keepEquivalent{durationNotation}},
	}
}
